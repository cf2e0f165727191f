"""The sink of the change feed that writes the read store.

A batch is one transaction: its documents are copied into a temporary table, what is older than what is stored
is taken out, the rest goes into the tables of their types, the dimensions follow, and the checkpoint is
written. Everything blocks, so it runs in a thread of its own, one call at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from kompass.feed.sink import Batch, Checkpoint, PersonAccess, Sink, SinkUnavailableError
from kompass.readstore import schema, star, tables
from kompass.readstore.columns import columns
from kompass.readstore.errors import ReadStoreError
from kompass.readstore.names import LIVE, NEXT, OLD, OWNER, Generation, quoted
from kompass.readstore.place import Place
from kompass.readstore.place import from_settings as place_from_settings
from kompass.readstore.rows import Row, row, storable_id
from kompass.settings import Settings

if TYPE_CHECKING:
    import psycopg

NAME = "readstore"

LOCK_SECONDS = 5
"""How long a switch waits for whoever reads; then it is tried again."""

_TOO_MUCH = "54"
"""Class of errors that say that a statement, and so a document, is beyond what PostgreSQL can do."""

_STORAGE = ("md.c", "fd.c", "bufmgr.c", "buffile.c", "smgr.c", "copydir.c", "slru.c")
"""Of PostgreSQL, what reads and writes files. Where a quota or a limit stops it, and not a full disk, it says
so as an error within itself.
"""

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the settings say of it."""

    holidays: str = "BY"
    """The Land whose public holidays count."""

    refresh_seconds: float = 300.0
    """How often figures over everything are worked out anew, if something changed."""


