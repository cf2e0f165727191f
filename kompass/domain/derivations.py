"""Values inside a document that follow from its other values. The server alone writes them.

`computed` gives what they have to be; a document that has them has nothing to follow. What can't be worked
out, because something is missing or is no number, is left as it is: the models say what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from kompass.access.companions import companion_id
from kompass.access.fields import same
from kompass.domain import users
from kompass.domain.changes import Body, Facts
from kompass.domain.money import CENT, amount, cents, json_number, same_amount, whole

HOURLY_RATE = Decimal(50)
"""Euros, for somebody whose record names none."""
RATE_PER_KM = Decimal("0.30")
TAX_RATE = Decimal("0.19")
"""As a fraction, where an offer names none."""

REMOVED = object()
"""The field must not be there."""

Values = Iterator[tuple[str, Any]]


def computed(doc: Body, facts: Facts) -> dict[str, Any]:
    """Field -> its value, or `REMOVED`, of those that aren't as they should be."""
    rule = _RULES.get(str(doc.get("type")))
    if rule is None:
        return {}
    found: dict[str, Any] = {}
    try:
        values = list(rule(doc, facts))
    except InvalidOperation:  # absurd numbers: the models refuse them
        return {}
    for field, value in values:
        if value is REMOVED:
            if field in doc:
                found[field] = REMOVED
        elif isinstance(value, Decimal):
            if not same_amount(doc.get(field), json_number(value)):
                found[field] = json_number(value)
        elif field not in doc or not same(doc[field], value):
            found[field] = value
    return found


