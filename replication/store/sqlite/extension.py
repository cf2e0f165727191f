"""Tables of somebody else in a database's file, kept in step with its documents.

Whoever derives something from documents, such as who may see them, needs it written with them or not
at all. An `Extension` has tables of its own in the file, hears of every change inside its transaction,
whichever way the change came, and may write documents that follow from it.

`Reading` and `Writing` are a database from inside one transaction: plain functions, no waiting.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import apsw
import orjson

from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev
from replication.protocol.sequences import Epochs
from replication.store.interface import WriteCheck
from replication.store.sqlite import forgetting, reading
from replication.store.sqlite.blobs import AttachmentTable
from replication.store.sqlite.compaction import Ancestor
from replication.store.sqlite.edits import Batch
from replication.store.sqlite.forgetting import Emptied
from replication.store.sqlite.transaction import ChangedDocument, Transaction, WrittenRevision
from replication.store.values import AttachmentInfo, Change, Document, LocalDocument, Missing

__all__ = [
    "Ancestor",
    "ChangedDocument",
    "Emptied",
    "Extension",
    "Reading",
    "Writing",
    "WrittenRevision",
]


class Revisions(NamedTuple):
    """A document's tree and where it stands."""

    tree: RevisionTree
    winner: Rev
    deleted: bool
    """Whether the winner is a deletion."""
    seq: int


