"""The indexes of a database: found in its design documents, edited there, dropped when nobody names them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache

from replication.protocol import jsontext
from replication.protocol.mango.index import LANGUAGE, IndexDefinition, definitions_of
from replication.protocol.names import DESIGN_PREFIX
from replication.store.interface import Database, KeyRange

_DESIGN_DOCUMENTS = KeyRange(DESIGN_PREFIX, "_design0", inclusive_end=False)
_PAGE = 1000


async def definitions(database: Database) -> list[IndexDefinition]:
    """All JSON indexes, ordered by design document and name."""
    found = [definition async for text in _design_texts(database) for definition in _parsed(text)]
    return sorted(found, key=lambda definition: (definition.ddoc, definition.name))


async def drop_unused(database: Database) -> None:
    """Removes the entries of indexes that no design document defines any more: `_view_cleanup`."""
    await database.drop_indexes([definition.signature for definition in await definitions(database)])


async def _design_texts(database: Database) -> AsyncIterator[bytes]:
    span = _DESIGN_DOCUMENTS
    while True:
        page = await database.documents(span, limit=_PAGE)
        for document in page:
            yield document.text
        if len(page) < _PAGE:
            return
        span = span._replace(start=page[-1].id + "\x00")


@lru_cache(maxsize=512)
def _parsed(text: bytes) -> tuple[IndexDefinition, ...]:
    # Design documents change rarely and every query asks for all of them.
    if LANGUAGE.encode() not in text:
        return ()
    return tuple(definitions_of(jsontext.decode(text)))
