"""A Redis of the tests' own: one for each process of tests, emptied for each test."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NotThereError

from kompass.jobs import redis
from kompass.jobs.queues import connect
from tests.jobs.world import World
from tests.needs import require


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require("redis")
    command, url = redis.embedded(tmp_path_factory.mktemp("redis"))
    with subprocess.Popen(command.arguments, stdin=subprocess.PIPE) as process:
        connection = connect(url)
        deadline = time.monotonic() + 10
        while True:
            try:
                connection.ping()
                break
            except NotThereError:
                assert time.monotonic() < deadline, "Redis doesn't answer"
                time.sleep(0.02)
        yield url
        connection.close()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.fixture
def url(redis_server: str) -> str:
    with connect(redis_server) as connection:
        connection.flushall()
        connection.config_set("maxmemory", "64mb")
    return redis_server


@pytest.fixture
def connection(url: str) -> Iterator[Redis]:
    with connect(url) as one:
        yield one


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def world(data: Path, url: str) -> Iterator[World]:
    one = World(data, url)
    yield one
    one.store.close()
