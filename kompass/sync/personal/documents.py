"""Reading documents one by one: winners, revisions, histories, attachments.

What he may read of a document (one he sees now): the winner, without its body if that is a deletion; other
deleted leaves, without theirs; revisions that he wrote himself; the ids of their histories. Of a document he
may have seen before: the tombstones that take it off his devices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from kompass.sync.index import FeedRow
from kompass.sync.personal.person import Person, shown
from replication.protocol.attachments import StagedAttachment
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.store.sqlite import Reading, Revisions
from replication.store.values import AttachmentInfo, Document, Missing, MissingRevision


class Documents(Person):
    """The reads of single documents."""

    async def winner(self, docid: str) -> Document | None:
        return (await self.winners([docid])).get(docid)

    async def winners(self, docids: Sequence[str]) -> dict[str, Document]:
        public = await self._public_among(docids)
        with self._reading() as reading:
            found = self._winners(reading, docids)
        found.update({docid: public[docid] for docid in docids if docid in public})
        return found

    async def with_attachments(self, docid: str) -> tuple[Document, Mapping[str, AttachmentInfo]] | None:
        """The winner, and what is attached to it just then; None if he sees no such document."""
        with self._reading() as reading:
            winner = self._winners(reading, [docid]).get(docid)
            if winner is None:
                return None
            has_any = winner.has_attachments and not winner.deleted
            return winner, reading.attachments(docid, parse_rev(winner.rev)) if has_any else {}

    async def tree(self, docid: str) -> RevisionTree | None:
        """The histories of the leaves he may know; None if he sees no such document."""
        public = await self._public_among([docid])
        tree = RevisionTree()
        if docid in public:
            with self._reading() as reading:
                state = reading.revisions(docid)
            if state is None:
                return None
            tree.add(state.tree.path(state.winner), state.deleted)
            return tree
        with self._reading() as reading:
            row = self._row(reading, docid)
            state = reading.revisions(docid)
            if row is None or state is None:
                return None
            tree.add(state.tree.path(state.winner), state.deleted)
            for rev in map(parse_rev, row.closed):
                tree.add(state.tree.path(rev), True)
            for rev in map(parse_rev, row.tombstones):
                path = self._index.tombstone_path(reading, self._user, docid, rev)
                if path is not None:
                    tree.add(path, True)
        return tree

    def _row(self, reading: Reading, docid: str) -> FeedRow | None:
        """The row of a document that he sees."""
        if not self._sees(reading, docid):
            return None
        return self._index.row_of(reading, self._user, docid)

    async def available(self, docid: str) -> dict[Rev, bool]:
        public = await self._public_among([docid])
        if docid in public:
            return {parse_rev(public[docid].rev): False}
        with self._reading() as reading:
            row = self._row(reading, docid)
        if row is None or row.winner is None:
            return {}
        known = {parse_rev(row.winner): row.deleted}
        known.update({parse_rev(rev): True for rev in (*row.closed, *row.tombstones)})
        return known

    async def revision(self, docid: str, rev: Rev, *, latest: bool = False) -> list[Document]:
        public = await self._public_among([docid])
        with self._reading() as reading:
            return self._revision(reading, docid, rev, latest, public)

    def _revision(
        self, reading: Reading, docid: str, rev: Rev, latest: bool, public: Mapping[str, Document]
    ) -> list[Document]:
        if self._index.knows_tombstone(docid, rev):
            tombstone = self._tombstone(reading, docid, rev)
            return [] if tombstone is None else [tombstone]
        if docid not in public and not self._sees(reading, docid):
            return []
        state = reading.revisions(docid)
        if state is None:
            return []
        leaves = state.tree.leaves_below(rev) if latest and rev in state.tree else [rev]
        found = []
        for leaf in leaves:
            if self._readable(reading, docid, leaf, state):
                document = reading.revision(docid, leaf)
                if document is not None:
                    found.append(shown(document))
        return found

    def _readable(self, reading: Reading, docid: str, rev: Rev, state: Revisions) -> bool:
        """Whether a revision of a document that he sees is one that he may read."""
        if rev == state.winner or (state.tree.is_deleted(rev) and rev in state.tree.leaves()):
            return True
        return rev in state.tree and self._shared.author_of(reading, docid, rev) == self._user

    async def leaves(self, docid: str) -> list[Document]:
        """The winner, and what closes other branches. Only the latter of a document he sees no more."""
        public = await self._public_among([docid])
        with self._reading() as reading:
            return self._leaves(reading, [docid], self._winners(reading, [docid]), public)[docid]

    def _leaves(
        self,
        reading: Reading,
        docids: Collection[str],
        winners: Mapping[str, Document],
        public: Mapping[str, Document],
    ) -> dict[str, list[Document]]:
        """`leaves` of each of several documents. `winners`: of those among them that he sees."""
        asked = [docid for docid in docids if not docid.startswith(DESIGN_PREFIX)]
        rows = self._index.rows(reading, self._user, 0, len(asked), docids=asked) if asked else ()
        found: dict[str, list[Document]] = {
            docid: [public[docid]] if docid in public else [] for docid in docids
        }
        for row in rows:
            known: list[Document | None] = []
            if row.winner is not None and row.id in winners:
                known.append(winners[row.id])
                known += [reading.revision(row.id, parse_rev(rev)) for rev in row.closed]
            known += [self._tombstone(reading, row.id, parse_rev(rev)) for rev in row.tombstones]
            found[row.id] = [shown(document) for document in known if document is not None]
        return found

    async def bulk_get(
        self, requests: Sequence[tuple[str, Rev | None]], *, latest: bool = False
    ) -> list[list[Document | MissingRevision]]:
        """A revision of a document that he has lost is answered by the tombstone that closes it."""
        docids = {docid: None for docid, _ in requests}
        public = await self._public_among(docids)
        answers: dict[tuple[str, Rev | None], list[Document | MissingRevision]] = {}
        with self._reading() as reading:
            winners = self._winners(reading, docids)
            whole = dict.fromkeys(docid for docid, rev in requests if rev is None)
            leaves = self._leaves(reading, whole, winners, public) if whole else {}
            for docid, rev in dict.fromkeys(requests):
                winner = winners.get(docid)
                if rev is None:
                    answers[docid, rev] = [*leaves[docid]]
                elif winner is not None and winner.rev == format_rev(rev):
                    answers[docid, rev] = [winner]
                else:
                    found = self._revision(reading, docid, rev, latest, public)
                    if not found and winner is None:
                        found = self._lost(reading, docid, rev)
                    answers[docid, rev] = [*found] if found else [MissingRevision(docid, format_rev(rev))]
        return [answers[request] for request in requests]

    def _lost(self, reading: Reading, docid: str, rev: Rev) -> list[Document]:
        """The tombstone of a revision he asks for, of a document that he saw and sees no more."""
        row = self._index.row_of(reading, self._user, docid)
        if row is None or row.visible:
            return []
        if rev not in self._index.may_hold(reading, self._user, [docid])[docid]:
            return []  # made since, or guessed: an answer would confirm it
        tombstone = self._tombstone(reading, docid, self._index.tombstone(docid, rev))
        return [] if tombstone is None else [tombstone]

    async def missing_revisions(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        """As the gate has it. Design documents never are: they are taken and dropped.

        Ancestors are given of documents that he sees, and those he may read.
        """
        principal = self._admitted()
        wanted = {docid: revs for docid, revs in asked.items() if not docid.startswith(DESIGN_PREFIX)}
        if not wanted:
            return {}
        found = await self._shared.gate.missing_revisions(principal, wanted)
        if not any(answer.possible_ancestors for answer in found.values()):
            return found
        with self._reading() as reading:
            return {
                docid: Missing(answer.missing, self._known(reading, docid, answer.possible_ancestors))
                for docid, answer in found.items()
            }

    def _known(self, reading: Reading, docid: str, revs: Sequence[str]) -> list[str]:
        row = self._row(reading, docid) if revs else None
        return [] if row is None else [rev for rev in revs if rev == row.winner or rev in row.closed]

    async def attachments(self, docid: str, rev: Rev) -> dict[str, AttachmentInfo]:
        """Only of revisions whose bodies he may read, which those of deletions are not."""
        public = await self._public_among([docid])
        with self._reading() as reading:
            found = self._revision(reading, docid, rev, False, public)
            return reading.attachments(docid, rev) if found and not found[0].deleted else {}

    def read_attachment(
        self, info: AttachmentInfo, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """`info` came from `attachments`, which has asked whether he may."""
        return self._database.read_attachment(info, start, end)

    async def stage_attachment(
        self, chunks: AsyncIterator[bytes], *, content_type: str, encoding: str | None = None
    ) -> StagedAttachment:
        self._admitted()
        return await self._database.stage_attachment(chunks, content_type=content_type, encoding=encoding)

    async def discard_attachments(self, staged: Sequence[StagedAttachment]) -> None:
        await self._database.discard_attachments(staged)
