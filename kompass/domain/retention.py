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
HOLD_REASON = "legalHoldReason"
"""Why it was set or lifted the last time. It is said anew each time."""
SHORTEST_REASON = 10
"""Characters."""

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
    if is_held(before):
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


def is_held(body: Body | None) -> bool:
    """Whether there is a legal hold on the document: true and nothing else, for that is what keeps it."""
    return body is not None and body.get(HOLD) is True


def hold_changes(change: Change) -> tuple[str, ...]:
    """The fields by which the change sets or lifts the legal hold, or says why."""
    found = [HOLD] if is_held(change.before) != is_held(change.doc) else []
    if change.changes(HOLD_REASON):
        found.append(HOLD_REASON)
    return tuple(found)


def _hold_changed(change: Change) -> Refusal | None:
    touched = hold_changes(change)
    if not touched:
        return None
    if Role.GF not in change.principal.roles:
        return Refusal(
            "retention.hold_role",
            f"{HOLD} is set and lifted by GF, who says why.",
            f"{HOLD} setzt und löst nur die Geschäftsführung, mit Begründung.",
            touched,
        )
    assert change.doc is not None
    reason = change.doc.get(HOLD_REASON)
    if HOLD in touched and not (
        HOLD_REASON in touched and isinstance(reason, str) and len(reason.strip()) >= SHORTEST_REASON
    ):
        return Refusal(
            "retention.hold_reason",
            f"{HOLD_REASON} says why {HOLD} is set or lifted: anew each time, in at least {SHORTEST_REASON}"
            " characters.",
            f"{HOLD_REASON} nennt den Grund, aus dem {HOLD} gesetzt oder gelöst wird: jedes Mal neu, mit"
            f" mindestens {SHORTEST_REASON} Zeichen.",
            (HOLD_REASON,),
        )
    return None
