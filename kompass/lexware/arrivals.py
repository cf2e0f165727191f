"""Files that came, by their SHA-256, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import apsw
import orjson

from kompass.accounting.problems import Problem
from kompass.lexware.store import LexwareStore

MOST_TOLD = 1000
"""Rows that a report names, with what was wrong in them."""


@dataclass(slots=True)
class Report:
    """What became of a file. It names what stood in its rows; after an erasure it doesn't."""

    name: str
    sha256: str
    kind: str = ""
    """`payments`, `invoices`, or nothing if that couldn't be told."""
    state: str = "done"
    """`done`, `refused` as a whole, or `repeated`: it came before."""
    said: str = ""
    """Why it was refused; when it came before."""
    gesagt: str = ""
    """The same in German."""
    rows: int = 0
    wrong: int = 0
    """Rows that weren't taken, or that somebody has to look at."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """How many rows came to what."""
    sums: dict[str, str] = field(default_factory=dict)
    """`read` and `applied`, in EUR."""
    problems: list[dict[str, Any]] = field(default_factory=list)
    """`line`, `column`, `value`, `rule`, `reason`, `grund`."""
    findings: list[dict[str, Any]] = field(default_factory=list)
    """What the file looks like: `what`, `value`, `sure`, `reason`, `grund`."""
    unknown: list[str] = field(default_factory=list)
    """Headings that weren't read."""

    def tell(self, problem: Problem) -> None:
        if len(self.problems) < MOST_TOLD:
            self.problems.append(asdict(problem))

    def text(self, size: int) -> bytes:
        """For beside the file, which has so many bytes."""
        return orjson.dumps({**asdict(self), "bytes": size}, option=orjson.OPT_INDENT_2) + b"\n"


@dataclass(frozen=True, slots=True)
class Arrival:
    sha256: str
    num: int
    kind: str
    name: str
    kept: str
    """Where it lies below the folder, `processed/…` or `failed/…`; empty if it doesn't."""
    person: str
    at: float
    state: str
    rows: int
    wrong: int
    report: Mapping[str, Any]


_COLUMNS = "sha256, num, kind, name, kept, person, at, state, rows, wrong, report"


def add(connection: apsw.Connection, report: Report, person: str, at: float) -> None:
    """Within a transaction. A file that was refused before may come again and be taken."""
    connection.execute(
        "INSERT INTO arrivals (sha256, num, kind, name, person, at, state, rows, wrong, report)"
        " VALUES (?1, (SELECT coalesce(max(num), 0) + 1 FROM arrivals), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        " ON CONFLICT (sha256) DO UPDATE SET num = excluded.num, kind = excluded.kind, name = excluded.name,"
        " person = excluded.person, at = excluded.at, state = excluded.state, rows = excluded.rows,"
        " wrong = excluded.wrong, report = excluded.report",
        (
            report.sha256, report.kind, report.name, person, at, report.state, report.rows, report.wrong,
            orjson.dumps(asdict(report)).decode(),
        ),
    )  # fmt: skip


def keep(store: LexwareStore, sha256: str, place: str) -> None:
    """Where the file lies now."""
    with store.writing() as connection:
        connection.execute("UPDATE arrivals SET kept = ? WHERE sha256 = ?", (place, sha256))


def one(store: LexwareStore, sha256: str) -> Arrival | None:
    rows = store.rows(f"SELECT {_COLUMNS} FROM arrivals WHERE sha256 = ?", (sha256,))  # noqa: S608
    return _arrival(rows[0]) if rows else None


def numbered(store: LexwareStore, num: int) -> Arrival | None:
    rows = store.rows(f"SELECT {_COLUMNS} FROM arrivals WHERE num = ?", (num,))  # noqa: S608
    return _arrival(rows[0]) if rows else None


def listed(store: LexwareStore, *, before: int = 2**62, limit: int = 50) -> list[Arrival]:
    """The latest first."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM arrivals WHERE num < ? ORDER BY num DESC LIMIT ?",  # noqa: S608
        (before, limit),
    )
    return [_arrival(row) for row in rows]


def _arrival(row: Sequence[Any]) -> Arrival:
    values = list(row)
    values[-1] = orjson.loads(values[-1])
    return Arrival(*values)
