"""Offers and contracts on paper."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from kompass.domain.derivations import line_items, taxes
from kompass.domain.money import amount, cents
from kompass.printing.content import (
    Body,
    Column,
    Content,
    Parties,
    Row,
    Sum,
    Table,
    day_of,
    recipient,
    text,
    told,
)
from kompass.printing.german import UNITS, day, euro, number, percent

_ITEMS = (
    Column("Pos.", "right"),
    Column("Bezeichnung", width="wide"),
    Column("Menge", "right"),
    Column("Einheit"),
    Column("Einzelpreis", "right"),
    Column("Gesamt", "right"),
)
_PARTS = (
    Column("Zahlung", width="wide"),
    Column("Fällig", "right"),
    Column("Anteil", "right"),
    Column("Betrag", "right"),
)
_STEPS = (Column("Lieferung", width="wide"), Column("Termin", "right"), Column("Menge", "right"))


def offer(body: Body, parties: Parties) -> Content:
    """An offer with its lines, taxes and terms."""
    number_ = text(body, "offerNumber")
    issued = day_of(body, "offerDate") or date(1990, 1, 1)
    until = day_of(body, "validUntil")
    days = body.get("deliveryTimeDays")
    closing = [f"Dieses Angebot gilt bis zum {day(until)}." if until else "", _to_pay(body)]
    if isinstance(days, int):
        closing.append(f"Lieferzeit: {days} Tage ab Auftrag.")
    closing += [text(body, "terms"), f"Mit freundlichen Grüßen\n{parties.called(body.get('createdBy'))}"]
    return Content(
        title=f"Angebot {number_}".strip(),
        date=issued,
        draft=body.get("status") == "draft" or not number_,
        recipient=recipient(parties),
        facts=told(
            ("Angebot", number_),
            ("Datum", day(issued)),
            ("Gültig bis", day(until) if until else ""),
            ("Kunde", text(parties.customer or {}, "customerNumber")),
            ("Bearbeitung", parties.called(body.get("createdBy"))),
        ),
        intro=["Sehr geehrte Damen und Herren,", "wir bieten Ihnen an:"],
        tables=[_items(body)],
        closing=[one for one in closing if one],
    )


def contract(body: Body, source: Body | None, parties: Parties) -> Content:
    """A contract. `source`: the offer it was made of, whose lines it has; None if it may not be read."""
    number_ = text(body, "contractNumber")
    made = day_of(body, "contractDate") or date(1990, 1, 1)
    start, end = day_of(body, "startDate"), day_of(body, "endDate")
    customer = text(parties.customer or {}, "companyName")
    tables = [_items(source)] if source is not None else []
    tables.append(Table((), (), sums=_value(body)))
    tables += [one for one in (_payments(body), _deliveries(body)) if one.rows]
    return Content(
        title=f"Vertrag {number_}".strip(),
        date=made,
        draft=body.get("status") == "draft" or not number_,
        recipient=recipient(parties),
        facts=told(
            ("Vertrag", number_),
            ("Datum", day(made)),
            ("Angebot", text(source or {}, "offerNumber")),
            ("Beginn", day(start) if start else ""),
            ("Ende", day(end) if end else ""),
            ("Kunde", text(parties.customer or {}, "customerNumber")),
            ("Projektleitung", parties.called(body.get("projectManagerId"))),
        ),
        tables=tables,
        closing=[one for one in (_to_pay(body), text(body, "terms")) if one],
        signatures=[
            ["Ort, Datum, Auftragnehmer", *_signed(body, "ourSignature")],
            [f"Ort, Datum, {customer or 'Auftraggeber'}", *_signed(body, "customerSignature")],
        ],
    )


def _items(body: Body) -> Table:
    """The lines of an offer, with its sums."""
    found = line_items(body)
    if found is None:
        return Table(_ITEMS, ())
    items, sums = found
    rows = []
    upto = Decimal(0)
    for place, (item, (total, _)) in enumerate(zip(items, sums, strict=True), 1):
        upto += total
        position = item.get("position")
        cells = (
            str(position if isinstance(position, int) else place),
            text(item, "description"),
            number(amount(item.get("quantity")) or Decimal(0)),
            UNITS.get(text(item, "unit"), text(item, "unit")),
            euro(amount(item.get("unitPriceEur")) or Decimal(0)),
            euro(total),
        )
        rows.append(Row(cells, euro(upto)))
    discount = amount(body.get("discountAmountEur"))
    share = amount(body.get("discountPercent"))
    if discount is None:
        discount = cents(upto * (share or Decimal(0)) / 100)
    said = [Sum("Summe netto", euro(upto))]
    if discount:
        named = f"Rabatt {percent(share / 100)}" if share else "Rabatt"
        said += [Sum(named, euro(-discount)), Sum("Netto nach Rabatt", euro(upto - discount))]
    whole = upto - discount
    for rate, (net, tax) in sorted(taxes(sums, upto, discount).items(), reverse=True):
        said.append(Sum(f"Umsatzsteuer {percent(rate)} auf {euro(net)}", euro(tax)))
        whole += tax
    return Table(_ITEMS, rows, sums=[*said, Sum("Gesamtbetrag", euro(whole), strong=True)])


def _value(body: Body) -> list[Sum]:
    """What a contract is worth."""
    named = (
        ("Auftragswert netto", "subtotalEur"),
        ("Umsatzsteuer", "taxAmountEur"),
        ("Auftragswert brutto", "contractValueEur"),
    )
    return [
        Sum(name, euro(value), strong=field == "contractValueEur")
        for name, field in named
        if (value := amount(body.get(field))) is not None
    ]


def _payments(body: Body) -> Table:
    rows = []
    for part in body.get("paymentSchedule") or ():
        due, share, money = (
            day_of(part, "dueDate"),
            amount(part.get("percent")),
            amount(part.get("amountEur")),
        )
        cells = (
            text(part, "description"),
            day(due) if due else "",
            percent(share / 100) if share is not None else "",
            euro(money) if money is not None else "",
        )
        rows.append(Row(cells))
    return Table(_PARTS, rows, "Zahlungsplan")


def _deliveries(body: Body) -> Table:
    rows = []
    for step in body.get("deliverySchedule") or ():
        due, quantity = day_of(step, "date"), amount(step.get("quantity"))
        cells = (
            text(step, "description"),
            day(due) if due else "",
            number(quantity) if quantity is not None else "",
        )
        rows.append(Row(cells))
    return Table(_STEPS, rows, "Lieferplan")


def _to_pay(body: Body) -> str:
    days = body.get("paymentTermsDays")
    if not isinstance(days, int):
        return ""
    return f"Zahlbar innerhalb von {days} Tagen ohne Abzug." if days else "Zahlbar sofort ohne Abzug."


def _signed(body: Body, field: str) -> list[str]:
    """Who has signed, where and when."""
    one = body.get(field)
    if not isinstance(one, dict):
        return []
    at = day_of(one, "signedAt")
    where = ", ".join(said for said in (text(one, "place"), day(at) if at else "") if said)
    return [said for said in (text(one, "name"), where) if said]
