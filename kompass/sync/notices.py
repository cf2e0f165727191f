"""Documents that tell somebody that his work was refused: `rejected_change`.

The server writes them, and they are read by the one they are for alone. Their ids follow from what they
are about, so that whoever sends the same work twice is told once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from kompass.audit import Cause
from kompass.domain.stamps import timestamp
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

MAX_NOTICE = 4_000_000
"""Bytes."""

NOTICE = Cause("notice")
"""Documents beside those of the business, which tell somebody what became of his work."""

_NAMESPACE = UUID("6a0f7c1e-4d57-4b0c-9a53-0c1f2f1f6d2b")


class Notice(NamedTuple):
    """A document to be written."""

    id: str
    body: bytes


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
    return Notice(rejected_id(user, docid, rev), encoded(body, ("document",)))


def entry_of(notice: Mapping[str, Any]) -> str | None:
    """The entry of the quarantine that a document tells of, if it is a `rejected_change`."""
    entry = notice.get("quarantineId") if notice.get("type") == "rejected_change" else None
    return entry if isinstance(entry, str) else None


def encoded(body: dict[str, Any], texts: Sequence[str], lists: Sequence[str] = ()) -> bytes:
    """Without the documents it quotes, and saying so, if they are too large or nested too deep to be sent.

    `lists` are members that are lists, and empty then.
    """
    try:
        encoded = jsontext.encode(body)
        if len(encoded) <= MAX_NOTICE:
            return encoded
    except ProtocolError:
        pass
    left_out: dict[str, Any] = {**dict.fromkeys(texts), **{name: [] for name in lists}}
    return jsontext.encode({**body, **left_out, "omitted": list(left_out)})


def _unique(*parts: str) -> UUID:
    return uuid5(_NAMESPACE, "\0".join(parts))
