"""The process between an owner and a server of somebody else's: when the owner is gone, so is the server.

Run as a file of its own, with nothing but the standard library: `guard.py UID GID COMMAND…`. Its standard
input is a pipe that the owner holds open and never writes to; its end, also by `kill -9`, is the sign to shut
the server down. Should the guard itself be killed, Linux tells the server by a signal.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 30.0
"""Seconds for a shutdown in which the server writes what it has; then it stops as if the power had failed,
which loses nothing either but time at the next start."""

_PR_SET_PDEATHSIG = 1


def guarded(uid: int, gid: int) -> list[str]:
    """What stands before a command so that it is run guarded, as that user."""
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(uid), str(gid)]


def _prepare(uid: int, gid: int) -> Callable[[], None]:
    """What the child does before it becomes the server: it gets another user, and dies if the guard does.

    All libraries are loaded here: the other user may not be able to read them.
    """
    guard, linux = os.getpid(), sys.platform == "linux"
    prctl = None
    if linux:
        import ctypes

        prctl = ctypes.CDLL(None).prctl

    def become() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if prctl is not None:  # a change of user clears it, so after that
            prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != guard:
                os._exit(1)

    return become


def main() -> int:
    uid, gid, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda one, _: asked.append(one))
    # One thread, so it is safe to run something between fork and exec.
    server = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_prepare(uid, gid),
        start_new_session=True,
    )
    while server.poll() is None and not asked:
        ready, _, _ = select.select([0], [], [], 0.5)
        if ready and not os.read(0, 1):
            break
    if server.poll() is None:
        # PostgreSQL: whoever is connected is cut off, then a checkpoint. Redis ends at once.
        server.send_signal(signal.SIGINT)
        stop_at = time.monotonic() + PATIENCE
        while server.poll() is None and time.monotonic() < stop_at:
            time.sleep(0.02)
        if server.poll() is None:
            server.send_signal(signal.SIGQUIT)
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
