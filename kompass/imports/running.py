"""Checks or writes the rows of an import, a chunk at a time, as the person who asked for it.

Everything passes the gate. Ids of new documents follow from import and row, and what a row becomes is noted
before and after it is written: a process that dies loses nothing, and whoever goes on writes nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from kompass.access.companions import BASE_FIELD, companion_id
from kompass.access.principals import Principal, known_roles
from kompass.accounting.problems import Problem
from kompass.domain.changes import Body
from kompass.imports import similar
from kompass.imports.drafts import Draft, Plan, check_shape, drafts, has, heading_of, members_of
from kompass.imports.lookups import Found, Lookups
from kompass.imports.rows import Part, Row, docid_of, is_missing, noted_doc, united, written_doc
from kompass.imports.similar import FORM, Known
from kompass.imports.states import Import, Kind, Outcome, Work
from kompass.imports.store import ImportStore
from kompass.leases import Lease
from kompass.resources import writes
from kompass.resources.catalogue import RESOURCES, Resource, plural
from kompass.sync.gate.gate import Gate
from kompass.sync.personal import PersonalDatabase
from kompass.sync.refusals import RefusedError
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.values import Document

SKIP, UPDATE, ASK, CREATE = "skip", "update", "ask", "create"
"""What becomes of duplicates; the last only as a decision about one."""

_ABSENT: list[Any] = []


def principal_of(one: Import) -> Principal:
    """With whose rights the work is done: no more than his login had."""
    return Principal(one.worker, known_roles(one.roles))


class Run:
    """One piece of work on an import."""

    def __init__(
        self,
        one: Import,
        plan: Plan,
        store: ImportStore,
        view: PersonalDatabase,
        gate: Callable[[], Gate],
        lease: Lease,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        """`ready` is asked before each chunk: whether its person still may."""
        self._one = one
        self._plan = plan
        self._store = store
        self._view = view
        self._gate = gate
        self._lease = lease
        self._ready = ready
        self._resource = RESOURCES[plural(one.type)]
        self._lookups = Lookups(view, gate, one.type)
        self._file = Known(one.type)
        self._own: dict[str, int] = {}
        self._updated: dict[str, int] = {}
        """Id of a stored document -> the line that updates it."""
        self._duplicates = one.told.get("duplicates", SKIP)
        self._decisions: Mapping[int, str] = {}

    # -- rows ----------------------------------------------------------------------------------

    async def rows(self) -> None:
        """Checks or writes them. Raises `LeaseLostError`, and `ProtocolError` if its person may no more."""
        await self._lookups.prepare(self._plan)
        self._decisions = await asyncio.to_thread(self._store.decisions, self._one.id)
        num = done = 0
        while chunk := await asyncio.to_thread(self._store.chunk, self._one.id, num):
            await self._ready()
            await self._chunk(chunk)
            num += 1
            done += len(chunk)
            await asyncio.to_thread(self._note, (), done)

    def _note(self, outcomes: Sequence[Outcome], done: int | None = None) -> None:
        self._store.note(self._one.id, self._lease, outcomes, self._now(), done=done)

    def _now(self) -> float:
        return self._gate().now().timestamp()

    async def _chunk(self, chunk: Sequence[tuple[int, Sequence[Any]]]) -> None:
        settled: dict[int, Outcome] = {}
        if self._one.work is Work.WRITE:  # a dry run that goes on knows nothing of the rows before
            settled = await asyncio.to_thread(
                self._store.outcomes_between, self._one.id, chunk[0][0], chunk[-1][0]
            )
        rows = [Row(draft) for draft in await asyncio.to_thread(lambda: list(drafts(self._plan, chunk)))]
        for row in rows:
            row.docid = docid_of(self._one, row.draft.line)
            self._own[row.docid] = row.draft.line
        for line, before in settled.items():
            duplicate = before.told.get("duplicate")
            is_made = any(doc["id"] in self._own for doc in before.told["docs"])
            if before.kind in _UPDATES and duplicate is not None and not is_made:
                self._updated.setdefault(duplicate["id"], line)
        rows = [
            row
            for row in rows
            if row.draft.line not in settled or settled[row.draft.line].kind == Kind.PLANNED
        ]
        if not rows:
            return
        await self._lookups.resolve(self._plan, [row.draft for row in rows])
        await asyncio.to_thread(self._shape, rows)
        await self._decide(rows, settled)
        going = [row for row in rows if row.write is not None]
        if self._one.work is Work.CHECK:
            await self._rehearse([row for row in rows if row.write is not None or row.kind is Kind.UNCHANGED])
        else:
            planned = [Outcome(row.draft.line, Kind.PLANNED, {"docs": row.docs}) for row in going]
            if planned:
                await asyncio.to_thread(self._note, planned)
            await self._store_rows(going)
            await self._companions([row for row in rows if row.kind in _WRITTEN], settled)
        await asyncio.to_thread(self._note, [row.outcome() for row in rows])

    def _shape(self, rows: Sequence[Row]) -> None:
        """Makes documents of rows, and says what is wrong with them. In a thread of its own."""
        plan = self._plan
        for row in rows:
            draft = row.draft
            row.members = members_of(draft, plan.target, plan.target.type, new=True)
            if plan.target.type == "supplier":
                row.members.setdefault("accountManagerId", self._one.worker)
            if "owner" in plan.target.fields and "ADM" in self._one.roles:
                row.members.setdefault("owner", self._one.worker)
            if not any(one.rule.startswith("row.") for one in draft.problems):
                check_shape(draft, plan, plan.target.type, row.members)
                for companion in plan.target.companions:
                    if has(draft, plan.target, companion):
                        members = members_of(draft, plan.target, companion, new=True)
                        members[BASE_FIELD[companion]] = row.docid
                        check_shape(draft, plan, companion, members)
            if draft.problems:
                row.kind = Kind.WRONG

    async def _decide(self, rows: Sequence[Row], settled: Mapping[int, Outcome]) -> None:
        """What is to become of each row, with what is written for it."""
        # What a new document needs may be missing where a row only updates.
        looked = [row for row in rows if row.kind is None or self._may_update(row)]
        writing = self._one.work is Work.WRITE
        own = await self._view.winners([row.docid for row in looked]) if writing else {}
        pairs = [(row.draft, row.members) for row in looked if row.docid not in own]
        stored = await asyncio.to_thread(self._lookups.duplicates, pairs)
        readable = await self._readable({found.id for found in stored.values()})
        for row in looked:
            if row.docid in own:
                row.kind = Kind.CREATED
                noted = noted_doc(settled.get(row.draft.line), row.docid)
                row.docs = [
                    noted or written_doc(row.docid, self._one.type, orjson.loads(own[row.docid].text))
                ]
                self._file.add(str(row.draft.line), row.members, row.draft.said.get("customerNumber"))
                continue
            problems = [one for one in row.draft.problems if not is_missing(one)]
            if not problems:
                await self._decide_one(row, stored.get(row.draft.line), readable, settled)
            elif row.draft.line in stored and stored[row.draft.line].rule is not FORM:
                row.draft.problems = problems

    def _may_update(self, row: Row) -> bool:
        wanted = self._decisions.get(row.draft.line, self._duplicates)
        return wanted == UPDATE and not any(one.rule.startswith("row.") for one in row.draft.problems)

    async def _readable(self, docids: set[str]) -> dict[str, Document]:
        winners = await self._view.winners(sorted(docids)) if docids else {}
        return {docid: one for docid, one in winners.items() if not one.deleted}

    async def _decide_one(
        self, row: Row, found: Found | None, readable: Mapping[str, Document], settled: Mapping[int, Outcome]
    ) -> None:
        draft, number = row.draft, row.draft.said.get("customerNumber")
        decision = self._decisions.get(draft.line)
        twin = self._file.find(row.members, number)
        if twin is None and found is not None:
            earlier = self._own.get(found.id) or self._updated.get(found.id)
            twin = (str(earlier), found.rule) if earlier not in (None, draft.line) else None
        if twin is None and found is None:
            twin = self._file.find_but_for_form(row.members)
        rule = twin[1] if twin is not None else found.rule if found is not None else None
        if row.kind is None and (twin is None or rule is FORM):
            self._file.add(str(draft.line), row.members, number)
        if rule is FORM and decision not in (SKIP, UPDATE):
            if row.kind is None:
                self._decide_perhaps(row, decision, twin, found, readable)
            return
        if twin is not None and (row.kind is None or decision != CREATE):
            # What a new document needs and it lacks isn't needed here.
            draft.problems, row.kind = [], None
            line = int(twin[0])
            draft.notes.append(similar.told(twin[1], line=line).at(draft.line))
            row.duplicate = {"line": line, "rule": twin[1].name}
            self._leave(row, decision, ask=self._duplicates == ASK)
        elif found is not None:
            known = readable.get(found.id)
            row.duplicate = {"id": found.id if known is not None else None, "rule": found.rule.name}
            wanted = decision or self._duplicates
            if wanted == UPDATE and known is not None:
                draft.problems = []
                self._updated[found.id] = draft.line
                await self._update(row, known, settled.get(draft.line))
                return
            draft.notes.append(similar.told(found.rule).at(draft.line))
            if row.kind is None:
                self._leave(row, decision, ask=self._duplicates == ASK)
        if row.kind is None:
            self._create(row)

    def _decide_perhaps(
        self,
        row: Row,
        decision: str | None,
        twin: tuple[str, similar.Rule] | None,
        found: Found | None,
        readable: Mapping[str, Document],
    ) -> None:
        """Nothing is left out or changed for what is perhaps the same, unless a person says so."""
        line = int(twin[0]) if twin is not None else None
        row.draft.notes.append(similar.told(FORM, line=line).at(row.draft.line))
        if line is not None:
            row.duplicate = {"line": line, "rule": FORM.name}
        elif found is not None:
            row.duplicate = {"id": found.id if found.id in readable else None, "rule": FORM.name}
        if self._duplicates == ASK and decision is None:
            row.kind = Kind.UNDECIDED
        else:
            self._create(row)

    def _leave(self, row: Row, decision: str | None, *, ask: bool) -> None:
        """Of a duplicate that isn't an update."""
        if decision == CREATE:
            return
        row.kind = Kind.UNDECIDED if ask and decision is None else Kind.SKIPPED

    def _create(self, row: Row) -> None:
        if "customerNumber" in row.draft.said and self._one.type == "customer":
            heading = heading_of(self._plan, "customerNumber")
            row.draft.notes.append(_NUMBER.at(row.draft.line, heading, str(row.draft.said["customerNumber"])))
        sent = {**row.members, "_id": row.docid}
        now = self._gate().now()
        row.write = writes.created(self._resource, sent, self._one.worker, now)
        row.docs = [written_doc(row.docid, self._one.type, orjson.loads(row.write.body))]

    async def _update(self, row: Row, known: Document, before: Outcome | None) -> None:
        row.target = known
        patch = members_of(row.draft, self._plan.target, self._one.type, new=False)
        stored = orjson.loads(known.text)
        merged = united(stored, patch)
        row.docid = known.id
        written = await self._replaced(self._resource, known, merged)
        if written is None:
            row.kind = Kind.UNCHANGED
            if (noted := noted_doc(before, known.id)) is not None:
                # It was written before the process died that noted it.
                row.kind, row.docs = Kind.UPDATED, [noted]
            return
        row.kind = None
        row.write, changes = written
        row.docs = [
            {**written_doc(known.id, self._one.type, orjson.loads(row.write.body)), "before": changes}
        ]

    async def _replaced(
        self, resource: Resource, stored: Document, merged: Body
    ) -> tuple[DocumentWrite, dict[str, Any]] | None:
        """The write, and what each changed member said before; None if nothing changes."""
        before = orjson.loads(stored.text)
        changed = {
            name: [before[name]] if name in before else _ABSENT
            for name in {*merged, *before}
            if name[:1] != "_" and merged.get(name) != before.get(name)
        }
        if not changed:
            return None
        attached = (
            await self._view.attachments(stored.id, parse_rev(stored.rev)) if stored.has_attachments else {}
        )
        bare = {name: value for name, value in merged.items() if name[:1] != "_"}
        now = self._gate().now()
        return writes.replaced(resource, stored, attached, bare, self._one.worker, now), changed

    async def _rehearse(self, rows: Sequence[Row]) -> None:
        """With what belongs to them, which is judged as if they were stored."""
        going = [(row, row.write) for row in rows if row.write is not None]
        parts = await self._parts(rows, {})
        writes = [*(write for _, write in going), *(part.write for part in parts)]
        results = await self._view.rehearse(writes) if writes else []
        for (row, _), result in zip(going, results, strict=False):
            self._settle(row, result)
        for part, result in zip(parts, results[len(going) :], strict=True):
            if part.row.kind in _WRITTEN:
                self._settle_part(part, result)
        for row in rows:
            row.docs = []

    async def _store_rows(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        results = await self._view.write([row.write for row in rows if row.write is not None])
        for row, result in zip(rows, results, strict=True):
            self._settle(row, result)

    def _settle(self, row: Row, result: str | ProtocolError) -> None:
        if isinstance(result, ProtocolError):
            row.kind, row.docs = Kind.WRONG, []
            row.draft.problems.append(self._refusal(row.draft, result))
            return
        row.kind = Kind.CREATED if row.target is None else Kind.UPDATED

    def _refusal(self, draft: Draft, error: ProtocolError) -> Problem:
        if isinstance(error, RefusedError):
            refusal = error.refusal
            field = refusal.fields[0] if refusal.fields else ""
            column = heading_of(self._plan, field.partition("[")[0]) if field else ""
            return Problem(refusal.rule, refusal.reason, refusal.grund, draft.line, column)
        if error.status == 409:
            return Problem("changed", "was changed meanwhile", "wurde inzwischen geändert", draft.line)
        return Problem(error.error, error.reason, error.reason, draft.line)

    # -- companions ----------------------------------------------------------------------------

    async def _companions(self, rows: Sequence[Row], settled: Mapping[int, Outcome]) -> None:
        """What belongs to documents beside those of the rows, as the credit limit of a customer."""
        parts = await self._parts(rows, settled)
        if not parts:
            return
        planned = {part.row.draft.line: list(part.row.docs) for part in parts}
        for part in parts:
            planned[part.row.draft.line].append(part.doc)
        outcomes = [Outcome(line, Kind.PLANNED, {"docs": docs}) for line, docs in planned.items()]
        await asyncio.to_thread(self._note, outcomes)
        results = await self._view.write([part.write for part in parts])
        for part, result in zip(parts, results, strict=True):
            self._settle_part(part, result)

    async def _parts(self, rows: Sequence[Row], settled: Mapping[int, Outcome]) -> list[Part]:
        """What is to be written; what is there already goes to what its row has made."""
        parts: list[Part] = []
        for companion in self._plan.target.companions:
            some = [row for row in rows if has(row.draft, self._plan.target, companion)]
            resource = RESOURCES[plural(companion)]
            ids = {row.draft.line: companion_id(companion, row.docid) for row in some}
            there = await self._view.winners(sorted(ids.values())) if some else {}
            for row in some:
                docid = ids[row.draft.line]
                patch = members_of(row.draft, self._plan.target, companion, new=False)
                known = there.get(docid)
                if known is None or known.deleted:
                    sent = {**patch, BASE_FIELD[companion]: row.docid}
                    write = writes.created(resource, sent, self._one.worker, self._gate().now())
                    parts.append(Part(row, write, written_doc(docid, companion, orjson.loads(write.body))))
                    continue
                written = await self._replaced(resource, known, united(orjson.loads(known.text), patch))
                if written is not None:
                    doc = written_doc(docid, companion, orjson.loads(written[0].body))
                    parts.append(Part(row, written[0], {**doc, "before": written[1]}))
                elif (noted := noted_doc(settled.get(row.draft.line), docid)) is not None:
                    row.take(noted)
                elif row.kind is Kind.CREATED:
                    row.docs.append(written_doc(docid, companion, orjson.loads(known.text)))
        return parts

    def _settle_part(self, part: Part, result: str | ProtocolError) -> None:
        row = part.row
        if isinstance(result, ProtocolError):
            row.kind = Kind.PARTLY
            row.draft.problems.append(self._refusal(row.draft, result))
            return
        row.take(part.doc)


_UPDATES = frozenset({Kind.UPDATED, Kind.UNCHANGED, Kind.PARTLY})
_WRITTEN = _UPDATES | {Kind.CREATED}
_NUMBER = Problem(
    "note.number",
    "isn't taken over: the server gives numbers",
    "wird nicht übernommen: Nummern vergibt der Server",
)
