"""`create_app(view=…)`: everybody but server administrators uses something in place of the database."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from replication.http import create_app
from replication.http.principal import Principal
from replication.http.server import ServerConfig
from replication.protocol import errors
from replication.store.interface import Database, Store

PASSWORD = "geheim"
Ask = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def ask(store: Store) -> Ask:
    """`ask("name")`: a client. The server's view of `secret` is the database `shown`, but for `nobody`."""
    await store.create("shown")
    await store.create("secret", security=b'{"members":{"roles":["works here"]}}')

    def view(database: Database, principal: Principal) -> Database:
        if principal.name == "nobody":
            raise errors.forbidden("Not you.")
        return store.get("shown") if database.name == "secret" else database

    config = ServerConfig(admins={"admin": PASSWORD}, password_iterations=10)
    app = create_app(store, config, view=view)
    await app.server.prepare()
    transport = httpx.ASGITransport(app)

    def client(name: str | None) -> httpx.AsyncClient:
        auth = None if name is None else (name, PASSWORD)
        return httpx.AsyncClient(transport=transport, base_url="http://server", auth=auth)

    async with client("admin") as admin:
        for name in ("user", "nobody"):
            user = {"name": name, "type": "user", "roles": ["works here"], "password": PASSWORD}
            assert (await admin.put(f"/_users/org.couchdb.user:{name}", json=user)).status_code == 201
        assert (await admin.put("/secret/x", json={})).status_code == 201
        assert (await admin.put("/shown/y", json={})).status_code == 201
    return client


async def test_administrators_use_the_database_itself(ask: Ask) -> None:
    async with ask("admin") as admin:
        rows = (await admin.get("/secret/_all_docs")).json()["rows"]
    assert [row["id"] for row in rows] == ["x"]


async def test_others_use_what_the_view_gives_them(ask: Ask) -> None:
    async with ask("user") as user:
        rows = (await user.get("/secret/_all_docs")).json()["rows"]
    assert [row["id"] for row in rows] == ["y"]


async def test_what_the_view_raises_is_the_answer(ask: Ask) -> None:
    async with ask("nobody") as nobody:
        response = await nobody.get("/secret/x")
    assert (response.status_code, response.json()["reason"]) == (403, "Not you.")


async def test_security_is_the_databases_own(ask: Ask) -> None:
    """The database shown is open to everybody, and says so; the one asked for isn't."""
    async with ask(None) as anonymous:
        response = await anonymous.get("/secret/x")
    assert response.status_code == 401
