"""What the gate needs of the feed index, of the business and of the chain of writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from kompass.access import Matrix, Parents, Principal, Relation, Role
from kompass.audit import Refused
from kompass.domain.changes import Change, Facts, NoFacts
from kompass.domain.refusals import Refusal
from replication.protocol.revisions import Path, Rev
from replication.store.sqlite import Reading, Writing
from replication.store.values import Document


class Index(Protocol):
    """Who sees what, and what a device may have been told. `user` is a person's name."""

    def sees(self, reading: Reading, user: str, docids: Iterable[str]) -> set[str]:
        """Which of these he may read now, deleted documents included."""

    def readable(self, reading: Reading, user: str, docids: Iterable[str]) -> dict[str, Document]:
        """The winners of what `sees` names, if the rules agree: asked before a text is shown to him."""

    def may_hold(self, reading: Reading, user: str, docids: Collection[str]) -> dict[str, set[Rev]]:
        """The stored and purged revisions that he may have been sent before he saw a document no more."""

    def purged(self, reading: Reading, docids: Iterable[str]) -> dict[str, set[Rev]]:
        """The revisions of those of these that were purged, whether or not there is such a document again."""

    def knew(self, reading: Reading, docids: Iterable[str]) -> set[str]:
        """Which of these the database has ever had, purged ones included."""

    def roles(self, reading: Reading, user: str) -> frozenset[Role] | None:
        """None if he has no active record."""

    def relations(self, reading: Reading, user: str) -> AbstractSet[Relation]:
        """What stored documents say about him, as long as the snapshot lasts."""

    def parents(self, reading: Reading) -> Parents: ...

    def knows_tombstone(self, docid: str, rev: Rev) -> bool:
        """Whether the revision is a synthetic tombstone of ours."""

    def keyed_revision(self, docid: str, parent: Rev | None, body: bytes) -> str:
        """The hash of a revision that the server makes: nobody can confirm a body by it."""

    def matrix(self, reading: Reading) -> Matrix:
        """The permissions that are in force."""

    def reads_text(self, reading: Reading, principal: Principal, doc: Mapping[str, Any]) -> bool:
        """Whether the rules let somebody read such a text, fields that belong in companions included."""

    def refuse(self, writing: Writing, user: str, docid: str, path: Path) -> None:
        """Closes the refused revision on his devices. Calling it again changes nothing."""

    def reopen(self, writing: Writing, user: str, closed: Mapping[str, Rev]) -> None:
        """Shows him documents again that he may see and has closed with these tombstones of ours."""


class Business(Protocol):
    """The rules that every document keeps, whoever writes it. Called in the writing thread: they are quick,
    and don't raise.
    """

    def facts(self, reading: Reading) -> Facts:
        """What they may know of other documents in this state."""

    def check(self, change: Change, facts: Facts) -> Refusal | None:
        """Why the change can't be stored; None if it can."""

    def check_mirrored(self, change: Change, facts: Facts) -> Refusal | None:
        """The same of what is mirrored from elsewhere, in whatever state it is there."""


class NoBusiness:
    """A business without rules."""

    def facts(self, reading: Reading) -> Facts:
        return NoFacts()

    def check(self, change: Change, facts: Facts) -> Refusal | None:
        return None

    def check_mirrored(self, change: Change, facts: Facts) -> Refusal | None:
        return None


class Audit(Protocol):
    """The chain of writes. What is stored enters it by itself."""

    def refused(self, writing: Writing, refusals: Iterable[Refused]) -> None:
        """Enters what was refused, by whoever is at work."""

    def exported(self, writing: Writing, what: str, since: str, until: str, files: Sequence[str]) -> None:
        """Enters that he took out files about the days from `since` to `until`."""

    def settled(self, writing: Writing, what: str, nums: Sequence[int]) -> None:
        """Enters that he settled errors with these numbers; `what` says how."""


class NoAudit:
    """Nothing is kept of what was refused."""

    def refused(self, writing: Writing, refusals: Iterable[Refused]) -> None:
        pass

    def exported(self, writing: Writing, what: str, since: str, until: str, files: Sequence[str]) -> None:
        pass

    def settled(self, writing: Writing, what: str, nums: Sequence[int]) -> None:
        pass
