"""Ids of documents that somebody sees, in their order."""

from __future__ import annotations

from typing import Any

from replication.store.sqlite import Reading
from replication.store.values import KeyRange

BROAD = 5000
"""Documents from which on somebody's ids are found by going through all ids."""

MINE = (
    "SELECT e.doc FROM access_holdings h CROSS JOIN access_entries e ON e.channel = h.channel"
    " WHERE h.user = :user"
)
"""The numbers of documents somebody sees, one as often as he has a channel of it."""
SEES = (
    "EXISTS (SELECT 1 FROM access_entries e CROSS JOIN access_holdings h"
    " ON h.user = :user AND h.channel = e.channel WHERE e.doc = d.num)"
)
"""Whether he sees the document `d`."""


def ids(reading: Reading, user: str, span: KeyRange, *, skip: int = 0, limit: int = 1000) -> list[str]:
    """Ids of live documents somebody sees, in the order of the range."""
    where, args, order = _span(span)
    mine = SEES if _is_one(span) else _mine(reading, user)
    rows: Any = reading.connection.execute(
        f"SELECT d.id FROM access_docs d WHERE NOT d.deleted AND {mine}{where}"
        f" ORDER BY d.id {order} LIMIT :limit OFFSET :skip",
        {"user": user, "limit": limit, "skip": skip, **args},
    )
    return [docid for (docid,) in rows]


def count_before(reading: Reading, user: str, span: KeyRange) -> int:
    """How many live documents he sees come before the range."""
    if span.start is None:
        return 0
    operator = ">" if span.descending else "<"
    found = reading.connection.execute(
        f"SELECT count(*) FROM access_docs d WHERE NOT d.deleted AND d.id {operator} :start"
        f" AND {_mine(reading, user)}",
        {"user": user, "start": span.start},
    ).get
    return int(found)


def _mine(reading: Reading, user: str) -> str:
    """The condition for documents somebody sees, in the form that suits how many they are."""
    entries = reading.connection.execute(
        f"SELECT count(*) FROM ({MINE} LIMIT :most)", {"user": user, "most": BROAD}
    ).get
    return SEES if entries >= BROAD else f"d.num IN ({MINE})"


def _is_one(span: KeyRange) -> bool:
    """Whether a range holds a single id: no id has a NUL, so with one it is right behind another."""
    if span.start is None or span.end is None:
        return False
    low, high = sorted((span.start, span.end))
    return high in (low, low + "\x00")


def _span(span: KeyRange) -> tuple[str, dict[str, Any], str]:
    clauses, args = "", {}
    if span.start is not None:
        operator = "<" if span.descending else ">"
        clauses += f" AND d.id {operator}{'=' if span.inclusive_start else ''} :start"
        args["start"] = span.start
    if span.end is not None:
        operator = ">" if span.descending else "<"
        clauses += f" AND d.id {operator}{'=' if span.inclusive_end else ''} :end"
        args["end"] = span.end
    return clauses, args, "DESC" if span.descending else ""
