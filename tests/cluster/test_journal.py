"""The journal in PostgreSQL: one turn at a time, and nothing is appended without it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kompass.cluster import connections as cluster_connections
from kompass.cluster import journal as postgres_journal
from kompass.cluster import schema
from kompass.cluster.errors import ClusterSchemaError
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import Entry, Journal, JournalForkedError, JournalGapError
from tests.cluster.harness import Cluster, cluster

pytestmark = [pytest.mark.slow]


@pytest.fixture
def made() -> Iterator[Cluster]:
    with cluster() as one:
        yield one


@pytest.fixture
def journal(made: Cluster, tmp_path: Path) -> Journal:
    (tmp_path / "base").write_bytes(b"base")
    catalogue = made.member().catalogue
    catalogue.add("db", tmp_path / "base")
    return catalogue.journal("db")


def append(journal: Journal, *texts: bytes) -> None:
    for text in texts:
        with journal.turn() as turn:
            turn.append(Entry(journal.head() + 1, text, b"{}"))


def sql(made: Cluster, statement: str) -> list[Any]:
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_entries_come_back_in_their_order(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert journal.head() == 0
    assert list(journal.since(0)) == []
    append(journal, b"a", b"\x00b", b"", b"d" * 1000)
    assert [entry.changes for entry in journal.since(0)] == [b"a", b"\x00b", b"", b"d" * 1000]
    assert [entry.num for entry in journal.since(2)] == [3, 4]
    monkeypatch.setattr(postgres_journal, "PAGE_BYTES", 10)
    assert [entry.num for entry in journal.since(0)] == [1, 2, 3]
    assert [entry.num for entry in journal.since(3)] == [4], "at least one, however large"
    monkeypatch.setattr(postgres_journal, "PAGE_ENTRIES", 2)
    assert [entry.num for entry in journal.since(0)] == [1, 2]


def test_one_turn_at_a_time(journal: Journal) -> None:
    order: list[object] = []
    inside = threading.Event()

    def other() -> None:
        with journal.turn() as turn:
            order.append([entry.num for entry in turn.since(0)])

    waiting = threading.Thread(target=other)
    with journal.turn() as turn:
        waiting.start()
        assert not inside.wait(0.3)
        order.append("first")
        turn.append(Entry(1, b"x", b"{}"))
    waiting.join(10)
    assert order == ["first", [1]]


def test_a_turn_that_appends_nothing_leaves_nothing(journal: Journal) -> None:
    with journal.turn() as turn:
        assert list(turn.since(0)) == []
    with pytest.raises(ValueError, match="no"), journal.turn():
        raise ValueError("no")
    append(journal, b"x")
    assert journal.head() == 1


def test_who_has_lost_its_connection_has_lost_its_turn(made: Cluster, journal: Journal) -> None:

    def lose() -> None:
        with journal.turn() as turn:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
            assert sql(made, f"{others} current_database() AND state = 'idle in transaction'")
            turn.append(Entry(1, b"late", b"{}"))

    with pytest.raises(ProtocolError) as caught:
        lose()
    assert caught.value.status == 503
    assert "127.0.0.1" not in caught.value.reason
    assert journal.head() == 0
    append(journal, b"next")
    assert [entry.changes for entry in journal.since(0)] == [b"next"]


def test_a_process_that_hangs_loses_its_turn(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_connections, "HELD_SECONDS", 1)
    (tmp_path / "base").write_bytes(b"base")
    made.member().catalogue.add("db", tmp_path / "base")
    hanging, other = made.member().catalogue.journal("db"), made.member().catalogue.journal("db")

    def hang() -> None:
        with hanging.turn() as turn:
            append(other, b"other")  # waits until PostgreSQL has taken the first one away
            turn.append(Entry(1, b"hung", b"{}"))

    with pytest.raises(ProtocolError) as caught:
        hang()
    assert caught.value.status == 503
    assert [entry.changes for entry in other.since(0)] == [b"other"]


def test_who_waits_too_long_is_told_so(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_connections, "TURN_SECONDS", 1)
    (tmp_path / "base").write_bytes(b"base")
    made.member().catalogue.add("db", tmp_path / "base")
    first, second = made.member().catalogue.journal("db"), made.member().catalogue.journal("db")
    with first.turn() as turn:
        with pytest.raises(ProtocolError) as caught, second.turn():
            pytest.fail("it isn't its turn")
        assert caught.value.status == 503
        assert "waiting" in caught.value.reason
        turn.append(Entry(1, b"x", b"{}"))


def test_what_is_not_kept_any_more_is_no_empty_answer(
    made: Cluster, journal: Journal, tmp_path: Path
) -> None:
    append(journal, b"a", b"b", b"c")
    catalogue = made.members[0].catalogue
    catalogue.add_base("db", 2, tmp_path / "base")
    assert [entry.num for entry in journal.since(0)] == [1, 2, 3], "the older base still needs them"
    catalogue.add_base("db", 3, tmp_path / "base")
    assert catalogue.databases()["db"].kept == 2
    assert [entry.num for entry in journal.since(2)] == [3]
    assert [entry.num for entry in journal.since(0)] == [3], "the player sees the gap"
    catalogue.add_base("db", 3, tmp_path / "base", keep=1)
    with pytest.raises(JournalGapError):
        journal.since(1)
    with pytest.raises(JournalForkedError):
        journal.since(4)


def test_everybody_hears_of_an_entry(made: Cluster, journal: Journal) -> None:
    heard = threading.Event()
    other = made.member().catalogue.journal("db")
    end = other.listen(heard.set)
    while not heard.wait(0.1):
        append(journal, b"x")  # until it listens
    heard.clear()
    append(journal, b"y")
    assert heard.wait(10)
    end()


async def test_a_server_that_is_away_is_a_clear_503(made: Cluster, journal: Journal) -> None:
    gone = Cluster.__new__(Cluster)
    gone.dsn, gone.members = made.dsn.replace("user=", "user=nobody_"), []
    member = gone.member()
    try:
        for ask in (member.catalogue.databases, lambda: member.catalogue.journal("db")):
            with pytest.raises(ProtocolError) as caught:
                await asyncio.to_thread(ask)
            assert caught.value.status == 503
    finally:
        member.close()


def test_tables_of_another_version_are_refused(made: Cluster) -> None:
    with psycopg.connect(made.dsn, autocommit=True) as connection:
        assert not schema.prepare(connection)
        connection.execute("UPDATE kompass_cluster.version SET number = 99")
        with pytest.raises(ClusterSchemaError, match="99"):
            schema.check(connection)
        connection.execute("DROP SCHEMA kompass_cluster CASCADE")
        with pytest.raises(ClusterSchemaError, match="init"):
            schema.check(connection)


def test_a_journal_that_lost_its_end_is_not_taken_for_the_same(journal: Journal) -> None:
    def add(num: int, mark: str, after: str) -> None:
        with journal.turn() as turn:
            turn.append(Entry(num, b"x", b"{}", mark, after))

    add(1, "a", "")
    add(2, "b", "a")
    assert list(journal.since(2, "b")) == []
    assert [(entry.mark, entry.after) for entry in journal.since(0)] == [("a", ""), ("b", "a")]
    for num, mark in ((2, "other"), (3, "c")):
        with pytest.raises(JournalForkedError):
            journal.since(num, mark)
        with pytest.raises(JournalForkedError), journal.turn() as turn:
            turn.since(num, mark)
