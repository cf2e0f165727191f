"""Writing documents to a CouchDB database.

Most go many at a time by `_bulk_docs`, small attachments inside them. One with an attachment that is staged,
or is packed in a way that CouchDB wouldn't pack it, goes by itself as `multipart/related`; one that keeps
attachments as stubs goes by itself, too, for CouchDB refuses a whole request over a stub that is none.

CouchDB judges new edits and makes their revisions. A request with edits is made once: if it is broken off,
nobody knows what has become of it. Replicated revisions are the same however often they are written.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from replication.protocol import errors, jsontext
from replication.protocol.attachments import (
    FollowingAttachment,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
    is_compressible,
)
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, format_rev
from replication.protocol.unpacking import Unpacker
from replication.replicator.connection import document_path
from replication.replicator.peer import BATCH_BYTES, SourceAttachment
from replication.replicator.related import RelatedDocument, request_text
from replication.store.couchdb.client import Client, Repeat

ReadStaged = Callable[[StagedAttachment], AsyncIterator[bytes]]

StubsOf = Callable[[str, Sequence[Rev]], Any]
"""`_attachments` of the revisions of a document that are there, in order: awaitable."""

_POISON = frozenset({400, 413})
"""Statuses of a request that may be the fault of a single document in it; nothing was written then."""

_STATUS = {
    "conflict": 409,
    "forbidden": 403,
    "unauthorized": 401,
    "missing_stub": 412,
    "doc_validation": 400,
    "bad_request": 400,
    "illegal_docid": 400,
    "illegal_partition": 400,
    "document_too_large": 413,
    "attachment_too_large": 413,
    "too_large": 413,
}
"""Of errors that CouchDB names in a row."""

Outcome = str | ProtocolError


class DocumentWriter:
    def __init__(self, client: Client, path: str, read_staged: ReadStaged, stubs_of: StubsOf) -> None:
        self._client = client
        self._path = path
        self._read_staged = read_staged
        self._stubs_of = stubs_of

    async def write(self, docs: Sequence[DocumentWrite], *, replicated: bool) -> list[Outcome]:
        """In order; for each document its revision, or why it was refused."""
        outcomes: list[Outcome] = []
        try:
            for some in _requests(docs):
                if _goes_alone(some[0]):
                    outcomes.append(await self._alone(some[0], replicated))
                else:
                    outcomes += await self._together(some, replicated)
        except ProtocolError as error:
            if not outcomes:
                raise
            # What was written before must not be told as if it hadn't been.
            outcomes += [error] * (len(docs) - len(outcomes))
        return outcomes

    # -- many at once ----------------------------------------------------------------------------

    async def _together(self, docs: Sequence[DocumentWrite], replicated: bool) -> list[Outcome]:
        texts = [request_text(doc, _inline(doc, replicated)) for doc in docs]
        body = b'{"new_edits":%b,"docs":[%b]}' % (b"false" if replicated else b"true", b",".join(texts))
        try:
            rows = await self._client.ask(
                "POST",
                f"{self._path}/_bulk_docs",
                body=body,
                repeat=Repeat.ALWAYS if replicated else Repeat.UNDONE,
            )
        except ProtocolError as error:
            if error.status not in _POISON:
                raise
            if len(docs) == 1:
                return [error]
            middle = len(docs) // 2
            first = await self._together(docs[:middle], replicated)
            return first + await self._together(docs[middle:], replicated)
        return _of_revisions(docs, rows) if replicated else _of_edits(docs, rows)

    # -- one by itself ---------------------------------------------------------------------------

    async def _alone(self, doc: DocumentWrite, replicated: bool) -> Outcome:
        try:
            kept = await self._kept(doc, replicated)
            attachments = {
                name: kept[name] if name in kept else self._source(given, replicated)
                for name, given in doc.attachments.items()
            }
            related = RelatedDocument(doc, attachments, frozenset(kept))
            value = await self._client.ask(
                "PUT",
                self._path + document_path(doc.id),
                query={"new_edits": "false"} if replicated else {},
                # Nothing may follow, and for that nothing CouchDB would wait.
                body=related.body if len(kept) < len(attachments) else related.text,
                headers=related.headers if len(kept) < len(attachments) else {},
                repeat=Repeat.ALWAYS if replicated else Repeat.UNDONE,
                total=related.patience,
            )
        except ProtocolError as error:
            if error.status >= 500 or error.status == 404:
                raise
            return error
        return str(value["rev"])

    async def _kept(self, doc: DocumentWrite, replicated: bool) -> dict[str, SourceAttachment]:
        """What the document's stubs stand for. Raises `missing_stub`.

        CouchDB takes any stub of a name that it has: whether it is the right one is seen to here.
        """
        stubs = {name: each for name, each in doc.attachments.items() if isinstance(each, StubAttachment)}
        if not stubs:
            return {}
        before = doc.path.revisions()[1:] if doc.path else [doc.parent] if doc.parent else []
        ancestors: list[Mapping[str, Any]] = await self._stubs_of(doc.id, before)
        kept = {}
        for name, stub in stubs.items():
            found = next((old[name] for old in ancestors if name in old and _fits(stub, old[name])), None)
            if found is None:
                raise errors.missing_stub(f"Invalid attachment stub in {doc.id} for {name}")
            kept[name] = SourceAttachment(
                found["content_type"], found["digest"], found["length"], None, None, found["revpos"], _nothing
            )
        return kept

    def _source(self, given: object, replicated: bool) -> SourceAttachment:
        assert isinstance(given, InlineAttachment | StagedAttachment)
        revpos = given.revpos if replicated else None
        if isinstance(given, StagedAttachment):
            return SourceAttachment(
                given.content_type,
                given.digest,
                given.length,
                given.stored_length,
                given.encoding,
                revpos,
                partial(self._read_staged, given),
            )
        return SourceAttachment(
            given.content_type,
            given.digest,
            len(given.data) if given.length is None else given.length,
            len(given.data),
            given.encoding,
            revpos,
            partial(_whole, given.data),
        )


def _requests(docs: Sequence[DocumentWrite]) -> Iterator[list[DocumentWrite]]:
    """The documents of each request, in order."""
    batch: list[DocumentWrite] = []
    size = 0
    for doc in docs:
        alone = _goes_alone(doc)
        if batch and (alone or size + len(doc.body) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(doc)
        size += len(doc.body)
        if alone:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _goes_alone(doc: DocumentWrite) -> bool:
    for given in doc.attachments.values():
        if isinstance(given, FollowingAttachment):
            raise errors.bad_request("An attachment says that its data follows, and nothing does")
        if not isinstance(given, InlineAttachment):
            return True
        if given.encoding is not None and not is_compressible(given.content_type):
            return True
    return False


def _inline(doc: DocumentWrite, replicated: bool) -> bytes:
    """The value of `_attachments` with all bytes in it; CouchDB packs what it would pack itself."""
    if not doc.attachments:
        return b""
    entries = {}
    for name, given in doc.attachments.items():
        assert isinstance(given, InlineAttachment)
        data = given.data
        if given.encoding is not None:
            data = b"".join(Unpacker().feed(data))
        entries[name] = {"content_type": given.content_type, "data": b64encode(data).decode("ascii")}
        if replicated and given.revpos is not None:
            entries[name]["revpos"] = given.revpos  # type: ignore[assignment]
    return jsontext.encode(entries)


def _fits(stub: StubAttachment, entry: Mapping[str, Any]) -> bool:
    return (stub.digest is None or stub.digest == entry["digest"]) and (
        stub.revpos is None or stub.revpos == entry["revpos"]
    )


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _nothing() -> AsyncIterator[bytes]:
    """Of a stub, whose bytes nobody reads."""
    return _whole(b"")


def _of_edits(docs: Sequence[DocumentWrite], rows: Any) -> list[Outcome]:
    if not isinstance(rows, list) or len(rows) != len(docs):
        raise errors.internal("The database server answered _bulk_docs with other rows than it was given.")
    return [_refusal(row) if "error" in row else str(row["rev"]) for row in rows]


def _of_revisions(docs: Sequence[DocumentWrite], rows: Any) -> list[Outcome]:
    """The answer lists refusals only."""
    if not isinstance(rows, list):
        raise errors.internal("The database server answered _bulk_docs with something that is no list.")
    refused = {(row.get("id"), row.get("rev")): row for row in rows if "error" in row}
    outcomes: list[Outcome] = []
    for doc in docs:
        assert doc.path is not None
        rev = format_rev(doc.path.leaf)
        row = refused.get((doc.id, rev)) or refused.get((doc.id, None))
        outcomes.append(rev if row is None else _refusal(row))
    return outcomes


def _refusal(row: Mapping[str, Any]) -> ProtocolError:
    error, reason = str(row["error"]), str(row.get("reason", ""))
    if error in ("internal_server_error", "timeout", "service_unavailable"):
        return errors.unavailable("The database server could not store the document. Try again later.")
    return ProtocolError(_STATUS.get(error, 500), error, reason)
