"""What differs between two versions of a document, member by member."""

from __future__ import annotations

import re
from typing import Any

from kompass.audit.canonical import value_text
from replication.protocol import jsontext

ATTACHMENT = "_attachments/"
"""Attachments count as members of this name and theirs; the value is their digest."""

_PROTOCOL = ("_id", "_rev", "_deleted", "_attachments")
_LARGE_INTEGER = re.compile(rb"[0-9]{18}")


def members(text: bytes) -> dict[str, Any]:
    """The members of a stored document without those of the protocol, and its attachments."""
    value: dict[str, Any] = (
        jsontext.decode(text) if _LARGE_INTEGER.search(text) else jsontext.decode_request(text)
    )
    stubs = value.get("_attachments")
    for name in _PROTOCOL:
        value.pop(name, None)
    if isinstance(stubs, dict):
        for name, stub in stubs.items():
            value[ATTACHMENT + name] = stub.get("digest") if isinstance(stub, dict) else None
    return value


def differences(
    before: dict[str, Any], after: dict[str, Any]
) -> dict[str, tuple[bytes | None, bytes | None]]:
    """Member -> its JSON before and after, None where there is none."""
    found: dict[str, tuple[bytes | None, bytes | None]] = {}
    for name, value in after.items():
        new = value_text(value)
        if name not in before:
            found[name] = (None, new)
            continue
        old = value_text(before[name])
        if old != new:
            found[name] = (old, new)
    for name, value in before.items():
        if name not in after:
            found[name] = (value_text(value), None)
    return found
