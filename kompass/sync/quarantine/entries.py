"""An entry of the quarantine: somebody's work that could not be stored among the documents, with all that
came with it.

Entries are documents of a database of their own, which only administrators reach by the document server. The
revision that was sent is in it whole: body, history and attachments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

from kompass.domain.refusals import Refusal
from kompass.domain.stamps import timestamp
from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite, revisions_member
from replication.protocol.revisions import Path, format_rev, parse_revisions
from replication.store.values import Document


class State(StrEnum):
    WAITING = "waiting"
    """What it belongs to hasn't come yet."""
    QUARANTINED = "quarantined"
    """Refused; somebody has to look at it."""
    RELEASED = "released"
    """The office has written it."""
    CORRECTED = "corrected"
    """Its author has written something better."""
    DISCARDED = "discarded"
    """Nobody needs it."""


SETTLED = (State.DISCARDED, State.RELEASED, State.CORRECTED)
"""Whoever is in one of these goes first when room is needed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is stored."""

    id: str
    rev: str
    """Of the entry itself."""
    state: State
    user: str
    device: str | None
    docid: str
    path: Path
    deleted: bool
    body: bytes
    """What was sent, as JSON without the members of the protocol."""
    refusal: Refusal
    parents: tuple[str, ...]
    received: datetime
    stubs: Mapping[str, str]
    """Attachments that came as stubs: name -> digest, empty if none was given. Their bytes aren't here."""

    @property
    def document_rev(self) -> str:
        return format_rev(self.path.leaf)

    @property
    def document(self) -> dict[str, Any]:
        """`body` decoded; numbers are exact."""
        value: dict[str, Any] = jsontext.decode(self.body)
        return value


def entry_id(user: str, docid: str, rev: str) -> str:
    """The same for the same work of the same person."""
    return sha256(orjson.dumps([user, docid, rev])).hexdigest()[:32]


def entry_body(
    user: str,
    device: str | None,
    doc: DocumentWrite,
    state: State,
    refusal: Refusal,
    parents: tuple[str, ...],
    stubs: Mapping[str, str],
    received: datetime,
) -> bytes:
    """The entry as the members of a document. What was sent is in it byte by byte, as a text: nothing in it,
    however deeply nested, can make the entry unreadable.
    """
    assert doc.path is not None
    head = {
        "type": "quarantine",
        "state": state.value,
        "user": user,
        "device": device,
        "docId": doc.id,
        "deleted": doc.deleted,
        "rule": refusal.rule,
        "reason": refusal.reason,
        "grund": refusal.grund,
        "fields": list(refusal.fields),
        "parents": list(parents),
        "stubs": dict(stubs),
        "received": timestamp(received),
    }
    return b'%b,"revisions":%b,"document":%b}' % (
        orjson.dumps(head)[:-1],
        revisions_member(doc.path),
        jsontext.encode(doc.body.decode()),
    )


def parse(document: Document) -> Entry:
    """The entry in a stored document."""
    value = jsontext.decode(document.text)
    return Entry(
        id=document.id,
        rev=document.rev,
        state=State(value["state"]),
        user=value["user"],
        device=value["device"],
        docid=value["docId"],
        path=parse_revisions(value["revisions"]),
        deleted=value["deleted"],
        body=value["document"].encode(),
        refusal=Refusal(value["rule"], value["reason"], value["grund"], tuple(value["fields"])),
        parents=tuple(value["parents"]),
        received=datetime.fromisoformat(value["received"]),
        stubs=value["stubs"],
    )


def changed(
    document: Document,
    state: State,
    by: str,
    now: datetime,
    refusal: Refusal | None,
    parents: tuple[str, ...] | None,
) -> bytes:
    """The members of an entry that is in another state now, for another reason, or waits for others."""
    value = jsontext.decode(document.text)
    for name in ("_id", "_rev", "_attachments"):
        value.pop(name, None)
    value["state"] = state.value
    value["changedBy"] = by
    value["changed"] = timestamp(now)
    if refusal is not None:
        value["rule"], value["reason"], value["grund"] = refusal.rule, refusal.reason, refusal.grund
        value["fields"] = list(refusal.fields)
    if parents is not None:
        value["parents"] = list(parents)
    return jsontext.encode(value)
