"""A database in one SQLite file: the `Database` interface on top of its readers and its writer.

Short reads run in the event loop's own thread: they take microseconds, and a hop to another thread
would cost more. Whoever wants many rows asks for them page by page. Writes go through `Writer`.
"""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from hashlib import md5
from pathlib import Path
from typing import Any, TypeVar

import apsw

from replication.protocol import errors
from replication.protocol.attachments import StagedAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev, parse_rev
from replication.protocol.sequences import Epoch, Epochs
from replication.store.interface import (
    AttachmentInfo,
    Change,
    ChangesPage,
    Database,
    DatabaseInfo,
    Document,
    DocumentMapper,
    IndexEntry,
    IndexRow,
    IndexState,
    IndexVersion,
    KeyRange,
    LocalDocument,
    Missing,
    MissingRevision,
    PartialReduction,
    PartitionInfo,
    PurgeRequest,
    RowMapper,
    RowsPage,
    RowSpan,
    WriteCheck,
)
from replication.store.sqlite import (
    compaction,
    forgetting,
    indexes,
    partials,
    purging,
    reading,
    row_indexes,
)
from replication.store.sqlite.blobs import AttachmentTable, chunk_key
from replication.store.sqlite.compaction import Ancestor
from replication.store.sqlite.extension import Extension, Reading, Writing
from replication.store.sqlite.histogram import SequenceHistogram
from replication.store.sqlite.ranks import IdRanks
from replication.store.sqlite.schema import CHUNK_SIZE, configure, migrate
from replication.store.sqlite.writer import Counters, Transaction, Writer, storage_error

T = TypeVar("T")


