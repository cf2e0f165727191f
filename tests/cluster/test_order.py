"""A reader never sees a sequence appear below one that he was given, whichever process answers, whoever
leads, and in whatever order CouchDB's shards tell what was written there.

    KOMPASS_TEST_ORDER_STEPS=20000 .venv/bin/python -m pytest -q tests/cluster/test_order.py

tries as many steps as you have time for.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.cluster.harness import cluster
from tests.cluster.ordering import Place
from tests.programs import Length, programs, quiet
from tests.replication.store.couchdb.feeds import SHARDS
from tests.sync.personal.world import PEOPLE

pytestmark = [pytest.mark.slow]
LENGTH = Length.asked_for("KOMPASS_TEST_ORDER_STEPS", usual=90, each=30)
PROCESSES = 3
AT_ONCE = 3
"""Steps that happen at the same time."""

Step = tuple[Any, ...]
_PROCESS = st.integers(0, PROCESSES - 1)
_USER = st.sampled_from(sorted(PEOPLE))
_DOCUMENT = st.sampled_from("abcdef")
_READERS = st.lists(_USER, max_size=3, unique=True)
STEPS = st.one_of(
    st.tuples(st.just("push"), _PROCESS, _USER, _DOCUMENT),
    st.tuples(st.just("push"), _PROCESS, _USER, _DOCUMENT),
    st.tuples(st.just("write in CouchDB"), _DOCUMENT, _READERS),
    st.tuples(st.just("write in CouchDB"), _DOCUMENT, _READERS),
    st.tuples(st.just("lead"), _PROCESS),
    st.tuples(st.just("lead for a moment"), _PROCESS, st.integers(1, 40)),
    st.tuples(st.just("read"), _PROCESS, st.integers(0, 2 * len(PEOPLE) - 1), st.sampled_from([None, 1, 2])),
    st.tuples(st.just("read"), _PROCESS, st.integers(0, 2 * len(PEOPLE) - 1), st.sampled_from([None, 1, 2])),
    st.tuples(st.just("fail over"), st.integers(0, SHARDS - 1)),
    st.tuples(st.just("replace"), _PROCESS),
)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


def doing(place: Place, step: Step) -> Coroutine[Any, Any, None]:
    what, *of = step
    if what == "push":
        return place.push(*of)
    if what == "write in CouchDB":
        return place.write_in_couchdb(*of)
    if what == "lead":
        return place.process(of[0]).keeper.look()
    if what == "lead for a moment":
        return cut(place.process(of[0]).keeper.look(), of[1] / 1000)
    at, reader, limit = of
    return read(place, at, reader, limit)


async def read(place: Place, at: int, reader: int, limit: int | None) -> None:
    await place.readers[reader].pull(place.process(at), limit)


async def cut(leading: Coroutine[Any, Any, None], seconds: float) -> None:
    """Whoever leads doesn't come to the end of what he does, and another one leads."""
    task = asyncio.create_task(leading)
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def run(directory: Path, program: Sequence[Step], seed: int) -> None:
    with cluster() as made:
        place = Place(directory, made, seed)
        await place.open(PROCESSES)
        for start in range(0, len(program), AT_ONCE):
            some = program[start : start + AT_ONCE]
            for step in some:
                if step[0] == "fail over":
                    place.told.shards.fail_over(step[1])
            await asyncio.gather(
                *(doing(place, step) for step in some if step[0] not in ("fail over", "replace"))
            )
            for step in some:
                if step[0] == "replace":
                    await place.replace(step[1])
            for number, reader in enumerate(place.readers):
                await reader.check(place.process(start + number))
        for _ in range(20):
            await place.process(0).keeper.look()
            if await place.same():
                break
        assert await place.same()
        for number, reader in enumerate(place.readers):
            await reader.pull(place.process(number))
            await reader.check(place.process(number + 1))
            rows = (await place.process(number).feed(reader.user, "0"))["results"]
            assert {row["id"]: row["changes"][0]["rev"] for row in rows} == reader.revs
        await place.close()


@programs(STEPS, LENGTH)
def test_nothing_appears_below_what_a_reader_was_given(program: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory), program, len(repr(program))))
