"""Erasing a person: in one transaction, wherever the database says something about him.

The order matters. Documents are rewritten first, which enters the old values in the chain of writes once
more; then earlier texts go, then the values in the chain, and at the end nothing that was found is left.
What is outside of the transaction, the quarantine and the bytes in the files, follows (`Privacy.resume`):
that it has to is noted in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, count
from typing import Any

from kompass.audit import AuditExtension, Cause
from kompass.business.lookups import Lookups, members
from kompass.business.server_made import KeyedRevision, raise_refusals, server_made
from kompass.domain.freezing import is_final
from kompass.domain.personal import (
    ABOUT,
    ANONYMIZED,
    FILES,
    OWN,
    REMOVED,
    Rules,
    anonymized,
    pseudonym,
    treated,
)
from kompass.domain.retention import HOLD
from kompass.domain.sealing import erased as sealed_again
from kompass.domain.traces import Replacer
from kompass.privacy import consents, erasures, pending, tickets
from kompass.privacy.accounts import Account
from kompass.privacy.erasures import Erasure, Subject
from kompass.privacy.finding import Found, find, spoken
from kompass.privacy.sweep import Sweep, login_of, numbered, shallow
from kompass.privacy.tickets import Kind
from kompass.sync.conflicts import store as conflicts
from kompass.sync.personal.local import LocalNotes
from replication.protocol import jsontext
from replication.protocol.attachments import AttachmentWrite, StagedAttachment, parse_attachments
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import format_rev, parse_rev
from replication.store.sqlite import Reading, Writing
from replication.store.values import Document

_PAGE = 500

CAUSE = Cause(erasures.ORIGIN, "privacy.erasure")


class HeldError(Exception):
    """Documents are under a legal hold: nothing may be erased."""

    def __init__(self, docids: Sequence[str]) -> None:
        super().__init__(
            f"There is a legal hold on {', '.join(docids[:5])}: nothing is erased before GF lifts it."
        )
        self.docids = tuple(docids)


class AlreadyErasedError(Exception):
    """He was erased before."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A document as an erasure would leave it."""

    docid: str
    doctype: str
    fields: tuple[str, ...]
    """Members that change."""
    files: tuple[str, ...]
    """Attachments that go."""
    renamed: Mapping[str, str]
    """Attachments that are called after him -> what they are called then."""
    kept_files: tuple[str, ...]
    """Attachments that somebody should look at: they stay, for as long as the document has to be kept."""
    body: Mapping[str, Any]
    """Without the members of the protocol; empty in an outline."""

    def outline(self) -> Rewriting:
        """Without the text."""
        return replace(self, body={})


