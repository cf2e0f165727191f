"""Undoes an import: what it made goes, what it changed says again what it said before. What somebody has
changed since stays, and so does what the gate doesn't let go; both are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from kompass.accounting.problems import Problem
from kompass.imports.states import Import, Kind, Outcome
from kompass.imports.store import CHUNK, ImportStore
from kompass.leases import Lease
from kompass.resources import writes
from kompass.resources.catalogue import RESOURCES, plural
from kompass.sync.gate.gate import Gate
from kompass.sync.personal import PersonalDatabase
from kompass.sync.refusals import RefusedError
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.values import Document

_CHANGED = Problem(
    "undo.changed",
    "was changed since, and stays",
    "wurde seitdem geändert und bleibt",
)
_GONE = Problem(
    "undo.gone",
    "can't be put back: what it said before was removed when somebody was erased",
    "bleibt: was vorher dort stand, wurde entfernt, als jemand gelöscht wurde",
)
_UNSEEN = Problem(
    "undo.unseen",
    "is out of your sight, and stays",
    "ist für Sie nicht mehr sichtbar und bleibt",
)


@dataclass(slots=True)
class _Row:
    outcome: Outcome
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Step:
    """One document that is written."""

    row: _Row
    doc: dict[str, Any]
    write: DocumentWrite


async def undo(
    one: Import,
    store: ImportStore,
    view: PersonalDatabase,
    gate: Callable[[], Gate],
    lease: Lease,
    ready: Callable[[], Awaitable[None]],
) -> None:
    """`ready` as of `Run`. Raises `LeaseLostError`, and `ProtocolError` if its person may not any more."""
    done = after = 0
    # Whether planned rows were written their documents tell; what couldn't be undone is tried again.
    kinds = (Kind.PLANNED, Kind.CREATED, Kind.UPDATED, Kind.PARTLY, Kind.KEPT)
    while True:
        found = await asyncio.to_thread(store.outcomes, one.id, kinds=kinds, after=after, limit=CHUNK)
        if not found:
            return
        await ready()
        rows = [_Row(outcome) for outcome in found]
        await _companions_first(one, rows, view, gate())
        outcomes = [_outcome(row) for row in rows]
        after, done = found[-1].line, done + len(found)
        await asyncio.to_thread(store.note, one.id, lease, outcomes, gate().now().timestamp(), done=done)


async def _companions_first(one: Import, rows: Sequence[_Row], view: PersonalDatabase, gate: Gate) -> None:
    """Companions before what they belong to."""
    for is_companion in (True, False):
        docs = [
            (row, doc)
            for row in rows
            for doc in row.outcome.told["docs"]
            if (doc["type"] != one.type) is is_companion
        ]
        there = await view.winners([doc["id"] for _, doc in docs])
        # Companions go with what they belong to, whoever sees them.
        hidden = await gate.database.winners(
            [doc["id"] for _, doc in docs if doc["id"] not in there and not is_companion]
        )
        steps: list[_Step] = []
        for row, doc in docs:
            if doc["id"] in hidden and not hidden[doc["id"]].deleted:
                row.problems.append(_UNSEEN)
                continue
            write = await _write(one, row, doc, there.get(doc["id"]), view, gate)
            if write is not None:
                steps.append(_Step(row, doc, write))
        results = await view.write([step.write for step in steps]) if steps else []
        for step, result in zip(steps, results, strict=True):
            if isinstance(result, ProtocolError):
                step.row.problems.append(_refused(result))


async def _write(
    one: Import, row: _Row, doc: dict[str, Any], stored: Document | None, view: PersonalDatabase, gate: Gate
) -> DocumentWrite | None:
    """What undoes it; None if there is nothing to undo, or if it has to stay."""
    if stored is None:
        if "before" in doc:
            row.problems.append(_UNSEEN)
        return None
    if stored.deleted:
        return None
    if "before" in doc and doc["before"] is None:
        row.problems.append(_GONE)
        return None
    body = orjson.loads(stored.text)
    before: dict[str, list[Any]] | None = doc.get("before")
    merged = {name: value for name, value in body.items() if name[:1] != "_"}
    for name, was in (before or {}).items():
        if was:
            merged[name] = was[0]
        else:
            merged.pop(name, None)
    if before is not None and all(body.get(name) == merged.get(name) for name in before):
        return None
    if [body.get("version"), body.get("modifiedAt")] != doc["mark"]:
        row.problems.append(_CHANGED)
        return None
    if before is None:
        return writes.removed(stored)
    attached = await view.attachments(stored.id, parse_rev(stored.rev)) if stored.has_attachments else {}
    resource = RESOURCES[plural(doc["type"])]
    return writes.replaced(resource, stored, attached, merged, one.worker, gate.now())


def _refused(error: ProtocolError) -> Problem:
    if isinstance(error, RefusedError):
        return Problem(error.refusal.rule, error.refusal.reason, error.refusal.grund)
    return _CHANGED if error.status == 409 else Problem(error.error, error.reason, error.reason)


def _outcome(row: _Row) -> Outcome:
    told = {name: value for name, value in row.outcome.told.items() if name != "problems"}
    if not row.problems:
        return Outcome(row.outcome.line, Kind.UNDONE, told)
    told["problems"] = [asdict(one.at(row.outcome.line)) for one in row.problems]
    return Outcome(row.outcome.line, Kind.KEPT, told)
