"""What people see of the jobs, and do with them: over REST and on the command line. Nothing here needs
Redis.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kompass.jobs.receivers import Webhook, webhooks
from kompass.jobs.store import Entry, JobStore
from kompass.kept import JOBS
from kompass.shared_files import SharedFiles
from kompass.sqlfile import Late

NOTE = "dispatcher"
"""Under which name the file tells of what hands out the jobs."""
STALE_SECONDS = 15.0
"""A report that is older says nothing of now."""
LATE_SECONDS = 60.0
"""A job that is due for so long is late."""

_NEEDS = ("croniter", "redis", "rq")


class JobsDesk:
    """Of one data directory, or of a cluster. Opens the file when there is one. Blocking, short."""

    def __init__(self, directory: Path, *, expected: bool = True, shared: SharedFiles | None = None) -> None:
        """`expected`: whether jobs are to be done at all. `shared`: those of the cluster."""
        self._expected = expected
        self._late = Late(directory / JOBS, partial(JobStore, directory, shared=shared), shared)

    @property
    def store(self) -> JobStore | None:
        """None as long as there were no jobs. Raises `JobStoreError`."""
        return self._late.there()

    def opened(self) -> JobStore:
        """Makes the file where it isn't there. Raises `JobStoreError`."""
        return self._late.opened()

    def close(self) -> None:
        self._late.close()

    def status(self) -> dict[str, Any]:
        """`state` of what hands out the jobs, `queues` with how many jobs are in which state, `late_seconds`
        of the one that is due for longest, and `webhooks` whose receivers fail.
        """
        store = self.store
        if store is None:
            return {"state": "not begun", "why": "", "queues": {}, "late_seconds": 0.0, "webhooks": {}}
        now = time.time()
        state, why = self._state(store, now)
        return {
            "state": state,
            "why": why,
            "queues": store.counts(),
            "late_seconds": _late(store, now),
            "webhooks": {one.name: one.failures for one in webhooks(store) if one.failures},
        }

    def notes(self) -> list[str]:
        """What is wrong and keeps nobody from working."""
        if not self._expected:
            return []
        store, now = self.store, time.time()
        if store is None:
            return []
        if self._state(store, now)[0] != "following" or _late(store, now) > LATE_SECONDS:
            return ["Jobs (reminders, mails, webhooks) are not done in time: kompass jobs status tells why."]
        return []

    def _state(self, store: JobStore, now: float) -> tuple[str, str]:
        """Of what hands out the jobs, and why."""
        noted = store.noted(NOTE)
        if noted is None or abs(now - noted[0]) > STALE_SECONDS:
            return "not running", ""
        return str(noted[1].get("state")), str(noted[1].get("why") or "")


def _late(store: JobStore, now: float) -> float:
    """Seconds for which the oldest job is due."""
    oldest = store.oldest_due(now)
    return 0.0 if oldest is None else round(max(0.0, now - oldest), 1)


def missing() -> str | None:
    """Why jobs can't be done here; None if they can."""
    absent = [name for name in _NEEDS if find_spec(name) is None]
    return f"{', '.join(absent)} not installed: pip install 'kompass[jobs]'" if absent else None


def shown(entry: Entry) -> dict[str, Any]:
    """For REST."""
    return {**asdict(entry), "args": dict(entry.args), "state": entry.state.value}


def shown_webhook(one: Webhook) -> dict[str, Any]:
    """For REST, without the secret."""
    return {name: value for name, value in asdict(one).items() if name != "secret"}
