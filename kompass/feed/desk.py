"""What people see of the feed, and do with it: over REST, on the command line, in figures."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any

from kompass.feed.leader import is_led
from kompass.feed.ledger import FILE, DeadLetter, Ledger, State, Status
from kompass.feed.registry import present
from kompass.settings import Settings

STALE_SECONDS = 30.0
"""A report that is older says nothing of now."""


class FeedDesk:
    """Of one data directory. Opens the file when there is one, and makes none. Blocking, short."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = settings.directory
        self._ledger: Ledger | None = None
        self._opening = threading.Lock()

    @property
    def ledger(self) -> Ledger | None:
        """None as long as no consumer has run on a directory. Raises `LedgerError`."""
        in_common = self._settings.journal_dsn is not None
        # Two who ask at the same time, in threads of their own, must not both fetch a copy.
        with self._opening:
            if self._ledger is None and (in_common or (self._directory / FILE).exists()):
                self._ledger = Ledger.of(self._settings)
            return self._ledger

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def running(self) -> bool:
        """Whether a consumer leads now. Of one on another machine its reports tell."""
        if self._settings.journal_dsn is None:
            return is_led(self._directory)
        now = time.time()
        return any(now - status.at < STALE_SECONDS for status, _ in self.statuses())

    def status(self) -> dict[str, Any]:
        """For REST and `kompass feed status`. `absent`: why sinks are not there, by name."""
        now = time.time()
        return {
            "running": self.running(),
            "sinks": [_shown(status, dead, now) for status, dead in self.statuses()],
            "absent": present(self._settings)[1],
        }

    def statuses(self) -> list[tuple[Status, int]]:
        """Of each sink, with how many documents it could not store."""
        ledger = self.ledger
        if ledger is None:
            return []
        counts = ledger.counts()
        return [(one, counts.get(one.sink, 0)) for one in ledger.statuses().values()]

    def notes(self) -> list[str]:
        """What is wrong and keeps nobody from working."""
        now = time.time()
        return [
            f"The copy of the documents for {status.sink} is not up to date: kompass feed status tells why."
            for status, _ in self.statuses()
            if status.state in (State.UNAVAILABLE, State.STOPPED) or now - status.at > STALE_SECONDS
        ]


def _shown(status: Status, dead: int, now: float) -> dict[str, Any]:
    value = asdict(status)
    stale = status.state is not State.STOPPED and now - status.at > STALE_SECONDS
    return {
        **value,
        "state": "not heard of" if stale else status.state.value,
        "lag": status.lag,
        "lag_seconds": round(status.lag_seconds(now), 1),
        "dead": dead,
    }


def shown_letter(letter: DeadLetter) -> dict[str, Any]:
    """For REST."""
    return asdict(letter)
