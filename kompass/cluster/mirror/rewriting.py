"""Having CouchDB's files written anew, so that no byte is left in them of what is stored no more.

Compaction writes the file of a copy again. One that was under way already, or was cut off and is gone on
with, may have copied what has been removed since; so each copy is compacted twice, and the second time begins
after the first one is over. That it is over is told by sequence numbers: a document that comes and goes
raises the copy's beforehand, and a compaction that ends notes the one it has reached.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from kompass.cluster.mirror.places import NotYetError, Place, Places, State
from kompass.cluster.mirror.purging import Purger
from replication.protocol import jsontext
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import parse_rev
from replication.replicator.connection import document_path, path_segment
from replication.store.couchdb.client import Client, Repeat

LOOK_SECONDS = 0.5
MOVED_SECONDS = 60.0
"""Within which a document reaches all copies, as long as no node is away."""
TIMES = 2
TRIES = 20
"""How often a compaction is asked for that wasn't begun, or broke off."""
_PASSING = f"{DESIGN_PREFIX}passing-"
"""Ids of what comes and goes: design documents are never replicated."""


class Rewriting:
    """Of one database's files."""

    def __init__(self, client: Client, service: Client, purger: Purger, places: Places) -> None:
        """`client` logs in as an administrator, `service` as the only one who may write documents."""
        self._client = client
        self._service = service
        self._purger = purger
        self._places = places

    async def all(self) -> None:
        """Returns when all copies of all shards are rewritten, and what views have of them. Raises
        `NotYetError`, `ProtocolError`.
        """
        places = await self._places.all()
        for _ in range(TIMES):
            await self._raise_numbers(places)
            for place in places:
                await self._compact(place)
        await self._views()

    async def _raise_numbers(self, places: list[Place]) -> None:
        """Returns when every copy has seen something that it hadn't before."""
        await self._remove_left()
        before = {place: await self._places.state(place) for place in places}
        shards = {place.range for place in places}
        while shards:
            docid = f"{_PASSING}{secrets.token_hex(8)}"
            span = shards.copy().pop() if len(places) == 1 else await self._places.range_of(docid)
            if span in shards:
                shards.remove(span)
                path = f"{self._places.path}{document_path(docid)}"
                made = await self._service.ask("PUT", path, json={})
                await self._purger.purge({docid: [parse_rev(made["rev"])]})
        deadline = time.monotonic() + MOVED_SECONDS
        for place, state in before.items():
            while (now := await self._places.state(place)).compacted is not None:
                if now.updates > state.updates:
                    break
                if time.monotonic() > deadline:
                    raise NotYetError(f"{place.node} of CouchDB hasn't heard of what the others have")
                await asyncio.sleep(LOOK_SECONDS)

    async def _remove_left(self) -> None:
        """What was cut off before it went."""
        for row in await self._rows(_PASSING):
            await self._purger.purge({row["id"]: [parse_rev(row["value"]["rev"])]})

    async def _rows(self, prefix: str, **options: str) -> list[dict[str, Any]]:
        ends = (jsontext.encode(end).decode() for end in (prefix, prefix + "\ufff0"))
        query = {**dict(zip(("startkey", "endkey"), ends, strict=True)), **options}
        listed = await self._client.ask("GET", f"{self._places.path}/_all_docs", query=query)
        rows: list[dict[str, Any]] = listed["rows"]
        return rows

    async def _compact(self, place: Place) -> None:
        seen = (await self._places.state(place)).updates
        for _ in range(TRIES):
            await self._places.compact(place)
            state = await self._over(place)
            if state.compacted is None or state.compacted >= seen:
                return
            await asyncio.sleep(LOOK_SECONDS)  # it wasn't begun, or broke off
        raise NotYetError(f"{place.node} of CouchDB doesn't finish a compaction: its log tells why")

    async def _over(self, place: Place) -> State:
        """How far a copy is when no compaction is under way."""
        while True:
            state = await self._places.state(place)
            if not state.is_compacting:
                return state
            await asyncio.sleep(LOOK_SECONDS)

    async def _views(self) -> None:
        """Views are an administrator's own. They are brought up to date and their files compacted; files of
        those that are no more go.
        """
        for row in await self._rows(DESIGN_PREFIX, include_docs="true"):
            design = row["doc"]
            views = design.get("views")
            if isinstance(views, dict) and views:
                for _ in range(TIMES):
                    await self._compact_views(design["_id"], next(iter(views)))
        await self._client.request(
            "POST", f"{self._places.path}/_view_cleanup", json={}, repeat=Repeat.ALWAYS
        )

    async def _compact_views(self, docid: str, view: str) -> None:
        of_design = f"{self._places.path}{document_path(docid)}"
        path = f"{of_design}/_view/{path_segment(view)}"
        await self._client.request("GET", path, query={"limit": "0"})
        await self._rest(docid)
        path = f"{self._places.path}/_compact{document_path(docid.removeprefix(DESIGN_PREFIX))}"
        await self._client.request("POST", path, json={}, repeat=Repeat.ALWAYS)
        await self._rest(docid)

    async def _rest(self, docid: str) -> None:
        """Returns when no node makes or compacts these views, of any database: they are few."""
        while True:
            told = await self._client.ask("GET", f"{self._places.path}{document_path(docid)}/_info")
            info = told["view_index"]
            tasks: list[dict[str, Any]] = await self._client.ask("GET", "/_active_tasks")
            if not info["compact_running"] and not info.get("updater_running"):
                of_these = (one for one in tasks if one.get("design_document") == docid)
                if not any(one.get("type") in ("indexer", "view_compaction") for one in of_these):
                    return
            await asyncio.sleep(LOOK_SECONDS)
