"""Amounts: exact decimals inside, JSON numbers outside, rounded as merchants do (half away from zero)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

CENT = Decimal("0.01")
_MOST = Decimal(10) ** 9
"""So products and sums of many stay exact."""


def amount(value: object) -> Decimal | None:
    """A JSON number as the decimal that it was written as; None for everything else, and for what is
    absurd.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < _MOST else None


def cents(value: Decimal) -> Decimal:
    """Rounded to whole cents."""
    return value.quantize(CENT, ROUND_HALF_UP)


def whole(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1), ROUND_HALF_UP)


def json_number(value: Decimal) -> int | float:
    """As JSON has it: 12.5, and 12 rather than 12.0."""
    return int(value) if value == value.to_integral_value() else float(value)


def same_amount(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same number, however written."""
    left, right = amount(one), amount(other)
    return left is not None and left == right
