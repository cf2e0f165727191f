"""Corrections of what is final: by management, with a reason, and with a change log that shows them for good.

To correct, management changes the field and writes the reason into `correctionReason`, in one version. In the
same transaction the server moves the reason into the change log, under a number of the series `CL`, and takes
it out of the document; so the next correction needs a reason of its own. The seal stays as it was: put back
what the change log says, and it fits again (`kompass.domain.sealing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kompass.access.fields import same
from kompass.access.principals import Principal, Role
from kompass.domain.changes import Body, Change
from kompass.domain.refusals import Refusal
from kompass.domain.stamps import timestamp

REASON = "correctionReason"
SHORTEST_REASON = 10
"""Characters."""

_TOTALS = frozenset({"subtotalEur", "taxAmountEur", "totalEur"})

MONEY: Mapping[str, frozenset[str]] = {
    "offer": _TOTALS | {"lineItems", "discountPercent", "discountAmountEur", "taxRate"},
    "contract": frozenset({"contractValueEur", "subtotalEur", "taxAmountEur", "paymentSchedule"}),
    "project_cost": frozenset(
        {"quantity", "unitPriceEur", "taxRate", "totalNetEur", "taxAmountEur", "totalGrossEur", "projectId"}
    ),
    "time_entry": frozenset({"startTime", "endTime", "durationMinutes", "hourlyRateEur", "projectId"}),
    "time_entry_cost": frozenset({"hourlyRateEur", "totalCostEur"}),
    "expense": frozenset({"amount", "taxAmount", "netAmount", "projectId"}),
    "mileage_log": frozenset({"distance", "ratePerKm", "costEur", "projectId"}),
}
"""Fields that no correction changes: their error is cancelled by a Storno, and the document made anew."""


EVIDENCE: Mapping[str, frozenset[str]] = {
    "offer": frozenset({"pdfUrl"}),
    "contract": frozenset({"signedPdfUrl"}),
    "project_cost": frozenset({"invoicePdfUrl"}),
    "expense": frozenset({"receiptUrl"}),
    "supplier_invoice": frozenset({"pdfUrl"}),
}
"""Fields that say which file is the evidence. No correction points them at another one."""


def irreparable(doctype: str) -> frozenset[str]:
    """Fields that no correction changes."""
    return MONEY.get(doctype, _NONE) | EVIDENCE.get(doctype, _NONE)


_NONE: frozenset[str] = frozenset()


def correction(change: Change, touched: tuple[str, ...]) -> Refusal | None:
    """Why the reason in the document, if there is one, makes no correction of the final fields it touches."""
    doc = change.doc
    assert doc is not None
    reason = doc.get(REASON)
    if reason is None:
        return None
    if not touched:
        return Refusal(
            "correction.none",
            f"{REASON} goes with a change of what is final; nothing of that kind changes here. Leave it out.",
            f"{REASON} gehört zur Änderung von Festgeschriebenem; davon ändert sich hier nichts.",
            (REASON,),
        )
    if Role.GF not in change.principal.roles:
        return Refusal(
            "correction.role",
            f"{', '.join(touched)} is final and corrected by GF only.",
            f"{', '.join(touched)} ist festgeschrieben und wird nur von der Geschäftsführung korrigiert.",
            (*touched, REASON),
        )
    money = [field for field in touched if field in irreparable(change.type)]
    money += [field for field in ("_attachments", "attachments") if field in touched]
    if money:
        names = ", ".join(money)
        return Refusal(
            "correction.storno",
            f"{names} is not corrected: cancel the document (Storno) and make a new one.",
            f"{names} wird nicht korrigiert: Stornieren Sie das Dokument und legen Sie ein neues an.",
            tuple(money),
        )
    if not isinstance(reason, str) or len(reason.strip()) < SHORTEST_REASON:
        return Refusal(
            "correction.reason",
            f"{REASON} says why, in at least {SHORTEST_REASON} characters.",
            f"{REASON} nennt den Grund, mit mindestens {SHORTEST_REASON} Zeichen.",
            (REASON,),
        )
    return None


def corrected(
    before: Body, doc: Body, fields: Iterable[str], principal: Principal, now: datetime, number: str
) -> dict[str, Any]:
    """The body that the server writes after a correction: `doc` with its change log, without the reason.

    `before` is the version that was corrected and `fields` are what of it was final and has changed
    (`kompass.domain.freezing.frozen_changes`). `number` is the next of the series CL, one for the correction.
    Both bodies may have `_id` and `_attachments`; the result has neither.
    """
    reason = doc.get(REASON)
    at = timestamp(now)
    log = before.get("changeLog")
    entries = list(log) if isinstance(log, list) else []
    entries += [
        {
            "changeNumber": number,
            "field": field,
            "oldValue": before.get(field),
            "newValue": doc.get(field),
            "changedBy": principal.name,
            "changedAt": at,
            "reason": reason.strip() if isinstance(reason, str) else reason,
            "approvedBy": principal.name,
        }
        for field in fields
    ]
    body = {name: value for name, value in doc.items() if name[:1] != "_" and name != REASON}
    body["changeLog"] = entries
    return body


def reverted(body: Body) -> dict[str, Any] | None:
    """The document as it was before all corrections in its change log; None if it isn't as the log says."""
    original = dict(body)
    log = body.get("changeLog")
    for entry in reversed(log if isinstance(log, list) else []):
        field = entry.get("field") if isinstance(entry, dict) else None
        if not isinstance(field, str) or not same(original.get(field), entry.get("newValue")):
            return None
        original[field] = entry.get("oldValue")
    return {name: value for name, value in original.items() if value is not None}
