"""Changing one stored document, again if somebody else was quicker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kompass.access.services import AUTHOR
from kompass.domain.stamps import timestamp
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


def next_version(members: Members) -> Members:
    """The next version of a document, by the server."""
    version = members.get("version")
    return {
        **members,
        "modifiedAt": timestamp(datetime.now(UTC)),
        "modifiedBy": AUTHOR,
        "version": version + 1 if type(version) is int else 1,
    }
