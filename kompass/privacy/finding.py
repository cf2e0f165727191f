"""Everything in a database that says something about a person: found before anything is changed.

The whole database is read, texts of earlier revisions and the values in the chain of writes included. That
may take seconds, so it is done beside the writers, in a snapshot; what was written since is looked through
again in the transaction that erases (`since`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from kompass.access.companions import CARDS
from kompass.audit import vault
from kompass.business.lookups import members
from kompass.domain.personal import LABELS, OWN, number_in
from kompass.domain.traces import Traces, traces
from kompass.privacy.sweep import login_of
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import Reading, id_list
from replication.store.values import Document

NOTICES = frozenset({"conflict", "rejected_change"})
_OTHERS = frozenset({*OWN, "supplier"})
"""Types whose own names and addresses are theirs, whoever else has the same."""


class UnknownSubjectError(Exception):
    """There is no such customer, contact, lead or user, and nothing is left of one that was deleted."""


@dataclass(slots=True)
class Found:
    """What there is about somebody."""

    subject: str
    doctype: str
    subjects: dict[str, str] = field(default_factory=dict)
    """Documents about himself -> their type, his own first: of a customer its contacts belong to it."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Of the pseudonyms that another server has given some of them."""
    near: set[str] = field(default_factory=set)
    """Live documents that name one of them."""
    traces: Traces = field(default_factory=Traces)
    shared: dict[str, str] = field(default_factory=dict)
    """Values that are somebody else's as well, and whose: they stay there."""
    documents: set[str] = field(default_factory=set)
    """Documents with a text about him, in whatever revision."""
    notices: set[str] = field(default_factory=set)
    """`conflict` and `rejected_change` about his own documents, and what a user was told of refused work."""
    entries: set[int] = field(default_factory=set)
    """Entries of the chain of writes with a value about him."""
    seq: int = 0
    """The change and the entry up to which was looked."""
    entry: int = 0


def find(reading: Reading, subject: str, since: Found | None = None) -> Found:
    """What a state of the database says about a subject. Raises `UnknownSubjectError`.

    `since`: what was found in an earlier state; only what has come since is read.
    """
    found = _subjects(reading, subject, since)
    found.seq = reading.update_seq
    found.entry = int(reading.connection.execute("SELECT max(num) FROM audit_entries").get or 0)
    found.traces = _traces(reading, found)
    after_seq, after_entry = 0, 0
    if since is not None and set(since.subjects) == set(found.subjects) and _same(since, found):
        after_seq, after_entry = since.seq, since.entry
        found.near |= since.near - set(found.subjects)
        found.documents |= since.documents
        found.notices |= since.notices
        found.entries |= since.entries
        found.shared |= since.shared
    found.shared |= _shared(reading, found, after_seq)
    found.traces = found.traces.without(found.shared)
    _search(reading, found, after_seq)
    _search_chain(reading, found, after_entry)
    return found


def _same(before: Found, now: Found) -> bool:
    """Whether he is still called as he was."""
    return before.traces == now.traces.without(before.shared)


def _subjects(reading: Reading, subject: str, since: Found | None = None) -> Found:
    body = _last(reading, subject)
    doctype = str((body or {}).get("type"))
    if body is None or doctype not in LABELS:
        raise UnknownSubjectError(subject)
    found = Found(subject, doctype, {subject: doctype})
    if doctype == "customer":
        for kind, name in _BELONGING:
            found.subjects.update(dict.fromkeys(referring(reading, subject, kind, name), kind))
        found.subjects.update(_deleted_beside(reading, subject, 0 if since is None else since.seq))
        before = {} if since is None else since.subjects
        found.subjects.update((one, kind) for one, kind in before.items() if _live(reading, one) is None)
    for one, kind in found.subjects.items():
        found.near.update(referring(reading, one))
        body = _last(reading, one)
        number = None if body is None else number_in(kind, body)
        if number is not None:
            found.numbers[one] = number
    found.near.update(_beside(reading, [*found.near, *found.subjects]))
    found.near -= set(found.subjects)
    return found


def _live(reading: Reading, docid: str) -> dict[str, Any] | None:
    winner = reading.winner(docid)
    return None if winner is None or winner.deleted else _body(winner)


