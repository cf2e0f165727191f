"""Jobs go through a real Redis and RQ, and every one is done, whatever is lost on the way."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from redis import Redis

from kompass.jobs import queues as queues_module
from kompass.jobs import receivers
from kompass.jobs.acting import Means
from kompass.jobs.dispatching import ATTEMPTS, LONGEST_WAIT, Dispatcher
from kompass.jobs.judging import DAY, DOCUMENTS, WEBHOOKS, Job, job_id
from kompass.jobs.outcomes import LaterError, NeverError
from kompass.jobs.queues import Queues, QueuesUnavailableError, connect
from kompass.jobs.receivers import FIRST_REST, PATIENCE
from kompass.jobs.store import JobState, JobStore
from kompass.jobs.working import work
from tests.jobs.world import NOW, World


def test_what_is_due_is_done_and_what_is_not_waits(world: World) -> None:
    now, later = world.add(1), world.add(2, due=NOW + DAY)
    world.turn()
    assert (world.state(now), world.state(later)) == (JobState.QUEUED, JobState.PLANNED)
    world.work()
    world.turn()
    assert world.state(now) is JobState.DONE
    assert [one["recipientId"] for one in world.server.written.values()] == ["adm1"]
    assert world.queues.results() == []
    world.clock += DAY
    world.turn()
    assert world.state(later) is JobState.QUEUED


def test_a_dispatcher_that_broke_off_hands_nothing_out_twice(world: World) -> None:
    job = world.add()
    entry = world.store.entry(job)
    assert entry is not None
    world.queues.put([entry])  # and was killed before that was written down
    world.dispatcher = world.another()
    world.turn()
    assert world.waiting()[DOCUMENTS] == 1
    world.work()
    world.turn()
    assert world.state(job) is JobState.DONE
    assert len(world.server.written) == 1


def test_what_redis_has_lost_is_handed_out_again(world: World, connection: Redis) -> None:
    jobs = [world.add(number) for number in range(20)]
    world.turn()
    connection.flushall()
    for _ in range(2):  # the second look: a worker might have taken them just then
        world.turn()
    world.turn()
    world.work()
    world.turn()
    assert {world.state(one) for one in jobs} == {JobState.DONE}
    assert len(world.server.written) == 20


def test_what_a_dead_worker_had_begun_is_handed_out_again(world: World, connection: Redis) -> None:
    from rq.job import Job as RqJob
    from rq.job import JobStatus
    from rq.serializers import JSONSerializer

    job = world.add()
    world.turn()
    connection.lpop("rq:queue:kompass-documents")
    begun = RqJob.fetch(job, connection=connection, serializer=JSONSerializer)
    begun.prepare_for_execution("gone", connection.pipeline())
    begun.worker_name = "gone"
    begun.set_status(JobStatus.STARTED)
    begun.save()
    world.queues.say_alive("gone")
    world.turn()
    assert world.state(job) is JobState.QUEUED
    connection.delete("kompass:worker:gone")
    world.turn()
    assert world.state(job) is JobState.PLANNED
    world.clock += 10
    world.turn()
    world.work()
    world.turn()
    assert world.state(job) is JobState.DONE


@pytest.mark.slow
def test_a_job_that_fails_is_tried_again_then_given_up_and_replayed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.add(action="webhook:n8n", queue=WEBHOOKS)
    world.answer = {"status": 500, "milliseconds": 3, "error": "it answers 500"}
    for attempt in range(ATTEMPTS[WEBHOOKS]):
        world.turn()
        assert world.state(job) is JobState.QUEUED, attempt
        world.work()
        world.turn()
        world.clock += 3600 * 6
        if attempt == 3:
            break
    assert world.state(job) is JobState.PLANNED
    world.clock += 4 * DAY
    world.turn()
    world.work()
    world.turn()
    entry = world.store.entry(job)
    assert entry is not None
    assert (entry.state, entry.reason) == (JobState.DEAD, "it answers 500")
    assert world.store.replay(job)
    world.answer = {"status": 200, "milliseconds": 1, "error": ""}
    world.clock = time.time() + 1
    world.turn()
    world.work()
    world.turn()
    assert world.state(job) is JobState.DONE
    assert set(world.calls) == {job}


@pytest.mark.slow
def test_a_server_that_is_down_costs_no_attempt(world: World) -> None:
    job = world.add()
    world.server.down = True
    for _ in range(3):
        world.turn()
        world.work()
        world.turn()
        world.clock += 60
    entry = world.store.entry(job)
    assert entry is not None
    assert (entry.state, entry.attempts) == (JobState.PLANNED, 0)
    world.clock += 3600
    world.turn()
    world.work()
    world.turn()
    entry = world.store.entry(job)
    assert entry is not None
    assert LONGEST_WAIT / 4 <= entry.due - world.clock <= LONGEST_WAIT, "it asks less often after an hour"
    world.clock += LONGEST_WAIT
    world.server.down = False
    world.turn()
    world.work()
    world.turn()
    assert world.state(job) is JobState.DONE


@pytest.mark.slow
def test_what_is_turned_away_is_given_up_in_the_end_and_replayed(world: World) -> None:
    job = world.add()
    world.server.fails = LaterError("the server answers 403: not yours")
    for _ in range(ATTEMPTS[DOCUMENTS]):
        assert world.state(job) is JobState.PLANNED
        world.turn()
        world.work()
        world.turn()
        world.clock += 6 * 3600
    entry = world.store.entry(job)
    assert entry is not None
    assert (entry.state, entry.reason) == (JobState.DEAD, "the server answers 403: not yours")
    world.server.fails = None
    assert world.store.replay(job)
    world.turn()
    world.work()
    world.turn()
    assert world.state(job) is JobState.DONE


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues_module, "TIMEOUTS", {DOCUMENTS: 1})
    job = world.add()

    def sleeping(docid: str) -> None:
        time.sleep(30)

    monkeypatch.setattr(world.server, "document", sleeping)
    world.turn()
    began = time.monotonic()
    world.work()
    assert time.monotonic() - began < 10
    world.turn()
    entry = world.store.entry(job)
    assert entry is not None
    assert (entry.state, entry.reason, entry.attempts) == (JobState.PLANNED, "it took too long", 1)


@pytest.mark.slow
def test_an_error_that_quotes_a_document_is_told_by_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.add()

    def failing(docid: str) -> None:
        raise ValueError("GEHEIM")

    monkeypatch.setattr(world.server, "document", failing)
    world.turn()
    world.work()
    world.turn()
    entry = world.store.entry(job)
    assert entry is not None
    assert "ValueError" in entry.reason
    assert "GEHEIM" not in entry.reason


def test_what_fails_for_good_is_not_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world.add()

    def never(docid: str) -> None:
        raise NeverError("never")

    monkeypatch.setattr(world.server, "document", never)
    world.turn()
    world.work()
    world.turn()
    assert world.state(job) is JobState.DEAD


@pytest.mark.parametrize("named", ["data", "success_callback_name", "failure_callback_name"])
def test_whoever_writes_into_redis_has_no_code_run(
    world: World, connection: Redis, tmp_path: Path, named: str
) -> None:
    job, made = world.add(), tmp_path / "made"
    world.turn()
    if named != "data":
        connection.hset(f"rq:job:{job}", named, f"{__name__}.never_called")
    if named != "success_callback_name":
        connection.hset(f"rq:job:{job}", "data", json.dumps(["os.mkdir", None, [str(made)], {}]))
    NEVER_CALLED.clear()
    world.work()
    world.turn()
    assert not made.exists()
    assert not NEVER_CALLED
    done = JobState.DONE if named == "success_callback_name" else JobState.PLANNED
    assert world.state(job) is done


NEVER_CALLED: list[object] = []


def never_called(*given: object) -> None:
    """What a job in Redis names."""
    NEVER_CALLED.append(given)


def test_a_full_redis_takes_nothing_and_nothing_is_lost(world: World, connection: Redis) -> None:
    jobs = [world.add(number) for number in range(5)]
    connection.config_set("maxmemory", "1")
    with pytest.raises(QueuesUnavailableError, match="maxmemory"):
        world.turn()
    assert {world.state(one) for one in jobs} == {JobState.PLANNED}
    connection.config_set("maxmemory", "64mb")
    world.turn()
    world.work()
    world.turn()
    assert {world.state(one) for one in jobs} == {JobState.DONE}


@pytest.mark.slow
def test_a_receiver_that_fails_is_left_alone_and_then_one_job_goes_first(world: World) -> None:
    receivers.put(world.store, "n8n", "https://example.com/", ["offer.accepted"], [], "innen1")
    jobs = [world.add(number, action="webhook:n8n", queue=WEBHOOKS) for number in range(PATIENCE + 3)]
    world.answer = {"status": None, "milliseconds": 5000, "error": "no answer within 5 seconds"}
    world.turn()
    world.work()
    world.turn()
    called = len(world.calls)
    assert called == len(jobs)  # they were under way together
    world.clock += FIRST_REST - 1
    world.turn()
    world.work()
    assert len(world.calls) == called
    assert world.store.oldest_due(world.clock) is None
    other = world.add()
    assert world.store.oldest_due(world.clock) == NOW
    world.turn()
    world.work()
    world.turn()
    assert world.state(other) is JobState.DONE
    world.clock += 3600
    world.turn()
    assert world.waiting()[WEBHOOKS] == 1
    world.answer = {"status": 204, "milliseconds": 5, "error": ""}
    world.work()
    for _ in range(3):
        world.turn()
        world.work()
    world.turn()
    assert {world.state(one) for one in jobs} == {JobState.DONE}
    assert [one.error for one in receivers.history(world.store, "n8n", limit=1)] == [""]
    assert len(receivers.history(world.store, "n8n")) == len(world.calls)


@pytest.mark.slow
def test_never_more_than_a_window_is_in_redis(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kompass.jobs.dispatching.WINDOW", 7)
    jobs = [world.add(number) for number in range(20)]
    for _ in range(3):
        world.turn()
        assert world.waiting()[DOCUMENTS] <= 7
        world.work()
    for _ in range(3):
        world.turn()
        world.work()
    world.turn()
    assert {world.state(one) for one in jobs} == {JobState.DONE}


def test_a_clock_that_is_put_back_holds_up_nothing(world: World) -> None:
    world.clock = time.time()
    job = Job(job_id("x"), "offer.accepted", "notify", DOCUMENTS, "offer-1", "2-a", world.clock)
    day = Job(job_id("y"), "offer.follow_up", "notify", DOCUMENTS, "offer-1", "2-a", world.clock + DAY)
    with world.store.writing() as connection:
        world.store.add(connection, [job, day], world.clock)
    world.clock -= 30 * DAY
    world.turn()
    world.turn()
    entry = world.store.entry(day.id)
    assert entry is not None
    assert (world.state(job.id), entry.state) == (JobState.QUEUED, JobState.PLANNED)
    assert entry.due == day.due, "a day stays that day"


def test_a_mail_is_a_job_for_each_receiver(world: World) -> None:
    sent: list[tuple[str, str]] = []
    job = world.add(action="mail1", queue="mails")
    for _ in range(2):
        world.turn()
        work(
            world.url,
            f"m.{time.monotonic_ns()}",
            Means(world.server, lambda letter, ident: sent.append((letter.to, ident))),
            burst=True,
        )
        world.turn()
    assert world.state(job) is JobState.DONE
    follows = job_id(job, "adm1")
    assert sent == [("adm1@example.com", follows)]
    assert world.state(follows) is JobState.DONE


def test_nothing_is_handed_out_where_the_feed_never_came(data: Path, url: str) -> None:
    store = JobStore(data)
    job = Job(job_id("x"), "offer.accepted", "notify", DOCUMENTS, "offer-1", "2-a", 0.0)
    with store.writing() as connection:
        store.add(connection, [job], 0.0)
    dispatcher = Dispatcher(store, Queues(connect(url)))
    dispatcher.turn()
    entry = store.entry(job.id)
    assert entry is not None
    assert entry.state is JobState.PLANNED
    store.close()


def test_slow_receivers_hold_up_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kompass.jobs.dispatching.WINDOW", 5)
    for number in range(20):
        world.add(number, action="webhook:n8n", queue=WEBHOOKS)
    world.turn()
    late = world.add(99)
    world.turn()
    assert world.waiting() == {DOCUMENTS: 1, "mails": 0, WEBHOOKS: 5}
    world.work()
    assert len(world.server.written) == 1
    world.turn()
    assert world.state(late) is JobState.DONE
