"""What an erasure means for imports: nothing that is kept here names anybody any more.

Which rows speak of whom nobody can say, so all texts go, of files and of what became of their rows. Numbers,
ids and who imported what stay: documents that were made can still be taken back, those that were changed
can't. What wasn't executed yet has to be uploaded again.
"""

from __future__ import annotations

import asyncio
from typing import Any

import apsw
import orjson

from kompass.imports.states import NotNowError, Outcome, State
from kompass.imports.store import ImportStore
from kompass.privacy.consumers import Consumers
from kompass.privacy.tickets import Kind
from kompass.sqlfile import fetch
from kompass.sync.gate.gate import Gate

CONSUMER = "imports"
_SAID = "what it said was removed: somebody was erased"
_GESAGT = "was dort stand, wurde entfernt: jemand wurde gelöscht"


async def erase(store: ImportStore, gate: Gate) -> None:
    """Works off what erasures have left to do. What is being imported is finished first: then it is asked
    again. Raises `ImportStoreError`.
    """
    consumers = Consumers(gate)
    if consumers.find(CONSUMER) is None:
        await consumers.enrol(CONSUMER)
    tickets = consumers.tickets(CONSUMER)
    worked_off = [one.num for one in tickets if one.kind is not Kind.ERASURE]  # nothing is for a purpose
    erasures = [one.num for one in tickets if one.kind is Kind.ERASURE]
    if erasures:
        is_blank = await asyncio.to_thread(_blank, store)
        worked_off += erasures if is_blank else []
    if worked_off:
        await consumers.confirm(CONSUMER, worked_off)


def _blank(store: ImportStore) -> bool:
    """Whether no text is left."""
    if store.rows("SELECT 1 FROM imports WHERE work <> '' LIMIT 1"):
        return False
    with store.writing() as connection:
        connection.execute("DELETE FROM sources")  # headings, among which a row may have been taken for one
    for docid, state in store.rows("SELECT id, state FROM imports"):
        if state in (State.ARRIVING, State.READ, State.CHECKED):
            try:
                store.forget(docid)
            except NotNowError:
                return False
            continue
        with store.writing() as connection:
            if fetch(connection, "SELECT 1 FROM imports WHERE id = ? AND work <> ''", (docid,)):
                return False
            _blank_one(connection, docid)
    return True


def _blank_one(connection: apsw.Connection, docid: str) -> None:
    for table in ("pieces", "chunks"):
        connection.execute(f"DELETE FROM {table} WHERE import = ?", (docid,))  # noqa: S608
    ((text, state, reason),) = fetch(
        connection, "SELECT told, state, reason FROM imports WHERE id = ?", (docid,)
    )
    told = orjson.loads(text)
    told |= {"values": {}, "sheets": [], "sheet": "", "findings": [], "notes": [], "said": {}}
    told["headings"] = [""] * len(told["headings"])
    if state == State.FAILED:
        state, reason = State.DONE.value, _SAID
    connection.execute(
        "UPDATE imports SET file = '', told = ?, state = ?, reason = ? WHERE id = ?",
        (orjson.dumps(told).decode(), state, reason, docid),
    )
    found = fetch(connection, "SELECT line, kind, told FROM outcomes WHERE import = ?", (docid,))
    for line, kind, said in found:
        blanked = _blanked(Outcome(line, kind, orjson.loads(said)))
        connection.execute(
            "UPDATE outcomes SET told = ? WHERE import = ? AND line = ?",
            (orjson.dumps(blanked).decode(), docid, line),
        )


def _blanked(outcome: Outcome) -> dict[str, Any]:
    told = dict(outcome.told)
    for name in ("problems", "notes"):
        told[name] = [
            {**one, "column": "", "value": "", "reason": _SAID, "grund": _GESAGT}
            for one in told.get(name, ())
        ]
    told["docs"] = [{**one, "before": None} if "before" in one else one for one in told.get("docs", ())]
    return told
