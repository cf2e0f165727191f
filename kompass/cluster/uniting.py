"""What CouchDB has of a database that was restored, and the backup hasn't, comes in.

Before a device was answered, CouchDB had what it sent; so where CouchDB is left and the journal isn't,
nothing that was acknowledged is lost. It comes in by the door where strangers write: the rules of what is
final hold, and the chain of writes says how each document came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kompass.cluster.member import Member
from replication.store.interface import Store

_ROUNDS = 3
"""What comes in makes more, which goes out: sums, cards, numbers."""


class United(NamedTuple):
    taken: int
    """Revisions that were let in."""
    reasons: Mapping[str, str]
    """Why a document that CouchDB has for itself was refused, for the latest ones, by its id."""


async def unite(store: Store, name: str, member: Member, tell: Callable[[str, int, int], None]) -> United:
    """Brings a database that nobody else has open and CouchDB's to the same state, as far as it may be.

    Raises `ProtocolError` and `ReplicationError`.
    """
    keeper = member.keeper(name, store)
    assert keeper is not None
    for number in range(_ROUNDS):
        tell(f"{name} and CouchDB's", number, _ROUNDS)
        await keeper.look()
    tell(f"{name} and CouchDB's", _ROUNDS, _ROUNDS)
    strange = keeper.strange
    return United(strange.taken, {one.id: one.reason for one in strange.refused})
