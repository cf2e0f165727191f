"""Giving space back while the database serves: many small transactions instead of one long stop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from replication.store.sqlite.blobs import AttachmentTable
from replication.store.sqlite.edits import drop_bodies
from replication.store.sqlite.transaction import Transaction

T = TypeVar("T")

REVISIONS_A_STEP = 500
PAGES_A_STEP = 512


class Write(Protocol):
    def __call__(self, run: Callable[[Transaction], T]) -> Coroutine[Any, Any, T]: ...


class Ancestor(NamedTuple):
    """A stored revision that something follows."""

    doc: int
    """The document's short name; see `ChangedDocument.num`."""
    rev: str
    body: int
    """The number of the change that brought it."""


Keeps = Callable[[Transaction, Sequence[Ancestor]], AbstractSet[int]]
"""Which of these somebody needs, by `Ancestor.body`."""


async def compact(write: Write, staged: AbstractSet[int], keeps: Keeps | None = None) -> None:
    """Drops bodies of ancestors and attachments nobody refers to, then returns free pages.

    `staged` are uploads in flight, which have no reference yet. `keeps` names bodies to leave.
    """
    after: tuple[int, str] | None = (-1, "")
    while after is not None:
        after = await write(partial(_drop_ancestors, after=after, keeps=keeps))
    await drop_leftovers(write, staged)
    while await write(_release_pages):
        pass


async def drop_leftovers(write: Write, staged: AbstractSet[int]) -> None:
    """Drops attachments nobody refers to, but for uploads in flight."""
    leftovers = await write(lambda transaction: AttachmentTable(transaction.connection).unreferenced())
    for num in leftovers:
        await write(partial(_drop_leftover, num=num, staged=staged))


def _drop_ancestors(
    transaction: Transaction, after: tuple[int, str], keeps: Keeps | None
) -> tuple[int, str] | None:
    """One step; where the next one begins, None at the end."""
    connection = transaction.connection
    rows: list[Any] = connection.execute(
        "SELECT doc, rev, body FROM revs WHERE NOT leaf AND (doc, rev) > (?, ?) ORDER BY doc, rev LIMIT ?",
        (*after, REVISIONS_A_STEP),
    ).fetchall()
    ancestors = [Ancestor(*row) for row in rows]
    kept = keeps(transaction, ancestors) if keeps is not None and ancestors else frozenset()
    dropped = [one for one in ancestors if one.body not in kept]
    drop_bodies(transaction, [one.body for one in dropped])
    connection.executemany(
        "DELETE FROM revs WHERE doc = ? AND rev = ?", [(one.doc, one.rev) for one in dropped]
    )
    return (ancestors[-1].doc, ancestors[-1].rev) if ancestors else None


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
