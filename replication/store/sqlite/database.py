"""A database in one SQLite file: the `Database` interface on top of its readers and its writer.

Short reads run in the event loop's own thread: they take microseconds, and a hop to another thread
would cost more. Whoever wants many rows asks for them page by page. Writes go through `Writer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from replication.protocol.attachments import StagedAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev, parse_rev
from replication.store.interface import WriteCheck
from replication.store.sqlite import compaction, forgetting, judging, purging, reading
from replication.store.sqlite.compaction import Ancestor
from replication.store.sqlite.copies import position_of
from replication.store.sqlite.extension import Reading, Writing
from replication.store.sqlite.listed import ListedDatabase
from replication.store.sqlite.transaction import Transaction
from replication.store.sqlite.writer import storage_error
from replication.store.values import (
    AttachmentInfo,
    DatabaseInfo,
    Document,
    KeyRange,
    LocalDocument,
    Missing,
    MissingRevision,
    PartitionInfo,
    PurgeRequest,
)


class SqliteDatabase(ListedDatabase):
    """One file. `path` exists and has its tables."""

    # -- facts ---------------------------------------------------------------------------------

    async def info(self) -> DatabaseInfo:
        with self._connections.reader() as connection:
            page_size = connection.pragma("page_size")
            pages = connection.pragma("page_count")
            free = connection.pragma("freelist_count")
        counters = self._writer.counters
        return DatabaseInfo(
            name=self.name,
            uuid=self._uuid,
            doc_count=counters.doc_count,
            deleted_count=counters.deleted_count,
            update_seq=self.update_seq,
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
        with self._connections.snapshot() as connection:
            return reading.partition_info(connection, partition)

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
        with self._connections.reader() as connection:
            return reading.winner(connection, docid)

    async def winners(self, docids: Sequence[str]) -> dict[str, Document]:
        self.reads += len(docids)
        with self._connections.reader() as connection:
            return reading.winners(connection, docids)

    async def tree(self, docid: str) -> RevisionTree | None:
        with self._connections.reader() as connection:
            found = reading.entry(connection, docid)
        return None if found is None else found.tree

    async def available(self, docid: str) -> dict[Rev, bool]:
        with self._connections.snapshot() as connection:
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
        with self._connections.snapshot() as connection:
            found = reading.entry(connection, docid)
            return [] if found is None else reading.revision(connection, found, rev, latest)

    async def leaves(self, docid: str) -> list[Document]:
        self.reads += 1
        with self._connections.snapshot() as connection:
            found = reading.entry(connection, docid)
            return [] if found is None else reading.leaves(connection, found)

    async def bulk_get(
        self, requests: Sequence[tuple[str, Rev | None]], *, latest: bool = False
    ) -> list[list[Document | MissingRevision]]:
        self.reads += len(requests)
        with self._connections.snapshot() as connection:
            return reading.bulk_get(connection, requests, latest)

    async def missing_revisions(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        with self._connections.reader() as connection:
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
            return judging.write(self.extension, writing, docs, replicated=replicated, check=check)

        results = await self.transact(run)
        self.taken_up(docs)
        return results

    async def refused(self, refusals: Sequence[tuple[DocumentWrite, ProtocolError]]) -> None:
        extension = self.extension
        if extension is not None and refusals:
            await self.transact(lambda writing: judging.refused(extension, writing, refusals))

    def taken_up(self, docs: Sequence[DocumentWrite]) -> None:
        """What was staged for these documents waits no more. For whoever writes by `transact`."""
        if self._uploads.waiting:
            for doc in docs:
                for given in doc.attachments.values():
                    if isinstance(given, StagedAttachment):
                        self._uploads.waiting.discard(given.token)

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, list[str]]:
        def purge(transaction: Transaction, writing: Writing) -> dict[str, list[str]] | ProtocolError:
            if self.extension is not None:
                refusal = judging.purge(self.extension, writing, asked)
                if refusal is not None:
                    return refusal
            return purging.purge(transaction, self._epochs, self._revs_limit, asked)

        def run(transaction: Transaction) -> dict[str, list[str]] | ProtocolError:
            return self._extended(transaction, partial(purge, transaction))

        purged = await self._witnessed(run)
        if isinstance(purged, ProtocolError):
            raise purged  # now that what the extension wrote about it is durable
        return purged

    async def purge_requests(self) -> list[PurgeRequest]:
        with self._connections.reader() as connection:
            return purging.requests(connection)

    async def purge_requests_limit(self) -> int:
        return self._purge_requests_limit

    async def set_purge_requests_limit(self, limit: int) -> None:
        await self._set_meta("purge_requests_limit", limit)
        await self._write(lambda transaction: purging.forget_requests(transaction.connection))
        self._purge_requests_limit = limit

    # -- listings ------------------------------------------------------------------------------

    async def documents(self, span: KeyRange, *, skip: int = 0, limit: int = 1000) -> list[Document]:
        with self._connections.reader() as connection:
            found = reading.documents(connection, span, skip, limit)
        self.reads += len(found)
        return found

    # -- local documents -----------------------------------------------------------------------

    async def local(self, docid: str) -> LocalDocument | None:
        with self._connections.reader() as connection:
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
        with self._connections.reader() as connection:
            return list(reading.local_documents(connection, span, skip, limit))

    # -- attachments ---------------------------------------------------------------------------

    async def attachments(self, docid: str, rev: Rev) -> dict[str, AttachmentInfo]:
        with self.reading() as snapshot:
            return snapshot.attachments(docid, rev)

    def read_attachment(
        self, info: AttachmentInfo, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        return self._uploads.read(info, start, end)

    async def stage_attachment(
        self, chunks: AsyncIterator[bytes], *, content_type: str, encoding: str | None = None
    ) -> StagedAttachment:
        return await self._uploads.stage(chunks, content_type, encoding)

    async def discard_attachments(self, staged: Sequence[StagedAttachment]) -> None:
        await self._uploads.discard(attachment.token for attachment in staged)

    # -- housekeeping --------------------------------------------------------------------------

    async def compact(self) -> None:
        if self._compacting:
            return
        self._compacting = True
        try:
            await compaction.compact(self._write, self._uploads.waiting, self._keeps, shared=self.is_shared)
        finally:
            self._compacting = False

    async def drop_leftovers(self) -> None:
        """Drops attachments that no document refers to, but for uploads in flight. If other processes have
        copies, what was left lately stays until later: it may be their upload.
        """
        await compaction.drop_leftovers(self._write, self._uploads.waiting, shared=self.is_shared)

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

        if self.is_shared:
            await self._write(_scrub_others)
        return await asyncio.shield(self._writer.submit_alone(run))

    async def save(self, path: Path) -> int:
        """Writes the file as one commit left it to `path`, which doesn't exist, while the database serves.

        It takes the place of a file of the same database anywhere. Returns the number of the last entry of
        the journal that it has, 0 if this is no copy. Raises `ProtocolError`.
        """
        return await asyncio.to_thread(self._save, path)

    def _save(self, path: Path) -> int:
        try:
            connection = self._connections.open_writer()  # one that only reads may not vacuum
            try:
                connection.execute("VACUUM INTO ?", (str(path),))
            finally:
                connection.close()
            return 0 if self._follower is None else position_of(path)
        except apsw.Error as error:
            path.unlink(missing_ok=True)
            raise storage_error(error) from error

    def _keeps(self, transaction: Transaction, ancestors: Sequence[Ancestor]) -> AbstractSet[int]:
        if self.extension is None:
            return frozenset()
        return self.extension.keeps(Reading(transaction.connection, self._epochs), ancestors)


def _scrub_others(transaction: Transaction) -> None:
    transaction.scrubbing = True
