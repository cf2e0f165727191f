"""Devices: which there are, and that those which may not come in don't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kompass.identity.devices import DATABASE, MOST, Devices, device_key
from kompass.server import Product
from replication.protocol.errors import ProtocolError
from replication.store.interface import Store
from tests.identity.conftest import ADMIN, put_user

TABLET = {
    "x-kompass-device": "tablet-0001",
    "x-kompass-device-name": "B%C3%BCro",
    "x-kompass-app-version": "1.2",
}


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
async def people(client: httpx.AsyncClient) -> None:
    for name, role in (("anna", "ADM"), ("bert", "ADM"), ("chef", "GF")):
        await put_user(client, name, role)


async def log_in(
    client: httpx.AsyncClient, name: str = "anna", headers: dict[str, str] = TABLET
) -> tuple[str, dict[str, str]]:
    """The device's id, and the headers of its session."""
    answer = await client.post("/api/v1/session", json={"name": name, "password": "pw"}, headers=headers)
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    return answer.json()["device"]["id"], {"cookie": f"AuthSession={answer.cookies['AuthSession']}"}


@pytest.mark.usefixtures("people")
async def test_a_login_names_its_device(client: httpx.AsyncClient) -> None:
    device, session = await log_in(client)
    shown = (await client.get("/api/v1/devices", headers=session)).json()["devices"]
    assert [(each["id"], each["name"], each["app_version"]) for each in shown] == [(device, "Büro", "1.2")]
    assert (await log_in(client))[0] == device
    other, _ = await log_in(client, "bert")
    assert other != device
    assert len((await client.get("/api/v1/devices", headers=session)).json()["devices"]) == 1


@pytest.mark.usefixtures("people")
async def test_a_client_that_names_none_gets_one_for_its_session(client: httpx.AsyncClient) -> None:
    browser = {"user-agent": "Mozilla/5.0 (Tablet)"}
    first, session = await log_in(client, headers=browser)
    second, _ = await log_in(client, headers=browser)
    assert first != second
    shown = (await client.get(f"/api/v1/devices/{first}", headers=session)).json()
    assert (shown["name"], shown["implicit"]) == ("Mozilla/5.0 (Tablet)", True)


@pytest.mark.usefixtures("people")
async def test_a_revoked_device_is_out(client: httpx.AsyncClient) -> None:
    device, session = await log_in(client)
    _, other_session = await log_in(client, headers={"x-kompass-device": "phone-0001"})
    assert (await client.post(f"/api/v1/devices/{device}/revoke", headers=other_session)).status_code == 200
    for path in ("/kompass", "/kompass/_changes", "/api/v1/session", "/_session"):
        answer = await client.get(path, headers=session)
        assert answer.status_code == 401, path
        assert "wipe" not in answer.json()
        assert answer.headers["set-cookie"].startswith("AuthSession=;")
    assert (await client.get("/kompass", headers=other_session)).status_code == 200
    answer = await client.post("/_session", json={"name": "anna", "password": "pw"}, headers=TABLET)
    assert answer.status_code == 401
    answer = await client.post(f"/api/v1/devices/{device}/restore", headers=other_session)
    assert answer.status_code == 403
    assert (await client.post(f"/api/v1/devices/{device}/restore", auth=("chef", "pw"))).status_code == 200
    assert (await log_in(client))[0] == device


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("path", ["/_session", "/api/v1/session"])
async def test_logging_out_ends_what_a_copied_cookie_is_good_for(
    client: httpx.AsyncClient, path: str
) -> None:
    device, session = await log_in(client)
    _, elsewhere = await log_in(client, headers={"x-kompass-device": "phone-0001"})
    query = {"feed": "continuous", "since": "now", "heartbeat": "200"}
    feed = asyncio.create_task(client.get("/kompass/_changes", params=query, headers=session))
    await asyncio.sleep(0.1)
    assert (await client.delete(path, headers=session)).status_code in (200, 204)
    for copied in ("/kompass", "/api/v1/session", "/_session"):
        assert (await client.get(copied, headers=session)).status_code == 401, copied
    async with asyncio.timeout(5):
        await feed
    assert (await client.get("/kompass", headers=elsewhere)).status_code == 200
    again, session = await log_in(client)
    assert again == device
    assert (await client.get("/kompass", headers=session)).status_code == 200


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("how", ["revoke", "lost"])
async def test_a_restored_device_has_to_log_in_again(client: httpx.AsyncClient, how: str) -> None:
    device, old = await log_in(client)
    for _ in range(2):
        assert (await client.post(f"/api/v1/devices/{device}/{how}", auth=("chef", "pw"))).status_code == 200
        restored = await client.post(f"/api/v1/devices/{device}/restore", auth=("chef", "pw"))
        assert restored.status_code == 200
        for path in ("/kompass", "/kompass/_changes", "/api/v1/session"):
            answer = await client.get(path, headers=old)
            assert answer.status_code == 401, path
            assert "wipe" not in answer.json()
            assert answer.headers["set-cookie"].startswith("AuthSession=;")
        again, new = await log_in(client)
        assert again == device
        assert (await client.get("/kompass", headers=new)).status_code == 200
        assert (await client.get("/kompass", headers=old)).status_code == 401
        old = new


