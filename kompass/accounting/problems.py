"""What is wrong in a file, or with a document that shall go into one: told by line and column, to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

SHOWN = 120
"""Characters of a value that a problem quotes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. It quotes the file; who may read the file may read it."""

    rule: str
    """Stable name, such as `cell.day`."""
    reason: str
    """In English: what was wrong, and what is allowed."""
    grund: str
    """The same in German."""
    line: int | None = None
    """Of the file, the first one being 1; None if it is about the whole file."""
    column: str = ""
    """The column's heading."""
    value: str = ""
    """What stood there, cut."""

    def at(self, line: int | None, column: str = "", value: str = "") -> Problem:
        """The same with its place."""
        return replace(self, line=line, column=column or self.column, value=quoted(value) or self.value)


class CellError(ValueError):
    """A value that doesn't fit its column."""

    def __init__(self, rule: str, reason: str, grund: str) -> None:
        super().__init__(reason)
        self.problem = Problem(rule, reason, grund)


class UnreadableError(ValueError):
    """Nothing can be made of the file, or of the rest of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


def rows_of(problems: Iterable[Problem]) -> Iterator[tuple[int | None, str, str, str, str]]:
    """Rows of the profile `problems`, for whoever mends the file; the last column says why, in German."""
    for one in problems:
        yield one.line, one.column, one.rule, one.value, one.grund


def unreadable(rule: str, reason: str, grund: str, line: int | None = None) -> UnreadableError:
    return UnreadableError(Problem(rule, reason, grund, line))


def quoted(value: str) -> str:
    """As much of a value as is shown, without what a terminal would obey."""
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in value[:SHOWN])
    return shown if len(value) <= SHOWN else shown + "…"
