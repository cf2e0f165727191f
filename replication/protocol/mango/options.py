"""Request bodies of Mango as tables: which keys there are, what they may hold, what they default to.

`read` checks a body against such a table in the table's order, as CouchDB does, so that a body
with several faults is refused for the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from replication.protocol.errors import bad_request
from replication.protocol.mango import errors


class _Required:
    pass


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a body. `check` returns the value to use or raises; a default is not checked."""

    check: Callable[[Any], Any]
    default: Any = REQUIRED


def read(body: Any, options: Mapping[str, Option]) -> dict[str, Any]:
    """The checked value of every option. Raises a 400 for a wrong, missing or unknown key."""
    if not isinstance(body, dict):
        raise bad_request("Request body must be a JSON object")
    values: dict[str, Any] = {}
    for name, option in options.items():
        if name in body:
            values[name] = option.check(body[name])
        elif option.default is REQUIRED:
            raise errors.rejected("missing_required_key", f"Missing required key: {name}")
        else:
            values[name] = option.default
    for name in body:
        if name not in options:
            raise errors.rejected("invalid_key", f"Invalid key {name} for this request.")
    return values


def anything(value: Any) -> Any:
    return value


def string(value: Any) -> str:
    if not isinstance(value, str):
        raise errors.rejected("invalid_string", f"Invalid string: {errors.shown(value)}")
    return value


def non_empty_string(value: Any) -> str:
    if value == "":
        raise errors.rejected("invalid_empty_string", "Index name or ddoc cannot be empty string")
    return string(value)


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise errors.rejected("invalid_boolean", f"Invalid boolean value: {errors.shown(value)}")
    return value


def positive_integer(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise errors.rejected(
            "invalid_pos_integer", f"{errors.shown(value)} is not an integer greater than zero"
        )
    return value


def non_negative_integer(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise errors.rejected(
            "invalid_non_neg_integer",
            f"{errors.shown(value)} is not an integer greater than or equal to zero",
        )
    return value


def use_index(value: Any) -> tuple[str, ...]:
    """Nothing, or a design document, or that and an index's name; without `_design/`."""
    parts: Any = value
    if isinstance(value, str):
        parts = value.split("/")
        if parts[0] == "_design" and len(parts) > 1:
            parts = parts[1:]
    elif value is None:
        parts = []
    elif isinstance(value, list) and value and isinstance(value[0], str):
        parts = [value[0].removeprefix("_design/"), *value[1:]]
    if not isinstance(parts, list) or len(parts) > 2 or not all(isinstance(part, str) for part in parts):
        raise errors.rejected("invalid_index_name", f"Invalid index name: {errors.shown(value)}")
    return tuple(parts)
