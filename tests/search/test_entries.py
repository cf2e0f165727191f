"""Documents as an index has them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.access.audiences import NoParents
from kompass.access.channels import document_channels
from kompass.access.companions import cards
from kompass.demo.generate import generate
from kompass.feed.sink import Change
from kompass.search.catalogue import SEARCHED
from kompass.search.entries import Entry, entry
from kompass.settings_values import DemoSize


def made(doc: dict[str, Any]) -> Entry | None:
    return entry(Change(str(doc.get("_id", "x")), 7, "1-a", doc, frozenset({"all:x"})))


CUSTOMER = {
    "_id": "customer-1",
    "type": "customer",
    "companyName": "Hofladen Müller GmbH",
    "customerNumber": "K-00012",
    "billingAddress": {"street": "Hauptstr.", "streetNumber": "5", "zipCode": "76137", "city": "Karlsruhe"},
    "owner": "adm1",
    "rating": "A",
    "customerType": "retail",
    "modifiedAt": "2026-11-02T08:00:00Z",
    "creditLimit": 123456,
}


def test_a_customer() -> None:
    found = made(CUSTOMER)
    assert found is not None
    assert found.title == "hofladen muller gmbh"
    assert "hauptstrasse" in found.strong
    assert {"k00012", "00012", "76137"} <= found.codes
    assert found.facets == {
        "type": "customer", "owner": "adm1", "rating": "A", "customerType": "retail",
        "customerId": "customer-1",
    }  # fmt: skip
    assert found.primary
    assert found.modified == 1793606400
    assert "=12345600" not in found.codes, "a companion's field counts in the companion alone"


def test_a_card_stands_for_its_customer() -> None:
    (card,) = cards(CUSTOMER)
    found = made(card)
    assert found is not None
    assert (found.base, found.primary) == ("customer-1", False)
    assert found.facets == {"type": "customer", "customerType": "retail", "customerId": "customer-1"}


def test_a_companion_stands_for_its_base() -> None:
    doc = {
        "_id": "invoice-amount-1",
        "type": "invoice_amount",
        "invoiceId": "invoice-1",
        "grossAmount": 63046,
    }
    found = made(doc)
    assert found is not None
    assert (found.base, found.facets, found.value) == ("invoice-1", {"type": "invoice"}, 63046.0)
    assert "=6304600" in found.codes


def test_a_companion_of_nothing_is_not_searched() -> None:
    assert made({"_id": "x", "type": "invoice_amount", "grossAmount": 63046}) is None
    assert made({"_id": "x", "type": "customer_card", "customerId": {"a": 1}}) is None


@pytest.mark.parametrize("doctype", [None, 5, "unknown", "quarantine", ["customer"], {}])
def test_what_is_not_searched_has_no_entry(doctype: object) -> None:
    assert made({"_id": "x", "type": doctype, "title": "Text"}) is None


def test_everything_of_the_demo_that_is_searched_has_an_entry() -> None:
    for doc in generate(DemoSize.SMALL):
        found = entry(Change(doc["_id"], 1, "1-a", doc, document_channels(doc, NoParents())))
        assert (found is not None) == (doc["type"] in SEARCHED)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), st.sampled_from(sorted(SEARCHED)))
def test_any_document_has_an_entry_or_none(data: st.DataObject, doctype: str) -> None:
    searched = SEARCHED[doctype]
    paths = (*searched.texts, *searched.exact, *searched.amounts, *searched.facets.values(), "modifiedAt")
    tops = sorted({path.partition(".")[0].partition("[")[0] for path in paths})
    doc = data.draw(st.dictionaries(st.sampled_from(tops), anything))
    found = made({**doc, "type": doctype, "_id": "x"})
    if found is not None:
        for text in (found.title, found.strong, found.plain, *found.codes, *found.facets.values()):
            text.encode("utf-8")


def test_a_long_text_is_cut() -> None:
    found = made({"_id": "x", "type": "activity", "subject": "Anfang", "description": "wort " * 1_000_000})
    assert found is not None
    assert len(found.plain.split()) <= 20_000
