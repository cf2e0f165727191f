"""What the replicator needs of a database at either end, wherever it is.

A replication reads a peer's feed page by page, asks the other one what it lacks, fetches that and has
it stored; the two remember how far they got in local documents. `Peer` is that and nothing more.

Everything is bounded: a page has a number of rows, fetched revisions come in batches of a few
megabytes, and attachments are streams that are opened when their bytes are wanted. What comes from a
peer has been checked when it leaves these methods: ids and revisions are those asked for, histories
fit their revisions, and an attachment's stream ends with an error unless its digest is right.

Methods raise `ReplicationError` and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Rev

Seq = Any
"""A position in a peer's feed. Only the peer knows what it means; it goes back as it came."""

BEGINNING: Seq = 0

BATCH_BYTES = 4 * 1024 * 1024
"""How large a batch of fetched revisions becomes before it is passed on."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Which changes are wanted. At most one of the three filters is set."""

    doc_ids: tuple[str, ...] | None = None
    selector: Mapping[str, Any] | None = None
    filter: str | None = None
    """`designname/filtername`, or one of CouchDB's with an underscore."""
    query_params: Mapping[str, Any] = field(default_factory=dict)
    all_leaves: bool = True
    """False for winning revisions only."""


EVERYTHING = Feed()


class ChangedDocument(NamedTuple):
    id: str
    revs: tuple[Rev, ...]


@dataclass(frozen=True, slots=True)
class FeedPage:
    rows: Sequence[ChangedDocument]
    last_seq: Seq
    """Where the next page begins."""
    pending: int | None
    """How many more changes there are, filtered or not; None if the peer does not say."""
    unusable: Sequence[Unreadable] = ()
    """What has an id that no document of ours can have."""

    @property
    def changes(self) -> int:
        """How many the page has of the feed."""
        return len(self.rows) + len(self.unusable)


@dataclass(frozen=True, slots=True)
class PeerInfo:
    update_seq: Seq
    created: str
    """`instance_start_time`: another one means another database under the same name."""
    documents: int
    """Deleted ones included."""


class Wanted(NamedTuple):
    """Revisions of one document that the target lacks."""

    id: str
    revs: tuple[Rev, ...]
    ancestors: tuple[Rev, ...]
    """Leaves of the target that these may descend from."""


@dataclass(frozen=True, slots=True)
class SourceAttachment:
    """An attachment where it comes from."""

    content_type: str
    digest: str
    length: int
    """Size before encoding."""
    stored_length: int | None
    """Size as stored; None if only the bytes will tell."""
    encoding: str | None
    revpos: int | None
    open: Callable[[], AsyncIterator[bytes]]
    """The stored bytes. Raises `PeerLied` at the end of wrong ones."""


@dataclass(slots=True)
class Revision:
    """One revision on its way."""

    write: DocumentWrite
    """Without attachments; its path is set."""
    attachments: Mapping[str, SourceAttachment]
    ancestors: tuple[Rev, ...] = ()
    """Leaves of the target that it may descend from."""

    @property
    def size(self) -> int:
        assert self.write.path is not None
        return len(self.write.body) + 35 * len(self.write.path.ids) + 200


class Unreadable(NamedTuple):
    """A revision that the source could not give."""

    id: str
    rev: str
    reason: str
    for_good: bool = False
    """Whether it is of no use to ask again."""


class Refusal(NamedTuple):
    """A revision that the target did not take."""

    id: str
    rev: str
    error: str
    reason: str


class Lacking(NamedTuple):
    missing: tuple[Rev, ...]
    ancestors: tuple[Rev, ...]


class Peer(ABC):
    """One database as a replication sees it."""

    shown: str
    """The address, without credentials."""
    identity: str
    """What the replication id is made of: the same for the same database."""

    @abstractmethod
    async def info(self) -> PeerInfo:
        """Raises `DatabaseMissing`."""

    @abstractmethod
    async def create(self, params: Mapping[str, str]) -> None:
        """Makes the database with the parameters of `PUT /{db}`; does nothing if it is there."""

    @abstractmethod
    async def changes(self, feed: Feed, since: Seq, limit: int, *, wait: bool = False) -> FeedPage:
        """At most `limit` rows after `since`. With `wait` it returns when there are some, or after a minute
        without any.
        """

    @abstractmethod
    async def lacking(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Lacking]:
        """Which of the asked revisions the database lacks. Ids that lack nothing are left out."""

    @abstractmethod
    def fetch(self, wanted: Sequence[Wanted]) -> AsyncIterator[list[Revision | Unreadable]]:
        """Revisions in batches of about `BATCH_BYTES`.

        A revision that has been superseded may come as the leaves that descend from it.
        """

    @abstractmethod
    async def store(self, revisions: Sequence[Revision]) -> list[Refusal]:
        """Stores revisions with their histories; the answer lists only what was refused."""

    @abstractmethod
    async def local(self, docid: str) -> dict[str, Any] | None:
        """A local document; `docid` without `_local/`, here and below."""

    @abstractmethod
    async def put_local(self, docid: str, body: Mapping[str, Any]) -> None:
        """Stores a local document in place of what is there. `body` without `_id` and `_rev`."""

    @abstractmethod
    async def commit(self) -> str:
        """Sees that what was stored is on disk; the answer is `PeerInfo.created`."""

    @abstractmethod
    async def document(self, docid: str) -> dict[str, Any] | None:
        """A document's winner; None if there is none."""

    async def close(self) -> None:
        """Gives connections back."""
        return
