"""The queues in Redis, as RQ keeps them: what is handed to workers, and what they have made of it.

Everything raises `QueuesUnavailableError` when Redis can't be reached, or takes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job as RqJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from kompass.jobs.judging import DOCUMENTS, MAILS, QUEUES, WEBHOOKS
from kompass.jobs.store import Entry

T = TypeVar("T")

PREFIX = "kompass-"
WORK = "kompass.jobs.working.perform"
TIMEOUTS: Mapping[str, int] = {DOCUMENTS: 60, MAILS: 60, WEBHOOKS: 30}
"""Seconds after which RQ ends a job."""

KEPT_SECONDS = 7 * 86_400
"""How long Redis keeps what nobody collects."""

ALIVE_SECONDS = 10
"""A worker that hasn't said for so long that it lives is taken for dead."""

_ALIVE = "kompass:worker:"


class QueuesUnavailableError(Exception):
    """Redis can't be reached, or is full. The text is for people."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker has made of a job."""

    id: str
    value: Mapping[str, Any] | None
    """What the work gave back; None: it was ended."""
    reason: str = ""


def connect(url: str, *, blocking: bool = False) -> Redis:
    """`blocking`: for a worker, which waits as long as it takes."""
    return Redis.from_url(url, socket_connect_timeout=5, socket_timeout=None if blocking else 5)


class Queues:
    """All queues of one Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queues = {
            name: Queue(PREFIX + name, connection=redis, serializer=JSONSerializer) for name in QUEUES
        }

    @property
    def names(self) -> list[str]:
        """As RQ calls them, the most urgent first."""
        return [PREFIX + name for name in QUEUES]

    def put(self, entry: Entry) -> None:
        """Hands a job out; nothing happens if it is there already."""
        work = {
            "id": entry.id, "trigger": entry.trigger, "action": entry.action, "doc": entry.doc,
            "rev": entry.rev, "args": dict(entry.args), "attempt": entry.attempts + 1, "made": entry.made,
        }  # fmt: skip
        with _telling():
            try:
                self._queues[entry.queue].enqueue_call(
                    WORK,
                    args=(work,),
                    timeout=TIMEOUTS[entry.queue],
                    result_ttl=KEPT_SECONDS,
                    failure_ttl=KEPT_SECONDS,
                    description=entry.trigger,
                    job_id=entry.id,
                    unique=True,
                )
            except DuplicateJobError:
                return

    def results(self) -> list[Result]:
        """Of all jobs that workers are done with; they stay until they are taken away by `forget`."""
        found = []
        with _telling():
            for queue in self._queues.values():
                for registry in (queue.finished_job_registry, queue.failed_job_registry):
                    ids = registry.get_job_ids(cleanup=False)
                    found += [self._result(jobid, registry.remove) for jobid in ids]
        return [one for one in found if one is not None]

    def _result(self, jobid: str, remove: Callable[[str], Any]) -> Result | None:
        job = self._job(jobid)
        if job is None:
            remove(jobid)  # its text is gone: the list of what waits tells that it is lost
            return None
        latest = job.latest_result()
        if job.get_status(refresh=False) == JobStatus.FINISHED and latest is not None:
            value = latest.return_value
            return Result(jobid, value if isinstance(value, dict) else {})
        told = (latest.exc_string or "") if latest is not None else ""
        return Result(jobid, None, _why(told))

    def forget(self, jobids: Iterable[str]) -> None:
        """Takes them out of Redis."""
        with _telling():
            for each in jobids:
                job = self._job(each)
                if job is not None:
                    job.delete()

    def lost(self, entries: Sequence[Entry]) -> tuple[list[str], list[str]]:
        """Of what was handed out: ids of jobs that Redis knows nothing of or has in no queue, and ids of
        those whose worker has died at it.
        """
        missing, orphaned = [], []
        with _telling():
            waiting = {each for queue in self._queues.values() for each in queue.get_job_ids()}
            for entry in entries:
                if entry.id in waiting:
                    continue
                job = self._job(entry.id)
                if job is None or job.get_status(refresh=False) != JobStatus.STARTED:
                    missing.append(entry.id)  # or done since the results were read: it isn't the next time
                elif not self._lives(job.worker_name):
                    orphaned.append(entry.id)
        return missing, orphaned

    def say_alive(self, worker: str) -> None:
        with _telling():
            self._redis.set(_ALIVE + worker, 1, ex=ALIVE_SECONDS)

    def _lives(self, worker: str | None) -> bool:
        return worker is not None and bool(self._redis.exists(_ALIVE + worker))

    def _job(self, jobid: str) -> RqJob | None:
        try:
            return RqJob.fetch(jobid, connection=self._redis, serializer=JSONSerializer)
        except NoSuchJobError:
            return None


def _why(told: str) -> str:
    """Why RQ ended a job, without the text of the error, which may quote a document."""
    if "JobTimeoutException" in told:
        return "it took too long"
    if "AbandonedJobError" in told:
        return "its worker has died"
    return "it could not be begun"


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise QueuesUnavailableError(f"Redis: {str(error) or type(error).__name__}") from error
