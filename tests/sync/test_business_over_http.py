"""The rules of the business as people meet them over HTTP: the turn of the year, and conflicts about what has
become final meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from kompass.business import BusinessRules
from kompass.business.numbers import problems
from kompass.domain.series import SeriesTable
from kompass.server import Product
from kompass.sync.opening import DATABASE
from kompass.sync.serving import Sync
from tests.product import running_product
from tests.sync.gate_world import Clock

ADMIN = ("chef", "streng-geheim")
GF, OFFICE, SALESMAN = ("gf1", "pw"), ("innen1", "pw"), ("adm1", "pw")
PEOPLE = {"gf1": "GF", "innen1": "INNEN", "adm1": "ADM"}
ADDRESS = {"street": "Hauptstraße", "zipCode": "53894", "city": "Rode", "country": "Deutschland"}


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = datetime(2026, 12, 31, 21, 0, tzinfo=UTC)
    return clock


@pytest.fixture
async def product(tmp_path: Path, clock: Clock) -> AsyncIterator[Product]:
    directory = tmp_path / "data"
    sync = partial(Sync, business=BusinessRules(), now=clock)
    async with running_product(directory, ADMIN, sync=sync) as product:
        yield product


@pytest.fixture
async def client(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        for name, role in PEOPLE.items():
            login = {"name": name, "type": "user", "roles": [role], "password": "pw"}
            (await client.put(f"/_users/org.couchdb.user:{name}", json=login, auth=ADMIN)).raise_for_status()
            (await client.get(f"/{DATABASE}", auth=(name, "pw"))).raise_for_status()
        yield client


def docid(prefix: str, number: int) -> str:
    return f"{prefix}-{UUID(int=number, version=4)}"


async def read(client: httpx.AsyncClient, docid: str) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get(f"/{DATABASE}/{docid}", auth=GF)).raise_for_status().json()
    return body


async def save(
    client: httpx.AsyncClient, clock: Clock, docid: str, who: tuple[str, str] = GF, **members: Any
) -> dict[str, Any]:
    """Somebody writes or changes a document online; as it is stored then."""
    there = await client.get(f"/{DATABASE}/{docid}", auth=who)
    new = {"createdBy": who[0], "createdAt": stamp(clock)}
    before: dict[str, Any] = there.json() if there.status_code == 200 else new
    version = before.get("version", 0) + 1
    body = {**before, "modifiedBy": who[0], "modifiedAt": stamp(clock), "version": version, **members}
    answer = await client.put(f"/{DATABASE}/{docid}", json=body, auth=who)
    assert answer.status_code == 201, answer.text
    return await read(client, docid)


def stamp(clock: Clock) -> str:
    return clock.now.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def has_sale(client: httpx.AsyncClient, clock: Clock) -> None:
    company: dict[str, Any] = {
        "type": "customer",
        "companyName": "Hofladen Rode",
        "owner": "adm1",
        "billingAddress": ADDRESS,
    }
    await save(client, clock, docid("customer", 1), **company)
    sale: dict[str, Any] = {
        "type": "opportunity",
        "customerId": docid("customer", 1),
        "title": "Ladenbau",
        "owner": "adm1",
    }
    await save(
        client,
        clock,
        docid("opportunity", 1),
        **sale,
        status="negotiation",
        probability=75,
        estimatedValue=1000,
    )


def draft(day: date) -> dict[str, Any]:
    line = {"position": 1, "description": "Regal", "quantity": 1, "unit": "piece", "unitPriceEur": 100}
    return {
        "type": "offer",
        "customerId": docid("customer", 1),
        "opportunityId": docid("opportunity", 1),
        "status": "draft",
        "lineItems": [line],
        "taxRate": 0.19,
        "offerDate": day.isoformat(),
        "validUntil": (day + timedelta(days=60)).isoformat(),
    }


# -- the turn of the year ------------------------------------------------------------------------


async def test_numbers_begin_anew_with_the_german_year(
    client: httpx.AsyncClient, product: Product, clock: Clock
) -> None:
    """Offers of one evening: what counts is when the server gives the number, not what the document says."""
    await has_sale(client, clock)
    for number in range(1, 6):
        await save(client, clock, docid("offer", number), **draft(clock.now.date()))
    times = [
        datetime(2026, 12, 31, 22, 0, tzinfo=UTC),
        datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 0, tzinfo=UTC),  # midnight in Germany
        datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime(2027, 1, 4, 9, 0, tzinfo=UTC),
    ]
    given = []
    for number, now in enumerate(times, 1):
        clock.now = now
        sent = await save(client, clock, docid("offer", number), status="sent")
        given.append(sent["offerNumber"])
        assert sent["immutableAt"].startswith(now.strftime("%Y-%m-%dT%H:%M:%S"))
    assert given == ["A-2026-00001", "A-2026-00002", "A-2027-00001", "A-2027-00002", "A-2027-00003"]
    # A series without a year goes on.
    second: dict[str, Any] = {"companyName": "Bäckerei Lind", "owner": "adm1", "billingAddress": ADDRESS}
    made = await save(client, clock, docid("customer", 2), type="customer", **second)
    assert made["customerNumber"] == "K-00002"
    # An old offer keeps its number, and nobody brings one of the old year in.
    kept = await save(client, clock, docid("offer", 1), notes="Kunde hat angerufen")
    assert kept["offerNumber"] == "A-2026-00001"
    stolen = {**draft(date(2026, 12, 31)), "status": "sent", "offerNumber": "A-2026-00002"}
    answer = await client.put(f"/{DATABASE}/{docid('offer', 9)}", json=stolen, auth=ADMIN)
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    gate = product.sync.gate()
    with gate.database.reading() as reading:
        assert list(problems(reading, SeriesTable())) == []


# -- conflicts about what is final meanwhile -----------------------------------------------------


async def clash(client: httpx.AsyncClient, clock: Clock) -> str:
    """The salesman renames a customer on the road, the office at its desk; returns the conflict's id."""
    await has_sale(client, clock)
    customer = docid("customer", 1)
    known = (await client.get(f"/{DATABASE}/{customer}?revs=true", auth=SALESMAN)).json()
    path = known.pop("_revisions")
    await save(client, clock, customer, OFFICE, companyName="Hofladen Rode KG")
    mine = {name: value for name, value in known.items() if name[:1] != "_"} | {
        "companyName": "Rode & Söhne",
        "modifiedBy": "adm1",
        "version": known["version"] + 1,
    }
    doc = {
        **mine,
        "_id": customer,
        "_rev": f"{path['start'] + 1}-{'ab' * 16}",
        "_revisions": {"start": path["start"] + 1, "ids": ["ab" * 16, *path["ids"]]},
    }
    push = {"docs": [doc], "new_edits": False}
    answer = await client.post(f"/{DATABASE}/_bulk_docs", json=push, auth=SALESMAN)
    assert answer.json() == []
    listed = (await client.get("/api/v1/conflicts", auth=SALESMAN)).json()["conflicts"]
    (one,) = listed
    assert [field["path"] for field in one["fields"]] == ["companyName"]
    return str(one["id"])


