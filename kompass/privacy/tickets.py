"""Tickets: what devices and consumers of the feed have to remove, and who has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from kompass.domain.consent import Purpose
from kompass.domain.stamps import moment, stamp, timestamp
from replication.protocol.sequences import Epochs
from replication.store.sqlite import Reading, Writing


class Kind(StrEnum):
    """Why something has to be removed."""

    ERASURE = "erasure"
    """The person was erased: compact or purge earlier versions, and what was made of them."""
    WITHDRAWAL = "withdrawal"
    """A purpose is no longer agreed to: what was made for it goes."""


class Ticket(NamedTuple):
    """Something that devices and consumers of the feed have to remove."""

    num: int
    kind: Kind
    subject: str
    purpose: Purpose | None
    """What a withdrawal is about; None for an erasure, which concerns all of them."""
    at: datetime
    documents: Mapping[str, str]
    """Id -> the first revision that is clean: everything before it goes. Of a withdrawal: none."""
    seq: int = 0
    """Whoever has read the feed up to here has the clean versions; 0 where that wasn't noted."""

    def shown(
        self, epochs: Epochs, visible: Callable[[Iterable[str]], set[str]] | None = None
    ) -> dict[str, Any]:
        """For the API; `visible` names which documents may be told of."""
        documents = dict(self.documents)
        if visible is not None:
            seen = visible([*documents, self.subject])
            documents = {docid: rev for docid, rev in documents.items() if docid in seen}
        value: dict[str, Any] = {
            "ticket": self.num,
            "kind": self.kind.value,
            "at": timestamp(self.at),
            "documents": [{"id": docid, "cleanFrom": rev} for docid, rev in sorted(documents.items())],
        }
        if self.seq:
            value["seq"] = epochs.format(self.seq)
        if self.purpose is not None:
            value["purpose"] = self.purpose.value
        if visible is None or self.subject in seen:
            value["subject"] = self.subject
        return value


def add(
    writing: Writing,
    kind: Kind,
    subject: str,
    purpose: Purpose | None,
    at: datetime,
    documents: Mapping[str, str],
) -> int:
    writing.connection.execute(
        "INSERT INTO privacy_tickets VALUES (NULL, ?, ?, ?, ?, ?, ?)",
        (
            kind.value,
            subject,
            None if purpose is None else purpose.value,
            stamp(at),
            orjson.dumps(dict(documents)).decode(),
            writing.update_seq,
        ),
    )
    return writing.connection.last_insert_rowid()


def latest(reading: Reading) -> int:
    """The number of the last one, 0 if there is none."""
    return int(reading.connection.execute("SELECT max(num) FROM privacy_tickets").get or 0)


def listed(
    reading: Reading, *, after: int = 0, limit: int = 100, unseen_by: str | None = None
) -> list[Ticket]:
    """From a number on, the first one first; those that this consumer hasn't acknowledged."""
    rows: Any = reading.connection.execute(
        "SELECT num, kind, subject, purpose, at, documents, seq FROM privacy_tickets WHERE num > ?1"
        " AND (?2 IS NULL OR NOT EXISTS (SELECT 1 FROM privacy_acknowledged"
        " WHERE ticket = num AND consumer = ?2)) ORDER BY num LIMIT ?3",
        (after, unseen_by, limit),
    ).fetchall()
    return [
        Ticket(
            num,
            Kind(kind),
            subject,
            None if purpose is None else Purpose(purpose),
            moment(at),
            orjson.loads(documents),
            seq,
        )
        for num, kind, subject, purpose, at, documents, seq in rows
    ]


def acknowledge(writing: Writing, ticket: int, consumer: str, at: datetime) -> bool:
    """Somebody has removed what the ticket names. False if there is no such ticket."""
    if writing.connection.execute("SELECT 1 FROM privacy_tickets WHERE num = ?", (ticket,)).get is None:
        return False
    writing.connection.execute(
        "INSERT OR IGNORE INTO privacy_acknowledged VALUES (?, ?, ?)", (ticket, consumer, stamp(at))
    )
    return True


def acknowledged(reading: Reading, ticket: int) -> dict[str, datetime]:
    """Who has, and when."""
    rows: Any = reading.connection.execute(
        "SELECT consumer, at FROM privacy_acknowledged WHERE ticket = ? ORDER BY consumer", (ticket,)
    ).fetchall()
    return {consumer: moment(at) for consumer, at in rows}
