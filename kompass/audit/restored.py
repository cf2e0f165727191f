"""That a database came back from a backup is an entry of its chain: the first one after it.

The restore leaves a note in the file, which becomes the entry when the file is opened by whoever keeps the
chain.
"""

from __future__ import annotations

from typing import Any

import apsw
import orjson

_NOTE = "audit_restored"


def announce(connection: apsw.Connection, backup: int, taken: str, lost: int | None) -> None:
    """Leaves the note: number and moment of the backup, and how many entries are known to be lost."""
    note = orjson.dumps({"backup": backup, "lost": lost, "taken": taken})
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_NOTE, note))


def announced(connection: apsw.Connection) -> dict[str, Any] | None:
    """Takes the note away; None if there is none."""
    note = connection.execute("DELETE FROM meta WHERE name = ? RETURNING value", (_NOTE,)).get
    if note is None:
        return None
    told: dict[str, Any] = orjson.loads(note)
    return told
