"""Processes beside the server: started, started again when they die, ended with it.

Each is held by its standard input: the server has the other end and writes nothing. However the server
ends, its end is closed with it, and the process goes by itself (`watch_parent`, or `guard.py` for others'
programs).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog

from kompass.files import replace_file
from kompass.settings_files import merged
from replication.replicator.backoff import pause

STOP_SECONDS = 15.0
"""How long a process may take to let go of what it has."""
STEADY_SECONDS = 30.0
"""Who lived that long is started again at once."""
ORPHAN_SECONDS = 20.0
"""How long letting go may take once the parent is gone."""
FILE = "processes.json"
"""Below the data directory: who runs, for `kompass status`."""

FRUGAL = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""For the C library's `malloc`, where it is glibc, unless the server was given others. By default it has
eight arenas for each core and gives little back: whoever works in threads keeps what a large batch once took.
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Beside the server's own. Secrets belong here: everybody on the machine reads command lines."""


class Child:
    """One process that is kept running."""

    def __init__(self, command: Command, told: Callable[[], None] = lambda: None) -> None:
        """`told` is called when it was started, or has ended."""
        self.command = command
        self.restarts = 0
        self.since = 0.0
        self._told = told
        self._keeping: asyncio.Task[None] | None = None
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """None while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def start(self) -> None:
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name=self.command.name)

    async def stop(self) -> None:
        """Does nothing if it wasn't started."""
        if self._keeping is None:
            return
        self._keeping.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeping
        self._keeping = None

    async def _keep(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command.arguments,
                    stdin=PIPE,
                    env=merged({**FRUGAL, **os.environ}, self.command.environment),
                    # Ctrl+C in a terminal reaches the server, which ends its children.
                    start_new_session=True,
                )
                self.since = time.time()
                self._told()
                code = await self._process.wait()
            except OSError as error:
                log.error("a process can't be started", process=self.command.name, why=str(error))
                code = -1
            except asyncio.CancelledError:
                await self._end()
                raise
            self.restarts += 1
            self._told()
            failures = 0 if time.monotonic() - began >= STEADY_SECONDS else failures + 1
            wait = pause(failures, first=0.5, longest=30.0)
            log.warning(
                "a process has ended and is started again",
                process=self.command.name,
                code=code,
                seconds=round(wait, 1),
            )
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
            log.error("a process doesn't end and is killed", process=self.command.name, pid=process.pid)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Supervisor:
    """All processes of one server. They are stopped in the opposite order of their start."""

    def __init__(self, directory: Path, commands: Iterable[Command]) -> None:
        """`directory`: the data's."""
        self._file = directory / FILE
        self.children = [Child(one, self._tell) for one in commands]

    def start(self) -> None:
        for one in self.children:
            one.start()

    async def stop(self) -> None:
        for one in reversed(self.children):
            await one.stop()
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _tell(self) -> None:
        told = {
            one.command.name: {"pid": one.pid, "since": one.since, "restarts": one.restarts}
            for one in self.children
        }
        try:
            replace_file(self._file, orjson.dumps(told))
        except OSError as error:
            log.warning("it can't be written down which processes run", why=str(error))


def processes(directory: Path) -> dict[str, dict[str, Any]]:
    """What the supervisor of a data directory has started: name -> `pid` (None: it is being started again),
    `since`, `restarts`. Empty if no server runs there.
    """
    try:
        told: dict[str, dict[str, Any]] = orjson.loads((directory / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: {**one, "pid": _alive(one.get("pid"))} for name, one in told.items()}


def _alive(pid: object) -> int | None:
    if not isinstance(pid, int) or pid <= 0:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return pid


def watch_parent(gone: Callable[[], object]) -> None:
    """Calls `gone`, from a thread, when the parent has ended; a process that doesn't go then is ended."""

    def watch() -> None:
        with suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 1024):
                pass
        with suppress(RuntimeError):  # a loop that has ended by itself
            gone()
        # What doesn't let go must not keep a process alive that nobody owns any more.
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
