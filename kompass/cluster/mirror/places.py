"""Where CouchDB keeps a database: in shards, of each a copy on several nodes.

What is asked of a database as a whole is answered by whichever copies are quick. Whether something is left
*nowhere* has to be asked of every copy, which an administrator may do, by way of its node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from kompass.cluster.mirror.purging import NO_ADMINISTRATOR
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.store.couchdb.client import Client, Repeat, database_path


class NotYetError(Exception):
    """It can't be gone on with now, and is tried again; says why, without what documents say."""


class State(NamedTuple):
    """How far a copy is."""

    updates: int
    """Grows with everything that is written to it or purged in it."""
    compacted: int | None
    """Of `updates`, how much a compaction that is over had seen; None if it isn't told."""
    is_compacting: bool


class Place(NamedTuple):
    """A copy of a shard, or a whole database where there are no shards."""

    path: str
    range: str
    node: str


class Places:
    """Of one database."""

    def __init__(self, client: Client, database: str) -> None:
        """`client` logs in as an administrator; `database`: what it is called there."""
        self._client = client
        self.path = database_path(database)
        self._database = database
        self._ranges: dict[str, str] = {}

    async def all(self) -> list[Place]:
        """Every copy there is, each of which answers. Raises `NotYetError`, `ProtocolError`."""
        shards: Mapping[str, list[str]] = (await self._client.ask("GET", f"{self.path}/_shards"))["shards"]
        info = await self._client.ask("GET", self.path)
        self._ranges.clear()  # shards may have been split
        places = [
            Place(_shard(node, span, self._database, info["instance_start_time"]), span, node)
            for span, nodes in sorted(shards.items())
            for node in nodes
        ]
        if not await self._is_there(places[0]) and len(places) == 1:
            return [places[0]._replace(path=self.path)]  # of another program than CouchDB
        for place in places:
            await self.state(place)
        return places

    async def _is_there(self, place: Place) -> bool:
        try:
            await self._client.request("GET", place.path)
        except ProtocolError as error:
            if error.status == 403:
                raise errors.forbidden(NO_ADMINISTRATOR) from error
            if error.status != 404:
                raise _away(place, error) from error
            return False
        return True

    async def state(self, place: Place) -> State:
        """Raises `NotYetError` while the node is away."""
        try:
            info = await self._client.ask("GET", place.path)
        except ProtocolError as error:
            raise _away(place, error) from error
        compacted = info.get("compacted_seq")
        if compacted is None:
            return State(0, None, info.get("compact_running") is True)
        return State(int(info["update_seq"]), int(compacted), info.get("compact_running") is True)

    async def range_of(self, docid: str) -> str:
        """Of the shard that has, or would have, a document."""
        if docid not in self._ranges:
            told = await self._client.ask("GET", f"{self.path}/_shards/{quote(docid, safe='')}")
            self._ranges[docid] = told["range"]
        return self._ranges[docid]

    async def leaves(self, place: Place, docid: str) -> dict[str, dict[str, Any]]:
        """By revision, as they are there."""
        path = f"{place.path}/{quote(docid, safe='')}"
        try:
            told = await self._client.ask("GET", path, query={"open_revs": "all"})
        except ProtocolError as error:
            if error.status == 404 and not errors.is_database_missing(error):
                return {}
            raise
        return {one["ok"]["_rev"]: one["ok"] for one in told if "ok" in one}

    async def lacks(self, place: Place, docid: str, rev: str) -> bool:
        """Whether it has never heard of a revision."""
        told = await self._client.ask(
            "POST", f"{place.path}/_revs_diff", json={docid: [rev]}, repeat=Repeat.ALWAYS
        )
        return docid in told

    async def compact(self, place: Place) -> None:
        """Asks for it."""
        await self._client.request("POST", f"{place.path}/_compact", json={}, repeat=Repeat.ALWAYS)


def _away(place: Place, error: ProtocolError) -> NotYetError:
    return NotYetError(f"{place.node} of CouchDB doesn't answer: {error.reason}")


def _shard(node: str, span: str, database: str, made: str) -> str:
    return f"/_node/{quote(node, safe='@')}/{quote(f'shards/{span}/{database}.{made}', safe='')}"
