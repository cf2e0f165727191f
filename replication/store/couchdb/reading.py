"""What is read of a CouchDB database: ids, order and leaves from the ledger, texts from the server.

A listing or a page of the feed with documents names revisions, and these very revisions are asked for. One
that the server has dropped meanwhile is replaced by what is there now: its own row is still to come.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from replication.protocol import jsontext
from replication.protocol.documents import with_members
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Rev, format_rev, parse_rev, parse_revisions
from replication.replicator.connection import document_path
from replication.store.couchdb.client import Client
from replication.store.couchdb.documents import Asked, Documents, Leaves, document
from replication.store.couchdb.ledger import LedgerDatabase
from replication.store.interface import DocumentMapper
from replication.store.paging import PageSize
from replication.store.sqlite.reading import id_span
from replication.store.sqlite.row_indexes import DOCUMENTS_A_STEP, Page
from replication.store.values import (
    Change,
    ChangesPage,
    Document,
    IndexedDocument,
    IndexRow,
    KeyRange,
    Missing,
    MissingRevision,
    RowsPage,
)

HIDDEN = "_design/gate"
"""The design document that keeps others from writing (`replication.store.couchdb.setup`)."""


class _Listed(NamedTuple):
    """A document as the ledger lists it."""

    id: str
    rev: str
    seq: int
    conflicted: bool


class ReadCouchDatabase(LedgerDatabase):
    """`_client`, `_path` and `_ready` are there when anything is read."""

    _client: Client
    _path: str
    _documents: Documents
    _index_pages: PageSize

    async def _ready(self) -> None:
        """Returns when the ledger is up to date for the first time. Raises why it can't be."""
        raise NotImplementedError

    # -- single documents ----------------------------------------------------------------------

    async def winner(self, docid: str) -> Document | None:
        return (await self.winners([docid])).get(docid)

    async def winners(self, docids: Sequence[str]) -> dict[str, Document]:
        found = await self._leaves(list(dict.fromkeys(docids)))
        return {docid: leaves.documents[0] for docid, leaves in found.items()}

    async def leaves(self, docid: str) -> list[Document]:
        found = await self._leaves([docid])
        return found[docid].documents if docid in found else []

    async def tree(self, docid: str) -> RevisionTree | None:
        found = await self._leaves([docid])
        return found[docid].tree() if docid in found else None

    async def _leaves(self, docids: Sequence[str]) -> dict[str, Leaves]:
        """Unknown ids are left out."""
        await self._ready()
        asked: list[Asked] = [(docid, None) for docid in docids if docid != HIDDEN]
        answers = await self._documents.bulk_get(asked)
        self.reads += len(asked)
        known = self.known(docid for docid, _ in asked)
        return {
            docid: Leaves(values, known[docid].seq if docid in known else 0)
            for (docid, _), values in zip(asked, answers, strict=True)
            if values
        }

    async def available(self, docid: str) -> dict[Rev, bool]:
        leaves = await self.leaves(docid)
        found = {parse_rev(leaf.rev): leaf.deleted for leaf in leaves}
        unknown: dict[Rev, None] = {}
        for leaf in leaves:
            if leaf is leaves[0] and not leaf.deleted:
                # Of a winner that isn't deleted CouchDB tells all; of anything else, nothing.
                query = {"revs_info": "true"}
                value = await self._client.ask("GET", self._path + document_path(docid), query=query)
                for one in value.get("_revs_info", ()):
                    if one["status"] != "missing":
                        found[parse_rev(one["rev"])] = one["status"] == "deleted"
            else:
                path = parse_revisions(jsontext.decode(leaf.revisions))
                unknown |= dict.fromkeys(path.revisions())
        asked = [(docid, rev) for rev in unknown if rev not in found]
        for (_, rev), values in zip(
            asked, await self._documents.bulk_get(asked, histories=False), strict=True
        ):
            if values:
                found[rev] = values[0].get("_deleted") is True
        return found

    async def revision(self, docid: str, rev: Rev, *, latest: bool = False) -> list[Document]:
        [answer] = await self.bulk_get([(docid, rev)], latest=latest)
        return [found for found in answer if isinstance(found, Document)]

    async def bulk_get(
        self, requests: Sequence[tuple[str, Rev | None]], *, latest: bool = False
    ) -> list[list[Document | MissingRevision]]:
        await self._ready()
        shown = [request for request in requests if request[0] != HIDDEN]
        came = iter(await self._documents.bulk_get(shown, latest=latest))
        self.reads += len(shown)
        known = self.known(docid for docid, _ in shown)
        answers: list[list[Document | MissingRevision]] = []
        for docid, rev in requests:
            values = [] if docid == HIDDEN else next(came)
            entry = known.get(docid)
            documents = Leaves(values, entry.seq if entry else 0).documents
            if rev is not None:
                conflicted = entry is not None and len(entry.revs) > 1
                documents = [each._replace(conflicted=conflicted) for each in documents]
                if not documents:
                    answers.append([MissingRevision(docid, format_rev(rev))])
                    continue
            answers.append([*documents])
        return answers

    async def missing_revisions(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        await self._ready()
        return await self._documents.missing(asked)

    # -- listings ------------------------------------------------------------------------------

    async def count_before(self, span: KeyRange) -> int:
        await self._ready()
        return await super().count_before(span)

    async def all_docs(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000, include_docs: bool = False
    ) -> RowsPage:
        await self._ready()
        if not include_docs:
            return await super().all_docs(span, skip=skip, limit=limit)
        found = await self.documents(span, skip=skip, limit=limit)
        lines = [
            b'{"id":%b,"key":%b,"value":{"rev":"%b"},"doc":%b}' % (quoted, quoted, one.rev.encode(), one.text)
            for one in found
            for quoted in [jsontext.encode(one.id)]
        ]
        return RowsPage(b",\r\n".join(lines), len(lines), found[-1].id if found else None)

    async def documents(self, span: KeyRange, *, skip: int = 0, limit: int = 1000) -> list[Document]:
        await self._ready()
        where, args, order = id_span(span)
        with self._connections.reader() as connection:
            rows: Any = connection.execute(
                "SELECT id, rev, seq, leaves > 1 FROM docs"
                f" WHERE NOT deleted{where} ORDER BY {order} LIMIT ? OFFSET ?",
                (*args, limit, skip),
            )
            listed = [_Listed(docid, rev, seq, bool(many)) for docid, rev, seq, many in rows]
        found = await self._texts(listed)
        return [found[one.id] for one in listed if one.id in found]

    async def _texts(self, listed: Sequence[_Listed]) -> dict[str, Document]:
        """The listed revisions, or what has taken their place; without documents that are gone."""
        answers = await self._documents.bulk_get([(one.id, parse_rev(one.rev)) for one in listed])
        self.reads += len(listed)
        found = {
            one.id: document(values[0], one.seq, one.conflicted)
            for one, values in zip(listed, answers, strict=True)
            if values
        }
        gone = [one.id for one in listed if one.id not in found]
        if gone:
            found |= await self.winners(gone)
        return found

    # -- the feed ------------------------------------------------------------------------------

    async def changes(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
    ) -> ChangesPage:
        await self._ready()
        if not include_docs:
            return await super().changes(since, limit, all_leaves=all_leaves, descending=descending)
        rows = await self.change_rows(
            since, limit, all_leaves=all_leaves, include_docs=True, descending=descending
        )
        lines = [b'%b,"doc":%b}' % (row.text, row.doc or b"null") for row in rows]
        return ChangesPage(b",\n".join(lines), len(lines), rows[-1].seq if rows else since)

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
        await self._ready()
        rows = await super().change_rows(
            since, limit, all_leaves=all_leaves, descending=descending, docids=docids
        )
        if not include_docs or not rows:
            return rows
        known = self.known(row.id for row in rows)
        found = await self._texts(
            [
                _Listed(row.id, row.revs[0], row.seq, row.id in known and len(known[row.id].revs) > 1)
                for row in rows
            ]
        )
        return [row._replace(doc=found[row.id].text if row.id in found else None) for row in rows]

    async def pending(self, since: int) -> int:
        await self._ready()
        return await super().pending(since)

    async def wait_for_change(self, since: int) -> None:
        await self._ready()
        await super().wait_for_change(since)

    # -- indexes -------------------------------------------------------------------------------

    async def refresh_index(self, signature: str, mapper: DocumentMapper) -> None:
        async def rows(documents: Sequence[IndexedDocument]) -> list[list[IndexRow]]:
            return [
                [IndexRow(key, one.id, 0, b"", b"") for key in dict.fromkeys(mapper(_plain(one.text)))]
                for one in documents
            ]

        await self.refresh_rows(signature, rows)

    async def refresh_rows(
        self,
        signature: str,
        mapper: Callable[[Sequence[IndexedDocument]], Awaitable[Sequence[Sequence[IndexRow]]]],
    ) -> None:
        await self._ready()
        await super().refresh_rows(signature, mapper)

    async def _page_to_index(self, signature: str) -> Page | None:
        limit = min(self._index_pages.rows, DOCUMENTS_A_STEP)
        with self._connections.snapshot() as connection:
            index: Any = connection.execute(
                "SELECT num, seq, update_seq, purge_seq FROM indexes, counters WHERE signature = ?",
                (signature,),
            ).fetchone()
            if index is None:
                return None
            num, seq, update_seq, purge_seq = index
            rows: Any = connection.execute(
                "SELECT changes.seq, changes.id, changes.deleted, rev, docs.leaves > 1"
                " FROM changes CROSS JOIN docs ON docs.id = changes.id"
                " WHERE changes.seq > ? ORDER BY changes.seq LIMIT ?",
                (seq, limit),
            ).fetchall()
        found = await self._texts(
            [_Listed(docid, rev, at, bool(many)) for at, docid, deleted, rev, many in rows if not deleted]
        )
        trees = await self._leaves([docid for docid, one in found.items() if one.conflicted])
        documents = [
            IndexedDocument(docid, at, with_members(found[docid].text, _conflicts(trees.get(docid))))
            for at, docid, *_ in rows
            if docid in found and not found[docid].deleted
        ]
        self._index_pages.saw(len(documents), sum(len(one.text) for one in documents))
        complete = len(rows) < limit
        reached = update_seq if complete else rows[-1][0]
        changes = [(at, docid) for at, docid, *_ in rows]
        return Page(num, seq, purge_seq, reached, complete, changes, documents)


def _conflicts(leaves: Leaves | None) -> list[bytes]:
    """The members that name the other leaves of a document."""
    members = []
    for name, deleted in (("_conflicts", False), ("_deleted_conflicts", True)):
        others = leaves.documents[1:] if leaves else []
        revs = [leaf.rev for leaf in others if leaf.deleted == deleted]
        if revs:
            members.append(b'"%b":%b' % (name.encode(), jsontext.encode(revs)))
    return members


def _plain(text: bytes) -> dict[str, Any]:
    value: dict[str, Any] = jsontext.decode(text)
    for name in ("_conflicts", "_deleted_conflicts"):
        value.pop(name, None)
    return value
