"""Logins and user documents: what people see goes by the documents, and those follow the logins."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from kompass import server
from kompass.access.principals import Role
from kompass.domain import models
from kompass.identity.keycloak import AdminEvent, KeycloakError, KnownUser
from kompass.identity.sync import KeycloakSync
from kompass.privacy.service import Privacy
from kompass.server import Product
from kompass.sync import serving
from kompass.sync.opening import DATABASE
from kompass.sync.serving import Sync
from tests.product import running_product

ADMIN = ("chef", "streng-geheim")


@pytest.fixture
async def product(tmp_path: Path) -> AsyncIterator[Product]:
    directory = tmp_path / "data"
    # Some make the database anew, as administrators may that of a demo.
    async with running_product(directory, ADMIN, sync=partial(Sync, disposable=True)) as product:
        yield product


@pytest.fixture
async def client(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def put_login(client: httpx.AsyncClient, *roles: str) -> None:
    path = "/_users/org.couchdb.user:anna"
    there = await client.get(path, auth=ADMIN)
    user = {"name": "anna", "type": "user", "roles": list(roles), "password": "pw"}
    if there.status_code == 200:
        user["_rev"] = there.json()["_rev"]
    (await client.put(path, json=user, auth=ADMIN)).raise_for_status()


async def roles_of(client: httpx.AsyncClient) -> list[str]:
    answer = await client.get(f"/{DATABASE}/user-anna", auth=ADMIN)
    return list(answer.raise_for_status().json()["roles"])


async def test_a_login_made_by_hand_gets_a_document_when_it_is_first_used(client: httpx.AsyncClient) -> None:
    await put_login(client, "ADM")
    assert (await client.get(f"/{DATABASE}/_changes", auth=("anna", "pw"))).status_code == 200
    assert await roles_of(client) == ["ADM"]


async def test_documents_of_users_are_what_the_models_ask_for(client: httpx.AsyncClient) -> None:
    """The server knows no more than a name and roles of somebody whose login was made by hand."""

    async def document() -> dict[str, Any]:
        found: dict[str, Any] = (await client.get(f"/{DATABASE}/user-anna", auth=ADMIN)).json()
        assert models.validate({name: value for name, value in found.items() if name != "_rev"}) is None
        return found

    await put_login(client, "ADM", "BUCH")
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200
    found = await document()
    assert (found["primaryRole"], found["displayName"]) == ("BUCH", "anna")
    assert found["email"] == "anna@example.invalid"
    (
        await client.put(
            f"/{DATABASE}/user-anna", json={**found, "email": "anna@kompass.example"}, auth=ADMIN
        )
    ).raise_for_status()
    await put_login(client, "ADM")
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200
    found = await document()
    assert (found["primaryRole"], found["email"]) == ("ADM", "anna@kompass.example")


async def test_keycloak_says_who_somebody_is(client: httpx.AsyncClient, product: Product) -> None:
    keycloak = Keycloak()
    keycloak.down = False
    sync = KeycloakSync(keycloak, product.identity.records)

    async def document(**said: Any) -> dict[str, Any]:
        keycloak.users = [KnownUser("s-1", "wiebke", True, frozenset({Role.ADM}), **said)]
        await sync.list_all()
        found: dict[str, Any] = (await client.get(f"/{DATABASE}/user-wiebke", auth=ADMIN)).json()
        assert models.validate({name: value for name, value in found.items() if name != "_rev"}) is None
        return found

    found = await document(email="wp@kompass.example", display_name="Wiebke Petersen")
    assert (found["email"], found["displayName"]) == ("wp@kompass.example", "Wiebke Petersen")
    assert found["primaryRole"] == "ADM"
    assert (await document(email="wp@kompass.example", display_name="Wiebke Petersen")) == found
    found = await document(email="no address", display_name="Wiebke Sauer")
    assert (found["email"], found["displayName"]) == ("wp@kompass.example", "Wiebke Sauer")
    erased = {
        **found,
        "anonymized": True,
        "displayName": "Gelöscht 7",
        "email": "geloescht-7@example.invalid",
    }
    (await client.put(f"/{DATABASE}/user-wiebke", json=erased, auth=ADMIN)).raise_for_status()
    found = await document(email="wp@kompass.example", display_name="Wiebke Petersen")
    assert (found["email"], found["displayName"]) == ("geloescht-7@example.invalid", "Gelöscht 7")


async def test_roles_that_a_login_loses_by_hand_are_lost_to_its_document(client: httpx.AsyncClient) -> None:
    await put_login(client, "ADM", "INNEN")
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200
    await put_login(client, "ADM")
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200
    assert await roles_of(client) == ["ADM"]


async def test_roles_taken_from_the_document_do_not_come_back(client: httpx.AsyncClient) -> None:
    await put_login(client, "ADM", "INNEN")
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200
    path = f"/{DATABASE}/user-anna"
    document = (await client.get(path, auth=ADMIN)).json()
    (await client.put(path, json={**document, "roles": ["ADM"]}, auth=ADMIN)).raise_for_status()
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200
    assert await roles_of(client) == ["ADM"]
    document = (await client.get(path, auth=ADMIN)).json()
    (await client.delete(path, params={"rev": document["_rev"]}, auth=ADMIN)).raise_for_status()
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 403


async def test_recorded_roles_are_in_both(client: httpx.AsyncClient, product: Product) -> None:
    await put_login(client, "ADM")
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200
    await product.identity.records.record_roles("anna", {Role.ADM, Role.GF}, "promoted")
    assert await roles_of(client) == ["ADM", "GF"]
    assert (await client.get(f"/{DATABASE}", auth=("anna", "pw"))).status_code == 200


async def test_what_a_device_is_refused_lies_on_the_quarantines_desk(client: httpx.AsyncClient) -> None:
    await put_login(client, "ADM")
    doc = {"_id": "supplier-1", "_rev": "1-a", "type": "supplier", "name": "Holz Meier"}
    push = {"docs": [doc], "new_edits": False}
    answer = await client.post(f"/{DATABASE}/_bulk_docs", json=push, auth=("anna", "pw"))
    assert [row["error"] for row in answer.json()] == ["forbidden"]
    listed = await client.get("/api/v1/quarantine", auth=("anna", "pw"))
    assert listed.status_code == 200
    assert "supplier-1" in listed.text


async def make_anew(client: httpx.AsyncClient) -> None:
    (await client.delete(f"/{DATABASE}", auth=ADMIN)).raise_for_status()
    (await client.put(f"/{DATABASE}", auth=ADMIN)).raise_for_status()
    security = {"members": {"roles": ["ADM", "GF"]}, "admins": {"roles": ["_admin"]}}
    (await client.put(f"/{DATABASE}/_security", json=security, auth=ADMIN)).raise_for_status()


async def test_a_database_that_is_made_anew_is_served(client: httpx.AsyncClient) -> None:
    await put_login(client, "ADM")
    anna = ("anna", "pw")
    old = {"type": "customer", "owner": "anna", "companyName": "old"}
    (await client.put(f"/{DATABASE}/customer-old", json=old, auth=ADMIN)).raise_for_status()
    assert len((await client.get(f"/{DATABASE}/_changes", auth=anna)).json()["results"]) > 1
    for _ in range(2):
        await make_anew(client)
        listed = await client.get(f"/{DATABASE}/_all_docs", auth=anna)
        assert listed.status_code == 200, listed.text
        ids = [row["id"] for row in listed.json()["rows"]]
        assert "user-anna" in ids
        assert not any(docid.startswith("customer-") for docid in ids)
        customer = f"customer-{UUID(int=1, version=4)}"
        mine = {"type": "customer", "owner": "anna", "createdBy": "anna", "modifiedBy": "anna", "version": 1}
        written = await client.put(f"/{DATABASE}/{customer}", json=mine, auth=anna)
        assert written.status_code == 201, written.text
        assert (await client.get(f"/{DATABASE}/{customer}", auth=anna)).status_code == 200
        doc = {"_id": "supplier-1", "_rev": "1-a", "type": "supplier"}
        push = {"docs": [doc], "new_edits": False}
        answer = await client.post(f"/{DATABASE}/_bulk_docs", json=push, auth=anna)
        assert [row["error"] for row in answer.json()] == ["forbidden"]
        assert "supplier-1" in (await client.get("/api/v1/quarantine", auth=anna)).text


async def test_nothing_is_remembered_of_the_database_before(client: httpx.AsyncClient) -> None:
    """Numbers of changes come again, and what they said then is somebody else's now."""
    await put_login(client, "ADM", "GF")
    anna = ("anna", "pw")
    secret = {"type": "customer_finance", "customerId": "customer-1", "creditLimit": 1}

    async def fill(roles: list[str]) -> None:
        user = {"type": "user", "name": "anna", "roles": roles, "active": True}
        (await client.put(f"/{DATABASE}/user-anna", json=user, auth=ADMIN)).raise_for_status()
        (await client.put(f"/{DATABASE}/secret", json=secret, auth=ADMIN)).raise_for_status()

    await make_anew(client)
    await fill(["ADM", "GF"])
    assert (await client.get(f"/{DATABASE}/secret", auth=anna)).status_code == 200
    assert (await client.get(f"/{DATABASE}", auth=anna)).json()["doc_count"] == 3  # with her card
    await make_anew(client)
    await fill(["ADM"])
    assert (await client.get(f"/{DATABASE}/secret", auth=anna)).status_code == 404
    assert (await client.get(f"/{DATABASE}", auth=anna)).json()["doc_count"] < 3


