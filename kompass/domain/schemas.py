"""JSON Schemas of all types, for those who write clients.

They say what a field may hold. What a schema can't say (fields that fit each other, dates against today) is
in docs/domain.md and in the refusals.
"""

from __future__ import annotations

from typing import Any

from kompass.domain.registry import LABELS, MODELS
from kompass.domain.upcasting import current_version

Schema = dict[str, Any]


def schema(doctype: str) -> Schema:
    """The JSON Schema (draft 2020-12) of documents of that type in today's form.

    `x-refers-to` names the types that a reference leads to, `x-decimals` how many decimals a number may have.
    """
    found: Schema = MODELS[doctype].model_json_schema()
    found.pop("description", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": LABELS[doctype],
        "x-schema-version": current_version(doctype),
        **{key: _untitled(value) for key, value in found.items() if key != "title"},
    }


def _untitled(value: Any) -> Any:
    """Without the titles that repeat the name of each field."""
    if isinstance(value, dict):
        return {
            key: _untitled(inner)
            for key, inner in value.items()
            if not (key == "title" and isinstance(inner, str))
        }
    if isinstance(value, list):
        return [_untitled(inner) for inner in value]
    return value


def schemas() -> dict[str, Schema]:
    """Type of document -> its schema."""
    return {doctype: schema(doctype) for doctype in MODELS}
