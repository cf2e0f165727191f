"""Attachments of a CouchDB database: what a revision has, and its bytes in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from replication.protocol import errors
from replication.protocol.revisions import Rev, format_rev
from replication.replicator.attachment_streams import verified
from replication.replicator.connection import document_path, path_segment
from replication.replicator.failures import PeerLied
from replication.store.couchdb.client import Client
from replication.store.values import AttachmentInfo


class RemoteAttachment(AttachmentInfo):
    """An attachment that knows whose it is. `handle` says nothing."""

    docid: str
    rev: str


class Attachments:
    """Reads those of one database."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path

    async def of(self, docid: str, rev: Rev) -> dict[str, AttachmentInfo]:
        """By name; empty for an unknown revision, too."""
        query = {"rev": format_rev(rev), "att_encoding_info": "true"}
        try:
            value = await self._client.ask("GET", self._path + document_path(docid), query=query)
        except errors.ProtocolError as error:
            if error.status == 404 and not errors.is_database_missing(error):
                return {}
            raise
        entries: Mapping[str, Any] = value.get("_attachments") or {}
        return {name: _info(docid, value["_rev"], name, entry) for name, entry in entries.items()}

    async def read(self, info: AttachmentInfo, start: int, end: int | None) -> AsyncIterator[bytes]:
        """The stored bytes from `start` to before `end`. Raises at the end if they were too few or wrong."""
        assert isinstance(info, RemoteAttachment)
        end = info.stored_length if end is None else min(end, info.stored_length)
        if start >= end:
            return
        whole = (start, end) == (0, info.stored_length)
        headers = {"accept": "*/*", "accept-encoding": info.encoding or "identity"}
        if not whole and info.encoding is None:  # of packed ones CouchDB gives no ranges
            headers["range"] = f"bytes={start}-{end - 1}"
        name = "/".join(map(path_segment, info.name.split("/")))
        path = f"{self._path}{document_path(info.docid)}/{name}"
        async with self._client.stream(path, {"rev": info.rev}, headers) as response:
            encoding = response.headers.get("content-encoding", "identity").lower()
            if encoding != (info.encoding or "identity"):
                raise PeerLied(f"an attachment came with the encoding {encoding}")
            pieces = self._client.raw(response)
            if response.status_code == 206:
                pieces = _part(pieces, 0, end - start)
            elif whole:
                pieces = verified(pieces, info.digest, info.stored_length, "an attachment")
            else:
                pieces = _part(pieces, start, end)
            async for piece in pieces:
                yield piece


async def _part(pieces: AsyncIterator[bytes], start: int, end: int) -> AsyncIterator[bytes]:
    place = 0
    async for piece in pieces:
        wanted = piece[max(start - place, 0) : max(end - place, 0)]
        place += len(piece)
        if wanted:
            yield wanted
        if place >= end:
            return
    raise PeerLied("an attachment is shorter than announced")


def _info(docid: str, rev: str, name: str, entry: Mapping[str, Any]) -> RemoteAttachment:
    encoding = entry.get("encoding")
    encoding = None if encoding == "identity" else encoding
    length = entry["length"]
    info = RemoteAttachment(
        name,
        entry["content_type"],
        entry["digest"],
        length,
        entry.get("encoded_length", length) if encoding else length,
        encoding,
        entry["revpos"],
        0,
    )
    info.docid, info.rev = docid, rev
    return info
