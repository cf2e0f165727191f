"""What was begun is finished, whoever stops waiting."""

from __future__ import annotations

import asyncio

import pytest

from kompass.finishing import to_the_end


class Work:
    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.go_on, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._error = error

    async def run(self) -> str:
        self.begun.set()
        await self.go_on.wait()
        self.ended.set()
        if self._error is not None:
            raise self._error
        return "done"


async def test_its_answer_and_its_error_come_through() -> None:
    work = Work()
    work.go_on.set()
    assert await to_the_end(work.run()) == "done"
    work = Work(ValueError("no"))
    work.go_on.set()
    with pytest.raises(ValueError, match="no"):
        await to_the_end(work.run())


@pytest.mark.parametrize("error", [None, ValueError("no")])
async def test_whoever_is_cancelled_waits_for_the_end(error: Exception | None) -> None:
    work = Work(error)
    waiting = asyncio.create_task(to_the_end(work.run()))
    await work.begun.wait()
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=0.01)
    assert not waiting.done()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.ended.is_set()


async def test_a_second_cancellation_does_not_reach_the_work() -> None:
    work = Work()
    waiting = asyncio.create_task(to_the_end(work.run()))
    await work.begun.wait()
    waiting.cancel()
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    work.go_on.set()
    await asyncio.wait_for(work.ended.wait(), 5)
