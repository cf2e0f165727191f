"""The body of `_find` and `_explain`, and what goes round the documents in the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from replication.protocol.mango import errors, options
from replication.protocol.mango.bookmark import Bookmark, read_bookmark
from replication.protocol.mango.fields import parse_path
from replication.protocol.mango.options import Option
from replication.protocol.mango.selector import Selector, compile_selector
from replication.protocol.mango.sorting import SortField, read_sort
from replication.protocol.partitions import check_partition

DEFAULT_LIMIT: Final = 25

MAX_FIELDS: Final = 5000
"""Fields that may be asked for: each one is looked for in every document of the answer."""


def _fields(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise errors.rejected(
            "invalid_fields", f"Fields must be an array of strings, not: {errors.shown(value)}"
        )
    if len(value) > MAX_FIELDS:
        raise errors.too_many_fields(MAX_FIELDS)
    for name in value:
        if not isinstance(name, str):
            raise errors.rejected("invalid_field", f"Invalid JSON for field spec: {errors.shown(name)}")
        parse_path(name)
    return tuple(value)


def _partition(value: Any) -> str:
    """An empty name is none."""
    return "" if value == "" else check_partition(value)


def _stale(value: Any) -> bool:
    if value not in ("ok", "false") and value is not False:
        raise errors.rejected("invalid_ok_or_false_value", f'{errors.shown(value)} is neither "ok" nor false')
    return bool(value == "ok")


FIND_OPTIONS: Final = {
    "selector": Option(compile_selector),
    "use_index": Option(options.use_index, ()),
    "bookmark": Option(read_bookmark, None),
    "limit": Option(options.non_negative_integer, DEFAULT_LIMIT),
    "skip": Option(options.non_negative_integer, 0),
    "sort": Option(read_sort, ()),
    "fields": Option(_fields, ()),
    "partition": Option(_partition, ""),
    "r": Option(options.positive_integer, 1),
    "conflicts": Option(options.boolean, False),
    "stale": Option(_stale, False),
    "update": Option(options.boolean, True),
    "stable": Option(options.boolean, False),
    "execution_stats": Option(options.boolean, False),
    "allow_fallback": Option(options.boolean, True),
}


@dataclass(frozen=True, slots=True)
class FindRequest:
    """A checked body of `_find`. `fields` empty: whole documents."""

    selector: Selector
    use_index: tuple[str, ...]
    bookmark: Bookmark | None
    limit: int
    skip: int
    sort: tuple[SortField, ...]
    fields: tuple[str, ...]
    partition: str
    r: int
    conflicts: bool
    stale: bool
    update: bool
    stable: bool
    execution_stats: bool
    allow_fallback: bool

    @property
    def descending(self) -> bool:
        return bool(self.sort) and self.sort[0].direction == "desc"

    @property
    def refreshes(self) -> bool:
        """Whether the index must be brought up to date before it is read."""
        return self.update and not self.stale


def read_find(body: Any) -> FindRequest:
    """Raises CouchDB's 400 for whatever is wrong with `body`."""
    return FindRequest(**options.read(body, FIND_OPTIONS))


@dataclass(slots=True)
class ExecutionStats:
    """What executing a query took. With `r` above 1 CouchDB counts documents as quorum reads."""

    keys_examined: int = 0
    docs_examined: int = 0
    quorum_docs_examined: int = 0
    results_returned: int = 0
    milliseconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "total_keys_examined": self.keys_examined,
            "total_docs_examined": self.docs_examined,
            "total_quorum_docs_examined": self.quorum_docs_examined,
            "results_returned": self.results_returned,
            "execution_time_ms": round(self.milliseconds, 3),
        }
