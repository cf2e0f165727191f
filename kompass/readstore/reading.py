"""Asking the read store for somebody: reports about what he may read.

Row-level security chooses the rows, for the person that this session says it asks for (`views.FUNCTIONS`:
only the product's own login may say so). The store is behind the documents by a moment. What somebody may
read is not taken from it blindly: if it still has a right of his that the database has taken away, he is told
to ask again.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kompass.access import Action, Matrix, Role
from kompass.access.audiences import Channel
from kompass.domain.money import json_number
from kompass.readstore.embedded import available
from kompass.readstore.errors import ReadStoreError
from kompass.readstore.names import LIVE, PEOPLE
from kompass.readstore.place import Server, directory_of, embedded_dsn
from kompass.readstore.reports import REPORTS, Report
from kompass.settings import Settings

if TYPE_CHECKING:
    import psycopg

MOST_ROWS = 1000
TIMEOUT_SECONDS = 5
CONNECTIONS = 2


class ReadStoreDownError(Exception):
    """Nothing can be answered now. The text says why, for people."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a report."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    """JSON values."""

    more: bool
    position: int
    """Change of the database up to which it knows the documents."""


def allowed(report: Report, roles: frozenset[Role], matrix: Matrix) -> bool:
    """Whether a report says anything to somebody with these roles."""
    return all(any(matrix.rules(doctype, role, Action.READ) for role in roles) for doctype in report.needs)


class ReadStore:
    """What a server asks. Each question has a transaction of its own, in one of a few threads."""

    def __init__(self, settings: Settings) -> None:
        self._dsn = settings.readstore_dsn.get_secret_value() if settings.readstore_dsn else None
        self._directory = directory_of(settings)
        self._absent = _absence(settings)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="reports")
        self._idle: list[psycopg.Connection[Any]] = []

    async def report(
        self, name: str, person: str, held: Collection[Channel], *, limit: int, offset: int
    ) -> Page:
        """Rows of a report as somebody sees it who holds these channels now.

        Raises `KeyError` for an unknown name, `ReadStoreDownError` if it can't be asked, or knows of rights
        that he has no more.
        """
        report = REPORTS[name]
        if self._absent is not None:
            raise ReadStoreDownError(self._absent)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._report, report, person, frozenset(held), limit, offset
        )

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    # -- in a thread ---------------------------------------------------------------------------

    def _report(self, report: Report, person: str, held: frozenset[Channel], limit: int, offset: int) -> Page:
        import psycopg

        try:
            connection = self._connection()
            try:
                page = _ask(connection, report, person, held, limit, offset)
            except BaseException:
                connection.close()
                raise
        except psycopg.errors.QueryCanceled:
            raise ReadStoreDownError("The report takes too long now: ask again in a while.") from None
        except (psycopg.Error, ReadStoreError, OSError) as error:
            raise ReadStoreDownError(
                "The read store can't be asked now; it is started, or made, or its server is down."
            ) from error
        self._idle.append(connection)
        return page

    def _connection(self) -> psycopg.Connection[Any]:
        with suppress(IndexError):
            while True:
                idle = self._idle.pop()
                if not idle.closed:
                    return idle
        dsn = self._dsn or embedded_dsn(self._directory)
        if dsn is None:
            raise ReadStoreError("no PostgreSQL runs here")
        return Server(dsn).connect()

    def _close(self) -> None:
        self._threads.shutdown()
        for connection in self._idle:
            with suppress(Exception):
                connection.close()


def _absence(settings: Settings) -> str | None:
    """Why this server has no read store; None if it has one."""
    if importlib.util.find_spec("psycopg") is None:
        return "This server has no read store: pip install 'kompass[readstore]'."
    if settings.readstore_dsn is not None:
        return None
    if not settings.readstore:
        return "This server has no read store: the setting readstore is off."
    why = settings.needs_service("readstore_dsn") or available()
    return None if why is None else f"This server has no read store: {why}."


def _ask(
    connection: psycopg.Connection[Any],
    report: Report,
    person: str,
    held: frozenset[Channel],
    limit: int,
    offset: int,
) -> Page:
    with connection.transaction():
        # One snapshot for rights and rows.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute(f"SET LOCAL statement_timeout = '{TIMEOUT_SECONDS}s'")
        state = connection.execute(f"SELECT position FROM {LIVE.data}.state").fetchone()
        if state is None or state[0] is None:
            raise ReadStoreDownError("The read store is being made: ask again in a while.")
        stored = connection.execute(
            f"SELECT channel FROM {LIVE.data}.holdings WHERE person = %s", (person,)
        ).fetchall()
        if not {row[0] for row in stored} <= held:
            raise ReadStoreDownError("Your rights have changed: ask again in a moment.")
        connection.execute(f"SET LOCAL ROLE {PEOPLE}")
        connection.execute("SELECT set_config('kompass.person', %s, true)", (person,))
        cursor = connection.execute(
            f"SELECT * FROM {LIVE.views}.{report.view} ORDER BY {report.order} LIMIT %s OFFSET %s",
            (limit + 1, offset),
        )
        assert cursor.description is not None
        columns = tuple(column.name for column in cursor.description)
        rows = [tuple(_json(value) for value in row) for row in cursor]
    return Page(columns, rows[:limit], len(rows) > limit, state[0])


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return json_number(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value
