"""What goes wrong between the driver and its server: nothing is lost, and what can't be done is said."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.couchdb import CouchStore, database
from replication.store.couchdb.endpoint import read_endpoint
from replication.store.interface import Database
from tests.relays import Fault, Relay, Wrong, answer
from tests.replication.store.writes import branch, doc, edit, replicate

pytestmark = pytest.mark.slow

ONCE = {
    "reset": Fault(Wrong.RESET),
    "lost": Fault(Wrong.LOST),
    "truncated": Fault(Wrong.TRUNCATED, passed=150),
    "late": Fault(Wrong.LATE, seconds=0.2),
    "silent": Fault(Wrong.SILENT),
    "500": Fault(Wrong.ANSWERED, answer=answer(500)),
    "503": Fault(Wrong.ANSWERED, answer=answer(503, "Retry-After: 0")),
    "429": Fault(Wrong.ANSWERED, answer=answer(429, "Retry-After: 0")),
}


@dataclass
class Way:
    store: CouchStore
    db: Database
    relay: Relay
    direct: httpx.AsyncClient
    """Of the database at the server, past the relay."""

    def fault(self, name: str, where: bytes) -> None:
        fault = ONCE[name]
        self.relay.faults = [
            Fault(fault.wrong, where, 1, fault.answer, fault.passed, fault.seconds),
        ]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long they are is tested where they are made."""
    for module in ("replicator.backoff", "store.couchdb.follower"):
        monkeypatch.setattr(f"replication.{module}.pause", lambda *args, **options: 0.02)


@pytest.fixture
async def way(remote: str, tmp_path: Path) -> AsyncIterator[Way]:
    parts = urlsplit(remote)
    assert parts.port is not None
    relay = Relay(parts.port)
    await relay.open()
    prefix = f"t{secrets.token_hex(4)}-"
    url = remote.replace(f":{parts.port}", f":{relay.port}")
    store = await CouchStore.open(
        read_endpoint(url), tmp_path / "ledgers", prefix=prefix, timeout=1.5, heartbeat=0.3
    )
    db = await store.create("test")
    path = "/" + quote(f"{prefix}test", safe="")
    async with httpx.AsyncClient(base_url=remote + path, timeout=30) as direct:
        yield Way(store, db, relay, direct)
        relay.faults = []
        await store.close()
        await relay.close()
        await direct.delete("")


@pytest.mark.parametrize("name", ONCE)
async def test_reading_survives(way: Way, name: str) -> None:
    rev = await edit(way.db, "a", x=1)
    way.fault(name, b"/_bulk_get")
    found = await way.db.winner("a")
    assert found is not None
    assert found.rev == rev
    assert way.relay.faults[0].times == 0


@pytest.mark.parametrize("name", ONCE)
async def test_what_is_replicated_is_there_once(way: Way, name: str) -> None:
    way.fault(name, b"/_bulk_docs")
    await replicate(way.db, branch("a", 2, "y", "x", n=1), branch("b", 1, "z"))
    assert way.relay.faults[0].times == 0
    assert {change.id: change.revs for change in await way.db.change_rows(0, 10, all_leaves=True)} == {
        "a": ("2-y",),
        "b": ("1-z",),
    }


@pytest.mark.parametrize("name", ONCE)
async def test_an_edit_is_made_once_or_nobody_knows(way: Way, name: str) -> None:
    """Only what has certainly not been done is done again."""
    way.fault(name, b"/_bulk_docs")
    if name in ("late", "503", "429"):
        assert (await edit(way.db, "a")).startswith("1-")
        return
    with pytest.raises(ProtocolError) as caught:
        await way.db.write([doc("a")])
    assert caught.value.status == (500 if name == "500" else 503)
    [again] = await way.db.write([doc("a")])
    assert isinstance(again, ProtocolError) == (name in ("lost", "truncated"))
    assert (await way.direct.get("/a")).json()["_rev"].startswith("1-")


