"""Giving numbers, in the transaction that stores the document: what isn't committed was never given.

A number is given once. It stays its document's whatever becomes of it; one whose document is deleted,
purged or ended is kept with the reason. Numbers that come with documents, from an import or the demo, count
as given, and the next one follows the highest: what lies below and didn't come is noted as skipped. So
between 1 and the last number of a prefix each one is either somebody's or has a reason, and `problems`
finds what hasn't.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import apsw

from kompass.domain.changes import Body
from kompass.domain.keys import folded
from kompass.domain.series import MAX_NUMBER, Series, SeriesTable, kind_of, year_of
from kompass.domain.stamps import moment, stamp, timestamp
from replication.store.sqlite import Reading, Writing


class State(StrEnum):
    USED = "used"
    """It is a document's."""
    VOID = "void"
    """Its document is no more, or counts for nothing."""


class Given(NamedTuple):
    """A number and what became of it."""

    number: str
    series: str
    doc: str
    state: State
    reason: str | None
    """Why it is void: `deleted`, `purged`, or the document's status."""
    given: datetime
    ended: datetime | None


class Skipped(NamedTuple):
    """Numbers that nobody was given here, below one that came with a document."""

    series: str
    prefix: str
    first: int
    last: int
    doc: str
    """The document that came with the number after them."""


class Problem(NamedTuple):
    """Something that an auditor would ask about."""

    what: str
    numbers: tuple[str, ...]
    doc: str | None = None

    def __str__(self) -> str:
        where = f" ({self.doc})" if self.doc is not None else ""
        return f"{self.what}: {', '.join(self.numbers)}{where}"


