"""Indexes that read the feed: brought up to date when they are asked, never by writers.

An index remembers the sequence number up to which it has read. Refreshing replaces the entries of
every document that changed since; each page is one transaction, so a restart goes on where the last one
ended, and entries never show half a document.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, Protocol, TypeVar

import apsw

from replication.protocol import jsontext
from replication.store.interface import DocumentMapper, IndexBehindError
from replication.store.sqlite import partials
from replication.store.sqlite.reading import id_list
from replication.store.sqlite.transaction import Transaction
from replication.store.values import IndexEntry, RowPosition

T = TypeVar("T")

DOCUMENTS_A_STEP = 500


class Write(Protocol):
    def __call__(self, run: Callable[[Transaction], T]) -> Coroutine[Any, Any, T]: ...


async def refresh(
    reader: Callable[[], AbstractContextManager[apsw.Connection]],
    write: Write,
    update_seq: Callable[[], int],
    signature: str,
    mapper: DocumentMapper,
) -> None:
    """Reads the changes that the index has not seen. Several may refresh at once; work is not lost."""
    with reader() as connection:
        seq = connection.execute("SELECT seq FROM indexes WHERE signature = ?", (signature,)).get
    if seq is not None and seq >= update_seq():
        return
    if seq is None:
        await write(lambda transaction: make(transaction.connection, signature))
    while await write(lambda transaction: _step(transaction, signature, mapper)):
        pass


def make(connection: apsw.Connection, signature: str) -> None:
    """Makes an empty index, unless it is there."""
    connection.execute("INSERT OR IGNORE INTO indexes (signature, seq, count) VALUES (?, 0, 0)", (signature,))


def _step(transaction: Transaction, signature: str, mapper: DocumentMapper) -> bool:
    """Reads one page. True if there may be more."""
    connection = transaction.connection
    row: Any = connection.execute("SELECT num, seq FROM indexes WHERE signature = ?", (signature,)).fetchone()
    if row is None:
        return False
    num, seq = row
    changed: list[Any] = connection.execute(
        "SELECT changes.seq, id, deleted, text FROM changes CROSS JOIN bodies ON bodies.seq = body"
        " WHERE changes.seq > ? ORDER BY changes.seq LIMIT ?",
        (seq, DOCUMENTS_A_STEP),
    ).fetchall()
    complete = len(changed) < DOCUMENTS_A_STEP
    reached = transaction.counters.update_seq if complete else changed[-1][0]
    gone = forget(connection, num, [docid for _, docid, _, _ in changed]) if seq else 0
    entries = [
        (num, key, docid, 0)
        for _, docid, deleted, text in changed
        if not deleted
        for key in mapper(jsontext.decode(text))
    ]
    before = connection.total_changes()
    connection.executemany(
        "INSERT OR IGNORE INTO index_entries (index_num, key, id, place) VALUES (?, ?, ?, ?)", entries
    )
    note(connection, num, reached, connection.total_changes() - before - gone)
    return not complete


def positions(connection: apsw.Connection, num: int, docids: Sequence[str]) -> list[RowPosition]:
    """Where the entries of documents lie in an index."""
    return list(
        connection.execute(
            "SELECT key, id, place FROM index_entries"
            " WHERE index_num = ? AND id IN (SELECT value FROM json_each(?))",
            (num, id_list(docids)),
        )
    )


def forget(connection: apsw.Connection, num: int, docids: Sequence[str]) -> int:
    """Removes the entries of documents from an index. Returns how many there were."""
    connection.execute(
        "DELETE FROM index_entries WHERE index_num = ? AND id IN (SELECT value FROM json_each(?))",
        (num, id_list(docids)),
    )
    return connection.changes()


def note(connection: apsw.Connection, num: int, reached: int, more: int) -> None:
    """Writes down how far an index has read, and how many entries have come to it."""
    connection.execute("UPDATE indexes SET seq = ?, count = count + ? WHERE num = ?", (reached, more, num))


def unindex(transaction: Transaction, docid: str, seq: int = 0) -> None:
    """Removes a document's entries from all indexes, or, with a number, from those that haven't read its
    change `seq`, and will.
    """
    drop_entries(transaction.connection, docid, seq)
    transaction.unindexed.append((docid, seq))


def drop_entries(connection: apsw.Connection, docid: str, seq: int) -> None:
    """The same, without a word to other copies of the database."""
    if seq:
        _forget_outdated(connection, docid, seq)
    else:
        _purge(connection, docid)


def _purge(connection: apsw.Connection, docid: str) -> None:
    rows: Any = connection.execute(
        "SELECT index_num, key, id, place FROM index_entries WHERE id = ?", (docid,)
    )
    for num, positions in groupby(sorted(rows), lambda row: row[0]):
        kept_by = partials.reducers(connection, num)
        partials.forget(connection, num, kept_by, [row[1:] for row in positions])
    connection.execute(
        "UPDATE indexes SET count = count -"
        " (SELECT count(*) FROM index_entries WHERE id = ? AND index_num = num)"
        " WHERE num IN (SELECT index_num FROM index_entries WHERE id = ?)",
        (docid, docid),
    )
    connection.execute("DELETE FROM index_entries WHERE id = ?", (docid,))


def _forget_outdated(connection: apsw.Connection, docid: str, seq: int) -> None:
    behind: Any = connection.execute("SELECT num FROM indexes WHERE seq < ?", (seq,)).fetchall()
    for (num,) in behind:
        found = positions(connection, num, [docid])
        if found:
            partials.forget(connection, num, partials.reducers(connection, num), found)
            connection.execute("UPDATE indexes SET count = count - ? WHERE num = ?", (len(found), num))
            forget(connection, num, [docid])


def number(connection: apsw.Connection, signature: str, seq: int) -> int | None:
    """The number of an index, or None. Raises `IndexBehindError` if it has not read up to `seq`.

    It is good for the transaction in which it was read: a dropped index leaves its number to the next one.
    """
    row: Any = connection.execute("SELECT num, seq FROM indexes WHERE signature = ?", (signature,)).fetchone()
    num, reached = row or (None, 0)
    if reached < seq:
        raise IndexBehindError(f"index {signature} has read up to {reached}, not {seq}")
    return num


def scan(
    connection: apsw.Connection,
    num: int | None,
    low: bytes,
    high: bytes | None,
    after: IndexEntry | None,
    descending: bool,
    skip: int,
    limit: int,
) -> list[IndexEntry]:
    if num is None:
        return []
    clauses = ["index_num = ?", "key >= ?"]
    args: list[Any] = [num, low]
    if high is not None:
        clauses.append("key < ?")
        args.append(high)
    if after is not None:
        clauses.append("(key, id) < (?, ?)" if descending else "(key, id) > (?, ?)")
        args += [after.key, after.id]
    order = "key DESC, id DESC" if descending else "key, id"
    return [
        IndexEntry(key, docid)
        for key, docid in connection.execute(
            f"SELECT key, id FROM index_entries WHERE {' AND '.join(clauses)}"
            f" ORDER BY {order} LIMIT ? OFFSET ?",
            (*args, limit, skip),
        )
    ]


def drop(connection: apsw.Connection, keep: Sequence[str]) -> None:
    """Deletes every index whose signature is not in `keep`."""
    gone: Any = connection.execute(
        "SELECT num FROM indexes WHERE signature NOT IN (SELECT value FROM json_each(?))",
        (id_list(keep),),
    ).fetchall()
    for (num,) in gone:
        partials.drop(connection, num)
        connection.execute("DELETE FROM index_entries WHERE index_num = ?", (num,))
        connection.execute("DELETE FROM indexes WHERE num = ?", (num,))
