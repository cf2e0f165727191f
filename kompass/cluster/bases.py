"""Saving files that new copies begin with, so that the journal needn't go back to its beginning."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from kompass.cluster.catalogue import BASES_KEPT, Base, PostgresCatalogue
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import SharedStore, SqliteDatabase

LOOK_SECONDS = 60.0
ENTRIES = 5_000
"""How many make it worth while to save a small file."""
ENTRIES_PER_MB = 200
"""And a large one, for each million bytes of it. Playing as many takes as long as fetching the file; and
however large it is, not much more is written for files than for the entries themselves.
"""

log = structlog.get_logger(__name__)


class Bases:
    """The leader's work, for all databases of a store."""

    def __init__(
        self,
        store: SharedStore,
        catalogue: PostgresCatalogue,
        *,
        entries: int = ENTRIES,
        entries_per_mb: float = ENTRIES_PER_MB,
    ) -> None:
        """`entries`, and `entries_per_mb` times the millions of bytes of the latest file, if that is more:
        how many make it worth while to save another one.
        """
        self._store = store
        self._catalogue = catalogue
        self._entries = entries
        self._entries_per_mb = entries_per_mb

    async def look(self) -> None:
        """Saves the files that it is worth while to save."""
        latest = await asyncio.to_thread(self._catalogue.latest_bases)
        entered = await asyncio.to_thread(self._catalogue.databases)
        for name, one in entered.items():
            before = latest.get(name, Base(0, 0))
            if one.head - before.num >= max(self._entries, self._entries_per_mb * before.size / 1e6):
                with suppress(ProtocolError):  # deleted, or not here yet
                    await self.save(name)

    async def save(self, name: str, *, keep: int = BASES_KEPT) -> int:
        """Saves a file now, and returns the number of the last entry in it. With `keep` 1 nothing that was
        written before is left in the journal. Raises `ProtocolError`.
        """
        database = self._store.get(name)
        assert isinstance(database, SqliteDatabase)
        await database.fresh()
        file = self._store.directory / f"{name.replace('/', '%2F')}.draft"
        await asyncio.to_thread(file.unlink, missing_ok=True)
        try:
            position = await database.save(file)
            await asyncio.to_thread(self._catalogue.add_base, name, position, file, keep=keep)
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)
        log.info("saved a file that copies begin with", database=name, entry=position)
        return position