async def test_without_a_database_the_api_says_so(client: httpx.AsyncClient) -> None:
    await put_login(client, "ADM")
    (await client.delete(f"/{DATABASE}", auth=ADMIN)).raise_for_status()
    answer = await client.get("/api/v1/quarantine", auth=("anna", "pw"))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/metrics", auth=ADMIN)).status_code == 200


async def test_a_malformed_document_stops_nothing_else_of_a_push(client: httpx.AsyncClient) -> None:
    """PouchDB would send the whole batch again and again, and the device's work would never arrive."""
    await put_login(client, "ADM")
    anna = ("anna", "pw")
    (await client.get(f"/{DATABASE}", auth=anna)).raise_for_status()

    def customer(number: int, **more: Any) -> dict[str, Any]:
        own = {"type": "customer", "owner": "anna", "createdBy": "anna", "modifiedBy": "anna", "version": 1}
        rev = f"1-{number:032x}"
        return {"_id": f"customer-{UUID(int=number, version=4)}", "_rev": rev, **own, **more}

    good, cut, odd = customer(1), customer(2, companyName="Bäcker \ud83d"), customer(3, _odd=1)
    nameless = {name: member for name, member in customer(4).items() if name != "_rev"}
    docs = [
        {**customer(5), "_id": "_nothing"},
        {**customer(6), "_id": "customer-\udc00"},
        {**customer(7), "_id": 7},
        "no document",
        nameless,
        cut,
        odd,
        {**customer(8), "_attachments": {"a": 1}},
        good,
    ]
    content = json.dumps({"docs": docs, "new_edits": False})
    headers = {"content-type": "application/json"}
    for _ in range(2):
        answer = await client.post(f"/{DATABASE}/_bulk_docs", content=content, headers=headers, auth=anna)
        assert answer.status_code == 201, answer.text
        assert {row["error"] for row in answer.json()} == {"forbidden"}
        assert len(answer.json()) == len(docs) - 1
        assert good["_id"] not in answer.text
    assert (await client.get(f"/{DATABASE}/{good['_id']}", auth=anna)).status_code == 200
    # What can be read is kept, and its author is told.
    entries = (await client.get("/api/v1/quarantine", auth=anna)).json()["entries"]
    assert {entry["docId"] for entry in entries} == {cut["_id"], odd["_id"], customer(8)["_id"]}
    assert {entry["rule"] for entry in entries} == {"shape.malformed"}
    number = next(entry["id"] for entry in entries if entry["docId"] == cut["_id"])
    kept = (await client.get(f"/api/v1/quarantine/{number}", auth=anna)).json()["document"]
    assert kept["companyName"] == "Bäcker ?"
    # An edit of somebody who sees the answer is a bad request, as ever.
    answer = await client.post(
        f"/{DATABASE}/_bulk_docs", content=json.dumps({"docs": [cut]}), headers=headers, auth=anna
    )
    assert answer.status_code == 400


