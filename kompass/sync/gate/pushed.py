"""A document on its way through the gate, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kompass.access.policy import ABSENT
from kompass.domain.refusals import Refusal
from kompass.sync.gate import shape
from kompass.sync.gate.records import Origin
from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path, format_rev


@dataclass(frozen=True, slots=True)
class Accepted:
    """It is stored, or it was, or there is nothing of it to store."""

    rev: str
    is_new: bool = False
    """Whether this push stored it."""
    dismissed: str | None = None
    """The entry of the quarantine that its author has done with: he deleted what told him of it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What it belongs to isn't there for its author; it may come."""

    parents: tuple[str, ...]
    refusal: Refusal
    """What it would be refused with."""


@dataclass(frozen=True, slots=True)
class Refused:
    refusal: Refusal
    drops_text: bool = False
    """What was sent may have what was erased: it isn't kept."""


Outcome = Accepted | Waits | Refused | ProtocolError


def not_allowed(body: Mapping[str, Any], refusal: Refusal) -> Waits | Refused:
    """What becomes of a document that can't be stored as things are. If it names what isn't there for its
    author it waits, for that may come.
    """
    parents = _named(body, refusal.fields) if refusal.rule == ABSENT else ()
    return Waits(parents, refusal) if parents else Refused(refusal)


def _named(body: Mapping[str, Any], fields: Sequence[str]) -> tuple[str, ...]:
    values = (body.get(name) for name in fields)
    listed = (value if isinstance(value, list) else [value] for value in values)
    return tuple(one for value in listed for one in value if isinstance(one, str))


def is_new(outcome: Outcome) -> bool:
    """Whether this push has stored it."""
    return isinstance(outcome, Accepted) and outcome.is_new


@dataclass(slots=True)
class Pushed:
    """What somebody sent, read as far as that needs no database."""

    doc: DocumentWrite
    """What may be stored of it: an edit gets its revision, and other histories are completed."""
    sent: DocumentWrite
    """As it came."""
    body: dict[str, Any]
    """The members, with `_id`; of a deletion `_id` alone."""
    unfit: Refusal | None
    """Why it is refused whatever is stored."""
    origin: Origin = Origin.PUSHED
    """`PUSHED`, or `EDITED`: then it gets its revision when it is judged."""
    author: str | None = None
    """Who wrote it, if that isn't who sends it: the office may release somebody's work."""
    restores: bool = False
    """Whether it is an edit that may bring back what was deleted."""
    prints: bool = False
    """Whether it is an edit by which the server adds a print that it has made."""

    @property
    def path(self) -> Path:
        assert self.doc.path is not None
        return self.doc.path

    @property
    def rev(self) -> str:
        return format_rev(self.path.leaf)


def without_text(pushed: Pushed) -> None:
    """Forgets what somebody sent, but for which revision of what."""
    pushed.doc = pushed.sent = replace(pushed.doc, body=b"{}", attachments={}, malformed="")
    pushed.body = {"_id": pushed.doc.id}


def read(
    doc: DocumentWrite,
    *,
    online: bool = False,
    author: str | None = None,
    restores: bool = False,
    prints: bool = False,
) -> Pushed:
    """Raises `bad_request` only for a body that isn't JSON, which nobody hands in."""
    origin = Origin.EDITED if online else Origin.PUSHED
    if doc.deleted:
        return Pushed(doc, doc, {"_id": doc.id}, shape.malformed(doc.malformed), origin, author, restores)
    body = jsontext.decode_request(doc.body)
    if type(body) is not dict:
        raise errors.bad_request("Document must be a JSON object")
    unfit = shape.malformed(doc.malformed) or shape.unfit(doc.id, body, len(doc.body))
    body["_id"] = doc.id
    return Pushed(doc, doc, body, unfit, origin, author, restores, prints)
