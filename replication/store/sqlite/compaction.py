"""Giving space back while the database serves: many small transactions instead of one long stop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Protocol, TypeVar

from replication.store.sqlite.blobs import AttachmentTable
from replication.store.sqlite.edits import drop_bodies
from replication.store.sqlite.writer import Transaction

T = TypeVar("T")

REVISIONS_A_STEP = 500
PAGES_A_STEP = 512


class Write(Protocol):
    def __call__(self, run: Callable[[Transaction], T]) -> Coroutine[Any, Any, T]: ...


async def compact(write: Write, staged: AbstractSet[int]) -> None:
    """Drops bodies of ancestors and attachments nobody refers to, then returns free pages.

    `staged` are uploads in flight, which have no reference yet.
    """
    while await write(_drop_ancestors):
        pass
    leftovers = await write(lambda transaction: AttachmentTable(transaction.connection).unreferenced())
    for num in leftovers:
        await write(partial(_drop_leftover, num=num, staged=staged))
    while await write(_release_pages):
        pass


def _drop_ancestors(transaction: Transaction) -> bool:
    connection = transaction.connection
    rows: list[Any] = connection.execute(
        "SELECT doc, rev, body FROM revs WHERE NOT leaf LIMIT ?", (REVISIONS_A_STEP,)
    ).fetchall()
    drop_bodies(transaction, [body for _, _, body in rows])
    connection.executemany("DELETE FROM revs WHERE doc = ? AND rev = ?", [(doc, rev) for doc, rev, _ in rows])
    return bool(rows)


def _drop_leftover(transaction: Transaction, num: int, staged: AbstractSet[int]) -> None:
    table = AttachmentTable(transaction.connection)
    if num not in staged and not table.is_referred(num):
        table.remove(num)


def _release_pages(transaction: Transaction) -> bool:
    connection = transaction.connection
    before: int = connection.pragma("freelist_count")
    if not before:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({PAGES_A_STEP})").fetchall()
    after: int = connection.pragma("freelist_count")
    return bool(after < before)
