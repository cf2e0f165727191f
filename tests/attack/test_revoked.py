"""Whoever has lost his roles, his account or his device is answered nothing, and his feeds end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import httpx
import pytest

from kompass.sync.opening import DATABASE
from tests.attack.world import PASSWORD, World
from tests.in_process import serving

NAME = "innen1"
SECONDS = 5
"""How long it may take until a running feed has ended or shows nothing more."""
MARK = "MARK-after-the-end"

Revoke = Callable[[World, str], Awaitable[None]]


async def roles_of_the_record(world: World, device: str) -> None:
    admin = await world.admin()
    record = (await admin.get(f"/{DATABASE}/user-{NAME}")).json()
    (await admin.put(f"/{DATABASE}/user-{NAME}", json={**record, "roles": []})).raise_for_status()


async def record_put_out_of_force(world: World, device: str) -> None:
    admin = await world.admin()
    record = (await admin.get(f"/{DATABASE}/user-{NAME}")).json()
    (await admin.put(f"/{DATABASE}/user-{NAME}", json={**record, "active": False})).raise_for_status()


async def record_deleted(world: World, device: str) -> None:
    admin = await world.admin()
    rev = (await admin.get(f"/{DATABASE}/user-{NAME}")).json()["_rev"]
    (await admin.delete(f"/{DATABASE}/user-{NAME}", params={"rev": rev})).raise_for_status()


async def _login(world: World, **members: object) -> None:
    admin = await world.admin()
    path = f"/_users/org.couchdb.user:{NAME}"
    (await admin.put(path, json={**(await admin.get(path)).json(), **members})).raise_for_status()


async def roles_of_the_login(world: World, device: str) -> None:
    await _login(world, roles=[])


async def another_role(world: World, device: str) -> None:
    await _login(world, roles=["ADM"])


async def login_disabled(world: World, device: str) -> None:
    await _login(world, active=False)


async def login_deleted(world: World, device: str) -> None:
    await _login(world, _deleted=True)


async def another_password(world: World, device: str) -> None:
    await _login(world, password="ein-anderes-wort")


async def disabled_over_rest(world: World, device: str) -> None:
    admin = await world.admin()
    change = {"active": False, "reason": "left the company"}
    (await admin.patch(f"/api/v1/users/{NAME}", json=change)).raise_for_status()


async def device_revoked(world: World, device: str) -> None:
    (await (await world.admin()).post(f"/api/v1/devices/{device}/revoke")).raise_for_status()


async def device_lost(world: World, device: str) -> None:
    (await (await world.admin()).post(f"/api/v1/devices/{device}/lost")).raise_for_status()


WAYS = [
    roles_of_the_record,
    record_put_out_of_force,
    record_deleted,
    roles_of_the_login,
    another_role,
    login_disabled,
    login_deleted,
    another_password,
    disabled_over_rest,
    device_revoked,
    device_lost,
]
OUT = (login_disabled, login_deleted, another_password, disabled_over_rest, device_revoked, device_lost)
"""What ends the session itself: everything is answered 401 then."""


async def _listen(client: httpx.AsyncClient, feed: str, since: str) -> str:
    query = {"feed": feed, "since": since, "include_docs": "true", "heartbeat": "500", "timeout": "60000"}
    text = ""
    try:
        async with client.stream("GET", f"/{DATABASE}/_changes", params=query) as answer:
            async for piece in answer.aiter_text():
                text += piece
    except httpx.TransportError:
        pass  # cut off
    return text


async def _new_document(world: World) -> None:
    """One that only the role INNEN and those above may see, not its creator."""
    doc = {"_id": f"lead-{uuid4()}", "type": "lead", "owner": "adm2", "createdBy": "gf1", "notes": MARK}
    (await (await world.admin()).post(f"/{DATABASE}", json=doc)).raise_for_status()


@pytest.mark.slow
@pytest.mark.parametrize("revoke", WAYS, ids=lambda way: way.__name__)
async def test_a_running_feed_ends_or_shows_nothing(changing: World, revoke: Revoke) -> None:
    async with serving(changing.product) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        login = await client.post("/_session", json={"name": NAME, "password": PASSWORD})
        since = (await client.get(f"/{DATABASE}")).json()["update_seq"]
        feeds = [
            asyncio.create_task(_listen(client, feed, since))
            for feed in ("longpoll", "continuous", "eventsource")
        ]
        try:
            await asyncio.sleep(0.3)
            assert not any(feed.done() for feed in feeds)
            await revoke(changing, login.json()["device"]["id"])
            await asyncio.sleep(1)
            await _new_document(changing)
            await asyncio.wait(feeds, timeout=SECONDS)
            if revoke in OUT:
                assert all(feed.done() for feed in feeds)
        finally:
            for feed in feeds:
                feed.cancel()
            shown = await asyncio.gather(*feeds, return_exceptions=True)
        assert not any(MARK in text for text in shown if isinstance(text, str))


@pytest.mark.slow
@pytest.mark.parametrize("revoke", WAYS, ids=lambda way: way.__name__)
async def test_the_next_request_is_answered_nothing(changing: World, revoke: Revoke) -> None:
    client = await changing.client(NAME)
    device = (await client.get("/api/v1/session")).json()["device"]["id"]
    await _new_document(changing)
    lead = changing.readable_by(NAME, "lead")
    paths = [
        f"/{DATABASE}/_changes?include_docs=true",
        f"/{DATABASE}/_all_docs?include_docs=true",
        f"/{DATABASE}/{lead}",
        "/api/v1/quarantine",
    ]
    before = [await client.get(path) for path in paths]
    assert [answer.status_code for answer in before] == [200] * 4
    assert MARK in before[0].text
    await revoke(changing, device)
    for path, earlier in zip(paths, before, strict=True):
        etag = {"if-none-match": earlier.headers["etag"]} if "etag" in earlier.headers else {}
        for headers in ({}, etag):
            answer = await client.get(path, headers=headers)
            assert MARK not in answer.text
            assert answer.status_code != 304
            if revoke in OUT:
                assert answer.status_code in (401, 403), path
                assert revoke is not device_lost or answer.json().get("wipe") is True
        if revoke in OUT:
            assert (await client.get("/api/v1/session")).status_code == 401


@pytest.mark.parametrize("revoke", [roles_of_the_record, record_put_out_of_force, roles_of_the_login])
async def test_who_administrated_does_so_no_more(
    changing: World, revoke: Revoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "NAME", "gf1")
    client = await changing.client("gf1")
    paths = ["users", "users/adm1", "devices?all=true", "access/explain?user=adm1&doc=x"]
    before = [await client.get(f"/api/v1/{path}") for path in paths]
    assert [answer.status_code for answer in before] == [200] * 4
    await revoke(changing, "")
    after = [await client.get(f"/api/v1/{path}") for path in paths]
    assert [answer.status_code for answer in after] == [403] * 4
    change = {"active": False, "reason": "in my way"}
    assert (await client.patch("/api/v1/users/adm1", json=change)).status_code == 403
    assert (await client.get("/api/v1/session")).json()["roles"] == []


async def test_a_cookie_is_no_good_for_somebody_else(changing: World) -> None:
    """Neither by another name in it, nor with another session's signature."""
    import base64

    cookies = [(await changing.client(name)).headers["cookie"].partition("=")[2] for name in ("adm1", "gf1")]
    transport = httpx.ASGITransport(changing.product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        raw = [base64.urlsafe_b64decode(one + "=" * (-len(one) % 4)) for one in cookies]
        for forged in (
            raw[0].replace(b"adm1", b"gf1", 1),
            raw[0][: raw[0].index(b":")] + raw[1][raw[1].index(b":") :],
            raw[0].replace(b"adm1", b"chef", 1),
            raw[0] + b"x",
            b"gf1" + raw[0][4:],
        ):
            text = base64.urlsafe_b64encode(forged).decode().rstrip("=")
            headers = {"cookie": f"AuthSession={text}"}
            answer = await client.get(f"/{DATABASE}", headers=headers)
            assert answer.status_code in (400, 401), forged
        # Two cookies: whichever counts, it is one that is good.
        both = f"AuthSession={cookies[0]}; AuthSession={cookies[1]}"
        who = (await client.get("/_session", headers={"cookie": both})).json()["userCtx"]["name"]
        assert who in ("adm1", "gf1", None)
