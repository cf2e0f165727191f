"""No reader misses a change, whatever CouchDB's feed does and whenever the process dies."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.replicator.options import Endpoint
from replication.store.couchdb.client import Client
from replication.store.couchdb.database import CouchDatabase
from replication.store.couchdb.feed import Rows
from replication.store.couchdb.follower import Follower
from replication.store.sqlite.listed import ListedDatabase
from replication.store.sqlite.schema import create
from tests.examples import examples
from tests.replication.store.couchdb.feeds import SHARDS, Cluster

NOWHERE = Client(Endpoint("http://127.0.0.1:9/"))
"""Never asked: the feed is made up."""


class Process:
    """What one process has: the ledger's file is all that is left of it."""

    def __init__(self, path: Path, cluster: Cluster, pool: ThreadPoolExecutor) -> None:
        if not path.exists():
            connection = apsw.Connection(str(path))
            create(connection, b"{}", partitioned=False)
            connection.close()
        self.ledger = CouchDatabase(
            "db", path, pool, _nothing, _ignore, client=NOWHERE, path="/db", gone=_nothing
        )
        self._follower = Follower(cluster, self.ledger, _nothing)

    async def follow(self) -> None:
        with suppress(ProtocolError):
            await self._follower.turn()

    async def close(self) -> None:
        await self.ledger.leave()


def _nothing() -> None:
    return


def _ignore(_: object) -> None:
    return


class Reader:
    """Goes on from the sequence he was given, a text, as a client does."""

    def __init__(self) -> None:
        self.since = "0"
        self.seen: dict[str, tuple[str, ...]] = {}

    async def read(self, ledger: CouchDatabase, limit: int) -> bool:
        """False at the end."""
        since = ledger.epochs.resolve(self.since, ledger.update_seq)
        rows = await ListedDatabase.change_rows(ledger, since, limit, all_leaves=True)
        for row in rows:
            assert row.seq > since
            since = row.seq
            self.seen[row.id] = row.revs
        assert len({row.id for row in rows}) == len(rows)
        self.since = ledger.epochs.format(since)
        return bool(rows)


@contextmanager
def _directory() -> Iterator[tuple[Path, ThreadPoolExecutor]]:
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(1) as pool:
        yield Path(made), pool


WRITE = st.tuples(st.just("write"), st.sampled_from("abcd"), st.booleans())
STEP = st.one_of(
    WRITE,
    WRITE,
    st.tuples(st.just("follow"), st.just(""), st.just(False)),
    st.tuples(st.just("read"), st.sampled_from("01"), st.booleans()),
    st.tuples(st.just("restart"), st.just(""), st.just(False)),
    st.tuples(st.just("fail over"), st.sampled_from("012"), st.just(False)),
    st.tuples(st.just("lose"), st.just(""), st.just(False)),
    st.tuples(st.just("make again"), st.just(""), st.just(False)),
)


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=5, max_size=40), st.integers(0, 2**32))
def test_no_reader_misses_a_change(steps: list[tuple[str, str, bool]], seed: int) -> None:
    async def run(directory: Path, pool: ThreadPoolExecutor) -> None:
        cluster = Cluster(Random(seed))
        process = Process(directory / "0", cluster, pool)
        readers = [Reader(), Reader()]
        count = ledgers = 0
        for what, which, flag in steps:
            if what == "write":
                count += 1
                revs = (f"{count}-b", f"{count}-a") if flag else (f"{count}-a",)
                cluster.write(which, revs)
            elif what == "follow":
                await process.follow()
            elif what == "read":
                await readers[int(which)].read(process.ledger, 2 if flag else 100)
            elif what == "fail over":
                cluster.fail_over(int(which))
            elif what == "make again":
                cluster.make_again()
            else:
                await process.close()
                ledgers += what == "lose"
                process = Process(directory / str(ledgers), cluster, pool)
        cluster.lives = 1000
        await process.follow()
        for reader in readers:
            while await reader.read(process.ledger, 3):
                pass
            assert {docid: reader.seen.get(docid) for docid in cluster.docs} == cluster.docs
        known = process.ledger.known(cluster.docs)
        assert {docid: entry.revs for docid, entry in known.items()} == cluster.docs
        await process.close()

    with _directory() as (directory, pool):
        asyncio.run(run(directory, pool))


def test_the_feed_that_is_made_up_does_what_it_says() -> None:
    """Every place of it leaves nothing out, and it does repeat and reorder."""
    cluster = Cluster(Random(3))
    for number, docid in enumerate("abcdefgabc"):
        cluster.write(docid, (f"{number + 1}-a",))
    rows = cluster._rows("0")
    assert len(rows) > len(cluster.docs)
    told: dict[str, tuple[str, ...]] = {}
    for place, (row, at) in enumerate(rows):
        told[row.id] = row.revs
        rest = {later.id: later.revs for later, _ in cluster._rows(at)}
        if place == len(rows) - 1:
            assert rest == {}
        assert set(told) | set(rest) == set(cluster.docs)
    for shard in range(SHARDS):
        cluster.fail_over(shard)
    assert {row.id for row, _ in cluster._rows(rows[-1][1])} == set(cluster.docs)


class Restored(Cluster):
    """Knows none of the places that were handed out before."""

    forgotten = ""

    async def page(self, since: str, limit: int) -> Rows:
        if since == self.forgotten:
            raise errors.bad_request("Malformed sequence supplied in 'since' parameter.")
        return await super().page(since, limit)


async def test_a_server_that_knows_no_place_of_ours_is_heard_from_the_beginning(tmp_path: Path) -> None:
    cluster = Restored(Random(1))
    with ThreadPoolExecutor(1) as pool:
        process = Process(tmp_path / "0", cluster, pool)
        reader = Reader()
        cluster.write("a", ("1-a",))
        await process.follow()
        await reader.read(process.ledger, 10)
        cluster.forgotten = process.ledger.position()
        cluster.write("b", ("1-b",))
        await process.follow()
        while await reader.read(process.ledger, 10):
            pass
        assert reader.seen == cluster.docs
        await process.close()


async def test_copies_that_have_counted_fewer_purges_begin_no_ledger_anew(tmp_path: Path) -> None:
    cluster = Cluster(Random(1))
    with ThreadPoolExecutor(1) as pool:
        process = Process(tmp_path / "0", cluster, pool)
        epochs = []
        for purges in (3, 2, 0, 3, 4):
            cluster.purges = purges
            await process.follow()
            epochs.append(process.ledger.epochs.current)
        assert epochs[:4] == [epochs[0]] * 4
        assert epochs[4] != epochs[0], "somebody else has purged"
        await process.close()
