"""CouchDB's built-in reduce functions.

A reducer takes the rows of a group some at a time and gives one value at the end; it holds no more
memory than its answer needs. What it can't reduce raises `ReduceError`, except that `_sum` answers with
an error object as its value, as CouchDB does.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from replication.protocol import jsontext
from replication.protocol.collation import sort_key

_SUM_REASON = (
    "The _sum function requires that map values be numbers, arrays of numbers, or objects. Objects cannot be"
    " mixed with other data structures. Objects can be arbitrarily nested, provided that the values for all"
    " fields are themselves numbers, arrays of numbers, or objects."
)

_STATS: Final = ("sum", "count", "min", "max", "sumsqr")


class ReduceError(Exception):
    """Values that a built-in reducer does not take: `error` and `reason` are the answer's."""

    def __init__(self, error: str, reason: str) -> None:
        super().__init__(f"{error}: {reason}")
        self.error = error
        self.reason = reason


class Reducer(ABC):
    """The reduction of one group of rows."""

    needs_values = True

    @abstractmethod
    def add(self, keys: Sequence[bytes], values: Sequence[Any]) -> None:
        """Takes rows: their sort keys, and their values unless `needs_values` says that nobody asks."""

    def part(self) -> Any:
        """What was added as JSON, to be merged into others; None if it can't be."""
        return None

    def merge(self, part: Any, rows: int, ends: tuple[bytes, bytes]) -> bool:
        """Adds the `part` of another one's rows, as if they were added one by one.

        `ends`: the sort keys of the first and the last, in the order of adding. False, and nothing was
        added, if only the rows themselves will do.
        """
        return False

    @abstractmethod
    def result(self) -> Any:
        """The value of what was added. At least one row was."""


class Count(Reducer):
    """`_count`"""

    needs_values = False

    def __init__(self) -> None:
        self._count = 0

    def add(self, keys: Sequence[bytes], values: Sequence[Any]) -> None:
        self._count += len(keys)

    def part(self) -> Any:
        return self._count

    def merge(self, part: Any, rows: int, ends: tuple[bytes, bytes]) -> bool:
        self._count += rows
        return True

    def result(self) -> Any:
        return self._count


class ApproximateCountDistinct(Reducer):
    """`_approx_count_distinct`: exact here, for rows come in the order of their keys."""

    needs_values = False

    def __init__(self) -> None:
        self._count = 0
        self._last: bytes | None = None

    def add(self, keys: Sequence[bytes], values: Sequence[Any]) -> None:
        for key in keys:
            if key != self._last:
                self._count += 1
                self._last = key

    def part(self) -> Any:
        return self._count

    def merge(self, part: Any, rows: int, ends: tuple[bytes, bytes]) -> bool:
        first, last = ends
        self._count += part - (first == self._last)
        self._last = last
        return True

    def result(self) -> Any:
        return self._count


class Sum(Reducer):
    """`_sum`: numbers, arrays of numbers by place, objects by member."""

    def __init__(self) -> None:
        self._total: Any = 0
        self._wrong: Any = None
        self._failed = False
        self._any = False

    def add(self, keys: Sequence[bytes], values: Sequence[Any]) -> None:
        if self._failed:
            return
        try:
            for value in values:
                cls = value.__class__
                if (cls is int or cls is float) and self._total.__class__ is not dict:
                    self._total = _added(self._total, value)
                elif not self._any and cls is dict:
                    self._total = _added({}, value)
                else:
                    self._total = _added(self._total, value)
                self._any = True
        except _NotSummableError as error:
            self._failed = True
            self._wrong = error.value

    def part(self) -> Any:
        return None if self._failed or not _finite(self._total) else self._total

    def merge(self, part: Any, rows: int, ends: tuple[bytes, bytes]) -> bool:
        if self._failed:
            return True
        try:
            self._total = _added({} if not self._any and part.__class__ is dict else self._total, part)
        except _NotSummableError:
            return False
        self._any = True
        return True

    def result(self) -> Any:
        if self._failed:
            return {"error": "builtin_reduce_error", "reason": _SUM_REASON, "caused_by": self._wrong}
        if not _finite(self._total):
            raise ReduceError("badarith", "The sum is too large for a number")
        return self._total


class _NotSummableError(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


def _is_number(value: Any) -> bool:
    return value.__class__ is int or value.__class__ is float


def _added(total: Any, value: Any) -> Any:
    if _is_number(value) and _is_number(total):
        return total + value
    if isinstance(total, dict) or isinstance(value, dict):
        if not isinstance(total, dict) or not isinstance(value, dict):
            raise _NotSummableError(value)
        summed = dict(total)
        for name, member in value.items():
            summed[name] = _added(summed[name], member) if name in summed else _checked(member)
        return summed
    places = total if isinstance(total, list) else [total]
    others = value if isinstance(value, list) else [value]
    if not all(map(_is_number, others)):
        raise _NotSummableError(value)
    if len(places) < len(others):
        places, others = others, places
    return [place + others[at] if at < len(others) else place for at, place in enumerate(places)]


def _checked(value: Any) -> Any:
    """`value` if it may stand in a sum."""
    if isinstance(value, dict):
        return {name: _checked(member) for name, member in value.items()}
    if _is_number(value) or (isinstance(value, list) and all(map(_is_number, value))):
        return value
    raise _NotSummableError(value)


def _finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_finite, value.values() if isinstance(value, dict) else value))
    return value.__class__ is int or math.isfinite(value)


