"""A CouchDB that lags, forgets for a while, and says half the truth: it has everything in the end, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.cluster.mirror import showing
from replication.protocol.errors import ProtocolError
from tests.cluster.test_mirror import World, couchdb
from tests.replication.store.writes import doc, edit

pytestmark = [pytest.mark.slow]


class Lying(httpx.AsyncBaseTransport):
    """Between a process and CouchDB: changes what is answered."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.lies: dict[str, Callable[[Any], Any]] = {}
        """By a part of the path, what the JSON of an answer becomes; each once."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        for part in self.lies:
            if part in request.url.path:
                told = json.loads(await answer.aread())
                changed = self.lies.pop(part)(told)
                await answer.aclose()
                return httpx.Response(answer.status_code, json=changed, request=request)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(showing, "PAUSES", (0.05,))
    async with couchdb(tmp_path / "couchdb") as url:
        made = World(tmp_path / "here", url)
        await made.open()
        yield made
        await made.close()
        await made.remote.close()
        await made.client.aclose()


@pytest.fixture
def lying(world: World) -> Lying:
    connection = world.remote._connection
    connection._transport = Lying(connection._transport)
    assert isinstance(connection._transport, Lying)
    return connection._transport


async def pushed(world: World, docid: str) -> None:
    """As a device, which tries again."""
    for _ in range(100):
        with suppress(ProtocolError):
            await edit(world.db, docid)
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it is never taken")


def failed(docid: str, error: str) -> Callable[[Any], Any]:
    return lambda told: [*told, {"id": docid, "error": error, "reason": "a node is away"}]


async def test_what_a_node_could_not_store_among_others_is_sent_again(world: World, lying: Lying) -> None:
    lying.lies["_bulk_docs"] = failed("d1", "internal_server_error")
    with pytest.raises(ProtocolError) as caught:
        await world.db.write([doc(f"d{number}") for number in range(3)])
    assert caught.value.status == 503, "nobody knows yet"
    await pushed(world, "later")
    assert (await world.client.get("_all_docs")).json()["total_rows"] == 4
    assert world.mirror.shown.refused == ()


async def test_what_was_refused_for_a_moment_is_brought_by_the_leader(world: World, lying: Lying) -> None:
    assert isinstance(lying, Lying)
    real = lying._inner

    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "_bulk_docs" not in request.url.path:
                return await real.handle_async_request(request)
            docs = json.loads(await request.aread())["docs"]
            rows = [{"id": one["_id"], "rev": one["_rev"], "error": "unknown_error"} for one in docs]
            return httpx.Response(201, json=rows, request=request)

    lying._inner = Refusing()
    await edit(world.db, "a")
    assert [one.id for one in world.mirror.shown.refused] == ["a"]
    await world.keeper.look()
    lying._inner = real
    assert (await world.client.get("a")).status_code == 404
    await world.keeper.look()
    assert (await world.client.get("a")).status_code == 200, "the checkpoint was past it"


async def test_a_revision_that_a_node_lacks_yet_comes_in_later(world: World, lying: Lying) -> None:
    await world.client.put("strange", json={"n": 1})
    missing = {"id": "strange", "docs": [{"error": {"id": "strange", "error": "not_found"}}]}
    lying.lies["_bulk_get"] = lambda told: {"results": [missing]}
    lying.lies["/strange"] = lambda told: []
    await world.keeper.look()
    assert await world.db.winner("strange") is None
    lying.lies.clear()
    await world.keeper.look()
    assert await world.db.winner("strange") is not None, "the checkpoint was past it"
    await world.keeper.look()
    assert world.keeper.strange.taken == 1


async def test_a_feed_that_lags_repeats_and_goes_back_shows_nothing_twice(world: World, lying: Lying) -> None:
    for docid in ("ours", "theirs"):
        await edit(world.db, docid)
    for docid in ("first", "second"):
        await world.client.put(docid, json={})

    def lagging(told: Any) -> Any:
        return {**told, "results": told["results"][:-1], "last_seq": told["results"][-2]["seq"], "pending": 0}

    kept: list[Any] = []
    lying.lies["_changes"] = lagging
    await world.keeper.look()
    await world.keeper.look()
    assert world.keeper.strange.taken == 2

    def again(told: Any) -> Any:
        kept.append(told)
        return {**everything, "last_seq": told["last_seq"]}

    everything = (await world.client.get("_changes", params={"style": "all_docs"})).json()
    await edit(world.db, "more")
    lying.lies["_changes"] = again
    await world.keeper.look()
    assert kept
    assert world.keeper.strange.taken == 2
    # What it says of itself is of before.
    lying.lies["/db"] = lambda told: {**told, "update_seq": "0"} if "update_seq" in told else told
    await world.client.put("third", json={})
    await world.keeper.look()
    await world.keeper.look()
    assert world.keeper.strange.taken == 3
    rows = (await world.client.get("_all_docs")).json()["total_rows"]
    assert rows == (await world.db.info()).doc_count


async def test_what_is_no_answer_is_none(world: World, lying: Lying) -> None:
    for nonsense in ({"ok": True}, [{"id": "nobody asked"}], "text"):
        lying.lies["_bulk_docs"] = lambda told, nonsense=nonsense: nonsense  # type: ignore[misc]
        with pytest.raises(ProtocolError) as caught:
            await edit(world.db, f"a{nonsense}")
        assert caught.value.status == 503
        await pushed(world, f"after {nonsense}")
    assert (await world.client.get("_all_docs")).json()["total_rows"] == 6
