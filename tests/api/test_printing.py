"""Offers, contracts and expense sheets as PDF over REST: who gets them, and what is kept of them."""

from __future__ import annotations

import asyncio
import io
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from kompass.printing.content import Content
from kompass.printing.typesetter import Typesetter
from kompass.resources import gathering, lists
from kompass.sync.personal import PersonalDatabase
from tests.api.test_documents import (
    ANNA,
    BERT,
    GF,
    client,
    company,
    create,
    product,
    settings,
    store,
)

__all__ = ["client", "company", "product", "settings", "store"]

pytestmark = pytest.mark.slow

ANY = {"if-match": "*"}


async def made(client: httpx.AsyncClient, kind: str, auth: Any = GF, **sent: Any) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/{kind}", json=sent, auth=auth)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def an_offer(client: httpx.AsyncClient, **members: Any) -> str:
    """Its address; Anna's customer's."""
    customer = await create(client, "Hofladen Süß")
    of_it = {"customerId": customer["_id"]}
    opportunity = await made(client, "opportunities", title="Laden", owner="anna", status="new", **of_it)
    today = (await client.get("/api/v1/customers", auth=GF)).json()["items"][0]["createdAt"][:10]
    offer = await made(
        client,
        "offers",
        **of_it,
        opportunityId=opportunity["_id"],
        status="draft",
        offerDate=today,
        validUntil=f"{int(today[:4]) + 1}{today[4:8]}01",
        lineItems=[{"description": "Regal #1", "quantity": 2, "unit": "Stück", "unitPriceEur": 1500}],
        **members,
    )
    return f"/api/v1/offers/{offer['_id']}"


def text(pdf: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf), strict=True).pages)


async def test_an_offer_is_printed_for_its_readers_and_archived_once(client: httpx.AsyncClient) -> None:
    url = await an_offer(client)
    draft = await client.get(f"{url}/pdf", auth=ANNA)
    assert (draft.status_code, draft.headers["content-type"]) == (200, "application/pdf"), draft.text
    assert "filename*=UTF-8''Angebot.pdf" in draft.headers["content-disposition"]
    assert draft.headers["content-security-policy"] == "sandbox"
    for words in ("ENTWURF", "Hofladen Süß", "Regal #1", "3.570,00"):
        assert words in text(draft.content)
    assert (await client.get(f"{url}/pdf", auth=BERT)).status_code == 404
    assert (await client.get(f"{url}/pdf")).status_code == 401
    early = await client.post(f"{url}/archive", auth=GF, headers=ANY)
    assert (early.status_code, "sent" in early.json()["detail"]) == (409, True)
    sent = await client.post(f"{url}/actions/send", auth=GF, headers=ANY)
    assert sent.status_code == 200, sent.text
    number = sent.json()["offerNumber"]
    printed = await client.get(f"{url}/pdf", auth=GF)
    assert "ENTWURF" not in text(printed.content)
    assert f"Angebot {number}" in text(printed.content)
    again = await client.get(
        f"{url}/pdf", auth=ANNA, headers={"if-none-match": f"W/{printed.headers['etag']}"}
    )
    assert again.status_code == 304
    assert (await client.post(f"{url}/archive", auth=GF)).status_code == 428
    refused = await client.post(f"{url}/archive", auth=BERT, headers=ANY)
    assert refused.status_code == 404
    pdf = {**ANY, "content-type": "application/pdf"}
    forged = await client.put(f"{url}/attachments/{number}.pdf", content=b"%PDF", auth=GF, headers=pdf)
    assert (forged.status_code, "archive" in forged.json()["detail"]) == (409, True)
    at_once = [client.post(f"{url}/archive", auth=GF, headers=ANY) for _ in range(3)]
    kept, *others = sorted(await asyncio.gather(*at_once), key=lambda one: -one.status_code)
    assert (kept.status_code, kept.json()["name"]) == (201, f"{number}.pdf"), kept.text
    assert [(one.status_code, one.json()) for one in others] == [(200, kept.json())] * 2
    stored = await client.get(f"{url}/attachments/{number}.pdf", auth=ANNA)
    assert stored.content == printed.content
    twice = await client.post(f"{url}/archive", auth=GF, headers=ANY)
    assert (twice.status_code, twice.json()) == (200, kept.json())
    rewritten = await client.put(f"{url}/attachments/{number}.pdf", content=b"%PDF", auth=GF, headers=pdf)
    assert rewritten.status_code in (403, 409), rewritten.text
    gone = await client.delete(f"{url}/attachments/{number}.pdf", auth=GF, headers=ANY)
    assert gone.status_code in (403, 409), gone.text
    more = await client.put(f"{url}/attachments/more.pdf", content=b"%PDF", auth=GF, headers=pdf)
    assert more.status_code in (403, 409), more.text


