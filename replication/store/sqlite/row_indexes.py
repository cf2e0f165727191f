"""Indexes whose entries carry a key and a value to show: the rows of views.

The mapper of such an index takes its time and works elsewhere, so no transaction is open meanwhile: a page
of changes is read, mapped, and written if the index is still where it was. When another has refreshed it
or something was purged in between, the page is read again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import apsw

from replication.protocol import jsontext
from replication.protocol.documents import with_members
from replication.protocol.revisions import format_rev
from replication.store.interface import RowMapper
from replication.store.sqlite import indexes, partials, reading
from replication.store.sqlite.transaction import Transaction
from replication.store.values import Document, IndexedDocument, IndexRow, IndexState, RowSpan

DOCUMENTS_A_STEP = 500
BYTES_A_STEP = 2 << 20
BYTES_A_PAGE = 4 << 20


@dataclass(frozen=True, slots=True)
class Page:
    """Changes that an index has not seen, and where it stood when they were read."""

    num: int
    seq: int
    purge_seq: int
    reached: int
    complete: bool
    changes: list[tuple[int, str]]
    """Sequence and document of each."""
    documents: list[IndexedDocument]

    def cut(self, count: int) -> Page:
        """The same with the first `count` documents only."""
        if count >= len(self.documents):
            return self
        end = self.documents[count].seq
        changes = [change for change in self.changes if change[0] < end]
        return replace(
            self,
            reached=changes[-1][0],
            complete=False,
            changes=changes,
            documents=self.documents[:count],
        )


async def refresh(
    snapshot: Callable[[], AbstractContextManager[apsw.Connection]],
    write: indexes.Write,
    update_seq: Callable[[], int],
    signature: str,
    mapper: RowMapper,
    read: Callable[[str], Awaitable[Page | None]],
) -> None:
    """See `Database.refresh_rows`. `read` gives the next page for a signature, None if its index is gone."""
    with snapshot() as connection:
        seq = _seq(connection, signature)
    if seq is not None and seq >= update_seq():
        return
    if seq is None:
        await write(lambda transaction: indexes.make(transaction.connection, signature))
    complete = False
    while not complete:
        page = await read(signature)
        if page is None:
            return
        rows = await mapper(page.documents) if page.documents else []
        page = page.cut(len(rows))
        complete = await write(_writing(signature, page, rows)) and page.complete


def _seq(connection: apsw.Connection, signature: str) -> int | None:
    seq: int | None = connection.execute("SELECT seq FROM indexes WHERE signature = ?", (signature,)).get
    return seq


def read_page(connection: apsw.Connection, signature: str) -> Page | None:
    """The changes that an index has not seen, with the texts in this file."""
    row: Any = connection.execute(
        "SELECT num, seq, update_seq, purge_seq FROM indexes, counters WHERE signature = ?", (signature,)
    ).fetchone()
    if row is None:
        return None
    num, seq, update_seq, purge_seq = row
    changes: list[tuple[int, str]] = []
    documents: list[IndexedDocument] = []
    reached, size = seq, 0
    for at, docid, deleted, text, leaves in connection.execute(
        "SELECT changes.seq, id, deleted, text, leaves IS NOT NULL"
        " FROM changes CROSS JOIN bodies ON bodies.seq = body"
        " WHERE changes.seq > ? ORDER BY changes.seq LIMIT ?",
        (seq, DOCUMENTS_A_STEP),
    ):
        reached = at
        changes.append((at, docid))
        if not deleted:
            if leaves:
                text = with_members(text, _conflicts(connection, docid))
            documents.append(IndexedDocument(docid, at, text))
            size += len(text)
            if size > BYTES_A_STEP:
                break
    complete = len(changes) < DOCUMENTS_A_STEP and size <= BYTES_A_STEP
    return Page(num, seq, purge_seq, update_seq if complete else reached, complete, changes, documents)


def to_index(connection: apsw.Connection, winner: Document) -> IndexedDocument:
    """A winner, not deleted, as the mapper of an index with rows reads it."""
    text = winner.text
    if winner.conflicted:
        text = with_members(text, _conflicts(connection, winner.id))
    return IndexedDocument(winner.id, winner.seq, text)


def _conflicts(connection: apsw.Connection, docid: str) -> list[bytes]:
    """The members that name the other leaves of a document."""
    found = reading.entry(connection, docid)
    if found is None:
        return []
    others = [rev for rev in found.tree.leaves() if rev != found.winner]
    members = []
    for name, deleted in (("_conflicts", False), ("_deleted_conflicts", True)):
        revs = [format_rev(rev) for rev in others if found.tree.is_deleted(rev) == deleted]
        if revs:
            members.append(b'"%b":%b' % (name.encode(), jsontext.encode(revs)))
    return members


def _writing(signature: str, page: Page, rows: Sequence[Sequence[IndexRow]]) -> Callable[[Transaction], bool]:
    def run(transaction: Transaction) -> bool:
        """False if the page is out of date."""
        connection = transaction.connection
        # The number of an index that was dropped meanwhile may be another's by now.
        seq = connection.execute(
            "SELECT seq FROM indexes WHERE num = ? AND signature = ?", (page.num, signature)
        ).get
        if seq != page.seq or transaction.counters.purge_seq != page.purge_seq:
            return False
        docids = [docid for _, docid in page.changes]
        entries = [(page.num, *row) for document in rows for row in document]
        kept_by = partials.reducers(connection, page.num)
        if kept_by:
            changed = indexes.positions(connection, page.num, docids)
            changed += [(row.key, row.id, row.place) for document in rows for row in document]
            partials.forget(connection, page.num, kept_by, changed)
        gone = indexes.forget(connection, page.num, docids) if docids and seq else 0
        connection.executemany("INSERT INTO index_entries VALUES (?, ?, ?, ?, ?, ?)", entries)
        indexes.note(connection, page.num, page.reached, len(entries) - gone)
        return True

    return run


def _span(num: int, span: RowSpan) -> tuple[str, list[Any]]:
    where = "index_num = ?"
    args: list[Any] = [num]
    for bound, operator in ((span.low, ">="), (span.high, "<")):
        if bound is not None:
            where += f" AND (key, id, place) {operator} (?, ?, ?)"
            args += bound
    return where, args


def scan(
    connection: apsw.Connection, num: int | None, span: RowSpan, descending: bool, skip: int, limit: int
) -> list[IndexRow]:
    if num is None:
        return []
    where, args = _span(num, span)
    order = "key DESC, id DESC, place DESC" if descending else "key, id, place"
    found_rows: Any = connection.execute(
        f"SELECT key, id, place, shown, value FROM index_entries WHERE {where}"
        f" ORDER BY {order} LIMIT ? OFFSET ?",
        (*args, limit, skip),
    )
    rows = []
    size = 0
    for row in found_rows:
        rows.append(IndexRow(*row))
        size += len(row[3]) + len(row[4])
        if size > BYTES_A_PAGE:
            break
    return rows


def count(connection: apsw.Connection, num: int | None, span: RowSpan) -> int:
    if num is None:
        return 0
    if span == RowSpan():
        return int(connection.execute("SELECT count FROM indexes WHERE num = ?", (num,)).get)
    where, args = _span(num, span)
    return int(connection.execute(f"SELECT count(*) FROM index_entries WHERE {where}", args).get)


def state(connection: apsw.Connection, signature: str, sized: bool) -> IndexState | None:
    row: Any = connection.execute(
        "SELECT seq, count, num FROM indexes WHERE signature = ?", (signature,)
    ).fetchone()
    if row is None:
        return None
    seq, entries, num = row
    size = 0
    if sized:
        size = connection.execute(
            "SELECT coalesce(sum(length(key) + length(id) + coalesce(length(shown) + length(value), 0)), 0)"
            " FROM index_entries WHERE index_num = ?",
            (num,),
        ).get
    return IndexState(seq, entries, size)
