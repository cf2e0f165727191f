"""Lists of fields with directions: the `sort` of a query and the `fields` of an index."""

from __future__ import annotations

from typing import Any, NamedTuple

from replication.protocol.mango import errors
from replication.protocol.mango.fields import parse_path


class SortField(NamedTuple):
    name: str
    direction: str
    """`asc` or `desc`"""


def read_sort(value: Any) -> tuple[SortField, ...]:
    """The fields of `["a", {"b": "asc"}]`. Raises a 400 if it is none, or the directions differ.

    A field named twice counts where it is named last but keeps its first place.
    """
    if not isinstance(value, list):
        raise errors.rejected(
            "invalid_sort_json", f"Sort must be an array of sort specs, not: {errors.shown(value)}"
        )
    directions = dict(_read_field(item) for item in value)
    if len(set(directions.values())) > 1:
        raise errors.rejected(
            "unsupported_mixed_sort", "Sorts currently only support a single direction for all fields."
        )
    return tuple(SortField(name, direction) for name, direction in directions.items())


def _read_field(item: Any) -> tuple[str, str]:
    if isinstance(item, str) and item:
        name, direction = item, "asc"
    elif isinstance(item, dict) and len(item) == 1 and next(iter(item.values())) in ("asc", "desc"):
        ((name, direction),) = item.items()
    else:
        raise errors.rejected("invalid_sort_field", f"Invalid sort field: {errors.shown(item)}")
    parse_path(name)
    return name, direction
