"""Electronic invoices over REST: what becomes of them, once, and what is kept of them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.test_documents import (
    ADDRESS,
    ANNA,
    BUCH,
    GF,
    client,
    company,
    product,
    settings,
    store,
)
from tests.api.test_printing import made
from tests.einvoices import samples
from tests.identity.conftest import put_user

__all__ = ["client", "company", "product", "settings", "store"]

pytestmark = pytest.mark.slow

INGE = ("inge", "pw")
URL = "/api/v1/supplier-invoices/import"
ANY = {"if-match": "*"}
XML, PDF = {"content-type": "application/xml"}, {"content-type": "application/pdf"}


@pytest.fixture
async def supplier(client: httpx.AsyncClient, company: None) -> str:
    """His id."""
    await put_user(client, "inge", "INNEN")
    one = await made(
        client,
        "suppliers",
        companyName="Holz & Söhne GmbH",
        vatNumber=samples.VAT,
        email="info@holz.example",
        phone="0224433112",
        billingAddress=ADDRESS,
        supplierType="material_supplier",
        serviceCategories=["Holz"],
        serviceDescription="Liefert Bretter und Platten aus heimischen Hölzern.",
        status="PendingApproval",
        accountManagerId="chef",
    )
    return str(one["_id"])


async def sent(client: httpx.AsyncClient, data: bytes, auth: Any = INGE, **params: Any) -> httpx.Response:
    headers = PDF if data.startswith(b"%PDF") else XML
    return await client.post(URL, content=data, headers=headers, auth=auth, params=params)


async def test_an_invoice_waits_for_approval_with_its_original(
    client: httpx.AsyncClient, supplier: str
) -> None:
    data = samples.zugferd()
    dry = await sent(client, data, dryRun="true")
    assert (dry.status_code, dry.json()["id"], dry.json()["supplierId"]) == (200, None, supplier), dry.text
    assert dry.json()["read"]["grossEur"] == "208.46"
    assert [one["name"] for one in dry.json()["read"]["lines"]] == ["Bretter <Eiche>", "Schrauben", "Bücher"]
    account, order = dry.json()["notes"]
    assert (samples.IBAN in account, "PO-2026-00007" in order) == (True, True)
    answer = await sent(client, data)
    assert answer.status_code == 201, answer.text
    stored = (await client.get(answer.headers["location"], auth=BUCH)).json()
    assert answer.headers["etag"] == f'"{stored["_rev"]}"'
    wanted = {"supplierId": supplier, "invoiceNumber": "RE-2026-0815", "invoiceDate": "2026-11-03"}
    wanted |= {"dueDate": "2026-12-03", "status": "Pending", "createdBy": "inge", "pdfUrl": "rechnung.pdf"}
    wanted |= {"payeeIban": samples.IBAN}
    assert {name: stored[name] for name in wanted} == wanted
    assert (stored["subtotalEur"], stored["taxAmountEur"], stored["totalEur"]) == (178, 30.46, 208.46)
    kept = await client.get(f"{answer.headers['location']}/attachments/rechnung.pdf", auth=BUCH)
    assert (kept.content, kept.headers["content-type"]) == (data, "application/pdf")
    url = f"{answer.headers['location']}/attachments/rechnung.pdf"
    other = await client.put(url, content=b"%PDF-1.7", headers={**PDF, **ANY}, auth=INGE)
    gone = await client.delete(url, headers=ANY, auth=GF)
    assert (other.status_code, gone.status_code) == (409, 409), "the original stays"


async def test_an_account_that_changed_is_told_to_who_approves(
    client: httpx.AsyncClient, supplier: str
) -> None:
    first = await sent(client, samples.xml())
    step = await client.post(f"{first.headers['location']}/actions/approve", auth=GF, headers=ANY)
    assert step.status_code == 200, step.text
    known = await sent(client, samples.xml(changed={"BT-1": "RE-2"}))
    other = "DE02500105170137075030"
    forged = await sent(client, samples.xml(changed={"BT-1": "RE-3", "BT-84": other}))
    assert (known.status_code, forged.status_code) == (201, 201)
    notes = [(await client.get(one.headers["location"], auth=GF)).json()["notes"] for one in (known, forged)]
    assert [f"Andere Bankverbindung als bisher: {other}" in one for one in notes] == [False, True]


async def test_a_credit_note_is_approved_with_its_invoice(client: httpx.AsyncClient, supplier: str) -> None:
    credit = await sent(client, samples.xml("ubl-2.1", changed={"BT-3": "381", "BG-3": [{"BT-25": "RE-1"}]}))
    assert (credit.status_code, credit.json()["read"]["kind"]) == (201, "381"), credit.text
    url = credit.headers["location"]
    stored = (await client.get(url, auth=GF)).json()
    assert (stored["totalEur"], stored["taxAmountEur"]) == (-208.46, -30.46)
    assert "Gutschrift zu Rechnung RE-1" in stored["notes"]
    alone = await client.post(f"{url}/actions/approve", auth=INGE, headers=ANY)
    assert alone.status_code == 403, "accounting approves what was ordered by nobody"
    assert (await client.post(f"{url}/actions/approve", auth=BUCH, headers=ANY)).status_code == 200


async def test_no_invoice_comes_twice(client: httpx.AsyncClient, supplier: str) -> None:
    data = samples.xrechnung()
    both = await asyncio.gather(sent(client, data), sent(client, data, GF))
    assert sorted(one.status_code for one in both) == [201, 409]
    (first,) = [one for one in both if one.status_code == 201]
    again = await sent(client, data)
    assert (again.status_code, again.json()["rule"]) == (409, "einvoice.file")
    assert again.json()["id"] == first.json()["id"]
    other = await sent(client, samples.xml("factur-x"))
    assert (other.status_code, other.json()["rule"]) == (409, "einvoice.number")
    assert len((await client.get("/api/v1/supplier-invoices", auth=GF)).json()["items"]) == 1


async def test_one_that_was_deleted_comes_again(client: httpx.AsyncClient, supplier: str) -> None:
    data = samples.xml()
    first = await sent(client, data)
    url = first.headers["location"]
    assert (await client.delete(url, auth=GF, headers={"if-match": "*"})).status_code == 204
    again = await sent(client, data)
    assert again.status_code == 201, again.text
    kept = await client.get(f"{again.headers['location']}/attachments/rechnung.xml", auth=GF)
    assert kept.content == data
    assert (await sent(client, data, GF)).json()["rule"] == "einvoice.file"


async def test_its_order_is_found_by_number(client: httpx.AsyncClient, supplier: str) -> None:
    active = {"if-match": "*"}
    on = await client.post(f"/api/v1/suppliers/{supplier}/actions/activate", auth=GF, headers=active)
    assert on.status_code == 200, on.text
    items = [{"description": "Bretter", "quantity": 2, "unitPriceEur": 50}]
    order = await made(client, "purchase-orders", supplierId=supplier, status="draft", lineItems=items)
    ask = f"/api/v1/purchase-orders/{order['_id']}/actions"
    for step in ("request-approval", "approve"):
        taken = await client.post(f"{ask}/{step}", auth=GF, headers=active)
        if taken.json().get("orderNumber"):
            break
    number = taken.json()["orderNumber"]
    answer = await sent(client, samples.xml(changed={"BT-13": number}))
    assert (answer.status_code, answer.json()["purchaseOrderId"]) == (201, order["_id"]), answer.text
    assert [one for one in answer.json()["notes"] if "order" in one] == []
    stored = (await client.get(answer.headers["location"], auth=GF)).json()
    assert stored["purchaseOrderId"] == order["_id"]


async def test_what_cannot_be_taken_leaves_nothing_behind(client: httpx.AsyncClient, supplier: str) -> None:
    german = {**XML, "accept-language": "de"}
    below = samples.xml(changed={"BT-3": "381", **samples.BELOW_0})
    credit = await client.post(URL, content=below, headers=german, auth=INGE)
    assert (credit.status_code, "Gutschrift" in credit.json()["detail"]) == (422, True)
    wrong = await sent(client, samples.xml(changed={"BT-112": "209.00"}))
    assert (wrong.status_code, wrong.json()["rule"]) == (422, "einvoice.unfit")
    assert "/BT-112" in [one["pointer"] for one in wrong.json()["errors"]]
    stranger = samples.xml(changed={"BG-4": samples.party("Fremd KG", "DE111111111")})
    unknown = await sent(client, stranger)
    assert (unknown.status_code, unknown.json()["suppliers"]) == (422, [])
    assert (await sent(client, stranger, supplierId="supplier-none")).status_code == 422
    assert (await sent(client, b"<x/>")).json()["rule"] == "einvoice.kind"
    assert (await sent(client, samples.xml(), dryRun="maybe")).status_code == 400
    text = {"content-type": "text/plain"}
    assert (await client.post(URL, content=b"x", headers=text, auth=INGE)).status_code == 415
    assert (await client.post(URL, content=samples.xml(), headers=XML)).status_code == 401
    assert (await client.get("/api/v1/supplier-invoices", auth=GF)).json()["items"] == []
    named = await sent(client, stranger, supplierId=supplier)
    assert named.status_code == 201, named.text


async def test_who_may_not_write_invoices_imports_none(client: httpx.AsyncClient, supplier: str) -> None:
    seller = await sent(client, samples.xml(), ANNA)
    assert (seller.status_code, seller.json()["rule"]) == (422, "einvoice.supplier")
    accountant = await sent(client, samples.xml(), BUCH)
    assert accountant.status_code == 403, accountant.text
    assert (await client.get("/api/v1/supplier-invoices", auth=GF)).json()["items"] == []
