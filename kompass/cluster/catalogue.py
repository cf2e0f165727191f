"""Which databases a cluster has, the files that their copies begin with, and small texts in common."""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import psycopg

from kompass.cluster.connections import Connections
from kompass.cluster.journal import PostgresJournal
from kompass.cluster.listening import Listener
from kompass.cluster.texts import PostgresTexts
from replication.protocol import errors
from replication.store.sqlite import Catalogue, Entered, Journal

PIECE = 4 * 1024 * 1024
"""Bytes of a file that are one piece, before they are compressed."""
BASES_KEPT = 2
_FORKED = "forked"
"""The text that names databases whose journals had lost entries, and their lineages then."""
LONG_SECONDS = 3600.0
"""How long PostgreSQL may take to write a table anew, or to drop millions of entries."""


class Base(NamedTuple):
    """A saved file."""

    num: int
    """Of the last entry in it."""
    size: int
    """Bytes, before they are compressed."""


class BaseDamagedError(Exception):
    """A saved file doesn't have the bytes that were saved."""


class PostgresCatalogue(Catalogue):
    """The databases of a cluster."""

    FILE: ClassVar[str] = "file:"
    """With what the names of other files begin. No database's name has a colon."""

    def __init__(self, connections: Connections, listener: Listener) -> None:
        self._connections = connections
        self._listener = listener
        self.texts = PostgresTexts(connections)
        """What a data directory has in small files, under the same names."""

    def identity(self, made: bytes) -> bytes:
        with _available():
            return self.texts["server.json"].once(made)

    def settings(self) -> bytes:
        with _available():
            return self.texts["settings.json"].read() or b"{}"

    def change_settings(self, change: Callable[[bytes], bytes]) -> bytes:
        kept = self.texts["settings.json"]
        with _available(), kept.alone():
            changed = change(kept.read() or b"{}")
            kept.replace(changed)
        return changed

    def databases(self) -> dict[str, Entered]:
        return {name: one for name, one in self._known().items() if not name.startswith(self.FILE)}

    def files(self) -> dict[str, Entered]:
        """What isn't a database of documents, by names that begin with `FILE`."""
        return {name: one for name, one in self._known().items() if name.startswith(self.FILE)}

    def _known(self) -> dict[str, Entered]:
        with self._connections.use() as connection:
            rows = connection.execute("SELECT DISTINCT name, lineage, kept, head FROM known").fetchall()
        return {row[0]: Entered(*row) for row in rows}

    def heads(self) -> dict[str, int]:
        with self._connections.use() as connection:
            rows = connection.execute("SELECT name, head FROM databases").fetchall()
        return {name: head for name, head in rows if not name.startswith(self.FILE)}

    def journal(self, name: str) -> Journal:
        with self._connections.use() as connection:
            number = _number(connection, name)
        return PostgresJournal(self._connections, self._listener, number)

    def add(self, name: str, file: Path, num: int = 0) -> Entered:
        """`num`: the entry up to which the file has them, if it was a copy before."""
        with self._connections.use() as connection, connection.transaction():
            made = Entered(name, secrets.token_hex(8), num, num)
            row = connection.execute(
                "INSERT INTO databases (name, lineage, head) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING RETURNING id",
                (name, made.lineage, num),
            ).fetchone()
            if row is None:
                raise errors.database_exists()
            _store(connection, row[0], num, file)
            _tell(connection)
        return made

    def remove(self, name: str) -> None:
        with self._connections.use(patience=LONG_SECONDS) as connection, connection.transaction():
            connection.execute("DELETE FROM databases WHERE id = %s", (_number(connection, name),))
            _tell(connection)

    def fetch(self, name: str, path: Path) -> Entered:
        """Raises `BaseDamagedError`, too."""
        draft = path.with_name(f"{path.name}.new")
        with self._connections.use() as connection:
            row = connection.execute(
                "SELECT number, base, sha256, lineage, kept, head FROM known"
                " WHERE name = %s ORDER BY base DESC LIMIT 1",
                (name,),
            ).fetchone()
            if row is None:
                raise errors.database_missing()
            number, base, wanted, *entered = row
            digest = hashlib.sha256()
            with draft.open("wb") as file:
                for piece in _pieces(connection, number, base):
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        if digest.digest() != wanted:
            draft.unlink()
            raise BaseDamagedError(f"the saved file of {name} at {base} is damaged")
        draft.replace(path)
        return Entered(name, *entered)

    def tell_forked(self, name: str, lineage: str) -> None:
        with _available():
            self.texts[_FORKED].add(f"{name} {lineage}\n".encode("ascii"))

    def forked(self) -> list[tuple[str, str]]:
        """What `tell_forked` was ever told."""
        with _available():
            text = self.texts[_FORKED].read() or b""
        return [(name, lineage) for name, lineage in map(str.split, text.decode("ascii").splitlines())]

    def begin_anew(self, name: str, lineage: str, mark: str, made: Callable[[], int], file: Path) -> None:
        """Lets the journal of a lineage go on as another one, whose last entry has this mark, with a file
        that `made` makes while nobody appends; it returns the number of the last entry in it.
        """
        with self._connections.use(patience=LONG_SECONDS) as connection, connection.transaction():
            row = connection.execute(
                "SELECT id, head FROM databases WHERE name = %s AND lineage = %s FOR UPDATE", (name, lineage)
            ).fetchone()
            if row is None:
                return  # somebody else was first
            number, head = row
            num = made()
            assert num == head, "somebody has appended without the turn"
            connection.execute(
                "UPDATE databases SET lineage = %s, mark = %s WHERE id = %s",
                (f"{lineage.partition('.')[0]}.{secrets.token_hex(4)}", mark, number),
            )
            connection.execute("DELETE FROM entries WHERE database = %s", (number,))
            connection.execute("DELETE FROM bases WHERE database = %s", (number,))
            _store(connection, number, num, file)
            connection.execute("SELECT pg_notify(%s, %s)", (Listener.CHANNEL, str(number)))
            _tell(connection)

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        return self._listener.listen(Listener.DATABASES, heard)

    def others(self) -> set[str]:
        """What other processes of the cluster are called, as far as they are connected."""
        with self._connections.use() as connection:
            rows = connection.execute(
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'kompass %%' AND application_name <> %s",
                (connection.info.get_parameters().get("application_name", ""),),
            ).fetchall()
        return {name for (name,) in rows}

    def latest_bases(self) -> dict[str, Base]:
        """Each database's latest file."""
        with self._connections.use() as connection:
            rows = connection.execute(
                "SELECT DISTINCT ON (name) name, num, size FROM bases JOIN databases ON id = database"
                " ORDER BY name, num DESC"
            ).fetchall()
        return {name: Base(num, size) for name, num, size in rows}

    def rewrite(self) -> None:
        """Gives the bytes of dropped entries and files back to the disk."""
        with self._connections.use(patience=LONG_SECONDS) as connection:
            for table in ("entries", "base_pieces"):
                connection.execute(f"VACUUM (FULL) kompass_cluster.{table}".encode("ascii"))

    def add_base(self, name: str, num: int, file: Path, *, keep: int = BASES_KEPT) -> None:
        """Saves a file that has the entries up to `num`, and drops what nobody needs then: bases but the
        latest ones, and the entries before those. With `keep` 1 nothing from before `num` is left. Nobody
        who writes waits for it.
        """
        with self._connections.use(patience=LONG_SECONDS) as connection, connection.transaction():
            number = _number(connection, name)
            connection.execute("DELETE FROM bases WHERE database = %s AND num = %s", (number, num))
            _store(connection, number, num, file)
            connection.execute(
                "DELETE FROM bases WHERE database = %s AND num NOT IN"
                " (SELECT num FROM bases WHERE database = %s ORDER BY num DESC LIMIT %s)",
                (number, number, keep),
            )
            connection.execute(
                "DELETE FROM entries WHERE database = %s AND num <="
                " (SELECT min(num) FROM bases WHERE database = %s)",
                (number, number),
            )


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.unavailable("What the cluster has in common can't be reached. Try again.") from error


