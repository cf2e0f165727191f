"""What didn't fit, one entry each, until a person or a later run has settled it.

They quote what stood in a file: a row that needs somebody has to be shown to him. After an erasure they
quote nothing any more (`erasing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import apsw
import orjson

from kompass.accounting.problems import Problem
from kompass.accounting.row_errors import ErrorType
from kompass.lexware.store import LexwareStore
from kompass.sqlfile import fetch

_COLUMNS = (
    "num, direction, entity_type, entity_id, error_type, rule, reason, grund, source, line, heading, value,"
    " detail, retries, at, resolved_by, resolved_at, resolution"
)
MOST_OF_ONE = 20_000
"""Errors that one file may leave; of more it is enough to know how many there are."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that didn't fit."""

    direction: Literal["out", "in"]
    entity_type: str
    """`contract`, `customer`, `invoice` or `payment`."""
    entity_id: str
    """Id of a document, number of an invoice, the fingerprint of a payment, `file:` with a SHA-256, or `row:`
    with that, a line and a column.
    """
    error_type: ErrorType
    problem: Problem
    source: str
    """Where it was: the run, or the name of the file."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What is needed to settle it: of a payment what it says, and invoices that it could be for."""


@dataclass(frozen=True, slots=True)
class SyncError:
    num: int
    direction: str
    entity_type: str
    entity_id: str
    error_type: str
    rule: str
    reason: str
    grund: str
    source: str
    line: int | None
    heading: str
    value: str
    detail: Mapping[str, Any]
    retries: int
    at: float
    resolved_by: str | None
    resolved_at: float | None
    resolution: str | None

    def shown(self, *, german: bool) -> dict[str, Any]:
        """For REST, as the business calls its members."""
        told = asdict(self)
        return {
            "id": self.num,
            "syncDirection": self.direction,
            "entityType": self.entity_type,
            "entityId": self.entity_id,
            "errorType": self.error_type,
            "rule": self.rule,
            "errorMessage": self.grund if german else self.reason,
            "source": self.source,
            "line": self.line,
            "column": self.heading,
            "value": self.value,
            "detail": dict(self.detail),
            "retryCount": self.retries,
            "at": self.at,
            "resolvedBy": told["resolved_by"],
            "resolvedAt": told["resolved_at"],
            "resolution": told["resolution"],
        }


def add(connection: apsw.Connection, found: Found, now: float) -> None:
    """Within a transaction. One that is open already about the same is the same one, seen once more. Of a
    payment there is one, whatever is wrong with it by now: of two each would pay.
    """
    problem = found.problem
    told = (
        found.error_type.value, problem.rule, problem.reason, problem.grund, found.source, problem.line,
        problem.column, problem.value, orjson.dumps(dict(found.detail)).decode(),
    )  # fmt: skip
    if found.entity_id:
        connection.execute(
            "UPDATE errors SET error_type = ?, rule = ?, reason = ?, grund = ?, source = ?, line = ?,"
            " heading = ?, value = ?, detail = ?, retries = retries + 1"
            " WHERE resolved_at IS NULL AND direction = ? AND entity_type = ? AND entity_id = ?"
            " AND (entity_type = 'payment' OR (rule = ? AND heading = ?))",
            (*told, found.direction, found.entity_type, found.entity_id, problem.rule, problem.column),
        )
        if connection.changes():
            return
    connection.execute(
        "INSERT INTO errors (direction, entity_type, entity_id, error_type, rule, reason, grund, source,"
        " line, heading, value, detail, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (found.direction, found.entity_type, found.entity_id, *told, now),
    )


def settle(
    connection: apsw.Connection, entity_type: str, ids: Iterable[str], resolution: str, now: float
) -> None:
    """Within a transaction: what was wrong with these isn't any more."""
    connection.execute(
        "UPDATE errors SET resolved_by = 'lexware', resolved_at = ?, resolution = ? WHERE resolved_at IS NULL"
        " AND entity_type = ? AND entity_id <> '' AND entity_id IN (SELECT value FROM json_each(?))",
        (now, resolution, entity_type, orjson.dumps(list(ids)).decode()),
    )


def settle_others(
    connection: apsw.Connection, mark: str, still: Iterable[str], resolution: str, now: float
) -> None:
    """Within a transaction: of what begins with `mark` nothing but these is wrong any more."""
    connection.execute(
        "UPDATE errors SET resolved_by = 'lexware', resolved_at = ?, resolution = ? WHERE resolved_at IS NULL"
        " AND substr(entity_id, 1, ?) = ? AND entity_id NOT IN (SELECT value FROM json_each(?))",
        (now, resolution, len(mark), mark, orjson.dumps(list(still)).decode()),
    )


def resolve(connection: apsw.Connection, num: int, person: str, resolution: str, now: float) -> bool:
    """Within a transaction: somebody has dealt with it. False if it isn't open."""
    connection.execute(
        "UPDATE errors SET resolved_by = ?, resolved_at = ?, resolution = ?"
        " WHERE num = ? AND resolved_at IS NULL",
        (person, now, resolution, num),
    )
    return connection.changes() > 0


def unmatched(store: LexwareStore) -> list[SyncError]:
    """Payments that are for no invoice."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM errors WHERE resolved_at IS NULL AND rule IN"  # noqa: S608
        " ('payment.unknown', 'payment.candidates', 'payment.mismatch') ORDER BY num"
    )
    return [_error(row) for row in rows]


def listed(
    store: LexwareStore, *, state: str | None = "open", entity_type: str | None = None, after: int = 0,
    limit: int = 50,
) -> list[SyncError]:  # fmt: skip
    """By their numbers; `state` is `open`, `resolved`, or None for all."""
    open_ = {"open": 1, "resolved": 0}.get(state or "")
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM errors WHERE num > ?1 AND (?2 IS NULL OR ?2 = (resolved_at IS NULL))"  # noqa: S608
        " AND (?3 IS NULL OR entity_type = ?3) ORDER BY num LIMIT ?4",
        (after, open_, entity_type, limit),
    )
    return [_error(row) for row in rows]


def one(store: LexwareStore, num: int) -> SyncError | None:
    rows = store.rows(f"SELECT {_COLUMNS} FROM errors WHERE num = ?", (num,))  # noqa: S608
    return _error(rows[0]) if rows else None


def one_within(connection: apsw.Connection, num: int) -> SyncError | None:
    rows = fetch(connection, f"SELECT {_COLUMNS} FROM errors WHERE num = ?", (num,))  # noqa: S608
    return _error(rows[0]) if rows else None


def count_open(store: LexwareStore) -> int:
    return int(store.rows("SELECT count(*) FROM errors WHERE resolved_at IS NULL")[0][0])


def _error(row: Sequence[Any]) -> SyncError:
    values = list(row)
    values[12] = orjson.loads(values[12])
    return SyncError(*values)


def bare(detail: dict[str, Any]) -> dict[str, Any]:
    """Amounts and days of a payment, and the invoices it could be for: enough to settle it."""
    if "payment" not in detail:
        return {}
    gone = {"invoice_number": "", "customer_number": None, "method": None}
    return {**detail, "payment": {**detail["payment"], **gone}}
