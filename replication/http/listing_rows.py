"""Rows of listings: three kinds of documents, by range or by keys."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any

from replication.http.document_reading import rendered_winner
from replication.http.listing_options import ListingOptions
from replication.protocol import jsontext
from replication.protocol.names import DESIGN_PREFIX, LOCAL_PREFIX
from replication.protocol.partitions import id_range
from replication.store.interface import Database
from replication.store.paging import FIRST_PAGE, PageSize
from replication.store.values import Document, KeyRange, LocalDocument

ROWS = 2000
"""Rows of a page without documents."""
KEYS = 500
"""Keys that are looked up in one go."""
FIRST_ROWS_WITH_DOCS = FIRST_PAGE
SEPARATOR = b",\r\n"

_AFTER_DESIGN = "_design0"
"""The first id behind those of all design documents."""


class RowSource(ABC):
    """One kind of listing."""

    @abstractmethod
    async def head(self, database: Database, options: ListingOptions) -> bytes:
        """What stands before the rows."""

    @abstractmethod
    def _range(self, database: Database, options: ListingOptions) -> AsyncIterator[bytes]:
        """Pages of the rows from one id to another."""

    @abstractmethod
    def _lists(self, key: Any) -> bool:
        """Whether a key can belong to this listing at all."""

    def pages(self, database: Database, options: ListingOptions) -> AsyncIterator[bytes]:
        """Pages of rows, joined; none if there are no rows."""
        if options.keys is None:
            return self._range(database, options)
        return self._by_keys(database, options.keys, options)

    async def _by_keys(
        self, database: Database, keys: Sequence[Any], options: ListingOptions
    ) -> AsyncIterator[bytes]:
        """A row for each key, in their order, whether there is such a document or not."""
        if options.descending:
            keys = keys[::-1]
        keys = keys[options.skip :]
        if options.limit is not None:
            keys = keys[: options.limit]
        listed = [key for key in keys if self._lists(key)]
        size = PageSize(FIRST_ROWS_WITH_DOCS, most=KEYS)
        start = 0
        while start < len(listed):
            some = listed[start : start + size.rows]
            start += len(some)
            texts = [key for key in some if isinstance(key, str)]
            found = await database.winners([key for key in texts if not key.startswith(LOCAL_PREFIX)])
            size.saw(len(some), sum([len(document.text) for document in found.values()]))
            rows = []
            for key in some:
                if isinstance(key, str) and key.startswith(LOCAL_PREFIX):
                    local = await database.local(key.removeprefix(LOCAL_PREFIX))
                    rows.append(_not_found(key) if local is None else _local_row(local, options))
                elif isinstance(key, str) and key in found:
                    rows.append(await document_row(database, found[key], options))
                else:
                    rows.append(_not_found(key))
            yield SEPARATOR.join(rows)
            await asyncio.sleep(0)


class AllDocuments(RowSource):
    """`_all_docs`, or with bounds a part of it."""

    def __init__(self, low: str | None = None, high: str | None = None) -> None:
        """`low` to `high`, exclusive: the ids that are listed."""
        self._low = low
        self._high = high

    def _lists(self, key: Any) -> bool:
        if self._low is None or self._high is None:
            return True
        return isinstance(key, str) and self._low <= key < self._high

    async def head(self, database: Database, options: ListingOptions) -> bytes:
        total = await self._total(database)
        if options.keys is not None:
            return _head(total, None, b"null" if options.update_seq else None)
        sequence = database.epochs.format(database.update_seq)
        before = await database.count_before(self._span(options))
        return _head(
            total,
            min(total, before + options.skip),
            jsontext.encode(sequence) if options.update_seq else None,
        )

    async def _total(self, database: Database) -> int:
        if self._low is None:
            return (await database.info()).doc_count
        ends = [await database.count_before(KeyRange(bound)) for bound in (self._low, self._high)]
        return ends[1] - ends[0]

    def _span(self, options: ListingOptions) -> KeyRange:
        span = KeyRange(options.start, options.end, options.inclusive_end, options.descending)
        if self._low is not None and self._high is not None:
            span = _within(span, self._low, self._high)
        if options.partition is not None:
            span = _within(span, *id_range(options.partition))
        return span

    async def _range(self, database: Database, options: ListingOptions) -> AsyncIterator[bytes]:
        span = self._span(options)
        skip, left = options.skip, options.limit
        with_docs = options.include_docs
        size = PageSize(FIRST_ROWS_WITH_DOCS if with_docs else ROWS, most=ROWS)
        while left != 0:
            asked = size.rows if left is None else min(size.rows, left)
            if options.rewrites_documents:
                documents = await database.documents(span, skip=skip, limit=asked)
                rows = SEPARATOR.join([await document_row(database, doc, options) for doc in documents])
                count, last = len(documents), documents[-1].id if documents else None
            else:
                page = await database.all_docs(span, skip=skip, limit=asked, include_docs=with_docs)
                rows, count, last = page.rows, page.count, page.last_id
            if not count:
                return
            yield rows
            if count < asked:
                return
            if left is not None:
                left -= count
            if with_docs:
                size.saw(count, len(rows))
            skip = 0
            span = span._replace(start=last, inclusive_start=False)
            await asyncio.sleep(0)


class LocalDocuments(RowSource):
    """`_local_docs`. Nobody counts them."""

    def _lists(self, key: Any) -> bool:
        return isinstance(key, str) and key.startswith(LOCAL_PREFIX)

    async def head(self, database: Database, options: ListingOptions) -> bytes:
        return _head(None, None, b"null" if options.update_seq else None)

    async def _range(self, database: Database, options: ListingOptions) -> AsyncIterator[bytes]:
        span = _local_span(options)
        if span is None or options.partition is not None:
            return
        skip, left = options.skip, options.limit
        most = FIRST_ROWS_WITH_DOCS if options.include_docs else ROWS
        while left != 0:
            asked = most if left is None else min(most, left)
            documents = await database.local_documents(span, skip=skip, limit=asked)
            if not documents:
                return
            yield SEPARATOR.join([_local_row(document, options) for document in documents])
            if len(documents) < asked:
                return
            if left is not None:
                left -= len(documents)
            skip = 0
            span = span._replace(start=documents[-1].id, inclusive_start=False)
            await asyncio.sleep(0)


SOURCES: dict[str, RowSource] = {
    "_all_docs": AllDocuments(),
    "_design_docs": AllDocuments(DESIGN_PREFIX, _AFTER_DESIGN),
    "_local_docs": LocalDocuments(),
}


def _within(span: KeyRange, low: str, high: str) -> KeyRange:
    """What of a range lies between `low` and `high`, neither of which is an id."""
    start, end = span.start, span.end
    if span.descending:
        start = high if start is None else min(start, high)
        end = low if end is None else max(end, low)
    else:
        start = low if start is None else max(start, low)
        end = high if end is None else min(end, high)
    return span._replace(start=start, end=end)


def _head(total: int | None, offset: int | None, sequence: bytes | None) -> bytes:
    numbers = [b"null" if number is None else b"%d" % number for number in (total, offset)]
    text = b'{"total_rows":%b,"offset":%b' % tuple(numbers)
    if sequence is not None:
        text += b',"update_seq":' + sequence
    return text + b',"rows":[\r\n'


def _local_span(options: ListingOptions) -> KeyRange | None:
    """The range in ids without `_local/`; None if it holds no such id."""
    start, end = options.start, options.end
    first, last = (end, start) if options.descending else (start, end)
    after = LOCAL_PREFIX[:-1] + "0"
    if (first is not None and first >= after) or (last is not None and last < LOCAL_PREFIX):
        return None

    def within(bound: str | None) -> str | None:
        if bound is None or not bound.startswith(LOCAL_PREFIX):
            return None
        return bound.removeprefix(LOCAL_PREFIX)

    return KeyRange(within(start), within(end), options.inclusive_end, options.descending)


def _not_found(key: Any) -> bytes:
    return b'{"key":%b,"error":"not_found"}' % jsontext.encode(key)


async def document_row(database: Database, document: Document, options: ListingOptions) -> bytes:
    """The row of a document. That of a deleted one says so, and has no document."""
    text = b"null"
    if options.include_docs and not document.deleted:
        found = await rendered_winner(database, document, options.documents)
        if found is not None and not found[0].deleted:
            document, text = found
    docid = jsontext.encode(document.id)
    deleted = b',"deleted":true' if document.deleted else b""
    row = b'{"id":%b,"key":%b,"value":{"rev":"%b"%b}' % (docid, docid, document.rev.encode(), deleted)
    if not options.include_docs:
        return row + b"}"
    return row + b',"doc":' + text + b"}"


def _local_row(document: LocalDocument, options: ListingOptions) -> bytes:
    docid = jsontext.encode(LOCAL_PREFIX + document.id)
    row = b'{"id":%b,"key":%b,"value":{"rev":"%b"}' % (docid, docid, document.rev.encode())
    return row + (b',"doc":' + document.text + b"}" if options.include_docs else b"}")
