"""The company of `tests.sync.promises` with several servers: each request goes to a random one of them."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from functools import partial
from random import Random
from typing import Any

import httpx
from pydantic import SecretStr

from kompass.server import Product, create_product
from kompass.settings import Settings
from kompass.sync.quarantine.desk import Desk
from kompass.sync.serving import Sync
from replication.store.sqlite import SqliteDatabase, SqliteStore
from tests.replication.store.journals import MemoryJournal
from tests.sync.promises.company import ADMIN, Company

COUNT = 2


class SeveralCompany(Company):
    """What isn't a request happens at the server that has answered the latest one."""

    random: Random
    journals: defaultdict[str, MemoryJournal]
    running: list[tuple[SqliteStore, Product, Sync]]

    async def start(self) -> None:
        self.random = Random(0)
        self.journals = defaultdict(MemoryJournal)
        self.running = []
        self._made = 0
        for _ in range(COUNT):
            await self._add()
        for journal in self.journals.values():
            journal.silent = True
        self._turn_to(0)

    async def stop(self) -> None:
        for store, product, _ in self.running:
            await product.close()
            await product.documents.server.close()
            await store.close()
        self.running = []

    async def restart(self) -> None:
        """One of them is killed. Another one takes its place, with a copy of what is left."""
        at = self.random.randrange(COUNT)
        store, product, _ = self.running.pop(at)
        await store.close()  # first of all: nothing is finished that was going on
        await product.close()
        await product.documents.server.close()
        await self._gone(at)
        await self._add()
        self._turn_to(self.random.randrange(COUNT))
        await self.store.fresh()

    async def _gone(self, number: int) -> None:
        """That one has ended."""

    async def _add(self) -> None:
        sync = await self._sync()
        store = await sync.open_store()
        settings = Settings(admin=SecretStr(f"boss:{ADMIN}"), data=store.directory)
        product = await create_product(store, sync, settings, password_iterations=10)
        self.running.append((store, product, sync))

    async def _sync(self) -> Sync:
        """Of another server, which begins with what the others have."""
        directory = self.directory / f"server{self._made}"
        self._made += 1
        directory.mkdir()
        for name in ("server.json",):
            shutil.copy(self.directory / name, directory / name)
        if self.running:
            store = self.running[0][0]
            for name in await store.names():
                database = store.get(name)
                assert isinstance(database, SqliteDatabase)
                await database.save(directory / f"{name}.sqlite")
        else:
            for file in self.directory.glob("*.sqlite"):
                await asyncio.to_thread(shutil.copy, file, directory / file.name)
        opens = partial(SqliteStore.open, journals=self.journals.__getitem__)
        return Sync(directory, opens=opens, leads=False)

    def _turn_to(self, number: int) -> None:
        self.store, self.product, sync = self.running[number]
        self.gate, self.index = sync.gate(), sync.index
        self.desk = Desk(self.gate)
        self.host.socket.app = self.product

    async def request(self, *given: Any, **more: Any) -> httpx.Response:
        self._turn_to(self.random.randrange(COUNT))
        return await super().request(*given, **more)
