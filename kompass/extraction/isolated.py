"""A process for work that may fail, hang or grow without hurting anybody: it is asked one thing at a time."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

SECONDS = 10.0
"""Of processor time for a job, and twice that by the clock."""
MOST_JOBS = 200
"""That one process does before a fresh one takes its place."""
IDLE_SECONDS = 10.0
"""After which a process that has nothing to do is ended: it has 24 MB and more."""
MOST_ANSWER = 4 * 1024 * 1024


class TooLongError(Exception):
    """The job takes more time than it may."""


class DiedError(Exception):
    """The process didn't survive the job: it takes too much memory or time."""


class Isolated:
    """One for a process that runs `module`, which calls `answering.serve`. Jobs are done one after the
    other.
    """

    def __init__(
        self, module: str, *, seconds: float = SECONDS, idle: float = IDLE_SECONDS, most: int = MOST_ANSWER
    ) -> None:
        """`most`: bytes of an answer."""
        self._module = module
        self._seconds = seconds
        self._idle = idle
        self._most = most
        self._lock = asyncio.Lock()
        self._process: Process | None = None
        self._jobs = 0
        self._used = 0.0
        self._ending: asyncio.Task[None] | None = None

    async def ask(self, job: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        """What the process makes of `data`. Raises `TooLongError` and `DiedError`; `OSError` if no process
        can be started.
        """
        async with self._lock:
            process = await self._started()
            try:
                async with asyncio.timeout(2 * self._seconds):
                    line = await self._answer(process, job, data)
            except TimeoutError:
                await self._end()
                raise TooLongError from None
            except (OSError, ValueError, asyncio.IncompleteReadError):
                line = b""
            except BaseException:
                await self._end()
                raise
            if not line.endswith(b"\n"):
                await self._end()
                raise DiedError
            found: dict[str, Any] = json.loads(line)
            self._jobs += 1
            self._used = time.monotonic()
            if found.get("end") or self._jobs >= MOST_JOBS:
                await self._end()
            return found

    async def close(self) -> None:
        async with self._lock:
            await self._end()
            if self._ending is not None:
                self._ending.cancel()

    async def _answer(self, process: Process, job: Mapping[str, Any], data: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        told = {**job, "size": len(data), "seconds": self._seconds}
        process.stdin.write(json.dumps(told).encode() + b"\n" + data)
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                limit=self._most,
                env={},  # it needs none of the server's secrets
                start_new_session=True,
            )
            self._jobs = 0
            self._used = time.monotonic()
            if self._ending is None or self._ending.done():
                self._ending = asyncio.create_task(self._end_when_idle())
        return self._process

    async def _end_when_idle(self) -> None:
        while self._process is not None:
            await asyncio.sleep(max(0.0, self._used + self._idle - time.monotonic()))
            async with self._lock:
                if time.monotonic() - self._used >= self._idle:
                    await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()
