"""What was erased goes from the journal, too: from its entries and from the files that copies begin with."""

from __future__ import annotations

import asyncio

import structlog

from kompass.cluster.bases import Bases
from kompass.cluster.catalogue import PostgresCatalogue
from kompass.privacy import erasures, pending
from kompass.sync.opening import DATABASE
from replication.store.sqlite import SharedStore, SqliteDatabase

_DONE = "forgotten"
"""The text that says up to which erasure it was done."""

log = structlog.get_logger(__name__)


async def forget(store: SharedStore, catalogue: PostgresCatalogue, bases: Bases) -> bool:
    """Saves new files of all databases if somebody was erased since the last time, and drops everything from
    before them. Waits until the erasure's own files are rewritten. True if there was something to do.

    A process that lacks an entry then fetches the new file. Raises `ProtocolError`, `OSError`.
    """
    database = store.get(DATABASE)
    assert isinstance(database, SqliteDatabase)
    await database.fresh()
    with database.reading() as reading:
        latest, unfinished = erasures.next_erasure(reading) - 1, pending.listed(reading)
    text = catalogue.texts[_DONE]
    done = await asyncio.to_thread(text.read)
    if unfinished or latest <= (int(done) if done else 0):
        return False
    for name in await store.names():
        await bases.save(name, keep=1)
    await asyncio.to_thread(catalogue.rewrite)
    await asyncio.to_thread(text.replace, str(latest).encode("ascii"))
    log.info("what was erased is gone from the journal", erasure=latest)
    return True
