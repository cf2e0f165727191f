"""Puts a run together: which documents are due, and the bytes of their file.

A document is due if its row isn't the one that was exported of it last. So no version of a contract goes out
twice, whatever else in it changes, and one whose customer got another name goes out again. No clock decides:
where the database is (`position`) only tells whether anything can have changed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kompass.accounting.catalogue import profile
from kompass.accounting.cells import Value
from kompass.accounting.problems import Problem
from kompass.accounting.row_errors import ErrorType
from kompass.accounting.sources import values
from kompass.accounting.writing import Writer
from kompass.leases import Lease
from kompass.lexware import errors, runs
from kompass.lexware.books import PAGE, Body, Books, pages
from kompass.lexware.runs import Kind, Mode, Run
from kompass.lexware.store import LexwareStore
from replication.store.sqlite import SqliteDatabase

PIECE = 256 * 1024
"""Bytes, about, that are kept in a piece."""
MOST_CHOSEN = 1000


class ExportError(Exception):
    """It can't be exported like this. The text is for people."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants exported."""

    kind: Kind
    person: str
    mode: Mode = Mode.DUE
    of: int | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """What became of the rows."""

    figures: dict[str, Any]
    """`rows`, `left_out`, `changed`, `bytes`, `sha256`, `sums`: see `Run`."""
    problems: list[tuple[str, Problem]]
    """Document, and why it was left out; the first thousand."""
    notes: list[Problem]
    """What was cut."""


async def export(
    store: LexwareStore, lease: Lease, database: SqliteDatabase, wish: Wish, now: datetime
) -> tuple[Run, Sheet]:
    """A run, prepared; nothing is delivered yet. Raises `ExportError`, `LeaseLostError`."""
    position = database.epochs.format(database.update_seq)
    ids = await _candidates(store, database, wish, position)
    return await asyncio.to_thread(_exported, store, lease, database, wish, ids, now, position)


async def preview(store: LexwareStore, database: SqliteDatabase, wish: Wish) -> Sheet:
    """What `export` would do now. Raises `ExportError`."""
    ids = await _candidates(store, database, wish, None)
    return await asyncio.to_thread(lambda: _Writing(store, database, wish, ids).preview())


async def _candidates(
    store: LexwareStore, database: SqliteDatabase, wish: Wish, position: str | None
) -> Sequence[str]:
    """Ids of documents that may be due."""
    if wish.mode is Mode.CHOSEN:
        return wish.ids
    if wish.mode is Mode.AGAIN:
        before = await asyncio.to_thread(runs.one, store, wish.of or 0)
        if before is None or before.kind is not wish.kind:
            raise ExportError(f"There is no run {wish.of} of {wish.kind}.")
        ids = await asyncio.to_thread(runs.documents, store, before.num)
        if not ids:
            raise ExportError(f"Run {wish.of} has no rows.")
        return ids
    if position is not None and await asyncio.to_thread(runs.last_position, store, wish.kind) == position:
        return ()
    return [docid async for page in pages(database, wish.kind.entity) for docid in page]


def _exported(
    store: LexwareStore, lease: Lease, database: SqliteDatabase, wish: Wish, ids: Sequence[str],
    now: datetime, position: str,
) -> tuple[Run, Sheet]:  # fmt: skip
    name, now = _name(store, wish.kind, now)
    num = runs.begin(
        store, lease, wish.kind, wish.mode, wish.of, wish.person, position, name, now.timestamp()
    )
    writing = _Writing(store, database, wish, ids)
    place = 0
    kept = b""
    for piece in writing.pieces():
        kept += piece
        if len(kept) >= PIECE:
            runs.add(store, lease, num, writing.taken(), kept, place)
            place, kept = place + 1, b""
    runs.add(store, lease, num, writing.taken(), kept, place)
    sheet = writing.sheet()
    with store.writing() as connection:
        lease.check(connection)
        runs.prepared(connection, num, sheet.figures)
        errors.settle(connection, wish.kind.entity, writing.fitting, "exported", now.timestamp())
        for docid, problem in sheet.problems:
            errors.add(
                connection,
                errors.Found("out", wish.kind.entity, docid, ErrorType.VALIDATION, problem, f"run {num}"),
                now.timestamp(),
            )
    run = runs.one(store, num)
    assert run is not None
    return run, sheet


def _name(store: LexwareStore, kind: Kind, now: datetime) -> tuple[str, datetime]:
    """A name for the file that no other has, and the time in it."""
    while True:
        name = profile(kind.profile).file_name.format(
            name=kind.profile, time=f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        )
        if not runs.is_taken(store, name):
            return name, now
        now += timedelta(seconds=1)


class _Writing:
    """The file that is being written. Documents are read a page at a time."""

    def __init__(self, store: LexwareStore, database: SqliteDatabase, wish: Wish, ids: Sequence[str]) -> None:
        self._store = store
        self._database = database
        self._wish = wish
        self._ids = ids
        self._profile = profile(wish.kind.profile)
        self._writer = Writer(self._profile)
        self._sum = hashlib.sha256()
        self._size = 0
        self._left_out: dict[int, str] = {}
        """Documents that don't fit, by their place among those given to the writer."""
        self._new: list[tuple[str, str]] = []
        self.fitting: list[str] = []
        """Documents whose rows are in the file."""

    def pieces(self) -> Iterator[bytes]:
        for piece in self._writer.pieces(self._rows()):
            self._sum.update(piece)
            self._size += len(piece)
            yield piece

    def taken(self) -> list[tuple[str, str]]:
        """Document and digest of the rows that are new since this was asked last."""
        new, self._new = self._new, []
        return new

    def preview(self) -> Sheet:
        for _ in self.pieces():
            pass
        return self.sheet()

    def sheet(self) -> Sheet:
        """After the last piece."""
        writer = self._writer
        figures = {
            "rows": writer.written,
            "left_out": writer.left_out,
            "changed": writer.changed,
            "bytes": self._size,
            "sha256": self._sum.hexdigest(),
            "sums": {heading: f"{number:f}" for heading, number in writer.sums.items()},
        }
        problems = [(self._left_out[one.line or 0], one) for one in writer.problems]
        return Sheet(figures, problems, list(writer.notes))

    def _rows(self) -> Iterator[list[Value]]:
        for place, (docid, row) in enumerate(self._due(), 1):
            before = self._writer.left_out
            yield row
            if self._writer.left_out > before:
                self._left_out[place] = docid
            else:
                self._new.append((docid, _digest(row)))
                self.fitting.append(docid)

    def _due(self) -> Iterator[tuple[str, list[Value]]]:
        for first in range(0, len(self._ids), PAGE):
            docids = self._ids[first : first + PAGE]
            exported = runs.exported(self._store, docids) if self._wish.mode is Mode.DUE else {}
            with self._database.reading() as reading:
                books = Books(reading)
                found = [
                    (str(body["_id"]), values(self._profile, body, books))
                    for body in books.several(docids)
                    if body.get("type") == self._wish.kind.entity and self._is_wanted(body)
                ]
            for docid, row in found:
                if exported.get(docid) != _digest(row):
                    yield docid, row

    def _is_wanted(self, body: Body) -> bool:
        return all(body.get(member) in allowed for member, allowed in self._profile.where.items())


def _digest(row: Sequence[Value]) -> str:
    """What tells one version of a row from another."""
    text = "\x1f".join("" if value is None else f"{type(value).__name__}:{value}" for value in row)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
