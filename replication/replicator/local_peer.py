"""A database of a store in this process as a peer: no HTTP, and the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from replication.protocol import jsontext
from replication.protocol.attachments import (
    AttachmentWrite,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
    as_stored,
    is_compressible,
)
from replication.protocol.creation import is_partitioned
from replication.protocol.documents import DocumentWrite, body_of, parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.mango.selector import compile_selector
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, format_rev, parse_rev, parse_revisions
from replication.replicator.attachment_streams import MAX_ATTACHMENT, SMALL, Measured, collected, verified
from replication.replicator.backoff import retrying
from replication.replicator.failures import (
    DatabaseMissing,
    InvalidReplication,
    PeerRefused,
    PeerUnavailable,
)
from replication.replicator.peer import (
    BATCH_BYTES,
    BEGINNING,
    ChangedDocument,
    Feed,
    FeedPage,
    Lacking,
    Peer,
    PeerInfo,
    Refusal,
    Revision,
    Seq,
    SourceAttachment,
    Unreadable,
    Wanted,
)
from replication.store.interface import Database, Store
from replication.store.packing import stage_packed
from replication.store.paging import PageSize
from replication.store.values import AttachmentInfo, Change, Document, MissingRevision

_SCANNED_ROWS = 500
_WAIT_SECONDS = 60.0
_ATTACHMENT_RETRIES = 5
_PACE = 50
"""Most documents that are read before others get their turn."""

PageFilter = Callable[[Sequence[Change]], Awaitable[Sequence[Sequence[str]]]]
"""The wanted revisions of each of some changes, which have their documents with them."""


class Rules:
    """What a server adds to the rules of its store. A store by itself adds nothing."""

    async def write(self, database: Database, docs: Sequence[DocumentWrite]) -> Sequence[str | ProtocolError]:
        """Stores replicated revisions; one outcome for each."""
        return await database.write(docs, replicated=True)

    async def filter(self, database: Database, feed: Feed) -> PageFilter:
        """The filter function that `feed.filter` names. Raises `InvalidReplication`."""
        raise InvalidReplication(
            f"the filter {feed.filter} runs in a server only: name {database.name} by its URL,"
            " or filter with `selector` or `doc_ids`"
        )


class LocalPeer(Peer):
    """A database by name: it may be made, or vanish, while the peer is used."""

    def __init__(
        self, store: Store, name: str, *, rules: Rules | None = None, security: bytes = b"{}"
    ) -> None:
        """`security`: for a database that `create` makes."""
        self._store = store
        self._name = name
        self._rules = rules or Rules()
        self._security = security
        self.shown = name
        self.identity = f"{store.uuid}/{name}"

    @contextmanager
    def _database(self) -> Iterator[Database]:
        """The database, with the store's errors as those of a peer."""
        try:
            yield self._store.get(self._name)
        except ProtocolError as error:
            if error.status == 404:
                raise DatabaseMissing(self.shown) from None
            told = f"{self.shown}: {error.error}, {error.reason}"
            if error.status >= 500:
                raise PeerUnavailable(told) from None
            raise PeerRefused(told, status=error.status, error=error.error, reason=error.reason) from None

    async def info(self) -> PeerInfo:
        with self._database() as database:
            info = await database.info()
            return PeerInfo(
                update_seq=database.epochs.format(info.update_seq),
                created=str(info.created),
                documents=info.doc_count + info.deleted_count,
            )

    async def create(self, params: Mapping[str, str]) -> None:
        try:
            partitioned = is_partitioned(params)
            await self._store.create(self._name, security=self._security, partitioned=partitioned)
        except ProtocolError as error:
            if error.status != 412:
                raise InvalidReplication(f"{self.shown}: {error.reason}") from None

    async def commit(self) -> str:
        return (await self.info()).created

    async def document(self, docid: str) -> dict[str, Any] | None:
        with self._database() as database:
            found = await database.winner(docid)
            if found is None or found.deleted:
                return None
            value: dict[str, Any] = jsontext.decode(found.text)
            return value

    # -- the feed --------------------------------------------------------------------------------

    async def changes(self, feed: Feed, since: Seq, limit: int, *, wait: bool = False) -> FeedPage:
        with self._database() as database:
            number = _resolve(database, since)
            if wait:
                try:
                    async with asyncio.timeout(_WAIT_SECONDS):
                        await database.wait_for_change(number)
                except TimeoutError:
                    pass
            rows: list[ChangedDocument] = []
            select = await self._selection(database, feed)
            while True:
                upto = database.update_seq
                asked = min(limit - len(rows), _SCANNED_ROWS)
                changes = await database.change_rows(
                    number,
                    asked,
                    all_leaves=feed.all_leaves,
                    include_docs=feed.selector is not None or feed.filter is not None,
                    docids=feed.doc_ids,
                )
                selected = [change.revs for change in changes] if select is None else await select(changes)
                for change, revs in zip(changes, selected, strict=True):
                    if revs:
                        rows.append(ChangedDocument(change.id, tuple(parse_rev(rev) for rev in revs)))
                if changes:
                    number = changes[-1].seq
                if len(changes) < asked:
                    number = max(number, upto)
                    break
                if len(rows) >= limit:
                    break
            return FeedPage(rows, database.epochs.format(number), await database.pending(number))

    async def _selection(self, database: Database, feed: Feed) -> PageFilter | None:
        """Which revisions of changes are wanted; None for all of them."""
        if feed.filter == "_design":

            async def by_prefix(changes: Sequence[Change]) -> Sequence[Sequence[str]]:
                return [change.revs if change.id.startswith(DESIGN_PREFIX) else () for change in changes]

            return by_prefix
        if feed.filter is not None:
            return await self._rules.filter(database, feed)
        if feed.selector is None:
            return None
        matches = compile_selector(feed.selector).matches

        async def one_by_selector(change: Change) -> Sequence[str]:
            if len(change.revs) > 1:
                leaves = await database.leaves(change.id)
                return [leaf.rev for leaf in leaves if matches(jsontext.decode(leaf.text))]
            found = change.doc is not None and matches(jsontext.decode(change.doc))
            return change.revs if found else ()

        async def by_selector(changes: Sequence[Change]) -> Sequence[Sequence[str]]:
            return [await one_by_selector(change) for change in changes]

        return by_selector

    async def lacking(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Lacking]:
        with self._database() as database:
            found = await database.missing_revisions(asked)
            return {
                docid: Lacking(
                    tuple(map(parse_rev, missing.missing)),
                    tuple(map(parse_rev, missing.possible_ancestors)),
                )
                for docid, missing in found.items()
            }

    # -- reading ---------------------------------------------------------------------------------

    async def fetch(self, wanted: Sequence[Wanted]) -> AsyncIterator[list[Revision | Unreadable]]:
        batch: list[Revision | Unreadable] = []
        size = 0
        asked = [(want, rev) for want in wanted for rev in want.revs]
        page = PageSize(most=_PACE)
        at = 0
        while at < len(asked):
            await asyncio.sleep(0)
            some = asked[at : at + page.rows]
            at += len(some)
            read = await self._page(some)
            read_size = sum(each.size for each in read if isinstance(each, Revision))
            page.saw(len(some), read_size)
            batch += read
            size += read_size
            if size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    async def _page(self, asked: Sequence[tuple[Wanted, Rev]]) -> list[Revision | Unreadable]:
        """What each of these revisions, or the leaves below it, is on its way; a leaf comes once."""
        with self._database() as database:
            found = await database.bulk_get([(want.id, rev) for want, rev in asked], latest=True)
            read: dict[tuple[str, str], Revision | Unreadable] = {}
            for (want, _), documents in zip(asked, found, strict=True):
                for document in documents:
                    key = document.id, document.rev
                    if isinstance(document, MissingRevision):
                        read[key] = Unreadable(*key, "not stored any more")
                    elif key not in read:
                        read[key] = await self._revision(database, document, want)
            return list(read.values())

    async def _revision(self, database: Database, document: Document, want: Wanted) -> Revision | Unreadable:
        write = _write_of(document)
        write.path = parse_revisions(jsontext.decode(document.revisions))
        infos: Mapping[str, AttachmentInfo] = {}
        if document.has_attachments:
            infos = await database.attachments(document.id, parse_rev(document.rev))
            if not infos:
                # Changed and compacted since it was read: it must not get there without them.
                return Unreadable(document.id, document.rev, "not stored any more")
        attachments = {name: self._attachment(document, info) for name, info in infos.items()}
        return Revision(write, attachments, want.ancestors)

    def _attachment(self, document: Document, info: AttachmentInfo) -> SourceAttachment:
        return SourceAttachment(
            content_type=info.content_type,
            digest=info.digest,
            length=info.length,
            stored_length=info.stored_length,
            encoding=info.encoding,
            revpos=info.revpos,
            open=partial(self._read, info, f"{info.name} of {document.id}"),
        )

    async def _read(self, info: AttachmentInfo, what: str) -> AsyncIterator[bytes]:
        with self._database() as database:
            chunks = database.read_attachment(info)
            async for piece in verified(chunks, info.digest, info.stored_length, what):
                yield piece

    # -- writing ---------------------------------------------------------------------------------

    async def store(self, revisions: Sequence[Revision]) -> list[Refusal]:
        refused = [_too_large(each) for each in revisions if _has_too_large(each)]
        if refused:
            revisions = [each for each in revisions if not _has_too_large(each)]
        with self._database() as database:
            staged: list[StagedAttachment] = []
            try:
                writes = [
                    replace(each.write, attachments=await self._attachments(database, each, staged))
                    if each.attachments
                    else each.write
                    for each in revisions
                ]
                outcomes = await self._rules.write(database, writes)
            finally:
                if staged:
                    await database.discard_attachments(staged)
            for write, outcome in zip(writes, outcomes, strict=True):
                if isinstance(outcome, ProtocolError):
                    if outcome.status >= 500 and outcome.status != 501:
                        raise outcome
                    assert write.path is not None
                    rev = format_rev(write.path.leaf)
                    refused.append(Refusal(write.id, rev, outcome.error, outcome.reason))
            return refused

    async def _attachments(
        self, database: Database, revision: Revision, staged: list[StagedAttachment]
    ) -> dict[str, AttachmentWrite]:
        """Attachments for a write: what an ancestor here has as a stub, the rest as bytes.

        `staged` gets what was stored already and is to be removed if no document takes it up.
        """
        path = revision.write.path
        assert path is not None
        history = set(path.revisions())
        known: dict[str, AttachmentInfo] = {}
        generation = 0
        for rev in sorted(history.intersection(revision.ancestors), reverse=True)[:1]:
            generation = rev[0]
            known = await database.attachments(revision.write.id, rev)
        given: dict[str, AttachmentWrite] = {}
        for name, attachment in revision.attachments.items():
            held = known.get(name)
            if held is not None and _is_held(held, attachment, generation):
                given[name] = StubAttachment(digest=held.digest)
            elif attachment.stored_length is not None and attachment.stored_length <= SMALL:
                given[name] = await retrying(partial(_collect, attachment), _ATTACHMENT_RETRIES)
            else:
                taken = await retrying(partial(_stage, database, attachment), _ATTACHMENT_RETRIES)
                staged.append(taken)
                given[name] = taken
        return given

    # -- local documents -------------------------------------------------------------------------

    async def local(self, docid: str) -> dict[str, Any] | None:
        with self._database() as database:
            found = await database.local(docid)
            value: dict[str, Any] | None = None if found is None else jsontext.decode(found.text)
            return value

    async def put_local(self, docid: str, body: Mapping[str, Any]) -> None:
        with self._database() as database:
            found = await database.local(docid)
            parent = 0 if found is None else int(found.rev.partition("-")[2])
            await database.put_local(docid, parent, jsontext.encode(body))