async def test_a_refused_connection_is_no_request(way: Way) -> None:
    await way.relay.close()
    writing = asyncio.create_task(edit(way.db, "a"))
    await asyncio.sleep(0.01)
    await way.relay.open()
    assert (await writing).startswith("1-")


async def test_nobody_waits_for_a_server_that_is_gone(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication.store.couchdb.breaker.pause", lambda *args, **options: 2.0)
    await edit(way.db, "a")
    await way.relay.close()
    for _ in range(6):
        with pytest.raises(ProtocolError):
            await way.db.winner("a")
    began = time.monotonic()
    answers = await asyncio.gather(*(way.db.winner("a") for _ in range(200)), return_exceptions=True)
    assert time.monotonic() - began < 1.5
    for one in answers:
        assert isinstance(one, ProtocolError)
        assert (one.status, one.headers["Retry-After"]) in [(503, "1"), (503, "2")]
    await way.relay.open()
    for _ in range(20):
        await asyncio.sleep(0.2)
        try:
            assert await way.db.winner("a") is not None
            return
        except ProtocolError:
            continue
    pytest.fail("the server is back and nobody has noticed")


async def test_a_server_that_wants_to_be_left_alone_is(way: Way) -> None:
    way.relay.faults = [Fault(Wrong.ANSWERED, b"/_bulk_get", 1, answer(503, "Retry-After: 120"))]
    with pytest.raises(ProtocolError) as caught:
        await way.db.winner("a")
    assert caught.value.headers["Retry-After"] == "120"
    with pytest.raises(ProtocolError) as caught:
        await way.db.winner("a")
    assert int(caught.value.headers["Retry-After"]) > 100


async def test_one_bad_request_shuts_nobody_out(way: Way) -> None:
    way.relay.faults = [Fault(Wrong.ANSWERED, b"/_revs_diff", 100, answer(500))]
    await edit(way.db, "a")
    for _ in range(3):
        with pytest.raises(ProtocolError):
            await way.db.missing_revisions({"a": [(1, "x")]})
    assert await way.db.winner("a") is not None


# -- a copy that lags behind -------------------------------------------------------------------------


async def _as_before(way: Way, docid: str) -> bytes:
    """How a copy answers for a document that will not hear of what comes now."""
    before = await way.direct.post("/_bulk_get", params={"revs": "true"}, json={"docs": [{"id": docid}]})
    body = before.content
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def test_a_copy_that_has_not_purged_yet_is_waited_for(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PURGE_WAITS", [0.01] * 3)
    rev = await edit(way.db, "a")
    way.relay.faults = [Fault(Wrong.ANSWERED, b"/_bulk_get", 2, await _as_before(way, "a"))]
    assert await way.db.purge({"a": [parse_rev(rev)]}) == {"a": [rev]}
    assert way.relay.faults[0].times == 0
    assert (await way.db.info()).doc_count == 0
    assert await way.db.change_rows(0, 10) == []


async def test_one_that_does_not_purge_for_long_is_noticed_later(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PURGE_WAITS", [0.01] * 3)
    rev = await edit(way.db, "a")
    await edit(way.db, "b")
    way.relay.faults = [Fault(Wrong.ANSWERED, b"/_bulk_get", 100, await _as_before(way, "a"))]
    with pytest.raises(ProtocolError) as caught:
        await way.db.purge({"a": [parse_rev(rev)]})
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "10")
    way.relay.faults = []
    await way.relay.cut()
    for _ in range(500):
        if [row.id for row in await way.db.change_rows(0, 10)] == ["b"]:
            return
        await asyncio.sleep(0.02)
    pytest.fail("what was purged is still in the feed")


# -- the feed ----------------------------------------------------------------------------------------


async def _told(way: Way, docid: str) -> None:
    async with asyncio.timeout(10):
        while docid not in {change.id for change in await way.db.change_rows(0, 1000)}:
            await way.db.wait_for_change(way.db.update_seq)


async def test_a_feed_that_fell_silent_is_begun_anew(way: Way) -> None:
    """Half of a connection is gone: nothing comes, and nobody says so."""
    way.relay.faults = [Fault(Wrong.SILENT, b"feed=continuous")]
    await way.relay.cut()
    await way.direct.put("/a", json={})
    await _told(way, "a")
    await asyncio.wait_for(way.relay.gone_wrong.wait(), 10)
    await way.direct.put("/b", json={})
    await _told(way, "b")


async def test_whatever_breaks_a_reader_misses_nothing(way: Way) -> None:
    seen: dict[str, str] = {}
    revs: dict[str, str] = {}
    since = 0

    async def read() -> None:
        nonlocal since
        for row in await way.db.change_rows(since, 5):
            assert row.seq > since
            since = row.seq
            seen[row.id] = row.revs[0]

    for number in range(60):
        name = f"d{number % 30}"
        rev = {"_rev": revs[name]} if name in revs else {}
        revs[name] = (await way.direct.put(f"/{name}", json={"n": number, **rev})).json()["rev"]
        await read()
        if number % 9 == 0:
            await way.relay.cut()
    async with asyncio.timeout(20):
        while seen != revs:
            await read()
            await asyncio.sleep(0.02)


# -- attachments -------------------------------------------------------------------------------------


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65536):
        yield os.urandom(65536)


async def test_a_download_that_breaks_off_is_an_error(way: Way) -> None:
    write = doc("a")
    write.attachments = {"f": await way.db.stage_attachment(_pieces(655360), content_type="x/y")}
    [rev] = await way.db.write([write])
    assert isinstance(rev, str)
    info = (await way.db.attachments("a", parse_rev(rev)))["f"]
    way.relay.faults = [Fault(Wrong.TRUNCATED, b"/a/f", passed=100_000)]
    with pytest.raises(ProtocolError):
        [piece async for piece in way.db.read_attachment(info)]
    assert sum([len(piece) async for piece in way.db.read_attachment(info)]) == 655360


async def test_an_upload_that_breaks_off_can_be_made_again(way: Way) -> None:
    write = doc("a")
    write.attachments = {"f": await way.db.stage_attachment(_pieces(655360), content_type="x/y")}
    way.relay.faults = [Fault(Wrong.RESET, b"PUT /")]
    with pytest.raises(ProtocolError) as caught:
        await way.db.write([write])
    assert caught.value.status == 503
    [rev] = await way.db.write([write])
    assert isinstance(rev, str)
    assert (await way.direct.get("/a/f")).headers["content-length"] == "655360"


async def test_large_attachments_take_little_memory(way: Way) -> None:
    size = 16 * 1024 * 1024
    tracemalloc.start()
    try:
        write = doc("a")
        write.attachments = {"f": await way.db.stage_attachment(_pieces(size), content_type="x/y")}
        [rev] = await way.db.write([write])
        assert isinstance(rev, str)
        info = (await way.db.attachments("a", parse_rev(rev)))["f"]
        came = 0
        async for piece in way.db.read_attachment(info):
            came += len(piece)
        assert came == size
        assert tracemalloc.get_traced_memory()[1] < 6 * 1024 * 1024
    finally:
        tracemalloc.stop()


# -- secrets -----------------------------------------------------------------------------------------


async def test_no_message_has_the_password(remote: str, way: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    parts = urlsplit(remote)
    told = []
    for address in (
        f"http://admin:wrong-secret@127.0.0.1:{parts.port}",
        "http://admin:wrong-secret@127.0.0.1:9",
        "http://admin:wrong-secret@nowhere.invalid:9",
    ):
        with pytest.raises(ProtocolError) as caught:
            await CouchStore.open(read_endpoint(address), timeout=1.0)
        told.append(f"{caught.value} {caught.value.__cause__}")
    way.relay.faults = [Fault(wrong, b"/_bulk_get", 4) for wrong in (Wrong.RESET, Wrong.LOST)]
    with pytest.raises(ProtocolError) as caught:
        await way.db.winner("a")
    told.append(f"{caught.value} {caught.value.__cause__}")
    password = parts.password or "?"
    for text in (*told, caplog.text):
        assert "wrong-secret" not in text
        assert f":{password}@" not in text
