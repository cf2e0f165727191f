"""What a document store promises: the contract of every driver.

A `Store` holds databases; a `Database` holds documents with their revision trees, local documents,
attachments and indexes. The HTTP layer, the replicator and the product know only these classes, and the
values they take and give (`replication.store.values`).

Durability: a coroutine that writes returns after the write would survive `kill -9` and loss of
power. Isolation: a write is visible to readers as a whole or not at all; `write` of several
documents commits them together, each one judged by itself. Order: every change of a document gives
the document a new sequence number, greater than all before; a reader that has seen everything up to
a number and goes on from it misses nothing.

Everything raises `ProtocolError` only: `database_missing` when the database is gone,
`insufficient_storage` when the disk is full (nothing is changed then), and what each method says.

Documents travel as JSON text (`bytes`), ready for the wire: drivers store them so, and nobody
decodes a body only to encode it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from replication.protocol.attachments import StagedAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev
from replication.protocol.sequences import Epochs
from replication.store.events import DatabaseEvents
from replication.store.values import (
    AttachmentInfo,
    Change,
    ChangesPage,
    DatabaseInfo,
    Document,
    IndexedDocument,
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
    RowsPage,
    RowSpan,
    StoreCounts,
)


class IndexBehindError(Exception):
    """An index has read less than its reader knows it had: it was dropped in between."""


WriteCheck = Callable[[DocumentWrite, Document | None], None]
"""Called in the write's transaction with each document and the winner it meets; raises to refuse it."""

DocumentMapper = Callable[[Mapping[str, Any]], Sequence[bytes]]
"""Called with a decoded winner; returns the keys under which an index lists it."""

RowMapper = Callable[[Sequence[IndexedDocument]], Awaitable[Sequence[Sequence[IndexRow]]]]
"""Called with winners, none of them deleted; returns the rows of each one, or of the first ones, at least
one, when they are a lot: the others come again."""


