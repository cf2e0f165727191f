"""A database file as a copy of what a journal says: what a commit records, how an entry is played.

Tables of indexes belong to each copy: it makes its own from the documents. All others are recorded, those
of extensions too, if they have a primary key.

What tables there are isn't recorded. Their version is a number; an entry says when another one begins, and
each copy changes its tables there. A program that doesn't know that version plays nothing from there on.
"""

from __future__ import annotations

import io
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from replication.store.sqlite import forgetting, indexes
from replication.store.sqlite.journal import (
    CopyDivergedError,
    Entry,
    Journal,
    JournalGapError,
    TablesAheadError,
    Turn,
    check_same,
)

OWN_TABLES = frozenset({"copy", "indexes", "index_entries", "row_partials"})
"""What isn't the same in every copy."""
_TABLE = """
CREATE TABLE IF NOT EXISTS copy (
    id INTEGER PRIMARY KEY CHECK (id = 1), position INTEGER NOT NULL, tables INTEGER NOT NULL,
    mark TEXT NOT NULL DEFAULT '');
"""
_ADDED = {"tables": "INTEGER NOT NULL DEFAULT 1", "mark": "TEXT NOT NULL DEFAULT ''"}
"""Columns that the first copies hadn't."""
_LEVEL = 1
"""Of zlib: entries are written once and read by a few, over a fast network."""
apsw.session_config(apsw.SQLITE_SESSION_CONFIG_STRMSIZE, 16_384)
"""Bytes of an entry that are written or played at once: see `_in_pieces`."""


class Told(NamedTuple):
    """What the players of an entry do beside changing rows, in the order of the fields."""

    moved: Sequence[Sequence[int]] = ()
    shown: Sequence[Sequence[Any]] = ()
    designs: bool = False
    """These three: see `Transaction`."""
    unindexed: Sequence[Sequence[Any]] = ()
    """Documents whose entries go from all indexes, or, with a number, from those that haven't read it."""
    overwriting: bool = False
    """What is deleted is overwritten in the file."""
    scrubbing: bool = False
    """The file is written anew, so that nothing deleted is left in it."""
    notes: str | None = None
    """What extensions said, for those of other copies: see `Extension.shared`."""
    tables: int = 0
    """The version that the tables have from this entry on, if it is another one."""
    statements: str | None = None
    """SQL that makes other tables of those there, for files that aren't databases: any program can run it."""


class Tables(NamedTuple):
    """What a program knows of the tables of copies."""

    version: int = 1
    make: Callable[[apsw.Connection], None] = lambda connection: None
    """Makes those of the version before what they are in this one. In a transaction; see
    `Extension.make_tables`."""


FIRST_TABLES = Tables()
"""Those of files that never had others."""


def prepare(connection: apsw.Connection, tables: Tables = FIRST_TABLES) -> None:
    """Makes a file, with tables of this version, a copy of an empty journal unless it is one already."""
    with connection:
        columns = connection.execute("SELECT name FROM pragma_table_info('copy')").fetchall()
        if not columns:
            tables.make(connection)
            _begin(connection, tables.version)
            return
        for name, definition in _ADDED.items():
            if (name,) not in columns:
                connection.execute(f"ALTER TABLE copy ADD COLUMN {name} {definition}")


def begin(path: Path, version: int = FIRST_TABLES.version) -> None:
    """Makes a database's file, which nobody has open and whose tables have this version, what the copies of a
    new journal begin with."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        _begin(connection, version)
    finally:
        connection.close()


def _begin(connection: apsw.Connection, version: int) -> None:
    with connection:
        connection.execute(_TABLE)
        connection.execute("INSERT OR REPLACE INTO copy (id, position, tables) VALUES (1, 0, ?)", (version,))


def end(path: Path) -> None:
    """Makes a copy, which nobody has open, a database of its own again."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.execute("DROP TABLE IF EXISTS copy")
    finally:
        connection.close()


