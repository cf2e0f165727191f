"""What of documents is about a person, and what becomes of it when he is erased: tables.

An erasure pseudonymises: the document stays, with its numbers, amounts and references, and says "Gelöschter
Kunde #12". `OWN` is for documents that are about the person or company themselves, `ABOUT` for documents that
name them. What neither table mentions stays; in its texts the person's name, addresses and numbers are
replaced wherever they stand (`kompass.domain.traces`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

from kompass.domain.changes import Body
from kompass.domain.stamps import timestamp

GONE = "Gelöscht"
REMOVED = "[gelöscht]"
"""What stands in a text instead of an address or a number."""


class Treatment(Enum):
    """What is done to a field."""

    CLEAR = "clear"
    """It goes."""
    PSEUDONYM = "pseudonym"
    """It says the pseudonym."""


@dataclass(frozen=True, slots=True)
class Says:
    """It says this instead; `{n}` is the pseudonym's number."""

    text: str


Rule = Treatment | Says
Rules = Mapping[str, Rule]
"""Path -> what is done; `a.b` is a member of an object."""

CLEAR, PSEUDONYM = Treatment.CLEAR, Treatment.PSEUDONYM

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "customer": "Gelöschter Kunde #{n}",
        "contact": "Gelöschter Kontakt #{n}",
        "lead": "Gelöschter Interessent #{n}",
        "user": "Gelöschter Benutzer #{n}",
    }
)
"""Type of a subject -> its pseudonym. Each type counts for itself."""

FILES = "_attachments"


def _address(path: str) -> dict[str, Rule]:
    return {
        f"{path}.street": Says(GONE),
        f"{path}.streetNumber": CLEAR,
        f"{path}.addressLine2": CLEAR,
        f"{path}.zipCode": Says("00000"),
        f"{path}.city": Says(GONE),
        f"{path}.state": CLEAR,
        f"{path}.latitude": CLEAR,
        f"{path}.longitude": CLEAR,
    }


_COMMON: dict[str, Rule] = {"notes": CLEAR, "attachments": CLEAR, FILES: CLEAR}

OWN: Mapping[str, Rules] = MappingProxyType(
    {
        "customer": {
            "companyName": PSEUDONYM,
            "vatNumber": CLEAR,
            "email": CLEAR,
            "phone": CLEAR,
            "website": CLEAR,
            **_address("billingAddress"),
            **_COMMON,
        },
        "contact": {
            "firstName": Says("Gelöschter"),
            "lastName": Says("Kontakt #{n}"),
            "title": CLEAR,
            "position": CLEAR,
            "department": CLEAR,
            "email": CLEAR,
            "phone": CLEAR,
            "mobile": CLEAR,
            "departmentInfluence": CLEAR,
            "preferredContactMethod": CLEAR,
            "language": CLEAR,
            **_COMMON,
        },
        "lead": {
            "companyName": PSEUDONYM,
            "firstName": CLEAR,
            "lastName": CLEAR,
            "email": CLEAR,
            "phone": CLEAR,
            "city": CLEAR,
            "billingAddress": CLEAR,
            "description": CLEAR,
            **_COMMON,
        },
        "user": {
            "displayName": PSEUDONYM,
            "email": Says("geloescht-{n}@example.invalid"),
            "phoneNumber": CLEAR,
            "workingHours": CLEAR,
            "availability": CLEAR,
            **_COMMON,
        },
    }
)
"""Type of a subject -> what becomes of its own document. A user's login name stays: it says who booked what,
which has to be kept."""

ABOUT: Mapping[str, Mapping[str, Rules]] = MappingProxyType(
    {
        "customer": {
            "location": {
                "locationName": Says("Gelöschter Standort {unique}"),
                **_address("deliveryAddress"),
                "deliveryNotes": CLEAR,
                "parkingInstructions": CLEAR,
                "gpsCoordinates": CLEAR,
                **_COMMON,
            },
            "activity": {"voiceRecordingUrl": CLEAR, "voiceTranscript": CLEAR, FILES: CLEAR},
            "protocol": {
                "voiceNoteUrl": CLEAR,
                "transcription": CLEAR,
                "locationCheckIn.coordinates": CLEAR,
                FILES: CLEAR,
            },
            "meeting": {"checkInGPS": CLEAR},
            "contract": {
                "customerSignature.name": PSEUDONYM,
                "customerSignature.place": CLEAR,
                "customerSignature.image": CLEAR,
            },
        },
        "contact": {
            "activity": {"voiceRecordingUrl": CLEAR, "voiceTranscript": CLEAR, FILES: CLEAR},
        },
    }
)
"""Type of a subject -> type of a document that names it -> what becomes of that. Attachments of final
documents stay as long as they have to be kept, whatever stands here."""

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "customer": ("companyName",),
        "contact": (),
        "lead": ("companyName",),
        "user": ("displayName",),
    }
)
"""Fields with a whole name. Contacts and leads have `firstName` and `lastName` as well."""

CODES = ("email", "phone", "mobile", "phoneNumber", "vatNumber", "website")
"""Fields whose value means one person or company wherever it stands."""

ANONYMIZED = "anonymized"


def pseudonym(doctype: str, number: int) -> str:
    """`Gelöschter Kunde #12`."""
    return LABELS[doctype].format(n=number)


def number_in(doctype: str, body: Body) -> int | None:
    """The number of the pseudonym that an anonymized document has; None for any other document."""
    if body.get(ANONYMIZED) is not True or doctype not in OWN:
        return None
    for path, rule in OWN[doctype].items():
        text = LABELS[doctype] if rule is PSEUDONYM else rule.text if isinstance(rule, Says) else ""
        before, _, after = text.partition("{n}")
        value = body.get(path)
        if "{n}" not in text or not isinstance(value, str):
            continue
        digits = value.removeprefix(before).removesuffix(after)
        if value == before + digits + after and digits.isascii() and digits.isdigit() and len(digits) < 10:
            return int(digits)
    return None


def treated(body: Body, rules: Rules, label: str, number: int) -> dict[str, Any]:
    """The body as the rules want it. `label` is the subject's pseudonym."""
    unique = str(body.get("_id", ""))[-12:]
    result = dict(body)
    for path, rule in rules.items():
        if path != FILES:
            _apply(result, path.split("."), rule, label, number, unique)
    return result


def anonymized(body: Body, rules: Rules, label: str, number: int, now: datetime) -> dict[str, Any]:
    """A subject's own document after its erasure: it says so, and agrees to nothing any more."""
    result = treated(body, rules, label, number)
    at = timestamp(now)
    if result.get("type") == "user":
        result["active"] = False
    result[ANONYMIZED] = True
    result["anonymizedAt"] = at
    consent = result.get("dsgvoConsent")
    if isinstance(consent, Mapping):
        none = {name: False for name, value in consent.items() if isinstance(value, bool)}
        result["dsgvoConsent"] = {**consent, **none, "revokedAt": at}
    return result


def _apply(
    parent: dict[str, Any], steps: list[str], rule: Rule, label: str, number: int, unique: str
) -> None:
    name, *rest = steps
    if parent.get(name) is None:
        return
    if rest:
        if isinstance(parent[name], Mapping):
            parent[name] = dict(parent[name])
            _apply(parent[name], rest, rule, label, number, unique)
    elif rule is CLEAR:
        del parent[name]
    elif rule is PSEUDONYM:
        parent[name] = label
    else:
        assert isinstance(rule, Says)
        parent[name] = rule.text.format(n=number, unique=unique)
