"""Revisions to a peer over HTTP.

Most go many at a time by `_bulk_docs`, small attachments inside them. A document with a larger
attachment, or with one that is stored gzipped, goes by itself as `multipart/related`, its bytes passed
on as they are read from the source. A peer that isn't known to understand gzip gets the bytes from before
it. What an ancestor at the target has already is sent as a stub; if the target wants it after all, the
document is sent again whole.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from replication.protocol import jsontext
from replication.protocol.revisions import format_rev
from replication.replicator.attachment_streams import SMALL, collected
from replication.replicator.backoff import retrying
from replication.replicator.connection import SERVER_ROOT, Connection, document_path
from replication.replicator.failures import (
    DatabaseMissing,
    MissingStub,
    PeerLied,
    PeerRefused,
    PeerUnavailable,
    TooLarge,
    quoted,
)
from replication.replicator.http_reading import identity_bytes
from replication.replicator.peer import BATCH_BYTES, Refusal, Revision, SourceAttachment
from replication.replicator.related import RelatedDocument, entry_of, request_text

_LARGEST_INLINE = 8 * 1024 * 1024
"""Bytes of attachments that go inside a document to a peer that takes no multipart."""

_POISON = frozenset({400, 403, 413, 417})
"""Statuses of a request that may be the fault of a single document in it."""

_ATTACHMENT_RETRIES = 5

_NO_MULTIPART = frozenset({400, 404, 405, 406, 415, 501})


class HttpWriter:
    """Stores revisions at one peer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._takes_multipart = True
        self._understands_gzip: bool | None = None

    async def store(self, revisions: Sequence[Revision]) -> list[Refusal]:
        refused: list[Refusal] = []
        batch: list[tuple[Revision, bytes]] = []
        size = 0
        for revision in revisions:
            if any(each.encoding for each in revision.attachments.values()) and not await self._reads_gzip():
                revision = replace(revision, attachments=_identity(revision))
            kept = await self._kept(revision)
            if self._takes_multipart and not _goes_inline(revision, kept):
                refused += await self._store_alone(revision, kept)
                continue
            try:
                text = await self._text(revision, kept)
            except TooLarge as error:
                refused.append(_refusal(revision, "too_large", str(error)))
                continue
            if batch and size + len(text) > BATCH_BYTES:
                refused += await self._store_batch(batch)
                batch, size = [], 0
            batch.append((revision, text))
            size += len(text)
        if batch:
            refused += await self._store_batch(batch)
        return refused

    async def _reads_gzip(self) -> bool:
        """Whether the peer knows `encoding` in an attachment: CouchDB does, and who says it is like it.

        PouchDB's server takes the packed bytes for the attachment itself.
        """
        if self._understands_gzip is None:
            try:
                welcome = (await self._connection.request("GET", SERVER_ROOT)).json(self._connection.shown)
            except (PeerRefused, PeerLied):
                welcome = None
            self._understands_gzip = isinstance(welcome, dict) and "couchdb" in welcome
        return self._understands_gzip

    async def _kept(self, revision: Revision) -> frozenset[str]:
        """Attachments that the target has from an ancestor, by their digests.

        That they are no newer than the ancestor (`revpos`) is not enough: CouchDB gives a document that is
        made again on a deleted one attachments of generation 1, and takes any stub of a name that it has.
        A few bytes are sent without asking.
        """
        if not revision.attachments or not revision.ancestors:
            return frozenset()
        path = revision.write.path
        assert path is not None
        common = set(path.revisions()).intersection(revision.ancestors)
        if not common:
            return frozenset()
        nearest = max(common)
        old = {
            name: each
            for name, each in revision.attachments.items()
            if each.digest and each.revpos and each.revpos <= nearest[0]
        }
        if sum(each.length for each in old.values()) <= SMALL:
            return frozenset()
        held = await self._held(revision.write.id, format_rev(nearest))
        return frozenset(name for name, each in old.items() if held.get(name) == each.digest)

    async def _held(self, docid: str, rev: str) -> Mapping[str, str]:
        """Digests of what a revision at the target has attached; none if it can't be read."""
        try:
            answer = await self._connection.request("GET", document_path(docid), query={"rev": rev})
        except DatabaseMissing:
            raise
        except (PeerRefused, TooLarge):
            return {}
        document = answer.json(self._connection.shown)
        entries = document.get("_attachments") if isinstance(document, dict) else None
        if not isinstance(entries, dict):
            return {}
        return {name: str(each.get("digest")) for name, each in entries.items() if isinstance(each, dict)}

    # -- many at once ----------------------------------------------------------------------------

    async def _store_batch(
        self, batch: Sequence[tuple[Revision, bytes]], *, whole: bool = False
    ) -> list[Refusal]:
        """Sends documents together; in halves if the peer finds the request too large or faulty.

        `whole`: there are no stubs in them.
        """
        body = b'{"new_edits":false,"docs":[%b]}' % b",".join([text for _, text in batch])
        try:
            answer = await self._connection.request("POST", "/_bulk_docs", body=body)
        except MissingStub:
            if whole:
                raise self._insatiable() from None
            return [row for revision, _ in batch for row in await self._store_whole(revision)]
        except DatabaseMissing:
            raise
        except (TooLarge, PeerRefused) as error:
            if isinstance(error, PeerRefused) and error.status not in _POISON:
                raise
            if len(batch) == 1:
                kind = error.error if isinstance(error, PeerRefused) else error.kind
                return [_refusal(batch[0][0], kind, str(error))]
            middle = len(batch) // 2
            first = await self._store_batch(batch[:middle], whole=whole)
            return first + await self._store_batch(batch[middle:], whole=whole)
        return await self._refused(answer.json(self._connection.shown), batch, whole)

    def _insatiable(self) -> PeerLied:
        return PeerLied(f"{self._connection.shown} misses attachments that it was sent")

    async def _refused(
        self, rows: Any, batch: Sequence[tuple[Revision, bytes]], whole: bool
    ) -> list[Refusal]:
        """The refusals in an answer to `_bulk_docs`."""
        if not isinstance(rows, list):
            raise PeerLied(f"{self._connection.shown}: the answer to _bulk_docs is no list")
        sent = {revision.write.id: revision for revision, _ in batch}
        exact = {(revision.write.id, _rev(revision)): revision for revision, _ in batch}
        refused = []
        for row in rows:
            docid = row.get("id") if isinstance(row, dict) else None
            if not isinstance(docid, str) or docid not in sent:
                raise PeerLied(f"{self._connection.shown}: _bulk_docs answered for {quoted(docid)}")
            if "error" not in row:
                continue
            error, reason = quoted(row["error"]), quoted(row.get("reason", ""))
            revision = exact.get((docid, str(row.get("rev"))), sent[docid])
            if error == "missing_stub":
                if whole:
                    raise self._insatiable()
                refused += await self._store_whole(revision)
            elif error in ("internal_server_error", "timeout", "service_unavailable"):
                raise PeerUnavailable(f"{self._connection.shown} could not store {quoted(docid)}: {reason}")
            else:
                refused.append(_refusal(revision, error, reason))
        return refused

    async def _store_whole(self, revision: Revision) -> list[Refusal]:
        """Sends a document with all of its attachments."""
        if not self._takes_multipart or _goes_inline(revision, frozenset()):
            try:
                text = await self._text(revision, frozenset())
            except TooLarge as error:
                return [_refusal(revision, "too_large", str(error))]
            return await self._store_batch([(revision, text)], whole=True)
        return await self._store_alone(revision, frozenset())

    async def _text(self, revision: Revision, kept: frozenset[str]) -> bytes:
        """The document as JSON, its attachments inside."""
        if not revision.attachments:
            return request_text(revision.write, b"")
        entries: dict[str, Any] = {}
        size = 0
        for name, attachment in _identity(revision).items():
            if name in kept:
                entries[name] = {**entry_of(revision.attachments[name]), "stub": True}
                continue
            entry = entry_of(attachment)
            size += attachment.length
            if size > _LARGEST_INLINE:
                raise TooLarge(
                    f"{self._connection.shown} takes no multipart, and the attachments of"
                    f" {quoted(revision.write.id)} are larger than {_LARGEST_INLINE} bytes"
                )
            data = await retrying(partial(_collect, attachment), _ATTACHMENT_RETRIES)
            entries[name] = {**entry, "data": b64encode(data).decode("ascii")}
        return request_text(revision.write, jsontext.encode(entries))

    # -- one by itself ---------------------------------------------------------------------------

    async def _store_alone(self, revision: Revision, kept: frozenset[str]) -> list[Refusal]:
        """Sends a document as `multipart/related`."""
        related = RelatedDocument(revision.write, revision.attachments, kept)
        try:
            await self._connection.request(
                "PUT",
                document_path(revision.write.id),
                query={"new_edits": "false"},
                body=related.body,
                headers=related.headers,
                total=related.patience,
            )
        except MissingStub:
            if not kept:
                raise self._insatiable() from None
            return await self._store_alone(revision, frozenset())
        except TooLarge as error:
            return [_refusal(revision, error.kind, str(error))]
        except DatabaseMissing:
            raise
        except PeerRefused as error:
            if error.status in _NO_MULTIPART and error.error != "doc_validation":
                self._takes_multipart = False
                try:
                    text = await self._text(revision, kept)
                except TooLarge as large:
                    return [_refusal(revision, large.kind, str(large))]
                refused = await self._store_batch([(revision, text)])
                # Refused either way, the document was at fault and not the form it came in.
                self._takes_multipart = bool(refused)
                return refused
            if error.status in (401, 403):
                return [_refusal(revision, error.error, error.reason)]
            raise
        return []


async def _collect(attachment: SourceAttachment) -> bytes:
    return await collected(attachment.open())


def _identity(revision: Revision) -> Mapping[str, SourceAttachment]:
    """The revision's attachments as they were before they were packed."""
    return {
        name: attachment
        if attachment.encoding is None
        else replace(
            attachment,
            encoding=None,
            stored_length=attachment.length,
            digest="",  # it was that of the packed bytes
            open=partial(
                identity_bytes, attachment, f"the attachment {quoted(name)} of {quoted(revision.write.id)}"
            ),
        )
        for name, attachment in revision.attachments.items()
    }


def _goes_inline(revision: Revision, kept: frozenset[str]) -> bool:
    sizes = 0
    for name, attachment in revision.attachments.items():
        if name not in kept:
            if attachment.encoding is not None:
                return False
            sizes += attachment.length
    return sizes <= SMALL


def _rev(revision: Revision) -> str:
    assert revision.write.path is not None
    return format_rev(revision.write.path.leaf)


def _refusal(revision: Revision, error: str, reason: str) -> Refusal:
    return Refusal(revision.write.id, _rev(revision), error or "refused", reason)
