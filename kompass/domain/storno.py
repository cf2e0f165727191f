"""Storno: how an amount that is final and wrong goes out of the books without being touched.

- Cost, time entry, expense: management makes a document of the same type with the same contents, `stornoOf`
  (the id of the wrong one) and `stornoReason`. Neither of the two counts any more; the right one is made
  anew.
- Offer: it is superseded, with `supersededBy` the new one.
- Contract: management terminates it with a reason, with `supersededBy` the new one.
"""

from __future__ import annotations

from collections.abc import Mapping

from kompass.access.fields import same
from kompass.access.principals import Role
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.freezing import is_final
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings

COPIED: Mapping[str, tuple[str, ...]] = {
    "project_cost": (
        "projectId",
        "status",
        "costType",
        "quantity",
        "unitPriceEur",
        "taxRate",
        "supplierName",
        "invoiceNumber",
        "invoiceDate",
    ),
    "time_entry": ("projectId", "status", "userId", "startTime", "endTime"),
    "expense": ("projectId", "tourId", "status", "category", "amount", "expenseDate"),
}
"""Types with a Storno of their own -> the fields in which it equals the original."""


def is_storno(body: Body) -> bool:
    """Whether the document takes another one out of the books. It counts as little as that one."""
    return body.get("stornoOf") is not None and body.get("type") in COPIED


def is_cancelled(body: Body, facts: Facts) -> bool:
    """Whether a Storno names the document."""
    doctype = str(body.get("type"))
    return doctype in COPIED and any(facts.referring(doctype, "stornoOf", str(body.get("_id"))))


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why a document is no Storno of the one it names; and a Storno never changes."""
    doc, before = change.doc, change.before
    if doc is not None and before is not None and before.get("stornoOf") is not None:
        return _no("storno.final", "A Storno stays as it is.", "Ein Storno bleibt, wie es ist.", "stornoOf")
    if doc is None or doc.get("stornoOf") is None:
        return None
    if change.type not in COPIED:
        return _no(
            "storno.type",
            f"There is no Storno of a {change.type}; offers are superseded, contracts terminated.",
            "Für diese Art von Dokument gibt es kein Storno; Angebote werden ersetzt, Verträge beendet.",
            "stornoOf",
        )
    if before is not None:
        return _no(
            "storno.new",
            "A Storno is a new document; one that exists doesn't become it.",
            "Ein Storno ist ein neues Dokument; ein vorhandenes wird nicht dazu.",
            "stornoOf",
        )
    if Role.GF not in change.principal.roles:
        return _no(
            "storno.role", "A Storno is made by GF.", "Ein Storno legt die Geschäftsführung an.", "stornoOf"
        )
    reason = doc.get("stornoReason")
    if not isinstance(reason, str) or len(reason.strip()) < 10:
        return _no(
            "storno.reason",
            "stornoReason says why, in at least 10 characters.",
            "stornoReason nennt den Grund, mit mindestens 10 Zeichen.",
            "stornoReason",
        )
    original = facts.document(str(doc["stornoOf"]))
    if original is None or original.get("type") != change.type or not is_final(original, facts):
        return _no(
            "storno.original",
            f"stornoOf names no {change.type} that is final. What isn't final yet is simply changed.",
            "stornoOf nennt kein festgeschriebenes Dokument dieser Art. Was nicht festgeschrieben ist, wird "
            "einfach geändert.",
            "stornoOf",
        )
    if original.get("stornoOf") is not None or is_cancelled(original, facts):
        return _no(
            "storno.twice",
            "The document that stornoOf names has been cancelled, or is a Storno itself.",
            "Das in stornoOf genannte Dokument ist schon storniert oder selbst ein Storno.",
            "stornoOf",
        )
    other = tuple(field for field in COPIED[change.type] if not same(doc.get(field), original.get(field)))
    if other:
        names = ", ".join(other)
        return Refusal(
            "storno.copy",
            f"A Storno says the same as what it cancels; {names} differs.",
            f"Ein Storno gibt wieder, was es storniert; {names} weicht ab.",
            other,
        )
    return None


def _no(rule: str, reason: str, grund: str, field: str) -> Refusal:
    return Refusal(rule, reason, grund, (field,))
