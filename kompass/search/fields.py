"""Values in a document by path, whatever the document looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

MOST_VALUES = 1000
"""Values read for one path: a list may be of any length."""


def values(doc: Mapping[str, Any], path: str) -> Iterator[Any]:
    """What stands at `billingAddress.city` or `lineItems[].description`, none of it null."""
    found: list[Any] = [doc]
    for step in path.split("."):
        name, many, _ = step.partition("[]")
        inner = [one[name] for one in found if isinstance(one, Mapping) and name in one]
        if many:
            inner = [each for one in inner if isinstance(one, list) for each in one[:MOST_VALUES]]
        found = inner[:MOST_VALUES]
    return (one for one in found if one is not None)


def texts(doc: Mapping[str, Any], path: str) -> Iterator[str]:
    """The strings among them that aren't empty."""
    return (one for one in values(doc, path) if isinstance(one, str) and one)


def text(doc: Mapping[str, Any], path: str) -> str | None:
    """The first of them."""
    return next(texts(doc, path), None)


def number(doc: Mapping[str, Any], path: str) -> Decimal | int | float | None:
    """The first number among the values; true and false are none."""
    for one in values(doc, path):
        if isinstance(one, int | float | Decimal) and not isinstance(one, bool):
            return one
    return None
