"""What is asked for under one key is done once: whoever asks, however often, and whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from kompass.business import BusinessRules
from kompass.kept import REQUESTS
from kompass.requests import KEPT_SECONDS, LEASE_SECONDS, Kept, Requests, Standing
from kompass.server import Product
from kompass.sync.serving import Sync
from tests.api.test_documents import ANNA, BERT, GF, company, create, customer
from tests.identity.conftest import client, product, store

__all__ = ["client", "company", "product", "store"]

pytestmark = pytest.mark.slow


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"sync": partial(Sync, business=BusinessRules())}


def key(text: str) -> dict[str, str]:
    return {"idempotency-key": f'"{text}"'}


async def post(
    client: httpx.AsyncClient, name: str, text: str, auth: tuple[str, str] = GF, **members: Any
) -> httpx.Response:
    return await client.post(
        "/api/v1/customers", json=customer(name, **members), headers=key(text), auth=auth
    )


async def count(client: httpx.AsyncClient) -> int:
    return len((await client.get("/api/v1/customers", auth=GF)).json()["items"])


async def test_the_same_again_is_the_same_answer_and_one_document(client: httpx.AsyncClient) -> None:
    first = await post(client, "Hof", "a")
    assert first.status_code == 201, first.text
    again = await post(client, "Hof", "a")
    assert (again.status_code, again.content) == (201, first.content)
    for header in ("etag", "location"):
        assert again.headers[header] == first.headers[header]
    assert await count(client) == 1
    # A bare text is the same key, another person's is not.
    bare = await client.post(
        "/api/v1/customers", json=customer("Hof"), headers={"idempotency-key": "a"}, auth=GF
    )
    assert bare.content == first.content
    other = await post(client, "Hof", "a", ANNA)
    assert other.json()["_id"] != first.json()["_id"]


async def test_another_request_needs_another_key(client: httpx.AsyncClient) -> None:
    first = await post(client, "Hof", "a")
    other = await post(client, "Laden", "a")
    assert other.status_code == 422
    assert "another request" in other.json()["detail"]
    url = f"/api/v1/customers/{first.json()['_id']}"
    for headers in ({"if-match": "*"}, {"if-match": first.headers["etag"]}):
        answer = await client.delete(url, headers={**key("a"), **headers}, auth=GF)
        assert answer.status_code == 422
    assert await count(client) == 1


async def test_changes_and_deletions_are_done_once(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    seen = {"if-match": f'"{made["_rev"]}"'}
    first = await client.patch(url, json={"phone": "02251 1"}, headers={**seen, **key("b")}, auth=GF)
    again = await client.patch(url, json={"phone": "02251 1"}, headers={**seen, **key("b")}, auth=GF)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    # As it was then, though it has been changed since.
    await client.patch(url, json={"phone": "02251 2"}, headers={"if-match": "*"}, auth=GF)
    later = await client.patch(url, json={"phone": "02251 1"}, headers={**seen, **key("b")}, auth=GF)
    assert later.json()["phone"] == "02251 1"
    gone = [await client.delete(url, headers={"if-match": "*", **key("c")}, auth=GF) for _ in range(2)]
    assert [one.status_code for one in gone] == [204, 204]
    assert (await client.delete(url, headers={"if-match": "*"}, auth=GF)).status_code == 404


async def test_what_was_refused_is_judged_anew(client: httpx.AsyncClient) -> None:
    refused = await post(client, "", "d")
    assert refused.status_code == 422
    assert refused.json()["rule"] == "model.length"
    done = await post(client, "Hof", "d")
    assert done.status_code == 201
    # An id of one's own that is taken is taken, though what is there looks the same.
    for text in ("x", "y"):
        taken = await post(client, "Hof", text, _id=done.json()["_id"])
        assert taken.status_code == 409
    odd = await post(client, "Hof", "z", _id="_odd")
    assert odd.status_code == 400, odd.text
    assert (await post(client, "Laden", "z")).status_code == 201


async def test_many_at_once_make_one(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(client, "Hof", "e") for _ in range(8)))
    assert {one.status_code for one in answers} <= {201, 409}
    made = {one.json()["_id"] for one in answers if one.status_code == 201}
    assert len(made) == 1
    for one in answers:
        if one.status_code == 409:
            assert one.headers["retry-after"] == "1"
    assert await count(client) == 1


@pytest.mark.alone("it looks into the file of one process")
@pytest.mark.parametrize("lost", ["DELETE FROM requests", "UPDATE requests SET leased = 0, outcomes = NULL"])
async def test_after_a_crash_between_the_write_and_its_record_there_is_one(
    client: httpx.AsyncClient, product: Product, lost: str
) -> None:
    first = await post(client, "Hof", "f")
    comment = {"content": "Gut"}
    url = f"/api/v1/customers/{first.json()['_id']}/comments"
    told = await client.post(url, json=comment, headers=key("g"), auth=GF)
    assert told.status_code == 201, told.text
    file = product.sync.file.parent / REQUESTS
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute(lost)
    again = await post(client, "Hof", "f")
    assert (again.status_code, again.json()) == (201, first.json())
    repeated = await client.post(url, json=comment, headers=key("g"), auth=GF)
    assert repeated.json()["_id"] == told.json()["_id"]
    assert await count(client) == 1
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("DELETE FROM requests")
    other = await post(client, "Laden", "f")
    assert other.status_code == 409, other.text


async def test_a_repetition_shows_nothing_that_was_taken_away(client: httpx.AsyncClient) -> None:
    first = await post(client, "Geheim", "h", ANNA)
    assert first.json()["companyName"] == "Geheim"
    url = f"/api/v1/customers/{first.json()['_id']}"
    moved = await client.patch(url, json={"owner": "bert"}, headers={"if-match": "*"}, auth=GF)
    assert moved.status_code == 200, moved.text
    assert (await client.get(url, auth=ANNA)).status_code == 404
    again = await post(client, "Geheim", "h", ANNA)
    assert again.status_code == 201
    assert again.json() == {"_id": first.json()["_id"], "_rev": first.json()["_rev"]}
    assert (await client.get(url, auth=BERT)).status_code == 200


async def test_what_is_no_key(client: httpx.AsyncClient) -> None:
    for text in ("", '""', '"a', 'a"b', "a b", "a\tb", "x" * 201, '"' + "x" * 201 + '"'):
        headers = {"idempotency-key": text}
        answer = await client.post("/api/v1/customers", json=customer("Hof"), headers=headers, auth=GF)
        assert answer.status_code == 400, text
    assert await count(client) == 0


# -- the file --------------------------------------------------------------------------------------


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def pair(tmp_path: Path, now: list[float]) -> Iterator[tuple[Requests, Requests]]:
    """Those of two processes."""
    both = (Requests(tmp_path, clock=lambda: now[0]), Requests(tmp_path, clock=lambda: now[0]))
    yield both
    for one in both:
        one.close()


MARK, DIGEST = sha256(b"anna").digest(), sha256(b"request").digest()
DONE = Kept(201, "customers", "customer-1", "1-a")


def test_one_process_works_and_others_wait(pair: tuple[Requests, Requests]) -> None:
    for number in range(20):
        mark = sha256(str(number).encode()).digest()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda at, mark=mark: pair[at % 2].begin(mark, DIGEST)[0], range(8)))
        assert sorted(found) == [Standing.NEW] + [Standing.RUNNING] * 7


def test_what_is_done_is_known_for_a_day(pair: tuple[Requests, Requests], now: list[float]) -> None:
    one, other = pair
    assert one.begin(MARK, DIGEST) == (Standing.NEW, ())
    one.finish(MARK, [DONE, None])
    # Something of it is still to be done, by one at a time.
    assert other.begin(MARK, DIGEST) == (Standing.AGAIN, [DONE, None])
    assert one.begin(MARK, DIGEST)[0] is Standing.RUNNING
    other.finish(MARK, [DONE, DONE])
    assert one.begin(MARK, DIGEST) == (Standing.AGAIN, [DONE, DONE])
    assert one.begin(MARK, b"other")[0] is Standing.OTHER
    now[0] += KEPT_SECONDS + 1
    assert one.begin(MARK, b"other")[0] is Standing.NEW


def test_who_died_keeps_nobody_waiting_for_ever(pair: tuple[Requests, Requests], now: list[float]) -> None:
    one, other = pair
    one.begin(MARK, DIGEST)
    now[0] += LEASE_SECONDS - 1
    assert other.begin(MARK, DIGEST)[0] is Standing.RUNNING
    now[0] += 2
    assert other.begin(MARK, DIGEST) == (Standing.AGAIN, [])
    other.release(MARK)
    assert one.begin(MARK, DIGEST)[0] is Standing.AGAIN


def test_the_key_of_what_was_refused_is_free(pair: tuple[Requests, Requests]) -> None:
    one, other = pair
    one.begin(MARK, DIGEST)
    one.forget(MARK)
    assert other.begin(MARK, b"other")[0] is Standing.NEW


def test_a_clock_that_is_behind_lets_nobody_begin_what_another_works_on(
    pair: tuple[Requests, Requests], now: list[float]
) -> None:
    assert pair[0].begin(MARK, DIGEST)[0] is Standing.NEW
    for seconds in (0.01, 60):
        now[0] -= seconds
        assert pair[1].begin(MARK, DIGEST)[0] is Standing.RUNNING


def test_who_was_thought_dead_and_is_refused_takes_no_key_from_who_went_on(
    pair: tuple[Requests, Requests], now: list[float]
) -> None:
    one, other = pair
    one.begin(MARK, DIGEST)
    now[0] += LEASE_SECONDS + 1
    assert other.begin(MARK, DIGEST) == (Standing.AGAIN, [])
    one.forget(MARK)
    other.finish(MARK, [DONE])
    assert one.begin(MARK, DIGEST) == (Standing.AGAIN, [DONE])


def test_a_clock_that_was_ahead_keeps_nobody_waiting(
    pair: tuple[Requests, Requests], now: list[float]
) -> None:
    pair[0].begin(MARK, DIGEST)
    now[0] -= 3600
    assert pair[1].begin(MARK, DIGEST)[0] is Standing.AGAIN


def test_old_keys_go(pair: tuple[Requests, Requests], now: list[float], tmp_path: Path) -> None:
    for number in range(30):
        pair[0].begin(sha256(str(number).encode()).digest(), DIGEST)
    now[0] += KEPT_SECONDS + 1
    pair[0].begin(MARK, DIGEST)
    with closing(apsw.Connection(str(tmp_path / REQUESTS))) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchall() == [(1,)]
