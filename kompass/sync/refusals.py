"""Why a document was refused, for the people who read it: in English, and in German for who wrote it."""

from __future__ import annotations

from kompass.access import Decision
from kompass.access.policy import UNKNOWN
from kompass.domain.refusals import Refusal
from replication.protocol.errors import ProtocolError

NO_SUCH_DOCUMENT = Refusal(
    UNKNOWN,
    "There is no such document, or you may not write it.",
    "Dieses Dokument gibt es nicht, oder Sie dürfen es nicht ändern.",
)
"""For whatever must not tell whether the document exists: one text for everything."""

ROLES_CHANGED = "Your roles have changed: log in again."
"""For a login with fewer roles than the record, by which goes what somebody sees."""

NOT_A_MEMBER = "You are not allowed to access this db."
"""For somebody without an active record."""

DELETED = Refusal(
    "document.deleted",
    "The document has been deleted, and a device can't bring it back. Ask the office to restore it.",
    "Das Dokument wurde gelöscht; vom Gerät aus lässt es sich nicht zurückholen, aber im Büro.",
)

ERASED = Refusal(
    "privacy.erased",
    "Personal data was erased from this document; what you sent follows an earlier version and is not kept."
    " Sync, and enter again what is still needed.",
    "Aus diesem Dokument wurden personenbezogene Daten gelöscht; Ihre Änderung beruht auf einer früheren"
    " Fassung und wird nicht aufbewahrt. Synchronisieren Sie, und tragen Sie neu ein, was noch nötig ist.",
)
"""For what may bring back what was erased."""

NAMES_ERASED = Refusal(
    "privacy.names_erased",
    "This is about somebody whose data was erased: the office decides whether it may be kept.",
    "Das betrifft jemanden, dessen Daten gelöscht wurden: Das Büro entscheidet, ob es bleiben darf.",
)

_GERMAN = {
    "type": "Dokumente dieser Art kann ein Gerät nicht schreiben.",
    "escape.type": "Die Art eines Dokuments ändert sich nie.",
    "escape.author": "Als Verfasser muss eingetragen sein, wer das Dokument sendet.",
    "escape.parent": "Ein Dokument bleibt, wo es hingehört; verschieben kann es das Büro.",
    "escape.owner": "Den Verantwortlichen ändert nur das Büro.",
    "escape.audience": "Mit dieser Änderung könnten Sie das Dokument selbst nicht mehr bearbeiten.",
    "reference.absent": "Ein Dokument, zu dem dieses gehört, gibt es nicht, oder Sie dürfen es nicht sehen.",
    "field.misplaced": "Diese Angaben gehören in ein anderes Dokument.",
    "field.writers": "Diese Angaben dürfen Sie nicht ändern.",
    "companion.id": "Das Dokument trägt nicht die Kennung, die zu seinem Hauptdokument gehört.",
    UNKNOWN: NO_SUCH_DOCUMENT.grund,
}


def of_decision(decision: Decision) -> Refusal:
    """A denial of the access rules, in both languages."""
    if decision.rule == UNKNOWN:
        return NO_SUCH_DOCUMENT
    german = _GERMAN.get(decision.rule) or _GERMAN.get(decision.rule.partition(".")[0])
    if german is None:
        german = "Dafür fehlt Ihnen die Berechtigung."
    if decision.fields:
        german = f"{german} Betroffen: {', '.join(decision.fields)}."
    return Refusal(decision.rule, decision.reason, german, decision.fields)


class RefusedError(ProtocolError):
    """What somebody online is answered whose edit is refused: CouchDB's `forbidden`, and why in full."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(403, "forbidden", refusal.reason)
        self.refusal = refusal
