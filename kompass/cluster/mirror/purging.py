"""Purging in CouchDB, which isn't replication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, format_rev
from replication.store.couchdb.client import Client, Repeat, database_path

NO_ADMINISTRATOR = (
    "CouchDB lets an administrator do this and nobody else: name one for `kompass index` in couchdb_admin."
)
MOST_AT_ONCE = 100
"""Documents of one request: CouchDB takes as many by default."""


class Purger:
    """Of one database."""

    def __init__(self, client: Client, database: str) -> None:
        """`client` logs in as an administrator; `database`: what it is called there."""
        self._client = client
        self._path = f"{database_path(database)}/_purge"

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> None:
        """Raises `ProtocolError`."""
        ids = list(asked)
        for start in range(0, len(ids), MOST_AT_ONCE):
            body = {
                docid: [format_rev(rev) for rev in asked[docid]]
                for docid in ids[start : start + MOST_AT_ONCE]
            }
            try:
                await self._client.request("POST", self._path, json=body, repeat=Repeat.ALWAYS)
            except ProtocolError as error:
                raise errors.forbidden(NO_ADMINISTRATOR) if error.status == 403 else error from error
