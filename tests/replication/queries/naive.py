"""Views as one would write them down: every row evaluated for every question, and questions at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from random import Random
from typing import Any

from replication.protocol.collation import raw_sort_key, sort_key
from replication.queries.views import EXACT, UNBOUNDED, ViewQuery

MAP = "function(doc) { for (const [key, value] of doc.rows) emit(key, value) }"
COUNT = "function(keys, values, again) { return again ? sum(values) : keys.length }"
REDUCERS: dict[str, Callable[[list[Any]], Any]] = {
    "_sum": sum,
    "_count": len,
    COUNT: len,
    "_stats": lambda values: {
        "sum": sum(values),
        "count": len(values),
        "min": min(values),
        "max": max(values),
        "sumsqr": sum(value * value for value in values),
    },
    "_first": lambda values: values[0],
    "_bottom_1": min,
}

Row = tuple[Any, str, Any]


def random_key(random: Random) -> Any:
    scalars = (None, True, False, 0, 1, 2, 1.5, "a", "A", "b", "é", "")
    depth = random.random()
    if depth < 0.5:
        return random.choice(scalars)
    if depth < 0.9:
        return [random.choice(scalars) for _ in range(random.randrange(4))]
    return {random.choice("ab"): random.choice(scalars)}


def random_rows(random: Random) -> list[list[Any]]:
    return [[random_key(random), random.randrange(5)] for _ in range(random.choice((0, 1, 1, 2, 5)))]


def random_query(random: Random, ids: Sequence[str]) -> ViewQuery:
    def maybe(value: Any, otherwise: Any = None) -> Any:
        return value if random.random() < 0.5 else otherwise

    keys = [random_key(random) for _ in range(random.randrange(4))] if random.random() < 0.2 else None
    return ViewQuery(
        keys=keys,
        start_key=UNBOUNDED if keys is not None else maybe(random_key(random), UNBOUNDED),
        end_key=UNBOUNDED if keys is not None else maybe(random_key(random), UNBOUNDED),
        start_docid=maybe(random.choice(ids)),
        end_docid=maybe(random.choice(ids)),
        inclusive_end=random.random() < 0.7,
        descending=random.random() < 0.5,
        skip=maybe(random.randrange(6), 0),
        limit=maybe(random.randrange(20)),
        group_level=random.choice((0, 1, 2, EXACT)),
    )


class Naive:
    """All rows of all documents in a list."""

    def __init__(self, documents: dict[str, list[list[Any]]], raw: bool) -> None:
        self._key = raw_sort_key if raw else sort_key
        rows = [(key, docid, value) for docid, listed in documents.items() for key, value in listed]
        self.rows = sorted(rows, key=lambda row: (self._key(row[0]), row[1], raw_sort_key(row[2])))

    def _wanted(self, query: ViewQuery) -> list[list[Row]]:
        """Rows in the answer's order, one list for each key."""
        rows = self.rows[::-1] if query.descending else self.rows
        if query.keys is not None:
            each = [replace(query, start_key=key, end_key=key) for key in query.keys]
            return [[row for row in rows if self._is_within(row, one)] for one in each]
        return [[row for row in rows if self._is_within(row, query)]]

    def _is_within(self, row: Row, query: ViewQuery) -> bool:
        key, docid = self._key(row[0]), row[1]
        sign = -1 if query.descending else 1
        if query.start_key is not UNBOUNDED:
            start = self._key(query.start_key)
            if key != start:
                if (key < start) == (sign > 0):
                    return False
            elif query.start_docid not in (None, docid) and (docid < query.start_docid) == (sign > 0):
                return False
        if query.end_key is not UNBOUNDED:
            end = self._key(query.end_key)
            if key != end:
                return (key < end) == (sign > 0)
            if query.end_docid is None:
                return query.inclusive_end
            if docid == query.end_docid:
                return query.inclusive_end
            return (docid < query.end_docid) == (sign > 0)
        return True

    def map(self, query: ViewQuery) -> list[Row]:
        spans = self._wanted(query)
        rows = [row for span in (spans[::-1] if query.descending else spans) for row in span]
        return _cut(rows, query)

    def reduce(self, query: ViewQuery, name: str) -> list[tuple[Any, Any]]:
        answer = []
        for rows in self._wanted(query):
            for _, group in groupby(rows, lambda row: self._key(self._group(row[0], query.group_level))):
                listed = list(group)
                values = [value for _, _, value in listed]
                if name == "_first" and query.descending:
                    values.reverse()
                if name == "_approx_count_distinct":
                    value = len({self._key(key) for key, _, _ in listed})
                else:
                    value = REDUCERS[name](values)
                shown = self._group(listed[0][0], query.group_level)
                answer.append((shown, [value] if name.startswith("_bottom") else value))
        return _cut(answer, query)

    @staticmethod
    def _group(key: Any, level: int) -> Any:
        if level == 0:
            return None
        return key[:level] if level != EXACT and isinstance(key, list) else key


def _cut(rows: list[Any], query: ViewQuery) -> list[Any]:
    rows = rows[query.skip :]
    return rows if query.limit is None else rows[: query.limit]
