"""The product, with a sink that follows it; what is written, and what the documents say in the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from kompass.feed.follower import Follower
from kompass.feed.ledger import Ledger, State
from kompass.feed.sink import Sink
from kompass.feed.source import Source
from kompass.server import Product
from kompass.sync.opening import DATABASE
from replication.store.sqlite import SqliteDatabase
from tests.cluster import over
from tests.feed.reference import ReferenceHarness, ReferenceSink
from tests.identity.conftest import ADMIN, put_user
from tests.product import running_product

SECRET = "x" * 40
DB = f"/{DATABASE}"


class Company:
    """A server in this process, asked by its administrator."""

    def __init__(self, product: Product, admin: httpx.AsyncClient) -> None:
        self.product = product
        self.admin = admin

    @property
    def database(self) -> SqliteDatabase:
        database = self.product.documents.server.store.get(DATABASE)
        assert isinstance(database, SqliteDatabase)
        return database

    async def put(self, docid: str, **members: Any) -> str:
        before = await self.admin.get(f"{DB}/{docid}")
        if before.status_code == 200:
            members = {"_rev": before.json()["_rev"], **members}
        answer = await self.admin.put(f"{DB}/{docid}", json=members)
        assert answer.status_code == 201, answer.text
        return str((await self.admin.get(f"{DB}/{docid}")).json()["_rev"])

    async def customer(self, number: int, owner: str, name: str = "Hof") -> str:
        return await self.put(customer(number), type="customer", companyName=name, owner=owner)

    async def delete(self, docid: str) -> None:
        rev = (await self.admin.get(f"{DB}/{docid}")).json()["_rev"]
        assert (await self.admin.delete(f"{DB}/{docid}", params={"rev": rev})).status_code == 200

    async def purge(self, docid: str) -> None:
        rev = (await self.admin.get(f"{DB}/{docid}")).json()["_rev"]
        assert (await self.admin.post(f"{DB}/_purge", json={docid: [rev]})).status_code == 201


class FeedWorld(Company):
    """One server and what follows it, in this process."""

    def __init__(self, product: Product, admin: httpx.AsyncClient, directory: Path) -> None:
        super().__init__(product, admin)
        self.directory = directory
        self.ledger = Ledger(directory / "data", over.shared_files(directory / "data"))
        (directory / "sink").mkdir(exist_ok=True)
        self.harness = ReferenceHarness(directory / "sink")
        self._task: asyncio.Task[None] | None = None

    @property
    def source(self) -> Source:
        transport = httpx.ASGITransport(self.product)
        return Source("http://server", SECRET, transport=transport)

    def follow(self, sink: Sink | None = None, *, attempts: int = 5) -> None:
        """Begins to follow with a sink, by default the reference, until `unfollow`."""
        assert self._task is None
        one = ReferenceSink(self.directory / "sink") if sink is None else sink

        async def following() -> None:
            async with self.source as source:
                await Follower(one, source, self.ledger, attempts=attempts).run()

        self._task = asyncio.create_task(following())

    async def unfollow(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def close(self) -> None:
        await self.unfollow()
        self.ledger.close()

    # -- what there is ---------------------------------------------------------------------------

    async def stated(self) -> dict[str, tuple[str, frozenset[str]]]:
        """What the documents say: revision and channels of every one that lives."""
        listed = (await self.admin.get(f"{DB}/_all_docs")).json()["rows"]
        with self.database.reading() as reading:
            return {
                row["id"]: (
                    row["value"]["rev"],
                    frozenset(self.product.sync.index.channels_of(reading, row["id"])),
                )
                for row in listed
                if not row["id"].startswith("_design/")
            }

    async def people(self) -> dict[str, frozenset[str]]:
        """Who holds which channels; who is disabled gets in nowhere, and holds none."""
        held = self.product.sync.index.channels_held
        with self.database.reading() as reading:
            rows: Any = reading.connection.execute("SELECT name, active FROM access_users").fetchall()
            return {name: frozenset(held(reading, name) if active else ()) for name, active in rows}

    async def settled(self, seconds: float = 30, rebuilt: bool = False) -> None:
        """Returns when the sink says what the documents say."""

        async def same() -> bool:
            return (
                self.harness.documents() == await self.stated()
                and self.harness.people() == await self.people()
            )

        await until(same, seconds, lambda: f"{self.harness.documents()} != ...")

    async def state(self, wanted: State, seconds: float = 20) -> None:
        async def so() -> bool:
            return any(one.state is wanted for one in self.ledger.statuses().values())

        await until(so, seconds, lambda: str(self.ledger.statuses()))


def customer(number: int) -> str:
    return f"customer-{number:08}-1111-4111-8111-111111111111"


async def until(
    condition: Callable[[], Awaitable[bool]], seconds: float, what: Callable[[], str] = str
) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {seconds} seconds: {what()[:2000]}")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def company(directory: Path, **settings: Any) -> AsyncIterator[Company]:
    """With two salesmen."""
    async with running_product(directory / "data", ADMIN, feed_secret=SECRET, **settings) as product:
        transport = httpx.ASGITransport(product)
        async with httpx.AsyncClient(transport=transport, base_url="http://server", auth=ADMIN) as admin:
            for name in ("adm1", "adm2"):
                if (await admin.get(f"/_users/org.couchdb.user:{name}")).status_code == 404:
                    await put_user(admin, name, "ADM")
                    await admin.get(DB, auth=(name, "pw"))
            yield Company(product, admin)


@asynccontextmanager
async def feed_world(directory: Path, **settings: Any) -> AsyncIterator[FeedWorld]:
    async with company(directory, **settings) as one:
        world = FeedWorld(one.product, one.admin, directory)
        try:
            yield world
        finally:
            await world.close()


def members(stated: Mapping[str, Any], prefix: str) -> set[str]:
    return {docid for docid in stated if docid.startswith(prefix)}
