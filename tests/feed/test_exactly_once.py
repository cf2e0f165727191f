"""Whatever is killed, deleted or restored: in the end a sink has what the documents say, row by row."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kompass.feed.sink import Sink
from tests.feed.chaos import Chaos
from tests.feed.harness import SinkHarness
from tests.feed.test_conformance import HARNESSES
from tests.feed.world import SECRET, FeedWorld, feed_world, until
from tests.in_process import serving
from tests.needs import ROOT

ROUNDS = int(os.environ.get("KOMPASS_TEST_CRASH_ROUNDS", "2"))
SEEDS = int(os.environ.get("KOMPASS_TEST_FEED_SEEDS", "3"))


@pytest.fixture(params=sorted(HARNESSES))
async def harnesses(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[SinkHarness, SinkHarness]]:
    """One that is killed, and one to compare it with."""
    module, _, function = HARNESSES[request.param].partition(":")
    make = getattr(importlib.import_module(module), function)
    async with AsyncExitStack() as stack:
        places = []
        for name in ("killed", "fresh"):
            (tmp_path / name).mkdir()
            places.append(await stack.enter_async_context(make(tmp_path / name)))
        yield places[0], places[1]


async def followed(world: FeedWorld, sink: Sink) -> None:
    """A sink that has followed to the end of the feed, and is closed."""
    world.follow(sink)

    async def at_the_end() -> bool:
        status = world.ledger.statuses().get(sink.name)
        return status is not None and status.lag == 0 and status.state.value == "following"

    async def still() -> bool:
        """What is written in the background, too."""
        before = world.database.update_seq
        await asyncio.sleep(0.5)
        return before == world.database.update_seq and await at_the_end()

    await until(still, 60, lambda: str(world.ledger.statuses()))
    await world.unfollow()


@pytest.mark.crash
@pytest.mark.timeout(900)
async def test_a_consumer_killed_at_any_moment(
    tmp_path: Path, harnesses: tuple[SinkHarness, SinkHarness], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, fresh = harnesses
    chance = random.Random(ROUNDS)
    async with feed_world(tmp_path) as world, serving(world.product) as url:
        # For sinks that ask the server themselves.
        monkeypatch.setenv("KOMPASS_TEST_FEED_SERVER", f"{url} {SECRET}")
        chaos = Chaos(world.admin, seed=ROUNDS)
        command = [sys.executable, "-m", "tests.feed.consuming", str(tmp_path / "data"), url, SECRET]
        command += killed.again
        log = (tmp_path / "consumer.log").open("ab")
        for _ in range(ROUNDS):
            process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=log, stderr=log)
            try:
                ends = asyncio.get_running_loop().time() + 1.0 + chance.uniform(0, 2.0)
                while asyncio.get_running_loop().time() < ends:
                    await chaos.step()
                assert process.returncode is None, (tmp_path / "consumer.log").read_text()[-3000:]
            finally:
                process.kill()
                await process.wait()
        log.close()
        await followed(world, killed.make())
        await followed(world, fresh.make())
        assert world.ledger.letters() == []
        stated = await world.stated()
        for one in sorted(chaos.ids | set(stated)):
            assert await killed.read(one) == await fresh.read(one), one
            found = await killed.read(one)
            assert found is None or (one in stated and (found.rev, found.channels) == stated[one]), one
        assert any([await killed.read(one) for one in stated]), "nothing was compared"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_random_histories(tmp_path: Path, seed: int) -> None:
    """Writes, moves, roles, deletions, purges; the consumer comes and goes; the database is put back to an
    older copy, or made anew.
    """
    chance = random.Random(seed)
    data, copy = tmp_path / "data", tmp_path / "copy"
    for era in range(3):
        async with feed_world(tmp_path) as world:
            chaos = Chaos(world.admin, seed * 100 + era)
            world.follow()
            for number in range(60):
                await chaos.step()
                if chance.random() < 0.08:
                    await world.unfollow()
                    for _ in range(chance.randrange(12)):
                        await chaos.step()
                    world.follow()
                if number == 20:
                    await world.unfollow()
                    world.follow()
            await world.settled(60)
            await world.unfollow()
        # The server is stopped: somebody works on the files.
        if era == 0:
            shutil.copytree(data, copy)
        elif era == 1:
            for file in data.glob("kompass.sqlite*"):
                file.unlink()
            if chance.random() < 0.7:
                for file in copy.glob("kompass.sqlite*"):
                    shutil.copy(file, data)
