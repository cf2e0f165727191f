"""Two versions of a document side by side: what differs, and what one has changed put onto another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kompass.access.fields import same
from kompass.domain.paths import ABSENT

Body = Mapping[str, Any]
"""A document's members without those of the protocol. Attachments are under `ATTACHMENT` and their name."""

ATTACHMENT = "_attachment:"
"""No member of a body is named so: what begins with an underscore is the protocol's and isn't merged."""

HOUSEKEEPING = frozenset({"modifiedBy", "modifiedAt", "version"})
"""Fields that every change changes: they follow the one who changed something else."""


def differs(one: Body, other: Body) -> list[str]:
    """The fields, housekeeping left out, in which two versions differ."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in HOUSEKEEPING and not equal(one.get(name, ABSENT), other.get(name, ABSENT))
    )


def applied(base: Body, mine: Body, theirs: Body) -> dict[str, Any]:
    """`theirs` with everything on it that `mine` changed, whoever else changed it."""
    if not differs(base, theirs):
        return dict(mine)
    changes = differs(base, mine)
    result = {name: value for name, value in theirs.items() if name not in changes}
    result.update((name, mine[name]) for name in mine if name in changes)
    return signed(result, mine, theirs) if changes else result


def signed(result: dict[str, Any], mine: Body, theirs: Body) -> dict[str, Any]:
    """The housekeeping of a merge: it is `mine`'s author's."""
    for name in ("modifiedBy", "modifiedAt"):
        if name in mine:
            result[name] = mine[name]
    versions = [side["version"] for side in (mine, theirs) if type(side.get("version")) is int]
    if versions:
        result["version"] = max(versions) + 1
    return result


def clashes(base: Body, mine: Body, theirs: Body) -> list[str]:
    """The top-level fields that both sides changed, each to something else."""
    ours = set(differs(base, mine))
    return [
        name
        for name in differs(base, theirs)
        if name in ours and not equal(mine.get(name, ABSENT), theirs.get(name, ABSENT))
    ]


def equal(one: object, other: object) -> bool:
    """Whether two values are the same, absence being one."""
    if one is ABSENT or other is ABSENT:
        return one is other
    try:
        return same(one, other)
    except RecursionError:  # nobody nests like this but to get past a comparison
        return False


def canonical(value: object) -> str:
    """A text by which values are put in an order that is the same everywhere."""
    if value is ABSENT:
        return ""
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    except (RecursionError, TypeError):
        return repr(type(value))
