"""What a job of the writer works with, and what it leaves behind for those who hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apsw


@dataclass(slots=True)
class Counters:
    """The row of `counters`."""

    update_seq: int
    purge_seq: int
    doc_count: int
    deleted_count: int
    external_size: int

    @classmethod
    def load(cls, connection: apsw.Connection) -> Counters:
        row = connection.execute(
            "SELECT update_seq, purge_seq, doc_count, deleted_count, external_size FROM counters"
        ).get
        return cls(*row)

    def save(self, connection: apsw.Connection) -> None:
        connection.execute(
            "UPDATE counters SET update_seq = ?, purge_seq = ?, doc_count = ?, deleted_count = ?,"
            " external_size = ?",
            (
                self.update_seq,
                self.purge_seq,
                self.doc_count,
                self.deleted_count,
                self.external_size,
            ),
        )


class WrittenRevision(NamedTuple):
    """A revision that was stored, the winner or not."""

    rev: str
    deleted: bool
    text: bytes
    """As stored."""
    parent: str | None
    """The nearest stored revision that it comes from; None if there is none."""
    parent_body: int
    """Number of the parent's text, for `Reading.body`; 0 if there is none."""
    note: object
    """That of its `DocumentWrite`."""


class ChangedDocument(NamedTuple):
    """A document as a transaction left it."""

    id: str
    num: int
    """The document's short name, for good: its first sequence number."""
    old_seq: int
    """Its sequence number before, 0 if it is new."""
    seq: int
    """0 if it was purged."""
    rev: str
    """The winner's."""
    deleted: bool
    text: bytes
    """The winner's, as stored. If the document was purged, its tree as it was (`RevisionTree.to_json`)."""
    leaves: int
    written: Sequence[WrittenRevision] = ()
    """The revisions that were stored, in order, with what each one replaced."""
    purged: Sequence[str] = ()
    """The leaves that were purged."""


class Transaction:
    """What a job works with: the connection, and counters that count only if the job succeeds."""

    __slots__ = (
        "changed",
        "connection",
        "counters",
        "designs",
        "moved",
        "notes",
        "overwriting",
        "scrubbing",
        "shown",
        "unindexed",
    )

    def __init__(self, connection: apsw.Connection, counters: Counters) -> None:
        self.connection = connection
        self.counters = counters
        self.moved: list[tuple[int, int]] = []
        """(old, new) sequence number of every document that changed; 0 for none."""
        self.shown: list[tuple[str, int]] = []
        """(id, 1) of every document that appeared, (id, -1) of every one that went."""
        self.designs = False
        """Whether a design document changed."""
        self.changed: list[ChangedDocument] | None = None
        """Every change, if somebody wants to hear of it."""
        self.notes: list[object] = []
        """For whoever hears of the commit."""
        self.unindexed: list[tuple[str, int]] = []
        """Documents that were taken out of indexes; see `indexes.unindex`."""
        self.overwriting = False
        """Whether something that was deleted was overwritten."""
        self.scrubbing = False
        """Whether other copies write their files anew, so that nothing deleted is left in them."""
