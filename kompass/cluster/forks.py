"""A journal that has lost its end: whoever read what is gone has to learn of it.

PostgreSQL may come back without the latest entries: after a fail-over to a standby that lagged.
Processes whose copies are ahead notice (`JournalForkedError`), say so in a text that all have, and begin with
new copies. The leader then begins the journal anew, as a restored backup does: sequences of before say
nothing, and checkpoints are gone, so that every device compares what it has with the server and brings what
is lost.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import apsw
import structlog

from kompass.cluster.catalogue import PostgresCatalogue
from kompass.cluster.connections import HELD_SECONDS
from replication.protocol.sequences import new_epoch_name
from replication.store.sqlite import SharedStore, SqliteDatabase, copies
from replication.store.sqlite.restored import drop_checkpoints

LOOK_SECONDS = 2.0

log = structlog.get_logger(__name__)


async def mend(store: SharedStore, catalogue: PostgresCatalogue) -> list[str]:
    """Begins the journals anew that somebody has found to have lost entries. Their databases' names.

    All processes have to begin anew then, this one too. Raises `ProtocolError`, `OSError`.
    """
    forked = await asyncio.to_thread(catalogue.forked)
    if not forked:
        return []
    entered = await asyncio.to_thread(catalogue.databases)
    done = []
    for name, lineage in forked:
        if name in entered and entered[name].lineage == lineage and name not in done:
            await _begin_anew(store, catalogue, name, lineage)
            done.append(name)
            log.error("the journal had lost entries that were acknowledged: it begins anew", database=name)
    return done


async def _begin_anew(store: SharedStore, catalogue: PostgresCatalogue, name: str, lineage: str) -> None:
    """Nobody writes meanwhile."""
    database = store.get(name)
    assert isinstance(database, SqliteDatabase)
    loop = asyncio.get_running_loop()
    file = store.directory / f"{name.replace('/', '%2F')}.anew.draft"
    mark = secrets.token_hex(8)

    async def make() -> int:
        await database.fresh()
        position = await database.save(file)
        await asyncio.to_thread(_forget_numbers, file, mark)
        return position

    def made() -> int:
        return asyncio.run_coroutine_threadsafe(make(), loop).result(HELD_SECONDS)

    await asyncio.to_thread(file.unlink, missing_ok=True)
    try:
        await asyncio.to_thread(catalogue.begin_anew, name, lineage, mark, made, file)
    finally:
        await asyncio.to_thread(file.unlink, missing_ok=True)


def _forget_numbers(file: Path, mark: str) -> None:
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        with connection:
            # From 0: since which number they stand for something else, nobody knows.
            connection.execute("INSERT INTO epochs VALUES (0, ?)", (new_epoch_name(),))
            drop_checkpoints(connection, "local")
            copies.set_mark(connection, mark)
    finally:
        connection.close()
