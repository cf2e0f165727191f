"""Revisions that the server makes, in the transaction of what they follow from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path, Rev
from replication.store.sqlite import Reading

KeyedRevision = Callable[[str, Rev | None, bytes], str]
"""`(id, parent, body)` -> the hash of a revision's id. It has a key, so nobody can confirm a body by it."""


def server_made(
    reading: Reading,
    docid: str,
    body: bytes,
    keyed_revision: KeyedRevision,
    *,
    deleted: bool = False,
) -> DocumentWrite | None:
    """A child of the winner with an id that nobody can guess. None for the end of what isn't there."""
    state = reading.revisions(docid)
    if state is None or (deleted and state.deleted):
        if deleted:
            return None
        if state is None:
            return DocumentWrite(docid, False, body, path=Path(1, [keyed_revision(docid, None, body)]))
    above = state.tree.path(state.winner)
    name = keyed_revision(docid, state.winner, body + (b"-" if deleted else b""))
    return DocumentWrite(docid, deleted, body, path=Path(above.start + 1, [name, *above.ids]))


def raise_refusals(outcomes: Sequence[str | ProtocolError]) -> None:
    """What the server writes itself is written, or the whole transaction fails."""
    for outcome in outcomes:
        if isinstance(outcome, ProtocolError):
            raise outcome
