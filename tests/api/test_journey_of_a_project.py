"""From a sold offer to a closed project: PLAN works, partly without a network, GF approves, BUCH pays; and in
the end the totals of the project are those of its sources.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kompass.domain.derivations import HOURLY_RATE
from kompass.domain.examples import smallest
from kompass.domain.money import cents
from tests.api.test_documents import BUCH, GF, client, company, create, product, settings, store
from tests.api.test_printing import made
from tests.identity.conftest import put_user

__all__ = ["client", "company", "product", "settings", "store"]

pytestmark = pytest.mark.slow

PAUL, INGE = ("paul", "pw"), ("inge", "pw")
Auth = tuple[str, str]


async def acted(client: httpx.AsyncClient, auth: Auth, kind: str, docid: str, step: str, **sent: Any) -> Any:
    """The document after a step, or the problem."""
    url = f"/api/v1/{kind}/{docid}/actions/{step}"
    return await client.post(url, json=sent, auth=auth, headers={"if-match": "*"})


async def took(client: httpx.AsyncClient, auth: Auth, kind: str, docid: str, *steps: str, **sent: Any) -> Any:
    """The same, of steps that have to be taken."""
    for step in steps:
        answer = await acted(client, auth, kind, docid, step, **sent)
        assert answer.status_code == 200, (step, answer.text)
    return answer.json()


async def every(client: httpx.AsyncClient, kind: str, **where: str) -> list[dict[str, Any]]:
    """All that the accountant reads."""
    answer = await client.get(f"/api/v1/{kind}", params={**where, "limit": 200}, auth=BUCH)
    assert (answer.status_code, answer.json()["next"]) == (200, None), answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def pushed(client: httpx.AsyncClient, auth: Auth, *docs: dict[str, Any]) -> list[dict[str, Any]]:
    """What a device that comes back replicates, and which of it is refused."""
    body = {"docs": list(docs), "new_edits": False}
    answer = await client.post("/kompass/_bulk_docs", json=body, auth=auth)
    assert answer.status_code == 201, answer.text
    refused: list[dict[str, Any]] = answer.json()
    return refused


def edited(doc: dict[str, Any], author: str, **members: Any) -> dict[str, Any]:
    """A device's next version of a document; of a new one the first."""
    start, _, before = doc.get("_rev", "0-").partition("-")
    name, number = uuid4().hex, int(start) + 1
    ids = [name, before] if before else [name]
    kept = {key: value for key, value in doc.items() if key not in ("_attachments", "_revisions")}
    marks = {"modifiedBy": author, "version": doc.get("version", 0) + 1}
    return {
        **kept,
        **marks,
        **members,
        "_rev": f"{number}-{name}",
        "_revisions": {"start": number, "ids": ids},
    }


async def sold(client: httpx.AsyncClient, today: date) -> str:
    """The id of a signed contract."""
    customer = await create(client, "Hofladen Süß")
    of_it = {"customerId": customer["_id"]}
    opportunity = await made(client, "opportunities", title="Laden", owner="anna", status="new", **of_it)
    lines = [{"description": "Regale", "quantity": 4, "unit": "Stück", "unitPriceEur": 1250}]
    offer = await made(
        client,
        "offers",
        INGE,
        **of_it,
        opportunityId=opportunity["_id"],
        status="draft",
        offerDate=today.isoformat(),
        validUntil=(today + timedelta(days=30)).isoformat(),
        lineItems=lines,
    )
    accepted = await took(client, INGE, "offers", offer["_id"], "send", "accept")
    contract = str(accepted["contractId"])
    await took(client, GF, "contracts", contract, "sign", signedPdfUrl="https://docs.example/vertrag.pdf")
    return contract


async def spent(client: httpx.AsyncClient, project: str, today: date) -> None:
    """Material and a contractor: PLAN plans, GF orders, PLAN receives it with its invoice, BUCH pays."""
    for number, kind, quantity, price in ((1, "material", 3, 49.99), (2, "contractor", 1, 900)):
        cost = await made(
            client,
            "project-costs",
            PAUL,
            projectId=project,
            costType=kind,
            description="Für den Laden in Rode",
            supplierName="Holz & Söhne",
            quantity=quantity,
            unitPriceEur=price,
            taxRate=0.19,
            status="planned",
        )
        docid = cost["_id"]
        own = await acted(client, PAUL, "project-costs", docid, "order")
        assert own.status_code == 403, own.text  # who has entered it doesn't approve it
        await took(client, GF, "project-costs", docid, "order")
        await took(client, PAUL, "project-costs", docid, "receive")
        invoice = {"invoiceNumber": f"R-{number}", "invoiceDate": today.isoformat()}
        pdf = "https://docs.example/rechnung.pdf"
        await took(client, PAUL, "project-costs", docid, "invoice", invoicePdfUrl=pdf, **invoice)
        assert (await acted(client, PAUL, "project-costs", docid, "pay")).status_code == 403
        paid = await took(client, BUCH, "project-costs", docid, "pay", paymentReference=f"SEPA-{number}")
        assert (paid["status"], paid["modifiedBy"]) == ("paid", "buch")


