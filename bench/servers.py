"""Starting our server, and a peer where none is given, each in a directory of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
PEER_VERSION = "4.2.0"
PEER_HOME = ROOT / ".venv" / "pouchdb-server"
"""Where the peer from npm is kept once it was fetched."""
INSTALL_SECONDS = 240
START_SECONDS = 60


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


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = START_SECONDS) -> None:
    """Returns when somebody listens. Raises `RuntimeError` if the process ended or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it answered")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not answer on port {port} within {seconds:g} s")


@contextmanager
def process_of(
    command: list[str], name: str, port: int, directory: str, url: str, **variables: str
) -> Iterator[Running]:
    # A session of its own: a server may be a script that starts the real one.
    process = subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
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
        with suppress(ProcessLookupError):  # nobody is left: the rule
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def our_server() -> Iterator[Running]:
    """The bare document server with one administrator."""
    with _python_server(
        "ours", ["replication", "serve"], ["--admin", "bench:bench", "--log-level", "warning"]
    ) as running:
        yield running


@contextmanager
def our_product(program: str = "kompass", **variables: str) -> Iterator[Running]:
    """The product, without demo data, with one administrator, and these settings.

    `program`: a module that takes its place.
    """
    with _python_server(
        "the product",
        [program, "serve"],
        [],
        KOMPASS_ADMIN="bench:bench",
        KOMPASS_LOG_LEVEL="warning",
        KOMPASS_FEED="off",
        **variables,
    ) as running:
        yield running


@contextmanager
def demo_product(size: str, **variables: str) -> Iterator[Running]:
    """The product with demo data of a size, and everything that runs beside it."""
    with _python_server(
        "the demo",
        ["kompass", "serve"],
        ["--demo", "--demo-size", size],
        KOMPASS_LOG_LEVEL="warning",
        **variables,
    ) as running:
        yield replace(running, url=running.url.replace("bench:bench@", ""))


@contextmanager
def _python_server(name: str, module: list[str], options: list[str], **variables: str) -> Iterator[Running]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("TMPDIR")) as directory:
        command = [sys.executable, "-m", *module, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--data", str(Path(directory, "data")), *options]
        url = f"http://bench:bench@127.0.0.1:{port}"
        with process_of(command, name, port, directory, url, PYTHONPATH=str(ROOT), **variables) as running:
            yield running


def _peer_program() -> str | None:
    """pouchdb-server from PATH, else from npm; None, and a line why, if neither can be had."""
    if found := shutil.which("pouchdb-server"):
        return found
    program = PEER_HOME / "node_modules" / ".bin" / "pouchdb-server"
    if program.exists():
        return str(program)
    npm = shutil.which("npm")
    if npm is None:
        print("No peer: give one by --peer URL, or install Node.js for pouchdb-server.")
        return None
    print(
        f"Fetching pouchdb-server {PEER_VERSION} from npm to compare with, once; 45 MB, up to minutes",
        flush=True,
    )
    # Its store comes prebuilt: no package has to run code while it is installed.
    command = [npm, "install", "--prefix", str(PEER_HOME), "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(
            [*command, "--loglevel=error", f"pouchdb-server@{PEER_VERSION}"],
            stdout=subprocess.DEVNULL,
            timeout=INSTALL_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"No peer: {error}. Give one by --peer URL.")
        return None
    return str(program)


@contextmanager
def peer(url: str | None) -> Iterator[Running | None]:
    """The server at `url`; without one, pouchdb-server from PATH or npm if it can be had."""
    if url:
        yield Running(f"at {urlsplit(url).hostname}:{urlsplit(url).port}", url, None)
        return
    program = _peer_program()
    if program is None:
        yield None
        return
    port = free_port()
    # It writes its settings and its log where it is started.
    with tempfile.TemporaryDirectory(prefix="bench-peer-", dir=os.environ.get("TMPDIR")) as directory:
        command = [
            program,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--dir",
            directory,
            "--no-stdout-logs",
        ]
        # It is older than Node.js ending a program for a promise that nobody looked at.
        options = f"{os.environ.get('NODE_OPTIONS', '')} --unhandled-rejections=none".strip()
        url = f"http://127.0.0.1:{port}"
        with process_of(command, "pouchdb-server", port, directory, url, NODE_OPTIONS=options) as running:
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