class Rewriter:
    """Says what becomes of documents, in one state of the database."""

    def __init__(
        self, reading: Reading, found: Found, numbers: Mapping[str, int], num: int, now: datetime
    ) -> None:
        """`numbers`: of the pseudonyms of the subjects; `num`: of the erasure."""
        self._found, self._num, self._now = found, num, now
        self._facts = Lookups(reading)
        self._numbers = numbers
        subjects = {docid: (kind, numbers[docid]) for docid, kind in found.subjects.items()}
        self.sweep = Sweep(
            num, found.subject, subjects, frozenset(found.near), numbered(found.traces, subjects)
        )

    def near(self, docid: str) -> Replacer:
        return self.sweep.replacer(docid)

    def text(self, value: str) -> str:
        """A text without him."""
        return self.sweep.text(value)

    def rewriting(self, document: Document) -> Rewriting | None:
        """What becomes of a live winner; None if nothing does."""
        stored: dict[str, Any] = jsontext.decode(document.text)
        stubs = stored.get("_attachments") or {}
        body = {name: value for name, value in stored.items() if name[:1] != "_"}
        body, deep = shallow(body)
        before = members(jsontext.decode_request(document.text)) | dict.fromkeys(deep, REMOVED)
        docid, doctype = document.id, str(body.get("type"))
        rules, label, number = self._rules(docid, doctype, before)
        after = {name: value for name, value in body.items() if name[:1] != "_"}
        if docid in self._found.subjects and before.get(ANONYMIZED) is True:
            pass  # another server has done it
        elif docid in self._found.subjects:
            own = anonymized({**after, "_id": docid}, rules, label, number, self._now)
            after = {name: value for name, value in own.items() if name != "_id"}
        elif rules:
            about = treated({**after, "_id": docid}, rules, label, number)
            after = {name: value for name, value in about.items() if name != "_id"}
            log = after.get("changeLog")
            if isinstance(log, list):
                after["changeLog"] = [_entry(one, rules, label, number, docid) for one in log]
        after = self.near(docid).value(after)
        files: tuple[str, ...] = ()
        if FILES in rules and (docid in self._found.subjects or not is_final(before, self._facts)):
            files = tuple(sorted(stubs))
        renamed: dict[str, str] = {}
        if not is_final(before, self._facts):
            renamed = _renamed([name for name in stubs if name not in files], self.near(docid))
        if after == body and not files and not renamed and not deep:
            return None
        if files and isinstance(after.get("attachments"), list):
            after.pop("attachments")
        digests = {
            renamed.get(name, name): stub["digest"] for name, stub in stubs.items() if name not in files
        }
        with_id = {**after, "_id": docid, **({"_attachments": digests} if digests else {})}
        sealed = sealed_again(before, with_id, self._num, self._now)
        if "erasures" in sealed:
            after["erasures"] = sealed["erasures"]
        fields = tuple(
            sorted(
                name for name in {*body, *after} if body.get(name) != after.get(name) and name != "erasures"
            )
        )
        kept = tuple(sorted(name for name in stubs if name not in files))
        return Rewriting(docid, doctype, fields, files, renamed, kept, after)

    def _rules(self, docid: str, doctype: str, before: Mapping[str, Any]) -> tuple[Rules, str, int]:
        """What the tables say of a document, with the pseudonym that counts in it."""
        main = self._found.subject
        if docid in self._found.subjects:
            number = self._numbers[docid]
            return OWN[doctype], pseudonym(doctype, number), number
        number = self._numbers[main]
        if docid not in self._found.near:
            return {}, pseudonym(self._found.doctype, number), number
        named = {before.get(name) for name in before if isinstance(before.get(name), str)}
        for subject, kind in self._found.subjects.items():
            rules = ABOUT.get(kind, {}).get(doctype)
            if rules is not None and subject in named:
                number = self._numbers[subject]
                return rules, pseudonym(kind, number), number
        return {}, pseudonym(self._found.doctype, number), number


def _entry(entry: Any, rules: Rules, label: str, number: int, docid: str) -> Any:
    """An entry of a change log, whose values are treated like the field it is about."""
    if not isinstance(entry, dict) or not isinstance(entry.get("field"), str):
        return entry
    result = dict(entry)
    for side in ("oldValue", "newValue"):
        if side in entry:
            one = treated({"_id": docid, entry["field"]: entry[side]}, rules, label, number)
            result[side] = one.get(entry["field"])
    return result


def held(reading: Reading, found: Found) -> list[str]:
    """Documents under a legal hold, among those that would change."""
    return sorted(
        winner.id
        for winner in winners(reading, found.documents | found.near)
        if HOLD.encode() in winner.text and jsontext.decode_request(winner.text).get(HOLD) is True
    )


def winners(reading: Reading, docids: Iterable[str]) -> Iterator[Document]:
    """Live documents with these ids, by id, a page at a time."""
    wanted = sorted(docids)
    for start in range(0, len(wanted), _PAGE):
        for _, winner in sorted(reading.winners(wanted[start : start + _PAGE]).items()):
            if not winner.deleted:
                yield winner


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted."""

    subject: str
    by: str
    reason: str
    now: datetime
    again: Erasure | None = None
    """An erasure of before that is done once more, with its number and pseudonyms."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an erasure has done."""

    erasure: Erasure
    rewritten: tuple[Rewriting, ...]
    forgotten: int
    """Documents whose earlier texts went."""
    keys: int
    """Keys of the chain that are gone."""
    entries: int
    """Entries of the chain, sealed with others' keys, whose values are gone."""
    found: Found
    ticket: int
    account: Account | None = None
    """Of a user: what he had besides his document."""
    is_clean: bool = False
    """Whether no file has a byte of it any more; if not, the server goes on by itself."""


