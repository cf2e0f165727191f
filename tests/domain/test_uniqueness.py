"""What there is only one of."""

from __future__ import annotations

from typing import Any

import pytest

from kompass.domain import uniqueness
from tests.domain.others import check, customer, fitting, new, running, world
from tests.domain.world import ADM, INNEN, PLAN, World, change


@pytest.mark.parametrize("vat", ["DE123456789", "de 123 456 789", "DE-123.456.789"])
def test_one_vat_number_for_one_customer(vat: str) -> None:
    other = customer("customer-1", companyName="Ganz anders", email="x@y.example")
    refusal = check(change(customer(vatNumber=vat), None, ADM), World(other))
    assert refusal is not None
    assert refusal.rule == "unique.vat"
    assert refusal.fields == ("vatNumber",)
    assert "Ganz" not in refusal.reason
    assert "customer-1" not in refusal.reason + refusal.grund
    assert check(change(customer(vatNumber=None), None, ADM), World(other)) is None
    mine = customer("customer-1")
    assert check(change({**mine, "phone": "0731"}, mine, ADM), World(mine)) is None


def names(flagged: tuple[uniqueness.Note, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(note.rule, note.about) for note in flagged]


def test_possible_duplicates_are_stored_and_told_to_the_office() -> None:
    stored = World(customer("customer-1", vatNumber=None))
    doc = customer(vatNumber=None, email="other@mueller.example")
    assert check(change(doc, None, ADM), stored) is None
    assert names(uniqueness.flags(change(doc), stored)) == [("duplicate.name", ("customer-1",))]
    same_mail = customer(companyName="Ganz anders", email=" INFO@mueller.example ", vatNumber=None)
    assert names(uniqueness.flags(change(same_mail), stored)) == [("duplicate.email", ("customer-1",))]
    assert uniqueness.flags(change({**doc, "phone": "1"}, doc), stored) == ()
    assert uniqueness.flags(change(None, doc), stored) == ()


@pytest.mark.parametrize(
    ("fields", "is_alike"),
    [
        ({}, True),
        ({"companyName": "Hofladen Mueller GmbH"}, True),
        ({"companyName": "HOFLADEN MÜLLER GMBH"}, True),
        ({"companyName": "Hofladen Möller GmbH"}, True),
        ({"companyName": "Hofladen Müler GmbH"}, True),
        ({"companyName": "Hofladen Bauer GmbH"}, False),
        ({"street": "Hauptstraße"}, True),
        ({"street": "Hauptstrasse"}, True),
        ({"streetNumber": "2"}, True),
        ({"zipCode": "89075"}, True),
        ({"street": "Bahnhofstr."}, False),
        ({"city": "Neu-Ulm"}, False),
    ],
)
def test_names_and_addresses_that_are_close(fields: dict[str, Any], is_alike: bool) -> None:
    plain = customer("customer-1", vatNumber=None, email=None)
    address = {**plain["billingAddress"], **{key: one for key, one in fields.items() if key != "companyName"}}
    doc = {**plain, "_id": "customer-new", **fields, "billingAddress": address}
    assert bool(uniqueness.flags(change(doc), World(plain))) == is_alike


def test_one_running_time_entry_for_everybody() -> None:
    stored = World(running("t-1"))
    refusal = check(change(running("t-2"), None, INNEN), stored)
    assert refusal is not None
    assert refusal.rule == "unique.running"
    assert check(change(running("t-2", "plan1"), None, PLAN), stored) is None
    assert check(change(running("t-1", notes="neu"), running("t-1"), INNEN), stored) is None
    ended = running("t-1", status="completed", endTime="2026-03-02T09:00:00Z")
    assert check(change(ended, running("t-1"), INNEN), stored) is None
    assert check(change(running("t-2"), None, INNEN), World(ended)) is None
    again = check(change({**ended, "endTime": None, "status": "in_progress"}, ended), World(running("t-2")))
    assert again is not None


def test_one_contract_for_an_offer() -> None:
    there = {**new("contract", offerId="offer-1", customerId="customer-1"), "_id": "contract-2"}
    refusal = check(change(fitting("contract")), world(there))
    assert refusal is not None
    assert refusal.rule == "unique.contract"
    assert check(change(fitting("contract")), world({**there, "status": "terminated"})) is None


def test_a_contract_says_what_was_offered() -> None:
    doc = fitting("contract")
    assert check(change({**doc, "contractValueEur": 1190.0, "contractDate": "2026-02-01"})) is None
    wrong = check(change({**doc, "contractValueEur": 1190.02}))
    assert wrong is not None
    assert wrong.rule == "contract.value"
    early = check(change({**doc, "contractDate": "2026-01-31"}))
    assert early is not None
    assert early.rule == "contract.date"


def test_names_of_locations_and_codes_of_material_are_unique() -> None:
    there = {"_id": "location-2", "type": "location", "customerId": "customer-1", "locationName": "Lager Süd"}
    doc = new("location", customerId="customer-1", locationName="lager  sued")
    assert getattr(check(change(doc), world(there)), "rule", None) == "unique.location_name"
    elsewhere = {**there, "customerId": "customer-2"}
    assert check(change(doc), world(elsewhere)) is None
    wood = {"_id": "material-2", "type": "material", "materialCode": "MAT-HOL-001"}
    refusal = check(change(new("material", materialCode="mat hol 001")), world(wood))
    assert getattr(refusal, "rule", None) == "unique.material_code"


def test_invoice_numbers_are_unique_for_a_supplier() -> None:
    there = {"_id": "i-1", "type": "supplier_invoice", "supplierId": "supplier-1", "invoiceNumber": "R-77"}
    doc = new("supplier_invoice", supplierId="supplier-1", invoiceNumber="R 77")
    refusal = check(change(doc), world(there))
    assert getattr(refusal, "rule", None) == "unique.invoice_number"
    assert check(change(doc), world({**there, "supplierId": "supplier-2"})) is None
    assert check(change({**doc, "invoiceNumber": None}), world(there)) is None