class Stats(Reducer):
    """`_stats`: of numbers, of arrays of them by place, or of earlier statistics."""

    def __init__(self) -> None:
        self._columns: list[list[Any]] | None = None
        self._is_list = False

    def add(self, keys: Sequence[bytes], values: Sequence[Any]) -> None:
        for value in values:
            is_list = isinstance(value, list)
            rows = [_statistics(item) for item in (value if is_list else [value])]
            if not self._united(is_list, rows):
                raise ReduceError(
                    "invalid_value",
                    f"The _stats function requires that map values be numbers or arrays of numbers,"
                    f" not '{_shown(value)}'",
                )

    def _united(self, is_list: bool, rows: list[list[Any]]) -> bool:
        """False if the shapes differ."""
        if self._columns is None:
            self._columns, self._is_list = rows, is_list
            return True
        if is_list != self._is_list or len(rows) != len(self._columns):
            return False
        for column, row in zip(self._columns, rows, strict=True):
            column[0] += row[0]
            column[1] += row[1]
            column[2] = min(column[2], row[2])
            column[3] = max(column[3], row[3])
            column[4] += row[4]
        return True

    def part(self) -> Any:
        return [self._is_list, self._columns] if all(map(_finite, self._columns or [])) else None

    def merge(self, part: Any, rows: int, ends: tuple[bytes, bytes]) -> bool:
        is_list, columns = part
        return self._united(is_list, columns)

    def result(self) -> Any:
        columns = [dict(zip(_STATS, column, strict=True)) for column in self._columns or []]
        if not all(map(_finite, columns)):
            raise ReduceError("badarith", "The sum is too large for a number")
        return columns if self._is_list else columns[0]


def _statistics(value: Any) -> list[Any]:
    if _is_number(value):
        return [value, 1, value, value, value * value]
    if not isinstance(value, dict):
        raise ReduceError("invalid_value", f"non-numeric _stats input: {_shown(value)}")
    row = []
    for name in _STATS:
        if name not in value:
            raise ReduceError(
                "invalid_value", f"user _stats input missing required field {name} ({_shown(value)})"
            )
        if not _is_number(value[name]):
            raise ReduceError("invalid_value", f"non-numeric _stats input: {_shown(value)}")
        row.append(value[name])
    return row


def _shown(value: Any) -> str:
    return jsontext.encode(value).decode("utf-8")[:1000]


class First(Reducer):
    """`_first`: the value of the first row in the view's order."""

    def __init__(self, *, last: bool = False) -> None:
        self._last = last
        self._value: Any = None
        self._any = False

    def add(self, keys: Sequence[bytes], values: Sequence[Any]) -> None:
        if values and (self._last or not self._any):
            self._value = values[-1 if self._last else 0]
            self._any = True

    def result(self) -> Any:
        return self._value


class Ranked(Reducer):
    """`_top_N` and `_bottom_N`: the greatest or least values, in the order of views, each once."""

    def __init__(self, size: int, *, top: bool) -> None:
        self._size = size
        self._top = top
        self._kept: dict[bytes, Any] = {}

    def add(self, keys: Sequence[bytes], values: Sequence[Any]) -> None:
        for value in values:
            self._kept.setdefault(sort_key(value), value)
        choose = heapq.nlargest if self._top else heapq.nsmallest
        self._kept = {key: self._kept[key] for key in choose(self._size, self._kept)}

    def result(self) -> Any:
        return list(self._kept.values())


COMBINED = frozenset({"_sum", "_count", "_stats", "_approx_count_distinct"})
"""Those with parts that can be merged."""


def builtin_reducer(name: str, *, descending: bool = False) -> Reducer:
    """A fresh reducer for rows in the view's order, or from its end. `name` is a `builtin_name`."""
    match name.split("_")[1:]:
        case ["sum"]:
            return Sum()
        case ["count"]:
            return Count()
        case ["stats"]:
            return Stats()
        case ["approx", "count", "distinct"]:
            return ApproximateCountDistinct()
        case ["first"]:
            return First(last=descending)
        case ["last"]:
            return First(last=not descending)
        case ["top" | "bottom" as which, rank]:
            return Ranked(int(rank), top=which == "top")
    raise ValueError(f"{name} is no built-in reducer")
