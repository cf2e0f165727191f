"""Saving files that new copies begin with, so that the journal needn't go back to its beginning."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from kompass.cluster.catalogue import BASES_KEPT, PostgresCatalogue
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import SharedStore, SqliteDatabase

LOOK_SECONDS = 60.0
ENTRIES = 5_000
"""A copy that begins has at most about twice this many entries to play."""

log = structlog.get_logger(__name__)


class Bases:
    """The leader's work, for all databases of a store."""

    def __init__(self, store: SharedStore, catalogue: PostgresCatalogue, *, entries: int = ENTRIES) -> None:
        """`entries`: how many make it worth while to save a file."""
        self._store = store
        self._catalogue = catalogue
        self._entries = entries

    async def look(self) -> None:
        """Saves the files that it is worth while to save."""
        latest = await asyncio.to_thread(self._catalogue.latest_bases)
        entered = await asyncio.to_thread(self._catalogue.databases)
        for name, one in entered.items():
            if one.head - latest.get(name, 0) >= self._entries:
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
