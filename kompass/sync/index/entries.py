"""Entries of an index that somebody sees, in the index's order.

Three ways lead to the same entries:

- *walking*: from entry to entry as the index has them, asking of each whether it fits and whether he sees it,
  until there are enough;
- *his*: all documents that he sees, each looked up in the index, and sorted;
- *a condition's*: all documents that fulfil it, the same.

The first costs as much as there are entries between those that are found, the others as much as there are
documents. So a short way is walked first. How many it finds says how far it is to the end of a page, and if
he sees fewer documents, or fewer fulfil a condition, they are sorted instead.

SQLite knows nothing of how many rows there are: the statements say in which order it joins, and by what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from kompass.sync.index.listing import MINE, SEES
from replication.store.interface import IndexBehindError
from replication.store.sqlite import Reading
from replication.store.values import IndexEntry

FIRST = 200
"""Entries that are walked over before anything is counted, and more for pages of more than 50."""
MOST = 2000
"""Entries that are walked over in one go."""
SORTED = 6000
"""Documents that are sorted in one go. One takes up to twice as long as an entry that is walked over."""

_OF_TYPE = (
    f"{MINE} AND h.channel NOT IN"
    " (SELECT num FROM access_channels WHERE name >= 'all:' AND name < 'all;' AND name != :whole)"
)
"""`MINE` without the channels that hold all documents of another type: they are most of what he sees."""
_BY_ID = "index_entries_by_id"
_HE_SEES = f"EXISTS (SELECT 1 FROM access_docs d WHERE d.id = e.id AND {SEES})"


class Span(NamedTuple):
    """Entries of an index with low <= key < high."""

    signature: str
    low: bytes
    high: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of a span whose documents have an entry in each of the others, too."""

    span: Span
    descending: bool = False
    also: tuple[Span, ...] = ()
    doctype: str | None = None
    """All documents in the span are of that type."""


class Found(NamedTuple):
    entries: list[IndexEntry]
    after: IndexEntry | None
    """Where to go on; None: there are no more."""
    reached: int
    """Up to which change all of the indexes have read."""


