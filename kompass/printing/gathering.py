"""What belongs to a printed document, as somebody sees it: nothing stands on paper that he may not read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kompass.access.companions import companion_id
from kompass.printing.content import Body, Content, Parties
from kompass.printing.expense_sheets import expense_sheet
from kompass.printing.offers import contract, offer
from kompass.resources.gathering import STABLE, gather
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext

MOST = 1000
"""Receipts, journeys and nights of a tour, each."""


async def offer_content(view: PersonalDatabase, body: Body) -> Content:
    return offer(body, await _parties(view, body, [body.get("createdBy")]))


async def contract_content(view: PersonalDatabase, body: Body) -> Content:
    source = await _document(view, body.get("offerId"), "offer")
    return contract(body, source, await _parties(view, body, [body.get("projectManagerId")]))


async def expense_sheet_content(view: PersonalDatabase, body: Body) -> Content:
    """Raises `TooMany`."""
    of_tour = [("tourId", str(body["_id"]))]
    expenses, journeys, nights = [
        sorted(await gather(view, name, STABLE, of_tour, most=MOST), key=lambda one: str(one.get(day, "")))
        for name, day in (
            ("expenses", "expenseDate"),
            ("mileage-logs", "date"),
            ("hotel-stays", "checkInDate"),
        )
    ]
    people = await _people(view, [body.get("ownerId")])
    return expense_sheet(body, expenses, journeys, nights, Parties(people=people))


async def _parties(view: PersonalDatabase, body: Body, people: Iterable[object]) -> Parties:
    customer = await _document(view, body.get("customerId"), "customer")
    if customer is None and isinstance(body.get("customerId"), str):
        card = companion_id("customer_card", str(body["customerId"]))
        customer = await _document(view, card, "customer_card")
    contact = await _document(view, body.get("contactPersonId"), "contact")
    return Parties(customer, contact, await _people(view, people))


async def _document(view: PersonalDatabase, docid: object, doctype: str) -> dict[str, Any] | None:
    """A document that somebody sees; None for one that he doesn't."""
    if not isinstance(docid, str) or not docid or docid.startswith("_"):
        return None
    found = await view.winner(docid)
    if found is None or found.deleted:
        return None
    body: dict[str, Any] = jsontext.decode(found.text)
    return body if body.get("type") == doctype else None


async def _people(view: PersonalDatabase, names: Iterable[object]) -> dict[str, str]:
    """User names -> what they are called."""
    found: dict[str, str] = {}
    for name in names:
        if isinstance(name, str) and name:
            for card in await gather(view, "user-cards", "userName", [("userName", name)], most=MOST):
                if isinstance(card.get("displayName"), str):
                    found[name] = card["displayName"]
    return found
