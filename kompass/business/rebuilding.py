"""Working everything out again that follows from documents, and seeing whether it is as it should be.

It follows in the transactions that write the documents, so a difference is a defect, or somebody changed
the file by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from kompass.audit.causes import Cause
from kompass.business import schema, totals
from kompass.business.lookups import Lookups, Named, Register, bare, members
from kompass.business.numbers import Numbers
from kompass.business.server_made import raise_refusals, server_made
from kompass.business.step import DERIVED, Step, Terms, written_total
from kompass.domain import derivations, models, sums
from kompass.domain.changes import Body, Facts
from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite
from replication.store.sqlite import Reading, Writing

_LIVE = (
    "SELECT docs.num, docs.id, text FROM docs CROSS JOIN bodies ON bodies.seq = docs.body"
    " WHERE NOT docs.deleted AND docs.num > ? ORDER BY docs.num LIMIT 500"
)


class Difference(NamedTuple):
    """Something that isn't as the documents say."""

    doc: str
    what: str

    def __str__(self) -> str:
        return f"{self.doc}: {self.what}"


def live(reading: Reading) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Every live document: short number, id, members."""
    after = 0
    while rows := _page(reading, after):
        for num, docid, text in rows:
            after = num
            yield num, docid, members(jsontext.decode_request(text))


def _page(reading: Reading, after: int) -> list[tuple[int, str, bytes]]:
    rows: Any = reading.connection.execute(_LIVE, (after,))
    return list(rows)


def index(writing: Writing, numbers: Numbers | None = None) -> None:
    """Fills the empty tables that follow from documents. `numbers` takes note of those that they have."""
    register = Register(writing)
    for num, docid, body in live(writing):
        register.put(num, docid, body, new=True)
        if numbers is not None:
            numbers.note(body)
    register.flush()
    facts, parts = Lookups(writing), totals.Parts(writing)
    for num, _, body in live(writing):
        if body.get("type") in sums.SOURCES:
            parts.put(num, body, facts, new=True)


def rebuild(writing: Writing, terms: Terms, now: datetime) -> int:
    """Works out tables, numbers, derived values and sums anew. Returns how many documents it had to write."""
    schema.clear(writing.connection)
    index(writing, Numbers(writing, terms.series, now))
    changed = Step(writing, terms, now).put_right((docid, body) for _, docid, body in live(writing))
    facts, parts = Lookups(writing), totals.Parts(writing)
    writes: list[DocumentWrite | None] = []
    for _, docid, body in _of_types(writing, (*sums.TARGETS, *sums.TARGETS.values())):
        if body["type"] in sums.TARGETS:
            writes.append(written_total(writing, body, parts, terms.keyed_revision))
        elif not _has_target(docid, body, facts):
            ended = server_made(writing, docid, b"{}", terms.keyed_revision, deleted=True)
            if ended is not None:
                ended.note = Cause(DERIVED)
            writes.append(ended)
    needed = [write for write in writes if write is not None]
    raise_refusals(writing.write(needed, replicated=True))
    return changed + len(needed)


def _of_types(reading: Reading, types: Collection[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    return (one for one in live(reading) if one[2].get("type") in types)


def _has_target(docid: str, total: Body, facts: Facts) -> bool:
    """Whether a document with sums has something whose sums they are."""
    (doctype,) = [target for target, kind in sums.TARGETS.items() if kind == total["type"]]
    target = facts.document(str(total.get(f"{doctype}Id")))
    return (
        target is not None
        and target.get("type") == doctype
        and sums.total_id(doctype, str(target["_id"])) == docid
    )


def differences(reading: Reading) -> Iterator[Difference]:
    """Everything that isn't as it would be worked out now. Reads the whole database."""
    register, facts = Register(reading), Lookups(reading)
    seen = 0
    for num, docid, body in live(reading):
        seen += 1
        named = register.known(num)
        if named != Named.of(body):
            yield Difference(docid, "what it names and shares isn't in the tables as it is")
        elif not _in_tables(reading, num, named):
            yield Difference(docid, "the tables lack what it names or shares")
        if body.get("type") in sums.SOURCES and not _adds(reading, num, body, facts):
            yield Difference(docid, "what it adds to sums isn't what is kept of it")
        if body.get("type") in sums.TARGETS:
            yield from _total(reading, docid, body)
        elif body.get("type") == "time_entry" and facts.document(derivations.cost_id(docid)) is None:
            yield Difference(docid, "what it costs isn't there")
        elif body.get("type") in sums.TARGETS.values() and not _has_target(docid, body, facts):
            yield Difference(docid, "has sums of something that isn't there")
        computed = derivations.computed(body, facts) if body.get("finalized") is not True else {}
        for field in computed:
            yield Difference(docid, f"{field} isn't what it is worked out to be")
        if body.get("type") == "user":  # people don't edit them, so nobody else looks
            unsound = models.validate(derivations.with_computed(body, computed))
            if unsound is not None:
                yield Difference(docid, unsound.reason)
    kept = reading.connection.execute("SELECT count(*) FROM business_docs").get
    if kept != seen:
        yield Difference("business_docs", f"has {kept} documents, there are {seen}")


def _in_tables(reading: Reading, num: int, named: Named) -> bool:
    execute = reading.connection.execute
    return all(
        execute(
            "SELECT 1 FROM business_refs WHERE target = ? AND doctype = ? AND field = ? AND doc = ?",
            (target, named.type, field, num),
        ).get
        for field, target in named.refs
    ) and all(
        execute("SELECT 1 FROM business_keys WHERE key = ? AND value = ? AND doc = ?", (key, value, num)).get
        for key, value in named.keys
    )


def _adds(reading: Reading, num: int, body: Body, facts: Lookups) -> bool:
    return totals.Parts(reading).wanted(body, facts) == totals.Parts(reading).stored(num)


def _total(reading: Reading, docid: str, body: Body) -> Iterator[Difference]:
    winner = reading.winner(sums.total_id(str(body["type"]), docid))
    stored = None if winner is None or winner.deleted else bare(winner)
    wanted = sums.total(body, totals.Parts(reading).sums(docid), stored)
    if (
        stored is None
        or wanted is None
        or orjson.dumps(stored, option=orjson.OPT_SORT_KEYS)
        != orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS)
    ):
        yield Difference(docid, "its sums are not those of its parts")
