"""What people are shown of a place in a document and of the document itself, in German."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kompass.domain.field_names import FIELDS
from kompass.domain.paths import Steps
from kompass.domain.registry import LABELS

_NAMES = (
    ("companyName",),
    ("firstName", "lastName"),
    ("locationName",),
    ("projectNumber", "name"),
    ("offerNumber",),
    ("contractNumber",),
    ("orderNumber",),
    ("rfqNumber",),
    ("invoiceNumber",),
    ("materialCode", "materialName"),
    ("title",),
    ("subject",),
    ("name",),
    ("taskDescription",),
    ("description",),
)
"""What a document is called by: the first of these of which it has something."""

MOST = 120
"""Characters of a document's name."""

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def label(steps: Steps) -> str:
    """`Lieferadresse › Straße`; a field without a German name under its own, in words."""
    parts = []
    for step in steps:
        if isinstance(step, tuple):
            parts.append(str(step[1])[:MOST])
        else:
            parts.append(FIELDS.get(step) or " ".join(_WORD.findall(step)).capitalize() or step)
    return " › ".join(parts) or FIELDS[""]


def name_of(body: Mapping[str, Any]) -> str:
    """What people call the document."""
    for names in _NAMES:
        found = [value for name in names if isinstance(value := body.get(name), str) and value]
        if found:
            return " ".join(found)[:MOST]
    doctype = body.get("type")
    return LABELS.get(doctype, doctype[:MOST]) if isinstance(doctype, str) else ""
