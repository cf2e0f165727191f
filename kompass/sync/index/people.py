"""What the index knows of somebody besides documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replication.store.sqlite import Reading


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as of one version."""

    name: str
    version: int
    roles: str
    held: Mapping[int, int]
    """Channel -> since when."""
    lost: Sequence[tuple[int, int, int]]
    """(channel, since, until) of what he held before."""
    refused: Mapping[str, int]
    """Document -> place of its latest refusal."""

    marks: Mapping[int, int]
    """Channel -> when he got it, or when he lost it if he doesn't hold it: what moves its documents."""

    @property
    def latest_mark(self) -> int:
        return max(self.marks.values(), default=0)


def person(reading: Reading, name: str) -> Person:
    """Somebody as this snapshot has him."""
    row = reading.connection.execute(
        "SELECT version, roles FROM access_users WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        version, roles = 0, ""
    else:
        version, roles = row
    execute = reading.connection.execute
    held: Any = execute("SELECT channel, since FROM access_holdings WHERE user = ?", (name,))
    lost: Any = execute("SELECT channel, since, until FROM access_lost WHERE user = ?", (name,))
    refused: Any = execute("SELECT id, max(place) FROM access_refused WHERE user = ? GROUP BY id", (name,))
    now, before = dict(held), tuple(lost)
    marks: dict[int, int] = {}
    for channel, _, until in before:
        marks[channel] = max(until, marks.get(channel, 0))
    return Person(name, version, roles, now, before, dict(refused), {**marks, **now})
