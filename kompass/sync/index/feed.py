"""Reading one person's feed out of the index.

A document that somebody sees stands at its place, or at his latest grant or loss of one of its channels if
that is later; within it, by its place. (A loss counts although he still sees it: it had been moved to the
grant, and must not fall back to where a reader in between has passed already.) One that he saw and sees no
more stands at the revocation, within it by its number. One of his revisions that was refused puts its
document where the refusal is. Each document has one row, at its latest position.

Two ways lead to a page. Near the end of the feed everything after `since` is asked for at once and sorted.
Far from it every channel is a stream in order of positions, and the streams are merged only as far as the
page goes.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from kompass.sync.index import leaves
from kompass.sync.index.people import Person
from kompass.sync.index.spans import Stay, endings, latest_ending, of_ids, of_numbers
from kompass.sync.positions import LAST, position, split
from kompass.sync.tombstones import Tombstones
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev
from replication.store.sqlite import Reading, id_list

NEAR = 2000
"""Changes of the database behind `since` from which on a page is merged."""


class FeedRow(NamedTuple):
    """A document in somebody's feed."""

    position: int
    id: str
    visible: bool
    winner: str | None
    """The revision he may read; None if he may not see the document."""
    deleted: bool
    """Whether the row says so: the winner is a deletion, or there are only tombstones."""
    closed: tuple[str, ...]
    """Deleted leaves besides the winner."""
    tombstones: tuple[str, ...]
    """Synthetic tombstones of revisions he may hold and must not show."""


_NEAR = """
SELECT DISTINCT e.place, d.id
FROM access_holdings h
CROSS JOIN access_entries e ON e.channel = h.channel AND e.place > :number
CROSS JOIN access_docs d ON d.num = e.doc
WHERE h.user = :user
"""
_PENDING = """
WITH marks AS MATERIALIZED (
    SELECT channel, since AS at FROM access_holdings WHERE user = :user
    UNION ALL
    SELECT channel, max(until) FROM access_lost l WHERE user = :user AND NOT EXISTS (
        SELECT 1 FROM access_holdings h WHERE h.user = :user AND h.channel = l.channel
    ) GROUP BY channel
), found AS (
    SELECT doc, place, max(at) AS at FROM (
        SELECT e.doc, e.place, m.at
        FROM marks m CROSS JOIN access_entries e ON e.channel = m.channel AND e.place > :number
        WHERE m.at <= :number
        UNION ALL
        SELECT e.doc, e.place, m.at
        FROM marks m CROSS JOIN access_entries e ON e.channel = m.channel
        WHERE m.at > :number
    ) GROUP BY doc
)
SELECT count(*) FROM found
WHERE (max(place, at) > :main OR (max(place, at) = :main AND iif(place > at, :last, place) > :within))
AND EXISTS (
    SELECT 1 FROM access_entries e CROSS JOIN access_holdings h ON h.user = :user AND h.channel = e.channel
    WHERE e.doc = found.doc
)
"""

_LIVE = " AND EXISTS (SELECT 1 FROM access_docs d WHERE d.num = found.doc AND NOT d.deleted)"


class _Found(NamedTuple):
    """A row before its revisions are known."""

    position: int
    id: str
    visible: bool


