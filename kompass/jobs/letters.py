"""What mails say: a subject and a few lines, made from what their receiver may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kompass.domain.registry import LABELS
from kompass.jobs.service import View
from kompass.jobs.triggers import Trigger

_TITLES: Sequence[str] = (
    "offerNumber", "invoiceNumber", "contractNumber", "projectNumber", "orderNumber", "receiptNumber",
    "title", "name", "companyName", "subject",
)  # fmt: skip
_SHOWN: Mapping[str, str] = {
    "status": "Status",
    "dueDate": "Fällig am",
    "validUntil": "Gültig bis",
    "followUpDate": "Wiedervorlage",
    "priority": "Priorität",
    "rejectionReason": "Grund",
}
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Letter:
    to: str
    """An address."""
    subject: str
    text: str


def letter(trigger: Trigger, reader: View, doc: Mapping[str, Any]) -> Letter | None:
    """To whoever may read this much of the document; None if he has no address."""
    if "@" not in reader.email or not _is_line(reader.email):
        return None
    what = LABELS.get(trigger.doctype, trigger.doctype)
    title = next((text for name in _TITLES if (text := _line(doc.get(name)))), "")
    lines = [f"Guten Tag {_line(reader.name)},", "", f"{trigger.says or trigger.name}.", ""]
    lines.append(f"{what}: {title}" if title else what)
    lines += [f"{label}: {text}" for name, label in _SHOWN.items() if (text := _line(doc.get(name)))]
    lines += ["", "Diese Nachricht hat KOMPASS geschrieben. Bitte nicht antworten."]
    subject = trigger.says or what
    return Letter(reader.email, f"{subject}: {title}" if title else subject, "\n".join(lines) + "\n")


def _line(value: object) -> str:
    """A value on one line, of bounded length; empty if it is no text."""
    if not isinstance(value, str):
        return ""
    text = "".join(char if char.isprintable() else " " for char in value[: 4 * LONGEST])
    return " ".join(text.split())[:LONGEST]


def _is_line(text: str) -> bool:
    return text.isprintable() and " " not in text
