"""A small company with a chain, and whoever gets at its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import orjson

from kompass.audit.inspecting import Report, inspect, opened
from kompass.audit.signing import PublicKey
from tests.sync.gate_world import World


def entries(world: World) -> list[dict[str, Any]]:
    """The chain's entries, the first one first."""
    with world.database.reading() as reading:
        rows: Any = reading.connection.execute("SELECT text FROM audit_entries ORDER BY num").fetchall()
    return [orjson.loads(text) for (text,) in rows]


def entries_of(world: World, docid: str) -> list[dict[str, Any]]:
    return [entry for entry in entries(world) if entry["document"] == docid]


def look(file: Path, public: Sequence[PublicKey] = (), **how: Any) -> Report:
    with opened(file) as connection:
        return inspect(connection, public, **how)


def tampering(file: Path) -> apsw.Connection:
    """What somebody has who gets at the file."""
    connection = apsw.Connection(str(file))
    connection.set_busy_timeout(10_000)
    return connection
