"""Whom a document is about: his key seals what the chain keeps of its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PERSONS = frozenset({"customer", "contact", "user", "lead"})
"""Types whose documents are about themselves."""

_CONVERSATIONS = frozenset({"activity", "protocol"})
"""Types that are about a contact if they name one: what is said there is about him."""

_DOCUMENTS = ("customerId", "contactId")
_ABOUT_CONTACTS = ("contactId", "customerId")
_USERS = ("userId", "assignedTo", "ownerId")
"""Members with the name somebody logs in with."""
_LONGEST = 200


def subject_of(docid: str, members: Mapping[str, Any]) -> str:
    """The id of a customer, a contact or a user; the document's own id if it is about nobody.

    A document of the trade belongs to its customer even where it names a contact: an erased contact must not
    make an invoice unreadable.
    """
    doctype = members.get("type")
    if type(doctype) is str and doctype in _PERSONS:
        return docid
    for name in _ABOUT_CONTACTS if type(doctype) is str and doctype in _CONVERSATIONS else _DOCUMENTS:
        value = members.get(name)
        if type(value) is str and 0 < len(value) <= _LONGEST:
            return value
    for name in _USERS:
        value = members.get(name)
        if type(value) is str and 0 < len(value) <= _LONGEST:
            return f"user-{value}"
    return docid
