"""What differs between two versions of a document, member by member."""

from __future__ import annotations

from typing import Any

from kompass.audit.canonical import value_text
from replication.protocol import jsontext

ATTACHMENT = "_attachments/"
"""Attachments count as members of this name and theirs; the value is their digest."""

_PROTOCOL = ("_id", "_rev", "_deleted")
_ABSENT = object()
_EXACT = frozenset({int, bool, type(None)})
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LARGE_INTEGER = b"0" * 18


def members(text: bytes) -> dict[str, Any]:
    """The members of a stored document without those of the protocol, and its attachments."""
    # A large integer would become a float. A regular expression takes ten times as long to find one.
    is_large = _LARGE_INTEGER in text.translate(_DIGITS)
    value: dict[str, Any] = jsontext.decode(text) if is_large else jsontext.decode_request(text)
    stubs = value.pop("_attachments", None)
    for name in _PROTOCOL:
        value.pop(name, None)
    if stubs and isinstance(stubs, dict):
        for name, stub in stubs.items():
            value[ATTACHMENT + name] = stub.get("digest") if isinstance(stub, dict) else None
    return value


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, bytes]:
    """Member -> `{"new":…,"old":…}`, the JSON that is committed to; what is absent is left out."""
    found: dict[str, bytes] = {}
    known = before.get
    for name, value in after.items():
        earlier = known(name, _ABSENT)
        if value is earlier:
            continue
        kind = type(value)
        if kind is str:
            if value == earlier:
                continue
        elif kind in _EXACT and kind is type(earlier) and value == earlier:
            continue  # what has one text only needs none to be compared: 1 isn't true, and not 1.0
        if earlier is _ABSENT:
            found[name] = b'{"new":%b}' % value_text(value)
            continue
        old, new = value_text(earlier), value_text(value)
        if old != new:
            found[name] = b'{"new":%b,"old":%b}' % (new, old)
    if len(before) + len(found) > len(after):
        for name, value in before.items():
            if name not in after:
                found[name] = b'{"old":%b}' % value_text(value)
    return found
