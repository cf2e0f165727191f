"""The file with the imports: what was uploaded, what became of each row, and how to undo it.

Whoever works on imports of a type holds its lease (`kompass.leases`). What a row becomes is noted before it
is written and after, so that no row is written twice, whenever a process dies.
Values of rows and documents are personal data; they go after `KEPT_DAYS`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import orjson

from kompass import leases
from kompass.imports.states import Import, NotNowError, Outcome, State, Work
from kompass.kept import IMPORTS
from kompass.leases import Lease
from kompass.shared_files import SharedFiles
from kompass.sqlfile import SqlFile, fetch

KEPT_DAYS = 30
"""How long rows, errors and what undoes an import are kept after anything was last done with it."""
PIECE = 256 * 1024
"""Bytes of a file that one row of the table has: a transaction is an entry of a journal."""
CHUNK = 200
"""Rows that are worked on together."""
MOST_OPEN = 20
"""Imports of one person that are kept and not executed."""

_TABLES = f"""
{leases.TABLE}
CREATE TABLE imports (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    type TEXT NOT NULL,
    file TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    made REAL NOT NULL,
    changed REAL NOT NULL,
    state TEXT NOT NULL,
    work TEXT NOT NULL,
    worker TEXT NOT NULL,
    roles TEXT NOT NULL,
    told TEXT NOT NULL,
    rows INTEGER NOT NULL,
    done INTEGER NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX imports_by_person ON imports (person, made);
CREATE INDEX imports_by_work ON imports (type, changed) WHERE work <> '';
CREATE TABLE pieces (
    import TEXT NOT NULL, num INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (import, num)
) WITHOUT ROWID;
CREATE TABLE chunks (
    import TEXT NOT NULL, num INTEGER NOT NULL, rows BLOB NOT NULL, PRIMARY KEY (import, num)
) WITHOUT ROWID;
CREATE TABLE outcomes (
    import TEXT NOT NULL,
    line INTEGER NOT NULL,
    kind TEXT NOT NULL,
    told TEXT NOT NULL,
    PRIMARY KEY (import, line)
) WITHOUT ROWID;
CREATE INDEX outcomes_by_kind ON outcomes (import, kind, line);
CREATE TABLE decisions (
    import TEXT NOT NULL, line INTEGER NOT NULL, decision TEXT NOT NULL, PRIMARY KEY (import, line)
) WITHOUT ROWID;
CREATE TABLE sources (
    person TEXT NOT NULL, source TEXT NOT NULL, columns TEXT NOT NULL, changed REAL NOT NULL,
    PRIMARY KEY (person, source)
) WITHOUT ROWID;
"""
_STEPS = (
    f"""
{leases.TABLE}
DROP INDEX imports_by_work;
ALTER TABLE imports DROP COLUMN lease;
ALTER TABLE imports DROP COLUMN until;
CREATE INDEX imports_by_work ON imports (type, changed) WHERE work <> '';
""",
)


class ImportStoreError(Exception):
    """The file can't be used. The text is for people."""


_COLUMNS = (
    "id, person, type, file, sha256, made, changed, state, work, worker, roles, told, rows, done, reason"
)


class ImportStore(SqlFile):
    """The file, made where it isn't there."""

    def __init__(self, directory: Path, *, shared: SharedFiles | None = None) -> None:
        """Of a data directory; see `SqlFile`. Raises `ImportStoreError`."""
        super().__init__(
            directory / IMPORTS,
            _TABLES,
            failure=ImportStoreError,
            steps=_STEPS,
            pragmas=("synchronous = NORMAL", "secure_delete = ON"),
            shared=shared,
        )

    # -- imports -------------------------------------------------------------------------------

    def add(self, one: Import, data: bytes) -> None:
        """A file that has arrived; its rows follow with `keep_rows`. Raises `NotNowError` if somebody has too
        many already.
        """
        with self.writing() as connection:
            query = (
                "SELECT count(*) FROM imports WHERE person = ? AND state IN ('arriving', 'read', 'checked')"
            )
            if fetch(connection, query, (one.person,))[0][0] >= MOST_OPEN:
                raise NotNowError(f"{MOST_OPEN} imports wait to be executed: delete those you don't need.")
            connection.execute(
                f"INSERT INTO imports ({_COLUMNS}) VALUES ({', '.join('?' * 15)})",  # noqa: S608
                _values(one),
            )
        packed = zlib.compress(data, 1)
        for num, start in enumerate(range(0, len(packed), PIECE)):
            with self._still_there(one.id) as connection:
                values = (one.id, num, packed[start : start + PIECE])
                connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", values)

    def data(self, docid: str) -> bytes:
        """The file as it was uploaded."""
        rows = self.rows("SELECT bytes FROM pieces WHERE import = ? ORDER BY num", (docid,))
        return zlib.decompress(b"".join(row[0] for row in rows))

    def keep_rows(
        self,
        docid: str,
        rows: Sequence[tuple[int, Sequence[Any]]],
        told: Mapping[str, Any],
        now: float,
        *,
        again: bool = False,
    ) -> None:
        """The rows of a file as it was read, or read `again`, in place of those there were. Then it is
        `READ`. Raises `NotNowError`, as when it is executed by now.
        """
        states = (State.READ, State.CHECKED) if again else (State.ARRIVING,)
        with self.writing() as connection:
            self._settled(connection, docid, states)
            connection.execute("UPDATE imports SET state = 'arriving' WHERE id = ?", (docid,))
            for table in ("chunks", "outcomes", "decisions"):
                connection.execute(f"DELETE FROM {table} WHERE import = ?", (docid,))  # noqa: S608
        for num, start in enumerate(range(0, len(rows), CHUNK)):
            packed = zlib.compress(orjson.dumps(rows[start : start + CHUNK]), 1)
            with self._still_there(docid) as connection:
                connection.execute("INSERT INTO chunks VALUES (?, ?, ?)", (docid, num, packed))
        with self._still_there(docid) as connection:
            connection.execute(
                "UPDATE imports SET state = 'read', told = ?, rows = ?, done = 0, changed = ? WHERE id = ?",
                (orjson.dumps(told).decode(), len(rows), now, docid),
            )

    def chunk(self, docid: str, num: int) -> list[tuple[int, list[Any]]]:
        """So many rows with their lines; none after the last."""
        found = self.rows("SELECT rows FROM chunks WHERE import = ? AND num = ?", (docid, num))
        return [(line, cells) for line, cells in orjson.loads(zlib.decompress(found[0][0]))] if found else []

    def get(self, docid: str) -> Import | None:
        found = self.rows(f"SELECT {_COLUMNS} FROM imports WHERE id = ?", (docid,))  # noqa: S608
        return _import(found[0]) if found else None

    def listed(self, person: str | None, limit: int) -> list[Import]:
        """The latest first; of one person, or of all."""
        where, values = ("WHERE person = ?", (person,)) if person is not None else ("", ())
        query = f"SELECT {_COLUMNS} FROM imports {where} ORDER BY made DESC, id LIMIT ?"  # noqa: S608
        return [_import(row) for row in self.rows(query, (*values, limit))]

    def same_file(self, sha256: str, doctype: str, person: str, besides: str) -> list[Import]:
        """Earlier imports of the same bytes by the same person."""
        query = (
            f"SELECT {_COLUMNS} FROM imports WHERE person = ? AND sha256 = ? AND type = ? AND id <> ?"  # noqa: S608
            " ORDER BY made DESC LIMIT 5"
        )
        return [_import(row) for row in self.rows(query, (person, sha256, doctype, besides))]

    @contextmanager
    def _still_there(self, docid: str) -> Iterator[apsw.Connection]:
        """A transaction about an import that nobody has removed meanwhile: what was kept of it then would be
        found by nobody, and would stay. Raises `NotNowError`.
        """
        with self.writing() as connection:
            self._settled(connection, docid, tuple(State))
            yield connection

    def tell(self, one: Import, told: Mapping[str, Any], now: float) -> None:
        """Another mapping: what a dry run said counts no more. `one`: as it was known when that was made.
        Raises `NotNowError`.
        """
        docid = one.id
        with self.writing() as connection:
            if self._settled(connection, docid, (State.READ, State.CHECKED)).told != one.told:
                raise NotNowError("The import was read or mapped otherwise meanwhile: look at it again.")
            connection.execute(
                "UPDATE imports SET told = ?, state = 'read', done = 0, changed = ? WHERE id = ?",
                (orjson.dumps(told).decode(), now, docid),
            )
            connection.execute("DELETE FROM outcomes WHERE import = ?", (docid,))

    def forget(self, docid: str) -> None:
        """All of an import that nothing is being done with. Raises `NotNowError`."""
        with self.writing() as connection:
            self._settled(connection, docid, tuple(State))
            self._drop(connection, docid)

    def _drop(self, connection: apsw.Connection, docid: str) -> None:
        for table in ("pieces", "chunks", "outcomes", "decisions"):
            connection.execute(f"DELETE FROM {table} WHERE import = ?", (docid,))  # noqa: S608
        connection.execute("DELETE FROM imports WHERE id = ?", (docid,))

    def _settled(self, connection: apsw.Connection, docid: str, states: Sequence[State]) -> Import:
        found = fetch(connection, f"SELECT {_COLUMNS} FROM imports WHERE id = ?", (docid,))  # noqa: S608
        if not found:
            raise NotNowError("There is no such import any more: upload the file again.")
        one = _import(found[0])
        if one.work is not Work.NONE:
            raise NotNowError("Something is being done with this import: wait until it is finished.")
        if one.state not in states:
            allowed = ", ".join(states)
            raise NotNowError(f"The import is {one.state}; this needs one that is: {allowed}.")
        return one

    # -- what somebody has mapped before -------------------------------------------------------

    def remember(self, person: str, source: str, columns: Mapping[str, str | None], now: float) -> None:
        with self.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)",
                (person, source, orjson.dumps(columns).decode(), now),
            )

    def remembered(self, person: str, source: str) -> dict[str, str | None] | None:
        query = "SELECT columns FROM sources WHERE person = ? AND source = ?"
        found = self.rows(query, (person, source))
        return orjson.loads(found[0][0]) if found else None

    # -- work ----------------------------------------------------------------------------------

    def begin(
        self,
        docid: str,
        work: Work,
        worker: str,
        roles: Sequence[str],
        options: Mapping[str, Any],
        decisions: Mapping[int, str],
        now: float,
    ) -> Import:
        """From now on it is to be done. Raises `NotNowError`."""
        states = {
            Work.CHECK: (State.READ, State.CHECKED),
            Work.WRITE: (State.READ, State.CHECKED, State.FAILED),
            Work.UNDO: (State.DONE, State.FAILED, State.UNDONE),
        }[work]
        with self.writing() as connection:
            one = self._settled(connection, docid, states)
            if work is Work.CHECK or (work is Work.WRITE and one.state is not State.FAILED):
                connection.execute("DELETE FROM outcomes WHERE import = ?", (docid,))
            for line, decision in decisions.items():
                values = (docid, line, decision)
                connection.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", values)
            told = {**one.told, **options}
            connection.execute(
                "UPDATE imports SET work = ?, worker = ?, roles = ?, told = ?, done = 0, reason = '',"
                " changed = ? WHERE id = ?",
                (
                    work.value,
                    worker,
                    orjson.dumps(list(roles)).decode(),
                    orjson.dumps(told).decode(),
                    now,
                    docid,
                ),
            )
        found = self.get(docid)
        assert found is not None
        return found

    def waiting_types(self) -> list[str]:
        """Those of imports with which something is to be done, what was asked for first first."""
        query = "SELECT type FROM imports WHERE work <> '' GROUP BY type ORDER BY min(changed), type"
        return [doctype for (doctype,) in self.rows(query)]

    def waiting(self, doctype: str) -> Import | None:
        """What is to be done first of a type: of each there is one at a time, so that the next finds what the
        first has written. For who holds its lease.
        """
        query = f"SELECT {_COLUMNS} FROM imports WHERE type = ? AND work <> '' ORDER BY changed, id LIMIT 1"  # noqa: S608
        found = self.rows(query, (doctype,))
        return _import(found[0]) if found else None

    def note(
        self, docid: str, lease: Lease, outcomes: Iterable[Outcome], now: float, *, done: int | None = None
    ) -> None:
        """What becomes of rows, and how far the work is. Raises `LeaseLostError`."""
        with self.writing() as connection:
            lease.check(connection)
            connection.executemany(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?)",
                [(docid, one.line, one.kind, orjson.dumps(one.told).decode()) for one in outcomes],
            )
            connection.execute(
                "UPDATE imports SET done = coalesce(?, done), changed = ? WHERE id = ?", (done, now, docid)
            )

    def finish(self, docid: str, lease: Lease, state: State, reason: str, now: float) -> None:
        """The work is over. Raises `LeaseLostError`."""
        with self.writing() as connection:
            lease.check(connection)
            connection.execute(
                "UPDATE imports SET state = ?, work = '', reason = ?, changed = ? WHERE id = ?",
                (state.value, reason, now, docid),
            )

    # -- rows ----------------------------------------------------------------------------------

    def outcomes(
        self, docid: str, *, kinds: Sequence[str] = (), after: int = 0, limit: int = 1_000_000
    ) -> list[Outcome]:
        """In the order of their lines; of these kinds only."""
        some = f"AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        query = (
            f"SELECT line, kind, told FROM outcomes WHERE import = ? AND line > ? {some}"  # noqa: S608
            " ORDER BY line LIMIT ?"
        )
        return [
            Outcome(line, kind, orjson.loads(told))
            for line, kind, told in self.rows(query, (docid, after, *kinds, limit))
        ]

    def outcomes_between(self, docid: str, first: int, last: int) -> dict[int, Outcome]:
        query = "SELECT line, kind, told FROM outcomes WHERE import = ? AND line BETWEEN ? AND ?"
        return {
            line: Outcome(line, kind, orjson.loads(told))
            for line, kind, told in self.rows(query, (docid, first, last))
        }

    def counts(self, docid: str) -> dict[str, int]:
        """Kind -> rows."""
        query = "SELECT kind, count(*) FROM outcomes WHERE import = ? GROUP BY kind"
        return dict(self.rows(query, (docid,)))

    def decisions(self, docid: str) -> dict[int, str]:
        """Line -> what a person has decided about a duplicate."""
        return dict(self.rows("SELECT line, decision FROM decisions WHERE import = ?", (docid,)))

    def clean(self, now: float) -> None:
        """Forgets what is older than may be kept, and what never arrived."""
        old, lost = now - KEPT_DAYS * 86_400, now - 3_600
        query = (
            "SELECT id FROM imports WHERE work = '' AND (changed < ? OR (state = 'arriving' AND changed < ?))"
        )
        for (docid,) in self.rows(query, (old, lost)):
            with self.writing() as connection:
                if fetch(connection, f"{query} AND id = ?", (old, lost, docid)):  # or it was begun since
                    self._drop(connection, docid)


def _values(one: Import) -> tuple[Any, ...]:
    return (
        *(one.id, one.person, one.type, one.file, one.sha256, one.made, one.changed),
        *(one.state.value, one.work.value, one.worker, orjson.dumps(list(one.roles)).decode()),
        *(orjson.dumps(one.told).decode(), one.rows, one.done, one.reason),
    )


def _import(row: Sequence[Any]) -> Import:
    docid, person, doctype, file, sha256, made, changed, state, work, worker, roles, told, *rest = row
    return Import(
        *(docid, person, doctype, file, sha256, made, changed, State(state), Work(work), worker),
        *(tuple(orjson.loads(roles)), orjson.loads(told), *rest),
    )
