"""A database as one person may use it.

Everything the document server does for him goes through this class, so no handler can forget to ask. What
he may not see is answered like what isn't there; numbers count what is his; rows come from his feed; what he
writes goes to the gate. Nothing is inherited or passed on by accident: every method of `Database` is written
here, and a test sees to that.

What he may read of a document (one he sees now): the winner, without its body if that is a deletion; other
deleted leaves, without theirs; revisions that he wrote himself; the ids of their histories. Of a document he
may have seen before: the tombstones that take it off his devices.

Design documents are for those who administrate. One that says `"kompass": {"public": true}` may be read and
used by everybody with a login, but it is in nobody's feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol, TypeVar

import orjson

from kompass.access.principals import Principal, Role
from kompass.sync.index import FeedIndex, FeedRow
from kompass.sync.personal.local import LocalNotes, within
from kompass.sync.positions import PersonalEpochs, position, split
from kompass.sync.refusals import NOT_A_MEMBER
from replication.protocol import errors, jsontext
from replication.protocol.attachments import StagedAttachment
from replication.protocol.documents import DocumentWrite, revisions_member
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.protocol.sequences import Epochs
from replication.queries.designs import design_documents
from replication.store.interface import (
    AttachmentInfo,
    Change,
    ChangesPage,
    Database,
    DatabaseInfo,
    Document,
    DocumentMapper,
    IndexEntry,
    IndexRow,
    IndexState,
    IndexVersion,
    KeyRange,
    LocalDocument,
    Missing,
    MissingRevision,
    PartialReduction,
    PartitionInfo,
    PurgeRequest,
    RowMapper,
    RowsPage,
    RowSpan,
    WriteCheck,
)
from replication.store.sqlite import Reading, Revisions, SqliteDatabase

T = TypeVar("T")

ROLES_CHANGED = "Your roles have changed: log in again."
FOR_ADMINISTRATORS = "You are not a db or server admin."

SCANNED = 1000
"""Entries of an index that are looked at in one go."""


class Gate(Protocol):
    """Judges what people write."""

    async def write(
        self, principal: Principal, docs: Sequence[DocumentWrite], *, replicated: bool
    ) -> list[str | ProtocolError]: ...

    async def missing_revisions(
        self, principal: Principal, asked: Mapping[str, Sequence[Rev]]
    ) -> dict[str, Missing]: ...


AuthorOf = Callable[[Reading, str, Rev], str | None]
"""Who wrote a revision of a document; None if nobody remembers."""


class Shared:
    """What all views of one database have in common."""

    def __init__(self, database: SqliteDatabase, index: FeedIndex, gate: Gate, author_of: AuthorOf) -> None:
        """Raises `ValueError` for a database with partitions: nobody has thought about those."""
        if database.partitioned:
            raise ValueError(f"{database.name} has partitions, which people can't have a view of")
        self.database = database
        self.index = index
        self.gate = gate
        self.author_of = author_of
        self.notes = LocalNotes(database)
        self.epochs = PersonalEpochs.of(database.epochs)
        self._refreshing: dict[str, asyncio.Future[None]] = {}

    async def refresh(self, signature: str, start: Callable[[], Awaitable[None]]) -> None:
        """Refreshes an index, once for all who ask meanwhile. It goes on when they leave.

        What was going on already may have read the documents before the latest change: whoever asks now waits
        for the next one, which all of them share.
        """
        task = self._running(signature)
        if task is not None:
            await asyncio.wait([task])
            task = self._running(signature)
        if task is None:
            task = asyncio.ensure_future(start())
            self._refreshing[signature] = task
            task.add_done_callback(lambda done: self._refreshed(signature, done))
        await asyncio.shield(task)

    def _running(self, signature: str) -> asyncio.Future[None] | None:
        task = self._refreshing.get(signature)
        return None if task is None or task.done() else task

    def _refreshed(self, signature: str, task: asyncio.Future[None]) -> None:
        if self._refreshing.get(signature) is task:
            del self._refreshing[signature]
        if not task.cancelled():
            task.exception()  # whoever waited for it may have left: then nobody else looks


class PersonalDatabase(Database):
    """See the module. Its principal has logged in; whether he is let in is asked anew by every method.

    Each method raises 403 if there is no active record of him, and 401 if that has a role which his login
    doesn't have: what he sees goes by the record, and must never be more than his login is good for.
    """

    def __init__(self, shared: Shared, principal: Principal) -> None:
        self.name = shared.database.name
        self.principal = principal
        self._shared = shared
        self._database = shared.database
        self._index = shared.index
        self._user = principal.name

    # -- who asks, and what he sees ------------------------------------------------------------

    @property
    def guarded(self) -> bool:
        return True

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        """One snapshot, if he is let in as of it. The block must not wait."""
        with self._database.reading() as reading:
            self._roles(reading)
            yield reading

    def _roles(self, reading: Reading) -> frozenset[Role]:
        """The roles that count now."""
        roles = self._index.roles(reading, self._user)
        if roles is None:
            raise errors.forbidden(NOT_A_MEMBER)
        if not roles <= self.principal.roles:
            raise errors.unauthorized(ROLES_CHANGED)
        return roles

    def _admitted(self) -> Principal:
        """Who asks, with the roles that count now."""
        with self._database.reading() as reading:
            return Principal(self._user, self._roles(reading), self.principal.device)

    async def _public(self) -> dict[str, Document]:
        """Design documents for everybody, by id, in the order of their ids."""
        ids = [ddoc.id for ddoc in await design_documents(self._database) if _is_public(ddoc.value)]
        if not ids:
            return {}
        found = await self._database.winners(ids)
        # They were read again: one that has changed meanwhile has to be public still.
        return {
            docid: found[docid]._replace(conflicted=False)
            for docid in sorted(found)
            if not found[docid].deleted and _is_public(jsontext.decode(found[docid].text))
        }

    async def _public_among(self, docids: Iterable[str]) -> dict[str, Document]:
        if not any(docid.startswith(DESIGN_PREFIX) for docid in docids):
            return {}
        return await self._public()

    def _winners(self, reading: Reading, docids: Iterable[str]) -> dict[str, Document]:
        """Those of these documents that he sees, design documents left out.

        Whatever is said of a text goes through here: the index has to show its document to him, and the rules
        have to agree. If they don't, the document isn't there.
        """
        asked = [docid for docid in docids if not docid.startswith(DESIGN_PREFIX)]
        winners = reading.winners(self._index.sees(reading, self._user, asked)) if asked else {}
        if not winners:
            return {}
        look = self._index.second_look(reading, self._user)
        return {docid: _shown(winner) for docid, winner in winners.items() if look.allows(winner)}

    def _sees(self, reading: Reading, docid: str) -> bool:
        return bool(self._winners(reading, [docid]))

    def _tombstone(self, reading: Reading, docid: str, rev: Rev) -> Document | None:
        """A tombstone with its whole history; None if nobody knows what it closes."""
        path = self._index.tombstone_path(reading, self._user, docid, rev)
        if path is None:
            return None
        text = self._index.tombstone_text(docid, rev)
        return Document(docid, format_rev(rev), True, text, revisions_member(path), False, 0, False)

    # -- facts ---------------------------------------------------------------------------------

    async def info(self) -> DatabaseInfo:
        """Counts what he sees. Sizes would tell of what he doesn't."""
        facts = await self._database.info()
        public = await self._public()
        with self._reading() as reading:
            live, deleted = self._index.counts(reading, self._user)
            latest = self._index.latest(reading, self._user)
        return DatabaseInfo(
            name=self.name,
            uuid=facts.uuid,
            doc_count=live + len(public),
            deleted_count=deleted,
            update_seq=latest,
            purge_seq=0,
            created=facts.created,
            file_size=0,
            active_size=0,
            external_size=0,
            compacting=False,
        )

    @property
    def partitioned(self) -> bool:
        return False

    async def partition_info(self, partition: str) -> PartitionInfo:
        raise errors.not_partitioned()

    @property
    def epochs(self) -> Epochs:
        """Of his positions. Asked of nobody: a feed that ends because he isn't let in any more needs it."""
        return self._shared.epochs

    @property
    def update_seq(self) -> int:
        """The end of his feed."""
        with self._reading() as reading:
            return self._index.latest(reading, self._user)

    async def security(self) -> bytes:
        """Which roles may use the database; names are nobody's business."""
        self._admitted()
        value = jsontext.decode(await self._database.security())
        return jsontext.encode(
            {
                circle: {"names": [], "roles": members.get("roles", [])}
                for circle in ("admins", "members")
                if isinstance(members := value.get(circle), dict)
            }
        )

    async def set_security(self, text: bytes) -> None:
        self._refuse()

    async def revs_limit(self) -> int:
        self._admitted()
        return await self._database.revs_limit()

    async def set_revs_limit(self, limit: int) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        """What only administrators of the server may do."""
        raise errors.forbidden(FOR_ADMINISTRATORS)

    # -- reading documents ---------------------------------------------------------------------

    async def winner(self, docid: str) -> Document | None:
        return (await self.winners([docid])).get(docid)

    async def winners(self, docids: Sequence[str]) -> dict[str, Document]:
        public = await self._public_among(docids)
        with self._reading() as reading:
            found = self._winners(reading, docids)
        found.update({docid: public[docid] for docid in docids if docid in public})
        return found

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
                    found.append(_shown(document))
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
            return self._leaves(reading, docid, public)

    def _leaves(self, reading: Reading, docid: str, public: Mapping[str, Document]) -> list[Document]:
        if docid in public:
            return [public[docid]]
        if docid.startswith(DESIGN_PREFIX):
            return []
        row = self._index.row_of(reading, self._user, docid)
        if row is None:
            return []
        found: list[Document | None] = []
        if row.winner is not None and self._sees(reading, docid):
            found += [reading.revision(docid, parse_rev(rev)) for rev in (row.winner, *row.closed)]
        found += [self._tombstone(reading, docid, parse_rev(rev)) for rev in row.tombstones]
        return [_shown(document) for document in found if document is not None]

    async def bulk_get(
        self, requests: Sequence[tuple[str, Rev | None]], *, latest: bool = False
    ) -> list[list[Document | MissingRevision]]:
        """A revision of a document that he has lost is answered by the tombstone that closes it."""
        docids = {docid: None for docid, _ in requests}
        public = await self._public_among(docids)
        answers: list[list[Document | MissingRevision]] = []
        with self._reading() as reading:
            winners = self._winners(reading, docids)
            for docid, rev in requests:
                winner = winners.get(docid)
                if rev is None:
                    answers.append([*self._leaves(reading, docid, public)])
                elif winner is not None and winner.rev == format_rev(rev):
                    answers.append([winner])
                else:
                    found = self._revision(reading, docid, rev, latest, public)
                    if not found and winner is None:
                        found = self._lost(reading, docid, rev)
                    answers.append([*found] if found else [MissingRevision(docid, format_rev(rev))])
        return answers

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

    # -- writing documents ---------------------------------------------------------------------

    async def write(
        self,
        docs: Sequence[DocumentWrite],
        *,
        replicated: bool = False,
        check: WriteCheck | None = None,
    ) -> list[str | ProtocolError]:
        """What the gate makes of it. Design documents are refused; those of a replication are dropped.

        PouchDB makes design documents of its own for its indexes, and pushes them with everything else.
        """
        assert check is None, "a guarded database judges by itself"
        principal = self._admitted()
        places = [place for place, doc in enumerate(docs) if not doc.id.startswith(DESIGN_PREFIX)]
        outcomes: list[str | ProtocolError] = [_of_design(doc, replicated) for doc in docs]
        if places:
            judged = await self._shared.gate.write(
                principal, [docs[place] for place in places], replicated=replicated
            )
            for place, outcome in zip(places, judged, strict=True):
                outcomes[place] = outcome
        return outcomes

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, list[str]]:
        self._refuse()

    async def purge_requests(self) -> list[PurgeRequest]:
        """None: they name documents."""
        self._admitted()
        return []

    async def purge_requests_limit(self) -> int:
        self._refuse()

    async def set_purge_requests_limit(self, limit: int) -> None:
        self._refuse()

    # -- listings ------------------------------------------------------------------------------

    async def all_docs(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000, include_docs: bool = False
    ) -> RowsPage:
        rows = []
        listed = await self.documents(span, skip=skip, limit=limit)
        for document in listed:
            docid = jsontext.encode(document.id)
            row = b'{"id":%b,"key":%b,"value":{"rev":"%b"}' % (docid, docid, document.rev.encode("ascii"))
            rows.append(row + (b',"doc":%b}' % document.text if include_docs else b"}"))
        return RowsPage(b",\r\n".join(rows), len(rows), listed[-1].id if listed else None)

    async def count_before(self, span: KeyRange) -> int:
        if span.start is None:
            return 0
        public = await self._public()
        with self._reading() as reading:
            count = self._index.count_before(reading, self._user, span)
        behind = (docid > span.start if span.descending else docid < span.start for docid in public)
        return count + sum(behind)

    async def documents(self, span: KeyRange, *, skip: int = 0, limit: int = 1000) -> list[Document]:
        public = {docid: doc for docid, doc in (await self._public()).items() if within(span, docid)}
        # Of the first `skip` rows at most so many are design documents: the others are skipped in the index.
        skipped = max(0, skip - len(public))
        skip -= skipped
        with self._reading() as reading:
            ids = self._index.ids(reading, self._user, span, skip=skipped, limit=skip + limit)
            if public:
                ids = sorted({*ids, *public}, reverse=span.descending)
            ids = ids[skip : skip + limit]
            found = {**self._winners(reading, ids), **public}
        documents = [found[docid] for docid in ids if docid in found]
        if len(documents) < len(ids) == limit:
            # Some turned out to be none of his. A page that isn't full would be the last.
            rest = span._replace(start=ids[-1], inclusive_start=False)
            documents += await self.documents(rest, limit=limit - len(documents))
        return documents

    async def changes(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
    ) -> ChangesPage:
        changes = await self.change_rows(
            since, limit, all_leaves=all_leaves, include_docs=include_docs, descending=descending
        )
        rows = [
            b'%b,"doc":%b}' % (change.text, change.doc) if change.doc is not None else change.text + b"}"
            for change in changes
        ]
        return ChangesPage(b",\n".join(rows), len(rows), changes[-1].seq if changes else since)

    async def change_rows(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
        docids: Sequence[str] | None = None,
    ) -> list[Change]:
        """His feed. A row lists the winner, or if he has lost the document the first tombstone; with
        `all_leaves` deleted leaves and all tombstones too."""
        changes: list[Change] = []
        with self._reading() as reading:
            while len(changes) < limit:
                asked = limit - len(changes)
                rows = self._index.rows(
                    reading, self._user, since, asked, descending=descending, docids=docids
                )
                changes += self._changes(reading, rows, all_leaves, include_docs)
                # A row that names no revision can't be shown: then a page isn't full yet.
                if len(rows) < asked:
                    break
                since = rows[-1].position
        return changes

    def _changes(
        self, reading: Reading, rows: Sequence[FeedRow], all_leaves: bool, include_docs: bool
    ) -> Iterator[Change]:
        winners: Mapping[str, Document] = {}
        if include_docs:
            winners = self._winners(reading, [row.id for row in rows if row.visible])
        for row in rows:
            revs = [*(() if row.winner is None else (row.winner, *row.closed)), *row.tombstones]
            if not revs:
                continue
            listed = [b'{"rev":"%b"}' % rev.encode("ascii") for rev in revs[: None if all_leaves else 1]]
            text = b'{"seq":"%b","id":%b,"changes":[%b]%b' % (
                self.epochs.format(row.position).encode("ascii"),
                jsontext.encode(row.id),
                b",".join(listed),
                b',"deleted":true' if row.deleted else b"",
            )
            doc = None
            if include_docs:
                winner = winners.get(row.id)
                if winner is not None:
                    doc = winner.text
                elif row.visible:
                    continue
                else:
                    doc = self._index.tombstone_text(row.id, parse_rev(revs[0]))
            yield Change(row.position, row.id, row.deleted, text, doc, unfiltered=row.deleted)

    async def pending(self, since: int) -> int:
        with self._reading() as reading:
            return self._index.pending(reading, self._user, since)

    async def wait_for_change(self, since: int) -> None:
        self._admitted()
        await self._index.wait(self._database, self._user, since)

    # -- local documents -----------------------------------------------------------------------

    async def local(self, docid: str) -> LocalDocument | None:
        """One of his own, here and below: everybody has others."""
        self._admitted()
        return await self._shared.notes.get(self._user, docid)

    async def put_local(self, docid: str, parent: int, body: bytes) -> str:
        self._admitted()
        return await self._shared.notes.put(self._user, docid, parent, body, device=self.principal.device)

    async def delete_local(self, docid: str) -> bool:
        self._admitted()
        return await self._shared.notes.delete(self._user, docid)

    async def local_documents(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000
    ) -> list[LocalDocument]:
        with self._reading() as reading:
            return self._shared.notes.listed(reading, self._user, span, skip, limit)

    # -- attachments ---------------------------------------------------------------------------

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

    # -- indexes -------------------------------------------------------------------------------
    #
    # They are everybody's: design documents define them, and only public ones are known here. What they list
    # is left out unless he sees the document now and the index has read it as it is now.

    async def refresh_index(self, signature: str, mapper: DocumentMapper) -> None:
        self._admitted()
        await self._shared.refresh(signature, lambda: self._database.refresh_index(signature, mapper))

    async def scan_index(
        self,
        signature: str,
        low: bytes,
        high: bytes | None,
        *,
        seq: int = 0,
        after: IndexEntry | None = None,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexEntry]:
        found: list[IndexEntry] = []
        while len(found) < skip + limit:
            reached = await self._reached(signature)
            page = await self._database.scan_index(
                signature,
                low,
                high,
                seq=split(seq)[0],
                after=after,
                descending=descending,
                limit=SCANNED,
            )
            current = self._current({entry.id for entry in page}, reached)
            found += [entry for entry in page if entry.id in current]
            if len(page) < SCANNED:
                break
            after = page[-1]
            await asyncio.sleep(0)
        return found[skip : skip + limit]

    @property
    def design_version(self) -> int:
        return self._database.design_version

    async def refresh_rows(self, signature: str, mapper: RowMapper) -> None:
        self._admitted()
        await self._shared.refresh(signature, lambda: self._database.refresh_rows(signature, mapper))

    async def scan_rows(
        self,
        signature: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexRow]:
        found: list[IndexRow] = []
        async for rows in self._pages(signature, span, seq, descending):
            found += rows
            if len(found) >= skip + limit:
                break
        return found[skip : skip + limit]

    async def count_rows(self, signature: str, span: RowSpan, *, seq: int = 0) -> int:
        return sum([len(rows) async for rows in self._pages(signature, span, seq, descending=False)])

    async def _pages(
        self, signature: str, span: RowSpan, seq: int, descending: bool
    ) -> AsyncIterator[list[IndexRow]]:
        """The rows of a span that he sees, some at a time."""
        while True:
            reached = await self._reached(signature)
            page = await self._database.scan_rows(
                signature, span, seq=split(seq)[0], descending=descending, limit=SCANNED
            )
            if not page:
                return
            current = self._current({row.id for row in page}, reached)
            yield [row for row in page if row.id in current]
            last = page[-1]
            if descending:
                span = span._replace(high=(last.key, last.id, last.place))
            else:
                span = span._replace(low=(last.key, last.id, last.place + 1))
            await asyncio.sleep(0)

    async def _reached(self, signature: str) -> int:
        """Up to which change the index has read at least."""
        state = await self._database.index_state(signature)
        return state.seq if state is not None else 0

    def _current(self, docids: Collection[str], reached: int) -> set[str]:
        """Which of these he sees, and have not changed since `reached`.

        What an index read before belongs to a revision that he may not have been meant to see.
        """
        with self._reading() as reading:
            seen = self._winners(reading, docids)
            rows: Any = reading.connection.execute(
                "SELECT docs.id FROM json_each(?) CROSS JOIN docs ON docs.id = value WHERE docs.seq <= ?",
                (orjson.dumps(list(seen)).decode(), reached),
            )
            return {docid for (docid,) in rows}

    async def index_version(self, signature: str) -> IndexVersion | None:
        """None: only what is reduced asks for it, and nobody's rows alone can be."""
        self._admitted()
        return None

    async def partial_reductions(
        self,
        signature: str,
        reducer: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        limit: int = 500,
    ) -> list[PartialReduction]:
        self._refuse()

    async def keep_reductions(
        self, signature: str, reducer: str, version: IndexVersion, made: Sequence[PartialReduction]
    ) -> bool:
        self._refuse()

    async def index_state(self, signature: str, *, sized: bool = False) -> IndexState | None:
        """How far the index has come, as a position. It tells nothing of its size."""
        self._admitted()
        state = await self._database.index_state(signature)
        return None if state is None else IndexState(position(state.seq), 0, 0)

    async def drop_indexes(self, keep: Sequence[str]) -> None:
        self._refuse()

    # -- housekeeping --------------------------------------------------------------------------

    async def compact(self) -> None:
        self._refuse()


def _is_public(value: Mapping[str, Any]) -> bool:
    """Whether a design document says that everybody may use it."""
    own = value.get("kompass")
    return isinstance(own, dict) and own.get("public") is True


def _shown(document: Document) -> Document:
    """A revision as people read it: deletions without what they say besides."""
    if not document.deleted:
        return document
    text = b'{"_id":%b,"_rev":"%b","_deleted":true}' % (
        jsontext.encode(document.id),
        document.rev.encode("ascii"),
    )
    return document._replace(text=text, has_attachments=False)


def _of_design(doc: DocumentWrite, replicated: bool) -> str | ProtocolError:
    """What becomes of a design document that somebody writes."""
    if replicated and doc.path is not None:
        return format_rev(doc.path.leaf)
    return errors.forbidden(FOR_ADMINISTRATORS)
