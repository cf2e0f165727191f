"""What consumers of the change feed ask the index: who may read which documents, and what changed of that.

A change of a document is a row of `_changes`; that it moved to other channels because its parent did, or was
purged, is none. Both have a number of their own, `place`, in the count of the database, and so has every
change of what people hold. What lies between two numbers costs what lies there, however large the database.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import orjson

from replication.store.sqlite import Reading, id_list

_STANDINGS = """
SELECT d.id, d.place, s.rev, s.deleted, (
    SELECT json_group_array(c.name) FROM access_entries e CROSS JOIN access_channels c ON c.num = e.channel
    WHERE e.doc = d.num
)
FROM json_each(?) CROSS JOIN access_docs d ON d.num = (
    SELECT max(num) FROM access_docs WHERE id = value
) LEFT JOIN docs s ON s.id = d.id AND s.num = d.num
"""
_MOVED = """
SELECT d.place, d.id, s.seq
FROM access_docs d INDEXED BY access_docs_by_place LEFT JOIN docs s ON s.id = d.id AND s.num = d.num
WHERE d.place > ?1 AND d.place <= ?2 AND s.seq IS NOT d.place ORDER BY d.place LIMIT ?3
"""
_CONCERNED = """
SELECT DISTINCT id FROM access_docs INDEXED BY access_docs_by_place WHERE place > ? LIMIT ?
"""
_PEOPLE = """
SELECT u.name, u.active, u.roles, (
    SELECT json_group_array(c.name) FROM access_holdings h CROSS JOIN access_channels c ON c.num = h.channel
    WHERE h.user = u.name
) FROM access_users u
"""
_SINCE = " INDEXED BY access_users_by_version WHERE u.version > ? AND u.version <= ?"


class Standing(NamedTuple):
    """A document as the index has it now."""

    place: int
    """The number of the latest change that concerns its readers."""
    rev: str | None
    """Its winner; None if it was purged."""
    channels: frozenset[str]
    """Empty for what is deleted or purged."""


class Moved(NamedTuple):
    """What came to other channels, or was purged, without a later change of its own."""

    ids: tuple[str, ...]
    upto: int
    """The number up to which nothing is missing."""


class PersonStanding(NamedTuple):
    """Somebody as the index has him now."""

    name: str
    active: bool
    roles: frozenset[str]
    channels: frozenset[str]


def standings(reading: Reading, docids: Collection[str]) -> dict[str, Standing]:
    """Those of these documents that there are or were."""
    rows: Any = reading.connection.execute(_STANDINGS, (id_list(docids),))
    return {
        docid: Standing(place, rev, frozenset() if deleted is None or deleted else _set(channels))
        for docid, place, rev, deleted, channels in rows
    }


def moved(reading: Reading, since: int, until: int, limit: int) -> Moved:
    """In the order of the numbers; at most `limit`, and then up to the last of them."""
    rows: Any = reading.connection.execute(_MOVED, (since, until, limit)).fetchall()
    upto = rows[-1][0] if len(rows) == limit else until
    return Moved(tuple(dict.fromkeys(docid for _, docid, _ in rows)), upto)


def concerned(reading: Reading, since: int, limit: int) -> list[str]:
    """Documents that have changed since, or whose readers have; at most `limit`, in no order."""
    rows: Any = reading.connection.execute(_CONCERNED, (since, limit))
    return [docid for (docid,) in rows]


def people(reading: Reading, since: int | None = None, until: int = 0) -> list[PersonStanding]:
    """Everybody; with `since` those whose roles or channels changed after it, up to `until`."""
    if since is None:
        rows: Any = reading.connection.execute(_PEOPLE + " ORDER BY u.name")
    else:
        rows = reading.connection.execute(_PEOPLE + _SINCE, (since, until))
    return [
        PersonStanding(
            name, bool(active), frozenset(roles.split()), _set(channels) if active else frozenset()
        )
        for name, active, roles, channels in rows
    ]


def _set(text: str) -> frozenset[str]:
    return frozenset(orjson.loads(text))
