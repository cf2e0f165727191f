"""Two versions of a document that come from one: which changes go together?

A field is a member of the document's top level, and so is each attachment. A field that only one side changed
is taken from that side; one that both changed to the same value is taken from both. What both changed
differently nobody can merge without knowing what it means, and the whole document is left to its author.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kompass.access.fields import same

Body = Mapping[str, Any]
"""A document's members without those of the protocol. Attachments are under `ATTACHMENT` and their name."""

ATTACHMENT = "_attachment:"
"""No member of a body is named so: what begins with an underscore is the protocol's and isn't merged."""

HOUSEKEEPING = frozenset({"modifiedBy", "modifiedAt", "version"})
"""Fields that every change changes: they follow the one who changed something else."""

_ABSENT = object()

Merge = Callable[[Body, Body, Body], "dict[str, Any] | None"]
"""`(base, mine, theirs)` -> what both make together, or None if a person must decide. Must not change its
arguments.
"""


def differs(one: Body, other: Body) -> list[str]:
    """The fields, housekeeping left out, in which two versions differ."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in HOUSEKEEPING and not _same(one.get(name, _ABSENT), other.get(name, _ABSENT))
    )


def clashes(base: Body, mine: Body, theirs: Body) -> list[str]:
    """The fields that both sides changed, each to something else."""
    ours = set(differs(base, mine))
    return [
        name
        for name in differs(base, theirs)
        if name in ours and not _same(mine.get(name, _ABSENT), theirs.get(name, _ABSENT))
    ]


def merge_fields(base: Body, mine: Body, theirs: Body) -> dict[str, Any] | None:
    """The `Merge` of documents that have no rules of their own."""
    if clashes(base, mine, theirs):
        return None
    return applied(base, mine, theirs)


def applied(base: Body, mine: Body, theirs: Body) -> dict[str, Any]:
    """`theirs` with everything on it that `mine` changed; `mine` itself if nobody else changed anything."""
    if not differs(base, theirs):
        return dict(mine)
    changes = differs(base, mine)
    merged = {name: value for name, value in theirs.items() if name not in changes}
    merged.update((name, mine[name]) for name in mine if name in changes)
    if not changes:
        return merged
    for name in ("modifiedBy", "modifiedAt"):
        if name in mine:
            merged[name] = mine[name]
    versions = [side["version"] for side in (mine, theirs) if type(side.get("version")) is int]
    if versions:
        merged["version"] = max(versions) + 1
    return merged


def _same(one: object, other: object) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    try:
        return same(one, other)
    except RecursionError:
        return False
