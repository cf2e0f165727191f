"""What runs beside a server, and what is said where it can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from kompass import beside
from kompass.feed.registry import SinkAbsentError, create
from kompass.jobs import redis
from kompass.settings import Settings
from kompass.settings_values import FeedMode


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMPASS_FEED", "auto")


def commands(settings: Settings) -> dict[str, dict[str, str]]:
    return {one.name: dict(one.environment) for one in beside.found(settings).commands("http://x")}


def test_all_of_it_with_secrets_that_nobody_set(data: Path) -> None:
    found = commands(Settings(data=data, jobs_workers=2))
    assert list(found) == ["feed", "redis", "worker", "worker 2"]
    assert len(found["feed"]["KOMPASS_FEED_SECRET"]) >= 32
    assert len(found["worker"]["KOMPASS_JOBS_SECRET"]) >= 32
    assert found["worker"]["KOMPASS_JOBS_SECRET"] != found["feed"]["KOMPASS_FEED_SECRET"]
    assert found["worker"]["KOMPASS_REDIS_URL"].startswith("unix://")


def test_a_redis_of_ones_own_is_not_started(data: Path) -> None:
    found = commands(Settings(data=data, redis_url="redis://queue.example/3", jobs_secret="x" * 32))
    assert list(found) == ["feed", "worker"]
    assert found["worker"] == {
        "KOMPASS_JOBS_SECRET": "x" * 32,
        "KOMPASS_REDIS_URL": "redis://queue.example/3",
    }


def test_nothing_runs_where_it_is_left_to_others(data: Path) -> None:
    assert commands(Settings(data=data, feed=FeedMode.OFF)) == {}
    assert list(commands(Settings(data=data, jobs=False))) == ["feed"]


def test_without_a_redis_there_are_no_jobs_and_it_is_said_what_to_do(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    settings = Settings(data=data)
    assert list(commands(settings)) == ["feed"]
    with pytest.raises(SinkAbsentError, match="redis_url"):
        create("jobs", settings)
    create("jobs", Settings(data=data, redis_url="redis://queue.example/"))


def test_a_redis_on_the_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "find_spec", lambda name: None)
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis.program() == program


def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    command, url = redis.embedded(tmp_path / ("d" * 120))
    place = Path(url.removeprefix("unix://"))
    assert len(str(place)) < 100
    assert str(place) in command.arguments
    place.parent.rmdir()


@pytest.mark.parametrize(
    "wrong",
    [
        {"redis_url": "http://x/"},
        {"redis_url": "redis://"},
        {"mail_server": "https://x/"},
        {"jobs_secret": "short"},
        {"jobs_workers": 0},
        {"webhook_hosts": "http://x/"},
    ],
)
def test_settings_that_can_not_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]
