"""A sound document of every type: the smallest there is, and one with every field.

`smallest(type)` and `full(type)` give fresh dictionaries that nobody else holds. Dates lie around `now`, so
that the documents are sound as new ones at that time; ids are the same at each call, and a reference leads to
the document that `smallest` and `full` give for the type it leads to.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime

from kompass.access.companions import BASE_FIELD
from kompass.access.table import SERVER_WRITTEN
from kompass.domain.examples import sales, supply, system, work
from kompass.domain.examples.parts import Dates, Document, docid, field_of, iso
from kompass.domain.registry import MODELS
from kompass.domain.upcasting import current_version

__all__ = [
    "MORE",
    "NEEDED",
    "NOW",
    "TYPES",
    "WRITTEN_BY_PEOPLE",
    "Document",
    "docid",
    "full",
    "iso",
    "smallest",
]

NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)
"""A Monday morning."""

TYPES = tuple(MODELS)
WRITTEN_BY_PEOPLE = tuple(doctype for doctype in TYPES if doctype not in SERVER_WRITTEN)


def smallest(doctype: str, now: datetime = NOW) -> Document:
    """Nothing but what the type needs."""
    return {**_common(doctype, now), **deepcopy(NEEDED[doctype](Dates(now)))}


def full(doctype: str, now: datetime = NOW) -> Document:
    """Every field that the type has."""
    more = {**_STORED} if doctype in _PLAIN else {**_STORED, **_MARKS, **_author(now)}
    dates = Dates(now)
    parts = (_common(doctype, now), more, NEEDED[doctype](dates), MORE[doctype](dates))
    found: Document = {"schemaVersion": current_version(doctype)}
    for part in parts:
        found |= deepcopy(part)
    return found


def _author(now: datetime) -> Document:
    return {
        "createdBy": "adm1",
        "createdAt": iso(now),
        "modifiedBy": "adm1",
        "modifiedAt": iso(now),
        "version": 1,
    }


_PLAIN = frozenset({"rejected_change", "conflict", "device", "quarantine"})
_STORED: Document = {
    "_rev": "1-0123456789abcdef0123456789abcdef",
    "_attachments": {"foto.jpg": "md5-AAAAAAAAAAAAAAAAAAAAAA=="},
}
_MARKS: Document = {
    "changeLog": [
        {
            "changeNumber": "CL-2026-00001",
            "field": "notes",
            "oldValue": "eins",
            "newValue": "zwei",
            "changedBy": "gf1",
            "changedAt": "2026-11-01T08:00:00.000Z",
            "reason": "Zahlendreher im Vermerk",
            "approvedBy": "gf1",
        }
    ],
    "erasures": [
        {
            "number": 1,
            "erasedAt": "2026-11-01T08:00:00.000Z",
            "fields": ["notes"],
            "sealBefore": "ab" * 32,
            "sealAfter": "cd" * 32,
        }
    ],
    "immutableAt": "2026-11-01T08:00:00.000Z",
    "immutableHash": "ab" * 32,
    "immutableAttachments": {"foto.jpg": "md5-AAAAAAAAAAAAAAAAAAAAAA=="},
    "finalized": True,
    "legalHold": False,
    "legalHoldReason": "Verfahren vor dem Landgericht",
    "correctionReason": "Zahlendreher im Vermerk",
    "attachments": [
        {
            "fileName": "foto.jpg",
            "fileUrl": "foto.jpg",
            "fileSize": 204_800,
            "mimeType": "image/jpeg",
            "uploadedAt": "2026-11-01T08:00:00.000Z",
            "uploadedBy": "adm1",
        }
    ],
    "notes": "Erste Zeile\n\tzweite Zeile",
}


def _common(doctype: str, now: datetime) -> Document:
    written = {"_id": docid(doctype), "type": doctype}
    if doctype in BASE_FIELD:
        field = BASE_FIELD[doctype]
        base = next(base for base in MODELS if field == field_of(base))
        written[field] = docid(base)
    return written | (_author(now) if doctype in WRITTEN_BY_PEOPLE else {})


NEEDED = {**sales.NEEDED, **work.NEEDED, **supply.NEEDED, **system.NEEDED}
MORE = {**sales.MORE, **work.MORE, **supply.MORE, **system.MORE}
