"""What a server administrator may do to the operational database as a whole, and what he may not.

Its chain of writes stays, and says what he has done.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from kompass.audit.inspecting import inspect, opened
from kompass.business import BusinessRules
from kompass.server import Product
from kompass.sync.opening import DATABASE
from kompass.sync.serving import Sync
from tests.business.documents import docid, offer, opportunity
from tests.product import running_product
from tests.sync.gate_world import customer, customer_body

ADMIN = ("chef", "streng-geheim")
GF = ("gf1", "pw")
COMPANY = {
    "createdAt": "2026-03-01T08:00:00.000Z",
    "billingAddress": {"street": "Hauptstraße", "zipCode": "53894", "city": "Rode", "country": "Deutschland"},
}
TODAY = datetime.now(UTC).date()
DATES = {"offerDate": TODAY.isoformat(), "validUntil": (TODAY + timedelta(days=60)).isoformat()}
HOLD = {"legalHold": True, "legalHoldReason": "Verfahren vor dem Landgericht"}


@pytest.fixture
async def product(tmp_path: Path) -> AsyncIterator[Product]:
    directory = tmp_path / "data"
    async with running_product(directory, ADMIN, sync=partial(Sync, business=BusinessRules())) as product:
        yield product


@pytest.fixture
async def client(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    """As an administrator, in a company that has sent an offer and holds a customer."""
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server", auth=ADMIN) as client:
        for name, role in ((GF[0], "GF"), ("adm1", "ADM")):
            login = {"name": name, "type": "user", "roles": [role], "password": "pw"}
            (await client.put(f"/_users/org.couchdb.user:{name}", json=login)).raise_for_status()
            (await client.get(f"/{DATABASE}", auth=(name, "pw"))).raise_for_status()
        await save(client, customer(1), {**customer_body("gf1"), **COMPANY, "owner": "adm1"})
        await save(client, customer(1), HOLD)
        await save(client, docid("opportunity", 1), opportunity())
        await save(client, docid("offer", 1), offer(**DATES))
        await save(client, docid("offer", 1), {"status": "sent"})
        yield client


async def save(client: httpx.AsyncClient, docid: str, members: dict[str, Any]) -> None:
    """Management writes or changes a document, online."""
    there = await client.get(f"/{DATABASE}/{docid}", auth=GF)
    before = there.json() if there.status_code == 200 else {}
    body = {**before, **members, "modifiedBy": "gf1", "version": before.get("version", 0) + 1}
    answer = await client.put(f"/{DATABASE}/{docid}", json=body, auth=GF)
    assert answer.status_code == 201, answer.text


async def stored(client: httpx.AsyncClient, docid: str) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get(f"/{DATABASE}/{docid}")).raise_for_status().json()
    return body


def chain(product: Product) -> list[dict[str, Any]]:
    """The entries, after making sure that they and the documents say the same."""
    with opened(product.sync.file) as connection:
        report = inspect(connection, product.sync.keys.public)
        assert report.findings == []
        rows: Any = connection.execute("SELECT text FROM audit_entries ORDER BY num").fetchall()
    return [orjson.loads(text) for (text,) in rows]


@pytest.mark.parametrize("path", ["/kompass", "/kompass/", "/%6bompass", "/kompass?rev="])
async def test_the_database_is_not_deleted_over_http(
    client: httpx.AsyncClient, product: Product, path: str
) -> None:
    before = len(chain(product))
    for answer in (
        await client.delete(path),
        await client.post(path, headers={"x-http-method-override": "DELETE"}, json={}),
    ):
        if "?" in path:
            assert answer.status_code == 400
            continue
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
        assert "chain of writes" in answer.json()["reason"]
        assert "docs/audit.md" in answer.json()["reason"]
    entries = chain(product)
    refused = [entry for entry in entries[before:] if entry["action"] == "REJECTED"]
    assert [(entry["document"], entry["rule"], entry["who"]) for entry in refused] == (
        [] if "?" in path else [("_database", "drop", "chef")] * 2
    )
    assert (await client.delete(f"/{DATABASE}", auth=GF)).status_code == 401
    assert (await stored(client, customer(1)))["legalHold"] is True


async def test_limits_and_compaction_leave_the_chain_whole(
    client: httpx.AsyncClient, product: Product
) -> None:
    (await client.put(f"/{DATABASE}/_revs_limit", content="1")).raise_for_status()
    (await client.put(f"/{DATABASE}/_purged_infos_limit", content="1")).raise_for_status()
    for number in range(3):
        await save(client, docid("opportunity", 1), {"title": f"Ladenbau {number}"})
    json = {"content-type": "application/json"}
    (await client.post(f"/{DATABASE}/_compact", headers=json)).raise_for_status()
    (await client.post(f"/{DATABASE}/_view_cleanup", headers=json)).raise_for_status()
    purged = {name: [(await stored(client, name))["_rev"]] for name in (docid("opportunity", 1),)}
    answer = await client.post(f"/{DATABASE}/_purge", json=purged)
    assert answer.json()["purged"] == purged
    for name in (docid("offer", 1), customer(1)):
        revs = {name: [(await stored(client, name))["_rev"]]}
        assert (await client.post(f"/{DATABASE}/_purge", json=revs)).status_code == 403
    entries = chain(product)
    changed = [entry for entry in entries if entry["document"] == docid("opportunity", 1)]
    titles = [entry for entry in changed if "title" in entry.get("changes", {})]
    assert len(titles) == 3
    assert entries[-1]["action"] == "REJECTED"


async def test_who_may_use_the_database_is_in_the_chain(client: httpx.AsyncClient, product: Product) -> None:
    before = (await client.get(f"/{DATABASE}/_security")).json()
    wider = {**before, "members": {"names": ["gast"], "roles": ["GF"]}}
    (await client.put(f"/{DATABASE}/_security", json=wider)).raise_for_status()
    entry = chain(product)[-1]
    assert (entry["action"], entry["document"], entry["who"]) == ("SECURITY", "_database", "chef")
    assert list(entry["changes"]) == ["members"]
    assert (await client.get("/api/v1/audit", params={"document": "_database"}, auth=GF)).status_code == 200


async def test_no_replication_brings_what_is_final_or_held_down(
    client: httpx.AsyncClient, product: Product
) -> None:
    """An administrator makes a database of his own, forges documents in it, and replicates them."""
    kept = {name: await stored(client, name) for name in (docid("offer", 1), customer(1))}
    (await client.put("/forged")).raise_for_status()
    forged = []
    for name, members in ((docid("offer", 1), {"taxRate": 0.07}), (customer(1), {"legalHold": False})):
        body = (await client.get(f"/{DATABASE}/{name}", params={"revs": "true"})).json()
        revs = body.pop("_revisions")
        start, ids = revs["start"] + 1, ["0" * 31 + "1", *revs["ids"]]
        forged.append(
            {
                **body,
                **members,
                "_rev": f"{start}-{ids[0]}",
                "_revisions": {"start": start, "ids": ids},
            }
        )
        forged.append({"_id": name, "_rev": "99-" + "f" * 32, "type": body["type"], "status": "draft"})
        forged.append(
            {
                "_id": name,
                "_rev": f"{start}-{'e' * 32}",
                "_deleted": True,
                "_revisions": {"start": start, "ids": ["e" * 32, *revs["ids"]]},
            }
        )
    answer = await client.post("/forged/_bulk_docs", json={"docs": forged, "new_edits": False})
    answer.raise_for_status()
    job = {"source": "forged", "target": DATABASE}
    done = (await client.post("/_replicate", json=job, timeout=60)).json()
    assert done["history"][0]["doc_write_failures"] == len(forged), done
    assert {name: await stored(client, name) for name in kept} == kept
    refused = [entry for entry in chain(product) if entry["door"] == "replicator"]
    assert [entry["action"] for entry in refused] == ["REJECTED"] * len(forged)


async def test_the_database_of_a_demo_may_be_deleted(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    async with running_product(directory, ADMIN, sync=partial(Sync, disposable=True)) as product:
        transport = httpx.ASGITransport(product)
        async with httpx.AsyncClient(transport=transport, base_url="http://server", auth=ADMIN) as client:
            (await client.delete(f"/{DATABASE}")).raise_for_status()
            assert (await client.get("/readyz")).status_code == 503


async def test_what_a_validation_function_refuses_is_in_the_chain(
    client: httpx.AsyncClient, product: Product
) -> None:
    function = "function (doc, old, user) { if (doc.type == 'supplier') throw({forbidden: 'nicht so'}); }"
    design = {"_id": "_design/rules", "validate_doc_update": function}
    (await client.put(f"/{DATABASE}/_design/rules", json=design)).raise_for_status()
    ids = [f"supplier-{uuid.uuid4()}" for _ in range(2)]
    docs = [{"_id": ids[n], "type": kind} for n, kind in enumerate(("supplier", "contact"))]
    answer = (await client.post(f"/{DATABASE}/_bulk_docs", json={"docs": docs})).json()
    assert [row.get("error") for row in answer] == ["forbidden", None]
    (entry,) = [one for one in chain(product) if one["document"] == ids[0]]
    assert (entry["action"], entry["rule"], entry["who"], entry["door"]) == (
        "REJECTED",
        "validation",
        "chef",
        "admin",
    )
    again = {**(await stored(client, ids[1])), "_rev": "1-" + "0" * 32}
    assert (await client.put(f"/{DATABASE}/{ids[1]}", json=again)).status_code == 409
    entry = chain(product)[-1]
    assert (entry["action"], entry["rule"], entry["document"]) == ("REJECTED", "conflict", ids[1])


async def test_a_copy_brings_no_number_along(client: httpx.AsyncClient, product: Product) -> None:
    copy = {"destination": customer(2)}
    answer = await client.request("COPY", f"/{DATABASE}/{customer(1)}", headers=copy)
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert "given to another document" in answer.json()["reason"]
    assert chain(product)[-1]["action"] == "REJECTED"
