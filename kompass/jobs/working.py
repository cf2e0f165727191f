"""A worker: takes jobs from RQ's queues and does them, in this process.

RQ's own worker forks for every job, which costs more than a call of a webhook does and shares nothing of
what was loaded; here a job is done in the worker itself (`SimpleWorker`). What a fork protects from is seen
to otherwise: a job that takes too long is interrupted by a signal, and if it doesn't listen the process
ends itself; a process that dies is started again, and what it had begun is handed out again
(`dispatching`).

Jobs come as JSON and are done by one function, whichever they name: whoever can write into Redis can't have
other code run by it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseTimeoutException
from rq.utils import now

from kompass.feed.walker import outline
from kompass.jobs.acting import Means, Work, act
from kompass.jobs.outcomes import LaterError, NeverError
from kompass.jobs.queues import (
    TIMEOUTS,
    WORK,
    Queues,
    QueuesUnavailableError,
    connect,
)
from kompass.jobs.service import ServerUnavailableError
from replication.replicator.backoff import pause

GRACE = 30.0
"""Seconds beyond a job's time after which a process that doesn't listen ends itself."""
ALIVE_EVERY = 2.0
HEARTBEAT_SECONDS = 10.0
"""How often RQ is told that a worker lives, which it believes for two minutes."""

log = structlog.get_logger(__name__)

_means: Means | None = None
_began: float | None = None
"""When the job began that is being done."""


def perform(works: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Does the jobs of a bundle: what RQ calls. Gives what came of each by its id, see `acting.act`; raises
    only what ends them early, or if these are no jobs.
    """
    global _began
    assert _means is not None, "`work` first"
    _began = time.monotonic()
    known = {one.name for one in fields(Work)}
    todo = [Work(**{name: value for name, value in work.items() if name in known}) for work in works]
    try:
        return act(todo, _means)
    except BaseTimeoutException:
        raise
    except ServerUnavailableError as error:
        result = {"outcome": "wait", "reason": str(error)}
    except LaterError as error:
        result = {"outcome": "again", "reason": str(error)}
    except NeverError as error:
        result = {"outcome": "never", "reason": str(error)}
    except Exception as error:
        # Without the error's own text, which may quote the document.
        why = f"a defect: {outline(error)}"
        log.error("a job has failed", job=todo[0].id, trigger=todo[0].trigger, why=why)
        result = {"outcome": "again", "reason": why}
    finally:
        _began = None
    return {one.id: result for one in todo}


class OurJob(Job):
    """RQ imports and calls whatever a job in Redis names; this one calls nothing but `perform`."""

    @property
    def func(self) -> Callable[..., Any]:
        if self.func_name != WORK or self.instance is not None:
            raise ValueError("there is no such work here")
        return perform

    success_callback = failure_callback = stopped_callback = None


class Worker(SimpleWorker):
    job_class = OurJob
    max_connection_wait_time = 2.0
    """Seconds between attempts to reach Redis."""

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ does it three times for a job, with three requests each."""
        before = self.last_heartbeat
        if pipeline is not None or before is None or (now() - before).total_seconds() > HEARTBEAT_SECONDS:
            super().heartbeat(timeout, pipeline)


def work(url: str, name: str, means: Means, *, burst: bool = False) -> bool:
    """Works until it is told to stop by a signal; True then. In the main thread.

    `name` is nobody else's, and never used again. With `burst` it ends when there is nothing to do.
    """
    global _means
    _means = means
    redis: Redis = connect(url, blocking=True)
    _wait_for(redis)
    stopped = threading.Event()
    living = threading.Thread(target=_live, args=(url, name, stopped), name="alive", daemon=True)
    living.start()
    queues = Queues(redis)
    worker = Worker(
        queues.names,
        name=name,
        connection=redis,
        serializer=JSONSerializer,
        log_job_description=False,
        worker_ttl=60,
    )
    try:
        worker.work(burst=burst, logging_level="WARNING")
        return burst or worker._stop_requested
    finally:
        stopped.set()
        living.join(10)
        redis.close()


def _wait_for(redis: Redis) -> None:
    """Returns when Redis answers."""
    failures = 0
    while True:
        try:
            redis.ping()
            return
        except (RedisError, OSError) as error:
            if failures == 0:
                log.warning("a worker waits for Redis", why=str(error) or type(error).__name__)
        time.sleep(pause(failures, first=0.1, longest=5.0))
        failures += 1


def _live(url: str, name: str, stopped: threading.Event) -> None:
    """Says that this worker lives, and sees that it doesn't hang."""
    queues = Queues(connect(url))
    longest = max(TIMEOUTS.values()) + GRACE
    while True:
        with suppress(QueuesUnavailableError):  # then nobody can hear it
            queues.say_alive(name)
        began = _began
        if began is not None and time.monotonic() - began > longest:
            log.error("a job doesn't end: the worker ends itself", worker=name)
            os._exit(70)
        if stopped.wait(ALIVE_EVERY):
            return
