"""Which consumers of the feed have to acknowledge tickets, and what waits for each."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from kompass.domain.stamps import moment, stamp
from replication.store.sqlite import Reading, Writing


class Enrolment(NamedTuple):
    """A consumer of the feed that has to acknowledge tickets."""

    name: str
    since: datetime
    after: int
    """Those up to this number it has not."""


def add(writing: Writing, consumer: str, at: datetime, after: int = 0) -> None:
    """From now on this consumer of the feed has to acknowledge tickets, those of before as well that come
    after the number `after`. The first time counts.
    """
    writing.connection.execute(
        "INSERT OR IGNORE INTO privacy_consumers VALUES (?, ?, ?)", (consumer, stamp(at), after)
    )


def remove(writing: Writing, consumer: str) -> bool:
    """Nothing waits for it any more. False if nothing did."""
    writing.connection.execute("DELETE FROM privacy_consumers WHERE name = ?", (consumer,))
    return writing.connection.changes() > 0


def listed(reading: Reading, consumer: str | None = None) -> list[Enrolment]:
    """By name; of one consumer if it is named, nothing if it isn't enrolled."""
    rows: Any = reading.connection.execute(
        "SELECT name, since, after FROM privacy_consumers WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
        (consumer,),
    ).fetchall()
    return [Enrolment(name, moment(since), after) for name, since, after in rows]


def waiting(reading: Reading, one: Enrolment) -> tuple[int, datetime | None]:
    """How many tickets wait for a consumer, and since when the first of them does."""
    row: Any = reading.connection.execute(
        "SELECT count(*), min(at) FROM privacy_tickets WHERE num > ?1 AND NOT EXISTS"
        " (SELECT 1 FROM privacy_acknowledged WHERE ticket = num AND consumer = ?2)",
        (one.after, one.name),
    ).fetchone()
    count, oldest = row
    return count, None if oldest is None else moment(oldest)


def waits_for(reading: Reading, ticket: int) -> list[str]:
    """Who hasn't confirmed a ticket yet: as long as there is somebody, an erasure isn't through."""
    rows: Any = reading.connection.execute(
        "SELECT name FROM privacy_consumers WHERE after < ?1 AND NOT EXISTS"
        " (SELECT 1 FROM privacy_acknowledged WHERE ticket = ?1 AND consumer = name) ORDER BY name",
        (ticket,),
    )
    return [name for (name,) in rows]
