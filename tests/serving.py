"""`kompass serve` as a process, with all that runs beside it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil

from tests.needs import ROOT
from tests.servers import free_port

ADMIN = ("chef", "geheim")


class Serving:
    """`kompass serve` with real data in `data`."""

    def __init__(self, data: Path, **environment: str) -> None:
        """`environment`: variables beside the process's own."""
        self.data = data
        self._environment = environment
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "kompass",
            "serve",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        environment = {
            **os.environ,
            "KOMPASS_FEED": "auto",
            "KOMPASS_ADMIN": ":".join(ADMIN),
            **self._environment,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        until(lambda: self.answers, 30, self.told)

    @property
    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def child(self) -> psutil.Process | None:
        """The consumer that runs beside it."""
        for one in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has just died
                if "feed" in one.cmdline():
                    return one
        return None

    def following(self) -> bool:
        """Whether every sink is at the end."""
        file = self.data / "feed" / "feed.sqlite"
        if not file.exists():
            return False
        with closing(sqlite3.connect(file, timeout=10)) as connection:
            try:
                rows = connection.execute("SELECT at, text FROM status").fetchall()
            except sqlite3.OperationalError:
                return False
        states = [json.loads(text)["state"] for at, text in rows if at > time.time() - 5]
        return bool(states) and set(states) == {"following"}

    def stop(self) -> None:
        """Kills it, and whatever should have gone with it."""
        others = self.descendants()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        _, left = psutil.wait_procs(others, timeout=30)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()

    def descendants(self) -> list[psutil.Process]:
        """Every process that comes from it."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def told(self) -> str:
        return self.log.read_text()[-3000:]


def until(condition: Callable[[], bool], seconds: float, what: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not after {seconds} seconds: {what()}"
        time.sleep(0.1)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