@pytest.mark.usefixtures("people")
async def test_a_lost_device_is_told_to_wipe_even_after_a_new_password(client: httpx.AsyncClient) -> None:
    device, session = await log_in(client)
    assert (await client.post(f"/api/v1/devices/{device}/lost", auth=ADMIN)).status_code == 200
    await put_user(client, "anna", "ADM", password="another")
    for _ in range(2):
        answer = await client.get("/kompass/_changes", headers=session)
        assert (answer.status_code, answer.json()["wipe"]) == (401, True)
        assert answer.json()["error"] == "unauthorized"
    problem = await client.get("/api/v1/session", headers=session)
    assert (problem.status_code, problem.json()["wipe"]) == (401, True)
    login = {"name": "anna", "password": "another"}
    for path in ("/_session", "/api/v1/session"):
        answer = await client.post(path, json=login, headers=TABLET)
        assert (answer.status_code, answer.json()["wipe"]) == (401, True)
    answer = await client.get("/kompass", auth=("anna", "another"), headers=TABLET)
    assert (answer.status_code, answer.json()["wipe"]) == (401, True)
    answer = await client.get("/kompass", auth=("anna", "another"))
    assert answer.status_code == 200


@pytest.mark.usefixtures("people")
async def test_others_devices_are_not_there(client: httpx.AsyncClient) -> None:
    device, _ = await log_in(client)
    _, session = await log_in(client, "bert")
    unknown = device_key("anna", "id:nothing-here")
    for path in (device, unknown, "x", "a" * 5000):
        answer = await client.get(f"/api/v1/devices/{path}", headers=session)
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "There is no such device.",
        )
        for action in ("revoke", "lost"):
            assert (await client.post(f"/api/v1/devices/{path}/{action}", headers=session)).status_code == 404
    assert (await client.get("/api/v1/devices?all=true", headers=session)).status_code == 403
    assert (await client.get("/api/v1/devices")).status_code == 401
    assert (await client.get(f"/{DATABASE}", headers=session)).status_code == 403
    assert (await client.get(f"/{DATABASE}/{device}", headers=session)).status_code == 403
    everybody = (await client.get("/api/v1/devices?all=true", auth=("chef", "pw"))).json()["devices"]
    assert {each["user"] for each in everybody} == {"anna", "bert"}
    page = (await client.get("/api/v1/devices?all=true&limit=1", auth=ADMIN)).json()
    rest = (await client.get(f"/api/v1/devices?all=true&limit=1&after={page['next']}", auth=ADMIN)).json()
    assert [page["devices"][0]["id"], rest["devices"][0]["id"]] == sorted(each["id"] for each in everybody)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name": "Tablet 2", "documents": 12}', 200),
        (b'{"name": ""}', 422),
        (b'{"name": "\\u202e"}', 422),
        (b'{"name": 5}', 422),
        (b'{"user": "bert"}', 422),
        (b'{"revoked": false}', 422),
        (b'{"documents": -1}', 422),
        (b'{"documents": "5"}', 422),
        (b"{", 400),
        (b"[]", 422),
        (b"\xff", 400),
    ],
)
async def test_what_may_be_said_of_a_device(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    device, session = await log_in(client)
    headers = {**session, "content-type": "application/json"}
    answer = await client.patch(f"/api/v1/devices/{device}", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert (answer.json()["name"], answer.json()["documents"]) == ("Tablet 2", 12)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("named", ["short", "x" * 65, "with blank", "semi;colon", "../../etc"])
async def test_ids_that_can_t_be(client: httpx.AsyncClient, named: str) -> None:
    login = {"name": "anna", "password": "pw"}
    answer = await client.post("/_session", json=login, headers={"x-kompass-device": named})
    assert answer.status_code == 400


# -- without HTTP --------------------------------------------------------------------------------


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def devices(store: Store, clock: Clock) -> AsyncIterator[Devices]:
    devices = Devices(store, lease=1000, clock=clock)
    await devices.prepare()
    yield devices
    await devices.close()


async def test_contact_is_written_once_a_minute(store: Store, devices: Devices, clock: Clock) -> None:
    device = await devices.arrive("anna", TABLET, session="")
    seq = store.get(DATABASE).update_seq
    for _ in range(100):
        clock.now += 0.5
        devices.touch(device, syncing=False)
    await devices.close()
    assert store.get(DATABASE).update_seq == seq
    clock.now += 30
    for _ in range(100):
        devices.touch(device, syncing=True)
    await devices.close()
    assert store.get(DATABASE).update_seq == seq + 1
    found = await devices.find(device.key)
    assert found is not None
    assert (found.last_seen, found.last_sync, found.lease_until) == (clock.now, clock.now, clock.now + 1000)


async def test_a_user_has_so_many_devices_and_flagged_ones_stay(devices: Devices, clock: Clock) -> None:
    lost = await devices.arrive("anna", {}, session="lost")
    await devices.mark_lost(lost.key)
    for place in range(MOST + 20):
        clock.now += 1
        latest = await devices.arrive("anna", {"user-agent": "x"}, session=f"s{place}")
    kept = await devices.of_user("anna")
    assert len(kept) == MOST
    assert {lost.key, latest.key} <= {device.key for device in kept}


async def test_a_cookie_of_a_device_that_went_is_no_login(
    product: Product, client: httpx.AsyncClient, people: None
) -> None:
    device, session = await log_in(client)
    path = f"/{DATABASE}/{device}"
    rev = (await client.get(path, auth=ADMIN)).json()["_rev"]
    assert (await client.delete(path, params={"rev": rev}, auth=ADMIN)).status_code == 200
    assert (await client.get("/kompass", headers=session)).status_code == 401


async def test_unknown_devices_can_t_be_changed(devices: Devices) -> None:
    for change in (devices.revoke, devices.mark_lost, devices.restore):
        with pytest.raises(ProtocolError) as caught:
            await change(device_key("anna", "id:nothing-here"))
        assert caught.value.status == 404
