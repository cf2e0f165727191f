"""Amounts as the limits of approval see them, worked out from what a document says itself.

What can't be worked out is infinite: then whoever approves everything has to.
"""

from __future__ import annotations

from decimal import Decimal

from kompass.domain.changes import Body, NoFacts
from kompass.domain.derivations import computed
from kompass.domain.money import amount

UNKNOWN = Decimal("Infinity")
_ZERO = Decimal(0)
_HUNDRED = Decimal(100)


def number(value: object, otherwise: Decimal = _ZERO) -> Decimal:
    """A JSON number as it was written; `otherwise` for anything else."""
    found = amount(value)
    return otherwise if found is None else found


def _value(body: Body, field: str) -> Decimal:
    """A field as the server is going to write it."""
    return number({**body, **computed(body, NoFacts())}.get(field), UNKNOWN)


def offer_total(offer: Body) -> Decimal:
    """Gross."""
    return _value(offer, "totalEur")


def offer_discount(offer: Body) -> Decimal:
    """Percent of what the items cost, however it is written."""
    absolute = number(offer.get("discountAmountEur"))
    net = _value(offer, "subtotalEur")
    share = absolute / net * _HUNDRED if absolute and net and net.is_finite() else _ZERO
    return max(number(offer.get("discountPercent")), share)


def order_total(order: Body) -> Decimal:
    """Gross, with shipping."""
    return _value(order, "totalEur")


def cost_net(cost: Body) -> Decimal:
    return _value(cost, "totalNetEur")
