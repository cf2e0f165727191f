"""What a server built on this one may do differently about logging in, and feeds that outlive a right."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest

from replication.accounts.cookies import SessionCookie, parse_cookie
from replication.accounts.directory import Account
from replication.accounts.tokens import TokenSettings
from replication.http import create_app
from replication.http.call import Call
from replication.http.identity import Identity, OpenedSession
from replication.http.principal import Principal
from replication.http.server import ServerConfig
from replication.protocol import errors
from replication.store.interface import Store
from tests.in_process import serving

ADMIN = ("root", "geheim")
SECRET = b"k" * 32


class Doorkeeper(Identity):
    """Knows sessions, and takes tokens `token:NAME`."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.refused: list[str] = []

    @property
    def takes_tokens(self) -> bool:
        return True

    async def by_token(self, call: Call, token: str) -> None:
        kind, _, name = token.partition(":")
        if kind != "token":
            raise errors.unauthorized("no such token")
        call.principal = Principal(name, ("from-token",))

    async def account_of_token(self, call: Call, token: str) -> Account | None:
        await self.by_token(call, token)
        account = await self.server.accounts.find(call.principal.name or "")
        return None if account is None else replace(account, roles=("seller",))

    async def open_session(self, call: Call, account: Account, *, by_token: bool) -> OpenedSession:
        if account.name == "barred":
            raise errors.unauthorized("barred", members={"wipe": True})
        return OpenedSession(f"s.{by_token}", {"lease": 7})

    async def admit(self, call: Call) -> None:
        if call.session in self.closed:
            raise errors.unauthorized("session closed")

    async def refused_cookie(self, cookie: SessionCookie) -> None:
        self.refused.append(cookie.session)

    async def renew(self, call: Call) -> None:
        await super().renew(call)
        await self.admit(call)


def user(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "type": "user", "roles": ["seller"], "password": "pw", **members}


def config(**members: Any) -> ServerConfig:
    return ServerConfig(admins=dict([ADMIN]), password_iterations=10, **members)


async def prepare(client: httpx.AsyncClient) -> None:
    for name in ("anna", "barred"):
        answer = await client.put(f"/_users/org.couchdb.user:{name}", json=user(name), auth=ADMIN)
        assert answer.status_code == 201
    await client.put("/db", auth=ADMIN)
    security = {"members": {"roles": ["seller"], "names": []}}
    assert (await client.put("/db/_security", json=security, auth=ADMIN)).status_code == 200


async def test_sessions_are_the_identity_s(store: Store) -> None:
    keeper = Doorkeeper()
    app = create_app(store, config(), identity=keeper)
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)
        answer = await client.post("/_session", json={"name": "anna", "password": "pw"})
        assert answer.json() == {"ok": True, "name": "anna", "roles": ["seller"], "lease": 7}
        assert parse_cookie(answer.cookies["AuthSession"]).session == "s.False"
        assert (await client.get("/db")).status_code == 200
        keeper.closed.add("s.False")
        answer = await client.get("/db")
        assert (answer.status_code, answer.json()["reason"]) == (401, "session closed")
        client.cookies.clear()

        answer = await client.post("/_session", headers={"authorization": "Bearer token:anna"})
        assert answer.json()["roles"] == ["seller"]
        assert parse_cookie(answer.cookies["AuthSession"]).session == "s.True"
        assert (await client.get("/_session")).json()["info"]["authenticated"] == "cookie"
        client.cookies.clear()

        answer = await client.post("/_session", headers={"authorization": "Bearer x"})
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        answer = await client.post("/_session", json={"name": "barred", "password": "pw"})
        assert answer.status_code == 401
        assert answer.json() == {"error": "unauthorized", "reason": "barred", "wipe": True}
    app.server.accounts.close()


async def test_a_changed_cookie_is_shown_to_the_identity_and_counts_for_nothing(store: Store) -> None:
    keeper = Doorkeeper()
    app = create_app(store, config(), identity=keeper)
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)
        answer = await client.post("/_session", json={"name": "anna", "password": "pw"})
        await client.put(
            "/_users/org.couchdb.user:anna",
            json={**(await client.get("/_users/org.couchdb.user:anna")).json(), "password": "new"},
        )
        assert (await client.get("/db")).status_code == 401
        assert keeper.refused == ["s.False"]
        assert answer.status_code == 200
    app.server.accounts.close()


async def test_another_session_salt_ends_the_sessions_of_a_user(store: Store) -> None:
    app = create_app(store, config())
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)
        await client.post("/_session", json={"name": "anna", "password": "pw"})
        assert (await client.get("/db")).status_code == 200
        path = "/_users/org.couchdb.user:anna"
        document = (await client.get(path)).json()
        cookie = {"cookie": f"AuthSession={client.cookies['AuthSession']}"}
        client.cookies.clear()
        answer = await client.put(path, json={**document, "session_salt": "another"}, auth=ADMIN)
        assert answer.status_code == 201
        assert (await client.get("/db", headers=cookie)).status_code == 401
    app.server.accounts.close()