def erase(
    writing: Writing, order: Order, before: Found, audit: AuditExtension, keyed_revision: KeyedRevision
) -> Done:
    """Erases somebody. Raises `UnknownSubjectError`, `AlreadyErasedError` and `HeldError`.

    `before` is what was found in an earlier state. Whoever calls it goes on with the files.
    """
    if order.again is None and erasures.subjects_among(writing, [order.subject]):
        raise AlreadyErasedError(order.subject)
    found = find(writing, order.subject, before)
    on_hold = held(writing, found)
    if on_hold:
        raise HeldError(on_hold)
    start = writing.update_seq
    erasure, numbers = _numbers(writing, order, found)
    rewriter = Rewriter(writing, found, numbers, erasure.num, order.now)
    erasure = erasure._replace(reason=rewriter.text(erasure.reason))
    rewritten = _rewrite(writing, found, rewriter, keyed_revision)
    _end_notices(writing, found, keyed_revision)
    _erase_conflicts(writing, found, rewriter, order.now)
    with writing.overwriting():
        erasures.reword(writing, rewriter.text)
        consents.reword(writing, rewriter.text)
        _erase_local(writing, rewriter)
    writing.settle()
    rows: Any = writing.connection.execute("SELECT id FROM docs WHERE seq > ?", (start,)).fetchall()
    changed = {docid for (docid,) in rows}
    found = find(writing, order.subject, found)
    with writing.overwriting():
        everything = changed | found.documents
        for docid in sorted(everything):
            emptied = writing.forget(docid)
            if emptied:
                audit.reseal(writing, docid, [(one.rev, one.text) for one in emptied])
        keys = sum(audit.shred(writing, docid) for docid in found.subjects)
        entries = audit.erase(writing, order.subject, found.entries)
    login = login_of(order.subject)
    if login is not None:
        LocalNotes.forget(writing, login)
    clean = {
        docid: format_rev(state.winner)
        for docid in sorted({one.docid for one in rewritten} | found.notices | found.documents)
        if (state := writing.revisions(docid)) is not None
    }
    erasures.keep(writing, erasure, clean)
    ticket = tickets.add(writing, Kind.ERASURE, order.subject, None, order.now, clean)
    pending.begin(writing, erasure.num, Rewriter(writing, found, numbers, erasure.num, order.now).sweep)
    writing.tell(erasure)
    return Done(erasure, tuple(rewritten), len(everything), keys, entries, found, ticket)


def _numbers(writing: Writing, order: Order, found: Found) -> tuple[Erasure, dict[str, int]]:
    known = {} if order.again is None else {one.id: one.number for one in order.again.subjects}
    known |= found.numbers
    numbers = {
        docid: known[docid] if docid in known else erasures.next_number(writing, kind)
        for docid, kind in found.subjects.items()
    }
    subjects = tuple(Subject(docid, kind, numbers[docid]) for docid, kind in found.subjects.items())
    if order.again is not None:
        return order.again._replace(subjects=subjects), numbers
    num = erasures.next_erasure(writing)
    return Erasure(num, order.subject, order.now, order.by, order.reason, subjects), numbers


def _rewrite(
    writing: Writing, found: Found, rewriter: Rewriter, keyed_revision: KeyedRevision
) -> list[Rewriting]:
    """Writes a child of every winner that says something about him, and closes other live versions."""
    done = []
    wanted = sorted((found.documents | found.near) - found.notices)
    for start in range(0, len(wanted), _PAGE):
        writes = []
        for docid, winner in sorted(writing.winners(wanted[start : start + _PAGE]).items()):
            writes += _ends(writing, docid, keyed_revision)
            rewriting = None if winner.deleted else rewriter.rewriting(winner)
            if rewriting is None:
                continue
            write = server_made(writing, docid, jsontext.encode(dict(rewriting.body)), keyed_revision)
            assert write is not None
            stubs = jsontext.decode(winner.text).get("_attachments") or {}
            left = {
                name: stub
                for name, stub in stubs.items()
                if name not in rewriting.files and name not in rewriting.renamed
            }
            if left:
                write.attachments = parse_attachments(left)
            if rewriting.renamed:
                write.attachments = {**write.attachments, **_moved(writing, winner, rewriting.renamed)}
            write.note = CAUSE
            writes.append(write)
            done.append(rewriting.outline())
        if writes:
            raise_refusals(writing.write(writes, replicated=True))
    return done


