"""Why a revision was written, as far as its text doesn't tell."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """What somebody did that something else follows from."""

    document: str
    revision: str
    person: str
    """Who caused it; `system` if it was time."""


class Cause(NamedTuple):
    """The `note` of a `DocumentWrite`, for the chain."""

    origin: str
    """`pushed`, `edited`, `merged`, `closed`, `notice`, `card`, `touch`, or the name of an effect."""
    rule: str | None = None
    """The rule that allowed it."""
    source: Source | None = None
    """What it follows from, if the server wrote it because of something else."""
