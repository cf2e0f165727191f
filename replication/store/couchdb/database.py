"""A database of a CouchDB server: documents are there, their order is in the ledger here.

There is no transaction around reading, deciding and writing. `check` of `write` is asked with the winner as
it was a moment before; an edit that continues another leaf than the one that is there by then is refused by
CouchDB as a conflict, so what was decided about an edit was decided about the revision it continues. A
replicated write has no such guard: it may be stored beside something that nobody was asked about.

Who may use the database here says the member `served` of CouchDB's security object, if it has one; the
object's own members say who may use it there, which is the service user alone (`setup`), and are left alone.
Nobody gets to see the design document that keeps others from writing there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from typing import Any

from replication.protocol import errors, jsontext
from replication.protocol.attachments import StagedAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.partitions import check_partitioned_id
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.store.couchdb.attachments import Attachments
from replication.store.couchdb.client import Client, Repeat
from replication.store.couchdb.documents import Documents, Leaves
from replication.store.couchdb.feed import HttpSource, leading_number
from replication.store.couchdb.follower import Follower
from replication.store.couchdb.local import LocalDocuments
from replication.store.couchdb.reading import HIDDEN, ReadCouchDatabase
from replication.store.couchdb.writing import DocumentWriter, Outcome
from replication.store.interface import WriteCheck
from replication.store.paging import PageSize
from replication.store.sqlite import compaction
from replication.store.sqlite.opened import OpenDatabase
from replication.store.values import (
    AttachmentInfo,
    DatabaseInfo,
    KeyRange,
    LocalDocument,
    PartitionInfo,
    PurgeRequest,
)

SERVED = "served"

SECURITY_SECONDS = 2.0
"""How long somebody else's change of the security object may be overlooked: each request asks for it."""

PURGE_WAITS = (0.02, 0.1, 0.5, 1.0, 2.0, 2.0, 2.0)
"""Seconds between looks whether all copies of a cluster have purged: nodes tell each other within five."""

_ANCESTORS = 50
"""How far back a stub of a replicated document may point."""