def _number(connection: psycopg.Connection[Any], name: str) -> int:
    row = connection.execute("SELECT id FROM databases WHERE name = %s", (name,)).fetchone()
    if row is None:
        raise errors.database_missing()
    return int(row[0])


def _tell(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT pg_notify(%s, %s)", (Listener.CHANNEL, Listener.DATABASES))


def _store(connection: psycopg.Connection[Any], database: int, num: int, file: Path) -> None:
    connection.execute(
        "INSERT INTO bases (database, num, size, sha256) VALUES (%s, %s, 0, '')", (database, num)
    )
    digest = hashlib.sha256()
    size = place = 0
    with file.open("rb") as source:
        while piece := source.read(PIECE):
            digest.update(piece)
            size += len(piece)
            connection.execute(
                "INSERT INTO base_pieces VALUES (%s, %s, %s, %s)",
                (database, num, place, zlib.compress(piece, 1)),
                binary=True,
            )
            place += 1
    connection.execute(
        "UPDATE bases SET size = %s, sha256 = %s WHERE database = %s AND num = %s",
        (size, digest.digest(), database, num),
    )


def _pieces(connection: psycopg.Connection[Any], database: int, num: int) -> Iterator[bytes]:
    place = 0
    while True:
        row = connection.execute(
            "SELECT data FROM base_pieces WHERE database = %s AND num = %s AND place = %s",
            (database, num, place),
            binary=True,
        ).fetchone()
        if row is None:
            return
        try:
            yield zlib.decompress(row[0])
        except zlib.error as error:
            raise BaseDamagedError(f"piece {place} of a saved file is damaged") from error
        place += 1
