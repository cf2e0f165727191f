"""Server processes for tests: started, crashed and started again on the same data and port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.needs import ROOT

START_SECONDS = 30
STOP_SECONDS = 10
"""How long a server may take to leave by itself before it is killed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """`python -m replication serve` on loopback, with its data in `data` and its output in `data`.log."""

    def __init__(
        self, data: Path, *, admin: tuple[str, str] | None = ("admin", "geheim"), options: Sequence[str] = ()
    ) -> None:
        self.data = data
        self.copies = [data]
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"http://{admin[0]}:{admin[1]}@127.0.0.1:{self.port}" if admin else self.origin
        """The address, with the administrator's name and password if there is one."""
        self.log = data.with_name(f"{data.name}.log")
        self._command = [sys.executable, "-m", "replication", "serve", "--host", "127.0.0.1"]
        self._command += ["--port", str(self.port), "--data", str(data), *options]
        if admin:
            self._command += ["--admin", ":".join(admin)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns as soon as the server answers. Raises `RuntimeError` with its output if it doesn't."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(f"{self.origin}/_up", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.crash()
        raise RuntimeError(f"The server did not answer on {self.origin}:\n{self.log.read_text()}")

    def stop(self) -> None:
        """Ends the server with SIGTERM; kills it if it doesn't go. Does nothing if it is gone."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def crash(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running_server(
    data: Path, *, admin: tuple[str, str] | None = ("admin", "geheim"), options: Sequence[str] = ()
) -> Iterator[ServerProcess]:
    server = ServerProcess(data, admin=admin, options=options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
