"""Changing one stored document, again if somebody else was quicker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from replication.protocol import errors, jsontext
from replication.protocol.documents import parse_document
from replication.store.interface import Database

_ATTEMPTS = 20

Members = dict[str, Any]


async def change_document(
    database: Database, docid: str, change: Callable[[Members | None], Members | None]
) -> tuple[Members | None, Members | None]:
    """Stores what `change` makes of the document's members; returns them before and after.

    `change` gets None while there is no document, and may be called again; it returns None to leave
    things as they are (then before and after are the same). Raises what the store raises.
    """
    for _ in range(_ATTEMPTS):
        winner = await database.winner(docid)
        before: Members | None = None
        if winner is not None and not winner.deleted:
            before = jsontext.decode(winner.text)
        after = change(dict(before) if before is not None else None)
        if after is None or after == before:
            return before, before
        (outcome,) = await database.write([parse_document(after, docid=docid)])
        if isinstance(outcome, str):
            return before, {**after, "_id": docid, "_rev": outcome}
        if outcome.status != 409:
            raise outcome
    raise errors.unavailable(f"{docid} is being changed by others all the time: try again.")
