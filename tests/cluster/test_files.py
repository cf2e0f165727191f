"""Files of what runs beside the servers: each process has a copy, and all say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from kompass.cluster.files import ClusterFiles
from kompass.feed.ledger import Ledger, LedgerError, State, Status
from replication.protocol.errors import ProtocolError
from tests.cluster.harness import Cluster, cluster

pytestmark = [pytest.mark.slow]


@pytest.fixture
def made() -> Iterator[Cluster]:
    with cluster() as one:
        yield one


def ledger(made: Cluster, directory: Path) -> Ledger:
    return Ledger(directory, ClusterFiles(made.member().catalogue))


def test_what_one_process_writes_the_others_read(made: Cluster, tmp_path: Path) -> None:
    a, b = ledger(made, tmp_path / "a"), ledger(made, tmp_path / "b")
    for number in range(3):
        assert a.bury("search", f"d{number}", "1-x", number, "no", None) == 1
        assert b.bury("search", f"d{number}", "1-x", number, "no", None) == 2
    a.report(Status("search", State.FOLLOWING, position=7))
    assert b.statuses()["search"].position == 7
    assert b.replay_all("search") == 3
    assert {one.attempts for one in a.letters("search")} == {0}
    a.close()
    a = ledger(made, tmp_path / "a")
    assert len(a.letters()) == 3, "it goes on where it stood"
    c = ledger(made, tmp_path / "c")
    assert c.letters() == b.letters()
    for one in (a, b, c):
        one.close()


def test_what_fails_within_a_transaction_leaves_nothing(made: Cluster, tmp_path: Path) -> None:
    a, b = ledger(made, tmp_path / "a"), ledger(made, tmp_path / "b")

    def fail() -> None:
        with a.writing() as connection:
            connection.execute("INSERT INTO rebuilds VALUES ('x', 0, 'y')")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert a.rebuild_asked("x") is None
    assert b.rebuild_asked("x") is None
    a.close()
    b.close()


def test_files_are_no_databases(made: Cluster, tmp_path: Path) -> None:
    ledger(made, tmp_path / "a").close()
    catalogue = made.members[0].catalogue
    assert catalogue.databases() == {}
    assert list(catalogue.files()) == ["file:feed.sqlite"]


def test_a_journal_that_is_away_is_said(made: Cluster, tmp_path: Path) -> None:
    one = ledger(made, tmp_path / "a")
    gone = Cluster.__new__(Cluster)
    gone.dsn, gone.members = made.dsn.replace("user=", "user=nobody_"), []
    with pytest.raises(LedgerError, match="can't be reached"):
        Ledger(tmp_path / "b", ClusterFiles(gone.member().catalogue))
    gone.members[0].close()
    with pytest.raises(LedgerError), one.writing():
        raise ProtocolError(503, "service_unavailable", "away")
    one.close()


async def test_two_write_at_once(made: Cluster, tmp_path: Path) -> None:
    ledgers = [ledger(made, tmp_path / name) for name in "ab"]

    def write(one: Ledger, which: int) -> None:
        for number in range(25):
            one.bury("s", f"{which}-{number}", "1-x", number, "why", None)

    await asyncio.gather(*(asyncio.to_thread(write, one, n) for n, one in enumerate(ledgers)))
    assert len(ledgers[0].letters(limit=1000)) == 50
    assert ledgers[0].letters(limit=1000) == ledgers[1].letters(limit=1000)
    for one in ledgers:
        one.close()
