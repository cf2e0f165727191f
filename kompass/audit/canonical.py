"""The bytes that are hashed.

An entry is a JSON object of strings, integers, nulls, arrays and objects. Its canonical form is UTF-8 without
blanks, members in the order of their code points, nothing escaped but what JSON demands; texts are not
normalised. Whoever has such a JSON library can recompute every hash, for no number has a fraction.

A value stands in an entry as a commitment: SHA-256 of a random salt of 16 bytes and the value's JSON. Whoever
has salt and value can check it; whoever has the entry alone can't find the value by trying.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

GENESIS = "0" * 64
"""What the first entry has as the hash before it."""

SALT = 16
"""Bytes."""


def canonical(entry: Mapping[str, Any]) -> bytes:
    """The bytes of an entry."""
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


def digest(text: bytes) -> str:
    """The hash of an entry's bytes, in 64 hex digits."""
    return sha256(text).hexdigest()


def commitment(salt: bytes, value: bytes) -> str:
    return sha256(salt + value).hexdigest()


def value_text(value: Any) -> bytes:
    """A JSON value as it is committed to: members sorted, no blanks."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers beyond 64 bits, deep nesting
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode("utf-8")
