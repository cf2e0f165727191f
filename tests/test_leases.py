"""A lease is one process's, until it is over; who has lost it writes nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kompass import leases
from kompass.leases import LeaseLostError, held, release, renew, take
from kompass.sqlfile import SqlFile


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[SqlFile, SqlFile]]:
    both = [SqlFile(tmp_path / "a.sqlite", leases.TABLE, failure=ValueError) for _ in range(2)]
    yield both[0], both[1]
    for one in both:
        one.close()


def test_one_has_it_until_it_gives_it_back(files: tuple[SqlFile, SqlFile]) -> None:
    one, other = files
    lease = take(one, "export")
    assert lease is not None
    assert take(other, "export") is None
    assert take(other, "import") is not None, "another one is another's"
    release(one, lease)
    assert take(other, "export") is not None


def test_who_was_killed_has_it_until_its_time_is_over(files: tuple[SqlFile, SqlFile]) -> None:
    one, other = files
    clock = Clock()
    take_it = partial(take, name="export", seconds=30, now=clock, steady=clock)
    lost = take_it(one)
    assert lost is not None
    assert take_it(other) is None
    clock.now += 29
    renew(one, lost, seconds=30, now=clock)
    clock.now += 2
    assert take_it(other) is None
    clock.now += 29
    assert take_it(other) is None
    clock.now += 2
    assert take_it(other) is not None
    with pytest.raises(LeaseLostError), one.writing() as connection:
        lost.check(connection)
    with pytest.raises(LeaseLostError):
        renew(one, lost, seconds=30, now=clock)
    release(one, lost)
    assert take_it(one) is None, "what is another's stays"


def test_a_clock_that_is_ahead_takes_no_lease_of_who_works(files: tuple[SqlFile, SqlFile]) -> None:
    one, other = files
    ahead, clock = Clock(), Clock()
    ahead.now += 60
    mine = take(one, "export", seconds=30, now=clock)
    assert mine is not None
    for _ in range(9):
        assert take(other, "export", seconds=30, now=ahead, steady=clock) is None
        clock.now += 10
        ahead.now += 10
        renew(one, mine, seconds=30, now=clock)


def test_who_comes_once_takes_what_nobody_has_had_for_long(files: tuple[SqlFile, SqlFile]) -> None:
    clock = Clock()
    assert take(files[0], "export", seconds=30, now=clock) is not None
    clock.now += 30 + leases.APART
    assert take(files[1], "export", seconds=30, now=clock) is not None


def test_a_holder_whose_clock_was_far_ahead_does_not_keep_it(files: tuple[SqlFile, SqlFile]) -> None:
    ahead, clock = Clock(), Clock()
    ahead.now += 86_400
    assert take(files[0], "export", seconds=30, now=ahead) is not None
    assert take(files[1], "export", seconds=30, now=clock) is not None


@pytest.mark.slow
async def test_it_is_renewed_as_long_as_it_is_needed(files: tuple[SqlFile, SqlFile]) -> None:
    one, other = files
    async with held(one, "export", seconds=0.3) as lease:
        assert lease is not None
        await asyncio.sleep(0.6)
        assert await asyncio.to_thread(take, other, "export", seconds=0.3) is None
        async with held(other, "export") as none:
            assert none is None
    assert take(other, "export") is not None


@pytest.mark.slow
async def test_a_holder_keeps_it_though_the_file_was_away_for_a_while(
    files: tuple[SqlFile, SqlFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = files
    left = [2]

    def away(file: SqlFile, lease: leases.Lease, *, seconds: float) -> None:
        if left[0]:
            left[0] -= 1
            raise ValueError("the journal can't be reached")
        renew(file, lease, seconds=seconds)

    monkeypatch.setattr(leases, "renew", away)
    async with held(one, "export", seconds=0.6) as lease:
        assert lease is not None
        await asyncio.sleep(1.1)
        assert left == [0]
        with one.writing() as connection:
            lease.check(connection)
        assert await asyncio.to_thread(take, other, "export", seconds=0.6) is None


async def test_what_was_done_is_done_though_the_lease_could_not_be_given_back(
    files: tuple[SqlFile, SqlFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ValueError("the journal can't be reached")

    monkeypatch.setattr(leases, "release", away)
    async with held(files[0], "export") as lease:
        assert lease is not None
