"""Replications that a server runs: who asked for them, how they are, and again when they fail.

A job's states are CouchDB's:

    initializing -> pending -> running -> completed          (once)
                                  |  ^
                                  v  |   after a pause       (continuous, and once from a document)
                               crashing
    initializing -> error -> initializing …     what it needs to begin can't be had at the moment
    any -> failed                               no waiting will help

A job outlives no restart by itself; those of `_replicator` documents are begun again from the documents.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from replication.replicator.backoff import pause
from replication.replicator.failures import (
    HostForbidden,
    InvalidReplication,
    PeerRefused,
    ReplicationError,
)
from replication.replicator.hosts import AllowedHosts
from replication.replicator.http_peer import HttpPeer
from replication.replicator.local_peer import LocalPeer, Rules
from replication.replicator.options import Description, Endpoint
from replication.replicator.peer import Peer
from replication.replicator.run import Progress, Replication, Result
from replication.store.interface import Store

log = logging.getLogger("replication.replicator")

NODE = "local"

INITIALIZING, PENDING, RUNNING, CRASHING = "initializing", "pending", "running", "crashing"
ERROR, FAILED, COMPLETED = "error", "failed", "completed"
STATES = (INITIALIZING, ERROR, RUNNING, PENDING, CRASHING, COMPLETED, FAILED)

MAX_RUNNING = 500
"""Jobs that run at the same time; more wait."""

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 600.0
_MAX_EVENTS = 20

Ended = Callable[["Job"], Awaitable[None]]


def timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass(eq=False)
class Job:
    """One replication of the server. Changes while it runs."""

    description: Description
    user: str | None = None
    database: str | None = None
    """With `doc_id`: the document that describes it."""
    doc_id: str | None = None
    id: str | None = None
    """Known when the filter's code has been read; `+continuous` at its end if it is."""
    state: str = INITIALIZING
    error: str = ""
    error_count: int = 0
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    events: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=_MAX_EVENTS))
    """Newest first."""
    progress: Progress | None = None
    task: asyncio.Task[Result] | None = None

    @property
    def is_listed(self) -> bool:
        """Whether `_scheduler/jobs` shows it."""
        return self.id is not None and self.state in (PENDING, RUNNING, CRASHING)

    def enter(self, state: str, event: str | None = None, reason: str = "") -> None:
        self.state = state
        self.updated = time.time()
        if event is not None:
            entry = {"timestamp": timestamp(self.updated), "type": event}
            self.events.appendleft({**entry, "reason": reason} if reason else entry)

    def info(self) -> dict[str, Any] | None:
        """How far it is, as CouchDB's `info`; the error while there is one."""
        if self.error:
            return {"error": self.error}
        return None if self.progress is None else _info(self.progress)

    def as_job(self) -> dict[str, Any]:
        """Its row in `_scheduler/jobs`."""
        return {
            "database": self.database,
            "id": self.id,
            "pid": None,
            "source": self.description.source.url,
            "target": self.description.target.url,
            "user": self.user,
            "doc_id": self.doc_id,
            "info": None if self.error else self.info(),
            "history": list(self.events),
            "node": NODE,
            "start_time": timestamp(self.created),
        }

    def as_document(self) -> dict[str, Any]:
        """Its row in `_scheduler/docs`."""
        return {
            "database": self.database,
            "doc_id": self.doc_id,
            "id": self.id if self.is_listed else None,
            "node": NODE,
            "source": self.description.source.url,
            "target": self.description.target.url,
            "state": self.state,
            "info": self.info(),
            "error_count": self.error_count,
            "last_updated": timestamp(self.updated),
            "start_time": timestamp(self.created),
            "source_proxy": _shown_proxy(self.description.source),
            "target_proxy": _shown_proxy(self.description.target),
        }

    def as_task(self) -> dict[str, Any]:
        """Its row in `_active_tasks`."""
        options = self.description.options
        return {
            "node": NODE,
            "pid": None,
            "type": "replication",
            "replication_id": self.id,
            "database": self.database,
            "doc_id": self.doc_id,
            "user": self.user,
            "source": self.description.source.url,
            "target": self.description.target.url,
            "continuous": options.continuous,
            "checkpoint_interval": round(options.checkpoint_interval * 1000),
            "started_on": int(self.created),
            "updated_on": int(self.updated),
            **_info(self.progress or Progress()),
        }