def _renamed(names: Sequence[str], replacer: Replacer) -> dict[str, str]:
    """Names with him in them -> names without, which nobody else has."""
    taken = set(names)
    found = {}
    for name in names:
        text = replacer.text(name)
        if text != name:
            stem, dot, ending = text.rpartition(".")
            numbers = (f"{stem}-{n}.{ending}" if dot else f"{text}-{n}" for n in count(2))
            found[name] = next(one for one in chain([text], numbers) if one not in taken)
            taken.add(found[name])
    return found


def _moved(writing: Writing, winner: Document, renamed: Mapping[str, str]) -> dict[str, AttachmentWrite]:
    """The same bytes by other names."""
    stored = writing.attachments(winner.id, parse_rev(winner.rev))
    return {
        after: StagedAttachment(
            one.handle, one.content_type, one.digest, one.length, one.stored_length, one.encoding
        )
        for before, after in renamed.items()
        if (one := stored.get(before)) is not None
    }


def _ends(writing: Writing, docid: str, keyed_revision: KeyedRevision) -> list[DocumentWrite]:
    """Ends of a document's live leaves beside its winner."""
    state = writing.revisions(docid)
    if state is None:
        return []
    ends = []
    for leaf in state.tree.leaves():
        if leaf == state.winner or state.tree.is_deleted(leaf):
            continue
        path = state.tree.path(leaf)
        name = keyed_revision(docid, leaf, b"-")
        ends.append(
            DocumentWrite(docid, True, b"{}", path=type(path)(path.start + 1, [name, *path.ids]), note=CAUSE)
        )
    return ends


def _end_notices(writing: Writing, found: Found, keyed_revision: KeyedRevision) -> None:
    """What people were told about versions of his own documents."""
    writes = []
    for docid in sorted(found.notices):
        write = server_made(writing, docid, b"{}", keyed_revision, deleted=True)
        if write is not None:
            write.note = CAUSE
            writes.append(write)
    if writes:
        raise_refusals(writing.write(writes, replicated=True))


def _erase_conflicts(writing: Writing, found: Found, rewriter: Rewriter, at: datetime) -> None:
    """Conflicts about his own documents are settled and say nothing more; others are rewritten."""
    with writing.overwriting():
        for one in list(conflicts.texts(writing)):
            if one.docid in found.subjects:
                conflicts.erase(writing, one.id, at)
                continue
            texts = [
                None if text is None else _rewritten_text(rewriter, one.docid, text) for text in one.texts
            ]
            if texts != list(one.texts):
                conflicts.rewrite(writing, one.id, texts)


def _erase_local(writing: Writing, rewriter: Rewriter) -> None:
    """Local documents that name him: checkpoints never do, and whoever loses one reads from the start."""
    execute: Any = writing.connection.execute

    def names(*told: Any) -> bool:
        said = "\n".join(
            spoken(one.decode("utf-8", "replace")) if type(one) is bytes else one for one in told
        )
        return rewriter.text(said) != said

    for docid, body in execute("SELECT id, body FROM local").fetchall():
        if names(docid, body):
            execute("DELETE FROM local WHERE id = ?", (docid,))
    if not LocalNotes.are_there(writing):
        return
    for user, docid, body in execute("SELECT user, id, body FROM personal_local").fetchall():
        if names(docid, body):
            execute("DELETE FROM personal_local WHERE user = ? AND id = ?", (user, docid))


def _rewritten_text(rewriter: Rewriter, docid: str, text: str) -> str:
    value = jsontext.decode(text.encode())
    after = rewriter.near(docid).value(value)
    return text if after == value else jsontext.encode(after).decode()
