"""Documents as the service that exchanges files with Lexware reads them: whole ones, of a few types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from kompass.access.lexware import READS
from replication.protocol import jsontext
from replication.protocol.collation import above, array_prefix, sort_key
from replication.store.interface import IndexBehindError
from replication.store.sqlite import Reading, SqliteDatabase
from replication.store.values import IndexEntry

Body = Mapping[str, Any]

PAGE = 500
"""Documents that are read at a time."""
_SIGNATURE = "lexware/1"


class Books:
    """A snapshot: a document by its id, None if there is none, or it is of a type that isn't read."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._kept: dict[str, Body | None] = {}

    def __call__(self, docid: str) -> Body | None:
        if docid not in self._kept:
            self._keep([docid])
        return self._kept[docid]

    def several(self, docids: Sequence[str]) -> Iterator[Body]:
        """Those of them that there are, in their order."""
        self._keep(docids)
        for docid in docids:
            found = self._kept[docid]
            if found is not None:
                yield found

    def _keep(self, docids: Sequence[str]) -> None:
        self._kept |= dict.fromkeys(docids)
        for docid, document in self._reading.winners(docids).items():
            body = None if document.deleted else jsontext.decode(document.text)
            if body is not None and body.get("type") in READS:
                self._kept[docid] = body


async def pages(database: SqliteDatabase, doctype: str) -> AsyncIterator[list[str]]:
    """The ids of the documents of a type, a page at a time: all that there are at the beginning."""
    assert doctype in READS, doctype
    low, seq = array_prefix([doctype]), database.update_seq
    after: IndexEntry | None = None
    while True:
        await database.refresh_index(_SIGNATURE, _types)
        try:
            found = await database.scan_index(_SIGNATURE, low, above(low), seq=seq, after=after, limit=PAGE)
        except IndexBehindError:
            continue  # somebody has dropped it since
        if found:
            yield [entry.id for entry in found]
        if len(found) < PAGE:
            return
        after = found[-1]


def _types(document: Mapping[str, Any]) -> list[bytes]:
    doctype = document.get("type")
    return [sort_key([doctype])] if isinstance(doctype, str) and doctype in READS else []
