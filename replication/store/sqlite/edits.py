"""Writing documents: what a batch does to a database, inside one transaction.

`Batch` reads what is there for all ids at once, judges and applies the documents one after the
other in memory, and writes the outcome with one statement per table. A document that is refused
leaves no trace; the others of its batch are not touched by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite, stored_text
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.partitions import check_partitioned_id
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import (
    Path,
    Rev,
    format_rev,
    new_revision_hash,
)
from replication.protocol.sequences import Epochs
from replication.store.interface import WriteCheck
from replication.store.sqlite.blobs import Attached, AttachmentTable, stubs_text
from replication.store.sqlite.entries import (
    ROW,
    Entry,
    StoredBody,
    change_text,
    leaves_text,
    revisions_text,
)
from replication.store.sqlite.reading import id_list
from replication.store.sqlite.transaction import ChangedDocument, Transaction, WrittenRevision
from replication.store.values import Document

_FETCH_ONE = f"SELECT {ROW} FROM docs WHERE id = ?"
_FETCH_MANY = (
    f"SELECT {ROW} FROM (SELECT value AS asked FROM json_each(?)) CROSS JOIN docs ON docs.id = asked"
)


class Batch:
    """One call of `Database.write`."""

    def __init__(
        self,
        transaction: Transaction,
        epochs: Epochs,
        revs_limit: int,
        check: WriteCheck | None,
        *,
        partitioned: bool = False,
    ) -> None:
        self._transaction = transaction
        self._connection = transaction.connection
        self._counters = transaction.counters
        self._epoch = epochs.current
        self._limit = revs_limit
        self._check = check
        self._partitioned = partitioned
        self._entries: dict[str, Entry] = {}
        self._stored_seq: dict[str, int] = {}
        self._touched: dict[str, Entry] = {}
        self._bodies: dict[int, bytes] = {}
        self._quoted: dict[str, str] = {}
        self._branched: dict[str, dict[str, StoredBody]] = {}
        """Documents that got branches, each with the bodies of all its revisions."""
        self._attachments = AttachmentTable(self._connection)
        self._written: dict[str, list[WrittenRevision]] | None = None if transaction.changed is None else {}
        """What was stored of each document; None if nobody wants to hear of it."""
        self.purged: dict[str, list[str]] = {}
        """The leaves that documents lost, for whoever hears of it."""

    def run(self, docs: Sequence[DocumentWrite], replicated: bool) -> list[str | ProtocolError]:
        self._fetch([doc.id for doc in docs])
        apply = self._apply_replicated if replicated else self._apply_edit
        results: list[str | ProtocolError] = []
        for doc in docs:
            if self._branched and (not replicated or doc.attachments or self._check is not None):
                self._settle(doc.id)
            try:
                if self._partitioned:
                    check_partitioned_id(doc.id)
                results.append(apply(doc, self._entries.get(doc.id)))
            except ProtocolError as error:
                results.append(error)
        self.flush()
        return results

    # -- judging -------------------------------------------------------------------------------

    def _apply_edit(self, doc: DocumentWrite, entry: Entry | None) -> str:
        parent = doc.parent
        if entry is None:
            if parent is not None:
                raise errors.conflict()
        elif entry.deleted:
            # Only a new beginning may follow the tombstones: it names no revision and is no deletion.
            if parent is not None or doc.deleted:
                raise errors.conflict()
            parent = entry.winner
        elif parent is None:
            raise errors.conflict()
        elif entry.leaves == 1:
            if format_rev(parent) != entry.rev:
                raise errors.conflict()
        elif parent not in entry.tree.leaves():
            raise errors.conflict()
        if self._check is not None:
            self._check(doc, self._winner_document(entry))
        generation = parent[0] + 1 if parent else 1
        attached: dict[str, Attached] = {}
        if doc.attachments:
            known = self._attached_to(entry, parent) if entry and parent else {}
            attached = self._attachments.resolve(doc, generation, [known], keep_revpos=False)
        digest = new_revision_hash(
            parent,
            doc.deleted,
            doc.body,
            [(name, a.content_type, a.digest) for name, a in attached.items()],
        )
        rev = (generation, digest)
        if entry is None:
            self._create(doc, Path(generation, [digest]), attached)
        elif entry.is_linear:
            old = StoredBody(entry.body, bool(entry.deleted), bool(entry.attached))
            old_rev = entry.rev
            entry.push_linear(generation, digest, self._limit)
            self._replace_winner(entry, doc, rev, attached, old_rev, old)
        else:
            assert parent is not None
            if rev in entry.tree:
                raise errors.conflict()
            self._store_branch(entry, Path(generation, [digest, parent[1]]), doc, attached)
        return format_rev(rev)

    def _apply_replicated(self, doc: DocumentWrite, entry: Entry | None) -> str:
        path = doc.path
        if path is None:
            raise errors.bad_request("A replicated document needs its revision")
        rev = path.leaf
        if entry is not None and entry.knows(rev):
            return format_rev(rev)
        if self._check is not None:
            self._check(doc, self._winner_document(entry))
        attached: dict[str, Attached] = {}
        if doc.attachments:
            ancestors = (
                [self._attached_to(entry, at) for at in path.revisions()[1:] if entry.knows(at)]
                if entry is not None
                else []
            )
            attached = self._attachments.resolve(doc, path.start, ancestors, keep_revpos=True)
        # Only what has been united with the tree is stemmed: the part of the history that goes may be what
        # tells that the revision follows one that is here.
        if entry is None:
            self._create(doc, Path(path.start, path.ids[: self._limit]), attached)
            return format_rev(rev)
        if entry.is_linear:
            start, ids = entry.linear
            above = path.start - start
            if 0 < above < len(path.ids) and path.ids[above] == ids[0]:
                old = StoredBody(entry.body, bool(entry.deleted), bool(entry.attached))
                old_rev = entry.rev
                entry.set_linear(Path(path.start, [*path.ids[:above], *ids][: self._limit]))
                self._replace_winner(entry, doc, rev, attached, old_rev, old)
                return format_rev(rev)
        self._store_branch(entry, path, doc, attached)
        return format_rev(rev)

    # -- applying ------------------------------------------------------------------------------

    def _create(self, doc: DocumentWrite, path: Path, attached: dict[str, Attached]) -> None:
        seq = self._next_seq()
        rev = format_rev(path.leaf)
        ids = '","'.join(path.ids)
        text = f'{{"start":{path.start},"ids":["{ids}"]}}'.encode()
        entry = Entry(doc.id, seq, seq, rev, doc.deleted, seq, 1, bool(attached), text)
        self._put_body(seq, doc, rev, attached, None, 0)
        counters = self._counters
        if doc.deleted:
            counters.deleted_count += 1
        else:
            counters.doc_count += 1
            self._transaction.shown.append((doc.id, 1))
        self._entries[doc.id] = self._touched[doc.id] = entry

    def _replace_winner(
        self,
        entry: Entry,
        doc: DocumentWrite,
        rev: Rev,
        attached: dict[str, Attached],
        old_rev: str,
        old: StoredBody,
    ) -> None:
        """The only branch grew by one: its old end keeps its body, and is no leaf."""
        seq = self._next_seq()
        self._connection.execute(
            "INSERT OR REPLACE INTO revs VALUES (?, ?, ?, ?, 0, ?)",
            (entry.num, old_rev, old.body, old.deleted, old.attached),
        )
        entry.rev = format_rev(rev)
        self._put_body(seq, doc, entry.rev, attached, old_rev, old.body)
        entry.body = seq
        entry.attached = bool(attached)
        self._count(entry, doc.deleted)
        self._touch(entry, seq)

    def _store_branch(
        self, entry: Entry, path: Path, doc: DocumentWrite, attached: dict[str, Attached]
    ) -> None:
        """Adds to a tree with several leaves. Which of them wins is found out once for all, by `_settle`."""
        seq = self._next_seq()
        rev = format_rev(path.leaf)
        if entry.id not in self._branched:
            self._branched[entry.id] = self.stored_bodies(entry)
        stored = self._branched[entry.id]
        parent = next((name for at in path.revisions()[1:] if (name := format_rev(at)) in stored), None)
        parent_body = 0 if parent is None else stored[parent].body
        forgotten = stored.get(rev)
        stored[rev] = StoredBody(seq, doc.deleted, bool(attached))
        self._put_body(seq, doc, rev, attached, parent, parent_body)
        if forgotten is not None:  # stemmed away, and its text not yet compacted
            self._drop_body(forgotten.body)
        entry.open_tree().add(path, doc.deleted)
        self._touch(entry, seq)

    def stored_bodies(self, entry: Entry) -> dict[str, StoredBody]:
        """Every revision of a document that has a text, by its id."""
        stored = {entry.rev: StoredBody(entry.body, bool(entry.deleted), bool(entry.attached))}
        for name, body, deleted, attached in self._connection.execute(
            "SELECT rev, body, deleted, attached FROM revs WHERE doc = ?", (entry.num,)
        ):
            stored[name] = StoredBody(body, bool(deleted), bool(attached))
        return stored

    def _settle(self, docid: str) -> None:
        """Finishes what `_store_branch` began, for whoever needs the winner or the tables."""
        stored = self._branched.pop(docid, None)
        if stored is not None:
            entry = self._entries[docid]
            tree = entry.tree
            tree.stem(self._limit)
            self.place(entry, tree, stored)

    def place(self, entry: Entry, tree: RevisionTree, stored: dict[str, StoredBody]) -> None:
        """Writes which of the stored bodies is the winner's, which are leaves, which are ancestors."""
        leaves = tree.leaves()
        winner = format_rev(leaves[0])
        names = {format_rev(leaf) for leaf in leaves}
        self._connection.execute("DELETE FROM revs WHERE doc = ?", (entry.num,))
        self._connection.executemany(
            "INSERT INTO revs VALUES (?, ?, ?, ?, ?, ?)",
            [
                (entry.num, name, at.body, at.deleted, name in names, at.attached)
                for name, at in stored.items()
                if name != winner
            ],
        )
        entry.rev = winner
        entry.body = stored[winner].body
        entry.attached = stored[winner].attached
        entry.leaves = len(leaves)
        self._count(entry, tree.is_deleted(leaves[0]))
        entry.set_tree(tree)

    def _count(self, entry: Entry, deleted: bool) -> None:
        if bool(entry.deleted) != deleted:
            step = -1 if deleted else 1
            self._counters.doc_count += step
            self._counters.deleted_count -= step
            self._transaction.shown.append((entry.id, step))
            entry.deleted = deleted

    def _next_seq(self) -> int:
        self._counters.update_seq += 1
        return self._counters.update_seq

    def touch(self, entry: Entry) -> None:
        """Gives a document that changed a new place in the feed."""
        self._touch(entry, self._next_seq())

    def _touch(self, entry: Entry, seq: int) -> None:
        entry.seq = seq
        self._touched[entry.id] = entry

    def _put_body(
        self,
        seq: int,
        doc: DocumentWrite,
        rev: str,
        attached: dict[str, Attached],
        parent: str | None,
        parent_body: int,
    ) -> None:
        stubs = b""
        if attached:
            self._attachments.refer(seq, attached)
            stubs = stubs_text(attached)
        text = stored_text(self._quote(doc.id), rev, doc.deleted, doc.body, stubs)
        self._counters.external_size += len(text)
        self._bodies[seq] = text
        if self._written is not None:
            one = WrittenRevision(rev, doc.deleted, text, parent, parent_body, doc.note)
            self._written.setdefault(doc.id, []).append(one)

    def _drop_body(self, seq: int) -> None:
        pending = self._bodies.pop(seq, None)
        if pending is None:
            drop_bodies(self._transaction, [seq])
            return
        self._counters.external_size -= len(pending)
        for num in self._attachments.release([seq]):
            self._attachments.remove(num)

    def _quote(self, docid: str) -> str:
        quoted = self._quoted.get(docid)
        if quoted is None:
            quoted = self._quoted[docid] = jsontext.quote(docid)
        return quoted

    # -- reading and writing tables ------------------------------------------------------------

    def _fetch(self, ids: Sequence[str]) -> None:
        rows = (
            self._connection.execute(_FETCH_ONE, (ids[0],))
            if len(ids) == 1
            else self._connection.execute(_FETCH_MANY, (id_list(set(ids)),))
        )
        for row in rows:
            entry = Entry(*row)
            self._entries[entry.id] = entry
            self._stored_seq[entry.id] = entry.seq

    def entry(self, docid: str) -> Entry | None:
        """The document as this transaction sees it."""
        if docid not in self._entries:
            self._fetch([docid])
        return self._entries.get(docid)

    def _winner_document(self, entry: Entry | None) -> Document | None:
        if entry is None:
            return None
        return Document(
            entry.id,
            entry.rev,
            bool(entry.deleted),
            self._body(entry.body),
            revisions_text(entry.text, bool(entry.deleted), entry.rev),
            bool(entry.attached),
            entry.seq,
            entry.leaves > 1,
        )

    def _body(self, seq: int) -> bytes:
        pending = self._bodies.get(seq)
        if pending is not None:
            return pending
        row = self._connection.execute("SELECT text FROM bodies WHERE seq = ?", (seq,)).get
        return bytes(row)

    def _attached_to(self, entry: Entry, rev: Rev) -> dict[str, Attached]:
        name = format_rev(rev)
        if name == entry.rev:
            return self._attachments.of_body(entry.body) if entry.attached else {}
        body = self._connection.execute(
            "SELECT body FROM revs WHERE doc = ? AND rev = ? AND attached", (entry.num, name)
        ).get
        return {} if body is None else self._attachments.of_body(body)

    def flush(self) -> None:
        """Writes what `run`, `place` and `touch` left in memory."""
        touched = self._touched
        if not touched:
            return
        for docid in list(self._branched):
            self._settle(docid)
        connection = self._connection
        old = [(self._stored_seq[docid],) for docid in touched if docid in self._stored_seq]
        if old:
            connection.executemany("DELETE FROM changes WHERE seq = ?", old)
        connection.executemany("INSERT INTO bodies VALUES (?, ?)", self._bodies.items())
        rows = []
        for docid, entry in touched.items():
            if docid.startswith(DESIGN_PREFIX):
                self._transaction.designs = True
            seq = f"{entry.seq}-{self._epoch}"
            quoted = self._quote(docid)
            rows.append(
                (
                    entry.seq,
                    docid,
                    entry.deleted,
                    entry.body,
                    change_text(seq, quoted, [entry.rev], bool(entry.deleted)),
                    leaves_text(seq, entry, quoted),
                )
            )
        connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.executemany(
            "INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [entry.row() for entry in touched.values()],
        )
        self._transaction.moved += [
            (self._stored_seq.get(docid, 0), entry.seq) for docid, entry in touched.items()
        ]
        if self._transaction.changed is not None:
            self._transaction.changed += [
                ChangedDocument(
                    docid,
                    entry.num,
                    self._stored_seq.get(docid, 0),
                    entry.seq,
                    entry.rev,
                    bool(entry.deleted),
                    self._body(entry.body),
                    entry.leaves,
                    self._written.get(docid, ()) if self._written else (),
                    self.purged.get(docid, ()),
                )
                for docid, entry in touched.items()
            ]


def drop_bodies(transaction: Transaction, bodies: Iterable[int]) -> None:
    """Deletes texts, and attachments that only they refer to."""
    connection = transaction.connection
    table = AttachmentTable(connection)
    numbers = list(bodies)
    for num in table.release(numbers):
        table.remove(num)
    for body in numbers:
        size = connection.execute("SELECT length(text) FROM bodies WHERE seq = ?", (body,)).get
        transaction.counters.external_size -= size or 0
        connection.execute("DELETE FROM bodies WHERE seq = ?", (body,))
