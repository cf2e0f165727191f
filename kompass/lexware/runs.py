"""Runs of the export, as the file has them.

A run is `collecting` as long as its rows are put together; whatever breaks off then never was. With
`prepared` its bytes are fixed, and what is in it counts as exported, in one step. With `staged` they lie as a
draft where Lexware fetches files, under a name that the run has; giving the draft its name is the one step
that can't be taken twice. Then it is `delivered`. Two other ends: `nothing`, because nothing was due, and
`withdrawn`, because somebody in it was erased before it was delivered: then its rows aren't exported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import apsw
import orjson

from kompass.leases import Lease
from kompass.lexware.store import LexwareStore

_COLUMNS = (
    "num, kind, mode, of, state, file, draft, person, at, position, rows, left_out, bytes, sha256, sums,"
    " changed, attempts, delivered, target, error"
)
_COUNTED = "('prepared', 'staged', 'delivered')"
"""States in which what is in a run is exported."""


class Kind(StrEnum):
    CONTRACTS = "contracts"
    CUSTOMERS = "customers"

    @property
    def profile(self) -> str:
        return f"lexware-{self.value}"

    @property
    def entity(self) -> str:
        """What one of them is called."""
        return self.value[:-1]


class Mode(StrEnum):
    DUE = "due"
    """What was never exported as it is now."""
    AGAIN = "again"
    """What an earlier run had, as it is now."""
    CHOSEN = "chosen"
    """What somebody has named."""


class State(StrEnum):
    COLLECTING = "collecting"
    PREPARED = "prepared"
    STAGED = "staged"
    DELIVERED = "delivered"
    NOTHING = "nothing"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Run:
    num: int
    kind: Kind
    mode: Mode
    of: int | None
    """The run that is repeated."""
    state: State
    file: str
    """Its name."""
    draft: str
    """The draft's, where it is delivered to."""
    person: str
    """Who has asked for it; `schedule` if nobody has."""
    at: float
    position: str
    """Of the database: every change up to here was looked at."""
    rows: int
    left_out: int
    bytes: int
    sha256: str
    sums: Mapping[str, str]
    changed: int
    """Cells that were cut."""
    attempts: int
    """That failed to deliver it."""
    delivered: float | None
    target: str
    """Where it was delivered to: `folder`, `sftp`, or `download`."""
    error: str
    """Why it couldn't be delivered last."""

    @property
    def manifest(self) -> dict[str, Any]:
        """What stands beside the file."""
        return {
            "profile": self.kind.profile,
            "file": self.file,
            "run": self.num,
            "mode": self.mode.value,
            "of": self.of,
            "position": self.position,
            "rows": self.rows,
            "left_out": self.left_out,
            "changed": self.changed,
            "sums": dict(self.sums),
            "bytes": self.bytes,
            "sha256": self.sha256,
        }


def _run(row: Sequence[Any]) -> Run:
    values = list(row)
    values[1], values[2], values[4] = Kind(values[1]), Mode(values[2]), State(values[4])
    values[14] = orjson.loads(values[14])
    return Run(*values)


# -- looking ---------------------------------------------------------------------------------------


def listed(store: LexwareStore, *, before: int = 2**62, limit: int = 50) -> list[Run]:
    """The latest first, without those that are being put together."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM runs WHERE num < ? AND state <> 'collecting'"  # noqa: S608 - constants
        " ORDER BY num DESC LIMIT ?",
        (before, limit),
    )
    return [_run(row) for row in rows]


def one(store: LexwareStore, num: int) -> Run | None:
    rows = store.rows(f"SELECT {_COLUMNS} FROM runs WHERE num = ?", (num,))  # noqa: S608 - constants
    return _run(rows[0]) if rows else None


def undelivered(store: LexwareStore) -> list[Run]:
    """The first one first."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM runs WHERE state IN ('prepared', 'staged') ORDER BY num"  # noqa: S608
    )
    return [_run(row) for row in rows]


def last_position(store: LexwareStore, kind: Kind) -> str | None:
    """Of the last run of what is due, if it left nothing out: nothing before it is due."""
    rows = store.rows(
        "SELECT position, left_out FROM runs WHERE kind = ? AND mode = 'due' AND state <> 'collecting'"
        " ORDER BY num DESC LIMIT 1",
        (kind,),
    )
    return str(rows[0][0]) if rows and not rows[0][1] else None


def exported(store: LexwareStore, docids: Sequence[str]) -> dict[str, str]:
    """Of these documents, the digest of the values with which each was exported last."""
    rows = store.rows(
        "SELECT doc, digest, max(run) FROM run_rows JOIN runs ON num = run"  # noqa: S608 - constants
        f" WHERE doc IN (SELECT value FROM json_each(?)) AND state IN {_COUNTED} GROUP BY doc",
        (orjson.dumps(list(docids)).decode(),),
    )
    return {doc: digest for doc, digest, _ in rows}