async def test_whichever_is_there_is_archived_though_somebody_changes_it_meanwhile(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await an_offer(client)
    sent = await client.post(f"{url}/actions/send", auth=GF, headers=ANY)
    printed, steps = Typesetter.print, ["view", "accept"]

    async def beside(typesetter: Typesetter, content: Content) -> bytes:
        pdf = await printed(typesetter, content)
        if steps:
            taken = await client.post(f"{url}/actions/{steps.pop(0)}", auth=GF, headers=ANY)
            assert taken.status_code == 200, taken.text
        return pdf

    monkeypatch.setattr(Typesetter, "print", beside)
    as_read = {"if-match": f'"{sent.json()["_rev"]}"'}
    assert (await client.post(f"{url}/archive", auth=GF, headers=as_read)).status_code == 412
    kept = await client.post(f"{url}/archive", auth=GF, headers=ANY)
    assert kept.status_code == 201, kept.text
    assert (await client.get(url, auth=GF)).json()["status"] == "accepted"


async def test_a_contract_is_archived_as_it_was_signed(client: httpx.AsyncClient) -> None:
    offer = await an_offer(client)
    for step in ("send", "accept"):
        taken = await client.post(f"{offer}/actions/{step}", auth=GF, headers=ANY)
        assert taken.status_code == 200, taken.text
    (draft,) = (await client.get("/api/v1/contracts", auth=GF)).json()["items"]
    url = f"/api/v1/contracts/{draft['_id']}"
    await client.post(f"{url}/actions/request-signature", auth=GF, headers=ANY)
    early = await client.post(f"{url}/archive", auth=GF, headers=ANY)
    assert (early.status_code, "signed" in early.json()["detail"]) == (409, True), "it may still change"
    await client.patch(url, json={"terms": "Andere Bedingungen"}, auth=GF, headers=ANY)
    signed = {"signedPdfUrl": "https://docs.example/vertrag.pdf"}
    await client.post(f"{url}/actions/sign", json=signed, auth=GF, headers=ANY)
    kept = await client.post(f"{url}/archive", auth=GF, headers=ANY)
    assert kept.status_code == 201, kept.text
    stored = await client.get(f"{url}/attachments/{kept.json()['name']}", auth=GF)
    assert "Andere Bedingungen" in text(stored.content)


async def test_a_sign_that_no_font_has_is_a_problem_of_the_document(client: httpx.AsyncClient) -> None:
    url = await an_offer(client, terms="Grüße 日本")
    answer = await client.get(f"{url}/pdf", auth=GF)
    assert (answer.status_code, "U+65E5" in answer.json()["detail"]) == (422, True)


async def test_a_tour_has_an_expense_sheet_for_those_who_read_it(client: httpx.AsyncClient) -> None:
    day = (await create(client))["createdAt"][:10]
    tour = await made(
        client, "tours", ANNA, title="Eifel", ownerId="anna", status="planned", startDate=day, endDate=day
    )
    common = {"tourId": tour["_id"], "expenseDate": day, "status": "draft"}
    await made(client, "expenses", ANNA, title="Essen mit Kunde", category="meal", amount=19.9, **common)
    url = f"/api/v1/tours/{tour['_id']}/expense-sheet"
    sheet = await client.get(url, auth=ANNA)
    assert sheet.status_code == 200, sheet.text
    for words in ("Eifel", "Essen mit Kunde", "19,90", "Entwurf"):
        assert words in text(sheet.content)
    assert (await client.get(url, auth=BERT)).status_code == 404
    assert (await client.post(f"/api/v1/tours/{tour['_id']}/archive", auth=GF)).status_code == 404


async def test_an_expense_whose_day_is_changed_just_then_is_on_the_sheet_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = (await create(client))["createdAt"][:10]
    tour = await made(
        client, "tours", ANNA, title="Eifel", ownerId="anna", status="planned", startDate=day, endDate=day
    )
    common = {"tourId": tour["_id"], "category": "meal", "status": "draft"}
    days = [(date.fromisoformat(day) - timedelta(days=ago)).isoformat() for ago in range(5)]
    titles = ("Essen", "Kaffee", "Brot")
    there = [
        await made(client, "expenses", ANNA, title=title, amount=19.9, expenseDate=days[ago], **common)
        for title, ago in zip(titles, (3, 2, 1), strict=True)
    ]
    read, edits = lists.page, iter([(there[0], days[0]), (there[2], days[4])])

    async def edited_then(view: PersonalDatabase, question: lists.Question, cursor: str | None = None) -> Any:
        found = await read(view, question, cursor)
        if question.resource.type == "expense" and (edit := next(edits, None)):
            url = f"/api/v1/expenses/{edit[0]['_id']}"
            moved = {"expenseDate": edit[1]}
            done = await client.patch(url, json=moved, auth=ANNA, headers={"if-match": "*"})
            assert done.status_code == 200, done.text
        return found

    monkeypatch.setattr(lists, "page", edited_then)
    monkeypatch.setattr(gathering, "_PAGE", 1)
    sheet = text((await client.get(f"/api/v1/tours/{tour['_id']}/expense-sheet", auth=ANNA)).content)
    assert [sheet.count(title) for title in titles] == [1, 1, 1]