async def invoiced(client: httpx.AsyncClient) -> None:
    """The accounting's invoice comes: what the customer is called on it is final."""
    invoice = {
        "type": "invoice",
        "customerId": docid("customer", 1),
        "status": "sent",
        "invoiceNumber": "R-2026-00001",
    }
    (await client.put(f"/{DATABASE}/{docid('invoice', 1)}", json=invoice, auth=ADMIN)).raise_for_status()


@pytest.mark.parametrize("who", [SALESMAN, GF])
@pytest.mark.parametrize(
    "decision",
    [
        {"strategy": "local"},
        {"strategy": "manual", "fields": {"companyName": "mine"}},
        {"strategy": "manual", "fields": {"companyName": {"value": "Rode Verwaltungs-GmbH"}}},
        {"strategy": "manual", "resolvedData": {"companyName": "Rode Verwaltungs-GmbH"}},
    ],
)
async def test_resolving_a_conflict_changes_nothing_that_is_final(
    client: httpx.AsyncClient, clock: Clock, who: tuple[str, str], decision: dict[str, Any]
) -> None:
    conflict = await clash(client, clock)
    await invoiced(client)
    before = await read(client, docid("customer", 1))
    assert (before["companyName"], before["finalized"]) == ("Hofladen Rode KG", True)
    answer = await client.post(f"/api/v1/conflicts/{conflict}/resolve", json=decision, auth=who)
    assert answer.status_code in (403, 409), answer.text
    assert "companyName" in answer.text
    ids = {"ids": [conflict], **decision}
    several = await client.post("/api/v1/conflicts/resolve", json=ids, auth=who)
    if several.status_code == 200:
        assert [one.get("status") for one in several.json()["results"]] == [answer.status_code]
    assert await read(client, docid("customer", 1)) == before
    left = (await client.get("/api/v1/conflicts", auth=who)).json()["conflicts"]
    assert [one["id"] for one in left] == [conflict]
    # What stands is still a decision.
    answer = await client.post(f"/api/v1/conflicts/{conflict}/resolve", json={"strategy": "server"}, auth=who)
    assert answer.status_code == 200, answer.text
    after = await read(client, docid("customer", 1))
    assert after["companyName"] == "Hofladen Rode KG"
    assert after["immutableHash"] == before["immutableHash"]


async def test_resolving_smuggles_no_frozen_field_in(client: httpx.AsyncClient, clock: Clock) -> None:
    """Not even one that the conflict isn't about, nor a correction without its being one."""
    conflict = await clash(client, clock)
    await invoiced(client)
    before = await read(client, docid("customer", 1))
    for data in (
        {"companyName": "Hofladen Rode KG", "vatNumber": "DE123456789"},
        {"companyName": "Rode & Söhne", "correctionReason": "So heißt er wirklich"},
        {"companyName": "Rode & Söhne", "finalized": False, "immutableHash": "0" * 64},
    ):
        decision = {"strategy": "manual", "resolvedData": data}
        answer = await client.post(f"/api/v1/conflicts/{conflict}/resolve", json=decision, auth=GF)
        assert answer.status_code in (403, 409, 422), answer.text
        assert await read(client, docid("customer", 1)) == before
