"""Local documents of a CouchDB database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.names import LOCAL_PREFIX
from replication.replicator.connection import document_path
from replication.store.couchdb.client import Client, Repeat
from replication.store.values import KeyRange, LocalDocument


class LocalDocuments:
    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path

    async def read(self, docid: str) -> LocalDocument | None:
        try:
            value = await self._client.ask("GET", self._address(docid))
        except ProtocolError as error:
            if _is_missing(error):
                return None
            raise
        return _local(value)

    async def put(self, docid: str, parent: int, body: bytes) -> str:
        rev = b',"_rev":"0-%d"' % parent if parent else b""
        head = b'{"_id":%b%b' % (jsontext.encode(LOCAL_PREFIX + docid), rev)
        text = head + (b"," + body[1:] if len(body) > 2 else b"}")
        # There is no check for conflicts: what is written twice is the same.
        await self._client.request("PUT", self._address(docid), body=text, repeat=Repeat.ALWAYS)
        return f"0-{parent + 1}"

    async def delete(self, docid: str) -> bool:
        found = await self.read(docid)
        if found is None:
            return False
        try:
            await self._client.request(
                "DELETE", self._address(docid), query={"rev": found.rev}, repeat=Repeat.ALWAYS
            )
        except ProtocolError as error:
            if not _is_missing(error):
                raise
        return True

    async def listed(self, span: KeyRange, skip: int, limit: int) -> list[LocalDocument]:
        query = {"include_docs": "true", "descending": "true" if span.descending else "false"}
        for name, bound in (("startkey", span.start), ("endkey", span.end)):
            if bound is not None:
                query[name] = jsontext.encode(LOCAL_PREFIX + bound).decode()
        query["inclusive_end"] = "true" if span.inclusive_end else "false"
        apart = 0 if span.inclusive_start or span.start is None else 1
        query |= {"skip": str(skip), "limit": str(limit + apart)}
        value = await self._client.ask("GET", f"{self._path}/_local_docs", query=query)
        found = [_local(row["doc"]) for row in value["rows"] if row.get("doc")]
        if apart and not skip:
            found = [one for one in found if one.id != span.start]
        return found[:limit]

    def _address(self, docid: str) -> str:
        return self._path + document_path(LOCAL_PREFIX + docid)


def _is_missing(error: ProtocolError) -> bool:
    return error.status == 404 and not errors.is_database_missing(error)


def _local(value: Mapping[str, Any]) -> LocalDocument:
    docid = str(value["_id"]).removeprefix(LOCAL_PREFIX)
    rest = {key: each for key, each in value.items() if key not in ("_id", "_rev")}
    head = b'{"_id":%b,"_rev":%b' % (jsontext.encode(value["_id"]), jsontext.encode(value["_rev"]))
    body = jsontext.encode(rest)
    return LocalDocument(docid, str(value["_rev"]), head + (b"," + body[1:] if rest else b"}"))
