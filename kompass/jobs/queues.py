"""The queues in Redis, as RQ keeps them: what is handed to workers, and what they have made of it.

Jobs that a worker does in one go are a *bundle*, which is one job for RQ, under the id of its first one.

Everything raises `QueuesUnavailableError` when Redis can't be reached, or takes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DeserializationError, DuplicateJobError
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
        self._bundle_of: dict[str, str] = {}
        """Job -> the bundle that it is in, if it isn't the first one of it."""

    @property
    def names(self) -> list[str]:
        """As RQ calls them, the most urgent first."""
        return [PREFIX + name for name in QUEUES]

    def put(self, entries: Sequence[Entry]) -> None:
        """Hands jobs of one queue out, as one bundle; nothing happens if it is there already."""
        works = [
            {
                "id": one.id, "trigger": one.trigger, "action": one.action, "doc": one.doc, "rev": one.rev,
                "args": dict(one.args), "attempt": one.attempts + 1, "made": one.made,
            }
            for one in entries
        ]  # fmt: skip
        first = entries[0]
        with _telling():
            try:
                self._queues[first.queue].enqueue_call(
                    WORK,
                    args=(works,),
                    timeout=TIMEOUTS[first.queue],
                    result_ttl=KEPT_SECONDS,
                    failure_ttl=KEPT_SECONDS,
                    description=first.trigger,
                    job_id=first.id,
                    unique=True,
                )
            except DuplicateJobError:
                return
        self._bundle_of |= {one.id: first.id for one in entries[1:]}

    def known(self) -> set[str]:
        """Ids of all jobs that Redis has, in whatever state."""
        found: set[str] = set()
        with _telling():
            for queue in self._queues.values():
                ids = queue.get_job_ids()
                for registry in (
                    queue.started_job_registry,
                    queue.finished_job_registry,
                    queue.failed_job_registry,
                ):
                    ids += registry.get_job_ids(cleanup=False)
                for bundle in self._bundles(ids):
                    jobs = _jobs_of(bundle)
                    self._bundle_of |= {each: bundle.id for each in jobs if each != bundle.id}
                    found.update(jobs)
        return found

    def results(self) -> list[Result]:
        """Of all jobs that workers are done with; they stay until they are taken away by `forget`."""
        found: list[Result] = []
        with _telling():
            for queue in self._queues.values():
                for registry in (queue.finished_job_registry, queue.failed_job_registry):
                    ids = registry.get_job_ids(cleanup=False)
                    bundles = {bundle.id: bundle for bundle in self._bundles(ids)}
                    for each in ids:
                        if each in bundles:
                            found += _results_of(bundles[each])
                        else:
                            registry.remove(each)  # its text is gone: what waits is found to be lost
        return found

    def forget(self, jobids: Iterable[str]) -> None:
        """Takes them out of Redis, with the bundles that they are in."""
        with _telling():
            for bundle in self._bundles({self._bundle_of.pop(each, each): None for each in jobids}):
                bundle.delete()

    def lost(self, entries: Sequence[Entry]) -> tuple[list[str], list[str]]:
        """Of what was handed out: ids of jobs that Redis knows nothing of or has in no queue, and ids of
        those whose worker has died at it.
        """
        missing, orphaned = [], []
        with _telling():
            waiting = {each for queue in self._queues.values() for each in queue.get_job_ids()}
            handed = [(one.id, self._bundle_of.get(one.id, one.id)) for one in entries]
            taken = {bundle: None for _, bundle in handed if bundle not in waiting}
            begun = {
                bundle.id: bundle.worker_name
                for bundle in self._bundles(taken)
                if bundle.get_status(refresh=False) == JobStatus.STARTED
            }
            dead = {bundle for bundle, worker in begun.items() if not self._lives(worker)}
            for jobid, bundle in handed:
                if bundle in dead:
                    orphaned.append(jobid)
                elif bundle in taken and bundle not in begun:
                    missing.append(jobid)  # or done since the results were read: it isn't the next time
        return missing, orphaned

    def say_alive(self, worker: str) -> None:
        with _telling():
            self._redis.set(_ALIVE + worker, 1, ex=ALIVE_SECONDS)

    def _lives(self, worker: str | None) -> bool:
        return worker is not None and bool(self._redis.exists(_ALIVE + worker))

    def _bundles(self, ids: Iterable[str]) -> list[RqJob]:
        """Those that are there."""
        found = RqJob.fetch_many(ids, connection=self._redis, serializer=JSONSerializer)
        return [one for one in found if one is not None]


def _jobs_of(bundle: RqJob) -> list[str]:
    """Ids of the jobs in a bundle: whoever can write into Redis may have made anything of it."""
    try:
        (works,) = bundle.args
        found = [str(work["id"]) for work in works]
    except (DeserializationError, KeyError, TypeError, ValueError):
        found = []
    return found if bundle.id in found else [bundle.id]


def _results_of(bundle: RqJob) -> list[Result]:
    jobs = _jobs_of(bundle)
    latest = bundle.latest_result()
    if bundle.get_status(refresh=False) == JobStatus.FINISHED and latest is not None:
        values = latest.return_value if isinstance(latest.return_value, dict) else {}
        found = {each: values.get(each) for each in jobs}
        return [Result(each, value if isinstance(value, dict) else {}) for each, value in found.items()]
    told = (latest.exc_string or "") if latest is not None else ""
    return [Result(each, None, _why(told)) for each in jobs]


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
