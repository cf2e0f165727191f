"""Copies, erasures, consents and tickets over REST: who gets what."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

import httpx
import pytest

from tests.privacy.world import ACTIVITY, LAST, OPPORTUNITY, populated
from tests.sync.gate_world import World, contact, customer

PATH = "/api/v1/privacy"


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await populated(tmp_path)
    yield world
    await world.close()


def of(user: str) -> Any:
    return httpx.BasicAuth(user, "pw")


def wish(**more: Any) -> dict[str, Any]:
    return {"reason": "Antrag nach Art. 17 DSGVO", **more}


async def test_a_copy_has_everything_about_him_and_nobody_else(
    client: httpx.AsyncClient, world: World
) -> None:
    answer = await client.get(f"{PATH}/subjects/{contact(1)}/export", auth=of("gf1"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    names = set(archive.namelist())
    assert {f"documents/{docid}.json" for docid in (contact(1), ACTIVITY, OPPORTUNITY)} <= names
    assert f"attachments/{ACTIVITY}/memo" in names
    assert archive.read(f"attachments/{ACTIVITY}/memo") == b"Visitenkarte-4711"
    assert f"documents/{customer(1)}.json" not in names
    own = json.loads(archive.read(f"documents/{contact(1)}.json"))
    assert own["lastName"] == LAST
    assert "estimatedValue" not in json.loads(archive.read(f"documents/{OPPORTUNITY}.json"))
    assert len(json.loads(archive.read(f"history/{contact(1)}.json"))) > 2
    assert any(one["document"] == contact(1) for one in json.loads(archive.read("quarantine.json")))
    assert any("values" in one for one in json.loads(archive.read("audit.json")))
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["leftOut"]["another person's or company's record"] >= 1


async def test_only_management_copies_and_erases(client: httpx.AsyncClient) -> None:
    for user in ("adm1", "innen1", "buch1", "admin"):
        answer = await client.get(f"{PATH}/subjects/{contact(1)}/export", auth=of(user))
        assert answer.status_code == 403
        answer = await client.post(f"{PATH}/subjects/{contact(1)}/erasure", json=wish(), auth=of(user))
        assert answer.status_code == 403
    nobody = f"{PATH}/subjects/nobody"
    assert (await client.get(f"{nobody}/export", auth=of("gf1"))).status_code == 404
    assert (await client.post(f"{nobody}/erasure", json=wish(), auth=of("gf1"))).status_code == 404
    short = await client.post(f"{PATH}/subjects/{contact(1)}/erasure", json={"reason": "x"}, auth=of("gf1"))
    assert short.status_code == 422


async def test_an_erasure_and_its_ticket(client: httpx.AsyncClient, world: World) -> None:
    url = f"{PATH}/subjects/{contact(1)}/erasure"
    await client.put(f"{PATH}/consumers/search", auth=of("admin"))
    dry = await client.post(url, json=wish(dryRun=True), auth=of("gf1"))
    assert dry.status_code == 200
    assert contact(1) in {one["id"] for one in dry.json()["documents"]}
    assert (await world.live(contact(1)))["lastName"] == LAST
    done = await client.post(url, json=wish(), auth=of("gf1"))
    assert done.status_code == 200, done.text
    ticket = done.json()["ticket"]
    assert (await client.post(url, json=wish(), auth=of("gf1"))).status_code == 409

    (told,) = (await client.get(f"{PATH}/tickets", auth=of("gf1"))).json()["tickets"]
    assert (told["kind"], told["subject"], told["waitingFor"]) == ("erasure", contact(1), ["search"])
    (mine,) = (await client.get(f"{PATH}/tickets", auth=of("adm1"))).json()["tickets"]
    winner = await world.winner(contact(1))
    assert winner is not None
    assert {"id": contact(1), "cleanFrom": winner.rev} in mine["documents"]
    # Who doesn't see the documents isn't told of them.
    (others,) = (await client.get(f"{PATH}/tickets", auth=of("adm2"))).json()["tickets"]
    assert [one["id"].partition("-0")[0] for one in others["documents"]] == ["opportunity-card"]
    assert "subject" not in others

    ack = f"{PATH}/tickets/{ticket}/acknowledge"
    assert (await client.post(ack, json={}, auth=of("adm1"))).status_code == 204
    assert (await client.get(f"{PATH}/tickets", auth=of("adm1"))).json()["tickets"] == []
    assert (await client.post(ack, json={"consumer": "search"}, auth=of("adm1"))).status_code == 403
    assert (await client.post(ack, json={"consumer": "search"}, auth=of("admin"))).status_code == 204
    (told,) = (await client.get(f"{PATH}/tickets", auth=of("gf1"))).json()["tickets"]
    assert told["waitingFor"] == []
    assert (await client.post(f"{PATH}/tickets/99/acknowledge", json={}, auth=of("adm1"))).status_code == 404


async def test_consent_has_a_history_and_its_withdrawal_a_ticket(
    client: httpx.AsyncClient, world: World
) -> None:
    body = await world.body(customer(1))
    assert body is not None
    consent = {"marketing": True, "aiProcessing": True, "dataSharing": False, "wording": "2026-01"}
    await world.put(customer(1), {**body, "dsgvoConsent": consent})
    await world.put(customer(1), {**body, "dsgvoConsent": {**consent, "aiProcessing": False}})
    answer = await client.get(f"{PATH}/subjects/{customer(1)}/consents", auth=of("adm1"))
    rows = [(one["purpose"], one["granted"], one["wording"]) for one in answer.json()["consents"]]
    assert rows == [
        ("marketing", True, "2026-01"),
        ("aiProcessing", True, "2026-01"),
        ("aiProcessing", False, "2026-01"),
    ]
    assert (await client.get(f"{PATH}/subjects/{customer(1)}/consents", auth=of("adm2"))).status_code == 404
    (ticket,) = (await client.get(f"{PATH}/tickets", auth=of("gf1"))).json()["tickets"]
    assert (ticket["kind"], ticket["purpose"], ticket["subject"]) == (
        "withdrawal",
        "aiProcessing",
        customer(1),
    )
