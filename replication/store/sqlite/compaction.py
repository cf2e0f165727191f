"""Giving space back while the database serves: many small transactions instead of one long stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import apsw
import orjson

from replication.store.sqlite.blobs import AttachmentTable
from replication.store.sqlite.edits import drop_bodies
from replication.store.sqlite.transaction import Transaction

T = TypeVar("T")

REVISIONS_A_STEP = 500
PAGES_A_STEP = 512
UPLOAD_SECONDS = 24 * 3600.0
"""No upload takes longer."""


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


async def compact(
    write: Write, staged: AbstractSet[int], keeps: Keeps | None = None, *, shared: bool = False
) -> None:
    """Drops bodies of ancestors and attachments nobody refers to, then returns free pages.

    `keeps` names bodies to leave. The others: see `drop_leftovers`.
    """
    after: tuple[int, str] | None = (-1, "")
    while after is not None:
        after = await write(partial(_drop_ancestors, after=after, keeps=keeps))
    await drop_leftovers(write, staged, shared=shared)
    while await write(_release_pages):
        pass


async def drop_leftovers(write: Write, staged: AbstractSet[int], *, shared: bool = False) -> None:
    """Drops attachments nobody refers to, but for uploads in flight.

    `staged` are this process's, which have no reference yet. `shared`: other processes may have some, too, so
    what began less than `UPLOAD_SECONDS` ago stays.
    """
    leftovers = await write(_leftovers_of_all if shared else _leftovers)
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


def _leftovers(transaction: Transaction) -> list[int]:
    return AttachmentTable(transaction.connection).unreferenced()


def _leftovers_of_all(transaction: Transaction) -> list[int]:
    reached = _reached(transaction.connection, time.time())
    return [num for num in _leftovers(transaction) if num <= reached]


def _reached(connection: apsw.Connection, now: float) -> int:
    """The number that uploads had reached `UPLOAD_SECONDS` ago, as far as somebody has asked then. Notes
    which it is now, for those who ask later.
    """
    text: Any = connection.execute("SELECT value FROM meta WHERE name = 'uploads'").get
    marks = [] if text is None else orjson.loads(text)
    past = [num for at, num in marks if at <= now - UPLOAD_SECONDS]
    if not marks or marks[-1][0] <= now - UPLOAD_SECONDS / 2:
        latest: Any = connection.execute("SELECT ifnull(max(num), 0) FROM attachments").get
        marks = [*marks[-2:], (now, latest)]
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('uploads', ?)", (orjson.dumps(marks).decode(),)
        )
    return max(past, default=0)


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
