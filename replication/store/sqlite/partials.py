"""Reductions of rows that lie side by side in a view, kept until one of the rows changes.

They are made by whoever reads the rows, so building an index costs nothing more. The kept ones of one
reducer never overlap. Whatever adds or removes a row takes out, in the same transaction, those that the
row lies in; what was reduced from rows that have changed meanwhile is not kept at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from replication.store.sqlite.transaction import Transaction
from replication.store.values import IndexVersion, PartialReduction, RowPosition, RowSpan

MOST_REDUCERS = 8
"""Reducers of an index whose reductions are kept. An old one may be that of a function that was edited."""

_COLUMNS = (
    "key, id, place, high_key, high_id, high_place, rows, first_key, first_shown, last_key, last_shown, value"
)
_OF_REDUCER = "FROM row_partials WHERE index_num = ? AND reducer = ?"
_NEAREST_BELOW = (
    f"{_OF_REDUCER} AND (key, id, place) <= (?, ?, ?) ORDER BY key DESC, id DESC, place DESC LIMIT 1"
)
_NEXT = (
    f"SELECT key, id, place {_OF_REDUCER} AND (key, id, place) > (?, ?, ?) ORDER BY key, id, place LIMIT 1"
)
_DELETE = "DELETE FROM row_partials WHERE index_num = ? AND reducer = ? AND (key, id, place) = (?, ?, ?)"


def version(connection: apsw.Connection, signature: str) -> IndexVersion | None:
    row: Any = connection.execute(
        "SELECT seq, purge_seq FROM indexes, counters WHERE signature = ?", (signature,)
    ).fetchone()
    return None if row is None else IndexVersion(*row)


def scan(
    connection: apsw.Connection, num: int | None, reducer: str, span: RowSpan, descending: bool, limit: int
) -> list[PartialReduction]:
    if num is None:
        return []
    where, args = "", [num, reducer]
    below: list[PartialReduction] = []
    if span.low is not None:
        # One that begins before the span may reach into it.
        found = connection.execute(f"SELECT {_COLUMNS} {_NEAREST_BELOW}", (num, reducer, *span.low))
        below = [partial for partial in map(_partial, found) if partial.high > span.low]
        where += " AND (key, id, place) > (?, ?, ?)"
        args += span.low
    if span.high is not None:
        where += " AND (key, id, place) < (?, ?, ?)"
        args += span.high
        below = [partial for partial in below if partial.low < span.high]
    order = "key DESC, id DESC, place DESC" if descending else "key, id, place"
    rows = connection.execute(
        f"SELECT {_COLUMNS} {_OF_REDUCER}{where} ORDER BY {order} LIMIT ?", (*args, limit)
    )
    inside = [_partial(row) for row in rows]
    if not descending:
        return [*below, *inside][:limit]
    return inside if len(inside) == limit else [*inside, *below]


def _partial(row: Any) -> PartialReduction:
    return PartialReduction(row[0:3], row[3:6], *row[6:])


def keep(
    transaction: Transaction,
    signature: str,
    reducer: str,
    known: IndexVersion,
    made: Sequence[PartialReduction],
) -> bool:
    """Keeps what was reduced from rows as they were at `known`, in place of what overlaps. False if they
    have changed since."""
    connection = transaction.connection
    row: Any = connection.execute("SELECT num, seq FROM indexes WHERE signature = ?", (signature,)).fetchone()
    if row is None or IndexVersion(row[1], transaction.counters.purge_seq) != known:
        return False
    num = row[0]
    known_reducers = reducers(connection, num)
    if reducer not in known_reducers and len(known_reducers) >= MOST_REDUCERS:
        connection.execute("DELETE FROM row_partials WHERE index_num = ?", (num,))
    for partial in made:
        _delete_over(connection, num, reducer, partial.low)
        connection.execute(
            "DELETE FROM row_partials WHERE index_num = ? AND reducer = ?"
            " AND (key, id, place) >= (?, ?, ?) AND (key, id, place) < (?, ?, ?)",
            (num, reducer, *partial.low, *partial.high),
        )
    places = ", ".join("?" * 14)
    connection.executemany(
        f"INSERT INTO row_partials (index_num, reducer, {_COLUMNS}) VALUES ({places})",
        [(num, reducer, *partial.low, *partial.high, *partial[2:]) for partial in made],
    )
    return True


def reducers(connection: apsw.Connection, num: int) -> list[str]:
    """Those that have something kept."""
    found: list[str] = []
    last = ""
    while True:
        last = connection.execute(
            "SELECT reducer FROM row_partials WHERE index_num = ? AND reducer > ? ORDER BY reducer LIMIT 1",
            (num, last),
        ).get
        if last is None:
            return found
        found.append(last)


def forget(
    connection: apsw.Connection, num: int, kept_by: Iterable[str], changed: Iterable[RowPosition]
) -> None:
    """Takes out what the rows at `changed` lie in: rows that have come or gone."""
    positions = sorted(changed)
    for reducer in kept_by:
        upto: RowPosition | None = None
        for position in positions:
            if upto is not None and position < upto:
                continue
            upto = _delete_over(connection, num, reducer, position)
            if upto is None:
                upto = connection.execute(_NEXT, (num, reducer, *position)).fetchone()
                if upto is None:
                    break


def _delete_over(
    connection: apsw.Connection, num: int, reducer: str, position: RowPosition
) -> RowPosition | None:
    """Takes out what `position` lies in. Returns where that ended."""
    row: Any = connection.execute(
        f"SELECT key, id, place, high_key, high_id, high_place {_NEAREST_BELOW}", (num, reducer, *position)
    ).fetchone()
    if row is None or row[3:6] <= position:
        return None
    connection.execute(_DELETE, (num, reducer, *row[0:3]))
    high: RowPosition = row[3:6]
    return high


def drop(connection: apsw.Connection, num: int) -> None:
    """Takes out all of an index."""
    connection.execute("DELETE FROM row_partials WHERE index_num = ?", (num,))
