"""The way to PostgreSQL breaks, hangs or lies dead: nobody waits for ever, and what isn't known is said."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kompass.cluster import connections as cluster_connections
from kompass.cluster import listening
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import SharedStore, SqliteDatabase
from tests.cluster.harness import Cluster, cluster
from tests.cluster.relayed import APPEND, TURN, Between, connections, through
from tests.relays import Fault, Wrong
from tests.replication.store.writes import edit

pytestmark = [pytest.mark.slow]


@dataclass
class Way:
    store: SharedStore
    db: SqliteDatabase
    relay: Between
    direct: Cluster
    reached: Cluster
    """The same through the relay."""


@pytest.fixture
async def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setattr(cluster_connections, "ANSWER_SECONDS", 3.5)
    monkeypatch.setattr(cluster_connections, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(cluster_connections, "HELD_SECONDS", 1)
    monkeypatch.setattr(listening, "LOOK_SECONDS", 2.0)
    with cluster() as made, through(made.dsn) as (relay, dsn):
        reached = Cluster(dsn, prepare=False)
        store = await reached.open(tmp_path / "a")
        await store.create("db")
        db = store.get("db")
        assert isinstance(db, SqliteDatabase)
        await edit(db, "before")
        yield Way(store, db, relay, made, reached)
        relay.faults = []
        relay.thaw()
        await store.close()
        reached.close()


LOST = {
    Wrong.RESET: False,
    Wrong.LOST: True,
    Wrong.SILENT: False,
    Wrong.MUTE: True,
}
"""What goes wrong with an append, and whether it has been done all the same."""


async def test_nobody_is_told_what_is_not_known(way: Way) -> None:
    for wrong, done in LOST.items():
        docid = wrong.name
        way.relay.faults = [Fault(wrong, APPEND, within=65536)]
        began = time.monotonic()
        with pytest.raises(ProtocolError) as caught:
            await edit(way.db, docid, n=1)
        assert time.monotonic() - began < 10
        assert caught.value.status == 503
        await way.store.fresh()
        assert (await way.db.winner(docid) is not None) == done, wrong
        # A turn that nobody can give back is taken away.
        await edit(way.db, docid + " again")
    assert way.db.lost is None


async def test_without_a_turn_nothing_is_written(way: Way) -> None:
    for wrong in LOST:
        way.relay.faults = [Fault(wrong, TURN)]
        with pytest.raises(ProtocolError) as caught:
            await edit(way.db, wrong.name)
        assert caught.value.status == 503
        assert way.relay.faults[0].times == 0
        await edit(way.db, wrong.name)


async def test_a_machine_that_is_gone_without_a_word_is_left(way: Way) -> None:
    """All connections lie dead. When there is one again, nothing has to be started anew."""
    before = connections(way.direct.dsn)
    other = await way.direct.open(way.store.directory.with_name("b"))
    there = other.get("db")
    way.relay.freeze()
    began = time.monotonic()
    asked = await asyncio.gather(
        edit(way.db, "a"), way.store.fresh(), way.store.settings(), return_exceptions=True
    )
    assert time.monotonic() - began < 8
    assert [one.status for one in asked if isinstance(one, ProtocolError)] == [503] * 3
    await edit(there, "meanwhile")
    way.relay.cut()
    way.relay.thaw()
    await way.store.fresh()
    assert await way.db.winner("meanwhile") is not None
    await edit(way.db, "after")
    await other.fresh()
    assert await there.winner("after") is not None
    await other.close()
    for _ in range(50):
        if connections(way.direct.dsn) <= before + 3:
            break
        await asyncio.sleep(0.1)
    assert connections(way.direct.dsn) <= before + 3, "the other store's, and one that listens anew"


async def test_who_listens_in_vain_notices(way: Way) -> None:
    way.relay.faults = [Fault(Wrong.SILENT, b"SELECT 1", times=-1)]
    other = await way.direct.open(way.store.directory.with_name("b"))
    listener = way.reached.members[0].listener
    heard = threading.Event()
    end = listener.listen("other", heard.set)
    # A connection that didn't answer was given up, and all are told to look.
    assert await asyncio.to_thread(heard.wait, 10)
    end()
    await other.close()


async def test_what_is_heard_is_told_at_once(way: Way) -> None:
    heard = threading.Event()
    listener = way.direct.member().listener
    number = way.store.catalogue.journal("db")._database  # type: ignore[attr-defined]
    end = listener.listen(number, heard.set)
    assert await asyncio.to_thread(heard.wait, 10)  # it listens
    for docid in ("a", "b"):
        heard.clear()
        began = time.monotonic()
        await edit(way.db, docid)
        assert await asyncio.to_thread(heard.wait, 10)
        assert time.monotonic() - began < 1.8, "sooner than all are told to look"
    end()


async def test_connections_that_were_ended_meanwhile_fail_nobody(way: Way) -> None:
    """PostgreSQL was started anew while nobody asked it anything."""
    await asyncio.gather(*(way.store.settings() for _ in range(4)))
    way.relay.cut()
    assert len(await asyncio.gather(*(way.store.settings() for _ in range(4)))) == 4
    await edit(way.db, "after")


async def test_who_finds_a_server_hanging_finds_it_for_all(way: Way) -> None:
    """Each idle connection would take as long again."""
    await asyncio.gather(*(way.store.settings() for _ in range(4)))
    way.relay.freeze()
    with pytest.raises(ProtocolError):
        await way.store.settings()
    began = time.monotonic()
    with pytest.raises(ProtocolError):
        await way.store.settings()
    assert time.monotonic() - began < cluster_connections.CONNECT_SECONDS + 1
