"""What keeps final documents whole where nobody judges by all the rules: administrators, imports,
replications.

Whoever writes past the gate may bring any document and any history. What is final here stays as it is: it
isn't deleted before its time, not made a draft again, and nothing frozen changes, but for a correction that
has been logged, on another server for instance, and that the seal bears out, and for the erasure of a person
that was done there (`kompass.domain.redaction`). A legal hold, on whatever document, stays as well.
"""

from __future__ import annotations

from typing import Any

from kompass.access.fields import same
from kompass.domain import retention
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.corrections import irreparable
from kompass.domain.freezing import FILES, frozen_changes, is_final
from kompass.domain.redaction import is_redaction
from kompass.domain.refusals import Refusal
from kompass.domain.sealing import is_intact
from kompass.domain.settings import BusinessSettings

_SEAL = ("finalized", "immutableAt", "immutableHash", "immutableAttachments")
_CORRECTED = ("changeLog", "correctionReason")


def check(
    change: Change, facts: Facts, settings: BusinessSettings, *, replicated: bool = False
) -> Refusal | None:
    """Why what is final, or held, forbids the change, whoever wants it; None for anything else.

    `replicated`: it comes from another server, whose GF may have set a legal hold, or erased somebody.
    """
    before, doc = change.before, change.doc
    if before is None:
        return None
    if doc is None:
        return retention.check(change, facts, settings)
    held = retention.hold_changes(change)
    if held and not (replicated and retention.is_held(doc)):
        return Refusal(
            "retention.hold_door",
            f"{retention.HOLD} is set and lifted by GF, with a reason, through the gate: not by"
            " administrators, imports and replications.",
            f"{retention.HOLD} setzt und löst die Geschäftsführung, mit Begründung; Administration, Import"
            " und Replikation können es nicht.",
            held,
        )
    if not is_final(before, facts):
        return None
    if replicated and not change.changes("type") and is_redaction(before, doc):
        return None
    touched: list[str] = []
    if not _is_logged(change, facts):
        touched += frozen_changes(change, facts)
        touched += (name for name in _CORRECTED if change.changes(name))
    if change.changes("erasures"):
        touched.append("erasures")
    if before.get("finalized") is True:
        touched += [name for name in _SEAL if change.changes(name)]
    if change.changes("type"):
        touched.append("type")
    elif not is_final(doc, facts):
        touched.append("status")
    if not touched:
        return None
    names = ", ".join(dict.fromkeys(touched))
    doctype = str(before.get("type"))
    return Refusal(
        "frozen.door",
        f"This {doctype} is final; administrators, imports and replications can't change {names} either."
        " GF corrects it with a reason, or cancels it (Storno).",
        f"Dieses Dokument ({doctype}) ist festgeschrieben; {names} ändern auch Administration, Import und"
        " Replikation nicht. Die Geschäftsführung korrigiert mit Begründung oder storniert.",
        tuple(dict.fromkeys(touched)),
    )


def _is_logged(change: Change, facts: Facts) -> bool:
    """Whether the change is nothing but corrections that its change log adds to the stored one's."""
    before, doc = change.before, change.doc
    assert before is not None
    assert doc is not None
    had, has = _log(before), _log(doc)
    if len(has) <= len(had) or not same(had, has[: len(had)]) or doc.get("correctionReason") is not None:
        return False
    fields = {entry.get("field") for entry in has[len(had) :] if isinstance(entry, dict)}
    if fields & {*FILES, *irreparable(change.type)}:
        return False
    return {*frozen_changes(change, facts)} <= fields and is_intact(doc)


def _log(body: Body) -> list[Any]:
    log = body.get("changeLog")
    return log if isinstance(log, list) else []
