"""What a pushed document must look like before any business rule reads it.

Schemas, transitions between states and frozen fields are the business's: see `kompass.domain.checks`. What
stands here is what every document needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kompass.access.audiences import AUDIENCES
from kompass.access.table import SERVER_WRITTEN
from kompass.domain.refusals import Refusal

MAX_BODY = 1_000_000
"""Bytes of a document of the business; what is larger belongs into attachments."""

Body = Mapping[str, Any]

_PREFIXES: Mapping[str, str] = {
    "user_task": "(?:usertask|user-task)",
    "project_task": "(?:projecttask|project-task)",
    "project_material_requirement": "(?:project-material|project-material-requirement)",
    "supplier_communication": "(?:supplier-comm|supplier-communication)",
}
"""Where an id's prefix isn't just the type with hyphens. Both forms are in use."""

_UUID = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_PATTERNS = {
    doctype: re.compile(f"{_PREFIXES.get(doctype, doctype.replace('_', '-'))}-{_UUID}")
    for doctype in AUDIENCES
}

UNKNOWN_TYPE = Refusal(
    "type.unknown",
    "There is no such type of document.",
    "Eine solche Art von Dokument gibt es nicht.",
    ("type",),
)


def malformed(why: str) -> Refusal | None:
    """The refusal of a document that could be read in part; None if nothing was wrong."""
    if not why:
        return None
    return Refusal(
        "shape.malformed",
        f"The document can't be read as it was sent, and what is kept of it may lack something: {why}",
        "Das Dokument ist so, wie es gesendet wurde, nicht lesbar; was aufgehoben ist, kann etwas entbehren.",
    )


def unfit(docid: str, body: Body, size: int) -> Refusal | None:
    """Why nobody may push such a document, whatever is stored. `size` in bytes.

    Looks at nothing but the document, so that its answer tells nothing else.
    """
    doctype = body.get("type")
    if not isinstance(doctype, str) or doctype not in _PATTERNS:
        return UNKNOWN_TYPE
    if doctype in SERVER_WRITTEN:
        return Refusal(
            "type.server_written",
            f"Documents of type {doctype} are written by the server alone.",
            "Dokumente dieser Art schreibt nur der Server.",
            ("type",),
        )
    private = tuple(name for name in body if name[:1] == "_")
    if private:
        return Refusal(
            "shape.member",
            f"Members that begin with an underscore belong to the protocol: {_quoted(private)}.",
            f"Angaben, die mit einem Unterstrich beginnen, sind nicht erlaubt: {_quoted(private)}.",
        )
    if size > MAX_BODY:
        return Refusal(
            "shape.size",
            f"The document has {size} bytes, and at most {MAX_BODY} are allowed: put files into attachments.",
            f"Das Dokument ist mit {size} Byte zu groß (höchstens {MAX_BODY}): Dateien gehören in Anhänge.",
        )
    return None


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(name[:40] for name in names[:5])


def misnamed(docid: str, body: Body) -> Refusal | None:
    """Why a new document can't have this id. The type is known."""
    doctype: str = body["type"]
    if _PATTERNS[doctype].fullmatch(docid) is not None:
        return None
    prefix = doctype.replace("_", "-")
    return Refusal(
        "shape.id",
        f"The id of a new {doctype} must be {prefix}- and a random UUID in small letters.",
        f"Die Kennung eines neuen Dokuments muss hier aus {prefix}- und einer zufälligen UUID bestehen.",
        ("_id",),
    )
