"""How far a replication got: the local documents that both ends keep.

The shape is CouchDB's (`_local/{replication id}` with `session_id`, `source_last_seq` and `history`), so
each replicator can read what another left. A position counts only if both ends remember it: where their
last sessions are the same one, that one's end; otherwise the end of the newest session that both
remember. A database that was restored, or made again, has forgotten, and the replication goes further
back, if need be to the beginning. Doing too much is harmless: what is there is not sent again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import md5
from typing import Any

from replication.replicator.options import canonical
from replication.replicator.peer import BEGINNING, Feed, Seq

VERSION = 4
"""`replication_id_version`: that of the documents' shape."""

MAX_HISTORY = 50
"""Sessions that are remembered."""

_LONGEST_SESSION = 64 * 1024
"""Bytes of a session as JSON: what one end remembers is written at the other one."""

_MADE_BY = "replication-1"
"""Goes into the id: other replicators make theirs of other things."""


def replication_id(source: str, target: str, feed: Feed, filter_code: str | None = None) -> str:
    """32 hex digits that stand for what is replicated from where to where.

    The same at each start and on each machine: of the ends' identities and of the filter, its code
    included, for what another filter let pass counts for nothing.
    """
    parts: list[Any] = [_MADE_BY, source, target]
    if feed.doc_ids is not None:
        parts.append(["doc_ids", feed.doc_ids])
    elif feed.selector is not None:
        parts.append(["selector", feed.selector])
    elif feed.filter is not None:
        parts.append(["filter", feed.filter, filter_code, feed.query_params])
    if not feed.all_leaves:
        parts.append("winning_revs_only")
    return md5(canonical(parts), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Statistics:
    """What a replication did so far. Revisions, but for the attempts."""

    missing_checked: int = 0
    missing_found: int = 0
    docs_read: int = 0
    docs_written: int = 0
    doc_write_failures: int = 0
    bulk_get_docs: int = 0
    bulk_get_attempts: int = 0

    def members(self) -> dict[str, int]:
        """In CouchDB's order, for checkpoints and results."""
        return {
            "missing_checked": self.missing_checked,
            "missing_found": self.missing_found,
            "docs_read": self.docs_read,
            "docs_written": self.docs_written,
            "doc_write_failures": self.doc_write_failures,
            "bulk_get_docs": self.bulk_get_docs,
            "bulk_get_attempts": self.bulk_get_attempts,
        }


def http_date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a replication begins and what it goes on from."""

    since: Seq
    history: Sequence[Mapping[str, Any]]
    """Earlier sessions, newest first."""


def _sessions(document: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The usable part of a checkpoint's history. A document that is none of ours has no part that is."""
    history = document.get("history") if document is not None else None
    if not isinstance(history, list):
        return []
    return [
        entry
        for entry in history[:MAX_HISTORY]
        if isinstance(entry, dict)
        and isinstance(entry.get("session_id"), str)
        and entry.get("recorded_seq") is not None
        and len(canonical(entry)) <= _LONGEST_SESSION
    ]


def find_start(source: Mapping[str, Any] | None, target: Mapping[str, Any] | None) -> Start:
    """Compares what both ends remember."""
    if source is None or target is None:
        return Start(BEGINNING, [])
    ours, theirs = _sessions(source), _sessions(target)
    session = source.get("session_id")
    last = source.get("source_last_seq")
    if (
        isinstance(session, str)
        and session == target.get("session_id")
        and last is not None
        and last == target.get("source_last_seq")
    ):
        return Start(last, ours)
    remembered = {entry["session_id"]: entry["recorded_seq"] for entry in theirs}
    for place, entry in enumerate(ours):
        if entry["session_id"] in remembered:
            # Both wrote this session's progress, the source first: the target's is never ahead.
            return Start(remembered[entry["session_id"]], ours[place:])
    return Start(BEGINNING, [])


@dataclass(slots=True)
class Session:
    """One run of a replication, as it is recorded."""

    id: str
    started: float
    start: Start
    statistics: Statistics

    def document(self, recorded: Seq) -> dict[str, Any]:
        """The checkpoint for having got as far as `recorded`."""
        entry = {
            "session_id": self.id,
            "start_time": http_date(self.started),
            "end_time": http_date(time.time()),
            "start_last_seq": self.start.since,
            "end_last_seq": recorded,
            "recorded_seq": recorded,
            **self.statistics.members(),
        }
        earlier = [each for each in self.start.history if each.get("session_id") != self.id]
        return {
            "session_id": self.id,
            "source_last_seq": recorded,
            "replication_id_version": VERSION,
            "history": [entry, *earlier][:MAX_HISTORY],
        }
