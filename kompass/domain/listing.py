"""Lists and texts of three versions: sets are united, objects found again, notes put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kompass.domain.merge_rules import KEYS
from kompass.domain.paths import ABSENT

Canonical = Callable[[object], str]


def items(value: object) -> list[Any] | None:
    """A list, empty for what isn't there; None for what is no list."""
    if value is ABSENT or value is None:
        return []
    return value if isinstance(value, list) else None


def is_empty(value: object) -> bool:
    return value is ABSENT or value in (None, "", [], {})


def united(
    base: Sequence[Any], mine: Sequence[Any], theirs: Sequence[Any], canonical: Canonical
) -> list[Any]:
    """A set: without what either side took away, with what either side added, each once.

    What was there keeps its order, what is new comes after it in an order of its own.
    """
    sides = [{canonical(one): one for one in side} for side in (base, mine, theirs)]
    was, ours, stored = sides
    kept = [value for key, value in was.items() if key in ours and key in stored]
    added = {key: value for side in (ours, stored) for key, value in side.items() if key not in was}
    return kept + [added[key] for key in sorted(added)]


def appended(base: str, older: str, later: str) -> str:
    """Both texts: what they have in common once, then what each has on its own."""
    if later.startswith(older):
        return later
    if older.startswith(later):
        return older
    if base and older.startswith(base) and later.startswith(base):
        return f"{older}\n{later[len(base) :].lstrip(chr(10))}"
    return f"{older}\n{later}"


def common_key(sides: Sequence[Sequence[Mapping[str, Any]]]) -> str | None:
    """What all objects can be told apart by, None if by nothing."""
    for key in KEYS:
        for side in sides:
            marks = [mark(item[key]) for item in side if key in item and isinstance(item[key], str | int)]
            if len(marks) != len(side) or len(set(marks)) != len(side):
                break
        else:
            return key
    return None


def mark(value: object) -> tuple[str, object]:
    """true is no 1."""
    return type(value).__name__, value


def order(base: Sequence[Any], mine: Sequence[Any], theirs: Sequence[Any], canonical: Canonical) -> list[Any]:
    """All keys, once: what was there in its order, or in the new one if one side alone changed it."""

    def common(side: Sequence[Any]) -> list[Any]:
        return [key for key in side if key in mine and key in theirs and key in base]

    first = common(base)
    if common(theirs) != first and common(mine) == first:
        first = common(theirs)
    elif common(mine) != first and common(theirs) == first:
        first = common(mine)
    rest = {key for side in (base, mine, theirs) for key in side} - set(first)
    return first + sorted(rest, key=canonical)


def numbered(kept: list[Any], displaced: Sequence[dict[str, Any]]) -> list[Any]:
    """Objects in the order of their positions; what lost its position gets the next free one."""
    top = max((one["position"] for one in kept if type(one.get("position")) is int), default=0)
    for one in displaced:
        top += 1
        kept.append({**one, "position": top})
    if all(type(one.get("position")) is int for one in kept):
        kept.sort(key=lambda one: one["position"])
    return kept