def _shown_proxy(end: Endpoint) -> str | None:
    return None if end.proxy is None else end.proxy.url


def _info(progress: Progress) -> dict[str, Any]:
    statistics = progress.statistics
    return {
        "revisions_checked": statistics.missing_checked,
        "missing_revisions_found": statistics.missing_found,
        "docs_read": statistics.docs_read,
        "docs_written": statistics.docs_written,
        "changes_pending": progress.pending,
        "doc_write_failures": statistics.doc_write_failures,
        "bulk_get_docs": statistics.bulk_get_docs,
        "bulk_get_attempts": statistics.bulk_get_attempts,
        "checkpointed_source_seq": progress.checkpointed_seq,
        "source_seq": progress.source_seq,
        "through_seq": progress.through_seq,
    }


class Jobs:
    """All replications of a server."""

    def __init__(
        self,
        store: Store,
        *,
        allowed: AllowedHosts,
        rules: Rules | None = None,
        security: bytes = b"{}",
        max_running: int = MAX_RUNNING,
    ) -> None:
        """`rules` are those of this server's databases; `security` is for those that a job makes."""
        self._store = store
        self._allowed = allowed
        self._rules = rules
        self._security = security
        self._jobs: list[Job] = []
        self._room = asyncio.Semaphore(max_running)

    # -- looking ---------------------------------------------------------------------------------

    def listed(self) -> list[Job]:
        """The jobs that `_scheduler/jobs` shows, by id."""
        return sorted((job for job in self._jobs if job.is_listed), key=lambda job: job.id or "")

    def running(self) -> list[Job]:
        return [job for job in self._jobs if job.state == RUNNING]

    def find(self, job_id: str) -> Job | None:
        return next((job for job in self._jobs if job.id == job_id and job.is_listed), None)

    # -- what `_replicate` does ------------------------------------------------------------------

    async def once(self, description: Description, user: str | None) -> Result:
        """Replicates and returns the outcome. Raises `ReplicationError`."""
        job = self._added(Job(description, user))
        job.task = asyncio.create_task(self._run_once(job))
        job.task.add_done_callback(_log_defect)
        # Whoever asked may leave; the replication goes on.
        try:
            return await asyncio.shield(job.task)
        except asyncio.CancelledError:
            if not job.task.cancelled():
                raise
            raise Cancelled("the replication was cancelled") from None

    async def continuously(self, description: Description, user: str | None) -> Job:
        """The job of a continuous replication, begun if it doesn't run yet. Raises `ReplicationError`."""
        job_id = await self.find_id(description)
        found = self.find(job_id)
        if found is not None:
            return found
        job = self._added(Job(description, user, id=job_id))
        self.start(job)
        return job

    async def find_id(self, description: Description) -> str:
        """The id that a job of `description` has. Raises `ReplicationError`."""
        source, target = (
            self._peer(description, description.source),
            self._peer(description, description.target),
        )
        try:
            found = await Replication(source, target, description.options).find_id()
        finally:
            await source.close()
            await target.close()
        return found + ("+continuous" if description.options.continuous else "")

    # -- jobs that go on -------------------------------------------------------------------------

    def start(self, job: Job, ended: Ended | None = None) -> None:
        if job not in self._jobs:
            self._added(job)
        job.task = asyncio.create_task(self._keep_going(job, ended))
        job.task.add_done_callback(_log_defect)

    async def cancel(self, job: Job) -> None:
        """Stops a job; what it did is checkpointed."""
        if job in self._jobs:
            self._jobs.remove(job)
        if job.task is not None:
            job.task.cancel()
            await asyncio.wait({job.task})

    async def close(self) -> None:
        """Stops all jobs."""
        jobs, self._jobs = self._jobs, []
        tasks = {job.task for job in jobs if job.task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- running ---------------------------------------------------------------------------------

    def _added(self, job: Job) -> Job:
        job.enter(PENDING if job.id else INITIALIZING, "added")
        self._jobs.append(job)
        return job

    async def _run_once(self, job: Job) -> Result:
        try:
            result = await self._attempt(job)
            job.enter(COMPLETED)
            return result
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    async def _keep_going(self, job: Job, ended: Ended | None) -> Result:
        while True:
            try:
                result = await self._attempt(job)
            except Exception as caught:
                error = caught if isinstance(caught, ReplicationError) else _defect(caught)
                if job.progress is not None and job.progress.statistics.docs_written:
                    job.error_count = 0
                job.error_count += 1
                job.error = f"{error.kind}: {error}"
                if isinstance(error, HostForbidden | AlreadyRunning):
                    job.enter(FAILED, "crashed", job.error)
                    await self._over(job, ended)
                    raise
                begun = job.state == RUNNING
                job.enter(CRASHING if begun or job.id else ERROR, "crashed", job.error)
                log.info("replication %s: %s", job.doc_id or job.id, job.error)
                await asyncio.sleep(pause(job.error_count - 1, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE))
                continue
            job.enter(COMPLETED)
            await self._over(job, ended)
            return result

    async def _over(self, job: Job, ended: Ended | None) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
        if ended is not None:
            await ended(job)

    async def _attempt(self, job: Job) -> Result:
        description = job.description
        if job.id:
            job.enter(PENDING)
        async with self._room:
            source = self._peer(description, description.source)
            target = self._peer(description, description.target)
            try:
                replication = Replication(source, target, description.options, notify=self._noting(job))
                if not job.id:
                    suffix = "+continuous" if description.options.continuous else ""
                    job.id = await replication.find_id() + suffix
                self._check_unique(job)
                job.progress = replication.progress
                job.error = ""
                job.enter(RUNNING, "started")
                return await replication.run()
            finally:
                await source.close()
                await target.close()

    def _noting(self, job: Job) -> Callable[[Progress], None]:
        def note(progress: Progress) -> None:
            job.updated = time.time()

        return note

    def _check_unique(self, job: Job) -> None:
        """Two documents that say the same would do everything twice."""
        for other in self._jobs:
            same = other is not job and other.id == job.id and other.is_listed
            if same and other.doc_id and job.doc_id:
                raise AlreadyRunning(
                    f"Replication `{job.id}` specified by document `{job.doc_id}` in database"
                    f" `{job.database}` was already started, triggered by document `{other.doc_id}`"
                )

    def _peer(self, description: Description, end: Endpoint) -> Peer:
        if end.is_local:
            return LocalPeer(self._store, end.url, rules=self._rules, security=self._security)
        options = description.options
        return HttpPeer(end, allowed=self._allowed, retries=options.retries, timeout=options.timeout)


class Cancelled(ReplicationError):
    """Somebody ended the replication while its caller waited."""

    kind = "replication_cancelled"


class AlreadyRunning(InvalidReplication):
    """Another document describes the same replication."""


def answer_status(error: ReplicationError) -> int:
    """The HTTP status for a replication that failed while its caller waited."""
    if isinstance(error, InvalidReplication):
        return 400
    if isinstance(error, HostForbidden):
        return 403
    if isinstance(error, PeerRefused) and error.status in (401, 403):
        return error.status
    return 500


def _defect(error: Exception) -> ReplicationError:
    log.error("a replication failed", exc_info=error)
    return ReplicationError(f"the replicator failed: {type(error).__name__}; the server's log tells more")


def _log_defect(task: asyncio.Task[Result]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, ReplicationError):
        log.error("a replication failed", exc_info=error)
