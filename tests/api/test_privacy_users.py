"""Erasing a user: his record, devices, sessions, checkpoints and refused work are part of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import httpx
import pytest

from kompass.access.principals import Role
from kompass.identity.devices import DATABASE as DEVICES
from kompass.identity.keycloak import KnownUser
from kompass.identity.records import Records
from kompass.identity.sync import KeycloakSync
from kompass.privacy import erasures
from kompass.privacy.accounts import Accounts, ActiveUserError, identity_digest
from kompass.privacy.service import Privacy
from kompass.sync.personal.local import LocalNotes
from replication.accounts.users import USERS_DATABASE
from tests.api.test_privacy import PATH, of, wish
from tests.audit.world import look
from tests.identity.test_sync import Directory
from tests.privacy.world import erase, raw
from tests.sync.gate_world import World, contact, contact_body, customer, new

MARKS = (b"Zyxwika", b"zyx@mail.example", b"9988776", b"Tablet-von-Z", b"Merkzettel", b"kc-4711", b"App-77")


def left(directory: File) -> list[bytes]:
    whole = raw(directory)
    return [mark for mark in MARKS if mark in whole]


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await World.open(tmp_path, follows=True)
    await world.has_customer(1)
    yield world
    await world.close()


async def has_traces(client: httpx.AsyncClient, world: World) -> dict[str, str]:
    """A user with everything that a user has; he can't log in any more. Headers of his session."""
    body = await world.body("user-adm1")
    assert body is not None
    person = {"displayName": "Zyxwika Q", "email": "zyx@mail.example", "phoneNumber": "+49 170 9988776"}
    await world.put("user-adm1", {**body, **person})
    headers = {
        "x-kompass-device": "tablet-0001",
        "x-kompass-device-name": "Tablet-von-Z",
        "x-kompass-app-version": "App-77",
    }
    login = await client.post("/_session", json={"name": "adm1", "password": "pw"}, headers=headers)
    assert login.status_code == 200
    session = {"cookie": f"AuthSession={login.cookies['AuthSession']}"}
    client.cookies.clear()
    await LocalNotes(world.database).put("adm1", "abc", 0, b'{"a":"Merkzettel"}')
    await Records(world.store).record_roles("adm1", [Role.ADM], "Keycloak", subject="kc-4711")
    wrong = new(contact_body(customer(1), authorityLevel="high", notes="Merkzettel"))
    assert await world.push("adm1", (contact(5), wrong)) != [""]
    gone = await client.patch(
        "/api/v1/users/adm1", json={"active": False, "reason": "ist ausgeschieden"}, auth=of("gf1")
    )
    assert gone.status_code == 200, gone.text
    return session


async def test_who_can_still_log_in_is_not_erased(client: httpx.AsyncClient, world: World) -> None:
    dry = await client.post(f"{PATH}/subjects/user-adm1/erasure", json=wish(dryRun=True), auth=of("gf1"))
    assert dry.json()["account"]["active"] is True
    answer = await client.post(f"{PATH}/subjects/user-adm1/erasure", json=wish(), auth=of("gf1"))
    assert answer.status_code == 409
    assert "Disable the user first" in answer.json()["detail"]
    german = {"accept-language": "de"}
    answer = await client.post(
        f"{PATH}/subjects/user-adm1/erasure", json=wish(), auth=of("gf1"), headers=german
    )
    assert answer.json()["detail"].startswith("adm1 kann sich noch anmelden. Bitte erst sperren")
    assert (await client.get("/api/v1/session", auth=of("adm1"))).status_code == 200
    with pytest.raises(ActiveUserError):
        await erase(world, "user-adm1")


async def test_nothing_of_an_erased_user_is_left_but_his_login_name(
    client: httpx.AsyncClient, world: World, tmp_path: File
) -> None:
    await has_traces(client, world)
    assert set(left(tmp_path)) == set(MARKS)
    dry = (
        await client.post(f"{PATH}/subjects/user-adm1/erasure", json=wish(dryRun=True), auth=of("gf1"))
    ).json()
    assert dry["account"] == {"record": True, "active": False, "devices": 1}
    assert dry["refused"] == 1
    done = await client.post(f"{PATH}/subjects/user-adm1/erasure", json=wish(), auth=of("gf1"))
    assert done.status_code == 200, done.text
    assert done.json()["filesClean"] is True
    assert left(tmp_path) == []
    assert await world.quarantined("adm1") == []
    body = await world.live("user-adm1")
    assert (body["displayName"], body["active"]) == ("Gelöschter Benutzer #1", False)
    record = await Records(world.store).find("adm1")
    assert record is not None
    assert record.deleted
    assert look(tmp_path / "kompass.sqlite").findings == []
    assert (await client.get("/api/v1/session", auth=of("adm1"))).status_code == 401


async def test_his_devices_are_told_to_erase_what_they_hold(client: httpx.AsyncClient, world: World) -> None:
    session = await has_traces(client, world)
    await erase(world, "user-adm1")
    answer = await client.get("/_session", headers=session)
    assert answer.status_code == 401
    assert answer.json()["wipe"] is True
    (device,) = (await Accounts(world.store).of("adm1")).devices
    assert (device.name, device.lost, device.last_seen) == ("", True, 0)


async def test_keycloak_brings_nobody_back(client: httpx.AsyncClient, world: World, tmp_path: File) -> None:
    await has_traces(client, world)
    await erase(world, "user-adm1")
    records = Records(world.store)

    def is_erased(subject: str) -> bool:
        with world.database.reading() as reading:
            return erasures.knows_identity(reading, identity_digest(subject))

    records.is_erased = is_erased
    user = KnownUser("kc-4711", "adm1", True, frozenset({Role.ADM}))
    directory = Directory(user)
    sync = KeycloakSync(directory, records)
    outcome = await sync.list_all()
    assert outcome.changed == []
    assert outcome.passed_over == ["kc-4711 was erased here: delete the account in Keycloak"]
    directory.users = {"kc-4711": replace(user, name="zyxwika")}
    outcome = await sync.list_all()
    assert outcome.changed == []
    assert outcome.passed_over == ["kc-4711 was erased here: delete the account in Keycloak"]
    assert left(tmp_path) == []
    other = KnownUser("kc-1", "anna", True, frozenset({Role.ADM}))
    directory.users = {"kc-1": other}
    assert (await sync.list_all()).changed == ["anna"]


async def test_a_record_that_comes_back_from_a_restore_goes_again(
    client: httpx.AsyncClient, world: World, tmp_path: File
) -> None:
    await has_traces(client, world)
    done = await erase(world, "user-adm1")
    users = world.store.get(USERS_DATABASE)
    await Records(world.store).record_roles("adm1", [Role.ADM], "a restore", subject="kc-4711")
    assert users.update_seq > 0

    def forgets(writing: Any) -> None:
        for table in ("privacy_erasures", "privacy_subjects", "privacy_documents", "privacy_identities"):
            writing.connection.execute(f"DELETE FROM {table}")

    await world.transact(forgets)
    await Privacy(world.gate, Accounts(world.store)).erase(
        "user-adm1", by="gf1", reason="", again=done.erasure
    )
    record = await Records(world.store).find("adm1")
    assert record is not None
    assert record.deleted
    assert left(tmp_path) == []
    with world.database.reading() as reading:
        assert erasures.knows_identity(reading, identity_digest("kc-4711"))
    assert DEVICES in await world.store.names()
