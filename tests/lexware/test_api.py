"""Over REST: who may, runs, files."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from kompass.server import Product
from tests.identity.conftest import put_user

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server", timeout=60) as client:
        for name, role in (("buch1", "BUCH"), ("innen1", "INNEN"), ("gf1", "GF")):
            await put_user(client, name, role)
            await client.get("/kompass", auth=(name, "pw"))
        yield client


async def test_the_accounts_export_and_fetch(client: httpx.AsyncClient) -> None:
    buch = ("buch1", "pw")
    wish = {"kind": "contracts"}
    would = await client.post("/api/v1/lexware/exports", json={**wish, "dryRun": True}, auth=buch)
    assert (would.status_code, would.json()["run"], would.json()["rows"]) == (200, None, 3)
    made = await client.post("/api/v1/lexware/exports", json=wish, auth=buch)
    assert made.status_code == 201, made.text
    run = made.json()["run"]
    assert (run["state"], run["target"], run["person"], run["rows"]) == ("delivered", "download", "buch1", 3)
    file = await client.get(f"/api/v1/lexware/exports/{run['num']}/file", auth=buch)
    assert len(file.content) == run["bytes"]
    assert file.content.decode("utf-8-sig").splitlines()[1].startswith("C-2026-0000")
    listed = await client.get("/api/v1/lexware/exports", params={"limit": 1}, auth=buch)
    assert [one["num"] for one in listed.json()["runs"]] == [run["num"]]
    again = await client.post("/api/v1/lexware/exports", json=wish, auth=buch)
    assert again.json()["run"]["state"] == "nothing"
    gone = await client.get(f"/api/v1/lexware/exports/{again.json()['run']['num']}/file", auth=buch)
    assert gone.status_code == 404


@pytest.mark.parametrize("name", ["innen1", "nobody"])
async def test_nobody_else_may(client: httpx.AsyncClient, name: str) -> None:
    asked = [
        await client.post("/api/v1/lexware/exports", json={"kind": "contracts"}, auth=(name, "pw")),
        await client.get("/api/v1/lexware/exports", auth=(name, "pw")),
        await client.get("/api/v1/lexware/exports/1/file", auth=(name, "pw")),
    ]
    assert {one.status_code for one in asked} == {403 if name == "innen1" else 401}


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"kind": "invoices"}, 422),
        ({"kind": "contracts", "again": 4711}, 422),
        ({"kind": "contracts", "again": 1, "ids": ["contract-1"]}, 422),
        ({"kind": "contracts", "ids": []}, 422),
        ({"kind": "contracts", "since": "yesterday"}, 422),
    ],
)
async def test_what_can_not_be_is_refused(
    client: httpx.AsyncClient, wish: dict[str, object], status: int
) -> None:
    refused = await client.post("/api/v1/lexware/exports", json=wish, auth=("buch1", "pw"))
    assert refused.status_code == status, refused.text
    assert refused.json()["detail"]
