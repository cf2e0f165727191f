"""What processes on this machine have spent of its cores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil


def postmaster(directory: Path) -> int:
    """The first process of an embedded PostgreSQL."""
    return int((directory / "data" / "postmaster.pid").read_text("utf-8").splitlines()[0])


class Spent:
    """Of some processes with their children, and of a CouchDB if it runs here."""

    def __init__(self, pids: Mapping[str, int], couchdb_port: int) -> None:
        """`pids` by what they are."""
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._couchdb = _listening(couchdb_port)

    def now(self) -> dict[str, float]:
        """Seconds until now."""
        spent = {name: _own(process) + _children(process) for name, process in self._processes.items()}
        if self._couchdb is not None:
            spent["CouchDB"] = _own(self._couchdb)
            spent["its validation"] = _children(self._couchdb)
        return spent

    def since(self, before: Mapping[str, float], documents: float) -> dict[str, float]:
        """Milliseconds for each of so many documents."""
        return {
            name: max(0.0, seconds - before[name]) * 1000 / documents for name, seconds in self.now().items()
        }


def _listening(port: int) -> psutil.Process | None:
    for one in psutil.net_connections("tcp"):
        if one.status == psutil.CONN_LISTEN and tuple(one.laddr)[1:2] == (port,) and one.pid:
            return psutil.Process(one.pid)
    return None


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _children(process: psutil.Process) -> float:
    """With what those have spent that have ended."""
    spent = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue  # ended meanwhile: its parent has its time
        spent += times.children_user + times.children_system
        spent += 0.0 if one == process else times.user + times.system
    return spent
