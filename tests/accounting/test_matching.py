"""Payments and the invoices they pay."""

from __future__ import annotations

import random
import re
import time
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.accounting.matching import (
    APPLIED,
    ERRORS,
    FOR_A_PERSON,
    Invoice,
    Match,
    Outcome,
    match_all,
)
from kompass.accounting.payments import Claim, Payment, numbered
from tests.examples import examples
from tests.needs import ROOT

DAY = date(2026, 11, 20)
INVOICES = (
    Invoice("a", "R-2026-00001", "K-00001", Decimal("1190.00")),
    Invoice("b", "R-2026-00002", "K-00001", Decimal("238.00"), paid=Decimal("100.00"), status="partial_paid"),
    Invoice("c", "R-2026-00003", "K-00002", Decimal("63046.00")),
    Invoice("d", "R-2026-00004", "K-00002", Decimal("119.00"), paid=Decimal("119.00"), status="paid"),
    Invoice("e", "R-2026-00005", "K-00003", Decimal("50.00"), status="cancelled"),
    Invoice("f", "R-2026-00006", None, Decimal("238.00")),
)


def payment(
    number: str,
    amount: str,
    *,
    customer: str | None = None,
    gross: str | None = None,
    claim: Claim | None = None,
    line: int = 2,
) -> Payment:
    wanted = None if gross is None else Decimal(gross)
    return Payment(line, number, DAY, Decimal(amount), customer, wanted, "Überweisung", claim)


def one(paid: Payment) -> Match:
    (found,) = match_all([paid], INVOICES)
    return found


@pytest.mark.parametrize(
    ("paid", "outcome", "applied", "status"),
    [
        (payment("R-2026-00001", "1190"), Outcome.EXACT, "1190", "paid"),
        (payment("r-2026-00001", "1190"), Outcome.EXACT, "1190", "paid"),
        (payment("RE 2026/1", "1190", customer="k-00001"), Outcome.EXACT, "1190", "paid"),
        (payment("R-2026-00001", "1185"), Outcome.TOLERANCE, "1185", "paid"),
        (payment("R-2026-00001", "1195"), Outcome.TOLERANCE, "1190", "paid"),
        (payment("R-2026-00003", "63030"), Outcome.PARTIAL, "63030", "partial_paid"),
        (payment("R-2026-00001", "500"), Outcome.PARTIAL, "500", "partial_paid"),
        (payment("R-2026-00001", "500", claim=Claim.PAID), Outcome.UNDERPAID, "500", "partial_paid"),
        (payment("R-2026-00001", "1300"), Outcome.OVERPAID, "1190", "paid"),
        (payment("R-2026-00002", "138"), Outcome.EXACT, "138", "paid"),
        (payment("R-2026-00004", "119"), Outcome.OVERPAID, "0", "paid"),
        (payment("R-2026-00002", "-100"), Outcome.REVERSED, "-100", "sent"),
        (payment("R-2026-00004", "-19"), Outcome.REVERSED, "-19", "partial_paid"),
        (payment("R-2026-00002", "-101"), Outcome.MISMATCH, "0", None),
        (payment("R-2026-00005", "50"), Outcome.MISMATCH, "0", None),
        (payment("R-2026-00001", "1190", gross="1202"), Outcome.MISMATCH, "0", None),
        (payment("R-2026-00001", "1190", gross="1200"), Outcome.EXACT, "1190", "paid"),
        (payment("R-2026-00001", "1190", customer="K-00002"), Outcome.CANDIDATES, "0", None),
        (payment("RE 2026/1", "1190"), Outcome.CANDIDATES, "0", None),
        (payment("nothing", "138", customer="K-00001"), Outcome.CANDIDATES, "0", None),
        (payment("nothing", "238"), Outcome.CANDIDATES, "0", None),
        (payment("nothing", "7"), Outcome.UNKNOWN, "0", None),
    ],
)
def test_what_becomes_of_a_payment(paid: Payment, outcome: Outcome, applied: str, status: str | None) -> None:
    found = one(paid)
    assert (found.outcome, found.applied, found.status) == (outcome, Decimal(applied), status)
    assert found.rest == paid.amount - found.applied
    assert found.reason
    assert found.grund


def test_candidates_are_open_and_in_an_order() -> None:
    found = one(payment("nothing", "238"))
    assert [each.number for each in found.candidates] == ["R-2026-00002", "R-2026-00006"]
    assert "it could be R-2026-00002, R-2026-00006" in found.reason
    assert found.needs_person