class PostgresSink:
    """See the module. `place` says where the server is; it may be one that is started with the sink."""

    name = NAME

    def __init__(self, place: Place, options: Options | None = None, generation: Generation = LIVE) -> None:
        self._place = place
        self._options = options or Options()
        self._generation = generation
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=NAME)
        self._refreshing: asyncio.Task[None] | None = None
        self._changed = True

    # -- the interface -------------------------------------------------------------------------

    async def open(self) -> None:
        await self._run(self._open)
        if self._refreshing is None and self._generation == LIVE:
            self._refreshing = asyncio.create_task(self._refresh_now_and_then())

    async def checkpoint(self) -> Checkpoint | None:
        return await self._run(self._checkpoint)

    async def apply(self, batch: Batch) -> None:
        await self._run(self._apply, batch)

    async def forget(self) -> None:
        """Writes the tables again without the rows that were replaced or removed (`VACUUM FULL`).

        Whoever reads a table meanwhile waits; who reads one for long makes it fail, and it is tried again.
        The write-ahead log is PostgreSQL's own: it goes as it is recycled.
        """
        await self._run(self._vacuum)

    async def rebuilding(self) -> Sink:
        other = PostgresSink(self._place.shared(), self._options, NEXT)
        await other.open()
        return other

    async def switch(self) -> None:
        assert self._generation == NEXT, "only a generation in the making is switched to"
        await self._run(self._switch)

    async def discard(self) -> None:
        assert self._generation == NEXT, "only a generation in the making is discarded"
        await self._run(self._discard)

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
            self._refreshing = None
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)

    async def refresh(self) -> None:
        """Works out the figures over everything anew. Else that happens by itself, now and then."""
        await self._run(self._refresh)

    # -- in the thread -------------------------------------------------------------------------

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        import psycopg

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # Not there, shutting down, disk full, out of memory, out of connections, locks, deadlocks.
            if (error.sqlstate or "").startswith(_TOO_MUCH):
                raise
            raise SinkUnavailableError(f"PostgreSQL can't now: {_first_line(error)}") from error
        except psycopg.InternalError as error:
            if error.diag.source_file not in _STORAGE:
                raise
            raise SinkUnavailableError(f"PostgreSQL can't now: {_first_line(error)}") from error
        except ReadStoreError as error:
            raise SinkUnavailableError(str(error)) from error

    def _open(self) -> None:
        if self._connection is not None and not self._connection.closed:
            return
        connection = self._place.connect()
        try:
            schema.prepare(connection, self._generation, self._options.holidays)
            with connection.transaction():
                connection.execute(_INCOMING)
            with suppress(Exception):
                schema.drop(connection, OLD)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _opened(self) -> psycopg.Connection[Any]:
        """The connection; a new one if it was lost."""
        if self._connection is None or self._connection.closed:
            self._close_connection()
            self._open()
        assert self._connection is not None
        return self._connection

    def _checkpoint(self) -> Checkpoint | None:
        connection = self._opened()
        with connection.transaction():
            found = connection.execute(
                f"SELECT epoch, since, position FROM {self._generation.data}.state"
            ).fetchone()
        return Checkpoint(*found) if found and found[0] is not None else None

    def _apply(self, batch: Batch) -> None:
        rows = [row(change) for change in batch.changes if change.doc is not None]
        gone = [
            (change.id, change.position)
            for change in batch.changes
            if change.doc is None and storable_id(change.id)
        ]
        connection, data = self._opened(), self._generation.data
        with connection.transaction():
            if rows or gone:
                self._store(connection, rows, gone)
            for person in batch.people:
                self._set_person(connection, person)
            at = batch.checkpoint
            connection.execute(
                f"UPDATE {data}.state SET epoch = %s, since = %s, position = %s",
                (at.epoch, at.since, at.position),
            )
        self._changed = self._changed or bool(rows or gone)

    def _store(
        self, connection: psycopg.Connection[Any], rows: Sequence[Row], gone: Sequence[tuple[str, int]]
    ) -> None:
        data = self._generation.data
        # A batch is small and everything is found by its id, whatever statistics say, or don't say yet.
        connection.execute("SET LOCAL enable_hashjoin = off")
        connection.execute("SET LOCAL enable_mergejoin = off")
        _copy(
            connection,
            "COPY incoming (id, type, position, rev, channels, everybody, doc, fields, note) FROM STDIN",
            (
                (
                    one.id, one.table, one.position, one.rev, list(one.channels), one.for_all, one.doc,
                    one.fields, one.note,
                )
                for one in rows
            ),
        )  # fmt: skip
        _copy(connection, "COPY leaving (id, position) FROM STDIN", gone)
        for statement in _outdated(data):
            connection.execute(statement)
        left = connection.execute(
            f"SELECT d.type, array_agg(d.id) FROM {data}.documents d"
            " JOIN (SELECT id, NULL AS type FROM leaving UNION ALL SELECT id, type FROM incoming) n"
            " ON n.id = d.id WHERE n.type IS DISTINCT FROM d.type GROUP BY d.type"
        ).fetchall()
        for doctype, ids in left:
            connection.execute(f"DELETE FROM {data}.{quoted(doctype)} WHERE id = ANY(%s)", (ids,))
            connection.execute(
                "INSERT INTO leaving (id, position) SELECT i.id, i.position FROM incoming i"
                    " WHERE i.id = ANY(%s) AND i.type <> %s", (ids, doctype)
            )  # fmt: skip
        for statement in _listed(data):
            connection.execute(statement)
        types = sorted({one.table for one in rows})
        for doctype in types:
            connection.execute(_upsert(self._generation, doctype), (doctype,))
        touched = {*types, *(doctype for doctype, _ in left)}
        for dimension in star.DIMENSIONS:
            if dimension.doctype in touched:
                for statement in star.follow(self._generation, dimension):
                    connection.execute(statement)

    def _set_person(self, connection: psycopg.Connection[Any], person: PersonAccess) -> None:
        data = self._generation.data
        channels = sorted(person.channels) if person.active else []
        connection.execute(
            f"INSERT INTO {data}.people (name, active, roles) VALUES (%s, %s, %s) ON CONFLICT (name)"
            " DO UPDATE SET active = excluded.active, roles = excluded.roles",
            (person.name, person.active, sorted(person.roles)),
        )
        connection.execute(
            f"DELETE FROM {data}.holdings WHERE person = %s AND NOT channel = ANY(%s)",
            (person.name, channels),
        )
        connection.execute(
            f"INSERT INTO {data}.holdings (person, channel) SELECT %s, unnest(%s::text[])"
            " ON CONFLICT DO NOTHING",
            (person.name, channels),
        )

    def _switch(self) -> None:
        connection = self._opened()
        schema.drop(connection, OLD)
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            epochs = connection.execute(
                f"SELECT (SELECT epoch FROM {LIVE.data}.state) IS NOT DISTINCT FROM"
                f" (SELECT epoch FROM {NEXT.data}.state)"
            ).fetchone()
            if epochs and epochs[0]:
                for dimension in star.DIMENSIONS:
                    for statement in star.keep_history(LIVE, NEXT, dimension):
                        connection.execute(statement)
            with schema.acting_as_owner(connection):
                schema.rename(connection, LIVE, OLD)
                schema.rename(connection, NEXT, LIVE)
        self._generation = LIVE
        self._changed = True
        # Somebody may read the old one still: then the next opening removes it.
        with suppress(Exception), connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            schema.drop(connection, OLD)

    def _discard(self) -> None:
        schema.drop(self._opened(), NEXT)
        self._close_connection()

    def _vacuum(self) -> None:
        self._refresh()  # what was worked out of earlier versions goes too
        connection = self._place.connect()
        try:
            connection.autocommit = True
            connection.execute(f"SET ROLE {OWNER}")
            connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
                " ORDER BY relname",
                (self._generation.data,),
            ).fetchall()
            for (table,) in tables:
                connection.execute(f"VACUUM (FULL, ANALYZE) {self._generation.data}.{quoted(table)}")
            # Statistics have values, too. Who may not write them again is only warned.
            connection.execute("RESET ROLE")
            connection.execute("VACUUM (FULL) pg_catalog.pg_statistic")
        finally:
            connection.close()

    def _refresh(self) -> None:
        connection = self._opened()
        self._changed = False
        with connection.transaction(), schema.acting_as_owner(connection):
            connection.execute("SET LOCAL kompass.everything = 'on'")
            connection.execute(star.refresh(self._generation))
        with connection.transaction():
            connection.execute(f"UPDATE {self._generation.data}.state SET refreshed = now()")

    async def _refresh_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._options.refresh_seconds)
            if not self._changed:
                continue
            try:
                await self.refresh()
            except SinkUnavailableError as error:
                self._changed = True
                log.warning("the figures of the read store are old", reason=str(error))
            except Exception:
                self._changed = True
                log.exception("the figures of the read store can't be worked out")

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _close(self) -> None:
        self._close_connection()
        self._place.close()


_INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS incoming (
    id text PRIMARY KEY, type text NOT NULL, position bigint NOT NULL, rev text NOT NULL,
    channels text[] NOT NULL, everybody boolean NOT NULL, doc jsonb NOT NULL, fields jsonb, note text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS leaving (id text PRIMARY KEY, position bigint NOT NULL) ON COMMIT DELETE ROWS;
"""


def _outdated(data: str) -> Iterator[str]:
    """What is older than what is stored changes nothing; what is deleted is remembered for that."""
    for coming in ("incoming", "leaving"):
        yield (
            f"DELETE FROM {coming} i USING {data}.documents d WHERE d.id = i.id AND d.position > i.position"
        )
        yield f"DELETE FROM {coming} i USING {data}.gone d WHERE d.id = i.id AND d.position > i.position"
    yield f"DELETE FROM {data}.gone d USING incoming i WHERE d.id = i.id"
    yield (
        f"INSERT INTO {data}.gone AS g SELECT id, position FROM leaving"
        " ON CONFLICT (id) DO UPDATE SET position = greatest(g.position, excluded.position)"
    )


def _listed(data: str) -> Iterator[str]:
    """The list of documents, and who reads them."""
    yield f"DELETE FROM {data}.documents d WHERE d.id = ANY(ARRAY(SELECT id FROM leaving))"
    yield f"DELETE FROM {data}.readers r WHERE r.id = ANY(ARRAY(SELECT id FROM leaving))"
    yield (
        f"DELETE FROM {data}.readers r WHERE r.id = ANY(ARRAY(SELECT id FROM incoming))"
        " AND NOT EXISTS (SELECT FROM incoming i WHERE i.id = r.id AND r.channel = ANY(i.channels))"
    )
    yield (
        f"INSERT INTO {data}.readers (channel, type, id) SELECT c, i.type, i.id FROM incoming i,"
        " unnest(i.channels) c WHERE c <> 'all:' || i.type ON CONFLICT (id, channel) DO NOTHING"
    )
    yield (
        f"""INSERT INTO {data}.documents AS d (id, type, position, rev, channels, "all", note)"""
        " SELECT id, type, position, rev, channels, everybody, note FROM incoming"
        " ON CONFLICT (id) DO UPDATE SET type = excluded.type, position = excluded.position,"
        """ rev = excluded.rev, channels = excluded.channels, "all" = excluded."all","""
        " note = excluded.note"
    )


_UPSERTS: dict[tuple[str, str], str] = {}


def _upsert(generation: Generation, doctype: str) -> str:
    """Puts what came of a type into its table. Its parameter is the type."""
    known = _UPSERTS.get((generation.data, doctype))
    if known is None:
        wanted = columns()[doctype]
        names = ["id", "_rev", "_all", "doc", *(quoted(one.name) for one in wanted)]
        values = ["id", "rev", "everybody", "doc", *(tables.value("f", one) for one in wanted)]
        updates = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        known = _UPSERTS[generation.data, doctype] = (
            f"INSERT INTO {generation.data}.{quoted(doctype)} ({', '.join(names)})"
            f" SELECT {', '.join(values)} FROM (SELECT *, coalesce(fields, doc) AS f FROM incoming"
            f" WHERE type = %s OFFSET 0) i ON CONFLICT (id) DO UPDATE SET {updates}"
        )
    return known


def _copy(connection: psycopg.Connection[Any], statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for each in rows:
            copy.write_row(each)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def from_settings(settings: Settings) -> Sink | None:
    """The sink that the settings name, None if there is to be none. Connects to nothing.

    Raises `SinkAbsentError` where there is no PostgreSQL for it.
    """
    place = place_from_settings(settings)
    if place is None:
        return None
    return PostgresSink(place, Options(settings.readstore_holidays, settings.readstore_refresh))
