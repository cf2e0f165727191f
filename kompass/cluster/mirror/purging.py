"""Purging in CouchDB, which isn't replication."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, format_rev, parse_revisions
from replication.store.couchdb.client import Client, Repeat, database_path
from replication.store.couchdb.documents import Documents

NO_ADMINISTRATOR = (
    "CouchDB lets an administrator do this and nobody else: name one for `kompass index` in couchdb_admin."
)
DOCUMENTS_AT_ONCE = 100
REVISIONS_AT_ONCE = 1000
"""Of one request: CouchDB takes as many by default."""


class Purger:
    """Of one database."""

    def __init__(self, client: Client, database: str) -> None:
        """`client` logs in as an administrator; `database`: what it is called there."""
        self._client = client
        self._path = database_path(database)
        self._documents = Documents(client, self._path)

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> None:
        """Leaves, and what they follow: a node that was away may have an ancestor for a leaf, with which the
        document would come back. Raises `ProtocolError`.
        """
        leaves = [(docid, rev) for docid, revs in asked.items() for rev in revs]
        found = await self._documents.bulk_get(leaves)
        revisions = [
            (docid, format_rev(one))
            for (docid, rev), values in zip(leaves, found, strict=True)
            for one in _history(rev, values)
        ]
        body: dict[str, dict[str, None]] = {}
        count = 0
        for docid, text in dict.fromkeys(revisions):
            if count == REVISIONS_AT_ONCE or (docid not in body and len(body) == DOCUMENTS_AT_ONCE):
                await self._request(body)
                body, count = {}, 0
            body.setdefault(docid, {})[text] = None
            count += 1
        if body:
            await self._request(body)

    async def _request(self, body: Mapping[str, Iterable[str]]) -> None:
        asked = {docid: [*revs] for docid, revs in body.items()}
        try:
            await self._client.request("POST", f"{self._path}/_purge", json=asked, repeat=Repeat.ALWAYS)
        except ProtocolError as error:
            raise errors.forbidden(NO_ADMINISTRATOR) if error.status == 403 else error from error


def _history(leaf: Rev, values: Sequence[Mapping[str, Any]]) -> Sequence[Rev]:
    """The revisions that end with this one. `values`: documents with `_revisions`; none if it isn't there."""
    return parse_revisions(values[0]["_revisions"]).revisions() if values else [leaf]
