"""A pool of processes that run JavaScript, for as many jobs at a time as it has processes.

A process is started when it is first needed and serves one job after the other. One that dies, hangs or
says that it has grown too large is replaced. Jobs wait in threads, so the event loop never does.

A job ends after about a second, with results for the first of its items, unless a single call takes longer.
Databases take turns, and one process is always left for the others: whose functions hang makes only
himself wait.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import threading
import weakref
from asyncio import wrap_future
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from replication.javascript.turns import Turns
from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

WORKERS = max(2, min(4, os.cpu_count() or 1))
"""Processes for the functions of one database. There is one more, for the others."""
CALL_SECONDS = 5.0
"""Processor time of one call of a function, as CouchDB's `os_process_timeout`."""
JOB_SECONDS = 60.0
"""Time after which a process that has not answered is killed."""

log = logging.getLogger("replication.javascript")

_LENGTH = struct.Struct(">I")
_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class Job:
    """Calls of one function with one item after the other."""

    owner: str
    """Whose function it is: the name of the database."""
    kind: str
    """One of `KINDS` in environment.js."""
    source: str
    items: Sequence[bytes] = ()
    """JSON."""
    shared: str = "null"
    """JSON of what is the same for all items."""
    modules: str = ""
    """JSON object whose strings the function may `require`, and its `this`."""


class Thrown(NamedTuple):
    """What a function threw instead of returning."""

    error: str
    """`forbidden`, `unauthorized`, the name of an exception, or `unknown_error`."""
    reason: str


class JavaScriptError(Exception):
    """A job that could not be done. `limit`: it took too long or too much; otherwise it isn't a function."""

    def __init__(self, reason: str, *, limit: bool) -> None:
        super().__init__(reason)
        self.limit = limit


class Engine:
    """The pool. Not tied to an event loop; processes are ended with `close` or with the object."""

    def __init__(
        self, workers: int = WORKERS, *, call_seconds: float = CALL_SECONDS, job_seconds: float = JOB_SECONDS
    ) -> None:
        self._call_seconds = call_seconds
        self._job_seconds = job_seconds
        self._threads = ThreadPoolExecutor(workers + 1, thread_name_prefix="javascript")
        self._turns: Turns[tuple[Job, Future[list[Any]]]] = Turns(workers)
        self._workers: set[_Worker] = set()
        self._idle: deque[_Worker] = deque()
        self._closed = threading.Event()
        self._parts = (self._threads, self._turns, self._workers, self._closed)
        # The collector does it in any thread, in the midst of anything: it may hold what threads need to end.
        self._end = weakref.finalize(self, _end_all, *self._parts, wait=False)

    async def run(self, job: Job) -> list[Any]:
        """For each item what the function returned, any JSON, or `Thrown`.

        When they take long or are a lot, only for the first ones; at least for one.
        Raises `JavaScriptError`.
        """
        if self._closed.is_set():
            raise RuntimeError("The JavaScript engine is closed.")
        future: Future[list[Any]] = Future()
        self._turns.put(job.owner, (job, future))
        self._threads.submit(self._serve)
        return await wrap_future(future)

    def close(self) -> None:
        """Ends the processes. Jobs are given up."""
        if self._end.detach() is not None:
            _end_all(*self._parts, wait=True)

    def _serve(self) -> None:
        """Runs what may begin now. A job that may not is taken by the thread that ends another one."""
        while (taken := self._turns.take()) is not None:
            owner, (job, future) = taken
            try:
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    results = self._run(job)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(results)
            finally:
                self._turns.done(owner)

    def _run(self, job: Job) -> list[Any]:
        head = {
            "kind": job.kind,
            "source": job.source,
            "modules": job.modules,
            "shared": job.shared,
            "seconds": self._call_seconds,
            "sizes": [len(item) for item in job.items],
        }
        frames = (json.dumps(head).encode("ascii"), b"".join(job.items))
        request = b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames)
        worker = self._worker()
        answer = worker.answer(request, self._job_seconds)
        if answer is None:
            self._workers.discard(worker)
            raise JavaScriptError("The function took too long or too much memory and was ended.", limit=True)
        last, text = answer
        if last or self._closed.is_set():
            self._workers.discard(worker)
            worker.end()
        else:
            self._idle.append(worker)
        results = _results(text)
        if len(results) > len(job.items) or (job.items and not results):
            raise _nonsense()
        return results

    def _worker(self) -> _Worker:
        """A process that nobody uses, and that is still there."""
        while True:
            try:
                worker = self._idle.pop()
            except IndexError:
                break
            if worker.is_alive():
                return worker
            self._workers.discard(worker)
            worker.end()
        try:
            worker = _Worker()
        except OSError as error:
            raise JavaScriptError(
                f"The JavaScript engine could not be started: {error}.", limit=True
            ) from error
        self._workers.add(worker)
        if self._closed.is_set():
            worker.kill()
        return worker


def _results(text: bytes) -> list[Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            value = jsontext.decode(text)
        except ProtocolError:
            raise _nonsense() from None
    # The function may have got at what writes the results, so nothing about them is certain.
    if not isinstance(value, dict):
        raise _nonsense()
    if "failed" in value:
        raise JavaScriptError(str(value["failed"]), limit=value.get("limit") is not False)
    results, logged = value.get("results"), value.get("log")
    if not isinstance(results, list) or not isinstance(logged, dict):
        raise _nonsense()
    for message in logged.values():
        log.info("log: %s", message)
    return [_result(result) for result in results]


def _result(value: Any) -> Any:
    match value:
        case {"error": str(error), "reason": str(reason)}:
            return Thrown(error, reason)
        case {"value": returned}:
            return returned
        case {} if not value:
            return None  # the function returned what JSON does not know
    raise _nonsense()


def _nonsense() -> JavaScriptError:
    return JavaScriptError("The function spoilt its own results.", limit=True)


class _Worker:
    """One process. Used by one thread at a time."""

    def __init__(self) -> None:
        spec = find_spec("quickjs")
        if spec is None or spec.origin is None:
            raise JavaScriptError("The JavaScript engine, quickjs-ng, is not installed.", limit=True)
        site = str(Path(spec.origin).parents[1])
        # Isolated and without an environment: a function that got out of the engine would find little.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(_WORKER), site],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
            start_new_session=True,
        )

    def answer(self, request: bytes, seconds: float) -> tuple[bool, bytes] | None:
        """Whether it was the process's last answer, and the answer; None, and the end, if there is none."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            head = process.stdout.read(1 + _LENGTH.size)
            if len(head) == 1 + _LENGTH.size:
                (size,) = _LENGTH.unpack_from(head, 1)
                data = process.stdout.read(size)
                if len(data) == size:
                    return bool(head[0]), data
        except OSError:
            pass
        finally:
            watchdog.cancel()
        self.end()
        return None

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Makes whoever waits for an answer get none."""
        self._process.kill()

    def end(self) -> None:
        """Ends the process and forgets it."""
        process = self._process
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()


def _end_all(
    threads: ThreadPoolExecutor,
    turns: Turns[tuple[Job, Future[list[Any]]]],
    workers: set[_Worker],
    closed: threading.Event,
    *,
    wait: bool,
) -> None:
    closed.set()
    for _, future in turns.clear():
        future.cancel()
    for worker in list(workers):
        worker.kill()
    threads.shutdown(wait=wait, cancel_futures=True)
    for worker in list(workers):
        worker.end()