class Keycloak:
    """One that can't be asked, until it can."""

    def __init__(self) -> None:
        self.down = True
        self.users: list[KnownUser] = []

    def all(self) -> list[KnownUser]:
        if self.down:
            raise KeycloakError("secret-host:8443 refuses the connection")
        return self.users

    def one(self, user_id: str) -> KnownUser | None:
        return None

    def events(self) -> list[AdminEvent] | None:
        return []


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("nothing has happened in ten seconds")


@pytest.mark.alone("the process that leads follows Keycloak, and answers nobody")
async def test_a_keycloak_that_cannot_be_followed_shows(client: httpx.AsyncClient, product: Product) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    keycloak = Keycloak()
    product.identity.sync = sync = KeycloakSync(keycloak, product.identity.records, interval=0.01)
    following = asyncio.create_task(sync.run())
    try:
        await until(lambda: sync.failures > 1)
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["status"] == "ready"
        assert ready.json()["notes"] == ["Keycloak's users can't be followed: the server's log tells why."]
        assert "secret-host" not in ready.text
        figures = (await client.get("/metrics", auth=ADMIN)).text
        assert f"\nkompass_keycloak_failures_total {sync.failures}\n" in figures
        assert "\nkompass_keycloak_up 0\n" in figures
        keycloak.down = False
        await until(lambda: sync.last_error is None)
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        figures = (await client.get("/metrics", auth=ADMIN)).text
        assert "\nkompass_keycloak_up 1\n" in figures
        assert "\nkompass_keycloak_last_success_timestamp_seconds 1" in figures
    finally:
        following.cancel()


