"""What the service that does jobs may write: a table beside the permission matrix, which is about people.

It makes new documents of two types, with no other fields than these, in no other state, and in the name of
the server. It changes and deletes nothing. Whom a document is for must be able to read what it names; that
is looked at where documents are known (`kompass.sync.gate.services`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kompass.access.policy import Decision

AUTHOR = "system"
"""In whose name it writes."""

_EVERY = frozenset({"_id", "type", "createdBy", "createdAt", "modifiedBy", "modifiedAt", "version"})


@dataclass(frozen=True, slots=True)
class Making:
    """How a new document may be."""

    recipient: str
    """The field that says whom it is for."""
    names: frozenset[str]
    """Fields that name documents, which he must be able to read."""
    fields: frozenset[str]
    """Others that it may have."""
    fixed: Mapping[str, Any]
    """What it has to say."""


MAKES: Mapping[str, Making] = {
    "notification": Making(
        "recipientId",
        frozenset({"documentId"}),
        frozenset({"notificationType", "documentType", "title"}),
        {"isRead": False},
    ),
    "user_task": Making(
        "assignedTo",
        frozenset({"relatedCustomerId", "relatedOpportunityId", "relatedProjectId"}),
        frozenset({"title", "description", "priority", "dueDate"}),
        {"status": "open"},
    ),
}


def decide(doc: Mapping[str, Any]) -> Decision:
    """Whether the service may make such a document, as far as the document itself tells."""
    doctype = doc.get("type")
    making = MAKES.get(doctype) if isinstance(doctype, str) else None
    if making is None:
        return Decision(False, "service.type", "This service makes no documents of this type.", ("type",))
    allowed = _EVERY | making.fields | making.names | making.fixed.keys() | {making.recipient}
    more = sorted(set(doc) - allowed)
    if more:
        names = tuple(name[:64] for name in more[:10])
        return Decision(False, "service.fields", f"This service writes no {', '.join(names)}.", names)
    wrong = [name for name, value in making.fixed.items() if doc.get(name) != value]
    wrong += [name for name in ("createdBy", "modifiedBy") if doc.get(name) != AUTHOR]
    wrong += [] if isinstance(doc.get(making.recipient), str) else [making.recipient]
    wrong += [name for name in making.names if not isinstance(doc.get(name, ""), str)]
    if wrong:
        return Decision(False, "service.values", f"This must be otherwise: {', '.join(wrong)}.", tuple(wrong))
    return Decision(True, f"{doctype}.create._jobs", "The service that does jobs may make it.")


def named(doc: Mapping[str, Any]) -> list[str]:
    """Ids of the documents that it names, of one that `decide` allows."""
    making = MAKES[str(doc["type"])]
    return [str(doc[name]) for name in sorted(making.names) if doc.get(name)]


def recipient(doc: Mapping[str, Any]) -> str:
    """Whom it is for, of one that `decide` allows."""
    return str(doc[MAKES[str(doc["type"])].recipient])