def documents(store: LexwareStore, num: int) -> list[str]:
    """What a run has."""
    return [row[0] for row in store.rows("SELECT doc FROM run_rows WHERE run = ? ORDER BY doc", (num,))]


def pieces(store: LexwareStore, num: int) -> Iterator[bytes]:
    """The run's bytes; none if they aren't kept any more."""
    place = -1
    while rows := store.rows(
        "SELECT num, bytes FROM pieces WHERE run = ? AND num > ? ORDER BY num LIMIT 4", (num, place)
    ):
        for place, piece in rows:  # noqa: B007 - goes on behind the last one
            yield piece


# -- steps -----------------------------------------------------------------------------------------


def begin(
    store: LexwareStore, lease: Lease, kind: Kind, mode: Mode, of: int | None, person: str, position: str,
    name: str, at: float,
) -> int:  # fmt: skip
    """A run that is being put together. What earlier ones have left that broke off then goes."""
    with store.writing() as connection:
        lease.check(connection)
        drop(connection, "state = 'collecting'")
        connection.execute(
            "INSERT INTO runs (kind, mode, of, state, file, person, at, position)"
            " VALUES (?, ?, ?, 'collecting', ?, ?, ?, ?)",
            (kind, mode, of, name, person, at, position),
        )
        return connection.last_insert_rowid()


def is_taken(store: LexwareStore, name: str) -> bool:
    """Whether a run has had a file of that name."""
    return bool(store.rows("SELECT 1 FROM runs WHERE file = ? AND state <> 'collecting'", (name,)))


def add(
    store: LexwareStore, lease: Lease, num: int, rows: Iterable[tuple[str, str]], piece: bytes, place: int
) -> None:
    """Some of its rows, as document and digest, and of its bytes."""
    with store.writing() as connection:
        lease.check(connection)
        connection.executemany(
            "INSERT INTO run_rows VALUES (?, ?, ?)", [(doc, num, digest) for doc, digest in rows]
        )
        if piece:
            connection.execute("INSERT INTO pieces VALUES (?, ?, ?)", (num, place, piece))


def prepared(connection: apsw.Connection, num: int, figures: Mapping[str, Any]) -> None:
    """Within a transaction: its bytes are fixed, and what is in it is exported."""
    connection.execute(
        "UPDATE runs SET state = ?, rows = ?, left_out = ?, bytes = ?, sha256 = ?, sums = ?, changed = ?"
        " WHERE num = ?",
        (
            State.PREPARED if figures["rows"] else State.NOTHING,
            figures["rows"], figures["left_out"], figures["bytes"], figures["sha256"],
            orjson.dumps(figures["sums"]).decode(), figures["changed"], num,
        ),
    )  # fmt: skip
    if not figures["rows"]:
        connection.execute("DELETE FROM pieces WHERE run = ?", (num,))


def staged(store: LexwareStore, lease: Lease, num: int, draft: str) -> None:
    """Its draft lies where it is delivered to."""
    with store.writing() as connection:
        lease.check(connection)
        connection.execute("UPDATE runs SET state = 'staged', draft = ? WHERE num = ?", (draft, num))


def delivered(store: LexwareStore, lease: Lease, num: int, target: str, at: float) -> None:
    with store.writing() as connection:
        lease.check(connection)
        connection.execute(
            "UPDATE runs SET state = 'delivered', target = ?, delivered = ?, error = '' WHERE num = ?",
            (target, at, num),
        )


def failed(store: LexwareStore, num: int, error: str) -> None:
    """An attempt to deliver it."""
    with store.writing() as connection:
        connection.execute("UPDATE runs SET attempts = attempts + 1, error = ? WHERE num = ?", (error, num))


def withdraw(connection: apsw.Connection, num: int) -> None:
    """Within a transaction: what is in it isn't exported, and is looked for again."""
    connection.execute("UPDATE runs SET state = 'withdrawn', error = '' WHERE num = ?", (num,))
    connection.execute("DELETE FROM pieces WHERE run = ?", (num,))
    connection.execute("DELETE FROM run_rows WHERE run = ?", (num,))
    connection.execute(
        "UPDATE runs SET position = '' WHERE kind = (SELECT kind FROM runs WHERE num = ?)", (num,)
    )


def tidy(store: LexwareStore, lease: Lease, before: float) -> None:
    """Bytes that were delivered before this time go; what was in them stays known."""
    with store.writing() as connection:
        lease.check(connection)
        connection.execute(
            "DELETE FROM pieces WHERE run IN (SELECT num FROM runs WHERE state = 'delivered' AND at < ?)",
            (before,),
        )


def drop(connection: apsw.Connection, condition: str) -> None:
    """Within a transaction: these runs never were. `condition` is a constant."""
    nums = f"SELECT num FROM runs WHERE {condition}"  # noqa: S608
    connection.execute(f"DELETE FROM pieces WHERE run IN ({nums})")  # noqa: S608
    connection.execute(f"DELETE FROM run_rows WHERE run IN ({nums})")  # noqa: S608
    connection.execute(f"DELETE FROM runs WHERE {condition}")  # noqa: S608
