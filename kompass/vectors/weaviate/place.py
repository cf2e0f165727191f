"""Where an index lies in Weaviate: a connection, its collections, and which of its generations is read.

There is a collection for each type of documents, one for what there is of every document, and one that says
how far each generation is. All but the last have tenants, and a generation is a tenant in each of them: it is
dropped by dropping the tenant, and several companies may share a server under names of their own.

Weaviate has no transactions, but it stores one object wholly or not at all. So the object that says how far a
generation is decides: every other object carries the number of the write that it came with, and is there for
nobody before that object says that number. It also names the documents whose older objects are gone from then
on, whoever gets to remove them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import weaviate
from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    StopwordsPreset,
    Tokenization,
    VectorDistances,
)
from weaviate.classes.data import DataObject
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.classes.query import Filter
from weaviate.classes.tenants import Tenant
from weaviate.collections import CollectionAsync
from weaviate.config import GrpcConfig

from kompass.feed.sink import Checkpoint
from kompass.search.catalogue import FACETS

Objects = CollectionAsync[Any, Any]

MOST_ROWS = 10_000
"""Objects that Weaviate finds or deletes in one go."""

_CHANNEL: list[tuple[str, int]] = [
    # A connection of its own, or what another one has waited for in vain this one waits for, too.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]

_NAMES = UUID("3f6a0f0c-52a7-4a5b-9d4e-0f1f6f1d7c55")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and what an index is called there."""

    url: str
    grpc_port: int
    key: str
    prefix: str
    """Of the names of its collections."""
    tenant: str
    """Of the names of its tenants."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """Names of generations, empty for none."""

    current: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """How far a generation is."""

    generation: str
    embedder: str
    write: int = 0
    """The latest write that has happened."""
    checkpoint: Checkpoint | None = None
    replaced: frozenset[str] = frozenset()
    """Keys of documents of which objects of earlier writes don't count."""
    types: frozenset[str] = frozenset()
    """Types of which it may have objects."""

    def counts(self, key: str, write: int) -> bool:
        """Whether an object of this document that came with that write is there."""
        return write <= self.write and (write == self.write or key not in self.replaced)


