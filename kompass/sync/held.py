"""How many documents a device holds, by what the server knows.

A device that replicates writes a checkpoint here: up to which place of its user's feed it has read. What its
user sees of before that place, and has not changed since, it has as it is now.
"""

from __future__ import annotations

from kompass.sync.index import FeedIndex
from kompass.sync.personal.local import LocalNotes
from kompass.sync.positions import PersonalEpochs
from replication.store.sqlite import SqliteDatabase


def documents_held(database: SqliteDatabase, index: FeedIndex, user: str, device: str) -> int | None:
    """Live documents that a device has up to date; None if it has never said how far it has read."""
    with database.reading() as reading:
        seq = LocalNotes(database).read_up_to(reading, user, device)
        if seq is None:
            return None
        since = PersonalEpochs.of(database.epochs).resolve(seq, index.latest(reading, user))
        return index.held(reading, user, since)
