"""Writing an index in Weaviate; how a write happens wholly or not at all stands in `place`."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.exceptions import WeaviateBaseError, WeaviateInsertManyAllFailedError

from kompass.feed.sink import Checkpoint, SinkUnavailableError
from kompass.search.entries import key, sound
from kompass.vectors.entries import Entry, Kept, Known
from kompass.vectors.index import Write
from kompass.vectors.packing import repacked, unpacked
from kompass.vectors.passages import place_of
from kompass.vectors.weaviate.place import (
    MOST_ROWS,
    Address,
    Objects,
    Place,
    Pointer,
    State,
    name_of,
    one_of,
)

AT_ONCE = 200
"""Objects in one request."""

HASHES, ROWS = 50, 400
"""Texts that are looked for together, and objects that are looked at for them."""
MOST_RECENT = 10_000

YES, NO = "yes", "no"


class RefusedError(Exception):
    """Weaviate takes other objects, but not these."""


class WeaviateStore:
    """See `kompass.vectors.index.VectorStore`."""

    def __init__(self, address: Address, embedder: str, *, next_generation: bool = False) -> None:
        self._address = address
        self._embedder = embedder
        self._next = next_generation
        self._place: Place | None = None
        self._state: State | None = None
        self._before: State | None = None
        """Of a new generation: the one that is still read."""
        self._recent: dict[bytes, bytes] = {}
        """Vectors of texts that came lately: many documents say the same."""

    async def open(self) -> None:
        async with self._working():
            pass

    async def checkpoint(self) -> Checkpoint | None:
        async with self._working() as (_, state):
            return state.checkpoint

    async def positions(self, docids: Collection[str]) -> Mapping[str, int]:
        names = {key(docid): docid for docid in docids}
        async with self._working() as (place, state):
            rows = await _rows(place.documents(state), one_of("key", names)) if names else []
            return {names[row["key"]]: int(row["position"]) for row, _ in rows}

    async def about(self, customers: Collection[str], *, allowed: bool) -> list[Kept]:
        asked = one_of("about", [key(one) for one in customers])
        asked &= Filter.by_property("allowed").equal(YES if allowed else NO)
        async with self._working() as (place, state):
            return [
                Kept(row["docid"], int(row["position"]), row["rev"], frozenset(row["channels"] or ()))
                for row, _ in await _rows(place.documents(state), asked)
            ]

    async def vectors(self, hashes: Collection[bytes], doctypes: Collection[str]) -> Mapping[bytes, bytes]:
        found = {one: self._recent[one] for one in hashes if one in self._recent}
        async with self._working() as (place, state):
            for where in filter(None, (state, self._before)):
                for doctype in where.types.intersection(doctypes):
                    missing = [one for one in hashes if one not in found]
                    for at in range(0, len(missing), HASHES):
                        some = missing[at : at + HASHES]
                        found |= await _known(place.pieces(where, doctype), some)
        self._recent |= found
        for one in list(self._recent)[: max(0, len(self._recent) - MOST_RECENT)]:
            del self._recent[one]
        return found

    async def attachments(self, sources: Collection[str]) -> Mapping[str, Known]:
        found: dict[str, Known] = {}
        async with self._working() as (place, state):
            for where in filter(None, (state, self._before)):
                missing = [one for one in sources if one not in found]
                if missing:
                    found |= await _attachments(place, where, missing)
        return found

    async def write(self, write: Write) -> None:
        async with self._working() as (place, state):
            state = await place.add_types(state, {one.facets["type"] for one in write.entries if one.chunks})
            number = state.write + 1
            keys = {key(one.id) for one in write.entries} | {key(docid) for docid, _ in write.gone}
            stripped = {key(docid) for docid in write.stripped} - keys
            there = (
                await _rows(place.documents(state), one_of("key", keys | stripped)) if keys | stripped else []
            )
            documents = [_document(one, number) for one in write.entries]
            documents += [_gone(key(docid), position, number) for docid, position in write.gone]
            documents += [_stripped(row, number) for row, _ in there if row["key"] in stripped]
            pieces: dict[str, list[DataObject[Any, Any]]] = {}
            for one in write.entries:
                pieces.setdefault(one.facets["type"], []).extend(_pieces(one, number))
            for doctype, objects in pieces.items():
                if objects:
                    await self._insert(place.pieces(state, doctype), objects, place, state)
            await self._insert(place.documents(state), documents, place, state)
            state = replace(
                state, write=number, checkpoint=write.checkpoint, replaced=frozenset(keys | stripped)
            )
            await place.put_state(state)
            # It has happened. What follows is done again by whoever opens it, if it isn't done now.
            self._state = state
            await self._sweep(place, state, {row["doctype"] for row, _ in there if row.get("doctype")})

    async def _insert(
        self, collection: Objects, objects: Sequence[DataObject[Any, Any]], place: Place, state: State
    ) -> None:
        for at in range(0, len(objects), AT_ONCE):
            try:
                answer = await collection.data.insert_many(objects[at : at + AT_ONCE])
                failed = answer.has_errors
            except WeaviateInsertManyAllFailedError:
                failed = True
            if failed:
                # Whose fault that is shows in whether it takes anything at all.
                probe = DataObject(uuid=name_of("probe", 0, 0), properties={"key": "probe", "write": -1})
                answer = await place.documents(state).data.insert_many([probe])
                if answer.has_errors:
                    raise SinkUnavailableError(f"Weaviate at {self._address.url} stores nothing")
                raise RefusedError("Weaviate takes other objects, but not these")

    async def _sweep(self, place: Place, state: State, doctypes: Collection[str]) -> None:
        """Removes what doesn't count any more."""
        if not state.replaced:
            return
        old = one_of("key", state.replaced) & Filter.by_property("write").less_than(state.write)
        await _delete(place.documents(state), old)
        for doctype in state.types.intersection(doctypes):
            await _delete(place.pieces(state, doctype), old)

    async def _recover(self, place: Place, state: State) -> None:
        """Removes what a write that didn't happen has left, and what one that did hasn't removed yet."""
        unwritten = Filter.by_property("write").greater_than(state.write)
        await _delete(place.documents(state), unwritten)
        for doctype in state.types:
            await _delete(place.pieces(state, doctype), unwritten)
        await self._sweep(place, state, state.types)

    async def forget(self) -> None:
        """Weaviate removes deleted objects from its files when it compacts them; when that is, it decides."""
        self._recent.clear()

    async def rebuilding(self) -> WeaviateStore:
        other = WeaviateStore(self._address, self._embedder, next_generation=True)
        await other.open()
        return other

    async def switch(self) -> None:
        async with self._working() as (place, state):
            before = await place.pointer()
            if before.next != state.generation:
                raise SinkUnavailableError(f"{state.generation} is not being built")
            await place.point(Pointer(state.generation))
            self._next = False
            self._before = None
            if before.current:
                await place.drop(before.current)

    async def discard(self) -> None:
        async with self._working() as (place, state):
            pointer = await place.pointer()
            if pointer.next == state.generation:
                await place.point(Pointer(pointer.current))
                await place.drop(state.generation)
            self._state = None

    async def close(self) -> None:
        place, self._place, self._state = self._place, None, None
        if place is not None:
            with suppress(WeaviateBaseError, OSError):
                await place.__aexit__(None, None, None)

    async def _prepare(self, place: Place) -> State:
        await place.prepare()
        pointer = await place.pointer()
        wanted = pointer.next if self._next else pointer.current
        state = await place.state(wanted) if wanted else None
        if state is None or state.embedder != self._embedder:
            state = await place.begin(f"{self._address.tenant}-{secrets.token_hex(4)}", self._embedder)
            named = {"next": state.generation} if self._next else {"current": state.generation}
            pointer = replace(pointer, **named)
            await place.point(pointer)
        if not self._next:
            for left in await place.generations() - {pointer.current, pointer.next}:
                await place.drop(left)
        await self._recover(place, state)
        self._before = await place.state(pointer.current) if self._next and pointer.current else None
        if self._before is not None and self._before.embedder != self._embedder:
            self._before = None
        return state

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[tuple[Place, State]]:
        """The server with its generation; after a failure everything is looked at anew."""
        try:
            if self._place is None:
                place = Place(self._address)
                self._place = await place.__aenter__()
            await self._place.reach()
            if self._state is None:
                self._state = await self._prepare(self._place)
            yield self._place, self._state
        except (WeaviateBaseError, OSError) as error:
            await self.close()
            raise SinkUnavailableError(f"Weaviate at {self._address.url}: {error}"[:500]) from error
        except BaseException:
            self._state = None
            raise


