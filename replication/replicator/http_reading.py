"""Revisions from a peer over HTTP, and whether they are what was asked for.

`_bulk_get` brings many documents in one answer, with stubs for their attachments; the bytes of each
attachment are a request of their own, made when somebody reads them. How many documents are asked for
at once follows their size. A peer without `_bulk_get` is asked for one document at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from replication.protocol import jsontext
from replication.protocol.documents import parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.names import check_attachment_name
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.replicator.attachment_streams import unpacked, verified
from replication.replicator.checkpoints import Statistics
from replication.replicator.connection import Connection, document_path, path_segment
from replication.replicator.failures import (
    AttachmentGone,
    DatabaseMissing,
    OddDocument,
    PeerLied,
    PeerRefused,
    TooLarge,
    quoted,
)
from replication.replicator.peer import (
    BATCH_BYTES,
    Revision,
    SourceAttachment,
    Unreadable,
    Wanted,
)

_FIRST_BATCH = 10
_MOST = 1000

_NO_BULK_GET = frozenset({400, 404, 405, 415, 501})
"""What peers answer that don't know `_bulk_get`."""

_MAX_ATTACHMENTS = 10_000

_LARGEST_REVPOS = 10**15
"""No revision has a higher generation. CouchDB keeps what it is given."""


class _Asked(NamedTuple):
    want: Wanted
    rev: Rev


class _Missing(NamedTuple):
    """Stands in an answer where a revision should be."""

    reason: str


_Came = Revision | _Missing


