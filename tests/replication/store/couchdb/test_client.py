"""The way to the server: who is refused when, and as whom it is gone."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from pathlib import Path

import jwt
import pytest

from replication.protocol.errors import ProtocolError
from replication.store.couchdb import CouchStore
from replication.store.couchdb.breaker import FAILURES, LONGEST_PAUSE, Breaker
from replication.store.couchdb.endpoint import read_endpoint, read_login
from replication.store.couchdb.naming import local_name, remote_name
from tests.replication.store.writes import edit
from tests.servers import running_server


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("http://couch/", clock=clock)


def _refused(breaker: Breaker) -> int:
    """Seconds that whoever is refused is told to wait."""
    with pytest.raises(ProtocolError) as caught:
        breaker.enter()
    assert caught.value.status == 503
    return int(caught.value.headers["Retry-After"])


def test_some_failures_in_a_row_open_it(breaker: Breaker) -> None:
    for _ in range(2):
        for _ in range(FAILURES - 1):
            breaker.enter()
            breaker.failed()
        breaker.succeeded()
    for _ in range(FAILURES):
        breaker.enter()
        breaker.failed()
    assert _refused(breaker) == 1


def test_one_looks_and_the_others_wait(breaker: Breaker, clock: Clock) -> None:
    for _ in range(FAILURES):
        breaker.failed()
    clock.now += 1.01
    breaker.enter()
    assert _refused(breaker) > 1
    breaker.failed()
    assert 1 <= _refused(breaker) <= 2
    clock.now += 2.01
    breaker.enter()
    breaker.succeeded()
    for _ in range(10):
        breaker.enter()


def test_one_who_looked_and_never_told_is_not_waited_for(breaker: Breaker, clock: Clock) -> None:
    for _ in range(FAILURES):
        breaker.failed()
    clock.now += 1.01
    breaker.enter()
    clock.now += LONGEST_PAUSE + 0.01
    breaker.enter()


def test_pauses_grow_and_have_a_bound(breaker: Breaker, clock: Clock) -> None:
    for _ in range(60):
        breaker.failed()
    assert LONGEST_PAUSE / 4 - 1 <= _refused(breaker) <= LONGEST_PAUSE + 1


def test_a_server_that_says_when_is_asked_then(breaker: Breaker, clock: Clock) -> None:
    breaker.failed(90)
    assert _refused(breaker) == 90
    clock.now += 90.01
    breaker.enter()


@pytest.mark.parametrize("name", ["a", "a/b+c", "_users", "_replicator", "own", "x$y"])
def test_names_come_back_as_they_were(name: str) -> None:
    for prefix in ("", "p-"):
        assert local_name(prefix, remote_name(prefix, name)) == name
    assert not remote_name("p-", name).startswith("_")


def test_other_databases_of_the_server_are_no_business_of_the_stores() -> None:
    assert local_name("p-", "other") is None
    assert local_name("", "_users") is None
    assert local_name("", "own$secret") is None
    with pytest.raises(ProtocolError, match="too long"):
        remote_name("p-", "a" * 237)


@pytest.mark.slow
async def test_a_token_that_ran_out_is_read_anew(tmp_path: Path) -> None:
    key = b"k" * 32

    def token(seconds: float) -> str:
        claims = {"sub": "service", "_couchdb.roles": ["_admin"], "exp": time.time() + seconds}
        return jwt.encode(claims, key, "HS256", {"kid": "one"})

    options = ["--jwt-key", f"hmac:one={b64encode(key).decode()}"]
    with running_server(tmp_path / "data", options=options) as server:
        file = tmp_path / "token"
        file.write_text(token(2))
        endpoint = read_endpoint(server.origin, read_login(f"bearer @{file}"))
        store = await CouchStore.open(endpoint, tmp_path / "ledgers", prefix="t-")
        try:
            db = await store.create("test")
            await edit(db, "a")
            await asyncio.sleep(2.1)
            with pytest.raises(ProtocolError, match="service user"):
                await db.winner("a")
            file.write_text(token(60))
            assert await db.winner("a") is not None
        finally:
            await store.close()