async def _rows(
    collection: Objects, asked: Any, *, vectors: bool = False
) -> list[tuple[Mapping[str, Any], list[float]]]:
    """Properties and vectors of all objects that fit."""
    found: list[tuple[Mapping[str, Any], list[float]]] = []
    page = 1000
    while len(found) < MOST_ROWS:
        answer = await collection.query.fetch_objects(
            filters=asked, limit=page, offset=len(found), include_vector=vectors
        )
        found += [
            (one.properties, list(one.vector.get("default", ())) if vectors else [])  # type: ignore[arg-type]
            for one in answer.objects
        ]
        if len(answer.objects) < page:
            break
    return found


async def _known(collection: Objects, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """Vectors of some of these texts: where one of them is in very many documents, others may be left out."""
    names = {one.hex(): one for one in hashes}
    answer = await collection.query.fetch_objects(
        filters=one_of("hash", names), limit=ROWS, include_vector=True, return_properties=["hash"]
    )
    found: dict[bytes, bytes] = {}
    for one in answer.objects:
        vector: Any = one.vector["default"]
        found[names[str(one.properties["hash"])]] = repacked(vector)
    return found


async def _attachments(place: Place, state: State, sources: Collection[str]) -> dict[str, Known]:
    """Where one of two documents has a problem with the same content, it is the other that counts."""
    found: dict[str, Known] = {}
    for row, _ in await _rows(place.documents(state), one_of("sources", sources)):
        for name, source, problem in json.loads(row["attached"]):
            if source not in sources or (source in found and (problem or not found[source].problem)):
                continue
            pieces: list[tuple[bytes, bytes]] = []
            if not problem and row["doctype"] in state.types:
                asked = one_of("key", [row["key"]]) & one_of("source", [source])
                there = await _rows(place.pieces(state, row["doctype"]), asked, vectors=True)
                pieces = [
                    (bytes.fromhex(one["hash"]), repacked(vector))
                    for one, vector in there
                    if one["place"] == place_of(name)
                ]
            found[source] = Known(problem, tuple(pieces))
    return found


async def _delete(collection: Objects, asked: Any) -> None:
    while True:
        answer = await collection.data.delete_many(where=asked)
        if answer.failed:
            raise SinkUnavailableError(f"Weaviate could not delete {answer.failed} objects")
        if answer.matches < MOST_ROWS:
            return


def _common(one: Entry, number: int) -> dict[str, Any]:
    return {
        "key": key(one.id),
        "write": number,
        "docid": sound(one.id),
        "base": sound(one.base),
        "rev": sound(one.rev),
        "doctype": one.facets["type"],
        "channels": sorted(map(sound, one.channels)),
    }


def _document(one: Entry, number: int) -> DataObject[Any, Any]:
    attached = [(sound(each.name), each.source, each.problem) for each in one.attached]
    properties = {
        **_common(one, number),
        "position": one.position,
        "allowed": YES if one.allowed else NO,
        "shown": one.shown,
        "sources": [each.source for each in one.attached],
        "attached": json.dumps(attached),
        **({} if one.about is None else {"about": key(one.about)}),
    }
    return DataObject(uuid=name_of(key(one.id), number, 0), properties=properties)


def _pieces(one: Entry, number: int) -> list[DataObject[Any, Any]]:
    common = _common(one, number)
    facets = {f"facet_{facet}": value for facet, value in one.facets.items()}
    return [
        DataObject(
            uuid=name_of(key(one.id), number, at),
            properties={
                **common,
                **facets,
                "place": sound(chunk.place),
                "hash": chunk.hash.hex(),
                **({} if chunk.source is None else {"source": chunk.source}),
            },
            vector=unpacked(chunk.vector),
        )
        for at, chunk in enumerate(one.chunks, 1)
    ]


def _gone(name: str, position: int, number: int) -> DataObject[Any, Any]:
    properties = {"key": name, "write": number, "position": position}
    return DataObject(uuid=name_of(name, number, 0), properties=properties)


def _stripped(row: Mapping[str, Any], number: int) -> DataObject[Any, Any]:
    kept = {name: value for name, value in row.items() if value is not None}
    changed = {"write": number, "allowed": NO, "shown": "", "sources": [], "attached": "[]"}
    return DataObject(uuid=name_of(row["key"], number, 0), properties={**kept, **changed})