def _write_of(document: Document) -> DocumentWrite:
    """Without attachments and path. Most texts needn't be parsed: their members are one piece of them."""
    if not document.has_attachments:
        body = body_of(document.text, document.id, document.rev, document.deleted)
        if body is not None:
            return DocumentWrite(document.id, document.deleted, body, parse_rev(document.rev))
    value = jsontext.decode(document.text)
    value.pop("_attachments", None)
    return parse_document(value)


def _has_too_large(revision: Revision) -> bool:
    return any(
        max(each.length, each.stored_length or 0) > MAX_ATTACHMENT for each in revision.attachments.values()
    )


def _too_large(revision: Revision) -> Refusal:
    assert revision.write.path is not None
    rev = format_rev(revision.write.path.leaf)
    reason = f"it has an attachment of more than {MAX_ATTACHMENT} bytes"
    return Refusal(revision.write.id, rev, "attachment_too_large", reason)


async def _collect(attachment: SourceAttachment) -> InlineAttachment:
    measured = Measured(attachment)
    taken = InlineAttachment(
        content_type=attachment.content_type,
        data=await collected(measured.chunks()),
        digest=attachment.digest,
        revpos=attachment.revpos,
        encoding=attachment.encoding,
        length=measured.length,
    )
    return as_stored(taken)


def _is_held(held: AttachmentInfo, attachment: SourceAttachment, generation: int) -> bool:
    """Whether an attachment of the revision's ancestor, which has `generation`, is the one of the source."""
    if held.content_type != attachment.content_type:
        return False
    if held.encoding is not None and attachment.encoding is None:
        # Packed when it came, so the digests differ. It came with the revision that both name.
        same = (held.revpos, held.length) == (attachment.revpos, attachment.length)
        return same and held.revpos <= generation
    return held.digest == attachment.digest


async def _stage(database: Database, attachment: SourceAttachment) -> StagedAttachment:
    measured = Measured(attachment)
    if attachment.encoding is None and is_compressible(attachment.content_type):
        taken = await stage_packed(database, measured.chunks(), content_type=attachment.content_type)
    else:
        taken = await database.stage_attachment(
            measured.chunks(), content_type=attachment.content_type, encoding=attachment.encoding
        )
    return replace(taken, length=measured.length, revpos=attachment.revpos)


def _resolve(database: Database, since: Seq) -> int:
    if since == BEGINNING:
        return 0
    return database.epochs.resolve(str(since), database.update_seq)