class Numbers:
    """The series of one database, in one transaction."""

    def __init__(self, writing: Writing, table: SeriesTable, now: datetime) -> None:
        self._execute = writing.connection.execute
        self.table = table
        self.now = now
        self.at = timestamp(now)
        self._stamp = stamp(now)

    def settle(self, doc: Body) -> str | None:
        """The number to write into a live document; None if it has what it has to have."""
        series = self.table.by_type.get(str(doc.get("type")))
        if series is None:
            return None
        docid = str(doc["_id"])
        given = doc.get(series.field)
        own = self._own(docid, series)
        if own is not None:
            self._judge(own, docid, series, doc)
            return None if given == own else own
        if isinstance(given, str) and 0 < len(given) <= MAX_NUMBER:
            self._came(given, docid, series, doc)
            return None
        if not series.due(doc):
            return None
        return self.next(series, docid, kind_of(doc))

    def note(self, doc: Body) -> None:
        """Takes note of the number that a live document has; gives none."""
        series = self.table.by_type.get(str(doc.get("type")))
        if series is not None and isinstance(doc.get(series.field), str):
            self.settle(doc)

    def field(self, doc: Body) -> str:
        """Where a document has the number that `settle` gave it."""
        return self.table.by_type[str(doc["type"])].field

    def next(self, series: Series, docid: str, kind: str = "") -> str:
        """The series' next number, for a document."""
        prefix = series.pattern.prefix(year_of(self.now), kind)
        while True:
            found = self._execute(
                "INSERT INTO business_counters VALUES (?, ?, 1)"
                " ON CONFLICT (prefix) DO UPDATE SET last = last + 1 RETURNING last",
                (prefix, series.name),
            ).get
            number = series.pattern.number(prefix, found)
            holder = self._holder(number)
            if holder is None:
                break
            # It came with a document of another series, or written otherwise.
            self._skip(prefix, found, found, holder)
        self._keep(number, series, (prefix, found), docid)
        return number

    def end(self, docid: str, reason: str) -> None:
        """A document is gone: its numbers are void."""
        self._execute(
            "UPDATE business_numbers SET state = ?, reason = ?, ended = ? WHERE doc = ? AND ended IS NULL",
            (State.VOID, reason, self._stamp, docid),
        )
        self._execute("DELETE FROM business_twice WHERE doc = ?", (docid,))

    def _own(self, docid: str, series: Series) -> str | None:
        found: str | None = self._execute(
            "SELECT number FROM business_numbers WHERE doc = ? AND series = ?", (docid, series.name)
        ).get
        return found

    def _judge(self, number: str, docid: str, series: Series, doc: Body) -> None:
        """What its document's status, or its return, says about a number that was given."""
        status = doc.get("status")
        state, reason = self._execute(
            "SELECT state, reason FROM business_numbers WHERE number = ?", (number,)
        ).get
        if isinstance(status, str) and status in series.void:
            if reason != status:
                self._execute(
                    "UPDATE business_numbers SET state = ?, reason = ?, ended = ? WHERE number = ?",
                    (State.VOID, status, self._stamp, number),
                )
        elif state != State.USED:
            self._execute(
                "UPDATE business_numbers SET state = ?, reason = NULL, ended = NULL WHERE number = ?",
                (State.USED, number),
            )

    def _came(self, number: str, docid: str, series: Series, doc: Body) -> None:
        """A document has brought its number along."""
        if self._holder(number) is not None:
            self._execute(
                "INSERT OR REPLACE INTO business_twice VALUES (?, ?, ?)", (docid, number, self._stamp)
            )
            return
        self._execute("DELETE FROM business_twice WHERE doc = ?", (docid,))
        place = series.read(number)
        self._keep(number, series, place, docid)
        if place is not None:
            self._advance(series, *place, docid)
        self._judge(number, docid, series, doc)

    def _advance(self, series: Series, prefix: str, value: int, docid: str) -> None:
        last = self._execute("SELECT last FROM business_counters WHERE prefix = ?", (prefix,)).get or 0
        if value <= last:
            return
        if value > last + 1:
            self._skip(prefix, last + 1, value - 1, docid)
        self._execute(
            "INSERT INTO business_counters VALUES (?, ?, ?)"
            " ON CONFLICT (prefix) DO UPDATE SET last = excluded.last",
            (prefix, series.name, value),
        )

    def _holder(self, number: str) -> str | None:
        """The document that a number was given to, however it is written."""
        found: str | None = self._execute(
            "SELECT doc FROM business_numbers WHERE upper(number) = ?", (folded(number),)
        ).get
        return found

    def _skip(self, prefix: str, first: int, last: int, docid: str) -> None:
        self._execute(
            "INSERT INTO business_skipped VALUES (?, ?, ?, ?, ?)",
            (prefix, first, last, docid, self._stamp),
        )

    def _keep(self, number: str, series: Series, place: tuple[str, int] | None, docid: str) -> None:
        prefix, value = place if place is not None else (None, None)
        self._execute(
            "INSERT INTO business_numbers VALUES (?, ?, ?, ?, ?, ?, NULL, ?, NULL)",
            (number, series.name, prefix, value, docid, State.USED, self._stamp),
        )


RESTORED = "restore"
"""Stands for the document where numbers are skipped that were given in a past which a restore has lost."""


def reserve(
    connection: apsw.Connection, given: Mapping[str, tuple[str, int]], now: datetime
) -> dict[str, tuple[int, int]]:
    """Notes what was given up to these last numbers, prefix -> (series, number), as skipped: nobody gets it
    again. Returns the first and last of each prefix that has any. For a database that nobody serves.
    """
    reserved: dict[str, tuple[int, int]] = {}
    for prefix, (series, last) in given.items():
        known = connection.execute("SELECT last FROM business_counters WHERE prefix = ?", (prefix,)).get or 0
        if last <= known:
            continue
        reserved[prefix] = (known + 1, last)
        connection.execute(
            "INSERT INTO business_skipped VALUES (?, ?, ?, ?, ?)",
            (prefix, known + 1, last, RESTORED, stamp(now)),
        )
        connection.execute(
            "INSERT INTO business_counters VALUES (?, ?, ?)"
            " ON CONFLICT (prefix) DO UPDATE SET last = excluded.last",
            (prefix, series, last),
        )
    return reserved


