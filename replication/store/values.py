"""What a store gives and takes: the values of `replication.store.interface`.

Documents, rows and keys are JSON text (`bytes`), as the wire has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """Facts about a database. Sizes in bytes."""

    name: str
    uuid: str
    doc_count: int
    deleted_count: int
    update_seq: int
    purge_seq: int
    created: int
    """Seconds since 1970: `instance_start_time`."""
    file_size: int
    active_size: int
    external_size: int
    compacting: bool


class PartitionInfo(NamedTuple):
    """Facts about a partition. Sizes in bytes."""

    doc_count: int
    deleted_count: int
    active_size: int
    """Texts of all stored revisions, their histories, and attachments as they are stored."""
    external_size: int
    """Texts of all stored revisions."""


class Document(NamedTuple):
    """One stored revision with its body."""

    id: str
    rev: str
    deleted: bool
    text: bytes
    """The JSON object with `_id`, `_rev`, `_deleted`, and `_attachments` as stubs."""
    revisions: bytes
    """The JSON value of `_revisions`."""
    has_attachments: bool
    seq: int
    """The document's sequence number."""
    conflicted: bool
    """Whether the document has other leaves, deleted ones included."""


class MissingRevision(NamedTuple):
    """An asked revision of which no body is there."""

    id: str
    rev: str


class Change(NamedTuple):
    """One row of the changes feed."""

    seq: int
    id: str
    deleted: bool
    text: bytes
    """The row as JSON without its closing brace: `{"seq":…,"id":…,"changes":[{"rev":…}…]`."""
    doc: bytes | None
    """The winner's text, if asked for."""
    unfiltered: bool = False
    """Whether it passes every filter that looks into documents: it takes away what its reader may hold, and
    has nothing left to look into."""

    @property
    def revs(self) -> tuple[str, ...]:
        """The winner, or all leaves with the winner first: read from the text, for few need it."""
        # An id may hold anything, so what comes before the last list is cut off.
        tail = self.text[self.text.rindex(b'"changes":[') :]
        return tuple([part.partition(b'"')[0].decode("ascii") for part in tail.split(b'{"rev":"')[1:]])


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """Rows ready for the wire."""

    rows: bytes
    """JSON objects joined by `,` and a newline; empty if there are none."""
    count: int
    last_seq: int
    """The number of the last row, or the `since` asked for when there is none."""


class KeyRange(NamedTuple):
    """A range of ids, in the order of their UTF-8 bytes. With `descending`, from `start` down to `end`."""

    start: str | None = None
    end: str | None = None
    inclusive_end: bool = True
    descending: bool = False
    inclusive_start: bool = True
    """False to go on behind the last row of a page."""


@dataclass(frozen=True, slots=True)
class RowsPage:
    """Rows of a listing, ready for the wire."""

    rows: bytes
    count: int
    last_id: str | None
    """Where to go on: the id of the last row."""


class LocalDocument(NamedTuple):
    id: str
    rev: str
    """`0-N`"""
    text: bytes
    """The JSON object with `_id` and `_rev`."""


class AttachmentInfo(NamedTuple):
    name: str
    content_type: str
    digest: str
    length: int
    """Size before encoding."""
    stored_length: int
    encoding: str | None
    revpos: int
    handle: int
    """For `read_attachment`."""


class PurgeRequest(NamedTuple):
    """One document of a purge, as it was asked for."""

    id: str
    revs: list[str]


class StoreCounts(NamedTuple):
    """What a store has done since it was opened."""

    open_databases: int
    """Those that hold files open."""
    document_reads: int
    document_writes: int
    commits: int


class Missing(NamedTuple):
    """An answer of `missing_revisions` for one document."""

    missing: list[str]
    possible_ancestors: list[str]


class IndexEntry(NamedTuple):
    key: bytes
    id: str


class IndexRow(NamedTuple):
    """An entry of an index that carries what it lists: a row of a view."""

    key: bytes
    """Sorts as the row does."""
    id: str
    place: int
    """Tells the rows of one document with one key apart, from 0."""
    shown: bytes
    """The key as JSON."""
    value: bytes
    """The value as JSON."""


RowPosition = tuple[bytes, str, int]
"""Key, id and place of a row, or of a gap between rows."""


class RowSpan(NamedTuple):
    """Rows from `low`, inclusive, up to `high`, exclusive, or None for no bound."""

    low: RowPosition | None = None
    high: RowPosition | None = None


class PartialReduction(NamedTuple):
    """What a reducer made of all rows from `low`, inclusive, up to `high`, exclusive."""

    low: RowPosition
    high: RowPosition
    rows: int
    """How many they are; at least one."""
    first_key: bytes
    first_shown: bytes
    """Of the first row, as `IndexRow` has them."""
    last_key: bytes
    last_shown: bytes
    value: bytes
    """As JSON."""


class IndexVersion(NamedTuple):
    """Equal as long as no row of an index changes."""

    seq: int
    purge_seq: int


class IndexState(NamedTuple):
    seq: int
    """Up to which change the index has been brought."""
    entries: int
    size: int
    """Bytes of their keys and values."""


class IndexedDocument(NamedTuple):
    """A winner as an index reads it."""

    id: str
    seq: int
    text: bytes
    """With `_conflicts` and `_deleted_conflicts`, if there are any."""
