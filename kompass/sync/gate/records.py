"""What is kept beside the documents about how their revisions came: tables in the database's own file.

`gate_revisions` says who sent an accepted revision, from which device, and when the server took it: these are
what rules trust, not what a body says. `gate_merges` says which branch went into which revision, so that a
later change of that branch is compared with what it really comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import apsw

from kompass.domain.stamps import moment, stamp
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.store.sqlite import ChangedDocument, Extension, Reading, Writing, id_list

_TABLES = """
CREATE TABLE IF NOT EXISTS gate_revisions (
    doc TEXT NOT NULL,
    rev TEXT NOT NULL,
    user TEXT NOT NULL,
    device TEXT,
    received INTEGER NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (doc, rev)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gate_merges (
    doc TEXT NOT NULL,
    branch TEXT NOT NULL,
    merged TEXT NOT NULL,
    PRIMARY KEY (doc, branch)
) WITHOUT ROWID;
"""


class Origin(StrEnum):
    """How a revision came."""

    PUSHED = "pushed"
    """A device sent it as it is."""
    EDITED = "edited"
    """Somebody online changed the document; the server made the revision."""
    MERGED = "merged"
    """The server united a branch with the winner."""
    CLOSED = "closed"
    """The server ended a branch, or a document for its author."""


class Record(NamedTuple):
    docid: str
    rev: str
    user: str
    """Who caused it."""
    device: str | None
    received: datetime
    """Server time."""
    origin: Origin


def make_tables(connection: apsw.Connection) -> None:
    """Unless they are there."""
    connection.execute(_TABLES)


class RecordTables(Extension):
    """Makes the tables with the database, for whoever opens or makes one while it is served."""

    def make_tables(self, connection: apsw.Connection) -> None:
        make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        return

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        return

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        return


def keep(writing: Writing, records: Iterable[Record]) -> None:
    """A revision that came before keeps its first record."""
    writing.connection.executemany(
        "INSERT OR IGNORE INTO gate_revisions VALUES (?, ?, ?, ?, ?, ?)",
        [
            (docid, rev, user, device, stamp(received), origin.value)
            for docid, rev, user, device, received, origin in records
        ],
    )


def of_revision(reading: Reading, docid: str, rev: Rev) -> Record | None:
    """None for a revision that didn't come through the gate."""
    row = reading.connection.execute(
        "SELECT doc, rev, user, device, received, origin FROM gate_revisions WHERE doc = ? AND rev = ?",
        (docid, format_rev(rev)),
    ).fetchone()
    if row is None:
        return None
    doc, name, user, device, received, origin = row
    return Record(doc, name, user, device, moment(received), Origin(origin))


def author_of(reading: Reading, docid: str, rev: Rev) -> str | None:
    """Who sent or caused a revision; None for one that didn't come through the gate."""
    found = of_revision(reading, docid, rev)
    return None if found is None else found.user


def sent(reading: Reading, user: str, docids: Iterable[str]) -> dict[str, set[Rev]]:
    """Document -> the accepted revisions that somebody sent or caused."""
    found: dict[str, set[Rev]] = {}
    for docid, rev in reading.connection.execute(
        "SELECT doc, rev FROM json_each(?) CROSS JOIN gate_revisions ON doc = value AND user = ?",
        (id_list(docids), user),
    ):
        found.setdefault(docid, set()).add(parse_rev(rev))
    return found


def first_received(reading: Reading, docid: str) -> datetime | None:
    """When the document's first revision came; None if it didn't come through the gate."""
    found = reading.connection.execute("SELECT min(received) FROM gate_revisions WHERE doc = ?", (docid,)).get
    return None if found is None else moment(found)


def wrote_since(reading: Reading, user: str, docid: str, then: datetime) -> bool:
    """Whether a version of the document came from somebody after that time."""
    found = reading.connection.execute(
        "SELECT 1 FROM gate_revisions WHERE doc = ? AND user = ? AND received > ? AND origin <> ? LIMIT 1",
        (docid, user, stamp(then), Origin.CLOSED.value),
    ).get
    return found is not None


def keep_merge(writing: Writing, docid: str, branch: Rev, merged: Rev) -> None:
    """`branch` is contained in `merged`, a revision of the winner's line."""
    writing.connection.execute(
        "INSERT OR REPLACE INTO gate_merges VALUES (?, ?, ?)",
        (docid, format_rev(branch), format_rev(merged)),
    )


def merges(reading: Reading, docid: str) -> dict[Rev, Rev]:
    """Branch -> the revision that contains it."""
    return {
        parse_rev(branch): parse_rev(merged)
        for branch, merged in reading.connection.execute(
            "SELECT branch, merged FROM gate_merges WHERE doc = ?", (docid,)
        )
    }
