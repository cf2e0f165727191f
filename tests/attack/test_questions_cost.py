"""Questions that anybody with a login may ask must not keep everybody else waiting.

Times are the processor's, of the longest stretch in which nobody else is served.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import pytest

from kompass.sync.opening import DATABASE
from replication.http.call import MAX_QUESTION_VALUES, MAX_VALUES
from tests.attack.world import World

pytestmark = pytest.mark.slow

MOST = 0.5
"""Seconds: several times what it takes."""

WIDE = b"[" + b",".join([b"[]"] * MAX_VALUES) + b"]"
"""Six megabytes that take half a second to decode."""

MANY = [f"contact-{n}" for n in range(MAX_QUESTION_VALUES + 1)]


@contextmanager
def stretches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The longest stretches so far that the event loop worked without a pause.

    Without those of the garbage of all tests before, which is looked through when there is enough of it.
    """
    gc.collect()
    gc.freeze()
    found = [0.0]
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        found.append(max(found.pop(), time.thread_time() - began))

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.Handle, "_run", timed)
        yield found
    gc.unfreeze()


async def asked(client: httpx.AsyncClient, path: str, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/json"}
    await asyncio.sleep(0)
    return await client.post(f"/{DATABASE}/{path}", content=body, headers=headers)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "path",
    [
        "_all_docs",
        "_all_docs/queries",
        "_bulk_docs",
        "_bulk_get",
        "_changes",
        "_explain",
        "_find",
        "_index",
        "_missing_revs",
        "_revs_diff",
        "_design/open/_view/all",
    ],
)
async def test_a_body_of_many_values_is_refused_unread(
    world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await world.client("gf1")
    body = b'{"selector":{"a":%b},"docs":%b}' % (WIDE, WIDE)
    with stretches(monkeypatch) as longest:
        answer = await asked(client, path, body)
        assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
        assert longest[0] < MOST


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("path", ["contact-1", "_local/mine"])
async def test_a_document_of_many_values_is_refused_unread(
    world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await world.client("gf1")
    with stretches(monkeypatch) as longest:
        answer = await client.put(f"/{DATABASE}/{path}", content=b'{"a":%b}' % WIDE)
        assert answer.status_code == 413
        assert longest[0] < MOST


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("_find", {"selector": {"_id": {"$in": MANY}}}),
        ("_explain", {"selector": {"a": [[]] * MAX_QUESTION_VALUES}}),
        ("_find", {"selector": {"a": "x" * 2_000_000}}),
        ("_changes?filter=_selector", {"selector": {"a": [[]] * MAX_QUESTION_VALUES}}),
        ("_changes?filter=_doc_ids", {"doc_ids": MANY}),
        ("_changes?filter=_selector", {"selector": {}, "fields": [f"a.f{n}" for n in range(5001)]}),
        ("_find", {"selector": {}, "fields": [f"a.f{n}" for n in range(5001)]}),
        ("_find", {"selector": {"$or": [{"a": {"$regex": f"{'(a|b)' * 100}{n}"}} for n in range(10)]}}),
    ],
)
async def test_a_question_of_many_values_is_refused(
    world: World, path: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await world.client("gf1")
    with stretches(monkeypatch) as longest:
        answer = await asked(client, path, orjson.dumps(body))
        assert answer.status_code in (400, 413), answer.text
        assert longest[0] < MOST


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("_find", {"selector": {"_id": {"$in": MANY[: MAX_QUESTION_VALUES - 10]}}}),
        ("_changes?filter=_doc_ids", {"doc_ids": MANY[: MAX_QUESTION_VALUES - 10]}),
        ("_changes?filter=_selector", {"selector": {"$or": [{"type": {"$lt": "A"}}] * 3000}}),
        ("_all_docs", {"keys": MANY * 2}),
        ("_all_docs/queries", {"queries": [{"limit": 0}] * 10_000}),
        (
            "_changes?filter=_selector&include_docs=true",
            {"selector": {}, "fields": [f"a.{n}" for n in range(5000)]},
        ),
    ],
)
async def test_a_large_question_is_answered_and_others_have_their_turn(
    world: World, path: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await world.client("gf1")
    with stretches(monkeypatch) as longest:
        answer = await asked(client, path, orjson.dumps(body))
        assert answer.status_code == 200, answer.text
        assert longest[0] < MOST


@pytest.mark.asyncio(loop_scope="session")
async def test_administrators_of_the_server_load_what_they_want(world: World) -> None:
    client = await world.admin()
    answer = await asked(
        client, "_find", b'{"selector":{"a":%b}}' % (b"[" + b"0," * MAX_QUESTION_VALUES + b"0]")
    )
    assert answer.status_code == 200, answer.text
