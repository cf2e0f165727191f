"""A process that applies batches to a sink until it is killed: python -m tests.feed.applying FACTORY PLACE

It writes a line when the sink is open, and one for each batch that is applied.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import subprocess
import sys

from kompass.feed.sink import Sink
from tests.feed.changes import stream
from tests.needs import ROOT

TOLD = "."


async def apply(sink: Sink) -> None:
    await sink.open()
    checkpoint = await sink.checkpoint()
    number = 0 if checkpoint is None else checkpoint.position // 8
    while True:
        sys.stdout.write(f"{TOLD}\n")
        sys.stdout.flush()
        await sink.apply(stream(number, seed=2))
        number += 1


def apply_and_be_killed(again: tuple[str, str], batches: int, seconds: float) -> int:
    """Applies `stream` in another process, which is killed so many seconds after so many batches are applied.

    How many it was told are applied: with slow sinks `batches`, with quick ones more.
    """
    command = [sys.executable, "-m", "tests.feed.applying", *again]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for _ in range(1 + batches):
                if process.stdout.readline() != f"{TOLD}\n".encode():
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
        return batches + process.stdout.read().count(b"\n")


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(":")
    asyncio.run(apply(getattr(importlib.import_module(module), function)(sys.argv[2])))