class FeedReader:
    """One person's feed in one snapshot."""

    def __init__(self, reading: Reading, who: Person, tombstones: Tombstones) -> None:
        self._reading = reading
        self._execute = reading.connection.execute
        self._person = who
        self._tombstones = tombstones

    # -- positions -----------------------------------------------------------------------------

    def rows(self, since: int, limit: int, *, descending: bool = False) -> list[FeedRow]:
        """At most `limit` rows after `since`, or before it and downwards."""
        if limit <= 0:
            return []
        found: list[_Found] = []
        for one in self._ordered(since, descending):
            found.append(one)
            if len(found) == limit:
                break
        return self._completed(found)

    def rows_of(self, docids: Iterable[str], since: int = 0, *, descending: bool = False) -> list[FeedRow]:
        """The rows of these documents that are after `since`, in order."""
        found = [
            one
            for one in self._located(docids)
            if (one.position < since if descending else one.position > since)
        ]
        found.sort(reverse=descending)
        return self._completed(found)

    def pending(self, since: int) -> int:
        """How many rows there are after `since`."""
        count = self._count(_PENDING, since)
        count += len(self._revoked(since))
        refused = [docid for docid, place in self._person.refused.items() if position(place) > since]
        counted = [one for one in self._located(refused, refusals=False) if one.position > since]
        return count + len(refused) - len(counted)

    def pending_live(self, since: int) -> int:
        """How many live documents that he sees have changed, or become visible, after `since`."""
        return self._count(_PENDING + _LIVE, since)

    def _count(self, query: str, since: int) -> int:
        number, within = split(since)
        counted: Any = self._execute(
            query,
            {
                "user": self._person.name,
                "number": number if within == LAST else number - 1,
                "main": number,
                "within": within,
                "last": LAST,
            },
        ).get
        return int(counted)

    def is_after(self, since: int) -> bool:
        """Whether there is a row after `since`."""
        return bool(self._first(since))

    def _first(self, since: int) -> list[_Found]:
        for one in self._ordered(since, descending=False):
            return [one]
        return []

    def _ordered(self, since: int, descending: bool) -> Iterator[_Found]:
        who = self._person
        number, within = split(since)
        passed = number if within == LAST else number - 1
        if descending:
            streams = self._streams_down(since)
        elif self._reading.update_seq - passed <= NEAR and who.latest_mark <= passed:
            streams = [self._near(passed, since)]
        else:
            streams = self._streams_up(since)
        others = sorted(
            [
                *((at, docid, False) for at, docid in self._revoked(0 if descending else since)),
                *((position(place), docid, None) for docid, place in who.refused.items()),
            ],
            key=lambda one: one[0],
            reverse=descending,
        )
        inside = (one for one in others if (one[0] < since if descending else one[0] > since))
        last = -1
        for at, docid, visible in heapq.merge(*streams, inside, key=lambda one: one[0], reverse=descending):
            if at == last:
                continue
            refused = who.refused.get(docid)
            if refused is not None or visible is None:
                found = self._locate(docid)
                if found is None or found.position != at:
                    continue
                visible = found.visible
            last = at
            yield _Found(at, docid, bool(visible))

    def _near(self, number: int, since: int) -> Iterator[tuple[int, str, bool | None]]:
        rows: Any = self._execute(_NEAR, {"user": self._person.name, "number": number})
        found = [(position(place), docid, True) for place, docid in rows]
        return iter(sorted(one for one in found if one[0] > since))

    def _streams_up(self, since: int) -> list[Iterator[tuple[int, str, bool | None]]]:
        number, within = split(since)
        streams = []
        for channel, granted in self._person.marks.items():
            if granted < number and channel not in self._person.held:
                continue  # what he still sees of it comes by another channel
            if granted > number:
                after = -1
            elif granted == number:
                after = within if within < LAST else number
            else:
                after = number if within == LAST else number - 1
            rows: Any = self._execute(
                "SELECT place, doc FROM access_entries WHERE channel = ? AND place > ? ORDER BY place",
                (channel, after),
            )
            streams.append(self._stream(rows, granted))
        return streams

    def _streams_down(self, since: int) -> list[Iterator[tuple[int, str, bool | None]]]:
        streams = []
        for channel, granted in self._person.marks.items():
            rows: Any = self._execute(
                "SELECT place, doc FROM access_entries WHERE channel = ? ORDER BY place DESC", (channel,)
            )
            streams.append(self._stream(rows, granted, before=since))
        return streams

    def _stream(
        self, rows: Iterable[tuple[int, int]], granted: int, before: int | None = None
    ) -> Iterator[tuple[int, str, bool | None]]:
        """One channel's documents in order of position, but those that stand elsewhere because of another."""
        held, marks = self._person.held, self._person.marks
        simple = len(set(marks.values())) <= 1 and len(held) == len(marks)
        for place, doc in rows:
            at = _position(place, granted)
            if before is not None and at >= before:
                continue
            if not simple:
                channels = [
                    channel
                    for (channel,) in self._execute(
                        "SELECT channel FROM access_entries WHERE doc = ?", (doc,)
                    )
                    if channel in marks
                ]
                latest = max(marks[channel] for channel in channels)
                if latest != granted and at != _position(place, latest):
                    continue
                if not any(channel in held for channel in channels):
                    continue
            docid = self._execute("SELECT id FROM access_docs WHERE num = ?", (doc,)).get
            yield at, docid, True

    # -- what is gone --------------------------------------------------------------------------

    def _revoked(self, since: int) -> list[tuple[int, str]]:
        """(position, id) of documents he saw and doesn't see any more, if that ended after `since`."""
        number = split(since)[0]
        candidates: set[int] = set()
        channels = {*self._person.held, *(channel for channel, _, _ in self._person.lost)}
        if not channels:
            return []
        listed = id_list(channels)
        for (doc,) in self._execute(
            "SELECT DISTINCT doc FROM json_each(?) CROSS JOIN access_left ON channel = value AND until >= ?",
            (listed, number),
        ):
            candidates.add(doc)
        for channel, began, ended in self._person.lost:
            if ended < number:
                continue
            for (doc,) in self._execute(
                "SELECT doc FROM access_entries WHERE channel = ? AND since < ?", (channel, ended)
            ):
                candidates.add(doc)
            for (doc,) in self._execute(
                "SELECT doc FROM access_left WHERE channel = ? AND until > ? AND since < ?",
                (channel, began, ended),
            ):
                candidates.add(doc)
        found = []
        spans = of_numbers(self._reading, self._person, candidates)
        for doc in candidates:
            end = latest_ending(self._person, spans.get(doc, ()))
            if end is not None:
                at = position(end, doc)
                docid = self._id(doc)
                if at > since and not self._superseded(doc, docid, at):
                    found.append((at, docid))
        return found

    def _superseded(self, doc: int, docid: str, at: int) -> bool:
        """Whether the id has been purged since and come again, with a later row."""
        if self._numbers([docid])[docid][-1] == doc:
            return False
        latest = self._locate(docid, refusals=False)
        return latest is not None and latest.position != at

    def _id(self, doc: int) -> str:
        return str(self._execute("SELECT id FROM access_docs WHERE num = ?", (doc,)).get)

    # -- one document --------------------------------------------------------------------------

    def _locate(self, docid: str, *, refusals: bool = True) -> _Found | None:
        """Where a document stands in his feed."""
        return next(iter(self._located([docid], refusals=refusals)), None)

    def _located(self, docids: Iterable[str], *, refusals: bool = True) -> list[_Found]:
        """Where documents stand in his feed, those that do."""
        wanted = list(dict.fromkeys(docids))
        stays = of_ids(self._reading, self._person, wanted)
        found = (self._place(docid, stays.get(docid, {}), refusals) for docid in wanted)
        return [one for one in found if one is not None]

    def _place(self, docid: str, stays: Mapping[int, Stay], refusals: bool) -> _Found | None:
        who = self._person
        best: _Found | None = None
        for num, (place, spans) in stays.items():
            channels = [span.channel for span in spans if span.until is None]
            if any(channel in who.held for channel in channels):
                latest = max(who.marks[channel] for channel in channels)
                best = _Found(_position(place, latest), docid, True)
                break
            end = latest_ending(who, spans)
            if end is not None and (best is None or position(end, num) > best.position):
                best = _Found(position(end, num), docid, False)
        refused = who.refused.get(docid) if refusals else None
        if refused is not None and (best is None or position(refused) > best.position):
            best = _Found(position(refused), docid, best is not None and best.visible)
        return best

    def _numbers(self, docids: Sequence[str]) -> dict[str, list[int]]:
        """The numbers that ids have had, in order: another one after each purge."""
        found: dict[str, list[int]] = {}
        rows: Any = self._execute(
            "SELECT d.id, d.num FROM json_each(?) CROSS JOIN access_docs d ON d.id = value ORDER BY d.num",
            (id_list(docids),),
        )
        for docid, num in rows:
            found.setdefault(docid, []).append(num)
        return found

    def row_of(self, docid: str) -> FeedRow | None:
        found = self._locate(docid)
        return None if found is None else self._completed([found])[0]

    # -- revisions -----------------------------------------------------------------------------

    def _completed(self, found: Sequence[_Found]) -> list[FeedRow]:
        if not found:
            return []
        visible = [one.id for one in found if one.visible]
        winners: dict[str, tuple[str, bool, int]] = {}
        if visible:
            rows: Any = self._execute(
                "SELECT d.id, d.rev, d.deleted, d.leaves FROM json_each(?) CROSS JOIN docs d ON d.id = value",
                (id_list(visible),),
            )
            winners = {docid: (rev, bool(deleted), leaves) for docid, rev, deleted, leaves in rows}
        numbers = self._numbers([one.id for one in found])
        return [self._complete(one, winners.get(one.id), numbers.get(one.id, [])) for one in found]

    def _complete(self, one: _Found, winner: tuple[str, bool, int] | None, numbers: Sequence[int]) -> FeedRow:
        # What was purged, and has come again under another number, is gone for good.
        gone = numbers[:-1] if one.visible else numbers
        tombstones = tuple(map(format_rev, self._tombstones_of(one.id, gone)))
        if winner is None:
            return FeedRow(one.position, one.id, False, None, True, (), tombstones)
        rev, deleted, leaves = winner
        closed: tuple[str, ...] = ()
        if leaves > 1:
            found = self._reading.revisions(one.id)
            assert found is not None
            closed = tuple(
                format_rev(leaf)
                for leaf in found.tree.leaves()
                if leaf != found.winner and found.tree.is_deleted(leaf)
            )
        return FeedRow(one.position, one.id, True, rev, deleted, closed, tombstones)

    def _tombstones_of(self, docid: str, gone: Sequence[int]) -> list[Rev]:
        """T of his refused revisions of a document, and of what he last saw under numbers that are gone."""
        revs: list[Rev] = []
        if gone:
            spans = of_numbers(self._reading, self._person, gone)
            for num in gone:
                end = latest_ending(self._person, spans.get(num, ()))
                if end is not None:
                    revs += self.leaves_at(num, end)
        if docid in self._person.refused:
            revs += [
                parse_rev(rev)
                for (rev,) in self._execute(
                    "SELECT rev FROM access_refused WHERE user = ? AND id = ? ORDER BY place",
                    (self._person.name, docid),
                )
            ]
        # What was purged and then refused is one revision.
        return [self._tombstones.of(docid, rev) for rev in dict.fromkeys(revs)]

    def closed_leaves(self, docids: Collection[str]) -> dict[str, set[Rev]]:
        """The leaves of documents that he ever saw, as they were each time one became invisible to him."""
        return {
            docid: {
                leaf
                for num, stay in stays.items()
                for number in endings(self._person, stay.spans)
                for leaf in self.leaves_at(num, number)
            }
            for docid, stays in of_ids(self._reading, self._person, docids).items()
        }

    def leaves_at(self, doc: int, number: int) -> list[Rev]:
        """The leaves of a document after change `number`."""
        return [parse_rev(rev) for rev in leaves.after(self._execute, doc, number)]

    def shadowed(self, docid: str) -> bool:
        """Whether the live winner was closed on a device of his: itself, or a refused child of it."""
        state = self._reading.revisions(docid)
        if state is None or state.deleted:
            return False
        for (path,) in self._execute(
            "SELECT path FROM access_refused WHERE user = ? AND id = ?", (self._person.name, docid)
        ):
            value = orjson.loads(path)
            if _is_above(Path(value["start"], value["ids"]), state.winner):
                return True
        num = self._execute(
            "SELECT num FROM access_docs WHERE id = ? ORDER BY num DESC LIMIT 1", (docid,)
        ).get
        if num is None:
            return False
        spans = of_numbers(self._reading, self._person, [num]).get(num, ())
        return any(state.winner in self.leaves_at(num, number) for number in endings(self._person, spans))


def _position(place: int, granted: int) -> int:
    return position(place) if place > granted else position(granted, place)


def _is_above(path: Path, rev: Rev) -> bool:
    """Whether `rev` is on the path."""
    at = path.start - rev[0]
    return 0 <= at < len(path.ids) and path.ids[at] == rev[1]