def position(connection: apsw.Connection) -> int:
    """The number of the last entry that the file has."""
    return int(connection.execute("SELECT position FROM copy").get)


def version(connection: apsw.Connection) -> int:
    """That of the tables."""
    return int(connection.execute("SELECT tables FROM copy").get)


def position_of(path: Path) -> int:
    """The same of a file that nobody has open."""
    return place_of(path).num


class Place(NamedTuple):
    """The last entry that a file has."""

    num: int
    mark: str


def place_of(path: Path) -> Place:
    """Of a file that nobody has open."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return place(connection)
    finally:
        connection.close()


def place(connection: apsw.Connection) -> Place:
    row: Any = connection.execute("SELECT position, mark FROM copy").fetchone()
    return Place(*row)


def set_mark(connection: apsw.Connection, mark: str) -> None:
    """The last entry is called so from now on: copies that know it by another name can't follow."""
    connection.execute("UPDATE copy SET mark = ?", (mark,))


def _next(connection: apsw.Connection, changes: bytes, told: Told) -> Entry:
    """The entry that comes after what the file has."""
    last = place(connection)
    return Entry(last.num + 1, changes, orjson.dumps(told._asdict()), secrets.token_hex(8), last.mark)


def _set_position(connection: apsw.Connection, num: int, mark: str) -> None:
    connection.execute("UPDATE copy SET position = ?, mark = ?", (num, mark))


class Copy:
    """The part of a writer that keeps its file one of several. Called in the writing thread."""

    def __init__(
        self,
        journal: Journal,
        shared: Callable[[Sequence[object]], str | None] = lambda notes: None,
        lost: Callable[[Exception], None] = lambda error: None,
        tables: Tables = FIRST_TABLES,
    ) -> None:
        """`shared`: what other copies must know of notes. `lost` is called when the file can't follow."""
        self.journal = journal
        self.tables = tables
        self.shared = shared
        self.lost = lost


class Recording:
    """What the next transaction of a connection changes."""

    def __init__(self, connection: apsw.Connection, copy: Copy, turn: Turn) -> None:
        self._connection = connection
        self._copy = copy
        self._turn = turn
        self.appended = False
        """Whether the journal has it."""
        self._session = apsw.Session(connection, "main")
        self._session.table_filter(lambda table: table not in OWN_TABLES)
        self._session.attach()

    def append(self, told: Told, notes: Sequence[object]) -> int:
        """Appends it to the journal, before it is committed. The number of the entry; 0 if there was nothing
        to say.
        """
        changes = self._packed()
        told = told._replace(notes=self._copy.shared(notes))
        if not changes and not any(told):
            return 0
        entry = _next(self._connection, changes, told)
        self._turn.append(entry)
        self.appended = True
        _set_position(self._connection, entry.num, entry.mark)
        return entry.num

    def _packed(self) -> bytes:
        """What was changed; in pieces for the reason that `_in_pieces` has."""
        packing = zlib.compressobj(_LEVEL)
        pieces: list[bytes] = []

        def write(piece: memoryview) -> None:
            pieces.append(packing.compress(piece))

        self._session.changeset_stream(write)
        return b"".join((*pieces, packing.flush())) if pieces else b""

    def close(self) -> None:
        self._session.close()


def play(
    connection: apsw.Connection,
    since: Callable[[int, str], Iterable[Entry]],
    tables: Tables = FIRST_TABLES,
) -> Iterator[Told]:
    """Brings a copy up to date, each entry in a transaction of its own that is durable when it is yielded.

    `since` gives what comes after an entry, or the first of it. Raises `CopyDivergedError`,
    `JournalForkedError`, `JournalGapError`, `TablesAheadError`.
    """
    at, mark = place(connection)
    reached = -1
    while reached < at:
        reached = at
        for entry in since(at, mark):
            if entry.num != at + 1:
                raise JournalGapError(f"entry {entry.num} comes after {at}")
            check_same(at, mark, at, entry.after)
            told = _told(entry)
            played = _play(connection, entry, told, tables)
            at, mark = entry.num, entry.mark
            if played:
                yield told