# -- looking -----------------------------------------------------------------------------------


def listed(reading: Reading, *, series: str | None = None, after: str = "", limit: int = 1000) -> list[Given]:
    """Numbers in their order, those after `after`; of one series, or of all."""
    rows: Any = reading.connection.execute(
        "SELECT number, series, doc, state, reason, given, ended FROM business_numbers"
        " WHERE number > :after AND (:series IS NULL OR series = :series) ORDER BY number LIMIT :limit",
        {"after": after, "series": series, "limit": limit},
    )
    return [
        Given(
            number, name, doc, State(state), reason, moment(given), None if ended is None else moment(ended)
        )
        for number, name, doc, state, reason, given, ended in rows
    ]


def number_of(reading: Reading, docid: str) -> str | None:
    """The number that a document was given."""
    found: str | None = reading.connection.execute(
        "SELECT number FROM business_numbers WHERE doc = ?", (docid,)
    ).get
    return found


def skipped(reading: Reading) -> list[Skipped]:
    rows: Any = reading.connection.execute(
        "SELECT c.series, s.prefix, s.first, s.last, s.doc FROM business_skipped s"
        " JOIN business_counters c ON c.prefix = s.prefix ORDER BY s.prefix, s.first"
    )
    return [Skipped(*row) for row in rows]


def counters(reading: Reading) -> dict[str, tuple[str, int]]:
    """Prefix -> series and last number."""
    rows: Any = reading.connection.execute("SELECT prefix, series, last FROM business_counters")
    return {prefix: (series, last) for prefix, series, last in rows}


def problems(reading: Reading, table: SeriesTable) -> Iterator[Problem]:
    """Numbers that are missing without a reason, and documents whose number is another's.

    Compares the record with itself and with the documents.
    """
    noted: dict[str, list[tuple[int, int]]] = {}
    for one in skipped(reading):
        noted.setdefault(one.prefix, []).append((one.first, one.last))
    for prefix, (series, last) in sorted(counters(reading).items()):
        pattern = table.named(series).pattern
        rows: Any = reading.connection.execute(
            "SELECT value FROM business_numbers WHERE prefix = ? ORDER BY value", (prefix,)
        )
        for first, end in _missing([value for (value,) in rows], last):
            for gap in _uncovered((first, end), noted.get(prefix, [])):
                yield Problem(
                    "missing without a reason", tuple(pattern.number(prefix, value) for value in gap)
                )
    rows = reading.connection.execute("SELECT doc, number FROM business_twice ORDER BY doc")
    for doc, number in rows:
        yield Problem("another document's number", (number,), doc)
    rows = reading.connection.execute(
        "SELECT number, series, doc FROM business_numbers WHERE ended IS NULL ORDER BY number"
    )
    fields = {series.name: series.field for series in table.series}
    for number, series, doc in rows.fetchall():
        winner = reading.winner(doc) if fields.get(series) else None
        if fields.get(series) and (winner is None or winner.deleted):
            yield Problem("its document is gone and it isn't void", (number,), doc)
        elif winner is not None and f'"{number}"'.encode() not in bytes(winner.text):
            yield Problem("not in its document", (number,), doc)


def _missing(values: list[int], last: int) -> Iterator[tuple[int, int]]:
    expected = 1
    for value in values:
        if value > expected:
            yield expected, value - 1
        expected = max(expected, value + 1)
    if expected <= last:
        yield expected, last


def _uncovered(gap: tuple[int, int], noted: list[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """What of a gap isn't noted as skipped: its first and last numbers."""
    first, last = gap
    for start, end in sorted(noted):
        if end < first or start > last:
            continue
        if start > first:
            yield _ends(first, start - 1)
        first = max(first, end + 1)
    if first <= last:
        yield _ends(first, last)


def _ends(first: int, last: int) -> tuple[int, ...]:
    return (first,) if first == last else (first, last)
