"""Several products in this process, over one journal for each database."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from kompass.business import BusinessRules
from kompass.server import Product, create_product
from kompass.settings import Settings
from kompass.sync.opening import DATABASE
from kompass.sync.serving import Sync
from replication.store.sqlite import SqliteDatabase, SqliteStore
from tests.attack.writes_world import ADMIN, Attack
from tests.in_process import serving
from tests.replication.store.copied import tables
from tests.replication.store.journals import MemoryJournal

_OF_THE_COPY = ("LOCK", ".sqlite", ".sqlite-wal", ".sqlite-shm")
"""Ends of the names of files that every product has for itself."""


@dataclass
class Member:
    """One of several."""

    directory: Path
    sync: Sync
    store: SqliteStore
    product: Product
    url: str
    attack: Attack
    """Asks this one."""
    stack: AsyncExitStack

    def database(self, name: str = DATABASE) -> SqliteDatabase:
        found = self.store.get(name)
        assert isinstance(found, SqliteDatabase)
        return found


class Several:
    """The first one leads."""

    def __init__(self, directory: Path, *, business: bool = False) -> None:
        self.directory = directory
        self.journals: defaultdict[str, MemoryJournal] = defaultdict(MemoryJournal)
        self.members: list[Member] = []
        self._business = business
        self._made = 0
        self._known: set[str] = set()

    def __getitem__(self, number: int) -> Member:
        return self.members[number]

    def silence(self) -> None:
        """From now on nobody hears of entries: whoever needs them has to ask."""
        for journal in self.journals.values():
            journal.silent = True

    def cut_off(self, *, reachable: bool = False) -> None:
        for journal in self.journals.values():
            journal.reachable = reachable

    async def add(self) -> Member:
        """Another one, which begins with the files of the first."""
        directory = self.directory / f"member{self._made}"
        self._made += 1
        if self.members:
            await self._copy(self[0], directory)
        opens = partial(SqliteStore.open, journals=self.journals.__getitem__)
        leads = not self.members
        sync = Sync(directory, BusinessRules() if self._business else None, opens=opens, leads=leads)
        stack = AsyncExitStack()
        store = await sync.open_store()
        product = await create_product(
            store, sync, Settings(admin=":".join(ADMIN), data=directory), password_iterations=10
        )
        stack.push_async_callback(store.close)
        stack.push_async_callback(product.documents.server.close)
        stack.push_async_callback(product.close)
        url = await stack.enter_async_context(serving(product))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30, trust_env=False))
        self.members.append(
            Member(directory, sync, store, product, url, Attack(client, product, self._known), stack)
        )
        return self.members[-1]

    async def _copy(self, first: Member, directory: Path) -> None:
        shutil.copytree(
            first.directory,
            directory,
            ignore=lambda _, names: {one for one in names if one.endswith(_OF_THE_COPY)},
        )
        for name in await first.store.names():
            await first.database(name).save(directory / f"{name}.sqlite")

    async def contents(self, number: int) -> dict[str, dict[str, Any]]:
        """All rows that all must have, by database and table."""
        await self[number].store.fresh()
        return {name: tables(self[number].database(name)) for name in await self[number].store.names()}

    async def same(self) -> None:
        first = await self.contents(0)
        for number in range(1, len(self.members)):
            assert await self.contents(number) == first

    async def close(self) -> None:
        for member in self.members:
            await member.stack.aclose()


@asynccontextmanager
async def several(directory: Path, count: int = 2, *, business: bool = False) -> AsyncIterator[Several]:
    made = Several(directory, business=business)
    try:
        for _ in range(count):
            await made.add()
        yield made
    finally:
        await made.close()
