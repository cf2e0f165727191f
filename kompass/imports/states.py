"""What an import is: its state, what is to be done with it, and what becomes of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class NotNowError(Exception):
    """The import isn't in a state for this."""


class State(StrEnum):
    """What an import has come to, when nothing is being done with it."""

    ARRIVING = "arriving"
    """It is being stored."""
    READ = "read"
    CHECKED = "checked"
    """A dry run has said what would become of every row."""
    DONE = "done"
    UNDONE = "undone"
    FAILED = "failed"
    """It stopped in between; what was written stays, and it can be executed again or undone."""


class Work(StrEnum):
    """What is to be done with an import."""

    NONE = ""
    CHECK = "check"
    WRITE = "write"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Import:
    """One file that somebody imports."""

    id: str
    person: str
    type: str
    file: str
    sha256: str
    made: float
    changed: float
    state: State
    work: Work
    worker: str
    """Who has asked for the work, with whose rights it is done."""
    roles: tuple[str, ...]
    """Those of his login."""
    told: Mapping[str, Any]
    """What was detected, the mapping, options: see `kompass.imports.desk`."""
    rows: int
    done: int
    """Rows that the work has come to."""
    reason: str
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become, or would become, of a row."""

    line: int
    kind: str
    """One of `Kind`."""
    told: Mapping[str, Any]


class Kind(StrEnum):
    PLANNED = "planned"
    """About to be written: whether it was, its document tells."""
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    """What it says is there already."""
    PARTLY = "partly"
    """It was written, and something that belongs to it was refused."""
    SKIPPED = "skipped"
    """A duplicate, left alone."""
    UNDECIDED = "undecided"
    """A duplicate that a person has to decide about."""
    WRONG = "wrong"
    UNDONE = "undone"
    KEPT = "kept"
    """It couldn't be undone."""
