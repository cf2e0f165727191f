from __future__ import annotations

import pytest

from kompass.access.audiences import AUDIENCES
from kompass.access.companions import (
    BASE_FIELD,
    BASE_OF,
    CARDS,
    COMPANIONS_OF,
    cards,
    companion_id,
    expected_fields,
    split,
)
from kompass.access.fields import BELONGS
from kompass.access.table import COMPANIONS, SERVER_WRITTEN

ID = "customer-11111111-2222-4333-8444-555555555555"
CUSTOMER = {
    "_id": ID,
    "_rev": "3-a",
    "type": "customer",
    "createdBy": "adm1",
    "createdAt": "2026-01-01T00:00:00.000Z",
    "modifiedBy": "innen1",
    "modifiedAt": "2026-01-02T00:00:00.000Z",
    "version": 3,
    "companyName": "Hofladen Süß",
    "vatNumber": "DE123456789",
    "owner": "adm1",
    "creditLimit": 5000,
    "paymentTerms": "30 Tage netto",
    "lastVisitDate": "2026-01-01",
}


def test_every_companion_and_card_is_a_type() -> None:
    assert BASE_OF.keys() <= AUDIENCES.keys()
    assert BASE_OF.keys() <= SERVER_WRITTEN | COMPANIONS
    assert BASE_OF.keys() >= COMPANIONS
    assert {doctype for doctype in AUDIENCES if doctype.endswith("_card")} == {c.type for c in CARDS.values()}


def test_no_card_repeats_a_restricted_field() -> None:
    for base, card in CARDS.items():
        assert BELONGS.get(base, {}).keys().isdisjoint(card.fields)
    assert {"contractValue", "budget"}.isdisjoint(CARDS["project"].fields)
    assert "roles" not in CARDS["user"].fields


def test_ids_follow_from_the_base() -> None:
    assert companion_id("customer_card", ID) == "customer-card-11111111-2222-4333-8444-555555555555"
    odd = companion_id("customer_card", "K-1")
    assert odd == companion_id("customer_card", "K-1")
    assert odd != companion_id("customer_card", "K-2")
    assert companion_id("project_costs", ID) != companion_id("project_cost", ID)


def test_a_card_repeats_the_basic_part_and_no_history() -> None:
    assert cards(CUSTOMER) == [
        {
            "_id": companion_id("customer_card", ID),
            "type": "customer_card",
            "customerId": ID,
            "companyName": "Hofladen Süß",
        }
    ]


def test_a_card_stays_the_same_when_only_other_fields_change() -> None:
    changed = CUSTOMER | {
        "owner": "adm2",
        "version": 4,
        "modifiedAt": "2026-02-01T00:00:00.000Z",
        "rating": "A",
    }
    assert cards(changed) == cards(CUSTOMER)


@pytest.mark.parametrize(("status", "paid"), [("paid", True), ("partial_paid", False), (None, False)])
def test_an_invoice_card_says_whether_it_is_paid(status: str | None, paid: bool) -> None:
    invoice = {"_id": "invoice-1", "type": "invoice", "customerId": ID, "status": status, "grossAmount": 1}
    (card,) = cards(invoice)
    assert card == {
        "_id": card["_id"],
        "type": "invoice_card",
        "invoiceId": "invoice-1",
        "customerId": ID,
        "paid": paid,
    }


@pytest.mark.parametrize("doctype", CARDS)
def test_cards_have_only_expected_fields(doctype: str) -> None:
    full = {"_id": f"{doctype}-1", "type": doctype} | dict.fromkeys(CARDS[doctype].fields, "x") | {"more": 1}
    (card,) = cards(full)
    assert card.keys() - {"_id", "type"} <= expected_fields(card["type"])
    assert card[BASE_FIELD[card["type"]]] == full["_id"]


def test_no_cards_of_what_has_none() -> None:
    assert cards({"_id": "x", "type": "lead"}) == cards({"type": "customer"}) == cards({}) == []
    assert cards(CUSTOMER | {"_deleted": True}) == []


def test_a_whole_object_is_divided() -> None:
    base, companions = split(CUSTOMER)
    assert base.keys() == CUSTOMER.keys() - {"creditLimit", "paymentTerms", "lastVisitDate"}
    finance, visit = companions
    assert finance["type"] == "customer_finance"
    assert (finance["creditLimit"], finance["customerId"]) == (5000, ID)
    assert finance["_id"] == companion_id("customer_finance", ID)
    assert finance["createdBy"] == "adm1"
    assert "_rev" not in finance
    assert visit.keys() - finance.keys() == {"lastVisitDate"}


def test_nothing_is_divided_where_nothing_is_restricted() -> None:
    lead = {"_id": "lead-1", "type": "lead", "companyName": "x"}
    assert split(lead) == (lead, [])
    assert COMPANIONS_OF["customer"] == ("customer_finance", "customer_visit")


@pytest.mark.parametrize("doctype", [doctype for types in COMPANIONS_OF.values() for doctype in types])
def test_companions_expect_their_fields(doctype: str) -> None:
    fields = expected_fields(doctype)
    assert BASE_FIELD[doctype] in fields
    assert len(fields) > 1
    assert expected_fields("lead") == frozenset()