def with_computed(doc: Body, found: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what `computed` has found."""
    return {field: value for field, value in {**doc, **found}.items() if value is not REMOVED}


def moment(value: object) -> datetime | None:
    """A time with its zone."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def minutes(doc: Body) -> Decimal | None:
    """How long a time entry took; None while it runs."""
    start, end = moment(doc.get("startTime")), moment(doc.get("endTime"))
    if start is None or end is None or end < start:
        return None
    return whole(Decimal((end - start).total_seconds()) / 60)


def labour_cost(entry: Body, rate: Decimal) -> Decimal | None:
    """Of a time entry, in euros; None while it runs."""
    length = minutes(entry)
    return None if length is None else cents(length / 60 * rate)


def rate_of(cost: Body | None) -> Decimal:
    """Euros an hour, as a `time_entry_cost` says."""
    rate = amount(cost.get("hourlyRateEur")) if cost is not None else None
    return HOURLY_RATE if rate is None else rate


def cost_id(entry_id: str) -> str:
    return companion_id("time_entry_cost", entry_id)


def _opportunity(doc: Body, facts: Facts) -> Values:
    value, chance = amount(doc.get("estimatedValue")), amount(doc.get("probability"))
    if value is not None and chance is not None:
        yield "weightedValue", cents(value * chance / 100)


def line_items(doc: Body) -> tuple[list[Any], list[tuple[Decimal, Decimal]]] | None:
    """The line items with their totals put right, and (total, tax rate) of each; None if one can't be."""
    items = doc.get("lineItems")
    if not isinstance(items, list) or not items:
        return None
    usual = amount(doc.get("taxRate"))
    right: list[Any] = []
    sums = []
    for item in items:
        if not isinstance(item, Mapping):
            return None
        quantity, price = amount(item.get("quantity")), amount(item.get("unitPriceEur"))
        if quantity is None or price is None:
            return None
        total = cents(quantity * price)
        kept = same_amount(item.get("totalPriceEur"), json_number(total))
        right.append(item if kept else {**item, "totalPriceEur": json_number(total)})
        rate = amount(item.get("taxRate"))
        if rate is None:
            rate = TAX_RATE if usual is None else usual
        sums.append((total, rate))
    return right, sums


def _offer(doc: Body, facts: Facts) -> Values:
    found = line_items(doc)
    if found is None:
        return
    items, sums = found
    subtotal = sum((total for total, _ in sums), Decimal(0))
    discount = amount(doc.get("discountAmountEur"))
    if discount is None:
        percent = amount(doc.get("discountPercent")) or Decimal(0)
        discount = cents(subtotal * percent / 100)
    tax = _tax(sums, subtotal, discount)
    yield "lineItems", items
    yield "subtotalEur", subtotal
    yield "taxAmountEur", tax
    yield "totalEur", subtotal - discount + tax


def taxes(
    sums: list[tuple[Decimal, Decimal]], subtotal: Decimal, discount: Decimal
) -> dict[Decimal, tuple[Decimal, Decimal]]:
    """Rate -> (net, tax). Each rate's share of the discount goes off before the tax, which is rounded for
    each rate. The nets are what is left together: the largest takes the cents that rounding leaves.
    """
    by_rate: dict[Decimal, Decimal] = {}
    for total, rate in sums:
        by_rate[rate] = by_rate.get(rate, Decimal(0)) + total
    share = discount / subtotal if subtotal else Decimal(0)
    nets = {rate: cents(total * (1 - share)) for rate, total in by_rate.items()}
    if nets:
        largest = max(nets, key=lambda rate: (nets[rate], rate))
        nets[largest] += subtotal - discount - sum(nets.values())
    return {rate: (net, cents(net * rate)) for rate, net in nets.items()}


def _tax(sums: list[tuple[Decimal, Decimal]], subtotal: Decimal, discount: Decimal) -> Decimal:
    return sum((tax for _, tax in taxes(sums, subtotal, discount).values()), Decimal(0))


def _purchase_order(doc: Body, facts: Facts) -> Values:
    found = line_items(doc)
    if found is None:
        return
    items, sums = found
    subtotal = sum((total for total, _ in sums), Decimal(0))
    tax = _tax(sums, subtotal, Decimal(0))
    yield "lineItems", items
    yield "subtotalEur", subtotal
    yield "taxAmountEur", tax
    yield "totalEur", subtotal + tax + (amount(doc.get("shippingEur")) or Decimal(0))


def _project_cost(doc: Body, facts: Facts) -> Values:
    net = net_cost(doc)
    if net is None:
        return
    tax = cents(net * (amount(doc.get("taxRate")) or Decimal(0)))
    yield "totalNetEur", net
    yield "taxAmountEur", tax
    yield "totalGrossEur", net + tax


def net_cost(doc: Body) -> Decimal | None:
    """Of a project cost."""
    quantity, price = amount(doc.get("quantity")), amount(doc.get("unitPriceEur"))
    return None if quantity is None or price is None else cents(quantity * price)


def _time_entry(doc: Body, facts: Facts) -> Values:
    length = minutes(doc)
    yield "durationMinutes", REMOVED if length is None else length


def _time_entry_cost(doc: Body, facts: Facts) -> Values:
    entry = facts.document(str(doc.get("timeEntryId")))
    if entry is None or entry.get("type") != "time_entry" or doc.get("_id") != cost_id(str(entry["_id"])):
        return
    total = labour_cost(entry, rate_of(doc))
    yield "totalCostEur", REMOVED if total is None else total


def _hotel_stay(doc: Body, facts: Facts) -> Values:
    nights, price = amount(doc.get("nights")), amount(doc.get("pricePerNightEur"))
    if nights is not None and price is not None:
        yield "totalPriceEur", cents(nights * price)


def _mileage_log(doc: Body, facts: Facts) -> Values:
    distance, rate = amount(doc.get("distance")), amount(doc.get("ratePerKm"))
    if distance is not None:
        yield "costEur", cents(distance * (RATE_PER_KM if rate is None else rate))


def _material(doc: Body, facts: Facts) -> Values:
    offered = doc.get("supplierPrices")
    if not isinstance(offered, list):
        return
    prices = [amount(one.get("unitPriceEur")) for one in offered if isinstance(one, Mapping)]
    known = [price for price in prices if price is not None]
    if known:
        yield "averagePrice", cents(sum(known, Decimal(0)) / len(known))
        yield "lowestPrice", min(known)


def _supplier(doc: Body, facts: Facts) -> Values:
    rating = doc.get("rating")
    if not isinstance(rating, Mapping):
        return
    marks = [amount(rating.get(name)) for name in ("quality", "reliability", "communication", "priceValue")]
    known = [mark for mark in marks if mark is not None]
    if not known:
        return
    overall = (sum(known, Decimal(0)) / len(known)).quantize(CENT * 10, "ROUND_HALF_UP")
    if not same_amount(rating.get("overall"), json_number(overall)):
        yield "rating", {**rating, "overall": json_number(overall)}


def _user(doc: Body, facts: Facts) -> Values:
    for field, value in users.lacking(doc):
        yield field, REMOVED if value is None else value


_RULES: Mapping[str, Callable[[Body, Facts], Values]] = {
    "opportunity": _opportunity,
    "offer": _offer,
    "purchase_order": _purchase_order,
    "project_cost": _project_cost,
    "time_entry": _time_entry,
    "time_entry_cost": _time_entry_cost,
    "hotel_stay": _hotel_stay,
    "mileage_log": _mileage_log,
    "material": _material,
    "supplier": _supplier,
    "user": _user,
}

STAMPS: Mapping[str, Mapping[str, tuple[str, str | None]]] = {
    "lead": {"CONVERTED": ("convertedAt", None)},
    "offer": {
        "sent": ("sentAt", None),
        "viewed": ("viewedAt", None),
        "accepted": ("acceptedAt", None),
        "rejected": ("rejectedAt", None),
    },
    "contract": {"signed": ("signedAt", "signedBy")},
    "user_task": {"completed": ("completedAt", "completedBy")},
    "time_entry": {"approved": ("approvedAt", "approvedBy")},
    "expense": {
        "submitted": ("submittedAt", None),
        "approved": ("approvedAt", "approvedBy"),
        "paid": ("paidAt", "paidBy"),
    },
}
"""Type -> status -> the fields that say since when and by whom it is so."""


def stamps(doc: Body, now: str) -> dict[str, Any]:
    """Times and names that a document in this state has to have and hasn't. `now`: the server's time."""
    at, by = _stamp(doc)
    if at is None:
        return {}
    found: dict[str, Any] = {}
    if doc.get(at) is None:
        found[at] = now
    if by is not None and doc.get(by) is None and isinstance(doc.get("modifiedBy"), str):
        found[by] = doc["modifiedBy"]
    return found


def _stamp(doc: Body) -> tuple[str | None, str | None]:
    if doc.get("type") == "comment":
        return ("resolvedAt", "resolvedBy") if doc.get("resolved") is True else (None, None)
    status = doc.get("status")
    by_status = STAMPS.get(str(doc.get("type")), {})
    return by_status.get(status, (None, None)) if isinstance(status, str) else (None, None)