class CouchDatabase(ReadCouchDatabase):
    def __init__(
        self,
        name: str,
        ledger: Path,
        pool: ThreadPoolExecutor,
        changed: Callable[[], None],
        opened: Callable[[OpenDatabase], None],
        *,
        client: Client,
        path: str,
        gone: Callable[[], None],
    ) -> None:
        """`ledger`: a file that exists and has its tables. `path`: of the database at the server.

        `gone` is called when the server no longer has the database. Nothing is asked of the server yet.
        """
        super().__init__(name, ledger, pool, changed, opened)
        self._client = client
        self._path = path
        self._documents = Documents(client, path)
        self._index_pages = PageSize(most=500)
        self._local = LocalDocuments(client, path)
        self._attached = Attachments(client, path)
        self._document_writer = DocumentWriter(client, path, self._read_staged, self._stubs_of)
        self._source = HttpSource(client, path, HIDDEN)
        self._listener = Follower(self._source, self, gone)
        self._props: Mapping[str, Any] | None = None
        self._security_known = (b"", 0.0)
        self.stored = 0
        """Calls of `write` that have stored something at the server."""

    async def _ready(self) -> None:
        await self._listener.ready()
        if self._props is None:
            self._props = (await self._facts()).get("props") or {}

    async def open(self) -> None:
        """Waits until the database is known: `partitioned` and `update_seq` are right from then on."""
        await self._ready()

    async def leave(self) -> None:
        """Stops following the database and closes the ledger."""
        await self._listener.close()
        await asyncio.to_thread(self.close)

    # -- facts ---------------------------------------------------------------------------------

    async def _facts(self) -> dict[str, Any]:
        value = await self._client.ask("GET", self._path)
        if not isinstance(value, dict):
            raise errors.internal("The database server answered something that is no database.")
        return value

    async def info(self) -> DatabaseInfo:
        await self._ready()
        value = await self._facts()
        sizes = value.get("sizes") or {}
        staged = self._staged_size()
        counters = self._writer.counters
        created = leading_number(value.get("instance_start_time", "0"))
        which = f"{self._path} {created} {self._epochs.current}".encode()
        return DatabaseInfo(
            name=self.name,
            # Another database, or another count of the same one, is another thing for whoever asks.
            uuid=md5(which, usedforsecurity=False).hexdigest(),
            doc_count=counters.doc_count,
            deleted_count=counters.deleted_count,
            update_seq=self.update_seq,
            purge_seq=leading_number(value.get("purge_seq", 0)),
            created=created,
            file_size=sizes.get("file", 0) + staged,
            active_size=sizes.get("active", 0) + staged,
            external_size=sizes.get("external", 0),
            compacting=value.get("compact_running") is True,
        )

    @property
    def partitioned(self) -> bool:
        return bool(self._props and self._props.get("partitioned"))

    async def partition_info(self, partition: str) -> PartitionInfo:
        await self._ready()
        value = await self._client.ask("GET", f"{self._path}/_partition/{partition}")
        sizes = value.get("sizes") or {}
        return PartitionInfo(
            value["doc_count"], value["doc_del_count"], sizes.get("active", 0), sizes.get("external", 0)
        )

    async def security(self) -> bytes:
        await self._ready()
        text, until = self._security_known
        if time.monotonic() >= until:
            value = await self._client.ask("GET", f"{self._path}/_security")
            text = jsontext.encode(value.get(SERVED, value))
            self._security_known = (text, time.monotonic() + SECURITY_SECONDS)
        return text

    async def set_security(self, text: bytes) -> None:
        await self._ready()
        value = await self._client.ask("GET", f"{self._path}/_security")
        await self._client.request(
            "PUT",
            f"{self._path}/_security",
            json={**value, SERVED: jsontext.decode(text)},
            repeat=Repeat.ALWAYS,
        )
        self._security_known = (b"", 0.0)

    async def revs_limit(self) -> int:
        await self._ready()
        return int(await self._client.ask("GET", f"{self._path}/_revs_limit"))

    async def set_revs_limit(self, limit: int) -> None:
        await self._put_number("_revs_limit", limit)

    async def _put_number(self, name: str, value: int) -> None:
        await self._ready()
        body = str(value).encode()
        await self._client.request("PUT", f"{self._path}/{name}", body=body, repeat=Repeat.ALWAYS)

    # -- writing documents ---------------------------------------------------------------------

    async def write(
        self,
        docs: Sequence[DocumentWrite],
        *,
        replicated: bool = False,
        check: WriteCheck | None = None,
    ) -> list[Outcome]:
        await self._ready()
        outcomes: dict[int, Outcome] = {}
        for some in _rounds(docs) if check is not None else [range(len(docs))]:
            given = [(place, docs[place]) for place in some]
            writable = await self._judged(given, replicated, check, outcomes)
            results = await self._document_writer.write([doc for _, doc in writable], replicated=replicated)
            outcomes.update(zip((place for place, _ in writable), results, strict=True))
        written = {
            doc.id: parse_rev(outcome)
            for place, doc in enumerate(docs)
            if isinstance(outcome := outcomes[place], str)
        }
        await self._staged_no_more(docs, outcomes)
        if written:
            self.stored += 1
            await self.seen(written, self._leaf_revs)
        return [outcomes[place] for place in range(len(docs))]

    async def _judged(
        self,
        docs: Sequence[tuple[int, DocumentWrite]],
        replicated: bool,
        check: WriteCheck | None,
        outcomes: dict[int, Outcome],
    ) -> list[tuple[int, DocumentWrite]]:
        """What is left to be written; what has become of the others is noted in `outcomes`."""
        winners = await self.winners([doc.id for _, doc in docs]) if check is not None else {}
        lacking: Mapping[str, Any] = {}
        if check is not None and replicated:
            lacking = await self.missing_revisions({doc.id: [doc.path.leaf] for _, doc in docs if doc.path})
        writable = []
        for place, doc in docs:
            try:
                if doc.id == HIDDEN:
                    raise errors.forbidden("This design document belongs to the server.")
                if self.partitioned:
                    check_partitioned_id(doc.id)
                if replicated and doc.path is None:
                    raise errors.bad_request("A replicated document needs its revision")
                if check is not None:
                    if doc.path is not None and doc.id not in lacking:
                        outcomes[place] = format_rev(doc.path.leaf)
                        continue
                    check(doc, winners.get(doc.id))
            except ProtocolError as error:
                outcomes[place] = error
            else:
                writable.append((place, doc))
        return writable

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, list[str]]:
        await self._ready()
        body = {docid: [format_rev(rev) for rev in revs] for docid, revs in asked.items() if docid != HIDDEN}
        async with self._listener.comparing:
            known = self.origin()
            assert known is not None
            value = await self._client.ask("POST", f"{self._path}/_purge", json=body, repeat=Repeat.ALWAYS)
            purged: dict[str, list[str]] = {docid: value["purged"].get(docid, []) for docid in asked}
            left = await self._left({docid: revs for docid, revs in purged.items() if revs})
            gone = [docid for docid, revs in purged.items() if revs and docid not in left]
            await self.purged(gone, [*left], known.purged(len(body)))
        await self.seen(
            {docid: parse_rev(leaves.documents[0].rev) for docid, leaves in left.items()},
            self._leaf_revs,
            purged,
        )
        return purged

    async def _left(self, purged: Mapping[str, Sequence[str]]) -> dict[str, Leaves]:
        """What documents have left, of which these leaves were purged.

        Copies of a cluster that lag behind still have those, and more than one is read: they are waited for.
        """
        for wait in PURGE_WAITS:
            left = await self._leaves(list(purged))
            late = {
                docid for docid in left if {leaf.rev for leaf in left[docid].documents} & {*purged[docid]}
            }
            if not late:
                return left
            await asyncio.sleep(wait)
        raise errors.unavailable(
            "This was purged, but not in every copy of the database yet. Try again later.",
            headers={"Retry-After": "10"},
        )

    async def _leaf_revs(self, docids: Sequence[str]) -> dict[str, list[Rev]]:
        found = await self._leaves(docids)
        return {docid: [parse_rev(leaf.rev) for leaf in leaves.documents] for docid, leaves in found.items()}

    async def purge_requests(self) -> list[PurgeRequest]:
        await self._ready()
        value = await self._client.ask("GET", f"{self._path}/_purged_infos")
        return [PurgeRequest(one["id"], one["revs"]) for one in value["purged_infos"]]

    async def purge_requests_limit(self) -> int:
        await self._ready()
        return int(await self._client.ask("GET", f"{self._path}/_purged_infos_limit"))

    async def set_purge_requests_limit(self, limit: int) -> None:
        await self._put_number("_purged_infos_limit", limit)

    # -- local documents -----------------------------------------------------------------------

    async def local(self, docid: str) -> LocalDocument | None:
        await self._ready()
        return await self._local.read(docid)

    async def put_local(self, docid: str, parent: int, body: bytes) -> str:
        await self._ready()
        return await self._local.put(docid, parent, body)

    async def delete_local(self, docid: str) -> bool:
        await self._ready()
        return await self._local.delete(docid)

    async def local_documents(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000
    ) -> list[LocalDocument]:
        await self._ready()
        return await self._local.listed(span, skip, limit)

    # -- attachments ---------------------------------------------------------------------------

    async def attachments(self, docid: str, rev: Rev) -> dict[str, AttachmentInfo]:
        await self._ready()
        return {} if docid == HIDDEN else await self._attached.of(docid, rev)

    def read_attachment(
        self, info: AttachmentInfo, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        return self._attached.read(info, start, end)

    async def stage_attachment(
        self, chunks: AsyncIterator[bytes], *, content_type: str, encoding: str | None = None
    ) -> StagedAttachment:
        """In the ledger's file, until its document goes to the server."""
        await self._ready()
        return await self._uploads.stage(chunks, content_type, encoding)

    async def discard_attachments(self, staged: Sequence[StagedAttachment]) -> None:
        await self._uploads.discard(attachment.token for attachment in staged)

    def _read_staged(self, staged: StagedAttachment) -> AsyncIterator[bytes]:
        info = AttachmentInfo(
            "staged", staged.content_type, staged.digest, 0, staged.stored_length, None, 0, staged.token
        )
        return self._uploads.read(info, 0, None)

    async def _staged_no_more(self, docs: Sequence[DocumentWrite], outcomes: Mapping[int, Outcome]) -> None:
        """What the server has taken needs no place here."""
        taken = [
            given
            for place, doc in enumerate(docs)
            if isinstance(outcomes[place], str)
            for given in doc.attachments.values()
            if isinstance(given, StagedAttachment)
        ]
        if taken:
            await self.discard_attachments(taken)

    def _staged_size(self) -> int:
        with self._connections.reader() as connection:
            size: Any = connection.execute("SELECT coalesce(sum(stored_length), 0) FROM attachments").get
        return int(size)

    async def _stubs_of(self, docid: str, revs: Sequence[Rev]) -> list[Mapping[str, Any]]:
        """`_attachments` of these revisions, as far as they are there."""
        answers = await self._documents.bulk_get([(docid, rev) for rev in revs[:_ANCESTORS]])
        return [values[0].get("_attachments") or {} for values in answers if values]

    # -- housekeeping --------------------------------------------------------------------------

    async def compact(self) -> None:
        """Has the server compact, and drops here what no write has taken up."""
        await self._ready()
        await self._client.request("POST", f"{self._path}/_compact", json={}, repeat=Repeat.ALWAYS)
        await compaction.compact(self._write, self._uploads.waiting)
        wait = 0.02
        while (await self._facts()).get("compact_running") is True:
            await asyncio.sleep(wait)
            wait = min(2 * wait, 2.0)


def _rounds(docs: Sequence[DocumentWrite]) -> list[list[int]]:
    """Places of documents, so that no id comes twice in a round, and each one's writes stay in order."""
    rounds: list[list[int]] = []
    times: dict[str, int] = {}
    for place, doc in enumerate(docs):
        number = times.get(doc.id, 0)
        times[doc.id] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(place)
    return rounds