async def worked(client: httpx.AsyncClient, project: str, now: datetime) -> None:
    """Two days of work, entered without a network; one of them GF takes back first."""
    entries = []
    for days, minutes in ((3, 475), (2, 50)):
        start = now - timedelta(days=days)
        blank = {**smallest("time_entry"), "_id": f"time-entry-{uuid4()}", "projectId": project}
        blank |= {"userId": "paul", "createdBy": "paul", "isManualEntry": True, "status": "in_progress"}
        blank |= {"taskDescription": "Regale aufgebaut", "startTime": stamp(start), "endTime": None}
        blank |= {"createdAt": stamp(start), "modifiedAt": stamp(start), "version": 0}
        first = edited(blank, "paul")
        end = stamp(start + timedelta(minutes=minutes))
        entries += [first, edited(first, "paul", status="completed", endTime=end)]
    assert await pushed(client, PAUL, *entries) == []
    stored = {one["_id"]: one for one in await every(client, "time-entries", projectId=project)}
    assert [one["status"] for one in stored.values()] == ["completed"] * 2
    # On his device he approves them himself: refused when it arrives, and nothing counts.
    mine = [edited(one, "paul", status="approved") for one in stored.values()]
    assert len(await pushed(client, PAUL, *mine)) == 2
    assert (await totals(client, project))["actualLaborCost"] == 0
    first_id, second_id = stored
    assert (await acted(client, PAUL, "time-entries", first_id, "approve")).status_code == 403
    assert (await acted(client, BUCH, "time-entries", first_id, "approve")).status_code == 403
    await took(client, GF, "time-entries", first_id, "approve")
    # Meanwhile the other one was taken back: an approval that knew nothing of it changes nothing.
    why = "Bitte die Pause abziehen."
    await took(client, GF, "time-entries", second_id, "reject", rejectionReason=why)
    stale = edited(stored[second_id], "chef", status="approved")
    await pushed(client, GF, stale)
    read = await client.get(f"/api/v1/time-entries/{second_id}", auth=GF)
    assert read.json()["status"] == "rejected"
    await took(client, PAUL, "time-entries", second_id, "complete")
    await took(client, GF, "time-entries", second_id, "approve")


async def driven(client: httpx.AsyncClient, project: str, today: date) -> None:
    """What it cost to get there."""
    expense = await made(
        client,
        "expenses",
        PAUL,
        title="Parken in Rode",
        category="parking",
        amount=12.5,
        expenseDate=today.isoformat(),
        projectId=project,
        status="draft",
    )
    submitted = await took(client, PAUL, "expenses", expense["_id"], "submit")
    if submitted["status"] == "submitted":  # small ones are approved at once
        await took(client, GF, "expenses", expense["_id"], "approve")
    await took(client, BUCH, "expenses", expense["_id"], "pay", paymentReference="SEPA-3")


async def totals(client: httpx.AsyncClient, project: str) -> dict[str, Any]:
    (found,) = await every(client, "project-actual-costs", projectId=project)
    return found


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def test_from_an_order_to_a_closed_project(client: httpx.AsyncClient) -> None:
    for name, role in (("paul", "PLAN"), ("inge", "INNEN")):
        await put_user(client, name, role)
        assert (await client.get("/kompass", auth=(name, "pw"))).status_code == 200
    now = datetime.now(UTC)
    today = now.date()
    contract = await sold(client, today)
    customer = (await client.get(f"/api/v1/contracts/{contract}", auth=GF)).json()["customerId"]
    project = await made(
        client,
        "projects",
        PAUL,
        name="Laden Rode",
        customerId=customer,
        contractId=contract,
        projectManagerId="paul",
        status="planning",
        startDate=(today - timedelta(days=7)).isoformat(),
        budget=2000,
    )
    assert project["projectNumber"]
    docid = project["_id"]
    assert (await client.get(f"/api/v1/contracts/{contract}", auth=GF)).json()["status"] == "active"
    await took(client, PAUL, "projects", docid, "start")
    await spent(client, docid, today)
    await worked(client, docid, now)
    await driven(client, docid, today)
    early = await acted(client, PAUL, "projects", docid, "complete")
    assert (early.status_code, early.json()["errors"][0]["pointer"]) == (422, "/actualEndDate")
    await took(client, PAUL, "projects", docid, "complete", actualEndDate=today.isoformat())

    costs = await every(client, "project-costs", projectId=docid)
    entries = await every(client, "time-entries", projectId=docid)
    expenses = await every(client, "expenses", projectId=docid)
    assert {one["status"] for one in (*costs, *expenses)} == {"paid"}
    assert {one["status"] for one in entries} == {"approved"}
    material, contractors = (
        sum(Decimal(str(one["totalNetEur"])) for one in costs if one["costType"] == kind)
        for kind in ("material", "contractor")
    )
    labour = sum(cents(Decimal(one["durationMinutes"]) / 60 * HOURLY_RATE) for one in entries)
    travel = sum(Decimal(str(one["amount"])) for one in expenses)
    assert (material, contractors, labour, travel) == tuple(map(Decimal, ("149.97", "900", "437.50", "12.5")))
    found = await totals(client, docid)
    said = {
        "actualMaterialCost": material,
        "actualSubcontractorCost": contractors,
        "actualLaborCost": labour,
        "actualExpensesCost": travel,
        "actualTotalCost": material + contractors + labour + travel,
    }
    assert {name: Decimal(str(found[name])) for name in said} == said
    assert found["budgetStatus"] == "OnTrack"
    # What his device has by now says the same.
    synced = await client.get(f"/kompass/{found['_id']}", auth=PAUL)
    assert synced.json()["actualTotalCost"] == found["actualTotalCost"]
    late = await acted(
        client, GF, "time-entries", entries[0]["_id"], "reject", rejectionReason="Zu spät, oder?"
    )
    assert late.status_code in (403, 409), late.text