class Reading:
    """A database as one commit left it, or as a transaction has it so far."""

    def __init__(self, connection: apsw.Connection, epochs: Epochs) -> None:
        self.connection = connection
        """For the extension's own tables. Its statements see the same state."""
        self.epochs = epochs

    @property
    def update_seq(self) -> int:
        """The number of the latest change in this state."""
        row = self.connection.execute("SELECT update_seq FROM counters").get
        return int(row)

    def winner(self, docid: str) -> Document | None:
        return reading.winner(self.connection, docid)

    def winners(self, docids: Iterable[str]) -> dict[str, Document]:
        return reading.winners(self.connection, docids)

    def changes(self, numbers: Iterable[int]) -> list[Change]:
        """The documents whose latest change has one of these numbers, with all leaves."""
        rows: Any = self.connection.execute(
            "SELECT seq, changes.id, deleted, coalesce(leaves, winner)"
            " FROM json_each(?) CROSS JOIN changes ON seq = value",
            (reading.id_list(numbers),),
        )
        return [Change(seq, docid, bool(deleted), text, None) for seq, docid, deleted, text in rows]

    def revisions(self, docid: str) -> Revisions | None:
        found = reading.entry(self.connection, docid)
        return None if found is None else Revisions(found.tree, found.winner, bool(found.deleted), found.seq)

    def revision(self, docid: str, rev: Rev) -> Document | None:
        """A revision whose body is stored."""
        found = reading.entry(self.connection, docid)
        documents = [] if found is None else reading.revision(self.connection, found, rev, False)
        return documents[0] if documents else None

    def leaves(self, docid: str) -> list[Document]:
        """The winner first."""
        found = reading.entry(self.connection, docid)
        return [] if found is None else reading.leaves(self.connection, found)

    def missing_revisions(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        return reading.missing_revisions(self.connection, asked)

    def attachments(self, docid: str, rev: Rev) -> dict[str, AttachmentInfo]:
        """What a stored revision has attached."""
        found = reading.entry(self.connection, docid)
        if found is None or not found.knows(rev):
            return {}
        body: int | None = found.body
        if found.winner != rev:
            body = self.connection.execute(
                "SELECT body FROM revs WHERE doc = ? AND rev = ?", (found.num, f"{rev[0]}-{rev[1]}")
            ).get
        if body is None:
            return {}
        return {name: one.info(name) for name, one in AttachmentTable(self.connection).of_body(body).items()}

    def local(self, docid: str) -> LocalDocument | None:
        """`docid` without `_local/`."""
        return reading.local(self.connection, docid)

    def body(self, number: int) -> bytes | None:
        """The text of the revision that change `number` brought, as long as it is stored."""
        found = self.connection.execute("SELECT text FROM bodies WHERE seq = ?", (number,)).get
        return None if found is None else bytes(found)

    def bodies(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """The same of many; those that aren't stored any more are left out."""
        rows: Any = self.connection.execute(
            "SELECT seq, text FROM json_each(?) CROSS JOIN bodies ON seq = value",
            (reading.id_list(numbers),),
        )
        return dict(rows)


MOST_SEEN = 5000
"""Texts that a transaction remembers, and then forgets."""


class Writing(Reading):
    """A database inside the transaction that writes it. What is written shows in reads at once."""

    def __init__(
        self, transaction: Transaction, epochs: Epochs, revs_limit: int, *, partitioned: bool
    ) -> None:
        super().__init__(transaction.connection, epochs)
        self._transaction = transaction
        self.told: Callable[[Sequence[ChangedDocument]], None] | None = None
        """Who hears of changes; set by the database."""
        self._revs_limit = revs_limit
        self._partitioned = partitioned
        self._seen: dict[str, tuple[str, bytes]] = {}

    def winner(self, docid: str) -> Document | None:
        found = super().winner(docid)
        if found is not None:
            self._see([found])
        return found

    def winners(self, docids: Iterable[str]) -> dict[str, Document]:
        found = super().winners(docids)
        self._see(found.values())
        return found

    def _see(self, documents: Iterable[Document]) -> None:
        if len(self._seen) > MOST_SEEN:
            self._seen.clear()
        for document in documents:
            self._seen[document.id] = document.rev, document.text

    def seen(self, docid: str, rev: str | None) -> bytes | None:
        """The text of a revision that somebody has read as the winner in this transaction; None if nobody is
        known to have. It needn't be read again.
        """
        found = self._seen.get(docid)
        return found[1] if found is not None and found[0] == rev else None

    @property
    def update_seq(self) -> int:
        return self._transaction.counters.update_seq

    def next_seq(self) -> int:
        """Uses up a sequence number for something that is no change of a document.

        Readers of the whole database find no row under it, as after a purge.
        """
        self._transaction.counters.update_seq += 1
        return self._transaction.counters.update_seq

    def write(
        self, docs: Sequence[DocumentWrite], *, replicated: bool = False, check: WriteCheck | None = None
    ) -> list[str | ProtocolError]:
        """As `Database.write`. The extension hears of it when the job that runs has ended."""
        batch = Batch(self._transaction, self.epochs, self._revs_limit, check, partitioned=self._partitioned)
        return batch.run(docs, replicated)

    def forget(self, docid: str) -> list[Emptied] | None:
        """Leaves of a document only what its live winner says: texts and attachments of earlier revisions go.

        The tree stays. Other leaves, and a deletion that has a text, are emptied and returned. None if there
        is no such document. Bytes are overwritten only inside `overwriting`; see `SqliteDatabase.scrub`.
        """
        self.settle()
        self._seen.clear()
        return forgetting.forget(self._transaction, docid)

    def overwriting(self) -> AbstractContextManager[None]:
        """What is deleted in the block is overwritten in the file."""
        self._transaction.overwriting = True
        return forgetting.overwriting(self.connection)

    def settle(self) -> None:
        """Lets the extension hear now of what was written so far, for who must see what follows from it."""
        transaction = self._transaction
        while self.told is not None and transaction.changed:
            changed, transaction.changed = transaction.changed, []
            self.told(changed)

    def tell(self, note: object) -> None:
        """`note` is given to `Extension.committed` if the transaction commits."""
        self._transaction.notes.append(note)


class Extension(ABC):
    """What somebody adds to a database. Methods are called in the database's writing thread."""

    def make_tables(self, connection: apsw.Connection) -> None:  # noqa: B027 - few have tables
        """Makes the extension's tables, or those of an earlier version what they are now, before `prepare`.

        Their names have a prefix of the extension's own. Called in a transaction, in each copy of a database
        for itself: what is done here must follow from what is in the file, and from nothing else.
        """

    @abstractmethod
    def prepare(self, writing: Writing) -> None:
        """Fills the extension's tables, when the file is opened, if they lack something.

        The changes it makes to documents here are told to `changed` as usual.
        """

    @abstractmethod
    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        """Documents have changed in this transaction. Called again for what is written here.

        Raising undoes the whole job, which fails with what was raised.
        """

    @abstractmethod
    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        """A commit is durable, and readers see it; nobody has been answered yet. `notes`: see `tell`."""

    def shared(self, notes: Sequence[object]) -> str | None:
        """What the extension must know of these notes in other copies of the database; None for nothing.
        Called in the transaction."""
        return None

    def played(self, update_seq: int, shared: str | None) -> None:  # noqa: B027 - few want to know
        """A commit of another copy is durable here, as `committed` tells of this one's. `shared`: what the
        extension said there.
        """

    @property
    def checks(self) -> bool:
        """Whether `check` is to be asked: it costs a look at the stored document."""
        return type(self).check is not Extension.check

    def check(self, writing: Writing, write: DocumentWrite, winner: Document | None) -> ProtocolError | None:
        """Why a document can't be stored that comes by a door where nobody of the database's own judges it.

        Asked for each document of `Database.write` that is neither stored already nor in conflict; not for
        what a job of `transact` writes, which has its own judges. `winner` is the stored one, earlier
        documents of the same call counted in; `writing` doesn't show those yet. A refusal concerns the one
        document.
        """
        return None

    def check_purge(self, writing: Writing, docid: str, revs: Sequence[Rev]) -> ProtocolError | None:
        """Why these leaves can't be purged. A refusal concerns the whole request, which purges nothing."""
        return None

    def check_refused(  # noqa: B027 - few want to know
        self,
        writing: Writing,
        docid: str,
        write: DocumentWrite | None,
        error: ProtocolError,
        by: str = "door",
    ) -> None:
        """Something was refused: with 401 or 403 by `check`, `check_purge` or the judge that the caller of
        `Database.write` gave, with 409 as a conflict, or by `validation`, which `by` says then. Called in the
        transaction, but for a validation that of the write. `write` is None for a purge.
        """

    def check_drop(self) -> ProtocolError | None:
        """Why the database can't be deleted."""
        return None

    def drop_refused(self, writing: Writing, error: ProtocolError) -> None:  # noqa: B027 - few want to know
        """`check_drop` has refused."""

    def secured(self, writing: Writing, before: bytes, after: bytes) -> None:  # noqa: B027 - few want to know
        """Its security object says now who may use the database. Called in the transaction."""

    def keeps(self, reading: Reading, ancestors: Sequence[Ancestor]) -> AbstractSet[int]:
        """Which of these compaction leaves, by `Ancestor.body`; their attachments stay with them."""
        return frozenset()

    def closed(self) -> None:  # noqa: B027 - few have something to do then
        """The database is closed, for it was deleted or the store is closed. Called in any thread."""


class Several(Extension):
    """Extensions of one database, told in order. What one of them writes is told to all."""

    def __init__(self, *extensions: Extension) -> None:
        self.extensions = extensions

    def make_tables(self, connection: apsw.Connection) -> None:
        for extension in self.extensions:
            extension.make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        for extension in self.extensions:
            extension.prepare(writing)

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for extension in self.extensions:
            extension.changed(writing, documents)

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        for extension in self.extensions:
            extension.committed(update_seq, notes)

    def shared(self, notes: Sequence[object]) -> str | None:
        said = [extension.shared(notes) for extension in self.extensions]
        return None if said.count(None) == len(said) else orjson.dumps(said).decode()

    def played(self, update_seq: int, shared: str | None) -> None:
        said = [None] * len(self.extensions) if shared is None else orjson.loads(shared)
        for extension, one in zip(self.extensions, said, strict=True):
            extension.played(update_seq, one)

    @property
    def checks(self) -> bool:
        return any(extension.checks for extension in self.extensions)

    def check(self, writing: Writing, write: DocumentWrite, winner: Document | None) -> ProtocolError | None:
        for extension in self.extensions:
            error = extension.check(writing, write, winner)
            if error is not None:
                return error
        return None

    def check_purge(self, writing: Writing, docid: str, revs: Sequence[Rev]) -> ProtocolError | None:
        for extension in self.extensions:
            error = extension.check_purge(writing, docid, revs)
            if error is not None:
                return error
        return None

    def check_refused(
        self,
        writing: Writing,
        docid: str,
        write: DocumentWrite | None,
        error: ProtocolError,
        by: str = "door",
    ) -> None:
        for extension in self.extensions:
            extension.check_refused(writing, docid, write, error, by)

    def check_drop(self) -> ProtocolError | None:
        refusals = (extension.check_drop() for extension in self.extensions)
        return next((error for error in refusals if error is not None), None)

    def drop_refused(self, writing: Writing, error: ProtocolError) -> None:
        for extension in self.extensions:
            extension.drop_refused(writing, error)

    def secured(self, writing: Writing, before: bytes, after: bytes) -> None:
        for extension in self.extensions:
            extension.secured(writing, before, after)

    def keeps(self, reading: Reading, ancestors: Sequence[Ancestor]) -> AbstractSet[int]:
        return frozenset().union(*(extension.keeps(reading, ancestors) for extension in self.extensions))

    def closed(self) -> None:
        for extension in self.extensions:
            extension.closed()
