"""Over REST: who may, runs, files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from kompass.server import Product
from tests.identity.conftest import put_user
from tests.lexware.arriving import payments, row
from tests.lexware.world import docid, get, invoice, put

LOGINS: dict[str, Any] = {"innen1": ("innen1", "pw"), "nobody": None}
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


async def test_the_accounts_send_a_file_and_settle_what_did_not_fit(
    product: Product, client: httpx.AsyncClient
) -> None:
    await put(product, *invoice(30))
    buch = ("buch1", "pw")
    data = payments(row(30, "19,00"), "RE-12;K-1;02.11.2026;100,00;;")
    address = "/api/v1/lexware/imports"
    csv = {"content-type": "text/csv", "accept-language": "de"}
    would = await client.post(f"{address}?dryRun=true&name=a.csv", content=data, headers=csv, auth=buch)
    assert (would.status_code, would.json()["outcomes"]) == (200, {"partial": 1, "unknown": 1})
    assert (await get(product, docid("invoice", 30)))["status"] == "sent"
    taken = await client.post(f"{address}?name=a.csv", content=data, headers=csv, auth=buch)
    assert taken.json() == would.json()
    assert "gibt es nicht" in taken.json()["problems"][0]["detail"]
    broken = await client.post(address, content=b"Name\n", headers=csv, auth=buch)
    assert (broken.status_code, broken.json()["report"]["state"]) == (422, "refused")
    (listed, *_) = (await client.get(address, auth=buch)).json()["files"][::-1]
    shown = await client.get(f"{address}/{listed['num']}", auth=buch)
    assert (listed["name"], shown.json()["report"]["sums"]["applied"]) == ("a.csv", "19.00")
    wrong = (await client.get("/api/v1/lexware/errors?entity=payment", auth=buch)).json()["errors"]
    (error,) = [one for one in wrong if one["source"] == "a.csv"]
    assert (error["errorType"], error["line"], error["detail"]["rest"]) == ("NotFoundError", 3, "100.00")
    settle = f"/api/v1/lexware/errors/{error['id']}/resolution"
    none = await client.post(settle, json={"action": "ignore"}, auth=buch)
    assert none.status_code == 422
    done = await client.post(settle, json={"action": "assign", "invoice": "R-2026-00030"}, auth=buch)
    assert (done.status_code, done.json()["resolvedBy"]) == (200, "buch1")
    assert (await get(product, docid("invoice", 30)))["status"] == "paid"
    chain = await client.get("/api/v1/audit", params={"document": docid("invoice", 30)}, auth=("gf1", "pw"))
    latest = chain.json()["entries"][0]
    assert (latest["who"], latest["door"]) == ("buch1", "rest"), latest
    again = await client.post(settle, json={"action": "assign", "invoice": "R-2026-00030"}, auth=buch)
    assert again.status_code == 409
    entries = (await client.get("/api/v1/audit", auth=("gf1", "pw"))).json()["entries"]
    settled = [(one["who"], one["rule"], one["fields"]) for one in entries if one["action"] == "SETTLE"]
    assert settled == [("buch1", "lexware.assign", [str(error["id"])])]
    verified = await client.get("/api/v1/audit/verification", auth=("gf1", "pw"))
    assert verified.json()["findings"] == []
    assert (await client.post(f"{address}/poll", auth=buch)).status_code == 503, "no folder is set"


@pytest.mark.parametrize("name", LOGINS)
async def test_nobody_else_may(client: httpx.AsyncClient, name: str) -> None:
    asked = [
        await client.post("/api/v1/lexware/exports", json={"kind": "contracts"}, auth=LOGINS[name]),
        await client.get("/api/v1/lexware/exports", auth=LOGINS[name]),
        await client.get("/api/v1/lexware/exports/1/file", auth=LOGINS[name]),
        await client.post("/api/v1/lexware/imports", content=b"x", auth=LOGINS[name]),
        await client.post("/api/v1/lexware/imports/poll", auth=LOGINS[name]),
        await client.get("/api/v1/lexware/errors", auth=LOGINS[name]),
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
