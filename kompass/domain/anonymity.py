"""Whoever was erased stays erased: nobody writes his data into his document again."""

from __future__ import annotations

from kompass.domain.changes import Change, Facts
from kompass.domain.personal import ANONYMIZED, OWN
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings


def check(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Why a change of a document can't be stored whose person was erased."""
    if change.doc is None or change.before is None or change.before.get(ANONYMIZED) is not True:
        return None
    personal = {path.partition(".")[0] for path in OWN.get(change.type, ())}
    fields = tuple(field for field in change.changed() if field in personal)
    if not fields:
        return None
    names = ", ".join(fields)
    return Refusal(
        "privacy.erased",
        f"The person in this document was erased: {names} can't be written again. Make a new document.",
        f"Die Person in diesem Dokument wurde gelöscht: {names} lässt sich nicht neu eintragen. Legen Sie ein"
        " neues Dokument an.",
        fields,
    )
