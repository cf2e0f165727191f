"""All documents of a type that fit, as somebody sees them: for what needs more than a page of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kompass.resources import lists
from kompass.resources.catalogue import RESOURCES
from kompass.resources.filters import parse
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext

_PAGE = 200
STABLE = "createdAt"
"""A field of all documents that nobody changes."""


class TooMany(Exception):
    """More documents fit than may be gathered."""


async def gather(
    view: PersonalDatabase, name: str, sort: str, given: Sequence[tuple[str, str]], *, most: int
) -> list[dict[str, Any]]:
    """The documents of the resource `name` that fit all filters, as lists take them, sorted by a field, each
    once.

    By `STABLE` none is missing, whatever others edit meanwhile. Raises `TooMany` for more than `most`.
    """
    resource = RESOURCES[name]
    question = lists.Question(resource, sort, False, parse(resource.fields, given), _PAGE)
    found: dict[str, dict[str, Any]] = {}
    cursor: str | None = None
    while True:
        page = await lists.page(view, question, cursor)
        for document in page.items:
            found.pop(document.id, None)  # it has moved behind where it was
            found[document.id] = jsontext.decode(document.text)
        if len(found) > most:
            raise TooMany(f"There are more than {most} {name}.")
        cursor = page.following
        if cursor is None:
            return list(found.values())
