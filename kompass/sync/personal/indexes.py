"""Indexes and views.

They are everybody's: design documents define them, and only public ones are known here. What they list is
left out unless he sees the document now and it would be listed just so as the document is now.

Documents change while somebody reads, and none may be missing in an answer for that. So of what has changed
since an index read it is found out how it would be listed now; if that is elsewhere, the index is brought up
to date and read once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from kompass.sync.index import entries
from kompass.sync.index.entries import Listing, Span
from kompass.sync.personal.person import Person
from kompass.sync.positions import position, split
from replication.protocol import jsontext
from replication.protocol.collation import above
from replication.store.interface import DocumentMapper, RowMapper
from replication.store.sqlite.row_indexes import to_index
from replication.store.values import (
    Document,
    IndexedDocument,
    IndexEntry,
    IndexRow,
    IndexState,
    IndexVersion,
    PartialReduction,
    RowPosition,
    RowSpan,
)

SCANNED = 1000
"""Entries of an index that are looked at in one go."""
REPEATS = 5
"""How often these are looked at again because documents among them are changed just then."""


class Indexes(Person):
    """What queries and views are read from."""

    async def refresh_index(self, signature: str, mapper: DocumentMapper) -> None:
        self._admitted()
        self._shared.mappers[signature] = mapper
        await self._shared.refresh(signature, lambda: self._database.refresh_index(signature, mapper))

    async def scan_index(
        self,
        signature: str,
        low: bytes,
        high: bytes | None,
        *,
        seq: int = 0,
        after: IndexEntry | None = None,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexEntry]:
        span = Span(signature, low, above(b"") if high is None else high)
        listing = Listing(span, descending)
        found = await self.scan_documents(listing, seq=seq, after=after, limit=skip + limit)
        return [entry for entry, _ in found[skip:]]

    async def scan_documents(
        self, listing: Listing, *, seq: int = 0, after: IndexEntry | None = None, limit: int = 1000
    ) -> list[tuple[IndexEntry, Document]]:
        """The next entries of a listing, with the documents that they list: fewer than `limit` at its end.

        Raises `IndexBehindError` if one of its indexes has not been brought up to `seq`.
        """
        found: list[tuple[IndexEntry, Document]] = []
        repeats = REPEATS if seq else 0
        while True:
            with self._reading() as reading:
                size = min(limit - len(found), SCANNED)
                page = entries.find(reading, self._user, listing, after, size, seq=split(seq)[0])
                seen = self._winners(reading, {entry.id for entry in page.entries})
            listed = [(entry, seen[entry.id]) for entry in page.entries if entry.id in seen]
            valid = [one for one in listed if one[1].seq <= page.reached or self._lists(listing, *one)]
            if len(valid) < len(listed) and repeats:
                repeats -= 1
                for span in (listing.span, *listing.also):
                    if (mapper := self._shared.mappers.get(span.signature)) is not None:
                        await self.refresh_index(span.signature, mapper)
                continue
            found += valid
            if page.after is None or len(found) == limit:
                return found
            after = page.after
            repeats = REPEATS if seq else 0
            await asyncio.sleep(0)

    def _lists(self, listing: Listing, entry: IndexEntry, document: Document) -> bool:
        """Whether an entry is one of the document as it is now."""
        if document.deleted:
            return False
        body = jsontext.decode(document.text)

        def keys(span: Span) -> Sequence[bytes]:
            mapper = self._shared.mappers.get(span.signature)  # None: nobody has asked since the start
            return mapper(body) if mapper is not None else ()

        return entry.key in keys(listing.span) and all(
            any(span.low <= key < span.high for key in keys(span)) for span in listing.also
        )

    @property
    def design_version(self) -> int:
        return self._database.design_version

    async def refresh_rows(self, signature: str, mapper: RowMapper) -> None:
        self._admitted()
        self._shared.row_mappers[signature] = mapper
        await self._shared.refresh(signature, lambda: self._database.refresh_rows(signature, mapper))

    async def scan_rows(
        self,
        signature: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexRow]:
        found: list[IndexRow] = []
        async for rows in self._pages(signature, span, seq, descending):
            found += rows
            if len(found) >= skip + limit:
                break
        return found[skip : skip + limit]

    async def count_rows(self, signature: str, span: RowSpan, *, seq: int = 0) -> int:
        return sum([len(rows) async for rows in self._pages(signature, span, seq, descending=False)])

    async def _pages(
        self, signature: str, span: RowSpan, seq: int, descending: bool
    ) -> AsyncIterator[list[IndexRow]]:
        """The rows of a span that he sees, some at a time."""
        repeats = REPEATS if seq else 0
        while True:
            reached = await self._reached(signature)
            page = await self._database.scan_rows(
                signature, span, seq=split(seq)[0], descending=descending, limit=SCANNED
            )
            if not page:
                return
            with self._reading() as reading:
                seen = self._winners(reading, {row.id for row in page})
                changed = [
                    to_index(reading.connection, document)
                    for document in seen.values()
                    if document.seq > reached and not document.deleted
                ]
            listed = [row for row in page if row.id in seen]
            mapper = self._shared.row_mappers.get(signature)
            now = await _rows_now(mapper, changed)
            # What an index read before may be of a revision that he was never meant to see.
            valid = [now.get(row[:3]) if seen[row.id].seq > reached else row for row in listed]
            if repeats and mapper and None in valid:
                repeats -= 1
                await self.refresh_rows(signature, mapper)
                continue
            repeats = REPEATS if seq else 0
            yield [row for row in valid if row is not None]
            last = page[-1]
            if descending:
                span = span._replace(high=(last.key, last.id, last.place))
            else:
                span = span._replace(low=(last.key, last.id, last.place + 1))
            await asyncio.sleep(0)

    async def _reached(self, signature: str) -> int:
        """Up to which change the index has read at least."""
        state = await self._database.index_state(signature)
        return state.seq if state is not None else 0

    async def index_version(self, signature: str) -> IndexVersion | None:
        """None: only what is reduced asks for it, and nobody's rows alone can be."""
        self._admitted()
        return None

    async def partial_reductions(
        self,
        signature: str,
        reducer: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        limit: int = 500,
    ) -> list[PartialReduction]:
        self._refuse()

    async def keep_reductions(
        self, signature: str, reducer: str, version: IndexVersion, made: Sequence[PartialReduction]
    ) -> bool:
        self._refuse()

    async def index_state(self, signature: str, *, sized: bool = False) -> IndexState | None:
        """How far the index has come, as a position. It tells nothing of its size."""
        self._admitted()
        state = await self._database.index_state(signature)
        return None if state is None else IndexState(position(state.seq), 0, 0)

    async def drop_indexes(self, keep: Sequence[str]) -> None:
        self._refuse()


async def _rows_now(
    mapper: RowMapper | None, documents: Sequence[IndexedDocument]
) -> dict[RowPosition, IndexRow]:
    """The rows of documents as they are now, by their places."""
    found: dict[RowPosition, IndexRow] = {}
    while documents and mapper is not None:  # None: nobody has asked since the start
        mapped = await mapper(documents)
        documents = documents[len(mapped) :]
        found.update(((row.key, row.id, row.place), row) for rows in mapped for row in rows)
    return found
