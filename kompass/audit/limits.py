"""How many refusals of one person the chain has entries for.

Whoever is refused may ask again at once, and again: his refusals must not fill the disk. So within an hour
the first ones are entered, and their texts kept as long as they aren't too many; the rest is counted, and the
count is an entry of its own once the hour is over. What a device pushes isn't counted here: the quarantine
that keeps its text has limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from kompass.audit.actors import Door, actor
from kompass.audit.recording import Recorder, Refused
from kompass.domain.stamps import moment, stamp
from replication.store.sqlite import Writing

HOUR = timedelta(hours=1)
MOST_ENTERED = 1000
"""Refusals of one person in an hour that have entries of their own."""
MOST_KEPT = 4_000_000
"""Bytes of their texts; of further ones there are the commitments."""


class Limits:
    """The counts of one transaction."""

    def __init__(self, writing: Writing, recorder: Recorder, now: datetime) -> None:
        self._execute = writing.connection.execute
        self._recorder = recorder
        self._now = stamp(now)

    def enter(self, refusals: Iterable[Refused]) -> None:
        """Enters what is refused to whoever is at work, as far as it fits."""
        who = actor()
        if who.door is Door.REPLICATION:
            for one in refusals:
                self._recorder.refused(one)
            return
        since, entered, kept, more = self._counts(who.name)
        for one in refusals:
            if entered >= MOST_ENTERED:
                more += 1
                continue
            entered += 1
            if one.keeps_text:
                kept += len(one.body)
                one = one._replace(keeps_text=kept <= MOST_KEPT)
            self._recorder.refused(one)
        self._execute(
            "INSERT OR REPLACE INTO audit_refusals VALUES (?, ?, ?, ?, ?)",
            (who.name, since, entered, kept, more),
        )

    def close(self) -> None:
        """Enters the counts of hours that are over."""
        rows = self._execute("SELECT user, since, more FROM audit_refusals").fetchall()
        for user, since, more in rows:
            if self._is_over(int(str(since))):
                self._count(str(user), int(str(since)), int(str(more)))
                self._execute("DELETE FROM audit_refusals WHERE user = ?", (user,))

    def _counts(self, user: str) -> tuple[int, int, int, int]:
        row = self._execute(
            "SELECT since, entered, bytes, more FROM audit_refusals WHERE user = ?", (user,)
        ).fetchone()
        if row is None:
            return self._now, 0, 0, 0
        since, entered, kept, more = (int(str(value)) for value in row)
        if self._is_over(since):
            self._count(user, since, more)
            return self._now, 0, 0, 0
        return since, entered, kept, more

    def _is_over(self, since: int) -> bool:
        """Also if the clock was set back."""
        return abs(self._now - since) >= HOUR / timedelta(milliseconds=1)

    def _count(self, user: str, since: int, more: int) -> None:
        if more:
            first = moment(since)
            self._recorder.counted(user, more, first, first + HOUR)
