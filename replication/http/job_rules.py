"""The rules of this server's databases for the replications it runs itself.

Such a replication reads and writes the store without HTTP. Validation functions, passwords that are to
be hashed and filters in design documents hold all the same: here they are asked as they are for a
request of a server administrator, for nobody else may have the server replicate its own databases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.types import Message

from replication.http.call import Call
from replication.http.principal import Principal
from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.replicator.local_peer import PageFilter, Rules
from replication.replicator.peer import Feed
from replication.store.interface import Database
from replication.store.values import Change

if TYPE_CHECKING:
    from replication.http.server import Server

_REPLICATOR = Principal(None, ("_admin",))


class ServerRules(Rules):
    def __init__(self, server: Server) -> None:
        self._server = server

    async def write(self, database: Database, docs: Sequence[DocumentWrite]) -> Sequence[str | ProtocolError]:
        # Imported here: handlers know the server, which knows its jobs.
        from replication.http.writing import write_documents

        call = self._call(database.name, "_bulk_docs", "")
        await self._server.identity.replicating(call)
        return await write_documents(call, docs, replicated=True)

    async def filter(self, database: Database, feed: Feed) -> PageFilter:
        from replication.http.changes_filters import read_filter
        from replication.http.changes_options import ChangesOptions

        query = {
            name: value if isinstance(value, str) else jsontext.encode(value).decode()
            for name, value in feed.query_params.items()
        }
        call = self._call(database.name, "_changes", urlencode({**query, "filter": feed.filter or ""}))
        options = ChangesOptions(filter=feed.filter or "", all_leaves=feed.all_leaves, include_docs=True)
        change_filter = await read_filter(call, options)

        async def select(changes: Sequence[Change]) -> Sequence[Sequence[str]]:
            return await change_filter.select_page(changes, None)

        return select

    def _call(self, database: str, endpoint: str, query: str) -> Call:
        """A request as if somebody had made it."""
        path = f"/{quote(database, safe='')}/{endpoint}"
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": [],
            "client": None,
        }
        return Call(
            scope=scope,
            receive=_nothing,
            server=self._server,
            method="GET",
            segments=[database, endpoint],
            request_id="replicator",
            principal=_REPLICATOR,
        )


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
