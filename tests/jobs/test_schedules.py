"""What happens by the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from kompass.jobs import receivers
from kompass.jobs.judging import DAY, DOCUMENTS, WEBHOOKS, ZONE, Job
from kompass.jobs.schedules import SCHEDULES, Schedules, previous
from kompass.jobs.store import JobState, JobStore, Outcome

FRIDAY = datetime(2026, 3, 6, 16, 30, tzinfo=ZONE).timestamp()
HOUR = 3600.0


class World:
    def __init__(self, data: Path) -> None:
        self.store = JobStore(data)
        self.clock = FRIDAY
        self.schedules = Schedules(self.store, now=lambda: self.clock)
        receivers.put(
            self.store, "n8n", "https://example.com/", ["schedule.weekly", "schedule.daily"], [], "innen1"
        )

    def ran(self) -> list[str]:
        self.schedules.run()
        return sorted(one.trigger for one in self.store.entries())


@pytest.fixture
def world(data: Path) -> Iterator[World]:
    one = World(data)
    yield one
    one.store.close()


def test_a_time_that_comes_makes_one_job_for_each_webhook_that_asked(world: World) -> None:
    assert world.ran() == []  # what came before the beginning is over
    world.clock += HOUR
    for _ in range(3):
        assert world.ran() == ["schedule.weekly"]
    world.clock += DAY
    assert world.ran() == ["schedule.daily", "schedule.weekly"]


def test_a_missed_time_is_made_up_for_once_within_a_day(world: World) -> None:
    world.ran()
    world.clock += 5 * DAY  # nothing ran: five mornings and one Friday
    assert world.ran() == ["schedule.daily"]


def test_a_clock_that_is_put_back_repeats_nothing(world: World) -> None:
    world.ran()
    world.clock += HOUR
    assert world.ran() == ["schedule.weekly"]
    world.clock -= 7 * DAY
    assert world.ran() == ["schedule.weekly"]
    world.clock += 7 * DAY
    assert world.ran() == ["schedule.weekly"]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: one.name)
def test_every_line_is_understood_also_when_clocks_change(schedule: object) -> None:
    for day in ("2026-03-29", "2026-10-25", "2026-12-31", "2028-02-29"):
        now = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=ZONE).timestamp()
        at = previous(schedule, now)  # type: ignore[arg-type]
        assert at <= now
        assert now - at <= 32 * DAY


def test_what_was_settled_long_ago_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kompass.jobs.store.MOST_KEPT", 5)
    jobs = [
        Job(f"{queue}-{number}", "offer.sent", "notify", queue, "offer-1", "1-a", 0.0)
        for queue in (DOCUMENTS, WEBHOOKS)
        for number in range(20)
    ]
    with world.store.writing() as connection:
        world.store.add(connection, jobs, 0.0)
    with world.store.writing() as connection:
        world.store.settle(connection, [Outcome(job.id, JobState.DONE) for job in jobs[:-1]])

    def left() -> list[str]:
        return [one.id for one in world.store.entries()]

    world.store.tidy(time.time())
    assert [one for one in left() if one.startswith(DOCUMENTS)] == [job.id for job in jobs[:20]]
    assert 1 < len([one for one in left() if one.startswith(WEBHOOKS)]) < 20
    assert jobs[-1].id in left()
    world.store.tidy(time.time() + 91 * DAY)
    assert left() == [jobs[-1].id]
