"""Which jobs the sink stores: when it begins, goes on, is rebuilt, and meets another database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
import pytest_asyncio

from kompass.feed.sink import (
    Batch,
    Change,
    Checkpoint,
    Forgetting,
    PersonAccess,
    Sink,
    SinkUnavailableError,
)
from kompass.jobs.judging import DAY
from kompass.jobs.sink import JobsSink
from kompass.jobs.store import JobState, JobStore

ALL = frozenset({"all:offer"})
START = 1_772_953_200.0
"""Eight in the morning of 8 March 2026, in Germany."""


class World:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = JobStore(directory)
        self.clock = START

    def sink(self) -> JobsSink:
        return JobsSink(self.directory, busy=0.1, now=lambda: self.clock)

    def jobs(self, state: JobState | None = None) -> list[tuple[str, str, str]]:
        found = self.store.entries(state and state.value, limit=1000)
        return sorted((one.trigger, one.action, one.doc) for one in found)

    def webhook(self, *events: str, person: str = "innen1", name: str = "n8n") -> None:
        with self.store.writing() as connection:
            connection.execute(
                "INSERT INTO webhooks (name, url, secret, events, fields, person, active, made)"
                " VALUES (?, '', '', ?, '[]', ?, 1, 0)",
                (name, orjson.dumps(events).decode(), person),
            )


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    one = World(tmp_path)
    yield one
    one.store.close()


def offer(position: int, status: str, number: int = 1, **more: Any) -> Change:
    docid = f"offer-{number}"
    doc = {"_id": docid, "type": "offer", "status": status, **more}
    return Change(docid, position, f"{position}-a", doc if status else None, ALL if status else frozenset())


def batch(*changes: Change, latest: int = 0, epoch: str = "e", people: Any = ()) -> Batch:
    position = max((one.position for one in changes), default=1)
    return Batch(changes, Checkpoint(epoch, f"{position}-{epoch}", position), people, latest)


async def opened(world: World) -> Sink:
    sink = world.sink()
    await sink.open()
    return sink


ACCEPTED = [("offer.accepted", "mail1", "offer-1"), ("offer.accepted", "notify", "offer-1")]


async def test_what_was_there_before_the_beginning_is_no_event(world: World) -> None:
    sink = await opened(world)
    await sink.apply(batch(latest=5))
    await sink.apply(batch(offer(3, "accepted"), offer(5, "accepted", 2), latest=7))
    assert world.jobs() == []
    await sink.apply(batch(offer(7, "accepted", 1), offer(8, "accepted", 3), latest=8))
    assert world.jobs() == [(*one[:2], "offer-3") for one in ACCEPTED]
    await sink.close()


async def test_a_batch_that_comes_again_makes_no_job_again(world: World) -> None:
    sink = await opened(world)
    await sink.apply(batch())
    one = batch(offer(2, "accepted"))
    for _ in range(3):
        await sink.apply(one)
    assert world.jobs() == ACCEPTED
    await sink.close()


async def test_other_readers_are_no_event(world: World) -> None:
    world.webhook("offer.updated")
    sink = await opened(world)
    innen = PersonAccess("innen1", True, frozenset(), ALL)
    await sink.apply(batch(offer(1, "draft"), people=[innen]))
    moved = offer(1, "draft")
    await sink.apply(batch(Change(moved.id, 2, moved.rev, moved.doc, ALL | {"x"})))
    assert world.jobs() == []
    await sink.apply(batch(offer(3, "draft")))
    assert world.jobs() == [("offer.updated", "webhook:n8n", "offer-1")]
    await sink.close()


async def test_a_webhook_hears_nothing_of_what_its_person_may_not_read(world: World) -> None:
    world.webhook("offer.created", person="adm1", name="one")
    world.webhook("offer.created", person="niemand", name="two")
    world.webhook("offer.created", "offer.deleted", person="innen1", name="three")
    people = [
        PersonAccess("adm1", True, frozenset(), frozenset({"own:offer:adm1"})),
        PersonAccess("innen1", True, frozenset(), ALL),
    ]
    sink = await opened(world)
    await sink.apply(batch(people=people))
    await sink.apply(batch(offer(2, "draft")))
    await sink.apply(batch(offer(3, "")))
    assert world.jobs() == [
        ("offer.created", "webhook:three", "offer-1"),
        ("offer.deleted", "webhook:three", "offer-1"),
    ]
    await sink.close()


async def test_a_rebuild_makes_no_job_again_and_misses_none(world: World) -> None:
    sink = await opened(world)
    await sink.apply(batch())
    await sink.apply(batch(offer(2, "accepted"), offer(3, "sent", 2), offer(4, "draft", 3)))
    assert world.jobs() == ACCEPTED
    other = await sink.rebuilding()
    # Meanwhile the second is edited, which the old one doesn't see any more, and the third is accepted.
    await other.apply(batch(offer(2, "accepted"), latest=9))
    await other.apply(batch(offer(7, "sent", 2), offer(8, "accepted", 3), offer(9, "accepted", 4)))
    assert world.jobs() == ACCEPTED
    await other.switch()
    await sink.close()
    assert world.jobs() == sorted([(*one[:2], f"offer-{number}") for one in ACCEPTED for number in (1, 3, 4)])
    await other.apply(batch(offer(10, "accepted", 1), offer(11, "accepted", 2)))
    assert len(world.jobs()) == 8
    await other.close()


async def test_a_rebuild_plans_the_days_that_documents_name_now(world: World) -> None:
    sink = await opened(world)
    sent = {"sentAt": "2026-03-08T10:00:00Z"}
    await sink.apply(batch())
    await sink.apply(batch(offer(2, "draft", 1), offer(5, "accepted", 2, **sent)))
    other = await sink.rebuilding()
    # The first one is sent, which the old one doesn't see any more; of the second it has seen more already.
    await other.apply(batch(offer(4, "sent", 2, **sent), offer(6, "sent", 1, **sent), latest=9))
    await other.switch()
    await sink.close()
    planned = [one for one in world.store.entries("planned") if one.trigger == "offer.follow_up"]
    assert {one.doc for one in planned} == {"offer-1"}
    assert len({one.due for one in planned}) == 4
    await other.close()


async def test_another_database_is_only_looked_at(world: World) -> None:
    sink = await opened(world)
    await sink.apply(batch())
    await sink.apply(batch(offer(2, "draft")))
    other = await sink.rebuilding()
    await other.apply(batch(latest=20, epoch="other"))
    await other.apply(batch(offer(12, "accepted"), offer(20, "accepted", 2), epoch="other", latest=21))
    await other.apply(batch(offer(21, "accepted", 3), epoch="other"))
    await other.switch()
    await sink.close()
    assert world.jobs() == [(*one[:2], "offer-3") for one in ACCEPTED]
    await other.close()


async def test_days_are_planned_moved_and_taken_back(world: World) -> None:
    sink = await opened(world)
    # Also of what was there before.
    await sink.apply(batch(offer(1, "sent", sentAt="2026-03-08T10:00:00Z"), latest=5))
    planned = world.store.entries("planned")
    follow_up = [one for one in planned if one.trigger == "offer.follow_up" and one.action == "notify"]
    assert [round((one.due - START) / DAY) for one in sorted(follow_up, key=lambda one: one.due)] == [
        3,
        7,
        14,
        21,
    ]
    await sink.apply(batch(offer(2, "sent", sentAt="2026-03-08T10:00:00Z", notes="x")))
    assert len(world.store.entries("planned")) == len(planned)
    await sink.apply(batch(offer(3, "viewed", sentAt="2026-03-09T10:00:00Z")))
    assert {one.id for one in world.store.entries("planned")}.isdisjoint({one.id for one in planned})
    await sink.apply(batch(offer(4, "viewed", sentAt="2026-03-08T10:00:00Z")))
    assert {one.id for one in world.store.entries("planned")} == {one.id for one in planned}
    await sink.apply(batch(offer(5, "accepted", sentAt="2026-03-08T10:00:00Z")))
    assert world.jobs(JobState.PLANNED) == []
    await sink.close()


async def test_a_deleted_document_needs_none_of_its_days(world: World) -> None:
    sink = await opened(world)
    await sink.apply(batch(offer(1, "sent", sentAt="2026-03-08")))
    assert world.jobs(JobState.PLANNED) != []
    await sink.apply(batch(offer(2, "")))
    assert world.jobs(JobState.PLANNED) == []
    await sink.close()


async def test_what_was_erased_is_off_the_file_once_it_is_forgotten(world: World) -> None:
    def said() -> bool:
        files = [one for one in world.directory.rglob("*") if one.is_file()]
        return any(b"zwetschgenbaron" in one.read_bytes().lower() for one in files)

    def customer(position: int, name: str) -> Change:
        doc = {"_id": "customer-1", "type": "customer", "companyName": name}
        return Change("customer-1", position, f"{position}-a", doc, ALL)

    sink = await opened(world)
    await sink.apply(batch(customer(1, "Hof Zwetschgenbaron")))
    await sink.apply(batch(customer(2, "Anonymer Kunde")))
    assert said()
    assert isinstance(sink, Forgetting)
    reader = apsw.Connection(str(world.store.path))
    reading = reader.execute("SELECT * FROM documents UNION ALL SELECT 1, 2, 3, 4, 5, 6, 7")
    next(reading)
    with pytest.raises(SinkUnavailableError):
        await sink.forget()  # somebody reads
    reader.close(True)
    await sink.forget()
    assert not said()
    assert [one.trigger for one in world.store.entries()].count("customer.renamed") == 0, "nobody asked"
    await sink.close()