# -- who may write what of a user --------------------------------------------------------------------


async def test_reserved_members_are_for_administrators(store: Store) -> None:
    app = create_app(store, config(reserved_user_members=("active",)))
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)
        path, anna = "/_users/org.couchdb.user:anna", ("anna", "pw")
        document = (await client.get(path, auth=anna)).json()
        answer = await client.put(path, json={**document, "active": False}, auth=anna)
        assert (answer.status_code, answer.json()["reason"]) == (403, "Only administrators may set active.")
        answer = await client.put(path, json={**document, "phone": "1"}, auth=anna)
        assert answer.status_code == 201
        rev = answer.json()["rev"]
        assert (await client.delete(path, params={"rev": rev}, auth=anna)).status_code == 403
        answer = await client.put(path, json={**document, "_rev": rev, "active": False}, auth=ADMIN)
        assert answer.status_code == 201
        document = (await client.get(path, auth=anna)).json()
        del document["active"]
        assert (await client.put(path, json=document, auth=anna)).status_code == 403
    app.server.accounts.close()


# -- pages of other origins ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 201),
        ("http://server", 201),
        ("http://SERVER:80", 201),
        ("https://server", 201),
        ("https://friend.example", 201),
        ("http://server:81", 403),
        ("http://evil.example", 403),
        ("http://server.evil.example", 403),
        ("null", 403),
        ("server", 403),
    ],
)
async def test_pages_of_other_origins_may_not_write(store: Store, origin: str | None, status: int) -> None:
    app = create_app(store, config(same_origin=True, cors_origins=("https://friend.example",)))
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)
        headers = {} if origin is None else {"origin": origin}
        answer = await client.put("/db/a", json={}, auth=ADMIN, headers=headers)
        assert answer.status_code == status
        login = await client.post("/_session", json={"name": "anna", "password": "pw"}, headers=headers)
        assert login.status_code == (200 if status == 201 else 403)
        assert (await client.get("/db", auth=ADMIN, headers=headers)).status_code == 200
    app.server.accounts.close()


# -- feeds -----------------------------------------------------------------------------------------------


async def feed_ends(app: Any, end: Callable[[], Awaitable[Any]], **how: Any) -> float:
    """Seconds from `end` until a continuous feed of /db ends."""
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as reader:
        params = {"feed": "continuous", "heartbeat": "60000"}
        async with reader.stream("GET", "/db/_changes", params=params, **how) as answer:
            assert answer.status_code == 200
            pieces = answer.aiter_bytes()
            await anext(pieces)
            assert len(app.server.feeds) == 1
            await end()
            began = time.monotonic()
            async with asyncio.timeout(10):
                text = b"".join([piece async for piece in pieces])
            assert b"last_seq" in text
        for _ in range(100):
            if not len(app.server.feeds):
                break
            await asyncio.sleep(0.01)
        assert len(app.server.feeds) == 0
        return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("change", ["roles", "password", "deleted", "security"])
async def test_a_feed_ends_when_its_reader_may_read_no_more(store: Store, change: str) -> None:
    app = create_app(store, config())
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)
        path = "/_users/org.couchdb.user:anna"

        async def end() -> None:
            document = (await client.get(path, auth=ADMIN)).json()
            if change == "security":
                members = {"members": {"roles": ["nobody"]}}
                answer = await client.put("/db/_security", json=members, auth=ADMIN)
                app.server.feeds.check_now()
            elif change == "deleted":
                answer = await client.delete(path, params={"rev": document["_rev"]}, auth=ADMIN)
            else:
                document = {**document, **({"roles": []} if change == "roles" else {"password": "new"})}
                answer = await client.put(path, json=document, auth=ADMIN)
            assert answer.is_success

        assert await feed_ends(app, end, auth=("anna", "pw")) < 3
    app.server.accounts.close()


async def test_a_feed_goes_on_while_others_change(store: Store) -> None:
    app = create_app(store, config())
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)

        async def end() -> None:
            await client.put("/_users/org.couchdb.user:bert", json=user("bert"), auth=ADMIN)
            await asyncio.sleep(1.2)
            assert len(app.server.feeds) == 1
            document = (await client.get("/_users/org.couchdb.user:anna", auth=ADMIN)).json()
            await client.put("/_users/org.couchdb.user:anna", json={**document, "roles": []}, auth=ADMIN)

        await feed_ends(app, end, auth=("anna", "pw"))
    app.server.accounts.close()


@pytest.mark.slow
async def test_a_feed_ends_with_the_token_it_was_asked_for_with(store: Store) -> None:
    settings = TokenSettings({"hmac:_default": base64.b64encode(SECRET).decode()}, roles_claim_name="roles")
    app = create_app(store, config(tokens=settings))
    await app.server.prepare()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        await prepare(client)
        claims = {"sub": "tess", "roles": ["seller"], "exp": int(time.time()) + 2}
        header = {"authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}

        async def end() -> None:
            await asyncio.sleep(2)
            app.server.feeds.check_now()

        assert await feed_ends(app, end, headers=header) < 3
    app.server.accounts.close()
