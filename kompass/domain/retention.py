"""What may be deleted at all: nothing final before its time is over, and nothing under a legal hold."""

from __future__ import annotations

from datetime import UTC, datetime

from kompass.access.principals import Role
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.freezing import is_final
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings
from kompass.domain.times import moment

HOLD = "legalHold"

_DATES = (
    "immutableAt",
    "contractDate",
    "invoiceDate",
    "expenseDate",
    "offerDate",
    "approvedAt",
    "paidAt",
    "modifiedAt",
    "createdAt",
)
"""What may say when a document became final; the latest counts."""

_INSTEAD = {
    "customer": (
        "It can be pseudonymised instead.",
        "Stattdessen lässt sich der Kunde pseudonymisieren.",
    ),
    "offer": ("Supersede it by a new offer instead.", "Ersetzen Sie es stattdessen durch ein neues Angebot."),
    "contract": (
        "It can be terminated; the people in it can be pseudonymised.",
        "Er lässt sich beenden; die Personen darin lassen sich pseudonymisieren.",
    ),
}
_ELSE = (
    "Cancel it (Storno) instead; the people in it can be pseudonymised.",
    "Stornieren Sie es stattdessen; die Personen darin lassen sich pseudonymisieren.",
)


def kept_until(body: Body, settings: BusinessSettings) -> datetime | None:
    """When the retention of a final document ends; None if it doesn't say when that began."""
    found = [at for name in _DATES if (at := moment(body.get(name))) is not None]
    if not found:
        return None
    return datetime(min(max(found).year + settings.retention_years + 1, 9999), 1, 1, tzinfo=UTC)


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why the document can't be deleted, or its legal hold not be changed."""
    doc, before = change.doc, change.before
    if doc is not None:
        return _hold_changed(change)
    assert before is not None
    if before.get(HOLD) is True:
        return Refusal(
            "retention.legal_hold",
            "There is a legal hold on this document: it isn't deleted before GF lifts it.",
            "Das Dokument ist für ein Verfahren gesperrt (legalHold) und wird nicht gelöscht, bis die "
            "Geschäftsführung das aufhebt.",
            (HOLD,),
        )
    if not is_final(before, facts):
        return None
    until = kept_until(before, settings)
    if until is not None and until <= change.now:
        return None
    instead, stattdessen = _INSTEAD.get(change.type, _ELSE)
    when = f" until the end of {until.year - 1}" if until is not None else ""
    wann = f" bis Ende {until.year - 1}" if until is not None else ""
    return Refusal(
        "retention.deletion",
        f"This {change.type} is final and has to be kept{when}. {instead}",
        f"Dieses Dokument ({change.type}) ist festgeschrieben und wird{wann} aufbewahrt. {stattdessen}",
    )


def _hold_changed(change: Change) -> Refusal | None:
    assert change.doc is not None
    had = change.before.get(HOLD) if change.before is not None else None
    if bool(change.doc.get(HOLD)) == bool(had) or Role.GF in change.principal.roles:
        return None
    return Refusal(
        "retention.hold_role",
        f"{HOLD} is set and lifted by GF.",
        f"{HOLD} setzt und löst nur die Geschäftsführung.",
        (HOLD,),
    )
