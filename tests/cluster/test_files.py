"""Files of what runs beside the servers: each process has a copy, and all say the same."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from kompass import sqlfile
from kompass.cluster.files import ClusterFiles, play
from kompass.feed.ledger import FILE, Ledger, LedgerError, State, Status
from kompass.jobs import running
from kompass.jobs.desk import JobsDesk
from kompass.jobs.judging import Job
from kompass.jobs.store import JobState, JobStore
from kompass.settings import Settings
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import DirectoryInUseError
from tests.cluster.harness import Cluster, cluster
from tests.test_sqlfile import UnusableError, first, note, notes, third

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


def test_a_file_is_saved_now_and_then_and_who_was_away_too_long_begins_with_it(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlfile, "SAVED_EVERY", 5)
    a, b = ledger(made, tmp_path / "a"), ledger(made, tmp_path / "b")
    for number in range(22):
        a.bury("s", f"d{number}", "1-x", number, "no", None)
    entered = made.members[0].catalogue.files()["file:feed.sqlite"]
    assert (entered.kept, entered.head) == (15, 22)
    assert len(b.letters(limit=1000)) == 22, "it has begun anew"
    b.bury("s", "more", "1-x", 1, "no", None)
    assert len(a.letters(limit=1000)) == 23
    c = ledger(made, tmp_path / "c")
    assert c.letters(limit=1000) == a.letters(limit=1000)
    assert list((tmp_path / "a").rglob("*.draft*")) == []
    for one in (a, b, c):
        one.close()


def test_a_copy_that_something_else_has_changed_is_replaced(made: Cluster, tmp_path: Path) -> None:
    a, b = ledger(made, tmp_path / "a"), ledger(made, tmp_path / "b")
    a.bury("s", "d", "1-x", 1, "no", None)
    assert len(b.letters()) == 1
    connection = apsw.Connection(str(tmp_path / "b" / FILE))
    connection.execute("DELETE FROM dead")
    connection.close()
    a.bury("s", "d", "1-x", 1, "no", None)
    (letter,) = b.letters()
    assert letter.attempts == 2
    a.close()
    b.close()


def test_two_connections_of_one_process_play_an_entry_once(made: Cluster, tmp_path: Path) -> None:
    member = made.member()
    files = ClusterFiles(member.catalogue)
    writer = ledger(made, tmp_path / "w")
    both = [Ledger(tmp_path / "r", files), Ledger(tmp_path / "r", files)]
    found: list[int] = []

    def read(one: Ledger) -> None:
        found.extend(len(one.letters(limit=1000)) for _ in range(40))

    readers = [threading.Thread(target=read, args=(one,)) for one in both]
    for reader in readers:
        reader.start()
    for number in range(40):
        writer.bury("s", f"d{number}", "1-x", number, "no", None)
    for reader in readers:
        reader.join(60)
    assert len(found) == 80
    assert [len(one.letters(limit=1000)) for one in both] == [40, 40]
    for one in (writer, *both):
        one.close()


def test_jobs_are_the_same_for_all(made: Cluster, tmp_path: Path) -> None:
    shared = [ClusterFiles(made.member().catalogue) for _ in range(2)]
    sink = JobStore(tmp_path / "feed", shared=shared[0])
    desk = JobsDesk(tmp_path / "api", shared=shared[1])
    assert desk.store is not None
    job = Job("one", "trigger", "action", "default", "doc", "1-x", time.time())
    with sink.writing() as connection:
        assert sink.add(connection, [job], time.time()) == 1
    assert [entry.id for entry in desk.store.entries()] == ["one"]
    assert desk.store.drop("one")
    entry = sink.entry("one")
    assert entry is not None
    assert entry.state is JobState.DROPPED
    sink.close()
    desk.close()


def test_of_the_workers_of_a_cluster_one_hands_out(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOMPASS_JOURNAL_DSN", made.dsn)
    settings = [Settings(data=tmp_path / name) for name in "ab"]
    with running.lead_of(settings[0]) as still_led:
        assert still_led()
        with pytest.raises(DirectoryInUseError), running.lead_of(settings[1]):
            pytest.fail("another one leads")
    with running.lead_of(settings[1]) as still_led:
        assert still_led()
    monkeypatch.setenv("KOMPASS_JOURNAL_DSN", "postgresql://journal@127.0.0.1:1/journal")
    with pytest.raises(OSError, match="can't be reached"), running.lead_of(Settings(data=tmp_path)):
        pytest.fail("nobody can lead")


def test_a_newer_program_changes_the_tables_of_all_copies(made: Cluster, tmp_path: Path) -> None:
    def shared() -> ClusterFiles:
        return ClusterFiles(made.member().catalogue)

    behind = first(tmp_path / "behind" / "notes.sqlite", shared())
    old = first(tmp_path / "old" / "notes.sqlite", shared())
    note(old, "a")
    behind.close()
    newer = [third(tmp_path / name / "notes.sqlite", shared()) for name in ("behind", "new", "old2")]
    note(newer[1], "b")
    for one in newer:
        assert notes(one) == [("a", "old"), ("b", "")]
        one.close()
    with pytest.raises(UnusableError, match="is of a newer version of this program"):
        note(old, "c")
    with pytest.raises(UnusableError, match="is of a newer version of this program"):
        old.rows("SELECT * FROM notes")
    old.close()
    copy = tmp_path / "backup.sqlite"
    catalogue = made.member().catalogue
    catalogue.fetch("file:notes.sqlite", copy)
    play(copy, catalogue.journal("file:notes.sqlite").since)
    with closing(apsw.Connection(str(copy))) as connection:
        found = connection.execute("SELECT text, kind FROM notes ORDER BY num").fetchall()
    assert found == [("a", "old"), ("b", "")], "a backup needn't know the tables"
