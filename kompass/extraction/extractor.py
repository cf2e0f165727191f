"""Has files read by a process that may fail, hang or grow without hurting anybody."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import NamedTuple

MOST_BYTES = 25 * 1024 * 1024
"""Of a file that is read."""
SECONDS = 10.0
"""Of processor time for a file, and twice that by the clock."""
MOST_FILES = 200
"""That one process reads before a fresh one takes its place."""
IDLE_SECONDS = 10.0
"""After which a process that has nothing to read is ended: it has 24 MB."""
MOST_ANSWER = 4 * 1024 * 1024


class Extracted(NamedTuple):
    text: str
    """Empty for what has none."""
    problem: str = ""
    """Why there is none, where there should be."""


TOO_LARGE = Extracted("", f"larger than {MOST_BYTES >> 20} MB")
TOO_LONG = Extracted("", "reading it takes too long")
DIED = Extracted("", "reading it takes too much memory or time")

PASSING = frozenset({TOO_LONG.problem, DIED.problem})
"""Problems that may be the machine's and not the file's: another time it may be read."""


class Extractor:
    """One for a process. Files are read one after the other."""

    def __init__(self, *, seconds: float = SECONDS, idle: float = IDLE_SECONDS) -> None:
        self._seconds = seconds
        self._idle = idle
        self._lock = asyncio.Lock()
        self._process: Process | None = None
        self._files = 0
        self._used = 0.0
        self._ending: asyncio.Task[None] | None = None

    async def extract(self, data: bytes, *, plain: bool) -> Extracted:
        """The text of a file. `plain`: it is said to be plain text; else its bytes tell what it is.

        Whatever the file is, an answer comes. Raises `OSError` if no process can be started.
        """
        if len(data) > MOST_BYTES:
            return TOO_LARGE
        async with self._lock:
            process = await self._started()
            try:
                async with asyncio.timeout(2 * self._seconds):
                    line = await self._answer(process, data, plain)
            except TimeoutError:
                await self._end()
                return TOO_LONG
            except (OSError, ValueError, asyncio.IncompleteReadError):
                line = b""
            except BaseException:
                await self._end()
                raise
            if not line.endswith(b"\n"):
                await self._end()
                return DIED
            found = json.loads(line)
            self._files += 1
            self._used = time.monotonic()
            if found.get("end") or self._files >= MOST_FILES:
                await self._end()
            return Extracted(found.get("text") or "", found.get("problem", ""))

    async def close(self) -> None:
        async with self._lock:
            await self._end()
            if self._ending is not None:
                self._ending.cancel()

    async def _answer(self, process: Process, data: bytes, plain: bool) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        job = {"size": len(data), "plain": plain, "seconds": self._seconds}
        process.stdin.write(json.dumps(job).encode() + b"\n" + data)
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _started(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "kompass.extraction.worker"),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                limit=MOST_ANSWER,
                env={},  # it needs none of the server's secrets
                start_new_session=True,
            )
            self._files = 0
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
