"""The issuer's keys: rotation, outage, and nobody who makes us ask all the time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from jwt.algorithms import RSAAlgorithm
from starlette.responses import Response

from kompass.identity.keys import INTERVAL, MAX_AGE, MAX_BYTES, KeySet, read_keys
from replication.protocol.errors import ProtocolError
from tests.identity.conftest import KEYS, Issuer, new_key
from tests.in_process import serving


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def keys(issuer: Issuer, clock: Clock) -> AsyncIterator[KeySet]:
    keys = KeySet(f"{issuer.name}/protocol/openid-connect/certs", clock=clock)
    yield keys
    await keys.close()


async def status(keys: KeySet, kid: str) -> int:
    refused = None
    try:
        await keys.key(kid)
    except ProtocolError as error:
        refused = error
    if refused is None:
        return 200
    assert (refused.status == 503) == ("Retry-After" in refused.headers)
    return refused.status


async def test_keys_are_fetched_once(keys: KeySet, issuer: Issuer) -> None:
    found = await asyncio.gather(*[keys.key("one") for _ in range(20)])
    assert {key.public_numbers().n for key in found} == {KEYS["one"].public_key().public_numbers().n}
    assert issuer.asked == 1


async def test_a_new_key_is_fetched_when_it_is_first_seen(keys: KeySet, issuer: Issuer, clock: Clock) -> None:
    assert await status(keys, "one") == 200
    issuer.published = ["one", "two"]
    clock.now += INTERVAL
    assert await status(keys, "two") == 200
    assert issuer.asked == 2


async def test_invented_key_ids_make_one_fetch_in_a_while(keys: KeySet, issuer: Issuer, clock: Clock) -> None:
    assert await status(keys, "invented") == 401
    assert await status(keys, "invented") == 401
    assert {await status(keys, f"invented-{place}") for place in range(50)} == {503}
    assert issuer.asked == 1
    assert await status(keys, "one") == 200
    clock.now += INTERVAL
    assert await status(keys, "invented-1") == 401
    assert issuer.asked == 2


async def test_known_keys_go_on_while_the_issuer_is_down(keys: KeySet, issuer: Issuer, clock: Clock) -> None:
    assert await status(keys, "one") == 200
    issuer.down = True
    for _ in range(5):
        clock.now += MAX_AGE
        assert await status(keys, "one") == 200
        assert await status(keys, "two") == 503
    issuer.down, issuer.published = False, ["one", "two"]
    clock.now += INTERVAL
    assert await status(keys, "two") == 200


async def test_nothing_is_known_while_the_issuer_was_never_reached(
    keys: KeySet, issuer: Issuer, clock: Clock
) -> None:
    issuer.down = True
    assert await status(keys, "one") == 503
    assert await status(keys, "one") == 503
    assert issuer.asked == 1
    issuer.down = False
    clock.now += INTERVAL
    assert await status(keys, "one") == 200


async def test_a_withdrawn_key_stops_counting(keys: KeySet, issuer: Issuer, clock: Clock) -> None:
    assert await status(keys, "one") == 200
    issuer.published = ["two"]
    clock.now += MAX_AGE
    assert await status(keys, "one") == 200  # fetched again in the background
    async with asyncio.timeout(5):
        while issuer.asked < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await keys.refresh()
    clock.now += INTERVAL
    assert await status(keys, "one") == 401


async def test_nobody_listens_there(clock: Clock) -> None:
    keys = KeySet("http://127.0.0.1:9/certs", clock=clock)
    assert await status(keys, "one") == 503
    await keys.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"keys": 5}', b"<html>", b'{"keys": [' + b" " * MAX_BYTES + b"]}"],
)
async def test_answers_that_are_no_keys_change_nothing(body: bytes, clock: Clock) -> None:
    answers = [Issuer().key_set().encode(), body]

    async def app(scope: object, receive: object, send: object) -> None:
        await Response(answers.pop(0) if len(answers) > 1 else answers[0])(scope, receive, send)  # type: ignore[arg-type]

    async with serving(app) as url:
        keys = KeySet(f"{url}/certs", client=httpx.AsyncClient(), clock=clock)
        assert await status(keys, "one") == 200
        clock.now += MAX_AGE
        assert await keys.refresh() is False
        assert await status(keys, "one") == 200
        await keys.close()


def test_only_rsa_keys_for_signing_count() -> None:
    good = {**RSAAlgorithm.to_jwk(KEYS["one"].public_key(), as_dict=True), "kid": "good"}
    short = {**RSAAlgorithm.to_jwk(new_key(1024).public_key(), as_dict=True), "kid": "short"}
    listed = [
        good,
        short,
        {**good, "kid": "for-encryption", "use": "enc"},
        {**good, "kid": "other", "alg": "RS512"},
        {**good, "kid": 5},
        {"kty": "oct", "k": "AAAA", "kid": "shared"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "empty"},
        "text",
        None,
    ]
    assert list(read_keys(json.loads(json.dumps({"keys": listed})))) == ["good"]
