"""Calls of one receiver go to a worker together, and each is still a job of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from redis import Redis
from rq.executions import Execution
from rq.job import Job as RqJob
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from kompass.jobs import receivers
from kompass.jobs.dispatching import MOST_TOGETHER
from kompass.jobs.judging import DOCUMENTS, WEBHOOKS
from kompass.jobs.receivers import FIRST_REST, PATIENCE
from kompass.jobs.service import View
from kompass.jobs.store import JobState
from tests.jobs.world import NOW, World


def calls(world: World, number: int, *, of: str = "n8n", first: int = 0) -> list[str]:
    """Each about a document of its own."""
    numbers = range(first, first + number)
    return [world.add(each, action=f"webhook:{of}", queue=WEBHOOKS, doc=f"offer-{each}") for each in numbers]


def states(world: World, jobs: list[str]) -> list[tuple[JobState, int, str]]:
    """State, attempts and reason of each."""
    entries = [world.store.entry(each) for each in jobs]
    return [(one.state, one.attempts, one.reason) for one in entries if one is not None]


def test_calls_of_one_receiver_go_together_and_nothing_else_does(world: World) -> None:
    jobs = calls(world, MOST_TOGETHER + 2) + calls(world, 1, of="other", first=50)
    notices = [world.add(90), world.add(91)]
    world.turn()
    bundles = world.bundles(WEBHOOKS)
    assert sorted(map(len, bundles)) == [1, 2, MOST_TOGETHER]
    assert {each for bundle in bundles for each in bundle} == set(jobs)
    assert sorted(world.bundles(DOCUMENTS)) == sorted([[each] for each in notices])
    world.work()
    assert sorted(world.calls) == sorted(jobs)
    world.turn()
    assert states(world, jobs) == [(JobState.DONE, 1, "")] * len(jobs)
    assert world.queues.known() == set()


@pytest.mark.slow
def test_what_has_failed_goes_alone(world: World) -> None:
    jobs = calls(world, 3)
    world.answer = {"status": 500, "milliseconds": 1, "error": "it answers 500"}
    world.turn()
    world.work()
    world.turn()
    assert states(world, jobs) == [(JobState.PLANNED, 1, "it answers 500")] * 3
    world.clock += 10
    world.turn()
    assert sorted(world.bundles(WEBHOOKS)) == sorted([[each] for each in jobs])


def test_a_bundle_that_was_not_written_down_is_not_handed_out_twice(world: World) -> None:
    jobs = calls(world, 3)
    world.queues.put(
        world.store.due(WEBHOOKS, world.clock, 10)
    )  # and was killed before that was written down
    jobs += calls(world, 3, first=10)
    world.dispatcher = world.another()
    world.turn()
    assert sorted(map(len, world.bundles(WEBHOOKS))) == [3, 3]
    world.work()
    world.turn()
    assert sorted(world.calls) == sorted(jobs)
    assert {state for state, *_ in states(world, jobs)} == {JobState.DONE}


@pytest.mark.slow
def test_all_of_a_bundle_that_a_dead_worker_had_begun_are_handed_out_again(
    world: World, connection: Redis
) -> None:
    jobs = calls(world, 3)
    world.turn()
    ((first, *_),) = world.bundles(WEBHOOKS)
    connection.lpop("rq:queue:kompass-webhooks")
    begun = RqJob.fetch(first, connection=connection, serializer=JSONSerializer)
    begun.worker_name = "gone"
    begun.set_status(JobStatus.STARTED)
    begun.save()
    with connection.pipeline() as pipeline:
        Execution.create(begun, 60, pipeline=pipeline, worker_name="gone")
        pipeline.execute()
    world.dispatcher = world.another()  # who knows of bundles only what Redis tells
    world.turn()
    assert states(world, jobs) == [(JobState.PLANNED, 1, "its worker has died")] * 3
    world.clock += 10
    world.turn()
    world.work()
    world.turn()
    assert sorted(world.calls) == sorted(jobs)


def test_what_somebody_may_read_is_asked_once_for_all_of_a_bundle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = calls(world, 4)
    asked: list[list[str]] = []

    def view(person: str, docids: Sequence[str]) -> View:
        asked.append(sorted(docids))
        readable = {each: world.server.documents[each] for each in docids if each != "offer-2"}
        return View(True, "", person, readable)

    monkeypatch.setattr(world.server, "view", view)
    world.turn()
    world.work()
    world.turn()
    assert asked == [["offer-0", "offer-1", "offer-2", "offer-3"]]
    assert [state for state, *_ in states(world, jobs)] == [
        JobState.DONE, JobState.DONE, JobState.NEEDLESS, JobState.DONE,
    ]  # fmt: skip
    assert jobs[2] not in world.calls


def test_calls_about_one_document_come_in_their_order(world: World) -> None:
    jobs = [
        world.add(
            number, action="webhook:n8n", queue=WEBHOOKS, due=NOW - 10 + number, doc=f"offer-{number % 2}"
        )
        for number in range(6)
    ]
    world.turn()
    assert world.bundles(WEBHOOKS) == [jobs[0:2], jobs[2:4], jobs[4:6]]


@pytest.mark.slow
def test_calls_that_failed_together_close_the_receiver_for_as_long_as_one(world: World) -> None:
    receivers.put(world.store, "n8n", "https://example.com/", ["offer.accepted"], [], "innen1")
    calls(world, PATIENCE + 4)
    world.answer = {"status": None, "milliseconds": 5000, "error": "no answer within 5 seconds"}
    world.turn()
    world.work()
    world.turn()
    found = receivers.webhook(world.store, "n8n")
    assert found is not None
    assert (found.failures, found.closed_until) == (PATIENCE, world.clock + FIRST_REST)
