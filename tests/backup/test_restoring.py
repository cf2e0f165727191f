"""What a server's directory is after a restore, and who may use it before that is finished."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import apsw
import pytest

from kompass.backup import restoring, sealing
from kompass.backup.errors import BackupError
from kompass.backup.moment import moment
from kompass.business import numbers
from kompass.domain.series import SeriesTable
from kompass.privacy import journal
from replication.store.sqlite.lock import UNFINISHED, DirectoryUnfinishedError, lock_directory
from replication.store.sqlite.store import SqliteStore
from tests.backup.company import CHANGED, Company, run, tables
from tests.sync.gate_world import customer


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 1024)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    company = Company(tmp_path_factory.mktemp("filled"))
    company.fill()
    return company.place


@pytest.fixture
def company(filled: Path, tmp_path: Path) -> Company:
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return Company(tmp_path)


def test_every_row_of_every_database_comes_back(company: Company, tmp_path: Path) -> None:
    before = tables(company.data)
    company.backup()
    told = company.restore(tmp_path / "new")
    assert told.exit_code == 0, told.output
    after = tables(tmp_path / "new")
    assert before.keys() == after.keys()
    assert {name for name in before if name[1] != "epochs" and before[name] != after[name]} == CHANGED
    for place in before:
        if place[1] == "epochs":
            assert len(after[place]) == len(before[place]) + 1
    for name in ("audit_entries", "business_numbers", "conflicts", "attachments", "chunks", "gate_revisions"):
        found = [rows for (_, table), rows in after.items() if table == name]
        assert any(found), f"{name}: nothing to compare"
    assert (tmp_path / "new/audit-keys.json").read_bytes() == (company.data / "audit-keys.json").read_bytes()
    assert run("doctor", "--data", tmp_path / "new").exit_code == 0
    assert run("verify-audit", "--data", tmp_path / "new").exit_code == 0
    # The chain says where it was restored, once.
    assert run("doctor", "--data", tmp_path / "new").exit_code == 0
    later = tables(tmp_path / "new")["kompass.sqlite", "audit_entries"]
    (told,) = [json.loads(row[2]) for row in later if row not in before["kompass.sqlite", "audit_entries"]]
    assert (told["action"], told["document"], told["backup"]) == ("RESTORE", "_database", 1)
    assert told["lost"] is None, "nobody knows"


def test_readers_of_what_came_after_the_backup_are_not_believed(company: Company, tmp_path: Path) -> None:
    company.backup()
    company.change()

    async def lost() -> tuple[str, int]:
        world = await company.open()
        try:
            return world.database.epochs.current, world.database.update_seq
        finally:
            await world.close()

    epoch, ahead = asyncio.run(lost())
    company.restore(tmp_path / "new")

    async def look() -> None:
        world = await company.open(tmp_path / "new")
        epochs, latest = world.database.epochs, world.database.update_seq
        assert latest < ahead
        assert epochs.current != epoch
        assert epochs.resolve(f"{ahead}-{epoch}", latest) == latest
        assert epochs.resolve(f"3-{epoch}", latest) == 3
        await world.close()

    asyncio.run(look())
    # Restored once more, nobody is believed who has seen what came in between.
    company.restore(tmp_path / "again")

    async def other() -> str:
        world = await company.open(tmp_path / "new")
        try:
            return world.database.epochs.current
        finally:
            await world.close()

    between = asyncio.run(other())

    async def look_again() -> None:
        world = await company.open(tmp_path / "again")
        assert world.database.epochs.resolve(f"5-{between}", 100) == 0
        await world.close()

    asyncio.run(look_again())


def test_checkpoints_of_replications_go_and_other_local_documents_stay(
    company: Company, tmp_path: Path
) -> None:
    company.backup()
    company.restore(tmp_path / "new")
    after = tables(tmp_path / "new")
    assert [row[0] for row in after["kompass.sqlite", "local"]] == ["settings"]
    assert [row[:2] for row in after["kompass.sqlite", "personal_local"]] == [("adm1", "notes")]


def test_sessions_end_and_the_server_keeps_its_name(company: Company, tmp_path: Path) -> None:
    company.backup()
    company.restore(tmp_path / "new")
    before, after = (
        json.loads((place / "server.json").read_text()) for place in (company.data, tmp_path / "new")
    )
    assert before["uuid"] == after["uuid"]
    assert before["secret"] != after["secret"]
    assert (tmp_path / "new/server.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_any_of_the_kept_backups_can_be_had(company: Company, tmp_path: Path) -> None:
    company.backup()
    first = datetime.now().astimezone()
    company.change(10)
    company.backup()
    company.change(11)
    company.backup()

    def has(place: Path) -> list[bool]:
        ids = {row[0] for row in tables(place)["kompass.sqlite", "docs"]}
        return [customer(number) in ids for number in (10, 11)]

    company.restore(tmp_path / "latest")
    company.restore(tmp_path / "second", "--backup", 2)
    assert company.restore(tmp_path / "first", "--at", first.isoformat()).exit_code == 0
    assert has(tmp_path / "latest") == [True, True]
    assert has(tmp_path / "second") == [True, False]
    assert has(tmp_path / "first") == [False, False]
    early = company.restore(tmp_path / "x", "--at", (first - timedelta(days=2)).isoformat())
    assert "the first backup is of" in str(early.exception)
    assert "has 1, 2, 3" in str(company.restore(tmp_path / "x", "--backup", 9).exception)
    assert "give a moment" in str(company.restore(tmp_path / "x", "--at", "gestern").exception)


# -- where it is restored ------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_there_is_not_touched_unless_it_is_asked_for(company: Company) -> None:
    company.backup()
    company.change()
    before = tables(company.data)
    told = company.restore(company.data)
    assert told.exit_code == 1
    assert "isn't empty" in str(told.exception)
    assert tables(company.data) == before
    assert not (company.data / UNFINISHED).exists()
    told = company.restore(company.data, "--replace")
    assert told.exit_code == 0, told.output
    (aside,) = company.data.glob("before-restore-*")
    assert tables(aside) == before
    assert tables(company.data)["kompass.sqlite", "docs"] != before["kompass.sqlite", "docs"]
    assert company.restore(company.data, "--replace").exit_code == 0
    assert len(list(company.data.glob("before-restore-*"))) == 2


@pytest.mark.slow
def test_nothing_is_restored_below_a_server_that_runs(company: Company) -> None:
    company.backup()
    before = tables(company.data)
    with lock_directory(company.data):
        told = company.restore(company.data, "--replace")
    assert "is in use by another process" in str(told.exception)
    assert tables(company.data) == before


class _Killed(BaseException):
    pass


@contextmanager
def _killed_after(steps: int) -> Iterator[None]:
    """Raises `_Killed` at the step after so many that a restore makes durable."""
    left = iter(range(steps))

    def killing(step: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **more: object) -> object:
            if next(left, None) is None:
                raise _Killed
            return step(*args, **more)

        return run

    with pytest.MonkeyPatch.context() as patched:
        for owner, name in (
            (restoring, "_write"), (restoring, "_say"), (restoring, "sync_directory"), (os, "fsync"),
        ):  # fmt: skip
            patched.setattr(owner, name, killing(getattr(owner, name)))
        yield


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.slow
def test_a_restore_that_is_cut_off_anywhere_is_refused_and_can_be_run_again(
    company: Company, tmp_path: Path, replace: bool
) -> None:
    company.backup()
    expected = tables(company.data)["kompass.sqlite", "docs"]
    place = tmp_path / "new"
    outcomes = set()
    for steps in range(0, 40, 6):
        shutil.rmtree(place, ignore_errors=True)
        if replace:
            shutil.copytree(company.data, place)
            (place / "mine").write_text("old")
        try:
            with _killed_after(steps):
                company.restore(place, *(["--replace"] if replace else []))
            outcomes.add("finished")
        except _Killed:
            outcomes.add("cut off" if (place / UNFINISHED).exists() else "not begun")
        if (place / UNFINISHED).exists():
            with pytest.raises(DirectoryUnfinishedError, match="Run the restore again"):
                SqliteStore(place)
            assert "Run the restore again" in str(run("doctor", "--data", place).exception)
            assert "Run the restore again" in str(run("backup", "--data", place, *company.where).exception)
            assert company.restore(place).exit_code == 0
        if replace:
            kept = [*place.glob("mine"), *place.glob("before-restore-*/mine")]
            assert [one.read_text() for one in kept] == ["old"]
        if replace or (place / "server.json").exists():
            assert tables(place)["kompass.sqlite", "docs"] == expected
    assert outcomes == {"not begun", "cut off", "finished"}


def test_a_damaged_backup_makes_no_directory_that_starts(company: Company, tmp_path: Path) -> None:
    company.backup()
    chunk = max((tmp_path / "repository").glob("chunks/*/*"), key=lambda one: one.stat().st_size)
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    told = company.restore(tmp_path / "new")
    assert "was changed" in str(told.exception)
    with pytest.raises(DirectoryUnfinishedError):
        SqliteStore(tmp_path / "new")
    verified = run("verify-backup", *company.where)
    assert verified.exit_code == 1
    assert "of backup 1" in verified.output


# -- what survived ------------------------------------------------------------------------------------


def _erasures(*lines: tuple[int, str]) -> bytes:
    return b"".join(
        json.dumps({"number": number, "subject": "contact-x", "reason": reason}).encode() + b"\n"
        for number, reason in lines
    )


@pytest.mark.slow
def test_the_log_of_erasures_that_survived_goes_on(company: Company, tmp_path: Path) -> None:
    log = company.data / journal.FILE
    log.write_bytes(_erasures((1, "named somebody")))
    company.backup()
    log.write_bytes(_erasures((1, "Gelöschter Kontakt"), (2, "later")))
    company.restore(tmp_path / "new", "--survivors", company.data)
    assert (tmp_path / "new" / journal.FILE).read_bytes() == log.read_bytes()
    company.restore(tmp_path / "old")
    assert (tmp_path / "old" / journal.FILE).read_bytes() == _erasures((1, "named somebody"))


@pytest.mark.slow
def test_numbers_that_were_given_after_the_backup_are_not_given_again(
    company: Company, tmp_path: Path
) -> None:
    async def number_of(data: Path, customers: range) -> list[str]:
        world = await company.open(data)
        for one in customers:
            await world.has_customer(one)
        with world.database.reading() as reading:
            found = [numbers.number_of(reading, customer(one)) or "" for one in customers]
        with world.database.reading() as reading:
            assert list(numbers.problems(reading, SeriesTable())) == []
        await world.close()
        return found

    company.backup()
    lost = asyncio.run(number_of(company.data, range(20, 23)))
    assert all(lost)
    told = company.restore(tmp_path / "new", "--survivors", company.data)
    assert "were given after the backup: they aren't given again" in told.output
    assert "lost by a restore" in run("numbers", "list", "--data", tmp_path / "new").output
    later = asyncio.run(number_of(tmp_path / "new", range(30, 33)))
    assert not set(lost) & set(later)
    # Where nothing survived nobody can know.
    company.restore(tmp_path / "blind")
    assert asyncio.run(number_of(tmp_path / "blind", range(30, 33))) == lost


@pytest.mark.slow
def test_what_the_anchor_has_beyond_the_backup_is_told(company: Company, tmp_path: Path) -> None:
    company.backup()
    company.change()
    told = company.restore(tmp_path / "new", "--anchor", company.anchor, "--survivors", company.data)
    assert "has 1 checkpoints of entries after that" in told.output
    assert "entries that came after it are lost" in told.output


# -- the moment ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_moment_waits_for_whoever_writes_and_gives_up_in_the_end(company: Company) -> None:
    file = company.data / "kompass.sqlite"
    writer = apsw.Connection(str(file))
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(BackupError, match="somebody has been writing"), moment([file], lambda: None, 0.5):
        raise AssertionError
    writer.execute("ROLLBACK")
    with moment([file], lambda: None, 0.5) as (readers, pause):
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM docs")
        writer.execute("COMMIT")
        found = readers[0].execute("SELECT count(*) FROM docs").get
        assert found != 0
        assert pause < 0.5
    writer.close()


@pytest.mark.slow
def test_what_is_copied_lies_beside_the_data_no_longer_than_needed(company: Company) -> None:
    company.backup()
    assert list((company.data / "backup-work").glob("*.copy*")) == []
    left = company.data / "backup-work" / "kompass.sqlite.copy"
    left.write_bytes(b"of a backup that was killed")
    company.backup()
    assert not left.exists()


@pytest.mark.slow
def test_a_second_backup_of_a_directory_at_once_is_refused(company: Company, tmp_path: Path) -> None:
    company.backup()
    with lock_directory(company.data / "backup-work"):
        told = run("backup", "--data", company.data, "--repository", tmp_path / "two", *company.where[2:])
    assert "another backup is at work" in str(told.exception)


@pytest.mark.slow
def test_verifying_looks_over_what_was_backed_up(company: Company) -> None:
    company.backup()
    told = run("verify-backup", *company.where, "--json")
    assert told.exit_code == 0, told.output
    latest = json.loads(told.stdout)["latest"]
    assert run("verify-backup", *company.where, "--expect", latest).exit_code == 0
    # A database that was changed behind the chain's back is backed up as it is, and noticed.
    connection = apsw.Connection(str(company.data / "kompass.sqlite"))
    connection.execute("UPDATE audit_entries SET text = replace(text, '\"who\"', '\"WHO\"') WHERE num = 4")
    connection.close()
    company.backup()
    told = run("verify-backup", *company.where)
    assert told.exit_code == 1
    assert "entry 4" in told.output


@pytest.mark.slow
def test_a_repository_does_not_lie_in_what_it_has(company: Company, tmp_path: Path) -> None:
    for place in (company.data, company.data / "backups", tmp_path):
        told = run("backup", "--data", company.data, "--repository", place, *company.where[2:])
        assert "can't lie in the server's directory" in str(told.exception)


@pytest.mark.slow
def test_a_name_that_could_not_be_restored_is_not_backed_up(company: Company) -> None:
    shutil.copy(company.data / "kompass.sqlite", company.data / "with blank.sqlite")
    told = run("backup", "--data", company.data, *company.where)
    assert "'with blank.sqlite' can't be a file of a data directory" in str(told.exception)
