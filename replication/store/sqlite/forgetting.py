"""Forgetting what documents once said: earlier texts go at once, and no byte of them stays in the file.

Compaction gives space back, and what it drops lies in the file until something else is written there. Here
the dropped bytes are overwritten where they lie (`secure_delete`) and the revision tree stays as it was.
`scrub` rewrites the whole file afterwards: pages that were split or moved earlier may hold copies that
nothing else reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import apsw

from replication.protocol import jsontext
from replication.protocol.documents import stored_text
from replication.store.sqlite import indexes
from replication.store.sqlite.blobs import AttachmentTable
from replication.store.sqlite.edits import drop_bodies
from replication.store.sqlite.transaction import Transaction


class Emptied(NamedTuple):
    """A leaf beside the winner, or a deletion, that keeps its place in the tree and says nothing any more."""

    rev: str
    text: bytes
    """As it is stored now."""


def forget(transaction: Transaction, docid: str) -> list[Emptied] | None:
    """Leaves of a document only what its live winner says, and returns the leaves that had to be emptied.

    Texts of ancestors go with the attachments that only they have, and so do entries of indexes that have not
    read the document's latest change. None if there is no such document.
    """
    connection = transaction.connection
    row: Any = connection.execute(
        "SELECT num, seq, rev, deleted, body FROM docs WHERE id = ?", (docid,)
    ).fetchone()
    if row is None:
        return None
    num, seq, winner, is_deleted, body = row
    stored: list[Any] = connection.execute(
        "SELECT rev, body, deleted, leaf FROM revs WHERE doc = ?", (num,)
    ).fetchall()
    drop_bodies(transaction, [number for _, number, _, leaf in stored if not leaf])
    connection.execute("DELETE FROM revs WHERE doc = ? AND NOT leaf", (num,))
    leaves = [(rev, number, deleted) for rev, number, deleted, leaf in stored if leaf]
    if is_deleted:
        leaves.append((winner, body, is_deleted))
    emptied = []
    for rev, number, deleted in leaves:
        text = stored_text(jsontext.quote(docid), rev, bool(deleted), b"{}", b"")
        before: int = connection.execute("SELECT length(text) FROM bodies WHERE seq = ?", (number,)).get
        if before == len(text):
            continue
        table = AttachmentTable(connection)
        for attachment in table.release([number]):
            table.remove(attachment)
        connection.execute("UPDATE bodies SET text = ? WHERE seq = ?", (text, number))
        connection.execute("UPDATE revs SET attached = 0 WHERE doc = ? AND rev = ?", (num, rev))
        connection.execute("UPDATE docs SET attached = 0 WHERE id = ? AND rev = ?", (docid, rev))
        transaction.counters.external_size += len(text) - before
        emptied.append(Emptied(rev, text))
    indexes.unindex(transaction, docid, seq)
    return emptied


@contextmanager
def overwriting(connection: apsw.Connection) -> Iterator[None]:
    """What is deleted meanwhile is overwritten with zeros."""
    before: Any = connection.execute("PRAGMA secure_delete").get
    connection.execute("PRAGMA secure_delete = 1")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA secure_delete = {int(before)}")


def scrub(connection: apsw.Connection) -> bool:
    """Rewrites the file, outside of any transaction, so that it has only what is stored in it.

    True if the write-ahead log is empty as well; False if readers were in the way, and it has to be
    `truncate`d later.
    """
    connection.execute("PRAGMA temp_store = FILE")  # the copy would have to fit into memory
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")
    return truncate(connection)


def truncate(connection: apsw.Connection) -> bool:
    """Moves the write-ahead log into the file and makes it empty; False if readers were in the way."""
    with suppress(apsw.BusyError):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return True
    return False