def test_payments_are_taken_with_what_those_before_left_open() -> None:
    paid = [
        payment("R-2026-00001", "500", line=2),
        payment("R-2026-00001", "690", line=3),
        payment("R-2026-00001", "-690", line=4),
        payment("R-2026-00001", "690.01", line=5),
        payment("R-2026-00001", "10", line=6),
    ]
    found = list(match_all(paid, INVOICES))
    assert [(each.outcome, each.paid, each.settled) for each in found] == [
        (Outcome.PARTIAL, Decimal(500), False),
        (Outcome.EXACT, Decimal(1190), True),
        (Outcome.REVERSED, Decimal(500), False),
        (Outcome.TOLERANCE, Decimal(1190), True),
        (Outcome.OVERPAID, Decimal(1190), True),
    ]


def test_the_same_file_again_changes_nothing() -> None:
    paid = numbered(
        [payment("R-2026-00001", "500"), payment("R-2026-00001", "500", line=3), payment("x", "1", line=4)]
    )
    first = list(match_all(paid, INVOICES))
    assert [each.outcome for each in first] == [Outcome.PARTIAL, Outcome.DUPLICATE, Outcome.UNKNOWN]
    again = list(match_all(paid, INVOICES, seen={each.fingerprint for each in paid}))
    assert {(each.outcome, each.applied, each.needs_person) for each in again} == {
        (Outcome.REPEATED, Decimal(0), False)
    }


def test_a_second_instalment_of_a_day_is_not_the_first_one_of_an_earlier_file() -> None:
    once = payment("R-2026-00001", "500")
    both = numbered([once, payment("R-2026-00001", "500", line=3)])
    found = list(match_all(both, INVOICES, seen={once.fingerprint}))
    assert [each.outcome for each in found] == [Outcome.REPEATED, Outcome.DUPLICATE]


def test_every_outcome_for_a_person_is_an_error_of_a_kind() -> None:
    assert set(ERRORS) == FOR_A_PERSON
    assert set(Outcome) - FOR_A_PERSON - APPLIED == {Outcome.REPEATED}


AMOUNTS = st.decimals(-2000, 2000, places=2).filter(bool)
PAYMENTS = st.lists(
    st.builds(
        Payment,
        line=st.integers(2, 1000),
        invoice_number=st.sampled_from(
            [each.number for each in INVOICES] + ["re 2026-1", "R-2026-99999", "x"]
        ),
        paid_on=st.dates(date(2026, 11, 1), DAY),
        amount=AMOUNTS,
        customer_number=st.sampled_from([None, "K-00001", "K-00002", "K-99999"]),
        gross=st.sampled_from([None, Decimal(1190), Decimal(238)]),
        method=st.just("Bank"),
        claim=st.sampled_from([None, *Claim]),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=examples(100), deadline=None)
@given(PAYMENTS, st.randoms(use_true_random=False))
def test_no_money_is_lost_or_made(payments: list[Payment], chance: random.Random) -> None:
    found = list(match_all(payments, INVOICES))
    assert [each.payment for each in found] == payments
    paid = {each.id: each.paid for each in INVOICES}
    for each in found:
        assert each.applied + each.rest == each.payment.amount
        if each.invoice is not None and each.outcome in APPLIED:
            paid[each.invoice.id] += each.applied
            assert paid[each.invoice.id] == each.paid
            assert 0 <= each.paid <= each.invoice.gross
            assert each.settled or each.paid < each.invoice.gross
        else:
            assert each.applied == 0
    mixed = list(INVOICES)
    chance.shuffle(mixed)
    assert list(match_all(payments, mixed)) == found


@pytest.mark.slow
def test_ten_thousand_payments_take_a_moment() -> None:
    chance = random.Random(9)
    invoices = [
        Invoice(f"i{n}", f"R-2026-{n:05}", f"K-{n % 500:05}", Decimal(chance.randint(100, 10**7)) / 100)
        for n in range(30_000)
    ]
    picked = [chance.choice(invoices) for _ in range(10_000)]
    payments = [
        Payment(n, each.number if n % 7 else f"?{each.number}", DAY, each.gross, each.customer_number)
        for n, each in enumerate(picked)
    ]
    began = time.process_time()
    found = list(match_all(payments, invoices))
    assert time.process_time() - began < 10  # seconds; about 1 on an idle core, and 30 are allowed
    assert len(found) == 10_000
    assert sum(each.outcome is Outcome.EXACT for each in found) > 7000


def test_the_page_has_every_outcome_and_its_error() -> None:
    page = (ROOT / "docs" / "accounting" / "lexware.md").read_text()
    table = re.findall(r"^\| `([a-z]+)` \| .* \| (?:`([A-Za-z]+)` )?\|$", page, re.MULTILINE)
    assert dict(table) == {each.value: ERRORS.get(each, "") for each in Outcome}
