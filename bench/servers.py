"""Starting our server, and a peer where none is given, each in a directory of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Running:
    name: str
    url: str
    pid: int | None
    """None for a server that somebody else runs."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it answered")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not answer in time")


@contextmanager
def _process(command: list[str], name: str, port: int, directory: str, url: str) -> Iterator[Running]:
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield Running(name, url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def our_server() -> Iterator[Running]:
    """The bare document server with one administrator."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("TMPDIR")) as directory:
        command = [sys.executable, "-m", "replication", "serve", "--host", "127.0.0.1", "--port", str(port)]
        command += [
            "--data",
            str(Path(directory, "data")),
            "--admin",
            "bench:bench",
            "--log-level",
            "warning",
        ]
        os.environ["PYTHONPATH"] = str(ROOT)
        with _process(command, "ours", port, directory, f"http://bench:bench@127.0.0.1:{port}") as running:
            yield running


@contextmanager
def peer(url: str | None) -> Iterator[Running | None]:
    """The server at `url`; without one, pouchdb-server from npm if it can be had."""
    if url:
        yield Running("peer", url, None)
        return
    npx = shutil.which("npx")
    if npx is None:
        print("No peer: give one by --peer URL, or install Node.js for pouchdb-server.")
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as directory:
        command = [npx, "--yes", "pouchdb-server", "--port", str(port), "--host", "127.0.0.1"]
        with _process(
            [*command, "--dir", directory, "--no-stdout-logs"],
            "pouchdb-server",
            port,
            directory,
            f"http://127.0.0.1:{port}",
        ) as running:
            yield running


def proportional_memory(pid: int) -> float:
    """Memory of a process in MB: its own, and its part of what it shares (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell PSS")


def sync_time() -> float:
    """Milliseconds that the disk takes to sync a small write: the median of 50."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2] * 1000
