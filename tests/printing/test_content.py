"""What printed documents say: sums, taxes, German numbers, and nobody's markup."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.domain.examples import MORE, NOW, smallest
from kompass.domain.examples.parts import Dates
from kompass.domain.materials import Unit
from kompass.domain.money import cents
from kompass.printing.content import Content, Parties
from kompass.printing.expense_sheets import expense_sheet
from kompass.printing.german import UNITS, day, euro, number, percent
from kompass.printing.offers import contract, offer
from tests.printing.samples import PARTIES, an_offer, item


def said(content: Content) -> dict[str, str]:
    return {one.name: one.amount for table in content.tables for one in table.sums}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0,00 €"),
        ("1234.5", "1.234,50 €"),
        ("-0.01", "-0,01 €"),
        ("50000000", "50.000.000,00 €"),
    ],
)
def test_amounts_are_written_as_in_germany(value: str, text: str) -> None:
    assert euro(Decimal(value)).replace("\u00a0", " ") == text


def test_numbers_shares_and_days_are_written_as_in_germany() -> None:
    assert [number(Decimal(one)) for one in ("2.5", "1000", "0.125", "1234567.8")] == [
        "2,5",
        "1.000",
        "0,125",
        "1.234.567,8",
    ]
    assert percent(Decimal("0.19")) == "19\u00a0%"
    assert percent(Decimal("0.077")) == "7,7\u00a0%"
    assert day(date(2026, 1, 2)) == "02.01.2026"


def test_every_unit_of_materials_has_its_german_name() -> None:
    assert {*UNITS} == {*get_args(Unit)}
    (table,) = offer(an_offer(lineItems=[item(1, unit="hour"), item(2, unit="Gebinde")]), PARTIES).tables
    assert [row.cells[3] for row in table.rows] == ["Std.", "Gebinde"]


def test_taxes_are_told_by_rate_after_the_discount() -> None:
    lines = [
        item(1, quantity=1, unitPriceEur=100),
        item(2, quantity=2, unitPriceEur=50, taxRate=0.07),
    ]
    content = offer(an_offer(lineItems=lines, discountPercent=10, taxRate=0.19), PARTIES)
    assert {name: amount.replace("\u00a0", " ") for name, amount in said(content).items()} == {
        "Summe netto": "200,00 €",
        "Rabatt 10\u00a0%": "-20,00 €",
        "Netto nach Rabatt": "180,00 €",
        "Umsatzsteuer 19\u00a0% auf 90,00\u00a0€": "17,10 €",
        "Umsatzsteuer 7\u00a0% auf 90,00\u00a0€": "6,30 €",
        "Gesamtbetrag": "203,40 €",
    }


def test_what_is_taxed_by_rate_is_what_is_left_after_the_discount() -> None:
    lines = [item(1, quantity=1, unitPriceEur=price, taxRate=rate) for price, rate in LEFT_OVER]
    found = said(offer(an_offer(lineItems=lines, discountPercent=33.33), PARTIES))
    assert [name.partition(" auf ")[2] for name in found if " auf " in name] == [
        euro(Decimal(one)) for one in ("0.67", "6.66", "6.67")
    ]
    assert found["Netto nach Rabatt"] == euro(Decimal(14))


LEFT_OVER = [(1, 0.19), (10, 0.07), (10, 0.0)]
"""Of whose shares of a discount each is rounded up."""


@given(
    st.lists(
        st.tuples(
            st.decimals(Decimal("0.001"), 10_000, places=3),
            st.decimals(0, 10_000, places=2),
            st.sampled_from([0.0, 0.07, 0.19]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([0, 3, 12.5, 100]),
)
def test_what_is_carried_forward_and_paid_is_what_the_server_has_worked_out(
    lines: list[tuple[Decimal, Decimal, float]], discount: float
) -> None:
    from kompass.domain.derivations import computed, with_computed
    from tests.domain.world import World

    items = [
        item(place, quantity=float(quantity), unitPriceEur=float(price), taxRate=rate)
        for place, (quantity, price, rate) in enumerate(lines, 1)
    ]
    body = an_offer(lineItems=items, discountPercent=discount)
    stored = with_computed(body, computed(body, World()))
    content = offer(stored, PARTIES)
    (table,) = content.tables
    upto = Decimal(0)
    for row, (quantity, price, _) in zip(table.rows, lines, strict=True):
        upto += cents(quantity * price)
        assert row.carried == euro(upto)
    assert said(content)["Summe netto"] == euro(Decimal(str(stored["subtotalEur"])))
    assert said(content)["Gesamtbetrag"] == euro(Decimal(str(stored["totalEur"])))


def test_a_contract_has_the_lines_of_its_offer_its_plans_and_places_to_sign() -> None:
    body = smallest("contract") | MORE["contract"](Dates(NOW))
    content = contract(body, an_offer(), PARTIES)
    titles = [table.title for table in content.tables]
    assert titles == ["", "", "Zahlungsplan", "Lieferplan"]
    assert said(content)["Auftragswert brutto"] == euro(Decimal("4017.86"))
    assert len(content.signatures) == 2
    assert not contract(body, None, Parties()).tables[0].rows


def expense(amount: float, status: str, **members: Any) -> dict[str, Any]:
    return {"_id": "e", "expenseDate": "2026-11-03", "amount": amount, "status": status, **members}


def test_an_expense_sheet_counts_a_journey_once_and_nothing_that_was_rejected() -> None:
    tour = {"_id": "t", "title": "Eifel", "startDate": "2026-11-02", "endDate": "2026-11-04"}
    expenses = [
        expense(10.1, "approved", category="meal"),
        expense(20.2, "paid", category="mileage", mileageLogId="m1"),
        expense(500, "rejected"),
    ]
    journeys = [
        {"_id": "m1", "date": "2026-11-03", "distance": 67.3},
        {"_id": "m2", "date": "2026-11-02", "distance": 10, "ratePerKm": 0.38},
    ]
    content = expense_sheet(tour, expenses, journeys, [], Parties())
    found = said(content)
    assert found["Summe ohne abgelehnte"] == euro(Decimal("30.30"))
    assert found["davon abgelehnt"] == euro(Decimal(500))
    assert found["Kilometergeld ohne Beleg (77,3 km gefahren)"] == euro(Decimal("3.80"))
    assert content.draft
    assert not expense_sheet({**tour, "status": "completed"}, [], [], [], Parties()).draft
