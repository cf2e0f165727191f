"""The indexes of a database: found in its design documents, dropped when none of them defines them."""

from __future__ import annotations

from functools import lru_cache

from replication.protocol import jsontext
from replication.protocol.mango.index import LANGUAGE, IndexDefinition, definitions_of
from replication.queries.designs import design_documents
from replication.store.interface import Database


async def definitions(database: Database) -> list[IndexDefinition]:
    """All JSON indexes, ordered by design document and name."""
    partitioned = database.partitioned
    found = [
        definition
        for ddoc in await design_documents(database)
        for definition in _parsed(ddoc.text, partitioned)
    ]
    return sorted(found, key=lambda definition: (definition.ddoc, definition.name))


async def drop_unused(database: Database) -> None:
    """Removes what indexes and views hold that no design document defines any more: `_view_cleanup`."""
    used = [definition.signature for definition in await definitions(database)]
    used += [view.signature for ddoc in await design_documents(database) for view in ddoc.views.values()]
    await database.drop_indexes(used)


@lru_cache(maxsize=512)
def _parsed(text: bytes, partitioned: bool) -> tuple[IndexDefinition, ...]:
    # Design documents change rarely and every query asks for all of them.
    if LANGUAGE.encode() not in text:
        return ()
    return tuple(definitions_of(jsontext.decode(text), partitioned_database=partitioned))