class SqliteDatabase(Database):
    """One file. `path` exists and has its tables."""

    def __init__(
        self,
        name: str,
        path: Path,
        pool: ThreadPoolExecutor,
        changed: Callable[[], None],
        opened: Callable[[SqliteDatabase], None],
        extension: Extension | None = None,
    ) -> None:
        """`changed` is called in a writing thread when documents have changed; `opened`, in any thread, when
        the database has opened a connection. `extension` keeps tables of its own in the file."""
        self.name = name
        self.reads = 0
        """Documents that were read."""
        self.writes = 0
        """Documents that were changed."""
        self.commits = 0
        self._changed = changed
        self._path = path
        self._opened = opened
        connection = apsw.Connection(str(path))
        migrate(connection)
        rows: Any = connection.execute("SELECT name, value FROM meta")
        meta: dict[str, Any] = dict(rows)
        self._uuid = str(meta["uuid"])
        self._created = int(meta["created"])
        self._revs_limit = int(meta["revs_limit"])
        self._purge_requests_limit = int(meta["purge_requests_limit"])
        self._security = bytes(meta["security"])
        self._partitioned = bool(meta.get("partitioned", 0))
        self._epochs = Epochs(
            [
                Epoch(name, first)
                for name, first in connection.execute("SELECT name, first FROM epochs ORDER BY rowid")
            ]
        )
        self._readers: deque[apsw.Connection] = deque()
        self._waiters: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = {}
        self._waiters_lock = threading.Lock()
        self._histogram: SequenceHistogram | None = None
        self._ranks: IdRanks | None = None
        self._counting = threading.Lock()
        """Held while counts are made, so that no commit is missed in between."""
        self._closed = False
        self._compacting = False
        self.staged: set[int] = set()
        """Attachments that are being uploaded or wait for their document."""
        self.extension = extension
        if extension is not None:
            self._prepare(connection, extension)
        self._writer = Writer(connection, pool, self._committed, self._reopen)
        opened(self)

    def _prepare(self, connection: apsw.Connection, extension: Extension) -> None:
        with connection:
            before = Counters.load(connection)
            transaction = Transaction(connection, replace(before))
            self._extended(transaction, extension.prepare)
            if transaction.counters != before:
                transaction.counters.save(connection)

    def _extended(self, transaction: Transaction, run: Callable[[Writing], T]) -> T:
        """Runs a job, then tells the extension what it has changed, until nothing follows from that."""
        writing = Writing(transaction, self._epochs, self._revs_limit, partitioned=self._partitioned)
        if self.extension is None:
            return run(writing)
        transaction.changed = []
        writing.told = partial(self.extension.changed, writing)
        result = run(writing)
        writing.settle()
        return result

    # -- connections ---------------------------------------------------------------------------

    @contextmanager
    def _reader(self) -> Iterator[apsw.Connection]:
        """A connection for reading, nobody else's meanwhile."""
        if self._closed:
            raise errors.database_missing()
        try:
            connection = self._readers.pop()
        except IndexError:
            try:
                connection = apsw.Connection(
                    str(self._path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=200
                )
                configure(connection)
                connection.execute("PRAGMA query_only = 1")
            except apsw.Error as error:
                raise storage_error(error) from error
            self._opened(self)
        try:
            yield connection
        except apsw.Error as error:
            raise storage_error(error) from error
        finally:
            if self._is_closed():
                connection.close()
            else:
                self._readers.append(connection)

    @contextmanager
    def _snapshot(self) -> Iterator[apsw.Connection]:
        """A reader whose statements all see the same commit."""
        with self._reader() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    def _reopen(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        configure(connection)
        self._opened(self)
        return connection

    def rest(self) -> None:
        """Closes the connections that nobody uses at the moment. Whoever needs one opens it again."""
        with suppress(IndexError):
            while True:
                self._readers.pop().close()
        # The last one to close tidies the file up, so that is the writer, in its own thread.
        self._writer.rest()

    def close(self) -> None:
        """Waits for writes in flight, ends the feeds, closes the file."""
        self._closed = True
        self._writer.close()
        while self._readers:
            self._readers.pop().close()
        if self.extension is not None:
            self.extension.closed()
        self._wake()

    async def _write(self, run: Callable[[Transaction], T]) -> T:
        return await asyncio.shield(self._writer.submit(run))

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """The database as one commit left it. The block must not wait: it holds a transaction."""
        with self._snapshot() as connection:
            yield Reading(connection, self._epochs)

    async def transact(self, run: Callable[[Writing], T]) -> T:
        """Runs `run` inside one transaction, in the writing thread, and answers when it is durable.

        Everything `run` writes is committed together; what it raises (`ProtocolError`) undoes it. Others
        share the commit, so it must not take long. Cancelling the caller doesn't undo it.
        """
        return await self._write(lambda transaction: self._extended(transaction, run))

    def _committed(
        self,
        counters: Counters,
        moved: list[tuple[int, int]],
        shown: list[tuple[str, int]],
        notes: list[object],
    ) -> None:
        with self._counting:
            if self._histogram is not None:
                self._histogram.move(counters.update_seq, moved)
            if self._ranks is not None:
                self._ranks.move(counters.update_seq, shown)
        self.commits += 1
        if self.extension is not None:
            self.extension.committed(counters.update_seq, notes)
        if moved:
            self.writes += len(moved)
            self._wake()
            self._changed()

    # -- facts ---------------------------------------------------------------------------------

    async def info(self) -> DatabaseInfo:
        with self._reader() as connection:
            page_size = connection.pragma("page_size")
            pages = connection.pragma("page_count")
            free = connection.pragma("freelist_count")
        counters = self._writer.counters
        return DatabaseInfo(
            name=self.name,
            uuid=self._uuid,
            doc_count=counters.doc_count,
            deleted_count=counters.deleted_count,
            update_seq=counters.update_seq,
            purge_seq=counters.purge_seq,
            created=self._created,
            file_size=pages * page_size,
            active_size=(pages - free) * page_size,
            external_size=counters.external_size,
            compacting=self._compacting,
        )

    @property
    def partitioned(self) -> bool:
        return self._partitioned

    async def partition_info(self, partition: str) -> PartitionInfo:
        return await asyncio.to_thread(self._partition_info, partition)

    def _partition_info(self, partition: str) -> PartitionInfo:
        with self._snapshot() as connection:
            return reading.partition_info(connection, partition)

    @property
    def epochs(self) -> Epochs:
        return self._epochs

    @property
    def update_seq(self) -> int:
        return self._writer.counters.update_seq

    async def security(self) -> bytes:
        return self._security

    async def set_security(self, text: bytes) -> None:
        def run(writing: Writing) -> None:
            before: Any = writing.connection.execute("SELECT value FROM meta WHERE name = 'security'").get
            writing.connection.execute("UPDATE meta SET value = ? WHERE name = 'security'", (text,))
            if self.extension is not None:
                self.extension.secured(writing, bytes(before), text)

        await self.transact(run)
        self._security = text

    async def revs_limit(self) -> int:
        return self._revs_limit

    async def set_revs_limit(self, limit: int) -> None:
        await self._set_meta("revs_limit", limit)
        self._revs_limit = limit

    async def _set_meta(self, name: str, value: bytes | int) -> None:
        def run(transaction: Transaction) -> None:
            transaction.connection.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))

        await self._write(run)

    # -- reading documents ---------------------------------------------------------------------

    async def winner(self, docid: str) -> Document | None:
        self.reads += 1
        with self._reader() as connection:
            return reading.winner(connection, docid)

    async def winners(self, docids: Sequence[str]) -> dict[str, Document]:
        self.reads += len(docids)
        with self._reader() as connection:
            return reading.winners(connection, docids)

    async def tree(self, docid: str) -> RevisionTree | None:
        with self._reader() as connection:
            found = reading.entry(connection, docid)
        return None if found is None else found.tree

    async def available(self, docid: str) -> dict[Rev, bool]:
        with self._snapshot() as connection:
            found = reading.entry(connection, docid)
            if found is None:
                return {}
            known = {found.winner: bool(found.deleted)}
            for rev, deleted in connection.execute(
                "SELECT rev, deleted FROM revs WHERE doc = ?", (found.num,)
            ):
                known[parse_rev(rev)] = bool(deleted)
        return known

    async def revision(self, docid: str, rev: Rev, *, latest: bool = False) -> list[Document]:
        self.reads += 1
        with self._snapshot() as connection:
            found = reading.entry(connection, docid)
            return [] if found is None else reading.revision(connection, found, rev, latest)

    async def leaves(self, docid: str) -> list[Document]:
        self.reads += 1
        with self._snapshot() as connection:
            found = reading.entry(connection, docid)
            return [] if found is None else reading.leaves(connection, found)

    async def bulk_get(
        self, requests: Sequence[tuple[str, Rev | None]], *, latest: bool = False
    ) -> list[list[Document | MissingRevision]]:
        self.reads += len(requests)
        with self._snapshot() as connection:
            return reading.bulk_get(connection, requests, latest)

    async def missing_revisions(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        with self._reader() as connection:
            return reading.missing_revisions(connection, asked)

    # -- writing documents ---------------------------------------------------------------------

    async def write(
        self,
        docs: Sequence[DocumentWrite],
        *,
        replicated: bool = False,
        check: WriteCheck | None = None,
    ) -> list[str | ProtocolError]:
        def run(writing: Writing) -> list[str | ProtocolError]:
            return writing.write(docs, replicated=replicated, check=self._judged(writing, check))

        results = await self.transact(run)
        self.taken_up(docs)
        return results

    def taken_up(self, docs: Sequence[DocumentWrite]) -> None:
        """What was staged for these documents waits no more. For whoever writes by `transact`."""
        if self.staged:
            for doc in docs:
                for given in doc.attachments.values():
                    if isinstance(given, StagedAttachment):
                        self.staged.discard(given.token)

    def _judged(self, writing: Writing, check: WriteCheck | None) -> WriteCheck | None:
        """The caller's judge and the extension's together; the extension hears of every refusal."""
        extension = self.extension
        if extension is None or (check is None and not extension.checks):
            return check

        def judged(write: DocumentWrite, winner: Document | None) -> None:
            try:
                if check is not None:
                    check(write, winner)
                refusal = extension.check(writing, write, winner)
                if refusal is not None:
                    raise refusal
            except ProtocolError as error:
                if error.status in (401, 403):
                    extension.check_refused(writing, write.id, write, error)
                raise

        return judged

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, list[str]]:
        def purge(transaction: Transaction, writing: Writing) -> dict[str, list[str]] | ProtocolError:
            if self.extension is not None:
                for docid, revs in asked.items():
                    refusal = self.extension.check_purge(writing, docid, revs)
                    if refusal is not None:
                        self.extension.check_refused(writing, docid, None, refusal)
                        return refusal
            return purging.purge(transaction, self._epochs, self._revs_limit, asked)

        def run(transaction: Transaction) -> dict[str, list[str]] | ProtocolError:
            return self._extended(transaction, partial(purge, transaction))

        purged = await self._write(run)
        if isinstance(purged, ProtocolError):
            raise purged  # now that what the extension wrote about it is durable
        return purged

    async def purge_requests(self) -> list[PurgeRequest]:
        with self._reader() as connection:
            return purging.requests(connection)

    async def purge_requests_limit(self) -> int:
        return self._purge_requests_limit

    async def set_purge_requests_limit(self, limit: int) -> None:
        await self._set_meta("purge_requests_limit", limit)
        await self._write(lambda transaction: purging.forget_requests(transaction.connection))
        self._purge_requests_limit = limit

    # -- listings ------------------------------------------------------------------------------

    async def all_docs(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000, include_docs: bool = False
    ) -> RowsPage:
        with self._reader() as connection:
            page = reading.all_docs(connection, span, skip, limit, include_docs)
        self.reads += page.count if include_docs else 0
        return page

    async def count_before(self, span: KeyRange) -> int:
        if span.start is None:
            return 0
        ranks = self._ranks
        if ranks is None or ranks.is_uneven:
            ranks = await asyncio.to_thread(self._rank_ids)
        with self._snapshot() as connection:
            smaller = ranks.before(connection, span.start)
            if not span.descending:
                return smaller
            live = int(connection.execute("SELECT doc_count FROM counters").get)
            found = connection.execute("SELECT 1 FROM docs WHERE id = ? AND NOT deleted", (span.start,)).get
            return live - smaller - (found is not None)

    def _rank_ids(self) -> IdRanks:
        with self._counting, self._snapshot() as connection:
            self._ranks = ranks = IdRanks(connection)
        return ranks

    async def documents(self, span: KeyRange, *, skip: int = 0, limit: int = 1000) -> list[Document]:
        with self._reader() as connection:
            found = reading.documents(connection, span, skip, limit)
        self.reads += len(found)
        return found

    async def changes(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
    ) -> ChangesPage:
        with self._reader() as connection:
            page = reading.changes(
                connection,
                since,
                limit,
                all_leaves=all_leaves,
                include_docs=include_docs,
                descending=descending,
            )
        self.reads += page.count if include_docs else 0
        return page

    async def change_rows(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
        docids: Sequence[str] | None = None,
    ) -> list[Change]:
        with self._reader() as connection:
            return reading.change_rows(
                connection,
                since,
                limit,
                all_leaves=all_leaves,
                include_docs=include_docs,
                descending=descending,
                docids=docids,
            )

    async def pending(self, since: int) -> int:
        if since >= self.update_seq:
            return 0
        histogram = self._histogram
        if histogram is None:
            histogram = await asyncio.to_thread(self._count_changes)
        with self._reader() as connection:
            return histogram.after(connection, since)

    def _count_changes(self) -> SequenceHistogram:
        with self._counting, self._snapshot() as connection:
            self._histogram = histogram = SequenceHistogram(connection)
        return histogram

    async def wait_for_change(self, since: int) -> None:
        loop = asyncio.get_running_loop()
        while not self._has_change(since):
            waiter = loop.create_future()
            with self._waiters_lock:
                self._waiters.setdefault(loop, set()).add(waiter)
            try:
                # A commit between the test above and here has woken nobody.
                if self._has_change(since):
                    return
                await waiter
            finally:
                with self._waiters_lock:
                    waiting = self._waiters.get(loop)
                    if waiting is not None:
                        waiting.discard(waiter)

    def _has_change(self, since: int) -> bool:
        """True also for a closed database: there is nothing to wait for."""
        if self._is_closed():
            return True
        if self.update_seq <= since:
            return False
        # A purge uses up numbers without leaving a row, so the number alone does not tell.
        with self._reader() as connection:
            found = connection.execute("SELECT 1 FROM changes WHERE seq > ? LIMIT 1", (since,)).get
        return found is not None

    def _is_closed(self) -> bool:
        return self._closed

    def _wake(self) -> None:
        with self._waiters_lock:
            waiters, self._waiters = self._waiters, {}
        for loop, waiting in waiters.items():
            # In a closed loop nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_release, waiting)

    # -- local documents -----------------------------------------------------------------------

    async def local(self, docid: str) -> LocalDocument | None:
        with self._reader() as connection:
            return reading.local(connection, docid)

    async def put_local(self, docid: str, parent: int, body: bytes) -> str:
        def run(transaction: Transaction) -> None:
            transaction.connection.execute(
                "INSERT INTO local VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, body = excluded.body",
                (docid, parent + 1, body),
            )

        await self._write(run)
        return f"0-{parent + 1}"

    async def delete_local(self, docid: str) -> bool:
        def run(transaction: Transaction) -> bool:
            transaction.connection.execute("DELETE FROM local WHERE id = ?", (docid,))
            return transaction.connection.changes() > 0

        return await self._write(run)

    async def local_documents(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000
    ) -> list[LocalDocument]:
        with self._reader() as connection:
            return list(reading.local_documents(connection, span, skip, limit))

    # -- attachments ---------------------------------------------------------------------------

    async def attachments(self, docid: str, rev: Rev) -> dict[str, AttachmentInfo]:
        with self._snapshot() as connection:
            found = reading.entry(connection, docid)
            if found is None or not found.knows(rev):
                return {}
            body = found.body
            if found.winner != rev:
                body = connection.execute(
                    "SELECT body FROM revs WHERE doc = ? AND rev = ?",
                    (found.num, f"{rev[0]}-{rev[1]}"),
                ).get
                if body is None:
                    return {}
            attached = AttachmentTable(connection).of_body(body)
        return {name: one.info(name) for name, one in attached.items()}

    async def read_attachment(
        self, info: AttachmentInfo, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        end = info.stored_length if end is None else min(end, info.stored_length)
        while start < end:
            position, offset = divmod(start, CHUNK_SIZE)
            with self._reader() as connection:
                data = connection.execute(
                    "SELECT data FROM chunks WHERE num = ?", (chunk_key(info.handle, position),)
                ).get
            if data is None:
                raise errors.internal(f"Attachment '{info.name}' was removed while being read")
            piece = bytes(data[offset : offset + end - start])
            if not piece:
                raise errors.internal(f"Attachment '{info.name}' is shorter than recorded")
            yield piece
            start += len(piece)

    async def stage_attachment(
        self, chunks: AsyncIterator[bytes], *, content_type: str, encoding: str | None = None
    ) -> StagedAttachment:
        def reserve(transaction: Transaction) -> int:
            num = AttachmentTable(transaction.connection).reserve()
            self.staged.add(num)
            return num

        num = await self._write(reserve)
        digest = md5(usedforsecurity=False)
        size = position = 0
        buffer = bytearray()
        try:
            async for piece in chunks:
                digest.update(piece)
                size += len(piece)
                buffer += piece
                while len(buffer) >= CHUNK_SIZE:
                    await self._add_chunk(num, position, bytes(buffer[:CHUNK_SIZE]))
                    del buffer[:CHUNK_SIZE]
                    position += 1
            if buffer:
                await self._add_chunk(num, position, bytes(buffer))
            text = "md5-" + b64encode(digest.digest()).decode("ascii")

            def complete(transaction: Transaction) -> None:
                AttachmentTable(transaction.connection).complete(num, text, size, size, encoding)

            await self._write(complete)
        except BaseException:
            self.staged.discard(num)
            self._writer.submit(lambda transaction: AttachmentTable(transaction.connection).remove(num))
            raise
        return StagedAttachment(num, content_type, text, size, size, encoding)

    async def discard_attachments(self, staged: Sequence[StagedAttachment]) -> None:
        def discard(transaction: Transaction) -> None:
            table = AttachmentTable(transaction.connection)
            for attachment in staged:
                if not table.is_referred(attachment.token):
                    table.remove(attachment.token)

        self.staged.difference_update(attachment.token for attachment in staged)
        await self._write(discard)

    async def _add_chunk(self, num: int, position: int, data: bytes) -> None:
        await self._write(
            lambda transaction: AttachmentTable(transaction.connection).add_chunk(num, position, data)
        )

    # -- indexes -------------------------------------------------------------------------------

    async def refresh_index(self, signature: str, mapper: DocumentMapper) -> None:
        await indexes.refresh(self._reader, self._write, lambda: self.update_seq, signature, mapper)

    async def scan_index(
        self,
        signature: str,
        low: bytes,
        high: bytes | None,
        *,
        seq: int = 0,
        after: IndexEntry | None = None,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexEntry]:
        with self._snapshot() as connection:
            num = indexes.number(connection, signature, seq)
            return indexes.scan(connection, num, low, high, after, descending, skip, limit)

    @property
    def design_version(self) -> int:
        return self._writer.design_version

    async def refresh_rows(self, signature: str, mapper: RowMapper) -> None:
        await row_indexes.refresh(self._snapshot, self._write, lambda: self.update_seq, signature, mapper)

    async def scan_rows(
        self,
        signature: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexRow]:
        with self._snapshot() as connection:
            num = indexes.number(connection, signature, seq)
            return row_indexes.scan(connection, num, span, descending, skip, limit)

    async def count_rows(self, signature: str, span: RowSpan, *, seq: int = 0) -> int:
        with self._snapshot() as connection:
            return row_indexes.count(connection, indexes.number(connection, signature, seq), span)

    async def index_version(self, signature: str) -> IndexVersion | None:
        with self._reader() as connection:
            return partials.version(connection, signature)

    async def partial_reductions(
        self,
        signature: str,
        reducer: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        limit: int = 500,
    ) -> list[PartialReduction]:
        with self._snapshot() as connection:
            num = indexes.number(connection, signature, seq)
            return partials.scan(connection, num, reducer, span, descending, limit)

    async def keep_reductions(
        self, signature: str, reducer: str, version: IndexVersion, made: Sequence[PartialReduction]
    ) -> bool:
        return await self._write(
            lambda transaction: partials.keep(transaction, signature, reducer, version, made)
        )

    async def index_state(self, signature: str, *, sized: bool = False) -> IndexState | None:
        with self._reader() as connection:
            return row_indexes.state(connection, signature, sized)

    async def drop_indexes(self, keep: Sequence[str]) -> None:
        await self._write(lambda transaction: indexes.drop(transaction.connection, keep))

    # -- housekeeping --------------------------------------------------------------------------

    async def compact(self) -> None:
        if self._compacting:
            return
        self._compacting = True
        try:
            await compaction.compact(self._write, self.staged, self._keeps)
        finally:
            self._compacting = False

    async def drop_leftovers(self) -> None:
        """Drops attachments that no document refers to, but for uploads in flight."""
        await compaction.drop_leftovers(self._write, self.staged)

    async def scrub(self) -> bool:
        """Rewrites the file so that nothing deleted is left in it, nor in its write-ahead log.

        Nobody writes meanwhile: about a second for 100 MB. False if readers kept the log from being emptied;
        then ask again. Raises `ProtocolError` if there is no room for the copy.
        """

        def run(connection: apsw.Connection) -> bool:
            try:
                return forgetting.scrub(connection)
            except apsw.Error as error:
                raise storage_error(error) from error

        return await asyncio.shield(self._writer.submit_alone(run))

    def _keeps(self, transaction: Transaction, ancestors: Sequence[Ancestor]) -> AbstractSet[int]:
        if self.extension is None:
            return frozenset()
        return self.extension.keeps(Reading(transaction.connection, self._epochs), ancestors)


def _release(waiting: set[asyncio.Future[None]]) -> None:
    for waiter in list(waiting):
        if not waiter.done():
            waiter.set_result(None)