def _last(reading: Reading, docid: str) -> dict[str, Any] | None:
    """What a document says, or said before it was deleted: the latest text of it that is stored or that the
    chain of writes has. None if there is none that tells its type.
    """
    body = _live(reading, docid)
    if body is not None:
        return body
    stored = sorted(versions(reading, docid), key=lambda one: (not one.deleted, parse_rev(one.rev)))
    for bodies in (lambda: map(_body, reversed(stored)), lambda: reversed(_chained(reading, docid))):
        for body in bodies():
            if body.get("type") in LABELS:
                return body
    return None


_BELONGING = (("contact", "customerId"), ("lead", "convertedCustomerId"))
"""Types of what belongs to a customer, and the field that says to which."""


def _deleted_beside(reading: Reading, customer: str, after: int) -> dict[str, str]:
    """Deleted documents that belonged to a customer -> their type; of those that changed after a number."""
    rows: Any = reading.connection.execute(
        "SELECT id FROM docs WHERE deleted AND seq > ? AND (id GLOB 'contact-*' OR id GLOB 'lead-*')",
        (after,),
    ).fetchall()
    found = {}
    for (docid,) in rows:
        body = _last(reading, docid) or {}
        kind = str(body.get("type"))
        if body.get(dict(_BELONGING).get(kind, "")) == customer:
            found[docid] = kind
    return found


def is_unknown(reading: Reading, subject: str) -> bool:
    """Whether there is nothing but an anonymized document of somebody, which has a pseudonym."""
    body = _live(reading, subject)
    if body is None or number_in(str(body.get("type")), body) is None:
        return False
    found = _subjects(reading, subject)
    return list(found.subjects) == [subject] and _traces(reading, found) == Traces()


def known_pseudonym(winner: Document) -> tuple[str, int]:
    """Type and number of a document of which `is_unknown` is true."""
    body = _body(winner)
    doctype = str(body["type"])
    number = number_in(doctype, body)
    assert number is not None
    return doctype, number


_BESIDE = frozenset({"comment", "notification", *(card.type for card in CARDS.values())})
"""Types that say again, or about, what the document says that they name."""


def _beside(reading: Reading, docids: Iterable[str]) -> set[str]:
    rows: Any = reading.connection.execute(
        "SELECT DISTINCT d.id FROM json_each(?1) n CROSS JOIN business_refs r ON r.target = n.value"
        " AND r.doctype IN (SELECT value FROM json_each(?2)) CROSS JOIN business_docs d ON d.num = r.doc",
        (id_list(docids), orjson.dumps(sorted(_BESIDE)).decode()),
    )
    return {docid for (docid,) in rows}


def referring(
    reading: Reading, target: str, doctype: str | None = None, name: str | None = None
) -> list[str]:
    """Live documents that name one, in whatever field unless it is said."""
    rows: Any = reading.connection.execute(
        "SELECT DISTINCT d.id FROM business_refs r CROSS JOIN business_docs d ON d.num = r.doc"
        " WHERE r.target = ?1 AND (?2 IS NULL OR r.doctype = ?2) AND (?3 IS NULL OR r.field = ?3) ORDER BY 1",
        (target, doctype, name),
    ).fetchall()
    return [docid for (docid,) in rows]


def _traces(reading: Reading, found: Found) -> Traces:
    """From every stored version of his own documents, and of what the chain knows of them."""
    total = Traces()
    for docid, doctype in found.subjects.items():
        bodies = [_body(one) for one in versions(reading, docid)]
        bodies += _chained(reading, docid, doctype)
        total |= traces(bodies, LABELS[doctype])
    return total


def _chained(reading: Reading, docid: str, doctype: str | None = None) -> list[dict[str, Any]]:
    """Earlier versions of a document as far as the chain of writes has them: their texts may be compacted.

    Of a changed field it has both values, beside others as they were last known. Without a `doctype` the type
    is what the chain says of it, if it does.
    """
    bodies = []
    typed = {} if doctype is None else {"type": doctype}
    last: dict[str, Any] = typed
    for one in vault.of_document(reading.connection, docid):
        opening = orjson.loads(one.opening)
        text = opening.get("text")
        if isinstance(text, str):
            value = jsontext.decode_request(text.encode())
            if isinstance(value, dict) and doctype in (None, value.get("type")):
                last = members(value)
                bodies.append(last)
        fields = opening.get("fields")
        for side in ("old", "new") if isinstance(fields, dict) else ():
            changed = {
                name: value[side]
                for name, (_, told) in fields.items()
                if side in (value := orjson.loads(told))
            }
            whole = changed.pop("*", None)
            last = {**last, **changed, **(whole if isinstance(whole, dict) else {}), **typed}
            bodies.append(last)
    return bodies


