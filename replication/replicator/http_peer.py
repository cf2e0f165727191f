"""A database behind a URL as a peer: CouchDB, PouchDB's server, one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.names import check_document_id
from replication.protocol.revisions import Rev, format_rev
from replication.replicator.checkpoints import Statistics
from replication.replicator.connection import Connection, document_path
from replication.replicator.failures import DatabaseMissing, PeerLied, PeerRefused, quoted
from replication.replicator.hosts import ANYWHERE, AllowedHosts
from replication.replicator.http_reading import Reader, parse_revs
from replication.replicator.http_writing import HttpWriter
from replication.replicator.options import Endpoint
from replication.replicator.peer import (
    ChangedDocument,
    Feed,
    FeedPage,
    Lacking,
    Peer,
    PeerInfo,
    Refusal,
    Revision,
    Seq,
    Unreadable,
    Wanted,
)

_LONGEST_IDLE = 60.0
"""Seconds that a feed without changes is waited for."""
_MAX_SEQ = 64 * 1024
_LONGEST_QUERY = 5000
_FEED_PARAMETERS = frozenset({
    "attachments", "att_encoding_info", "conflicts", "descending", "feed", "filter", "heartbeat",
    "include_docs", "last-event-id", "limit", "seq_interval", "since", "style", "timeout",
})  # fmt: skip
"""What a replication's `query_params` can't say."""


class HttpPeer(Peer):
    """All requests go to the endpoint's database and to its server's `_session`."""

    lenient = False
    """Whether a document that no database of ours can have is passed over, as one that the peer can't give:
    CouchDB has fewer rules. Otherwise the peer lies, and nothing comes from it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        allowed: AllowedHosts = ANYWHERE,
        retries: int = 5,
        timeout: float = 30.0,
        statistics: Statistics | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport`: instead of one that connects to allowed hosts."""
        self.shown = endpoint.url
        self.identity = endpoint.url
        self._idle = min(_LONGEST_IDLE, timeout * 0.9)
        self._connection = Connection(
            endpoint, allowed=allowed, retries=retries, timeout=timeout, transport=transport
        )
        self._reader = Reader(self._connection, statistics or Statistics())
        self._writer = HttpWriter(self._connection)

    def count_in(self, statistics: Statistics) -> None:
        """Has reads counted there."""
        self._reader = Reader(self._connection, statistics, lenient=self.lenient)

    async def close(self) -> None:
        await self._connection.close()

    async def _ask(self, method: str, path: str = "", **options: Any) -> Any:
        answer = await self._connection.request(method, path, **options)
        return answer.json(self.shown)

    def _lie(self, what: str) -> PeerLied:
        return PeerLied(f"{self.shown}: {what}")

    # -- the database ----------------------------------------------------------------------------

    async def info(self) -> PeerInfo:
        try:
            value = await self._ask("GET")
        except PeerRefused as error:
            if error.status == 404:
                raise DatabaseMissing(self.shown) from None
            raise
        if not isinstance(value, dict) or "update_seq" not in value:
            raise self._lie("is no database: it has no `update_seq`")
        counts = (value.get("doc_count"), value.get("doc_del_count"))
        return PeerInfo(
            update_seq=value["update_seq"],
            created=str(value.get("instance_start_time", "0")),
            documents=sum(count for count in counts if type(count) is int),
        )

    async def create(self, params: Mapping[str, str]) -> None:
        try:
            await self._connection.request("PUT", query=params)
        except PeerRefused as error:
            if error.status != 412:
                raise

    async def commit(self) -> str:
        try:
            value = await self._ask("POST", "/_ensure_full_commit", json={})
        except PeerRefused as error:
            if error.status == 404 and error.reason.startswith("Database does not exist"):
                raise DatabaseMissing(self.shown) from None
            if error.status in (404, 405, 501):
                return "0"  # a peer that has no such thing keeps what it acknowledged
            raise
        return str(value.get("instance_start_time", "0")) if isinstance(value, dict) else "0"

    async def document(self, docid: str) -> dict[str, Any] | None:
        try:
            value = await self._ask("GET", document_path(docid))
        except PeerRefused as error:
            if error.status == 404:
                return None
            raise
        if not isinstance(value, dict):
            raise self._lie(f"{quoted(docid)} is no object")
        return value

    # -- the feed --------------------------------------------------------------------------------

    async def changes(self, feed: Feed, since: Seq, limit: int, *, wait: bool = False) -> FeedPage:
        if not wait:
            return self._page(await self._read_feed(feed, since, limit, {}), since, limit)
        # No heartbeat: with one CouchDB keeps an idle feed open for ever, however long we want to wait.
        waiting = {"feed": "longpoll", "timeout": str(round(self._idle * 900))}
        try:
            async with asyncio.timeout(self._idle):
                value = await self._read_feed(feed, since, limit, waiting)
        except TimeoutError:
            return FeedPage([], since, 0)
        return self._page(value, since, limit)

    async def _read_feed(self, feed: Feed, since: Seq, limit: int, more: Mapping[str, str]) -> Any:
        # They are for the filter's function. Others would change what the feed is.
        params = feed.query_params if feed.filter is not None else {}
        query = {key: _parameter(value) for key, value in params.items() if key not in _FEED_PARAMETERS}
        query |= {
            "style": "all_docs" if feed.all_leaves else "main_only",
            "since": since if isinstance(since, str) else jsontext.encode(since).decode(),
            "limit": str(limit),
            **more,
        }
        body: dict[str, Any] | None = None
        if feed.doc_ids is not None:
            query["filter"], body = "_doc_ids", {"doc_ids": list(feed.doc_ids)}
        elif feed.selector is not None:
            query["filter"], body = "_selector", {"selector": feed.selector}
        elif feed.filter is not None:
            query["filter"] = feed.filter
        if body is None:
            return await self._ask("GET", "/_changes", query=query)
        try:
            return await self._ask("POST", "/_changes", query=query, json=body)
        except PeerRefused as error:
            ids = _parameter(body.get("doc_ids"))
            if error.status not in (404, 405) or feed.doc_ids is None or len(ids) > _LONGEST_QUERY:
                raise
            # PouchDB's server takes no POST here.
            return await self._ask("GET", "/_changes", query={**query, "doc_ids": ids})

    def _page(self, value: Any, since: Seq, limit: int) -> FeedPage:
        results = value.get("results") if isinstance(value, dict) else None
        if not isinstance(results, list):
            raise self._lie("the feed has no `results`")
        if len(results) > limit:
            raise self._lie(f"the feed has {len(results)} rows, {limit} were asked for")
        rows: list[ChangedDocument] = []
        unusable: list[Unreadable] = []
        for row in results:
            found = self._row(row)
            if isinstance(found, Unreadable):
                unusable.append(found)
            else:
                rows.append(found)
        last_seq = value.get("last_seq")
        if last_seq is None and results:
            last_seq = results[-1].get("seq")
        last_seq = since if last_seq is None else last_seq
        if results and last_seq == since:
            raise self._lie("the feed does not get on: it ends where it began, with rows in between")
        if isinstance(last_seq, dict) or len(str(last_seq)) > _MAX_SEQ:
            raise self._lie("the feed has a sequence that is none, or far too long")
        pending = value.get("pending")
        return FeedPage(rows, last_seq, pending if type(pending) is int else None, unusable)

    def _row(self, row: Any) -> ChangedDocument | Unreadable:
        changes = row.get("changes") if isinstance(row, dict) else None
        if not isinstance(changes, list) or not all(isinstance(each, dict) for each in changes):
            raise self._lie("the feed has a row without changes")
        docid = row.get("id")
        revs = parse_revs([each.get("rev") for each in changes], self.shown)
        try:
            check_document_id(docid)
        except ProtocolError as error:
            if self.lenient and isinstance(docid, str) and docid[:1] not in {"", "_"}:
                return Unreadable(docid, format_rev(revs[0]) if revs else "", error.reason, True)
            raise self._lie(f"the feed has a row with the id {quoted(docid)}") from None
        return ChangedDocument(docid, revs)

    # -- revisions -------------------------------------------------------------------------------

    async def lacking(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Lacking]:
        body = {docid: [format_rev(rev) for rev in revs] for docid, revs in asked.items()}
        value = await self._ask("POST", "/_revs_diff", json=body)
        if not isinstance(value, dict):
            raise self._lie("the answer to _revs_diff is no object")
        found: dict[str, Lacking] = {}
        for docid, entry in value.items():
            if docid not in asked or not isinstance(entry, dict):
                raise self._lie(f"_revs_diff answered for {quoted(docid)}, which nobody asked about")
            missing = parse_revs(entry.get("missing", []), self.shown)
            if not set(missing) <= set(asked[docid]):
                raise self._lie(f"_revs_diff lacks revisions of {quoted(docid)} that nobody asked about")
            if missing:
                ancestors = parse_revs(entry.get("possible_ancestors", []), self.shown)
                found[docid] = Lacking(missing, ancestors)
        return found

    def fetch(self, wanted: Sequence[Wanted]) -> AsyncIterator[list[Revision | Unreadable]]:
        return self._reader.fetch(wanted)

    async def store(self, revisions: Sequence[Revision]) -> list[Refusal]:
        return await self._writer.store(revisions)

    # -- local documents -------------------------------------------------------------------------

    async def local(self, docid: str) -> dict[str, Any] | None:
        return await self.document(f"_local/{docid}")

    async def put_local(self, docid: str, body: Mapping[str, Any]) -> None:
        path = document_path(f"_local/{docid}")
        for last in (False, True):
            stored = await self.local(docid)
            rev = {} if stored is None else {"_rev": stored.get("_rev")}
            try:
                await self._connection.request("PUT", path, json={"_id": f"_local/{docid}", **rev, **body})
                return
            except PeerRefused as error:
                if error.status != 409 or last:
                    raise


def _parameter(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.encode(value).decode()
