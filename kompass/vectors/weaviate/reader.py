"""Asking an index in Weaviate. No browser does: everything goes through the server, which checks each hit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from weaviate.classes.query import Filter, GroupBy, MetadataQuery
from weaviate.exceptions import WeaviateBaseError

from kompass.access.audiences import Channel
from kompass.search.entries import key, sound
from kompass.search.index import IndexAbsentError, IndexUnavailableError, Match, Standing
from kompass.vectors.index import PIECES_EACH
from kompass.vectors.packing import repacked, unpacked
from kompass.vectors.weaviate.place import Address, Place, State, one_of

ROUNDS = 3
"""How often a question is asked again because something was written meanwhile."""

ABSENT = "There are no vectors yet: `kompass feed` makes them."

T = TypeVar("T")


class WeaviateVectors:
    """See `kompass.vectors.index.VectorIndex`."""

    def __init__(self, address: Address, embedder: str) -> None:
        self._address = address
        self._embedder = embedder
        self._place: Place | None = None
        self._connecting = asyncio.Lock()

    async def standing(self) -> Standing:
        async with self._connected() as place:
            pointer = await place.pointer()
            state = await self._state(place)
            return Standing(state.checkpoint, bool(pointer.next))

    async def nearest(
        self,
        vector: bytes,
        readable: Collection[Channel],
        *,
        filters: Mapping[str, tuple[str, ...]],
        without: Collection[str] = (),
        limit: int = 50,
    ) -> list[Match]:
        numbers = unpacked(vector)
        asked = one_of("channels", sorted(map(sound, readable)))
        for facet, values in filters.items():
            asked &= one_of(f"facet_{facet}", [sound(value) for value in values])
        if without:
            asked &= Filter.by_property("key").contains_none([key(docid) for docid in without])

        async def asking(place: Place, state: State) -> list[Match]:
            types = state.types.intersection(filters.get("type", state.types))
            parts = await asyncio.gather(
                *(self._near(place, state, doctype, numbers, asked, limit) for doctype in sorted(types))
            )
            found: dict[str, Match] = {}
            for _, match in sorted(
                (one for part in parts for one in part), key=lambda one: (one[0], one[1].base)
            ):
                found.setdefault(match.base, match)
            return list(found.values())[:limit]

        return await self._asked(asking)

    async def _near(
        self, place: Place, state: State, doctype: str, vector: list[float], asked: Any, limit: int
    ) -> list[tuple[float, Match]]:
        answer = await place.pieces(state, doctype).query.near_vector(
            vector,
            filters=asked & Filter.by_property("write").less_or_equal(state.write),
            limit=PIECES_EACH * limit,
            group_by=GroupBy(prop="base", objects_per_group=PIECES_EACH, number_of_groups=limit),
            return_metadata=MetadataQuery(distance=True),
            return_properties=["key", "write", "docid", "base", "rev", "doctype"],
        )
        found = []
        for one in answer.objects:
            said = one.properties
            if state.counts(str(said["key"]), int(said["write"])):
                names = (str(said[name]) for name in ("docid", "base", "rev", "doctype"))
                found.append((float(one.metadata.distance or 0.0), Match(*names)))
        return found

    async def inspect(self, docid: str) -> Mapping[str, Any] | None:
        async def looking(place: Place, state: State) -> Mapping[str, Any] | None:
            asked = one_of("key", [key(docid)])
            answer = await place.documents(state).query.fetch_objects(filters=asked, limit=100)
            rows = [
                one.properties
                for one in answer.objects
                if state.counts(key(docid), int(one.properties["write"]))
            ]
            if not rows or not rows[0].get("docid"):
                return None
            row: Mapping[str, Any] = rows[0]
            pieces = []
            if row["doctype"] in state.types:
                found = await place.pieces(state, row["doctype"]).query.fetch_objects(
                    filters=asked & Filter.by_property("write").equal(row["write"]),
                    limit=5000,
                    include_vector=True,
                )
                for one in found.objects:
                    vector: Any = one.vector["default"]
                    pieces.append((one.properties["place"], one.properties["hash"], repacked(vector)))
            return {
                "rev": row["rev"],
                "base": row["base"],
                "title": row["shown"],
                "allowed": row["allowed"] == "yes",
                "channels": sorted(row["channels"] or ()),
                "chunks": sorted(pieces, key=str),
                "attachments": {name: problem for name, _, problem in json.loads(row["attached"])},
            }

        return await self._asked(looking)

    async def close(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            await place.__aexit__(None, None, None)

    async def _asked(self, work: Callable[[Place, State], Awaitable[T]]) -> T:
        """What is there at one moment: asked again, if something was written between two requests."""
        async with self._connected() as place:
            for _ in range(ROUNDS):
                state = await self._state(place)
                try:
                    found = await work(place, state)
                except WeaviateBaseError:
                    if await self._state(place) == state:
                        raise
                    continue  # its generation has just been dropped
                if await self._state(place) == state:
                    return found
            return found

    async def _state(self, place: Place) -> State:
        pointer = await place.pointer()
        state = await place.state(pointer.current) if pointer.current else None
        if state is None or state.embedder != self._embedder:
            raise IndexAbsentError(ABSENT)
        return state

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Place]:
        try:
            async with self._connecting:
                if self._place is None:
                    self._place = await Place(self._address).__aenter__()
            await self._place.reach()
            yield self._place
        except (WeaviateBaseError, OSError) as error:
            place, self._place = self._place, None
            if place is not None:
                await place.__aexit__(None, None, None)
            raise IndexUnavailableError(f"Weaviate at {self._address.url}: {error}"[:500]) from error
