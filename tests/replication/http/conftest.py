"""A server in this process, without administrators: everybody may do everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from kompass.identity.failures import SharedFailures
from replication.accounts.users import USERS_DATABASE
from replication.http import Application, create_app
from replication.http.server import ServerConfig
from replication.store.interface import Store
from tests.cluster import over
from tests.replication.http.attachments import upload
from tests.replication.http.batches import A, B, C, D, replicate, revision
from tests.replication.http.designs import BY_K, BY_X, DOCS, design, save
from tests.replication.http.listings import LISTED
from tests.replication.http.partitions import VIEWS


@pytest.fixture
def failures() -> list[SharedFailures]:
    """What tells the other processes of a cluster of failed logins."""
    return [SharedFailures() for _ in range(over.PROCESSES)]


@pytest.fixture
async def stores(tmp_path: Path, failures: list[SharedFailures]) -> AsyncIterator[list[Store]]:
    """One, or over a cluster that of the process that leads and those of the ones that serve."""
    async with AsyncExitStack() as stack:
        opened: list[Store] = []
        async for directory, opens in over.processes(tmp_path / "data", stack, shown=()):
            shared = {USERS_DATABASE: failures[len(opened)]} if over.IS_CLUSTER else {}
            opened.append(await opens(directory, extensions=shared))
            stack.push_async_callback(opened[-1].close)
        yield opened


@pytest.fixture
def store(stores: list[Store]) -> Store:
    return stores[0]


@pytest.fixture
def app(stores: list[Store]) -> Application:
    return _served(stores)


def _served(stores: list[Store], config: ServerConfig | None = None) -> Application:
    first, *others = [create_app(store, config) for store in stores]
    return _Led(first, others) if others else first


class _Led(Application):
    """The application of the process that leads, to be looked at; others answer what it is asked."""

    def __init__(self, leader: Application, others: list[Application]) -> None:
        vars(self).update(vars(leader))
        self.others = others
        self._balanced = over.Balanced.of(others, leader.server.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._balanced(scope, receive, send)


@pytest.fixture
async def client(app: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture
async def db(client: httpx.AsyncClient) -> str:
    """The path of an empty database."""
    response = await client.put("/db")
    assert response.status_code == 201
    return "/db"


@pytest.fixture
async def views(client: httpx.AsyncClient, db: str) -> str:
    await save(client, *DOCS)
    return await design(
        client,
        views={
            "x": {"map": BY_X},
            "sum": {"map": BY_K, "reduce": "_sum"},
            "js": {"map": BY_K, "reduce": "function(keys, values, again) { return sum(values) }"},
        },
    )


@pytest.fixture
async def part(client: httpx.AsyncClient) -> str:
    """The path of a partitioned database with partitions `a`, `ab` and `b`, three documents each."""
    answer = await client.put("/part?partitioned=true")
    assert answer.status_code == 201
    docs = [
        {"_id": f"{name}:{n}", "n": n, "name": name, "color": ("red", "blue")[n % 2]}
        for name in ("a", "ab", "b")
        for n in range(3)
    ]
    answer = await client.post("/part/_bulk_docs", json={"docs": docs})
    assert all("ok" in row for row in answer.json()), answer.text
    for name, options in (("d", {}), ("local", {"partitioned": True}), ("global", {"partitioned": False})):
        answer = await client.put(f"/part/_design/{name}", json={"views": VIEWS, "options": options})
        assert answer.status_code == 201, answer.text
    return "/part"


@pytest.fixture
async def conflicted(client: httpx.AsyncClient, db: str) -> str:
    """`x` has the leaves 2-c (the winner), 2-b and, deleted, 2-d, all after 1-a."""
    await replicate(
        client,
        db,
        {"_id": "x", "_rev": f"1-{A}", "v": 1},
        revision("x", 2, [B, A], v="b"),
        revision("x", 2, [C, A], v="c"),
        revision("x", 2, [D, A], _deleted=True),
    )
    return db


@pytest.fixture
async def feed(client: httpx.AsyncClient, db: str) -> str:
    """Seven changes; d4 is deleted, x has the leaves 2-c (the winner), 2-b and, deleted, 2-d."""
    for n in range(4):
        await replicate(client, db, revision(f"d{n}", 1, [A], n=n, t="odd" if n % 2 else "even"))
    await replicate(
        client, db, revision("_design/d", 1, [A], filters={"f": "…"}, views={"v": {"map": "x => x"}})
    )
    await replicate(client, db, revision("d4", 2, [B, A], _deleted=True))
    await replicate(
        client,
        db,
        revision("x", 2, [C, A], t="even"),
        revision("x", 2, [B, A], t="odd"),
        revision("x", 2, [D, A], t="odd", _deleted=True),
    )
    return db


@pytest.fixture
async def filled(client: httpx.AsyncClient, db: str) -> str:
    """`LISTED`, of which x has conflicts; `del`, deleted; the local documents l1 and l2."""
    for docid in LISTED:
        if docid != "x":
            await replicate(client, db, revision(docid, 1, [A], n=docid))
    await replicate(
        client,
        db,
        revision("x", 2, [B, A], n="b"),
        revision("x", 2, [C, A], n="c"),
        revision("x", 2, [D, A], _deleted=True),
        revision("del", 2, [B, A], _deleted=True),
    )
    for name in ("l1", "l2"):
        assert (await client.put(f"{db}/_local/{name}", json={"n": name})).status_code == 201
    return db


@pytest.fixture
async def letters(client: httpx.AsyncClient, db: str) -> str:
    """An attachment that holds the alphabet."""
    path = f"{db}/a/letters"
    response = await upload(client, path, b"abcdefghijklmnopqrstuvwxyz", content_type="image/png")
    assert response.status_code == 201
    return path


Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve(stores: list[Store], failures: list[SharedFailures]) -> AsyncIterator[Serve]:
    """`await serve(address=…, name=value, …)`: a client of a server with these `ServerConfig` members."""
    async with AsyncExitStack() as stack:

        async def serve_with(*, address: str = "127.0.0.1", **settings: Any) -> httpx.AsyncClient:
            settings.setdefault("password_iterations", 10)
            app = _served(stores, ServerConfig(**settings))
            all_apps = (app, *app.others) if isinstance(app, _Led) else (app,)
            for one, shared in zip(all_apps, failures, strict=True):
                await one.server.store.fresh()  # what another one has made
                await one.server.prepare()
                shared.attach(one.server.lockout, one.server.store)
                stack.callback(one.server.accounts.close)
            transport = httpx.ASGITransport(app, client=(address, 50000))
            client = httpx.AsyncClient(transport=transport, base_url="http://server")
            return await stack.enter_async_context(client)

        yield serve_with
