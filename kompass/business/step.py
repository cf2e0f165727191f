"""What follows from the documents of one transaction, by the rules of the business.

`run` is one call of `Extension.changed`. What it writes is heard again, until nothing follows any more: the
rules look at states, so a document that has what it should have is left alone. Of each document, in this
order:

1. What it names and shares goes into the tables.
2. Live: it gets the number, times, derived values and frozen marks that it lacks, as one child revision by
   the server. The author stays `modifiedBy`. Gone: its number is void, and what only belonged to it goes.
3. Where nothing was lacking, what else becomes true is written (`kompass.domain.effects`), and what it adds
   to sums.
4. Sums that differ are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from kompass.access.audiences import key_of
from kompass.audit.actors import actor
from kompass.audit.causes import Cause, Source
from kompass.business import totals
from kompass.business.acting import who_acts
from kompass.business.lookups import NOTHING, Lookups, Named, Register, bare, members
from kompass.business.numbers import Numbers
from kompass.business.server_made import KeyedRevision, raise_refusals, server_made
from kompass.business.settling import USES, lacking
from kompass.domain import derivations, effects, sums
from kompass.domain.changes import Body, Facts, NoFacts
from kompass.domain.corrections import REASON
from kompass.domain.effects import SYSTEM, Effect
from kompass.domain.money import json_number
from kompass.domain.overlay import Overlay
from kompass.domain.series import SeriesTable
from kompass.domain.settings import BusinessSettings
from kompass.domain.stamps import timestamp
from replication.protocol import jsontext
from replication.protocol.attachments import parse_attachments
from replication.protocol.documents import DocumentWrite
from replication.store.sqlite import ChangedDocument, Reading, Writing

_CHUNK = 500

MayRead = Callable[[Reading, str, Body], bool]
"""`(state, person, document)`: whether he may read it."""

SETTLED, DERIVED = "settled", "derived"
"""What the chain of writes says of revisions that give a document what it lacks, and of derived documents."""

_ALWAYS = frozenset({"visit"})
"""Effects of documents that come with their history from elsewhere, too: all others happened before they
came.
"""


class Terms(NamedTuple):
    """What the business at work depends on."""

    keyed_revision: KeyedRevision
    settings: BusinessSettings
    series: SeriesTable
    may_read: MayRead


class Step:
    """See the module."""

    def __init__(self, writing: Writing, terms: Terms, now: datetime) -> None:
        self._writing = writing
        self._terms = terms
        self._now = now
        self._register = Register(writing)
        self._parts = totals.Parts(writing)
        self._numbers = Numbers(writing, terms.series, now)
        self._facts = Overlay(Lookups(writing))
        self._children: dict[str, DocumentWrite] = {}
        self._person = actor().name
        self._sources: dict[str, Source] = {}
        """Sources whose parts must be looked at again because of others; like the next two, with those."""
        self._targets: dict[str, Source] = {}
        """Targets whose sums may differ."""
        self._final: dict[str, Source] = {}
        """Documents that others have made final by naming them."""
        self._costless: dict[str, Source] = {}
        """Time entries whose cost has gone."""

    def run(self, documents: Iterable[ChangedDocument]) -> None:
        latest = {document.id: document for document in documents}
        live: list[tuple[ChangedDocument, Body]] = []
        risen: list[tuple[ChangedDocument, Body]] = []
        for document in latest.values():
            body: Body | None = None
            if document.seq and not document.deleted:
                body = members(jsontext.decode_request(document.text))
            before, now = self._register.put(document.num, document.id, body, new=document.old_seq == 0)
            self._depending(before, now, self._source(document))
            if body is None:
                self._ended(document, before)
            else:
                live.append((document, body))
                if before is NOTHING:
                    risen.append((document, body))
        self._register.flush()
        if who_acts() is None:
            for document, doc in live:
                if document.old_seq == 0:
                    self._has_happened(document.id, doc)
        settled = [
            one
            for one in live
            if not self._settle(one[0].id, one[1], self._before(*one), self._source(one[0]))
        ]
        for docid in self._final.keys() - latest.keys():
            used = self._facts.document(docid)
            if used is not None:
                self._settle(docid, used, None, self._final[docid])
        self._write(self._children.values())
        self._facts = Overlay(Lookups(self._writing))
        for document, doc in settled:
            self._follow(document, doc)
        for document, doc in risen:
            self._name_again(document, doc)
        for docid, source in self._costless.items():
            entry = self._facts.document(docid)
            if entry is not None and entry.get("type") == "time_entry":
                self._cost_of(docid, entry, source)
        others = self._sources.keys() - self._children.keys()
        for docid, num in totals.numbers_of(self._writing, others).items():
            targets = self._parts.put(num, self._facts.document(docid), self._facts)
            self._targets |= dict.fromkeys(targets, self._sources[docid])
        self._sum_up()

    def pass_time(self, docids: Iterable[str]) -> int:
        """Writes what time has made true of these documents. Returns of how many."""
        count = 0
        for docid in docids:
            body = self._facts.document(docid)
            effect = None if body is None else effects.by_time(body, self._now)
            if effect is not None:
                winner = self._writing.winner(docid)
                assert winner is not None
                self._happen(effect, Source(docid, winner.rev, self._person))
                count += 1
        return count

    def put_right(self, documents: Iterable[tuple[str, Body]]) -> int:
        """Gives live documents what they lack in them or beside them. Returns how many documents it wrote."""
        count = 0
        for docid, body in documents:
            count += self._settle(docid, body, None, None)
            if body.get("type") == "time_entry" and docid not in self._children:
                count += self._cost_of(docid, body, None)
            if len(self._children) >= _CHUNK:
                self._write(self._children.values())
                self._children = {}
        self._write(self._children.values())
        return count

    # -- a document itself ---------------------------------------------------------------------

    def _before(self, document: ChangedDocument, body: Body) -> Body | None:
        """The version that was corrected."""
        if body.get(REASON) is None:
            return None
        for one in reversed(document.written):
            if one.rev == document.rev and one.parent_body:
                text = self._writing.body(one.parent_body)
                return None if text is None else members(jsontext.decode_request(text))
        return None

    def _source(self, document: ChangedDocument) -> Source:
        return Source(document.id, document.rev, self._person)

    def _settle(self, docid: str, body: Body, before: Body | None, source: Source | None) -> bool:
        """Whether the document lacks something, which it gets because of `source`."""
        found = lacking(body, before, self._facts, self._numbers, who_acts())
        if not found:
            return False
        child = self._next(docid, found)
        if child is None:
            return False
        child.note = Cause(SETTLED, source=source)
        self._children[docid] = child
        return True

    def _next(self, docid: str, changes: Mapping[str, Any]) -> DocumentWrite | None:
        """A child of the winner that says this instead. None if it says so already."""
        winner = self._writing.winner(docid)
        assert winner is not None
        stored: dict[str, Any] = jsontext.decode(winner.text)  # exact: what isn't changed stays as it is
        attached = stored.get("_attachments")
        body = {name: value for name, value in stored.items() if name[:1] != "_"}
        before = dict(body)
        for name, value in changes.items():
            if value is derivations.REMOVED:
                body.pop(name, None)
            else:
                body[name] = value
        if body == before:
            return None
        write = server_made(self._writing, docid, jsontext.encode(body), self._terms.keyed_revision)
        assert write is not None
        if attached:
            write.attachments = parse_attachments(attached)
        return write

    def _ended(self, document: ChangedDocument, before: Named) -> None:
        self._numbers.end(document.id, "purged" if document.seq == 0 else "deleted")
        source = self._source(document)
        self._targets |= dict.fromkeys(self._parts.put(document.num, None, self._facts), source)
        if before.type in sums.TARGETS:
            self._end(sums.total_id(before.type, document.id), source)
        elif before.type == "time_entry":
            self._end(derivations.cost_id(document.id), source)
        elif before.type == "time_entry_cost":
            for entry in before.targets(("timeEntryId",)):
                if derivations.cost_id(entry) == document.id:
                    self._costless[entry] = source
        for docid, changes in list(effects.forgotten(before.type, document.id, self._facts, self._now)):
            self._write_one(self._next(docid, changes), "forgotten", source)

    def _name_again(self, document: ChangedDocument, body: Body) -> None:
        """Of a document that has come to life. What is new and comes from elsewhere is named there, and what
        the server makes by what it follows from.
        """
        if document.old_seq == 0 and (who_acts() is None or body.get("createdBy") == SYSTEM):
            return
        for named_by in effects.named_again({**body, "_id": document.id}, self._facts, self._now):
            docid = str(named_by["_id"])
            stored = self._facts.document(docid)
            assert stored is not None
            write = self._next(docid, differing(named_by, stored))
            if self._write_one(write, "named_again", self._source(document)):
                self._facts.note(docid, named_by)

    def _end(self, docid: str, source: Source) -> None:
        write = server_made(self._writing, docid, b"{}", self._terms.keyed_revision, deleted=True)
        self._write_one(write, DERIVED, source)

    # -- what else follows ---------------------------------------------------------------------

    def _depending(self, before: Named, now: Named, source: Source) -> None:
        for named in (before, now):
            fields = sums.SOURCE_OF.get(named.type, ())
            if fields:
                self._sources |= dict.fromkeys(named.targets(fields), source)
        for field, target in now.refs:
            if (now.type, field) in USES:
                self._final[target] = source

    def _follow(self, document: ChangedDocument, body: Body) -> None:
        doctype = body.get("type")
        source = self._source(document)
        if doctype in effects.WITH_EFFECTS:
            self._take_effect(document.id, body, source)
        if doctype == "time_entry":
            self._cost_of(document.id, body, source)
        if doctype in sums.SOURCES:
            self._sources.pop(document.id, None)
            targets = self._parts.put(document.num, body, self._facts, new=document.old_seq == 0)
            self._targets |= dict.fromkeys(targets, source)
        if doctype in sums.TARGETS:
            self._targets[document.id] = source

    def _has_happened(self, docid: str, body: Body) -> None:
        """A document that comes from elsewhere, with its history, has had its effects there."""
        # Nobody is told of possible duplicates now, and among thousands looking for them is dear.
        facts: Facts = NoFacts() if body.get("type") == "customer" else self._facts
        for effect in effects.effects(body, {}, facts, self._terms.settings, self._now):
            if effect.name not in _ALWAYS:
                self._record(docid, effect)

    def _take_effect(self, docid: str, body: Body, source: Source) -> None:
        rows: Any = self._writing.connection.execute(
            "SELECT name, state FROM business_effects WHERE doc = ?", (docid,)
        )
        for effect in effects.effects(body, dict(rows), self._facts, self._terms.settings, self._now):
            self._happen(effect, source)
            self._record(docid, effect)

    def _record(self, docid: str, effect: Effect) -> None:
        self._writing.connection.execute(
            "INSERT OR REPLACE INTO business_effects VALUES (?, ?, ?)", (docid, effect.name, effect.state)
        )

    def _happen(self, effect: Effect, source: Source) -> None:
        for body in effect.bodies:
            docid = str(body["_id"])
            if effect.for_reader_of is not None:
                about = self._facts.document(effect.for_reader_of)
                person = key_of(body.get("recipientId"))
                if about is None or person is None or not self._terms.may_read(self._writing, person, about):
                    continue
            stored = self._facts.document(docid)
            if stored is not None:
                write = self._next(docid, differing(body, stored))
            elif self._writing.revisions(docid) is None:
                write = self._first(body)
            else:
                write = None  # somebody has deleted it: it doesn't come back
            if self._write_one(write, effect.name, source):
                self._facts.note(docid, body)

    def _first(self, body: Body) -> DocumentWrite:
        text = jsontext.encode({name: value for name, value in body.items() if name[:1] != "_"})
        write = server_made(self._writing, str(body["_id"]), text, self._terms.keyed_revision)
        assert write is not None
        return write

    def _cost_of(self, docid: str, entry: Body, source: Source | None) -> bool:
        """A time entry has its cost beside it, at the rate of whoever worked when it came. Returns whether
        that had to be written.
        """
        cost_id = derivations.cost_id(docid)
        cost = self._facts.document(cost_id)
        if cost is not None:
            changes = derivations.computed(cost, self._facts)
            return self._write_one(self._next(cost_id, changes) if changes else None, DERIVED, source)
        rate = self._rate_before(cost_id)
        if rate is None:
            rate = derivations.rate_of(self._facts.document(f"user-{entry.get('userId')}"))
        at = timestamp(self._now)
        made: dict[str, Any] = {
            "_id": cost_id,
            "type": "time_entry_cost",
            "timeEntryId": docid,
            "hourlyRateEur": json_number(rate),
            "createdBy": SYSTEM,
            "createdAt": at,
            "modifiedBy": SYSTEM,
            "modifiedAt": at,
            "version": 1,
        }
        made |= derivations.computed(made, self._facts)
        made = {name: value for name, value in made.items() if value is not derivations.REMOVED}
        self._write_one(self._first(made), DERIVED, source)
        self._facts.note(cost_id, made)
        return True

    def _rate_before(self, cost_id: str) -> Decimal | None:
        """The rate of an entry that was deleted and is back, as far as it is still stored."""
        state = self._writing.revisions(cost_id)
        if state is None:
            return None
        path = state.tree.path(state.winner)
        if len(path.ids) < 2:
            return None
        stored = self._writing.revision(cost_id, (path.start - 1, path.ids[1]))
        return None if stored is None else derivations.rate_of(bare(stored))

    def _sum_up(self) -> None:
        writes = []
        for target, source in sorted(self._targets.items()):
            body = self._facts.document(target)
            if body is not None and body.get("type") in sums.TARGETS:
                write = written_total(self._writing, body, self._parts, self._terms.keyed_revision)
                if write is not None:
                    write.note = Cause(DERIVED, source=source)
                    writes.append(write)
        self._write(writes)

    def _write_one(self, write: DocumentWrite | None, origin: str, source: Source | None) -> bool:
        """Writes it, if it is one, because of `source`. Returns whether it was one."""
        if write is None:
            return False
        write.note = Cause(origin, source=source)
        self._write([write])
        return True

    def _write(self, writes: Iterable[DocumentWrite]) -> None:
        writes = list(writes)
        if writes:
            raise_refusals(self._writing.write(writes, replicated=True))


def written_total(
    reading: Reading, target: Body, parts: totals.Parts, keyed_revision: KeyedRevision
) -> DocumentWrite | None:
    """A target's document with its sums; None if it is as it should be."""
    docid = sums.total_id(str(target["type"]), str(target["_id"]))
    winner = reading.winner(docid)
    stored = None if winner is None or winner.deleted else bare(winner)
    wanted = sums.total(target, parts.sums(str(target["_id"])), stored)
    assert wanted is not None
    if stored is not None and stored == wanted:
        return None
    text = jsontext.encode({name: value for name, value in wanted.items() if name != "_id"})
    write = server_made(reading, docid, text, keyed_revision)
    assert write is not None
    write.note = Cause(DERIVED)
    return write


def differing(body: Body, stored: Body) -> dict[str, Any]:
    """The members of `body` that `stored` hasn't got or has otherwise."""
    return {
        name: value
        for name, value in body.items()
        if name[:1] != "_" and (name not in stored or stored[name] != value)
    }
