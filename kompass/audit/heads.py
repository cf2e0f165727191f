"""Where the chain ends, as a short text that a later state of the same chain recognises.

A file that was restored from a backup has another continuation, or none: whoever kept the text learns that
what he saw since is not in it.
"""

from __future__ import annotations

import re
from typing import Any

from kompass.audit import schema
from replication.store.sqlite import Reading

_HEAD = re.compile(r"([0-9]{1,18})\.([0-9a-f]{32})")
_SHOWN = 32


def head(reading: Reading) -> str:
    """The end of the chain: `entries.hash`."""
    if not schema.exists(reading.connection):
        return "0." + "0" * _SHOWN
    rows: Any = reading.connection.execute("SELECT entries, hash FROM audit_head")
    ((entries, text),) = rows
    return f"{entries}.{text[:_SHOWN]}"


def continues(reading: Reading, text: str) -> bool:
    """Whether this chain had its end there once. False for what is no such text."""
    found = _HEAD.fullmatch(text)
    if found is None:
        return False
    num, known = int(found[1]), found[2]
    if num == 0 or not schema.exists(reading.connection):
        return num == 0
    stored = reading.connection.execute("SELECT hash FROM audit_entries WHERE num = ?", (num,)).get
    return stored is not None and bytes(stored).hex()[:_SHOWN] == known
