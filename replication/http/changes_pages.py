"""Reading the feed page by page.

Without a filter the pages are texts that the store has ready, and only joined. Otherwise each change
is looked at. A page is read when the one before has been sent, so neither memory nor a transaction is
held for a slow reader, and other requests are served between any two pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from replication.http.change_filter import EVERYTHING, ChangeFilter
from replication.http.changes_options import ChangesOptions
from replication.http.document_reading import rendered_winner
from replication.http.turns import Turns
from replication.store.interface import Database
from replication.store.paging import FIRST_PAGE
from replication.store.values import Change, Document

ROWS = 4000
"""Rows of a page without documents: half a megabyte."""
SCANNED_ROWS = 1000
"""Rows that are looked at in one go: some milliseconds."""
FIRST_ROWS_WITH_DOCS = FIRST_PAGE
PAGE_SIZE = 512 * 1024
"""Bytes that a page with documents should have. Their size shows in the page before."""

SEPARATOR = b",\n"
"""Between two rows. No row has a line break in it."""

_LARGEST_SHARED = 1 << 20
_SHARED_PAGES = 16


@dataclass(frozen=True, slots=True)
class Page:
    rows: bytes
    """JSON objects joined by `SEPARATOR`."""
    count: int
    last_seq: int
    """Up to where has been read; where to go on."""
    more: bool
    """Whether the feed had more to read at that time."""


class PageReader:
    """The pages of one feed as its reader asked for them."""

    __slots__ = ("_database", "_doc_rows", "_filter", "_first", "_key", "_options", "_spliced")

    def __init__(self, database: Database, options: ChangesOptions, change_filter: ChangeFilter) -> None:
        self._database = database
        self._options = options
        self._filter = change_filter
        self._first: tuple[int, int | None, Page] | None = None
        self._doc_rows = FIRST_ROWS_WITH_DOCS
        self._spliced = change_filter is EVERYTHING and not options.rewrites_documents
        self._key = (
            change_filter.key,
            options.all_leaves,
            options.include_docs,
            options.documents,
        )

    async def page(self, since: int, room: int | None) -> Page:
        """At most `room` rows after `since` (descending: before it)."""
        if self._first is not None:
            first, self._first = self._first, None
            if first[:2] == (since, room):
                return first[2]
        if self._spliced:
            return await self._splice(since, room)
        if self._filter.marker is not None:
            skipped = await self._skip(since, self._filter.marker)
            if skipped is not None:
                return skipped
        return await self._scan(since, room)

    async def prepare(self, since: int, room: int | None) -> None:
        """Reads the first page ahead if the filter may fail, so that its error can still be the answer."""
        if self._filter.may_fail and room != 0:
            self._first = (since, room, await self.page(since, room))

    async def shared_page(self, since: int, room: int | None) -> Page:
        """`page` for feeds that wake together: those that ask the same read it once."""
        database = self._database
        pages = _shared.setdefault(database, {})
        key = (self._key, since, room, database.update_seq)
        page = pages.get(key)
        if page is None:
            page = await self.page(since, room)
            if len(pages) >= _SHARED_PAGES:
                pages.clear()
            if len(page.rows) <= _LARGEST_SHARED:
                pages[key] = page
        return page

    async def pending(self, last_seq: int) -> int:
        """How many rows there are beyond `last_seq`, whether they pass the filter or not."""
        if not self._options.descending:
            return await self._database.pending(last_seq)
        if last_seq > self._database.update_seq:
            return await self._database.pending(0)
        return await self._database.pending(0) - await self._database.pending(last_seq - 1)

    def _reached(self, last_seq: int | None, since: int, upto: int) -> int:
        """Where a page ends that found the end of the feed; `upto`: the latest change before it was read."""
        if self._options.descending:
            return since if last_seq is None else last_seq
        return max(since, upto, last_seq or 0)

    def _adapt(self, count: int, size: int) -> None:
        """Makes the next page with documents as large as a page should be, judging by the last one."""
        if count:
            fitting = PAGE_SIZE * count // max(size, 1)
            self._doc_rows = max(1, min(fitting, 4 * self._doc_rows, SCANNED_ROWS))

    async def _splice(self, since: int, room: int | None) -> Page:
        options = self._options
        most = self._doc_rows if options.include_docs else ROWS
        asked = most if room is None else min(room, most)
        upto = self._database.update_seq
        page = await self._database.changes(
            since,
            asked,
            all_leaves=options.all_leaves,
            include_docs=options.include_docs,
            descending=options.descending,
        )
        if options.include_docs:
            self._adapt(page.count, len(page.rows))
        if page.count == asked and (options.descending or page.last_seq < upto):
            return Page(page.rows, page.count, page.last_seq, True)
        last_seq = page.last_seq if page.count else None
        return Page(page.rows, page.count, self._reached(last_seq, since, upto), False)

    async def _skip(self, since: int, marker: bytes) -> Page | None:
        """A page without rows, if none of a page's worth of changes has the marker."""
        upto = self._database.update_seq
        page = await self._database.changes(since, SCANNED_ROWS, descending=self._options.descending)
        if marker in page.rows:
            return None
        if page.count == SCANNED_ROWS:
            return Page(b"", 0, page.last_seq, True)
        last_seq = page.last_seq if page.count else None
        return Page(b"", 0, self._reached(last_seq, since, upto), False)

    async def _scan(self, since: int, room: int | None) -> Page:
        options = self._options
        with_docs = options.include_docs or self._filter.needs_docs
        asked = self._doc_rows if with_docs else SCANNED_ROWS
        upto = self._database.update_seq
        changes = await self._database.change_rows(
            since,
            asked,
            all_leaves=options.all_leaves,
            include_docs=with_docs,
            descending=options.descending,
            docids=self._looked_up(since, upto),
        )
        if with_docs:
            self._adapt(len(changes), sum([len(change.doc or b"") for change in changes]))
        selected = await self._filter.select_page(changes, room)
        passing = [(change, revs) for change, revs in zip(changes, selected, strict=False) if revs]
        rows = await self._rows(passing)
        if passing and len(passing) == room and passing[-1][0] is not changes[-1]:
            return Page(rows, len(passing), passing[-1][0].seq, True)
        if len(changes) == asked:
            return Page(rows, len(passing), changes[-1].seq, True)
        last_seq = changes[-1].seq if changes else None
        return Page(rows, len(passing), self._reached(last_seq, since, upto), False)

    def _looked_up(self, since: int, upto: int) -> Sequence[str] | None:
        """The documents to look up by id; None to go through the changes, if there are fewer of them."""
        docids = self._filter.docids
        if docids is None or (not self._options.descending and upto - since <= len(docids)):
            return None
        return docids

    async def _rows(self, passing: Sequence[tuple[Change, Sequence[str]]]) -> bytes:
        if not passing:
            return b""
        documents: dict[str, Document] = {}
        if self._options.rewrites_documents:
            documents = await self._database.winners([change.id for change, _ in passing])
        rows = []
        turns = Turns()
        for change, revs in passing:
            if turns.over():
                await turns.next()
            text = change.text if len(revs) == len(change.revs) else with_revisions(change, revs)
            if self._options.include_docs:
                doc = change.doc or b"null"
                if change.id in documents:
                    found = await rendered_winner(
                        self._database, documents[change.id], self._options.documents
                    )
                    doc = b"null" if found is None else found[1]
                text += b',"doc":' + self._filter.document(doc)
            rows.append(text + b"}")
        return SEPARATOR.join(rows)


_shared: WeakKeyDictionary[Database, dict[object, Page]] = WeakKeyDictionary()


def with_revisions(change: Change, revs: Sequence[str]) -> bytes:
    """The text of a change's row with some of its revisions only."""
    listed = ",".join([f'{{"rev":"{rev}"}}' for rev in revs])
    # No revision can hold a quotation mark, so the last place that looks like the list is the list.
    head = change.text[: change.text.rindex(b'"changes":[')]
    tail = b',"deleted":true' if change.deleted else b""
    return head + b'"changes":[' + listed.encode("ascii") + b"]" + tail
