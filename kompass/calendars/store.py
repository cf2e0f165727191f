"""The file with the subscriptions. Of the secret in an address only the hash is stored."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from kompass.kept import CALENDARS
from kompass.shared_files import SharedFiles
from kompass.sqlfile import Late, SqlFile, fetch

MOST = 5
"""Subscriptions of a person."""
AN_HOUR = 60
"""How often one may be fetched in an hour."""
_HOUR = 3600
_BYTES = 32
_TABLES = """
CREATE TABLE subscriptions (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    kinds TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    made REAL NOT NULL,
    last_used REAL,
    hour INTEGER NOT NULL DEFAULT 0,
    times INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX subscriptions_by_person ON subscriptions (person);
"""
_COLUMNS = "id, person, name, kinds, made, last_used"


class CalendarStoreError(Exception):
    """The file can't be used. The text is for people."""


class TooManyError(Exception):
    """He has as many subscriptions as he may have."""


class TooOftenError(Exception):
    """It was fetched too often."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"a calendar may be fetched {AN_HOUR} times an hour")
        self.seconds = seconds
        """Until it may be fetched again."""


class Kind(StrEnum):
    """What a calendar shows."""

    MEETINGS = "meetings"
    TOURS = "tours"
    TASKS = "tasks"
    MILESTONES = "milestones"


@dataclass(frozen=True, slots=True)
class Subscription:
    id: str
    person: str
    name: str
    kinds: Sequence[Kind]
    made: float
    """Seconds since 1970, here and below."""
    last_used: float | None


class CalendarStore:
    """Of one data directory, or of a cluster. Blocking, short."""

    def __init__(
        self,
        directory: Path,
        *,
        shared: SharedFiles | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`shared`: those of the cluster. The file is made when it is first needed."""
        self.clock = clock
        path = directory / CALENDARS
        self._late = Late(path, partial(SqlFile, path, _TABLES, failure=CalendarStoreError, shared=shared))

    @property
    def _file(self) -> SqlFile:
        """Raises `CalendarStoreError`."""
        return self._late.opened()

    def close(self) -> None:
        self._late.close()

    def made(self, person: str, name: str, kinds: Iterable[Kind]) -> tuple[Subscription, str]:
        """A new one, and the token in its address, which nobody can be told again. Raises `TooManyError`."""
        token, now = secrets.token_hex(_BYTES), self.clock()
        one = Subscription(secrets.token_hex(8), person, name, sorted(set(kinds)), now, None)
        with self._file.writing() as connection:
            ((count,),) = fetch(connection, "SELECT count(*) FROM subscriptions WHERE person = ?", (person,))
            if count >= MOST:
                raise TooManyError
            connection.execute(
                "INSERT INTO subscriptions (id, person, name, kinds, hash, made) VALUES (?, ?, ?, ?, ?, ?)",
                (one.id, person, name, " ".join(one.kinds), _hash(token), now),
            )
        return one, token

    def of(self, person: str) -> list[Subscription]:
        """His, in the order in which they were made."""
        query = f"SELECT {_COLUMNS} FROM subscriptions WHERE person = ? ORDER BY made, id"  # noqa: S608
        return [_read(row) for row in self._file.rows(query, (person,))]

    def revoke(self, person: str, subscription: str) -> bool:
        """Whether he had it. Its address is worth nothing any more."""
        with self._file.writing() as connection:
            connection.execute(
                "DELETE FROM subscriptions WHERE person = ? AND id = ?", (person, subscription)
            )
            return bool(connection.changes())

    def fetched(self, token: str) -> Subscription | None:
        """The one with that token, which is counted as fetched now; None if there is none. Raises
        `TooOftenError`.
        """
        query = f"SELECT {_COLUMNS}, hour, times FROM subscriptions WHERE hash = ?"  # noqa: S608
        now = self.clock()
        hour = int(now // _HOUR)
        if not self._file.rows(query, (_hash(token),)):
            return None  # whoever guesses makes nobody write
        with self._file.writing() as connection:
            found = fetch(connection, query, (_hash(token),))
            if not found:
                return None
            *columns, counted, times = found[0]
            times = times + 1 if counted == hour else 1
            if times > AN_HOUR:
                raise TooOftenError(int((hour + 1) * _HOUR - now) + 1)
            connection.execute(
                "UPDATE subscriptions SET last_used = ?, hour = ?, times = ? WHERE id = ?",
                (now, hour, times, columns[0]),
            )
        return _read(columns)

    def people(self) -> list[str]:
        """Whoever has one."""
        return [row[0] for row in self._file.rows("SELECT DISTINCT person FROM subscriptions")]

    def forget(self, person: str) -> None:
        """All of his."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM subscriptions WHERE person = ?", (person,))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _read(row: Sequence[object]) -> Subscription:
    docid, person, name, kinds, made, last_used = row
    shown = tuple(Kind(one) for one in str(kinds).split())
    assert isinstance(made, float)
    assert last_used is None or isinstance(last_used, float)
    return Subscription(str(docid), str(person), str(name), shown, made, last_used)
