"""Documents that tell somebody what became of his work: `conflict` and `rejected_change`.

The server writes them, and they are read by the one they are for alone. Their ids follow from what they
are about, so that whoever sends the same work twice is told once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

MAX_NOTICE = 4_000_000
"""Bytes."""

_NAMESPACE = UUID("6a0f7c1e-4d57-4b0c-9a53-0c1f2f1f6d2b")


class Notice(NamedTuple):
    """A document to be written."""

    id: str
    body: bytes


def timestamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def conflict_notice(
    user: str,
    docid: str,
    *,
    branch: str,
    winner: str,
    base: Mapping[str, Any] | None,
    mine: Mapping[str, Any] | None,
    theirs: Mapping[str, Any],
    fields: Sequence[str],
    now: datetime,
) -> Notice:
    """Two versions that only a person can unite; the winner stays until he does.

    `branch` and `winner` are revisions; `mine` is None if he deleted the document; `base` is None if there is
    none, or none that he may read.
    """
    body: dict[str, Any] = {
        "type": "conflict",
        "user": user,
        "docId": docid,
        "docType": theirs.get("type"),
        "branchRev": branch,
        "winnerRev": winner,
        "fields": list(fields),
        "deleted": mine is None,
        "base": base,
        "mine": mine,
        "theirs": theirs,
        "createdAt": timestamp(now),
    }
    return Notice(f"conflict-{_unique(user, docid, branch)}", _encoded(body, ("base", "mine", "theirs")))


def rejected_id(user: str, docid: str, rev: str) -> str:
    return f"rejected-change-{_unique(user, docid, rev)}"


def rejected_notice(
    user: str,
    docid: str,
    rev: str,
    *,
    entry: str,
    text: Any,
    deleted: bool,
    attachments: Sequence[str],
    rule: str,
    reason: str,
    grund: str,
    fields: Sequence[str],
    now: datetime,
) -> Notice:
    """Work that was refused. `text` is what he sent; `entry` is where it lies in quarantine."""
    body: dict[str, Any] = {
        "type": "rejected_change",
        "user": user,
        "docId": docid,
        "docType": text.get("type") if isinstance(text, dict) else None,
        "rev": rev,
        "deleted": deleted,
        "document": None if deleted else text,
        "attachments": list(attachments),
        "rule": rule,
        "reason": reason,
        "grund": grund,
        "fields": list(fields),
        "quarantineId": entry,
        "createdAt": timestamp(now),
    }
    return Notice(rejected_id(user, docid, rev), _encoded(body, ("document",)))


def _encoded(body: dict[str, Any], texts: Sequence[str]) -> bytes:
    """Without the documents it quotes, and saying so, if they are too large or nested too deep to be sent."""
    try:
        encoded = jsontext.encode(body)
        if len(encoded) <= MAX_NOTICE:
            return encoded
    except ProtocolError:
        pass
    return jsontext.encode({**body, **dict.fromkeys(texts), "omitted": list(texts)})


def _unique(*parts: str) -> UUID:
    return uuid5(_NAMESPACE, "\0".join(parts))
