"""Purging in CouchDB, which isn't replication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from replication.protocol.revisions import Rev, format_rev
from replication.store.couchdb.client import Client, Repeat
from replication.store.couchdb.endpoint import read_endpoint

MOST_AT_ONCE = 100
"""Documents of one request: CouchDB takes as many by default."""


class Purger:
    """Of one database."""

    def __init__(self, url: str, name: str) -> None:
        """`url`: of the server, with name and password; `name`: what the database is called there."""
        self._client = Client(read_endpoint(url))
        self._path = f"/{quote(name, safe='')}/_purge"

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> None:
        """Raises `ProtocolError`."""
        ids = list(asked)
        for start in range(0, len(ids), MOST_AT_ONCE):
            body = {
                docid: [format_rev(rev) for rev in asked[docid]]
                for docid in ids[start : start + MOST_AT_ONCE]
            }
            await self._client.request("POST", self._path, json=body, repeat=Repeat.ALWAYS)

    async def close(self) -> None:
        await self._client.close()
