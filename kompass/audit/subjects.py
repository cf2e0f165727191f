"""Whom a document is about: his key seals what the chain keeps of its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PERSONS = frozenset({"customer", "contact", "user", "lead"})
"""Types whose documents are about themselves."""

_CONVERSATIONS = frozenset({"activity", "protocol"})
"""Types that are about a contact if they name one: what is said there is about him."""

_DOCUMENTS = ("customerId", "contactId")
_USERS = ("userId", "assignedTo", "ownerId")
"""Members with the name somebody logs in with."""
_LONGEST = 200


def subject_of(docid: str, members: Mapping[str, Any]) -> str:
    """The id of a customer, a contact or a user; the document's own id if it is about nobody.

    A document of the trade belongs to its customer even where it names a contact: an erased contact must not
    make an invoice unreadable.
    """
    doctype = _key(members.get("type"))
    if doctype in _PERSONS:
        return docid
    order = reversed(_DOCUMENTS) if doctype in _CONVERSATIONS else _DOCUMENTS
    for name in order:
        if (value := _key(members.get(name))) is not None:
            return value
    for name in _USERS:
        if (value := _key(members.get(name))) is not None:
            return f"user-{value}"
    return docid


def _key(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST else None
