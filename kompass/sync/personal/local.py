"""Local documents of people: checkpoints of their replications, each person's his own.

They are kept in a table beside the database's own local documents, which nobody but administrators gets
to see. What nobody has used for a long time goes: devices are thrown away without telling anybody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from replication.protocol import jsontext
from replication.store.sqlite import ChangedDocument, Extension, Reading, SqliteDatabase, Writing
from replication.store.sqlite.reading import local_document
from replication.store.values import KeyRange, LocalDocument

KEPT_DAYS = 90
"""Days without being read or written after which a local document goes."""

MOST = 2000
"""Local documents of one person. A further one takes the place of the one unused for longest."""

MOST_BYTES = 20_000_000
"""Bytes of all of them together; then it is the same."""

_DAY = 24 * 60 * 60

_TABLE = (
    "CREATE TABLE IF NOT EXISTS personal_local ("
    " user TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, body BLOB NOT NULL,"
    " used INTEGER NOT NULL,"  # the day it was last read or written, in days since 1970
    " PRIMARY KEY (user, id)) WITHOUT ROWID"
)

_READ_TABLE = (
    "CREATE TABLE IF NOT EXISTS personal_read ("
    " device TEXT PRIMARY KEY, user TEXT NOT NULL, seq TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID"
)
_LONGEST_SEQ = 100


class LocalTables(Extension):
    """Makes the tables with the database, so that all copies of it have them."""

    def make_tables(self, connection: apsw.Connection) -> None:
        _make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        return

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        return

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        return


def _make_tables(connection: apsw.Connection) -> None:
    connection.execute(_TABLE)
    connection.execute(_READ_TABLE)


def today() -> int:
    """Days since 1970."""
    return int(time.time()) // _DAY


class LocalNotes:
    """The local documents of all people in one database. Ids are without `_local/`."""

    def __init__(self, database: SqliteDatabase, day: Callable[[], int] = today) -> None:
        self._database = database
        self._day = day
        self._expired = 0
        """The day on which unused ones were last looked for."""

    async def get(self, user: str, docid: str) -> LocalDocument | None:
        with self._database.reading() as reading:
            row = self._row(reading, user, docid)
        if row is None:
            return None
        rev, body, used = row
        if used != self._day():
            await self._used(user, docid)
        return local_document(docid, rev, body)

    async def put(self, user: str, docid: str, parent: int, body: bytes, *, device: str | None = None) -> str:
        """See `Database.put_local`. Of the checkpoint of a device that reads here the place is kept."""
        reached = None if device is None else self._reached(body)

        def run(writing: Writing) -> None:
            self._prepare(writing)
            if reached is not None:
                writing.connection.execute(
                    "INSERT OR REPLACE INTO personal_read VALUES (?, ?, ?, ?)",
                    (device, user, reached, self._day()),
                )
            writing.connection.execute(
                "INSERT INTO personal_local VALUES (?, ?, ?, ?, ?) ON CONFLICT (user, id)"
                " DO UPDATE SET rev = excluded.rev, body = excluded.body, used = excluded.used",
                (user, docid, parent + 1, body, self._day()),
            )
            writing.connection.execute(
                "DELETE FROM personal_local WHERE user = ?1 AND id IN (SELECT id FROM personal_local"
                " WHERE user = ?1 AND id <> ?2 ORDER BY used DESC, id LIMIT -1 OFFSET ?3)",
                (user, docid, MOST - 1),
            )
            writing.connection.execute(
                "DELETE FROM personal_local WHERE user = ?1 AND id IN (SELECT id FROM"
                " (SELECT id, sum(length(body)) OVER (ORDER BY id <> ?2, used DESC, id) AS so_far"
                " FROM personal_local WHERE user = ?1) WHERE so_far > ?3 AND id <> ?2)",
                (user, docid, MOST_BYTES),
            )

        await self._database.transact(run)
        return f"0-{parent + 1}"

    def _reached(self, body: bytes) -> str | None:
        """Up to where a replication from here has read, if `body` is its checkpoint.

        What a device pushes has a checkpoint here as well, with a place in the device's own database.
        """
        if b'"last_seq"' not in body:
            return None
        value = jsontext.decode_request(body)
        seq = value.get("last_seq") if isinstance(value, dict) else None
        if not isinstance(seq, str) or len(seq) > _LONGEST_SEQ:
            return None
        return seq if seq.partition("-")[2] in {epoch.name for epoch in self._database.epochs.all} else None

    def read_up_to(self, reading: Reading, user: str, device: str) -> str | None:
        """The latest sequence that a device of somebody has said it has read, None if it never did."""
        if reading.connection.execute(_IS_THERE, ("personal_read",)).get is None:
            return None
        found: str | None = reading.connection.execute(
            "SELECT seq FROM personal_read WHERE device = ? AND user = ?", (device, user)
        ).get
        return found

    async def delete(self, user: str, docid: str) -> bool:
        """False if there was none."""

        def run(writing: Writing) -> bool:
            self._prepare(writing)
            writing.connection.execute("DELETE FROM personal_local WHERE user = ? AND id = ?", (user, docid))
            return writing.connection.changes() > 0

        return await self._database.transact(run)

    @staticmethod
    def are_there(reading: Reading) -> bool:
        """Whether anybody has ever written one."""
        return _is_there(reading)

    @staticmethod
    def forget(writing: Writing, user: str) -> None:
        """Removes all of somebody's, their bytes too."""
        if _is_there(writing):
            with writing.overwriting():
                writing.connection.execute("DELETE FROM personal_local WHERE user = ?", (user,))
                writing.connection.execute("DELETE FROM personal_read WHERE user = ?", (user,))

    def listed(
        self, reading: Reading, user: str, span: KeyRange, skip: int, limit: int
    ) -> list[LocalDocument]:
        if not _is_there(reading):
            return []
        rows: Any = reading.connection.execute(
            "SELECT id FROM personal_local WHERE user = ? ORDER BY id", (user,)
        )
        ids = [docid for (docid,) in rows if within(span, docid)]
        if span.descending:
            ids.reverse()
        documents = []
        for docid in ids[skip : skip + limit]:
            row = self._row(reading, user, docid)
            assert row is not None
            documents.append(local_document(docid, row[0], row[1]))
        return documents

    async def expire(self) -> int:
        """Removes what nobody has used for `KEPT_DAYS`. Returns how many went.

        Happens by itself with the first write of a day.
        """

        def run(writing: Writing) -> int:
            _make_tables(writing.connection)
            return self._expire(writing)

        return await self._database.transact(run)

    def _row(self, reading: Reading, user: str, docid: str) -> tuple[int, bytes, int] | None:
        """Revision, body, and the day it was last used."""
        if not _is_there(reading):
            return None
        row: tuple[int, bytes, int] | None = reading.connection.execute(
            "SELECT rev, body, used FROM personal_local WHERE user = ? AND id = ?", (user, docid)
        ).fetchone()
        return row

    async def _used(self, user: str, docid: str) -> None:
        def run(writing: Writing) -> None:
            self._prepare(writing)
            writing.connection.execute(
                "UPDATE personal_local SET used = ? WHERE user = ? AND id = ?", (self._day(), user, docid)
            )

        await self._database.transact(run)

    def _prepare(self, writing: Writing) -> None:
        _make_tables(writing.connection)
        if self._expired != self._day():
            self._expire(writing)
            self._expired = self._day()

    def _expire(self, writing: Writing) -> int:
        writing.connection.execute("DELETE FROM personal_local WHERE used < ?", (self._day() - KEPT_DAYS,))
        gone = writing.connection.changes()
        writing.connection.execute("DELETE FROM personal_read WHERE used < ?", (self._day() - KEPT_DAYS,))
        return gone


_IS_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"


def _is_there(reading: Reading) -> bool:
    """Whether anybody has ever written a local document."""
    return reading.connection.execute(_IS_THERE, ("personal_local",)).get is not None


def within(span: KeyRange, docid: str) -> bool:
    """Whether an id lies in a range."""
    first, last = span.start, span.end
    if span.descending:
        after_start = first is None or docid < first
        before_end = last is None or docid > last
    else:
        after_start = first is None or docid > first
        before_end = last is None or docid < last
    return (after_start or (span.inclusive_start and docid == first)) and (
        before_end or (span.inclusive_end and docid == last)
    )