class Database(ABC):
    """One database. Methods are safe to call from any number of tasks of one event loop."""

    name: str

    # -- facts ---------------------------------------------------------------------------------

    @property
    def guarded(self) -> bool:
        """Whether this is what one principal may use of a database.

        It judges writes itself, so nobody else does before: `check` of `write` is always None. What its
        principal may not know is missing without a word; numbers that tell of what others have are left out.
        """
        return False

    @abstractmethod
    async def info(self) -> DatabaseInfo: ...

    @property
    @abstractmethod
    def partitioned(self) -> bool:
        """Whether ids are `partition:key`, as `replication.protocol.partitions` has it."""

    @abstractmethod
    async def partition_info(self, partition: str) -> PartitionInfo:
        """Costs by the size of the partition. Only zeros for one without documents."""

    @property
    @abstractmethod
    def epochs(self) -> Epochs:
        """For `Epochs.format` and `Epochs.resolve` of sequence numbers."""

    @property
    @abstractmethod
    def update_seq(self) -> int:
        """The number of the latest committed change."""

    @abstractmethod
    async def security(self) -> bytes:
        """The security object as JSON; `{}` while none was set."""

    @abstractmethod
    async def set_security(self, text: bytes) -> None: ...

    @abstractmethod
    async def revs_limit(self) -> int: ...

    @abstractmethod
    async def set_revs_limit(self, limit: int) -> None: ...

    # -- reading documents ---------------------------------------------------------------------

    @abstractmethod
    async def winner(self, docid: str) -> Document | None:
        """The winning revision, a deleted one included; None for an unknown id."""

    @abstractmethod
    async def winners(self, docids: Sequence[str]) -> dict[str, Document]:
        """`winner` of many. Unknown ids are left out."""

    @abstractmethod
    async def tree(self, docid: str) -> RevisionTree | None: ...

    @abstractmethod
    async def available(self, docid: str) -> dict[Rev, bool]:
        """The revisions whose bodies are stored, each with whether it is a deletion."""

    @abstractmethod
    async def revision(self, docid: str, rev: Rev, *, latest: bool = False) -> list[Document]:
        """The body of one revision, empty if it isn't there.

        With `latest`, the leaves that descend from it instead (several after a conflict).
        """

    @abstractmethod
    async def leaves(self, docid: str) -> list[Document]:
        """All leaves, the winner first; empty for an unknown id."""

    @abstractmethod
    async def bulk_get(
        self, requests: Sequence[tuple[str, Rev | None]], *, latest: bool = False
    ) -> list[list[Document | MissingRevision]]:
        """One list per request, in order. Without a revision: all leaves, none for an unknown id."""

    @abstractmethod
    async def missing_revisions(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        """Which of the asked revisions aren't known. Ids that miss nothing are left out.

        An interior revision without a body counts as known. `possible_ancestors` are the leaves of a
        lower generation than the greatest missing one.
        """

    # -- writing documents ---------------------------------------------------------------------

    @abstractmethod
    async def write(
        self,
        docs: Sequence[DocumentWrite],
        *,
        replicated: bool = False,
        check: WriteCheck | None = None,
    ) -> list[str | ProtocolError]:
        """Writes documents in order; per document the new revision, or why it was refused.

        A new edit (`replicated` false) continues the leaf named by `parent`, or starts a document. One of a
        deleted document names no parent and follows the winning tombstone. Otherwise `conflict`.
        A replicated write stores the revision under its own id with its history, beside what is
        there; a known revision is no change and no error. Attachments that are stubs take over what
        the parent has (`missing_stub`). A partitioned database refuses ids that aren't of a partition's
        document (`illegal_docid`, `illegal_partition`), but for those of design documents.
        """

    async def refused(self, refusals: Sequence[tuple[DocumentWrite, ProtocolError]]) -> None:
        """A function of a design document has refused these, and they won't be written. Nothing is stored."""
        return

    @abstractmethod
    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, list[str]]:
        """Removes leaves for good, without a trace in the feed. Returns what went, by id."""

    @abstractmethod
    async def purge_requests(self) -> list[PurgeRequest]:
        """The latest different requests to purge, oldest first, whether or not something went."""

    @abstractmethod
    async def purge_requests_limit(self) -> int:
        """How many requests to purge are remembered."""

    @abstractmethod
    async def set_purge_requests_limit(self, limit: int) -> None: ...

    # -- listings ------------------------------------------------------------------------------

    @abstractmethod
    async def all_docs(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000, include_docs: bool = False
    ) -> RowsPage:
        """Rows `{"id","key","value":{"rev"}[,"doc"]}` of documents that aren't deleted. At most `limit`."""

    @abstractmethod
    async def count_before(self, span: KeyRange) -> int:
        """How many documents come before the range: `offset`."""

    @abstractmethod
    async def documents(self, span: KeyRange, *, skip: int = 0, limit: int = 1000) -> list[Document]:
        """Like `all_docs`, as documents."""

    @abstractmethod
    async def changes(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
    ) -> ChangesPage:
        """At most `limit` rows after `since` (or, descending, before it), ready for the wire."""

    @abstractmethod
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
        """Like `changes`, as values, for whoever has to look at each. `docids` selects documents."""

    @abstractmethod
    async def pending(self, since: int) -> int:
        """How many rows there are after `since`."""

    @abstractmethod
    async def wait_for_change(self, since: int) -> None:
        """Returns when there is a change after `since`, or the database is deleted. Cancellable."""

    # -- local documents -----------------------------------------------------------------------

    @abstractmethod
    async def local(self, docid: str) -> LocalDocument | None:
        """`docid` without `_local/`, here and below."""

    @abstractmethod
    async def put_local(self, docid: str, parent: int, body: bytes) -> str:
        """Stores a local document as revision `0-(parent+1)`; there is no conflict check, as in CouchDB 3."""

    @abstractmethod
    async def delete_local(self, docid: str) -> bool:
        """False if there was none."""

    @abstractmethod
    async def local_documents(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000
    ) -> list[LocalDocument]: ...

    # -- attachments ---------------------------------------------------------------------------

    @abstractmethod
    async def attachments(self, docid: str, rev: Rev) -> dict[str, AttachmentInfo]:
        """What one stored revision has attached, by name."""

    @abstractmethod
    def read_attachment(
        self, info: AttachmentInfo, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The stored bytes from `start` up to `end`, exclusive, in pieces of bounded size."""

    @abstractmethod
    async def stage_attachment(
        self, chunks: AsyncIterator[bytes], *, content_type: str, encoding: str | None = None
    ) -> StagedAttachment:
        """Stores bytes as they come, memory bounded, to be named in a `write` soon.

        What no write takes up is removed when the store is opened or compacted.
        """

    @abstractmethod
    async def discard_attachments(self, staged: Sequence[StagedAttachment]) -> None:
        """Removes staged bytes at once, except what a document has taken up."""

    # -- indexes -------------------------------------------------------------------------------

    @abstractmethod
    async def refresh_index(self, signature: str, mapper: DocumentMapper) -> None:
        """Brings the index called `signature` up to the latest change, making it if it is new.

        `mapper` must be a pure function of the document that `signature` identifies.
        """

    @abstractmethod
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
        """Entries with low <= key < high (None: no bound) in the order of key, then id.

        `after` goes on behind an entry in the direction of the scan. Raises `IndexBehindError` if the index
        has not been brought up to `seq`.
        """

    @property
    @abstractmethod
    def design_version(self) -> int:
        """Another number whenever a design document has changed since, as long as the database is open."""

    @abstractmethod
    async def refresh_rows(self, signature: str, mapper: RowMapper) -> None:
        """`refresh_index` for an index with rows. No transaction is open while `mapper` works.

        What `mapper` raises ends the refreshing; documents before stay indexed.
        """

    @abstractmethod
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
        """Rows in the order of key, id and place, or from the end.

        At most `limit`; fewer if they are large, but none only if there are none. Raises `IndexBehindError`
        if the index has not been brought up to `seq`.
        """

    @abstractmethod
    async def count_rows(self, signature: str, span: RowSpan, *, seq: int = 0) -> int:
        """How many rows lie in a span. Raises `IndexBehindError` as `scan_rows` does."""

    @abstractmethod
    async def index_version(self, signature: str) -> IndexVersion | None:
        """None if there is no such index."""

    @abstractmethod
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
        """What is kept of `reducer` and has rows in `span`, in the order of the rows or from the end.

        They never overlap; the outermost may reach beyond the span. Raises `IndexBehindError` as `scan_rows`
        does.
        """

    @abstractmethod
    async def keep_reductions(
        self, signature: str, reducer: str, version: IndexVersion, made: Sequence[PartialReduction]
    ) -> bool:
        """Keeps reductions of rows as they were at `version`, until one of those rows changes.

        They take the place of what they overlap. False if the rows have changed already: nothing is kept.
        """

    @abstractmethod
    async def index_state(self, signature: str, *, sized: bool = False) -> IndexState | None:
        """None if the index was never refreshed. The size is 0 unless asked for: it takes a scan."""

    @abstractmethod
    async def drop_indexes(self, keep: Sequence[str]) -> None:
        """Removes all indexes but those with a signature in `keep`."""

    # -- housekeeping --------------------------------------------------------------------------

    @abstractmethod
    async def compact(self) -> None:
        """Drops bodies of revisions that aren't leaves and gives space back, while serving."""


class Store(ABC):
    """A set of databases, and the few things a server must remember beside them."""

    @property
    @abstractmethod
    def uuid(self) -> str:
        """The server's name for good; clients build checkpoint ids from it."""

    @property
    @abstractmethod
    def secret(self) -> bytes:
        """Key for session cookies, made once and kept."""

    @property
    @abstractmethod
    def events(self) -> DatabaseEvents:
        """What happens to the databases, for whoever follows all of them."""

    @abstractmethod
    def counts(self) -> StoreCounts:
        """Cheap."""

    @abstractmethod
    async def settings(self) -> bytes:
        """What `change_settings` stored last; `{}` before."""

    @abstractmethod
    async def change_settings(self, change: Callable[[bytes], bytes]) -> bytes:
        """Keeps a JSON object that isn't this class's business: what was set while the server ran. `change`
        is given what there is, blocks, and says what becomes of it; nobody else changes it meanwhile.
        """

    @abstractmethod
    async def names(self) -> list[str]:
        """The databases, sorted."""

    @abstractmethod
    async def create(self, name: str, *, security: bytes = b"{}", partitioned: bool = False) -> Database:
        """Makes a database that has its security object from the beginning. Partitions are for good.

        Raises `illegal_database_name`, `database_exists`.
        """

    @abstractmethod
    def get(self, name: str) -> Database:
        """Raises `database_missing`."""

    async def fresh(self) -> None:  # noqa: B027 - one process that keeps its databases alone has nothing to do
        """Returns when every database shows what any process that serves it had answered before the call.

        Asked once for a request. Raises `service_unavailable` if that can't be known.
        """

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Raises `database_missing`, and `forbidden` for what has to be kept. Feeds that wait on the database
        end.
        """

    @abstractmethod
    async def close(self) -> None: ...
