"""What went to DATEV: `office/datev.sqlite` remembers each batch, and as what each document was booked in it.

So nothing is booked twice because somebody takes a month out twice, and whoever changes or cancels what is
out already is told of. Of a document it keeps the booking in one line, without names of people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from kompass.accounting.datev.bookings import Booking
from kompass.kept import DATEV
from kompass.shared_files import SharedFiles
from kompass.sqlfile import Late, SqlFile, fetch

_TABLES = """
CREATE TABLE batches (
    num INTEGER PRIMARY KEY,
    books TEXT NOT NULL,
    person TEXT NOT NULL,
    at TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    final INTEGER NOT NULL,
    again INTEGER NOT NULL,
    files TEXT NOT NULL
);
CREATE TABLE booked (
    books TEXT NOT NULL,
    doc TEXT NOT NULL,
    batch INTEGER NOT NULL,
    booking TEXT NOT NULL,
    PRIMARY KEY (books, doc, batch)
) WITHOUT ROWID;
"""
_ASKED = 10_000
"""Documents that are asked about at a time."""


class BatchesError(Exception):
    """The file can't be used. The text is for people."""


class MeanwhileError(Exception):
    """Another batch of the same books was made since this one looked at what is out."""


@dataclass(frozen=True, slots=True)
class Batch:
    person: str
    at: str
    """When: `2026-12-01T02:00:00Z`."""
    first: str
    """The period's days."""
    last: str
    final: bool
    again: bool
    """Whether it also has what earlier ones have."""
    files: Sequence[Mapping[str, Any]]
    """As the manifest has them: names, rows, sums, digests."""


class Before(NamedTuple):
    """How a document was booked last."""

    batch: int
    booking: str


def told(booking: Booking) -> str:
    """What of a booking a person would have to correct, if it were another one."""
    side = "Soll" if booking.side == "S" else "Haben"
    key = f" BU {booking.key}" if booking.key else ""
    reversal = " Generalumkehr" if booking.reversal else ""
    return (
        f"{booking.day.isoformat()} {booking.voucher} {booking.amount:.2f} EUR {booking.account} {side}"
        f" an {booking.counter}{key}{reversal}"
    )


class Batches:
    """Of a data directory, or of a cluster; the file is made when it is first needed. Blocking, short; calls
    may come from any thread. Everything raises `BatchesError`. `books` says whose they are, by which chart.
    """

    def __init__(self, directory: Path, *, shared: SharedFiles | None = None) -> None:
        path = directory / DATEV
        # What was taken out must not be forgotten by a loss of power: it would be booked twice.
        pragmas = ("synchronous = FULL",)
        self._late = Late(
            path, partial(SqlFile, path, _TABLES, failure=BatchesError, pragmas=pragmas, shared=shared)
        )

    @property
    def _file(self) -> SqlFile:
        return self._late.opened()

    def close(self) -> None:
        self._late.close()

    def latest(self, books: str) -> int:
        """The number of the last batch; 0 without one."""
        ((num,),) = self._file.rows("SELECT ifnull(max(num), 0) FROM batches WHERE books = ?", (books,))
        return int(num)

    def before(self, books: str, docids: Sequence[str]) -> dict[str, Before]:
        """How these documents were booked last, of those that were."""
        found: dict[str, Before] = {}
        for start in range(0, len(docids), _ASKED):
            asked = orjson.dumps(docids[start : start + _ASKED]).decode()
            for doc, booking, num in self._file.rows(
                "SELECT doc, booking, max(batch) FROM booked"
                " WHERE books = ? AND doc IN (SELECT value FROM json_each(?)) GROUP BY doc",
                (books, asked),
            ):
                found[doc] = Before(num, booking)
        return found

    def add(self, books: str, batch: Batch, booked: Mapping[str, str], *, after: int) -> int:
        """Its number. `booked`: id of each document -> its booking. `after`: the last batch that was known
        when it was put together. Raises `MeanwhileError`.
        """
        with self._file.writing() as connection:
            ((num,),) = fetch(connection, "SELECT ifnull(max(num), 0) FROM batches WHERE books = ?", (books,))
            if num != after:
                raise MeanwhileError
            connection.execute(
                "INSERT INTO batches (books, person, at, first, last, final, again, files)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    books, batch.person, batch.at, batch.first, batch.last, batch.final, batch.again,
                    orjson.dumps(list(batch.files)).decode(),
                ),
            )  # fmt: skip
            made = connection.last_insert_rowid()
            connection.executemany(
                "INSERT INTO booked VALUES (?, ?, ?, ?)",
                [(books, doc, made, booking) for doc, booking in booked.items()],
            )
        return made

    def listed(self, *, before: int, limit: int) -> Iterator[dict[str, Any]]:
        """The latest first, of all books."""
        for num, books, person, at, first, last, final, again, files in self._file.rows(
            "SELECT num, books, person, at, first, last, final, again, files FROM batches"
            " WHERE num < ? ORDER BY num DESC LIMIT ?",
            (before, limit),
        ):
            yield {
                "num": num, "books": books, "exported_by": person, "exported_at": at,
                "from": first, "to": last, "final": bool(final), "again": bool(again),
                "files": orjson.loads(files),
            }  # fmt: skip
