"""A sink that is slow, down, full, or poisoned by a document: nothing else waits for that."""

from __future__ import annotations

import asyncio
import time

import pytest

from kompass.feed import follower, walker
from kompass.feed.ledger import State
from kompass.feed.sink import Batch, TooMuchError
from tests.feed.reference import ReferenceSink
from tests.feed.troubled import Full, Picky, Slow
from tests.feed.world import DB, FeedWorld, customer, until


@pytest.mark.slow
async def test_what_is_slow_goes_on_document_by_document(
    world: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walker, "FIRST_RETRY", 60.0)
    for number in range(1, 9):
        await world.customer(number, "adm1", "Gift" if number == 2 else "Hof")
    sink = Slow(world.directory / "sink")
    world.follow(sink)

    async def there() -> bool:
        return len([each for each in world.harness.documents() if each.startswith("customer-")]) == 7

    await until(there, 20)
    assert sorted(sink.read) == sorted(set(sink.read)), "nothing is read again"
    assert len(set(sink.at)) >= 3, "its checkpoint moves on before the end"
    (letter,) = world.ledger.letters()
    assert (letter.id, letter.attempts) == (customer(2), 1)
    await world.state(State.FOLLOWING)


async def test_it_says_what_takes_so_long(world: FeedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(sink: Slow, batch: Batch) -> None:
        if not batch.changes:
            return await ReferenceSink.apply(sink, batch)
        tried.append(time.monotonic())
        raise TooMuchError("reading slowly")

    tried: list[float] = []
    monkeypatch.setattr(Slow, "apply", never)
    monkeypatch.setattr(follower, "REPORT_SECONDS", 0.01)
    await world.customer(1, "adm1")
    world.follow(Slow(world.directory / "sink"))

    async def told() -> bool:
        status = world.ledger.statuses().get("reference")
        return status is not None and status.busy == "reading slowly"

    async def often() -> bool:
        return len(tried) >= 3

    await until(told, 10)
    await until(often, 10)
    assert tried[2] - tried[0] >= 2 * follower.PACE, "the server isn't asked without a pause"
    status = world.ledger.statuses()["reference"]
    assert (status.state, status.errors, world.ledger.letters()) == (State.CATCHING_UP, 0, [])
    assert status.lag > 0
    assert status.behind_since is not None


async def test_while_it_works_at_one_batch_its_lag_is_true(
    world: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()

    async def working(sink: Slow, batch: Batch) -> None:
        if any(one.id == customer(1) for one in batch.changes):
            await goes_on.wait()
        await ReferenceSink.apply(sink, batch)

    monkeypatch.setattr(Slow, "apply", working)
    monkeypatch.setattr(follower, "BUSY_SECONDS", 0.05)
    world.follow(Slow(world.directory / "sink"))
    await world.settled()
    for number in range(1, 7):
        await world.customer(number, "adm1")

    async def told() -> bool:
        status = world.ledger.statuses()["reference"]
        behind = (await world.source.latest()) - status.position
        return status.lag == behind >= 6 and status.behind_since is not None

    await until(told, 10)
    goes_on.set()
    await world.settled()
    await world.state(State.FOLLOWING)


@pytest.mark.slow
async def test_what_a_sink_wants_again_comes_again(world: FeedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "LOOK_SECONDS", 0.05)
    await world.customer(1, "adm1")
    sink = Slow(world.directory / "sink")
    world.follow(sink)
    await world.settled()
    sink.given.clear()
    sink.wanted = {customer(1), customer(77)}

    async def given() -> bool:
        return {customer(1), customer(77)} <= set(sink.given)

    await until(given, 10)
    assert customer(1) in world.harness.documents()
    assert customer(77) not in world.harness.documents()
    assert sink.given.count(customer(1)) == 1


async def test_what_opens_and_stores_nothing_is_left_alone_for_longer_and_longer(
    world: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def pause(attempt: int, **_: float) -> float:
        attempts.append(attempt)
        return 0.01

    monkeypatch.setattr(follower, "pause", pause)
    world.follow(Full(world.directory / "sink"))

    async def often() -> bool:
        return len(attempts) >= 4

    await until(often, 10)
    assert attempts[:4] == [0, 1, 2, 3]


@pytest.mark.slow
async def test_a_sink_that_is_down_loses_nothing(world: FeedWorld) -> None:
    world.follow()
    await world.settled()
    await world.harness.break_it()
    await world.customer(1, "adm1")
    await world.state(State.UNAVAILABLE)
    await world.harness.mend_it()
    await world.settled()


@pytest.mark.slow
@pytest.mark.parametrize("by_name", [True, False])
async def test_poison_is_set_aside_and_the_rest_goes_on(world: FeedWorld, by_name: bool) -> None:
    for number in range(1, 12):
        await world.customer(number, "adm1", "Gift" if number in (3, 8) else "Hof")
    sink = Picky(world.directory / "sink", by_name=by_name)
    world.follow(sink, attempts=2)
    poison = {customer(3), customer(8)}

    async def others() -> bool:
        return set(world.harness.documents()) == set(await world.stated()) - poison

    await until(others, 20)
    letters = world.ledger.letters("reference")
    assert {one.id for one in letters} == poison
    reason = "it is poison" if by_name else "builtins.RuntimeError in troubled.py"
    assert all(one.reason.startswith(reason) and one.first <= one.last for one in letters)
    if not by_name:  # tried again by itself, and then no more

        async def given_up() -> bool:
            return all(one.due is None and one.attempts == 2 for one in world.ledger.letters())

        await until(given_up, 20)
    # A sound version takes it from the list.
    await world.customer(3, "adm1", "Hof 3")
    await until(lambda: _ids(world, {customer(8)}), 20)
    # Somebody mends the sink, and asks for the other one.
    sink.refuses = False
    assert world.ledger.replay(world.ledger.letters()[0].num)
    await until(lambda: _ids(world, set()), 20)
    await world.settled()


async def _ids(world: FeedWorld, wanted: set[str]) -> bool:
    return {one.id for one in world.ledger.letters()} == wanted


@pytest.mark.slow
async def test_of_poison_no_older_version_is_left(world: FeedWorld) -> None:
    """It might show what its readers must not see any more."""
    await world.customer(1, "adm1")
    world.follow(Picky(world.directory / "sink"))
    await world.settled()
    await world.customer(1, "adm2", "Gift")
    await until(lambda: _ids(world, {customer(1)}), 20)

    async def gone() -> bool:
        return customer(1) not in world.harness.documents()

    await until(gone, 5)
    # Deleted, it is nobody's problem.
    await world.delete(customer(1))
    await until(lambda: _ids(world, set()), 20)
    await world.settled()


@pytest.mark.slow
async def test_documents_that_nobody_thought_of(world: FeedWorld) -> None:
    long, odd = "customer-" + "x" * 5000, "customer-'\" \u2028🥕/%2F"
    docs = [
        {"_id": long, "type": "customer", "companyName": "Hof"},
        {"_id": odd, "type": 7, "companyName": ["Hof"], "owner": {"a": 10**40}},
        *({"_id": f"lang-{number}-{'y' * 1900}", "type": "unbekannt"} for number in range(300)),
        {"_id": "groß", "type": "customer", "companyName": "x" * 3_000_000},
    ]
    answer = await world.admin.post(f"{DB}/_bulk_docs", json={"docs": docs})
    assert answer.status_code == 201
    design = {"views": {"v": {"map": "function (doc) { emit(doc._id) }"}}}
    assert (await world.admin.put(f"{DB}/_design/x", json=design)).status_code == 201
    world.follow()
    await world.settled()
    assert {odd, "groß"} <= set(world.harness.documents())
    assert world.harness.documents()[long][1] == frozenset()