def find(
    reading: Reading, user: str, listing: Listing, after: IndexEntry | None, limit: int, *, seq: int = 0
) -> Found:
    """The next entries behind `after` that somebody sees, live documents or not.

    They are `limit`, or all that are left, or fewer if it takes long to find them.
    Raises `IndexBehindError` if an index hasn't read up to `seq`.
    """
    statements = _Statements(reading, user, listing, seq)
    found: list[IndexEntry] = []
    walked, stride = 0, max(FIRST, 4 * limit)
    while True:
        found += statements.walk(after, stride, limit - len(found))
        if len(found) == limit:
            return Found(found, found[-1], statements.reached)
        after = statements.end(after, stride)
        if after is None:
            return Found(found, None, statements.reached)
        walked += stride
        ahead = walked * (limit - len(found)) // max(len(found), 1)
        rest = statements.gather(after, min(ahead // 2, SORTED), limit - len(found))
        if rest is not None:
            found += rest
            return Found(found, found[-1] if len(found) == limit else None, statements.reached)
        if walked >= MOST:
            return Found(found, after, statements.reached)
        stride = min(2 * ahead, MOST)


class _Statements:
    """What is asked of SQLite for one listing in one snapshot. `e` are the entries of its span."""

    def __init__(self, reading: Reading, user: str, listing: Listing, seq: int) -> None:
        self._execute = reading.connection.execute
        self._listing = listing
        self._args: dict[str, Any] = {"user": user, "whole": f"all:{listing.doctype}"}
        self._order = "ORDER BY e.key DESC, e.id DESC" if listing.descending else "ORDER BY e.key, e.id"
        self._also = range(len(listing.also))
        self.reached = self._open("", listing.span, seq)
        for at in self._also:
            self.reached = min(self.reached, self._open(str(at), listing.also[at], seq))

    def _open(self, name: str, span: Span, seq: int) -> int:
        """Has the statements know a span. Returns up to which change its index has read."""
        row: Any = self._execute(
            "SELECT num, seq FROM indexes WHERE signature = ?", (span.signature,)
        ).fetchone()
        number, reached = row or (None, 0)
        if reached < seq:
            raise IndexBehindError(f"index {span.signature} has read up to {reached}, not {seq}")
        self._args |= {f"num{name}": number, f"low{name}": span.low, f"high{name}": span.high}
        return int(reached)

    def walk(self, after: IndexEntry | None, stride: int, limit: int) -> list[IndexEntry]:
        """The first entries that fit among the next `stride`."""
        # A subquery with a limit is read row by row: nothing is asked of what is behind the last entry.
        following = (
            f"SELECT e.key, e.id FROM index_entries e WHERE {self._span(after)} {self._order} LIMIT :stride"
        )
        return self._run(
            f"SELECT e.key, e.id FROM ({following}) e WHERE {self._fits(_HE_SEES)} LIMIT :limit",
            after,
            stride=stride,
            limit=limit,
        )

    def end(self, after: IndexEntry | None, stride: int) -> IndexEntry | None:
        """The last of the next `stride` entries; None if there are fewer."""
        where = f"{self._span(after)} {self._order} LIMIT 1 OFFSET :skip"
        found = self._run(f"SELECT e.key, e.id FROM index_entries e WHERE {where}", after, skip=stride - 1)
        return found[0] if found else None

    def gather(self, after: IndexEntry | None, most: int, limit: int) -> list[IndexEntry] | None:
        """The first entries that fit; None if more than `most` documents would have to be sorted for it."""
        mine = MINE if self._listing.doctype is None else _OF_TYPE
        ways = [(mine, f"({mine}) m CROSS JOIN access_docs d ON d.num = m.doc", self._fits())]
        for at in self._also:
            listed = f"SELECT c.id FROM index_entries c WHERE {_within('c', at)}"
            ways.append((listed, f"({listed}) d", self._fits(_HE_SEES, but=at)))
        counts = [self._count(rows, most + 1) for rows, _, _ in ways]
        if min(counts) > most:
            return None
        _, source, fits = ways[counts.index(min(counts))]
        return self._run(
            f"SELECT DISTINCT e.key, e.id FROM {source} CROSS JOIN index_entries e INDEXED BY {_BY_ID}"
            f" ON e.id = d.id WHERE {self._span(after)} AND {fits} {self._order}"
            " LIMIT :limit",
            after,
            limit=limit,
        )

    def _span(self, after: IndexEntry | None) -> str:
        """That `e` is of the span, and behind another one."""
        if after is None:
            return _within("e")
        # In place of a bound of the span, so that SQLite begins right there among entries with the same key.
        if self._listing.descending:
            return "e.index_num = :num AND e.key >= :low AND (e.key, e.id) < (:after_key, :after_id)"
        return "e.index_num = :num AND e.key < :high AND (e.key, e.id) > (:after_key, :after_id)"

    def _fits(self, *asked: str, but: int | None = None) -> str:
        """That the document of `e` has the other entries, but for one that is known."""
        entry = f"SELECT 1 FROM index_entries c INDEXED BY {_BY_ID} WHERE c.id = e.id"
        others = [f"EXISTS ({entry} AND {_within('c', at)})" for at in self._also if at != but]
        return " AND ".join([*asked, *others]) or "true"

    def _count(self, rows: str, most: int) -> int:
        found = self._execute(f"SELECT count(*) FROM ({rows} LIMIT :most)", {**self._args, "most": most}).get
        return int(found)

    def _run(self, statement: str, after: IndexEntry | None, **numbers: int) -> list[IndexEntry]:
        behind = {} if after is None else {"after_key": after.key, "after_id": after.id}
        rows: Any = self._execute(statement, {**self._args, **behind, **numbers})
        return [IndexEntry(key, docid) for key, docid in rows]


def _within(alias: str, at: int | str = "") -> str:
    return f"{alias}.index_num = :num{at} AND {alias}.key >= :low{at} AND {alias}.key < :high{at}"