def versions(reading: Reading, docid: str) -> list[Document]:
    """Every revision of a document whose text is stored."""
    state = reading.revisions(docid)
    if state is None:
        return []
    return [one for rev in state.tree if (one := reading.revision(docid, rev)) is not None]


def _body(document: Document) -> dict[str, Any]:
    return members(jsontext.decode_request(document.text))


def stored_texts(reading: Reading, after: int) -> Iterator[tuple[str, str, bool]]:
    """(id, text, whether it is the winner's) of every text that a change after that number brought."""
    rows: Any = reading.connection.execute(
        "SELECT d.id, b.text, 1 FROM docs d CROSS JOIN bodies b ON b.seq = d.body WHERE d.body > ?1"
        " UNION ALL SELECT d.id, b.text, 0 FROM docs d CROSS JOIN revs r ON r.doc = d.num"
        " CROSS JOIN bodies b ON b.seq = r.body WHERE r.body > ?1",
        (after,),
    )
    for docid, text, is_winner in rows:
        yield docid, bytes(text).decode("utf-8", "replace"), bool(is_winner)


def _shared(reading: Reading, found: Found, after: int) -> dict[str, str]:
    """Values that stand in the record of somebody else."""
    wide = found.traces.wide
    shared: dict[str, str] = {}
    for docid, text, is_winner in stored_texts(reading, after):
        if not is_winner or docid in found.subjects or not wide.found(spoken(text)):
            continue
        body = jsontext.decode_request(text.encode())
        if body.get("type") not in _OTHERS or body.get("anonymized") is True:
            continue
        whose = traces([{**body, "type": "customer" if body["type"] == "supplier" else body["type"]}], "")
        known = {value.casefold() for value in whose.everywhere}
        shared |= {value: docid for value in found.traces.everywhere if value.casefold() in known}
    return shared


_ABOUT = re.compile(r'"docId":"([^"]+)"')


def _search(reading: Reading, found: Found, after: int) -> None:
    wide, close = found.traces.wide, found.traces.close
    login = login_of(found.subject) or ""
    for docid, text, is_winner in stored_texts(reading, after):
        about = _ABOUT.search(text)
        notice = jsontext.decode_request(text.encode()) if about is not None else {}
        if about is not None and notice.get("type") in NOTICES:
            is_his = notice["type"] == "rejected_change" and (
                notice.get("user") == login or close.found(about[1])
            )
            if is_his or about[1] in found.subjects:
                found.documents.add(docid)
                if is_winner:
                    found.notices.add(docid)
                continue
            if about[1] in found.near:
                found.near.add(docid)
        here = close if docid in found.near else wide
        if docid in found.subjects or here.found(spoken(text)):
            found.documents.add(docid)


def _search_chain(reading: Reading, found: Found, after: int) -> None:
    wide, close = found.traces.wide, found.traces.close
    for one in vault.readable(reading.connection, after=after):
        here = close if one.doc in found.near else wide
        if one.doc in found.subjects or one.doc in found.notices or here.found(_unsealed(one.opening)):
            found.entries.add(one.num)


def spoken(text: str) -> str:
    """A text of JSON with what its escapes mean: names are looked for as people read them."""
    if "\\" not in text:
        return text
    try:
        return "\n".join(_strings(jsontext.decode_request(text.encode())))
    except (ProtocolError, RecursionError):
        return text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _unsealed(opening: bytes) -> str:
    """What an entry of the chain has: texts of JSON in a text of JSON."""
    value = orjson.loads(opening)
    told = [value.get("text"), *(one[1] for one in (value.get("fields") or {}).values())]
    named = (value.get("names") or {}).values()
    texts = [spoken(one) for one in told if isinstance(one, str)]
    reason = value.get("reason")
    return "\n".join([*texts, *named, *(reason[1:] if isinstance(reason, list) else ())])
