"""The design documents of a database, read once and kept until one of them changes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

from replication.protocol import errors, jsontext
from replication.protocol.design import DesignDocument
from replication.protocol.names import DESIGN_PREFIX
from replication.store.interface import Database
from replication.store.values import KeyRange

_DESIGN_DOCUMENTS = KeyRange(DESIGN_PREFIX, "_design0", inclusive_end=False)
_PAGE = 1000


class _Known(NamedTuple):
    version: int
    all: tuple[DesignDocument, ...]
    validating: tuple[DesignDocument, ...]


_known: WeakKeyDictionary[Database, _Known] = WeakKeyDictionary()


async def design_documents(database: Database) -> tuple[DesignDocument, ...]:
    """All design documents in the order of their ids."""
    return (await _read(database)).all


async def validating(database: Database) -> tuple[DesignDocument, ...]:
    """Those with a `validate_doc_update`."""
    return (await _read(database)).validating


async def _read(database: Database) -> _Known:
    known = _known.get(database)
    version = database.design_version
    if known is not None and known.version == version:
        return known
    found = []
    span = _DESIGN_DOCUMENTS
    while True:
        page = await database.documents(span, limit=_PAGE)
        found += [
            _parsed(document.id, document.rev, document.text, database.partitioned) for document in page
        ]
        if len(page) < _PAGE:
            break
        span = span._replace(start=page[-1].id, inclusive_start=False)
    # The version was read first: a change made meanwhile makes this look old, never new.
    known = _Known(version, tuple(found), tuple([ddoc for ddoc in found if ddoc.validation is not None]))
    _known[database] = known
    return known


async def design_document(database: Database, docid: str) -> DesignDocument:
    """One design document. Raises 404 `missing` or `deleted`."""
    for known in await design_documents(database):
        if known.id == docid:
            return known
    winner = await database.winner(docid)
    raise errors.missing() if winner is None else errors.deleted()


@lru_cache(maxsize=512)
def _parsed(docid: str, rev: str, text: bytes, partitioned: bool) -> DesignDocument:
    return DesignDocument(docid, rev, text, jsontext.decode(text), partitioned)
