"""A sink is made anew, and its readers have the old one until then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.feed.world import FeedWorld, customer, feed_world, until


@pytest.mark.slow
async def test_a_rebuild_leaves_readers_the_old_one(world: FeedWorld) -> None:
    for number in range(1, 6):
        await world.customer(number, "adm1")
    world.follow()
    await world.settled()
    # What somebody broke by hand comes back.
    world.harness.execute("DELETE FROM documents WHERE id LIKE 'customer-%'")
    world.ledger.ask_rebuild("reference", "a test")

    async def rebuilt() -> bool:
        return world.ledger.rebuild_asked("reference") is None

    await until(rebuilt, 20)
    await world.settled()
    await world.customer(7, "adm1")
    await world.settled()


@pytest.mark.slow
async def test_an_interrupted_rebuild_goes_on_after_a_restart(world: FeedWorld) -> None:
    for number in range(1, 6):
        await world.customer(number, "adm1")
    world.follow()
    await world.settled()
    await world.unfollow()
    world.ledger.ask_rebuild("reference", "a test")
    world.follow()
    await asyncio.sleep(0.05)
    await world.unfollow()
    world.follow()

    async def rebuilt() -> bool:
        return world.ledger.rebuild_asked("reference") is None

    await until(rebuilt, 20)
    await world.settled()


@pytest.mark.slow
@pytest.mark.alone("one server's files come back older, or anew; see tests/cluster/test_feed.py")
async def test_a_database_that_was_retired_and_made_again(tmp_path: Path) -> None:
    async with feed_world(tmp_path) as world:
        await world.customer(1, "adm1")
        world.follow()
        await world.settled()
    for file in (tmp_path / "data").glob("kompass.sqlite*"):
        file.unlink()
    async with feed_world(tmp_path) as world:
        await world.customer(2, "adm2")
        world.follow()
        await world.settled()
        assert customer(1) not in world.harness.documents()


@pytest.mark.slow
@pytest.mark.alone("one server's files come back older, or anew; see tests/cluster/test_feed.py")
async def test_an_older_copy_of_the_file(tmp_path: Path) -> None:
    """With more changes than there were when the sink last saw it: numbers alone don't tell."""
    async with feed_world(tmp_path) as world:
        await world.customer(1, "adm1")
    kept = (tmp_path / "data" / "kompass.sqlite").read_bytes()
    async with feed_world(tmp_path) as world:
        await world.customer(2, "adm1")
        world.follow()
        await world.settled()
    for suffix in ("-wal", "-shm"):
        (tmp_path / "data" / f"kompass.sqlite{suffix}").unlink(missing_ok=True)
    (tmp_path / "data" / "kompass.sqlite").write_bytes(kept)
    async with feed_world(tmp_path) as world:
        for number in range(3, 9):
            await world.customer(number, "adm2")
        world.follow()
        await world.settled()
        assert customer(2) not in world.harness.documents()