@pytest.mark.alone("the process that leads answers nobody")
async def test_notes_that_take_their_time_keep_nobody_waiting(
    client: httpx.AsyncClient, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "NOTES_SECONDS", 0.02)
    looked = 0
    free = threading.Event()

    def slowly() -> list[str]:
        nonlocal looked
        looked += 1
        assert free.wait(10)
        return ["late"]

    monkeypatch.setattr(product.feed, "notes", slowly)
    for _ in range(3):
        ready = await client.get("/readyz")
        assert (ready.status_code, len(ready.json()["notes"])) == (200, 1)
    assert looked == 1, "threads are few"
    monkeypatch.setattr(server, "NOTES_SECONDS", 10)
    free.set()
    assert (await client.get("/readyz")).json()["notes"] == ["late"]


async def test_the_server_estimates_what_a_device_holds(client: httpx.AsyncClient) -> None:
    for name in ("anna", "bert"):
        path = f"/_users/org.couchdb.user:{name}"
        user = {"name": name, "type": "user", "roles": ["ADM"], "password": "pw"}
        (await client.put(path, json=user, auth=ADMIN)).raise_for_status()
    for number in range(5):
        customer = {"type": "customer", "owner": "anna" if number else "bert"}
        path = f"/{DATABASE}/customer-{number}"
        (await client.put(path, json=customer, auth=ADMIN)).raise_for_status()
    login = await client.post("/api/v1/session", json={"name": "anna", "password": "pw"})
    client.cookies.clear()
    session = {"cookie": f"AuthSession={login.cookies['AuthSession']}"}

    async def estimated() -> int | None:
        (device,) = (await client.get("/api/v1/devices", headers=session)).json()["devices"]
        single = (await client.get(f"/api/v1/devices/{device['id']}", headers=session)).json()
        everybody = (await client.get("/api/v1/devices?all=true", auth=ADMIN)).json()["devices"]
        number: int | None = device["documents_estimated"]
        assert single["documents_estimated"] == number
        assert [one["documents_estimated"] for one in everybody if one["id"] == device["id"]] == [number]
        return number

    async def note(docid: str, **members: Any) -> None:
        path = f"/{DATABASE}/_local/{docid}"
        before = await client.get(path, headers=session)
        rev = {"_rev": before.json()["_rev"]} if before.status_code == 200 else {}
        (await client.put(path, json={**members, **rev}, headers=session)).raise_for_status()

    assert await estimated() is None
    await note("pushes", last_seq=77)
    await note("elsewhere", last_seq="12-another0epoch")
    assert await estimated() is None
    rows = (await client.get(f"/{DATABASE}/_changes", headers=session)).json()["results"]
    for read in (1, len(rows) - 1, len(rows)):
        await note("pulls", last_seq=rows[read - 1]["seq"])
        assert await estimated() == read
    # What has changed since isn't held as it is now; what is deleted isn't held at all.
    changed = (await client.get(f"/{DATABASE}/customer-2", auth=ADMIN)).json()
    (
        await client.put(f"/{DATABASE}/customer-2", json={**changed, "phone": "1"}, auth=ADMIN)
    ).raise_for_status()
    gone = (await client.get(f"/{DATABASE}/customer-3", auth=ADMIN)).json()
    (await client.delete(f"/{DATABASE}/customer-3?rev={gone['_rev']}", auth=ADMIN)).raise_for_status()
    held = await estimated()
    assert held is not None
    # Each customer has a card that everybody in sales sees.
    assert len(rows) - 5 < held < len(rows)
    await note("pulls", last_seq="0")
    await note("pulls", last_seq=rows[0]["seq"])
    assert await estimated() == 1


async def test_erasures_are_looked_at_again_after_whatever_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full once: nobody was erased any more until the server was started again."""
    looks = []
    again = asyncio.Event()

    async def follow(privacy: Privacy) -> list[str]:
        looks.append(privacy)
        if len(looks) == 1:
            raise OSError(errno.ENOSPC, "full")
        again.set()
        return []

    monkeypatch.setattr(serving, "RESUMED_EVERY", 0.01)
    monkeypatch.setattr(Privacy, "follow", follow)
    async with running_product(tmp_path / "data", ADMIN):
        await asyncio.wait_for(again.wait(), 10)