class Place:
    """A connection. `async with` it; raises what the client raises (`weaviate.exceptions`) and `OSError`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        parts = urlsplit(address.url)
        secure = parts.scheme == "https"
        host = parts.hostname or "localhost"
        self._client = weaviate.use_async_with_custom(
            http_host=host,
            http_port=parts.port or (443 if secure else 80),
            http_secure=secure,
            grpc_host=host,
            grpc_port=address.grpc_port,
            grpc_secure=secure,
            auth_credentials=Auth.api_key(address.key) if address.key else None,
            additional_config=AdditionalConfig(
                timeout=Timeout(init=5, query=30, insert=120),
                grpc_config=GrpcConfig(channel_options=_CHANNEL),
            ),
        )

    async def __aenter__(self) -> Self:
        await self._client.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    # -- collections -----------------------------------------------------------------------------

    def pieces(self, state: State, doctype: str) -> Objects:
        """Pieces of the documents of a type, with their vectors."""
        return self._named(_called(doctype)).with_tenant(state.generation)

    def documents(self, state: State) -> Objects:
        """What there is of each document besides."""
        return self._named("AllDocuments").with_tenant(state.generation)

    def _named(self, name: str) -> Objects:
        return self._client.collections.use(self._address.prefix + name)

    async def reach(self) -> None:
        """Raises `OSError` if nobody answers: asked by gRPC the client itself would wait for a minute."""
        if not await self._client.is_live():
            raise ConnectionError("nobody answers")

    async def prepare(self) -> None:
        """Makes the collections that every index has."""
        await self._make("Generations", _GENERATIONS, tenants=False)
        await self._make("AllDocuments", _DOCUMENTS)

    async def add_types(self, state: State, doctypes: Iterable[str]) -> State:
        """Makes place for objects of these types, and then says that there may be some."""
        new = sorted(set(doctypes) - state.types)
        if not new:
            return state
        for doctype in new:
            await self._make(_called(doctype), _PIECES)
            await self._add_tenant(_called(doctype), state.generation)
        state = replace(state, types=state.types | frozenset(new))
        await self.put_state(state)
        return state

    async def _make(self, name: str, properties: list[Property], *, tenants: bool = True) -> None:
        if await self._client.collections.exists(self._address.prefix + name):
            return
        # Flat: every piece that somebody may read is compared. What he may not read changes nothing then, and
        # a graph takes very long where many documents say the same.
        index = Configure.VectorIndex.flat(distance_metric=VectorDistances.COSINE)
        await self._client.collections.create(
            self._address.prefix + name,
            properties=properties,
            # Or a value that is an English word would be found nowhere.
            inverted_index_config=Configure.inverted_index(stopwords_preset=StopwordsPreset.NONE),
            multi_tenancy_config=Configure.multi_tenancy(enabled=tenants),
            vector_config=Configure.Vectors.self_provided(vector_index_config=index),
        )

    async def _add_tenant(self, name: str, generation: str) -> None:
        collection = self._named(name)
        if not await collection.tenants.exists(generation):
            await collection.tenants.create([Tenant(name=generation)])

    # -- generations -----------------------------------------------------------------------------

    async def pointer(self) -> Pointer:
        found = await self._get(self._address.tenant)
        return Pointer(found["current"], found["next"]) if found else Pointer()

    async def point(self, pointer: Pointer) -> None:
        properties = {"name": self._address.tenant, "current": pointer.current, "next": pointer.next}
        await self._put(self._address.tenant, properties)

    async def begin(self, generation: str, embedder: str) -> State:
        """A new, empty one that nothing points at yet."""
        await self._add_tenant("AllDocuments", generation)
        state = State(generation, embedder)
        await self.put_state(state)
        return state

    async def drop(self, generation: str) -> None:
        state = await self.state(generation)
        for doctype in sorted(state.types if state else ()):
            await self._named(_called(doctype)).tenants.remove([generation])
        await self._named("AllDocuments").tenants.remove([generation])
        await self._named("Generations").data.delete_by_id(uuid5(_NAMES, generation))

    async def generations(self) -> set[str]:
        """All of this index."""
        names = await self._named("AllDocuments").tenants.get()
        return {name for name in names if name.rpartition("-")[0] == self._address.tenant}

    async def state(self, generation: str) -> State | None:
        found = await self._get(generation)
        if found is None:
            return None
        checkpoint = None
        if found["epoch"]:
            checkpoint = Checkpoint(found["epoch"], found["since"], int(found["position"]))
        return State(
            generation,
            found["embedder"],
            int(found["write"]),
            checkpoint,
            frozenset(found["replaced"] or ()),
            frozenset(found["types"] or ()),
        )

    async def put_state(self, state: State) -> None:
        at = state.checkpoint
        await self._put(
            state.generation,
            {
                "name": state.generation,
                "embedder": state.embedder,
                "write": state.write,
                "epoch": at.epoch if at else "",
                "since": at.since if at else "",
                "position": at.position if at else 0,
                "replaced": sorted(state.replaced),
                "types": sorted(state.types),
            },
        )

    async def _get(self, name: str) -> dict[str, Any] | None:
        # None where there is none, whatever its type says.
        found: Any = await self._named("Generations").query.fetch_object_by_id(uuid5(_NAMES, name))
        return None if found is None else dict(found.properties)

    async def _put(self, name: str, properties: dict[str, Any]) -> None:
        one = DataObject(uuid=uuid5(_NAMES, name), properties=properties)
        await self._named("Generations").data.insert_many([one])


def name_of(key: str, write: int, number: int) -> UUID:
    """The id of an object: the same object again has the same."""
    return uuid5(_NAMES, f"{key}/{write}/{number}")


def one_of(name: str, values: Collection[Any]) -> Any:
    return Filter.by_property(name).contains_any(list(values))


def _called(doctype: str) -> str:
    return "".join(part.capitalize() for part in doctype.split("_"))


def _text(name: str, *, listed: bool = False, found: bool = True) -> Property:
    """Compared whole. `found`: whether it is looked for."""
    return Property(
        name=name,
        data_type=DataType.TEXT_ARRAY if listed else DataType.TEXT,
        tokenization=Tokenization.FIELD,
        index_searchable=False,
        index_filterable=found,
    )


def _number(name: str) -> Property:
    return Property(name=name, data_type=DataType.INT, index_filterable=True)


_COMMON = [
    _text("key"),
    _number("write"),
    _text("docid", found=False),
    _text("base"),
    _text("rev", found=False),
    _text("doctype", found=False),
    _text("channels", listed=True),
]
_PIECES = [
    *_COMMON,
    _text("place", found=False),
    _text("hash"),
    _text("source"),
    *(_text(f"facet_{facet}") for facet in FACETS),
]
_DOCUMENTS = [
    *_COMMON,
    _number("position"),
    _text("about"),
    _text("allowed"),
    _text("shown", found=False),
    _text("sources", listed=True),
    _text("attached", found=False),
    _text("facets", found=False),
]
_GENERATIONS = [
    _text("name"),
    _text("current", found=False),
    _text("next", found=False),
    _text("embedder", found=False),
    _number("write"),
    _text("epoch", found=False),
    _text("since", found=False),
    _number("position"),
    _text("replaced", listed=True, found=False),
    _text("types", listed=True, found=False),
]