class Reader:
    """Fetches from one peer, and learns what it can and how large its documents are."""

    def __init__(self, connection: Connection, statistics: Statistics, *, lenient: bool = False) -> None:
        """`lenient`: see `HttpPeer.lenient`."""
        self._lenient = lenient
        self._connection = connection
        self._statistics = statistics
        self._has_bulk_get = True
        self._count = _FIRST_BATCH

    async def fetch(self, wanted: Sequence[Wanted]) -> AsyncIterator[list[Revision | Unreadable]]:
        asked = [_Asked(want, rev) for want in wanted for rev in want.revs]
        place = 0
        while place < len(asked):
            count = self._count if self._has_bulk_get else 1
            chunk = asked[place : place + count]
            try:
                yield await self._fetch(chunk)
            except (TooLarge, OddDocument) as error:
                if isinstance(error, OddDocument) and not self._lenient:
                    raise
                if len(chunk) > 1:
                    self._count = max(1, len(chunk) // 2)
                    continue
                yield [Unreadable(chunk[0].want.id, format_rev(chunk[0].rev), str(error), True)]
            place += len(chunk)

    async def _fetch(self, asked: Sequence[_Asked]) -> list[Revision | Unreadable]:
        if self._has_bulk_get:
            try:
                return await self._bulk_get(asked)
            except DatabaseMissing:
                raise
            except PeerRefused as error:
                if error.status not in _NO_BULK_GET:
                    raise
                self._has_bulk_get = False
        return [item for one in asked for item in await self._get(one)]

    # -- many at once ----------------------------------------------------------------------------

    async def _bulk_get(self, asked: Sequence[_Asked]) -> list[Revision | Unreadable]:
        self._statistics.bulk_get_attempts += len(asked)
        answer = await self._connection.request(
            "POST",
            "/_bulk_get",
            query={"revs": "true", "latest": "true", "att_encoding_info": "true"},
            json={"docs": [{"id": one.want.id, "rev": format_rev(one.rev)} for one in asked]},
        )
        self._adapt(len(asked), len(answer.body))
        value = answer.json(self._connection.shown)
        results = value.get("results") if isinstance(value, dict) else None
        if not isinstance(results, list):
            raise self._lie("the answer to _bulk_get has no `results`")
        rows = self._rows(results, asked)
        found: list[Revision | Unreadable] = []
        seen: set[tuple[str, str]] = set()
        # A row may answer several requests: its documents are read once.
        read: dict[tuple[str, Rev | None], list[_Came]] = {}
        for one in asked:
            key: tuple[str, Rev | None] = (one.want.id, one.rev)
            if not rows.get(key):
                key = (one.want.id, None)
            if key not in read:
                read[key] = self._read_row(one.want, rows.get(key, []))
            mine = self._of_row(one, read[key])
            if not mine:
                # Some peers leave out what the reader may not see.
                mine = [Unreadable(one.want.id, format_rev(one.rev), "not in the answer")]
            for item in mine:
                what = (one.want.id, item.rev) if isinstance(item, Unreadable) else _key(item)
                if what not in seen:
                    seen.add(what)
                    found.append(item)
        self._statistics.bulk_get_docs += sum(isinstance(item, Revision) for item in found)
        return found

    def _rows(
        self, results: Sequence[Any], asked: Sequence[_Asked]
    ) -> dict[tuple[str, Rev | None], list[Any]]:
        """What came, by what was asked. Rows are in the order of the requests, or one for each document."""
        ids = {one.want.id for one in asked}
        in_order = len(results) == len(asked)
        rows: dict[tuple[str, Rev | None], list[Any]] = {}
        for place, row in enumerate(results):
            docid = row.get("id") if isinstance(row, dict) else None
            docs = row.get("docs") if isinstance(row, dict) else None
            if not isinstance(docid, str) or docid not in ids or not isinstance(docs, list):
                raise self._lie(f"_bulk_get answered a row for {quoted(docid)}, which nobody asked for")
            in_order = in_order and docid == asked[place].want.id
            rows.setdefault((docid, asked[place].rev if in_order else None), []).extend(docs)
        if in_order:
            return rows
        merged: dict[tuple[str, Rev | None], list[Any]] = {}
        for (docid, _), docs in rows.items():
            merged.setdefault((docid, None), []).extend(docs)
        return merged

    def _read_row(self, want: Wanted, documents: Sequence[Any]) -> list[_Came]:
        """The documents of a row: a revision, or why there is none."""
        came: list[_Came] = []
        for item in documents:
            if isinstance(item, dict) and isinstance(item.get("ok"), dict):
                came.append(self._revision(want, item["ok"]) or _Missing("not a valid document"))
            elif isinstance(item, dict) and isinstance(item.get("error"), dict):
                error = item["error"]
                told = f"{quoted(error.get('error', ''))}, {quoted(error.get('reason', ''))}"
                came.append(_Missing(told))
            else:
                raise self._lie("_bulk_get answered a document that is neither ok nor an error")
        return came

    def _of_row(self, one: _Asked, came: Sequence[_Came]) -> list[Revision | Unreadable]:
        """What of a row answers what was asked; errors count if nothing does."""
        mine: list[Revision | Unreadable] = []
        failed: list[Revision | Unreadable] = []
        rev = format_rev(one.rev)
        for item in came:
            if isinstance(item, _Missing):
                failed.append(Unreadable(one.want.id, rev, item.reason))
            elif _is_beyond(item, one.rev):
                # A later row of the feed brings it: it was written after this one was read.
                failed.append(Unreadable(one.want.id, rev, "superseded"))
            elif _answers(item, one.rev):
                mine.append(item)
        if mine:
            return mine
        if came and not failed:
            revs = ", ".join(map(format_rev, one.want.revs))
            raise self._lie(f"asked for {quoted(one.want.id)} {revs}, other revisions came")
        return failed[:1]

    def _adapt(self, count: int, size: int) -> None:
        fitting = BATCH_BYTES * count // max(size, 1)
        self._count = max(1, min(fitting, 4 * self._count, _MOST))

    # -- one at a time ---------------------------------------------------------------------------

    async def _get(self, one: _Asked) -> list[Revision | Unreadable]:
        rev = format_rev(one.rev)
        try:
            answer = await self._connection.request(
                "GET",
                document_path(one.want.id),
                query={
                    "open_revs": jsontext.encode([rev]).decode(),
                    "revs": "true",
                    "latest": "true",
                    "att_encoding_info": "true",
                },
            )
        except PeerRefused as error:
            if error.status in (403, 404):
                return [Unreadable(one.want.id, rev, error.reason or str(error))]
            raise
        value = answer.json(self._connection.shown)
        if not isinstance(value, list):
            raise self._lie("the answer to open_revs is no list")
        documents = [
            {"error": {"error": "not_found", "reason": "missing"}}
            if isinstance(item, dict) and "missing" in item
            else item
            for item in value
        ]
        came = self._read_row(one.want, documents)
        return self._of_row(one, came) or [Unreadable(one.want.id, rev, "not in the answer")]

    # -- one document ----------------------------------------------------------------------------

    def _revision(self, want: Wanted, value: dict[str, Any]) -> Revision | None:
        """The document; None if no database could take it. Raises `PeerLied` if it is another one."""
        if value.get("_id") != want.id:
            raise self._lie(f"asked for {quoted(want.id)}, {quoted(value.get('_id'))} came")
        attached = value.get("_attachments") or {}
        try:
            write = parse_document({name: each for name, each in value.items() if name != "_attachments"})
        except ProtocolError:
            return None
        if write.path is None or write.parent != write.path.leaf:
            raise self._lie(f"the history of {quoted(want.id)} does not fit its revision")
        write.parent = None
        if not isinstance(attached, dict) or len(attached) > _MAX_ATTACHMENTS:
            raise self._odd(f"the attachments of {quoted(want.id)} are no object")
        rev = format_rev(write.path.leaf)
        attachments = {name: self._attachment(want.id, rev, name, entry) for name, entry in attached.items()}
        return Revision(write, attachments, want.ancestors)

    def _attachment(self, docid: str, rev: str, name: str, entry: Any) -> SourceAttachment:
        what = f"the attachment {quoted(name)} of {quoted(docid)}"
        if not isinstance(entry, dict):
            raise self._odd(f"{what} is no object")
        try:
            check_attachment_name(name)
        except ProtocolError as error:
            raise self._odd(f"{what}: {error.reason}") from None
        content_type = entry.get("content_type", "application/octet-stream")
        digest, length, revpos = (entry.get(key) for key in ("digest", "length", "revpos"))
        encoding, encoded = entry.get("encoding"), entry.get("encoded_length")
        if not isinstance(content_type, str) or not content_type.isprintable():
            raise self._odd(f"{what} has no content_type")
        if not isinstance(digest, str) or not isinstance(length, int) or not _is_size(length):
            raise self._odd(f"{what} has no digest or no length")
        if encoding not in (None, "identity", "gzip") or not (revpos is None or _is_size(revpos)):
            raise self._odd(f"{what} has an unknown encoding or a bad revpos")
        packed = encoding == "gzip"
        stored = (encoded if _is_size(encoded) else None) if packed else length
        return SourceAttachment(
            content_type=content_type,
            digest=digest,
            length=length,
            stored_length=stored,
            encoding="gzip" if packed else None,
            revpos=revpos if revpos is None or revpos <= _LARGEST_REVPOS else None,
            open=partial(self._read, docid, rev, name, digest, stored, packed, what),
        )

    async def _read(
        self, docid: str, rev: str, name: str, digest: str, stored: int | None, packed: bool, what: str
    ) -> AsyncIterator[bytes]:
        connection = self._connection
        headers = {"accept": "*/*", "accept-encoding": "gzip" if packed else "identity"}
        path = f"{document_path(docid)}/{'/'.join(map(path_segment, name.split('/')))}"
        try:
            async with connection.stream(path, {"rev": rev}, headers) as response:
                sent = response.headers.get("content-encoding", "identity").lower()
                if sent not in (("gzip",) if packed else ("identity", "")):
                    raise PeerLied(f"{what} came with the encoding {quoted(sent)}")
                async for piece in verified(connection.raw(response), digest, stored, what):
                    yield piece
        except PeerRefused as error:
            if error.status != 404:
                raise
            raise AttachmentGone(f"{what} is gone from {connection.shown}") from None

    def _lie(self, what: str) -> PeerLied:
        return PeerLied(f"{self._connection.shown}: {what}")

    def _odd(self, what: str) -> OddDocument:
        return OddDocument(f"{self._connection.shown}: {what}")


def _answers(revision: Revision, rev: Rev) -> bool:
    """Whether it is the asked revision or descends from it."""
    path = revision.write.path
    assert path is not None
    place = path.start - rev[0]
    return 0 <= place < len(path.ids) and path.ids[place] == rev[1]


def _is_beyond(revision: Revision, rev: Rev) -> bool:
    """Whether it is so much newer than `rev` that its history doesn't reach back to it."""
    path = revision.write.path
    assert path is not None
    return path.start - rev[0] >= len(path.ids)


def _key(revision: Revision) -> tuple[str, str]:
    assert revision.write.path is not None
    return revision.write.id, format_rev(revision.write.path.leaf)


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 0


def identity_bytes(attachment: SourceAttachment, what: str) -> AsyncIterator[bytes]:
    """An attachment's bytes before encoding."""
    if attachment.encoding is None:
        return attachment.open()
    return unpacked(attachment.open(), attachment.length, what)


def parse_revs(texts: Any, shown: str) -> tuple[Rev, ...]:
    """Revisions from a list a peer sent."""
    if not isinstance(texts, list):
        raise PeerLied(f"{shown} answered revisions that are no list")
    try:
        return tuple([parse_rev(text) for text in texts])
    except ProtocolError:
        raise PeerLied(f"{shown} answered a revision that is none") from None
