"""A server that is killed at any moment has given every number to a document, or to none.

Also if several stand by, to serve the same directory when the one before is gone.
"""

from __future__ import annotations

import random
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path as File
from typing import Any

import pytest

from tests.business.test_numbers import listed, problems
from tests.sync.gate_world import World

pytestmark = pytest.mark.alone("servers of one directory; see tests/cluster/test_processes.py")

ROUNDS = 12
SERVERS = 4
WRITER = """
import asyncio, sys
from pathlib import Path
from replication.store.sqlite import DirectoryInUseError
from tests.business.documents import body, docid
from tests.sync.gate_world import World, customer, customer_body, new

async def turn(directory):
    while True:
        try:
            return await World.open(Path(directory), follows=True)
        except DirectoryInUseError:
            print("waits", flush=True)
            await asyncio.sleep(0.01)

async def main(directory, start):
    world = await turn(directory)
    print("ready", flush=True)
    async def push(n):
        for m in range(n, n + 1_000_000, 4):
            docs = [(customer(start + 10 * m + k), new(customer_body("gf1"))) for k in range(3)]
            docs.append((docid("project", start + m), new(body("project", customerId=docs[0][0]))))
            answers = await world.push("gf1", *docs[:3])
            assert answers == [""] * 3, answers
            await world.put(docs[3][0], docs[3][1].body)
            print("done", flush=True)
    await asyncio.gather(*(push(n) for n in range(4)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.crash
async def test_killing_the_writer_leaves_no_gap(tmp_path: File) -> None:
    seed = random.randrange(2**32)
    choose = random.Random(seed)
    acknowledged = 0
    for turn in range(ROUNDS):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "data"), str(turn * 10_000_000)]
        acknowledged += killed(command, choose.uniform(0.05, 0.8))
        world = await World.open(tmp_path / "data", follows=True)
        try:
            assert problems(world) == [], seed
            used = {number for number, state, _ in listed(world) if state == "used"}
            found = await numbers_in_documents(world)
            assert sorted(found) == sorted(used), seed
            assert len(found) >= 4 * acknowledged, seed
        finally:
            await world.close()
    assert acknowledged > 0


@pytest.mark.crash
async def test_of_several_servers_one_serves_and_when_it_is_killed_the_next(tmp_path: File) -> None:
    seed = random.randrange(2**32)
    choose = random.Random(seed)
    data = tmp_path / "data"
    said = one_after_another(data, choose, seed)
    world = await World.open(data, follows=True)
    try:
        assert problems(world) == [], seed
        used = {number for number, state, _ in listed(world) if state == "used"}
        found = await numbers_in_documents(world)
        assert sorted(found) == sorted(used), seed
        assert sum(each.startswith(b"waits") for each in said) == SERVERS - 1, seed
        acknowledged = [each.count(b"done") for each in said]
        assert all(acknowledged), seed
        assert len(found) >= 4 * sum(acknowledged), seed
    finally:
        await world.close()


def killed(command: list[str], after: float) -> int:
    """How many pushes a writer has been answered that is killed so many seconds after it is ready."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        return process.stdout.read().count("done")


def one_after_another(data: File, choose: random.Random, seed: int) -> list[bytes]:
    """What each of several servers has said, of which each that serves is killed a moment later."""
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(data), str(turn * 10_000_000)], stdout=subprocess.PIPE
        )
        for turn in range(SERVERS)
    ]
    output = {server.pid: b"" for server in servers}
    try:
        with selectors.DefaultSelector() as waiting:
            for server in servers:
                assert server.stdout is not None
                waiting.register(server.stdout, selectors.EVENT_READ, server)
            until = time.monotonic() + 120
            while waiting.get_map():
                assert time.monotonic() < until, (seed, output)
                for key, _ in waiting.select(1):
                    server = key.data
                    said = server.stdout.read1()
                    output[server.pid] += said
                    if not said:  # it is gone, and so is what it held
                        waiting.unregister(key.fileobj)
                    elif b"ready" in said:
                        alive = [one.pid for one in servers if one.poll() is None]
                        assert [pid for pid in alive if b"ready" in output[pid]] == [server.pid], seed
                    if b"done" in output[server.pid] and all(output.values()) and server.poll() is None:
                        time.sleep(choose.uniform(0.0, 0.6))
                        server.kill()
                        server.wait()
    finally:
        for server in servers:
            server.kill()
            server.wait()
    return list(output.values())


async def numbers_in_documents(world: World) -> list[str]:
    with world.database.reading() as reading:
        rows: Any = reading.connection.execute(
            "SELECT coalesce(text ->> 'customerNumber', text ->> 'projectNumber') FROM docs"
            " JOIN bodies ON bodies.seq = body WHERE id LIKE 'customer-%' OR id LIKE 'project-0%'"
        )
        return [number for (number,) in rows if number is not None]
