"""The consumer as a process beside the server: started, started again when it dies, ended with the server."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from kompass.settings import Settings
from replication.replicator.backoff import pause

STOP_SECONDS = 15.0
"""How long it may take to let go of its sinks."""
STEADY_SECONDS = 30.0
"""Who lived that long is started again at once."""

log = structlog.get_logger(__name__)


class Child:
    """`start` once the server answers; `stop` before it goes."""

    def __init__(self, settings: Settings, secret: str) -> None:
        """`secret`: what the server lets the consumer in by."""
        self._settings = settings
        self._secret = secret
        self._keeping: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """None while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self, url: str) -> None:
        """`url`: where the server answers."""
        self._keeping = asyncio.get_running_loop().create_task(self._keep(url), name="feed")

    async def stop(self) -> None:
        """Does nothing if it wasn't started."""
        if self._keeping is None:
            return
        self._keeping.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeping
        self._keeping = None

    async def _keep(self, url: str) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command(url),
                    stdin=PIPE,
                    env={**os.environ, **self._environment()},
                    # Ctrl+C in a terminal reaches the server, which ends its child.
                    start_new_session=True,
                )
                code = await self._process.wait()
            except OSError as error:
                log.error("kompass feed can't be started", why=str(error))
                code = -1
            except asyncio.CancelledError:
                await self._end()
                raise
            self.restarts += 1
            failures = 0 if time.monotonic() - began >= STEADY_SECONDS else failures + 1
            wait = pause(failures, first=0.5, longest=30.0)
            log.warning("kompass feed has ended and is started again", code=code, seconds=round(wait, 1))
            await asyncio.sleep(wait)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.error("kompass feed doesn't end and is killed", pid=process.pid)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _command(self, url: str) -> Sequence[str]:
        directory = str(self._settings.directory)
        return [sys.executable, "-m", "kompass", "feed", "--data", directory, "--server", url, "--child"]

    def _environment(self) -> Mapping[str, str]:
        """Beside the server's own: not on the command line, where everybody on the machine could read it."""
        return {"KOMPASS_FEED_SECRET": self._secret}
