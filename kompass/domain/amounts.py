"""Amounts as the limits of approval see them, from what a document says itself."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from kompass.domain.changes import Body

_CENT = Decimal("0.01")
_ZERO = Decimal(0)
_HUNDRED = Decimal(100)


def number(value: object, otherwise: Decimal = _ZERO) -> Decimal:
    """A JSON number as it was written; `otherwise` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return otherwise
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return otherwise
    return exact if exact.is_finite() else otherwise


def cents(value: Decimal) -> Decimal:
    """Rounded to two decimals, halves up, as invoices are."""
    return value.quantize(_CENT, ROUND_HALF_UP) if value.is_finite() else value


def _items(body: Body) -> Sequence[Body]:
    items = body.get("lineItems")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _gross(body: Body, discount: Decimal) -> Decimal:
    """Of line items, each with its own tax or the document's."""
    usual = number(body.get("taxRate"))
    total = _ZERO
    for item in _items(body):
        net = number(item.get("quantity")) * number(item.get("unitPriceEur"))
        total += net * (1 - discount) * (1 + number(item.get("taxRate"), usual))
    return total


def offer_discount(offer: Body) -> Decimal:
    """Percent of what the items cost, however it is written."""
    net = sum(
        (number(item.get("quantity")) * number(item.get("unitPriceEur")) for item in _items(offer)), _ZERO
    )
    absolute = number(offer.get("discountAmountEur"))
    relative = number(offer.get("discountPercent"))
    return max(relative, absolute / net * _HUNDRED if net else _ZERO)


def offer_total(offer: Body) -> Decimal:
    """Gross."""
    percent = min(number(offer.get("discountPercent")), _HUNDRED)
    return cents(_gross(offer, percent / _HUNDRED))


def order_total(order: Body) -> Decimal:
    """Gross, with shipping."""
    return cents(_gross(order, _ZERO) + number(order.get("shippingEur")))


def cost_net(cost: Body) -> Decimal:
    return cents(number(cost.get("quantity")) * number(cost.get("unitPriceEur")))