def _told(entry: Entry) -> Told:
    try:
        return Told(**orjson.loads(entry.told))
    except TypeError as error:
        raise TablesAheadError(f"entry {entry.num} says what this program doesn't know") from error


def _play(connection: apsw.Connection, entry: Entry, told: Told, tables: Tables) -> bool:
    """False if another connection to this file has played it meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if position(connection) >= entry.num:
            connection.execute("ROLLBACK")
            return False
        if told.tables:
            _change_tables(connection, entry.num, told.tables, tables)
        if told.statements:
            connection.execute(told.statements)
        with _as_told(connection, told):
            if entry.changes:
                _apply(connection, entry)
            for docid, seq in told.unindexed:
                indexes.drop_entries(connection, docid, seq)
        _set_position(connection, entry.num, entry.mark)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    if told.scrubbing:
        # Without room for another file the bytes go as their pages are used again.
        with suppress(apsw.Error):
            forgetting.scrub(connection)
    return True


def _change_tables(connection: apsw.Connection, num: int, wanted: int, tables: Tables) -> None:
    if wanted > tables.version:
        raise TablesAheadError(
            f"from entry {num} on tables have version {wanted}, this program knows {tables.version}"
        )
    if wanted < tables.version:
        raise JournalGapError(f"entry {num} leads to tables of version {wanted}, which is past")
    tables.make(connection)
    connection.execute("UPDATE copy SET tables = ?", (wanted,))


def change_tables(connection: apsw.Connection, journal: Journal, tables: Tables) -> bool:
    """Appends the entry from which on the tables of all copies have this version, and changes those here.
    False if they have it.

    Raises as `play` and `Journal.turn` do.
    """
    with journal.turn() as turn:
        for _ in play(connection, turn.since, tables):
            pass
        if version(connection) >= tables.version:
            return False
        entry = _next(connection, b"", Told(tables=tables.version))
        with connection:
            _change_tables(connection, entry.num, tables.version, tables)
            turn.append(entry)
            _set_position(connection, entry.num, entry.mark)
    return True


def change_by(connection: apsw.Connection, turn: Turn, statements: str) -> int:
    """Runs these here, and appends the entry that has them run in all other copies; this one is up to date.
    The number of the entry.
    """
    entry = _next(connection, b"", Told(statements=statements))
    with connection:
        connection.execute(statements)
        turn.append(entry)
        _set_position(connection, entry.num, entry.mark)
    return entry.num


@contextmanager
def _as_told(connection: apsw.Connection, told: Told) -> Iterator[None]:
    if told.overwriting:
        with forgetting.overwriting(connection):
            yield
    else:
        yield


def _in_pieces(changes: bytes) -> Callable[[int], bytes]:
    """Between two pieces other threads get their turn. apsw keeps the interpreter to itself while it works at
    what it has: for whole seconds, if that was all of a large entry.
    """
    stream = io.BytesIO(changes)

    def read(most: int) -> bytes:
        # A function of Python's own: here the interpreter changes over to whoever waits.
        return stream.read(most)

    return read


def _apply(connection: apsw.Connection, entry: Entry) -> None:
    met: list[str] = []

    def conflict(_reason: int, change: Any) -> int:
        met.append(str(change.name))
        return int(apsw.SQLITE_CHANGESET_ABORT)

    try:
        apsw.Changeset.apply(_in_pieces(zlib.decompress(entry.changes)), connection, conflict=conflict)
    except (apsw.AbortError, apsw.SchemaChangeError, zlib.error) as error:
        where = f"table {met[0]}" if met else str(error)
        raise CopyDivergedError(f"entry {entry.num} doesn't fit this copy: {where}") from error
