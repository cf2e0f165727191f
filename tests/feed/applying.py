"""A process that applies batches to a sink until it is killed: python -m tests.feed.applying FACTORY PLACE"""

from __future__ import annotations

import asyncio
import importlib
import signal
import subprocess
import sys

from kompass.feed.sink import Sink
from tests.feed.changes import stream
from tests.needs import ROOT


async def apply(sink: Sink) -> None:
    await sink.open()
    checkpoint = await sink.checkpoint()
    number = 0 if checkpoint is None else checkpoint.position // 8
    sys.stdout.write("applied\n")
    sys.stdout.flush()
    while True:
        await sink.apply(stream(number, seed=2))
        number += 1


def apply_and_be_killed(again: tuple[str, str], seconds: float) -> None:
    """Applies `stream` in another process, which is killed so many seconds after its first batch."""
    command = [sys.executable, "-m", "tests.feed.applying", *again]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            if process.stdout.readline() != b"applied\n":
                process.kill()
                raise AssertionError(process.stderr.read().decode())
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            else:
                raise AssertionError(process.stderr.read().decode())
        finally:
            process.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    asyncio.run(apply(getattr(importlib.import_module(module), function)(sys.argv[2])))
