"""What keeps conflicts right whatever else happens to the database, and the texts that merging needs.

Nobody goes on reading in a conflict what he may not read in the document: in the transaction that takes the
document from him, his copy of the conflict becomes one with his own text alone. A document that is deleted
leaves nothing to decide.

A device that was away brings a version that follows an old one, and without the text of that old one nobody
but a person could tell who changed what. So compaction leaves the texts of ancestors that were current within
`KEPT`, and those that open conflicts are about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import apsw

from kompass.business.server_made import raise_refusals, server_made
from kompass.domain.stamps import stamp
from kompass.sync.conflicts import store
from kompass.sync.conflicts.keeping import Keeping
from kompass.sync.index import FeedIndex
from kompass.sync.index.rules import MATRIX_PREFIX
from replication.store.sqlite import Ancestor, ChangedDocument, Extension, Reading, Writing

KEPT = timedelta(days=90)
"""How long a version can be changed by a device that hasn't heard of its successor, and still be merged."""

_HOUR = 3_600_000
"""Milliseconds."""


class _Marked(NamedTuple):
    hour: int


class Conflicts(Extension):
    """Belongs to the operational database, after the feed index."""

    def __init__(self, index: FeedIndex, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._index = index
        self._now = now
        self._hour: int | None = None
        """That of the latest change since the start, if it is durable."""
        index.taken = self._taken

    def make_tables(self, connection: apsw.Connection) -> None:
        store.make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        self._end_old_notices(writing)

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        self._mark(writing, min((one.seq for one in documents if one.seq), default=writing.update_seq))
        if any(one.id.startswith(MATRIX_PREFIX) for one in documents):
            self._regard_management(writing)
        gone = [one.id for one in documents if one.deleted or one.seq == 0]
        if not gone:
            return
        keeping = Keeping(writing, self._index)
        purged = {one.id for one in documents if one.seq == 0}
        for docid, conflicts in store.open_about(writing, gone).items():
            for conflict in conflicts:
                if conflict.was_gone and docid not in purged:
                    continue  # whether it comes back is the question
                keeping.settle(conflict, by="", at=self._now(), strategy="deleted", rev=None)
        keeping.write()

    def _regard_management(self, writing: Writing) -> None:
        keeping = Keeping(writing, self._index)
        for conflict in store.open_escalated(writing):
            keeping.regard_management(conflict)
        keeping.write()

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        self.played(update_seq, self.shared(notes))

    def shared(self, notes: Sequence[object]) -> str | None:
        hours = [note.hour for note in notes if isinstance(note, _Marked)]
        return str(hours[-1]) if hours else None

    def played(self, update_seq: int, shared: str | None) -> None:
        if shared is not None:
            self._hour = int(shared)

    def _taken(self, writing: Writing, users: Collection[str], docids: Collection[str]) -> None:
        """These people have lost channels, and these documents have left some."""
        keeping = Keeping(writing, self._index)
        for conflict_id, docid, reader in store.told_whole(writing, users, docids):
            conflict = store.find(writing, conflict_id)
            if conflict is not None and reader and docid not in self._index.sees(writing, reader, [docid]):
                keeping.withdraw(conflict, reader)
        keeping.write()

    def _end_old_notices(self, writing: Writing) -> None:
        """Notices of before conflicts were kept by themselves: nobody could settle them any more."""
        there = writing.connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'gate_conflicts'").get
        if there is None:
            return
        rows: Any = writing.connection.execute("SELECT notice FROM gate_conflicts").fetchall()
        for (notice,) in rows:
            write = server_made(writing, notice, b"{}", self._index.keyed_revision, deleted=True)
            if write is not None:
                raise_refusals(writing.write([write], replicated=True))
        writing.connection.execute("DROP TABLE gate_conflicts")

    # -- texts that compaction leaves ----------------------------------------------------------

    def _mark(self, writing: Writing, first: int) -> None:
        """Notes once an hour which numbers had been used by then. `first` is the lowest one used now."""
        hour = stamp(self._now()) // _HOUR
        if hour != self._hour:
            by = hour if self._hour is None else self._hour
            writing.connection.execute("INSERT OR REPLACE INTO conflict_clock VALUES (?, ?)", (by, first - 1))
            writing.tell(_Marked(hour))  # if this is undone, the next change notes it

    def keeps(self, reading: Reading, ancestors: Sequence[Ancestor]) -> AbstractSet[int]:
        horizon = self._horizon(reading)
        kept = {one.body for one in ancestors if one.body > horizon}
        nums = {one.doc for one in ancestors if one.body <= horizon}
        for num in nums:
            kept |= self._current_then(reading, num, horizon)
        kept |= self._open(reading, [one for one in ancestors if one.body not in kept])
        return kept

    def _horizon(self, reading: Reading) -> int:
        """What number the database had reached so long ago; 0 if nobody knows."""
        hour = stamp(self._now() - KEPT) // _HOUR
        found = reading.connection.execute("SELECT max(seq) FROM conflict_clock WHERE at < ?", (hour,)).get
        return int(found or 0)

    def _current_then(self, reading: Reading, num: int, horizon: int) -> set[int]:
        """The text that was current at that number, if the document has changed since."""
        place = reading.connection.execute("SELECT place FROM access_docs WHERE num = ?", (num,)).get
        if place is not None and place <= horizon:
            return set()
        found = reading.connection.execute(
            "SELECT max(body) FROM revs WHERE doc = ? AND body <= ?", (num, horizon)
        ).get
        return set() if found is None else {found}

    def _open(self, reading: Reading, ancestors: Iterable[Ancestor]) -> set[int]:
        """Both versions of open conflicts, and what they come from."""
        if not store.any_open(reading):
            return set()
        kept = set()
        for one in ancestors:
            found = reading.connection.execute(
                "SELECT 1 FROM access_docs d CROSS JOIN conflicts c ON c.doc = d.id AND c.state = 'open'"
                " WHERE d.num = ? AND ? IN (c.base, c.branch, c.server)",
                (one.doc, one.rev),
            ).get
            if found is not None:
                kept.add(one.body)
        return kept
