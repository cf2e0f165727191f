"""What a sink is: a copy of the documents, in another form, that follows the database's changes.

A follower reads pages of changes and hands them to its sink as batches, one at a time, in the order of the
database. A sink keeps three promises, and `tests/feed/conformance` holds every sink to them:

- **Atomic.** A batch is applied with its checkpoint or not at all, also if the process is killed.
- **Idempotent.** A batch may come again, whole or with another division into batches. A change that is older
  than what the sink has of the document (`Change.position`) changes nothing.
- **Whole.** A change states everything about the document as it is now; nothing depends on what came before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from kompass.access.audiences import Channel


class SinkError(Exception):
    """Base of what a sink says to its follower. The text is for people."""


class SinkUnavailableError(SinkError):
    """It can't be reached or can't store anything now. The same batch is tried again until it can."""


class TooMuchError(SinkError):
    """It is more than the sink does at once, and no document is at fault.

    Nothing of it is stored, but what was worked out is kept, also if the process is killed: the same batch,
    or less, gets further the next time. The text says what takes so long.
    """


class DocumentRejectedError(SinkError):
    """This one document can't be stored, however often it is tried.

    The reason names fields and never what they say: those who look after sinks may not read the document.
    """

    def __init__(self, docid: str, reason: str) -> None:
        super().__init__(f"{docid}: {reason}")
        self.docid = docid
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Change:
    """A document as it is now."""

    id: str
    position: int
    """Where in the order of the database: of two changes of a document, the greater is the newer."""

    rev: str
    """Its winning revision."""

    doc: Mapping[str, Any] | None
    """The winner with `_id`, `_rev` and `_attachments` (stubs). None: it is deleted, purged or erased, and
    nothing of it may be left."""

    channels: frozenset[Channel] = frozenset()
    """Who may read it: whoever holds one of them. Empty: nobody."""

    @property
    def type(self) -> str:
        """The document's type, empty if it has none or is deleted."""
        doctype = (self.doc or {}).get("type")
        return doctype if isinstance(doctype, str) else ""


@dataclass(frozen=True, slots=True)
class PersonAccess:
    """What a person may read, as the database has it now."""

    name: str
    active: bool
    """False: disabled or deleted. He holds nothing then."""

    roles: frozenset[str]
    channels: frozenset[Channel]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a sink is. What `apply` stored last is what `checkpoint` answers."""

    epoch: str
    """Which database: another one means that nothing of this sink's data can be trusted."""

    since: str
    """Sequence to go on from, as the database writes it."""

    position: int = 0
    """The same as a number, for telling how far behind it is."""


@dataclass(frozen=True, slots=True)
class Batch:
    changes: Sequence[Change]
    """At most one of each document."""

    checkpoint: Checkpoint
    people: Sequence[PersonAccess] = field(default=())
    """Whose rights changed. Sinks without people of their own pass over them."""
    latest: int = 0
    """Where the database was when this was read, as a position: a sink for which changes are events, and not
    only documents, tells by its first batch what had happened before."""


class Sink(Protocol):
    """One copy. Calls come one after the other, from one event loop; what blocks belongs in a thread. None is
    cancelled.
    """

    @property
    def name(self) -> str:
        """`readstore`, `search`, …: for commands, figures and files."""

    async def open(self) -> None:
        """Makes or migrates what it needs. Raises `SinkUnavailableError`."""

    async def checkpoint(self) -> Checkpoint | None:
        """What the last applied batch said. None: it is empty."""

    async def apply(self, batch: Batch) -> None:
        """Stores all of it and its checkpoint, or nothing.

        Raises `SinkUnavailableError` if it can't store now, `TooMuchError` if it has to do it in parts,
        `DocumentRejectedError` if it never will store one of them; anything else is taken for a document that
        it can't store, which is then looked for.
        """

    async def rebuilding(self) -> Sink:
        """A new, empty generation beside this one, which stays as it is and is read until `switch`.

        Where one was begun and not finished, that one, with its checkpoint. It is opened already.
        """

    async def switch(self) -> None:
        """Of a generation that `rebuilding` made: from now on it is the one that is read and that the name
        opens; the one before is removed. At once for readers, and once and for all."""

    async def discard(self) -> None:
        """Of a generation that `rebuilding` made: removes it."""

    async def close(self) -> None:
        """Lets go of everything. Nothing is lost that `apply` has stored."""


@runtime_checkable
class Forgetting(Protocol):
    """A sink whose files keep earlier versions for a while after `apply` has replaced or removed them.

    Optional: of a sink without it, `apply` leaves nothing behind, or what it leaves is out of its reach.
    """

    async def forget(self) -> None:
        """Takes the bytes of everything that was replaced or removed so far off its files.

        Called once the sink has what an erasure wrote, or a withdrawal of what it is there for, before its
        ticket is confirmed; may be called again.
        Raises `SinkUnavailableError` if it can't now: then the ticket waits.
        """


@runtime_checkable
class Revisiting(Protocol):
    """A sink that has stored documents without something that it may get another time.

    Optional: of a sink without it, a stored document comes again when it changes.
    """

    async def due(self) -> Collection[str]:
        """Ids of some documents that it wants again now, as they are. They come as any change does; one that
        isn't named any more after it was applied is settled. Raises `SinkUnavailableError`."""
