"""The expense sheet of a tour: receipts, nights and journeys, with what is approved and paid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from kompass.domain.derivations import RATE_PER_KM
from kompass.domain.money import amount, cents
from kompass.printing.content import Body, Column, Content, Parties, Row, Sum, Table, day_of, text, told
from kompass.printing.german import day, euro, number

CATEGORIES = {
    "mileage": "Kilometergeld",
    "hotel": "Übernachtung",
    "meal": "Verpflegung",
    "fuel": "Kraftstoff",
    "parking": "Parken",
    "toll": "Maut",
    "public_transport": "Bahn und Bus",
    "client_entertainment": "Bewirtung",
    "office_supplies": "Büromaterial",
    "phone": "Telefon",
    "other": "Sonstiges",
}
STATES = {
    "draft": "Entwurf",
    "submitted": "eingereicht",
    "approved": "freigegeben",
    "rejected": "abgelehnt",
    "paid": "bezahlt",
}
_EXPENSES = (
    Column("Datum"),
    Column("Beleg"),
    Column("Art"),
    Column("Bezeichnung", width="wide"),
    Column("Stand"),
    Column("Betrag", "right"),
)
_JOURNEYS = (
    Column("Datum"),
    Column("Zweck", width="wide"),
    Column("Strecke", "right"),
    Column("Satz je km", "right"),
    Column("Betrag", "right"),
)
_NIGHTS = (
    Column("Anreise"),
    Column("Abreise"),
    Column("Haus", width="wide"),
    Column("Nächte", "right"),
    Column("Preis", "right"),
)


def expense_sheet(
    tour: Body, expenses: Sequence[Body], journeys: Sequence[Body], nights: Sequence[Body], parties: Parties
) -> Content:
    """Of a tour, with whatever of it may be read. Rejected receipts are listed and don't count; journeys that
    a receipt claims count once, as the receipt.
    """
    start, end = day_of(tour, "startDate"), day_of(tour, "endDate")
    owner = parties.called(tour.get("ownerId"))
    span = f"{day(start)} bis {day(end)}" if start and end else ""
    return Content(
        title=f"Reisekosten: {text(tour, 'title')}"[:200],
        date=end or date(1990, 1, 1),
        draft=tour.get("status") != "completed",
        recipient=[one for one in (owner, text(tour, "region")) if one],
        facts=told(("Reisende Person", owner), ("Zeitraum", span), ("Gebiet", text(tour, "region"))),
        tables=[
            one
            for one in (_expenses(expenses), _journeys(journeys, expenses), _nights(nights))
            if one.rows or one.sums
        ],
        closing=[] if expenses or journeys else ["Zu dieser Tour gibt es keine Belege."],
        signatures=[["Datum, Unterschrift", owner], ["Datum, Geschäftsführung"]],
    )


def _expenses(expenses: Sequence[Body]) -> Table:
    rows: list[Row] = []
    upto = Decimal(0)
    by_state: dict[str, Decimal] = {}
    for one in sorted(expenses, key=_by_day("expenseDate")):
        value, state = amount(one.get("amount")) or Decimal(0), text(one, "status")
        by_state[state] = by_state.get(state, Decimal(0)) + value
        if state != "rejected":
            upto += value
        at = day_of(one, "expenseDate")
        cells = (
            day(at) if at else "",
            text(one, "receiptNumber"),
            CATEGORIES.get(text(one, "category"), text(one, "category")),
            text(one, "title"),
            STATES.get(state, state),
            euro(value),
        )
        rows.append(Row(cells, euro(upto)))
    sums = [Sum(f"davon {STATES[state]}", euro(by_state[state])) for state in STATES if by_state.get(state)]
    if rows:
        sums.append(Sum("Summe ohne abgelehnte", euro(upto), strong=True))
    return Table(_EXPENSES, rows, "Belege", sums)


def _journeys(journeys: Sequence[Body], expenses: Sequence[Body]) -> Table:
    claimed = {one.get("mileageLogId") for one in expenses if one.get("status") != "rejected"}
    rows: list[Row] = []
    upto, way = Decimal(0), Decimal(0)
    for one in sorted(journeys, key=_by_day("date")):
        distance = amount(one.get("distance")) or Decimal(0)
        rate = amount(one.get("ratePerKm"))
        rate = RATE_PER_KM if rate is None else rate
        cost = cents(distance * rate)
        way += distance
        is_claimed = one.get("_id") in claimed
        if not is_claimed:
            upto += cost
        at, purpose = day_of(one, "date"), text(one, "purpose")
        cells = (
            day(at) if at else "",
            f"{purpose} (als Beleg abgerechnet)".strip() if is_claimed else purpose,
            f"{number(distance)} km",
            euro(rate),
            euro(cost),
        )
        rows.append(Row(cells, euro(upto)))
    sums = (
        [Sum(f"Kilometergeld ohne Beleg ({number(way)} km gefahren)", euro(upto), strong=True)]
        if rows
        else []
    )
    return Table(_JOURNEYS, rows, "Fahrten", sums)


def _nights(nights: Sequence[Body]) -> Table:
    rows = []
    for one in sorted(nights, key=_by_day("checkInDate")):
        arrived, left = day_of(one, "checkInDate"), day_of(one, "checkOutDate")
        price = (amount(one.get("pricePerNightEur")) or Decimal(0)) * (amount(one.get("nights")) or 0)
        cells = (
            day(arrived) if arrived else "",
            day(left) if left else "",
            text(one, "hotelName"),
            str(one.get("nights", "")),
            euro(price),
        )
        rows.append(Row(cells))
    return Table(_NIGHTS, rows, "Übernachtungen (gebucht, abgerechnet als Beleg)")


def _by_day(field: str) -> Callable[[Body], tuple[str, str]]:
    return lambda one: (text(one, field), text(one, "_id"))
