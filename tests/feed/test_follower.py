"""A sink ends up with what the documents say, whatever happens to it, to them and to the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kompass.domain.examples import smallest
from kompass.feed import follower, walker
from kompass.feed.ledger import State
from kompass.feed.sink import Batch, DocumentRejectedError, SinkUnavailableError, TooMuchError
from kompass.privacy import enrolments, tickets
from kompass.sync.index import verifying
from replication.store.sqlite import Writing
from tests.feed.reference import ReferenceSink
from tests.feed.world import DB, FeedWorld, customer, feed_world, until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[FeedWorld]:
    async with feed_world(tmp_path) as world:
        yield world


class Picky(ReferenceSink):
    """Can't store customers of some names."""

    def __init__(self, directory: Path, *, by_name: bool = False, next_generation: bool = False) -> None:
        super().__init__(directory, next_generation=next_generation)
        self.by_name = by_name
        self.refuses = True
        self.tried = 0

    async def apply(self, batch: Batch) -> None:
        self.refuse(batch)
        await super().apply(batch)

    def refuse(self, batch: Batch) -> None:
        for change in batch.changes:
            if (
                self.refuses
                and change.type == "customer"
                and change.doc
                and change.doc["companyName"] == "Gift"
            ):
                self.tried += 1
                if self.by_name:
                    raise DocumentRejectedError(change.id, "it is poison")
                raise RuntimeError("poison")


async def test_what_is_there_and_what_comes(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    assert customer(1) in world.harness.documents()
    await world.customer(2, "adm2")
    await world.customer(1, "adm2", "Hof 2")
    await world.settled()
    await world.delete(customer(2))
    await world.settled()
    assert customer(2) not in world.harness.documents()
    await world.state(State.FOLLOWING)


@pytest.mark.slow
async def test_what_is_written_shows_within_a_second(world: FeedWorld) -> None:
    world.follow()
    await world.settled()
    took = []
    for number in range(1, 6):
        await asyncio.sleep(0.3)
        await world.customer(number, "adm1")
        began = time.monotonic()
        await world.settled(20)
        took.append(time.monotonic() - began)
    assert sorted(took)[2] < 1, took


@pytest.mark.slow
async def test_purges_and_moves_reach_it(world: FeedWorld) -> None:
    tour, stay = smallest("tour"), smallest("hotel_stay")
    tour_id, stay_id = tour.pop("_id"), stay.pop("_id")
    await world.put(tour_id, **{**tour, "ownerId": "adm1"})
    await world.put(stay_id, **{**stay, "tourId": tour_id})
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    before = world.harness.documents()[stay_id]
    await world.put(tour_id, **{**tour, "ownerId": "adm2"})
    await world.settled()
    assert world.harness.documents()[stay_id][0] == before[0]
    assert world.harness.documents()[stay_id][1] != before[1]
    await world.purge(customer(1))
    await world.settled()
    assert customer(1) not in world.harness.documents()
    # And one that is purged and made again in between.
    await world.unfollow()
    await world.customer(2, "adm1")
    await world.purge(customer(2))
    await world.customer(2, "adm2")
    world.follow()
    await world.settled()
    assert customer(2) in world.harness.documents()


async def test_people_gain_and_lose(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    sales = f"sales:customer:{customer(1)}"
    assert sales in world.harness.people()["adm1"]
    await world.customer(1, "adm2")
    await world.settled()
    assert sales not in world.harness.people()["adm1"]
    assert sales in world.harness.people()["adm2"]
    await world.put("user-adm2", type="user", name="adm2", roles=["ADM"], active=False)
    await world.settled()
    assert world.harness.people()["adm2"] == frozenset()


@pytest.mark.slow
async def test_what_is_repaired_by_hand_reaches_it(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()
    index = world.product.sync.index

    def spoil(writing: Writing) -> None:
        writing.connection.execute("DELETE FROM access_entries")
        writing.connection.execute("DELETE FROM access_holdings WHERE user = 'adm1'")

    await world.database.transact(spoil)
    with world.database.reading() as reading:
        found = list(verifying.differences(reading, index))
    assert found
    await verifying.repair(world.database, index, found)
    await world.settled()
    assert world.harness.documents()[customer(1)][1]
    assert f"sales:customer:{customer(1)}" in world.harness.people()["adm1"]


class Slow(Picky):
    """Reads one document at a time, which takes it long, and keeps what it has read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.read: list[str] = []
        self.at: list[int] = []
        self.wanted: set[str] = set()
        self.given: list[str] = []

    async def apply(self, batch: Batch) -> None:
        self.refuse(batch)
        unread = [one for one in batch.changes if one.type == "customer" and one.id not in self.read]
        if unread:
            self.read.append(unread[0].id)
            raise TooMuchError("reading slowly")
        await super().apply(batch)
        self.given += (one.id for one in batch.changes)
        self.wanted.difference_update(self.given)
        self.at.append(batch.checkpoint.position)

    async def due(self) -> set[str]:
        return self.wanted


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


class Full(ReferenceSink):
    """Opens, and stores nothing."""

    async def apply(self, batch: Batch) -> None:
        raise SinkUnavailableError("the disk is full")


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
    reason = "it is poison" if by_name else "builtins.RuntimeError in test_follower.py"
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


@pytest.mark.slow
async def test_an_erasure_is_confirmed_when_the_sink_has_it(world: FeedWorld) -> None:
    await world.customer(1, "adm1")
    world.follow()
    await world.settled()

    async def enrolled() -> bool:
        with world.database.reading() as reading:
            return bool(enrolments.listed(reading, "feed-reference"))

    await until(enrolled, 10)
    now = datetime.now(UTC)
    num = await world.database.transact(
        lambda writing: tickets.add(
            writing, tickets.Kind.ERASURE, customer(1), None, now, {customer(1): "9-x"}
        )
    )
    await world.unfollow()
    world.follow()

    async def confirmed() -> bool:
        with world.database.reading() as reading:
            return "feed-reference" in tickets.acknowledged(reading, num)

    await until(confirmed, 10)
