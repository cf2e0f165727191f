"""Numbers, amounts and days as people in Germany write them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

HERE = ZoneInfo("Europe/Berlin")
UNITS = {
    "piece": "Stück",
    "square_meter": "m²",
    "linear_meter": "lfm",
    "cubic_meter": "m³",
    "kilogram": "kg",
    "liter": "l",
    "package": "Paket",
    "set": "Satz",
    "hour": "Std.",
}
"""Of materials; lines of an offer may have any."""
_TURNED = str.maketrans(",.", ".,")
_NO_BREAK = "\u00a0"


def number(value: Decimal, most: int = 3, least: int = 0) -> str:
    """With at most and at least so many decimals: `1.234,5`."""
    text = f"{value:,.{most}f}"
    if most > least:
        whole, _, rest = text.partition(".")
        rest = rest.rstrip("0").ljust(least, "0")
        text = f"{whole}.{rest}" if rest else whole
    return text.translate(_TURNED)


def euro(value: Decimal) -> str:
    """`1.234,50 €`."""
    return f"{number(value, 2, 2)}{_NO_BREAK}€"


def percent(fraction: Decimal) -> str:
    """`19 %` of 0.19."""
    return f"{number(100 * fraction, 2)}{_NO_BREAK}%"


def day(value: date) -> str:
    """`03.11.2026`; of a time the day that it is in Germany then."""
    if isinstance(value, datetime):
        value = value.astimezone(HERE)
    return f"{value:%d.%m.%Y}"
