"""A backup of a running cluster shows one moment of it, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import apsw
import orjson
import pytest

from kompass.backup.errors import BackupError
from kompass.backup.making import assembled
from kompass.backup.repository import Repository
from kompass.backup.source import Snapshot, SourceFile
from kompass.backup.target import DirectoryTarget
from kompass.backup.verifying import verify
from kompass.cluster import schema
from kompass.cluster.bases import Bases
from kompass.cluster.files import ClusterFiles
from kompass.cluster.moment import moment
from kompass.cluster.source import ClusterSource
from kompass.jobs.judging import Job
from kompass.jobs.store import JobStore
from replication.store.sqlite import SharedStore, SqliteDatabase, SqliteStore
from tests.backup.company import KEY, run
from tests.backup.test_kill import ROUNDS, killed
from tests.cluster.harness import Cluster, cluster
from tests.needs import ROOT
from tests.replication.store.copied import tables
from tests.replication.store.writes import edit

pytestmark = [pytest.mark.slow]


@pytest.fixture
def made() -> Iterator[Cluster]:
    with cluster() as one:
        yield one


def of(store: SharedStore, name: str) -> SqliteDatabase:
    found = store.get(name)
    assert isinstance(found, SqliteDatabase)
    return found


def whole(file: SourceFile) -> bytes:
    return b"".join(file.pieces(65536))


def count(snapshot: Snapshot, name: str, table: str, place: Path) -> int:
    """Rows of a table, in the file as it would be restored."""
    (file,) = [one for one in snapshot.files if one.name == name]
    place.write_bytes(whole(file))
    with closing(apsw.Connection(str(place))) as connection:
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        found = int(connection.execute(f"SELECT count(*) FROM {table}").get)
    place.unlink()
    return found


async def test_a_backup_shows_one_moment_of_everything(made: Cluster, tmp_path: Path) -> None:
    store = await made.open(tmp_path / "a")
    for name in ("one", "two"):
        await store.create(name)
    jobs = JobStore(tmp_path / "jobs", shared=ClusterFiles(made.member().catalogue))
    texts = made.members[0].catalogue.texts
    texts["kompass-erasures.jsonl"].replace(b"")
    done = False

    def add_job(number: int) -> None:
        job = Job(f"j{number}", "trigger", "action", "default", "doc", "1-x", time.time())
        with jobs.writing() as connection:
            jobs.add(connection, [job], time.time())

    async def work() -> int:
        number = 0
        while not done:
            await edit(of(store, "one"), f"d{number}")
            await edit(of(store, "two"), f"d{number}")
            await asyncio.to_thread(add_job, number)
            await asyncio.to_thread(texts["kompass-erasures.jsonl"].add, b"x\n")
            number += 1
        return number

    writing = asyncio.create_task(work())
    seen: list[int] = []

    def look() -> None:
        with ClusterSource(made.dsn, tmp_path / "backup").snapshot() as snapshot:
            for _ in range(2):  # what is written meanwhile isn't in it
                counts = [
                    count(snapshot, "one.sqlite", "docs", tmp_path / "look"),
                    count(snapshot, "two.sqlite", "docs", tmp_path / "look"),
                    count(snapshot, "jobs/jobs.sqlite", "jobs", tmp_path / "look"),
                    *(
                        whole(one).count(b"\n")
                        for one in snapshot.files
                        if one.name == "kompass-erasures.jsonl"
                    ),
                ]
                assert counts == sorted(counts, reverse=True), "what came first is there first"
                assert counts[0] - counts[-1] <= 1
            seen.append(counts[0])
            assert snapshot.server == store.uuid
            assert snapshot.pause == 0

    for _ in range(6):
        await asyncio.to_thread(look)
    done = True
    written = await writing
    assert len(set(seen)) > 3, "somebody was writing all the time"
    await asyncio.to_thread(look)
    assert seen[-1] == written
    await store.close()
    jobs.close()


async def test_nobody_waits_for_a_moment_and_it_stays_what_it_is(made: Cluster, tmp_path: Path) -> None:
    store = await made.open(tmp_path / "a")
    await store.create("db")
    await edit(of(store, "db"), "before")
    member = made.members[0]
    with moment(member.connections) as now:
        head = now.entered["db"].head
        for number in range(20):
            async with asyncio.timeout(10):
                await edit(of(store, "db"), f"d{number}")
        # Not even if what it still has to read is dropped meanwhile.
        await Bases(store, member.catalogue).save("db", keep=1)
        assert [entry.num for entry in now.since["db"](0, "")] == list(range(1, head + 1))
    assert member.catalogue.databases()["db"].kept == head + 20
    await store.close()


async def test_a_copy_goes_on_where_it_was_or_begins_anew(made: Cluster, tmp_path: Path) -> None:
    store = await made.open(tmp_path / "a")
    for name in ("db", "gone"):
        await store.create(name)
    for number in range(20):
        await edit(of(store, "db"), f"d{number}")

    def backup() -> tuple[list[str], int]:
        with ClusterSource(made.dsn, tmp_path / "backup").snapshot() as snapshot:
            names = [one.name for one in snapshot.files]
            return names, count(snapshot, "db.sqlite", "docs", tmp_path / "look")

    file = tmp_path / "backup" / "db.sqlite"
    names, found = await asyncio.to_thread(backup)
    assert names == ["db.sqlite", "gone.sqlite", "server.json"]
    assert found == 20
    inode = file.stat().st_ino
    await edit(of(store, "db"), "more")
    await store.delete("gone")
    names, found = await asyncio.to_thread(backup)
    assert names == ["db.sqlite", "server.json"]
    assert (found, file.stat().st_ino) == (21, inode), "it is the same file, which has followed"
    assert not list((tmp_path / "backup").glob("gone*"))
    # What was erased goes from the journal: a copy from before can't follow.
    await edit(of(store, "db"), "last")
    await Bases(store, made.members[0].catalogue).save("db", keep=1)
    with file.open("rb"):  # or its number might be given again
        assert (await asyncio.to_thread(backup))[1] == 22
        assert file.stat().st_ino != inode
    file.write_bytes(b"no database")
    assert (await asyncio.to_thread(backup))[1] == 22
    await store.close()


async def test_a_copy_follows_to_tables_of_another_version(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await made.open(tmp_path / "a")
    await store.create("db")
    await edit(of(store, "db"), "one")
    await store.close()

    def backup() -> int:
        with ClusterSource(made.dsn, tmp_path / "backup").snapshot() as snapshot:
            return count(snapshot, "db.sqlite", "docs", tmp_path / "look")

    assert await asyncio.to_thread(backup) == 1
    inode = (tmp_path / "backup" / "db.sqlite").stat().st_ino
    newer = SharedStore(tmp_path / "b", made.member().catalogue, tables=schema.VERSION + 1)
    assert await asyncio.to_thread(newer.change_tables, "db")
    await edit(of(newer, "db"), "two")
    with pytest.raises(BackupError, match="newer version of the program"):
        await asyncio.to_thread(backup)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setattr(schema, "check", lambda connection: None)
    assert await asyncio.to_thread(backup) == 2
    assert (tmp_path / "backup" / "db.sqlite").stat().st_ino == inode, "the same copy goes on"
    await newer.close()


def test_what_is_in_the_way_is_said(made: Cluster, tmp_path: Path) -> None:
    def fails(dsn: str, directory: Path) -> str:
        with pytest.raises(BackupError) as caught, ClusterSource(dsn, directory).snapshot():
            pytest.fail("it is there")
        return str(caught.value)

    assert "no name yet" in fails(made.dsn, tmp_path / "a")
    assert "can't be reached" in fails(made.dsn.replace("user=", "user=nobody_"), tmp_path / "a")
    made.member().catalogue.identity(b'{"uuid":"u","secret":"s"}')
    with ClusterSource(made.dsn, tmp_path / "a").snapshot() as snapshot:
        assert [one.name for one in snapshot.files] == ["server.json"]
        assert "directory of their own" in fails(made.dsn, tmp_path / "a")
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.json").write_bytes(b"{}")
    (tmp_path / "server" / "kompass.sqlite").write_bytes(b"precious")
    assert "directory of a server" in fails(made.dsn, tmp_path / "server")
    assert (tmp_path / "server" / "kompass.sqlite").read_bytes() == b"precious"


async def test_the_command_backs_up_what_a_directory_can_be_made_of(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await made.open(tmp_path / "a")
    await store.create("kompass")
    for number in range(300):
        await edit(of(store, "kompass"), f"d{number}", pad=str(number) * 900)
    (tmp_path / "key").write_text(KEY)
    where = ("--repository", tmp_path / "repository", "--key-file", tmp_path / "key")

    async def backup() -> dict[str, Any]:
        words = ("backup", "--data", tmp_path / "backup", *where, "--json")
        told = await asyncio.to_thread(run, *words)
        assert told.exit_code == 0, (told.output, told.exception)
        value: dict[str, Any] = orjson.loads(told.stdout)
        return value

    monkeypatch.setenv("KOMPASS_JOURNAL_DSN", made.dsn)
    first = await backup()
    await edit(of(store, "kompass"), "more")
    second = await backup()
    assert second["pause"] == 0
    assert 0 < second["new_chunks"] < first["new_chunks"] / 2
    expected = tables(of(store, "kompass"))
    await store.close()
    monkeypatch.delenv("KOMPASS_JOURNAL_DSN")
    told = await asyncio.to_thread(run, "restore", "--data", tmp_path / "restored", *where)
    assert told.exit_code == 0, (told.output, told.exception)
    restored = await SqliteStore.open(tmp_path / "restored")
    database = restored.get("kompass")
    assert isinstance(database, SqliteDatabase)
    found = tables(database)
    await restored.close()
    assert len(found.pop("epochs")) == len(expected.pop("epochs")) + 1
    assert found == expected


def begun_and_killed(words: Sequence[str], lock: Path, random: Random) -> None:
    command = [sys.executable, "-m", "kompass", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    killed(process, lock, random, 0.4)


@pytest.mark.crash
async def test_killed_backups_harm_none_of_before(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is cut off: fetching the copies, following, storing."""
    store = await made.open(tmp_path / "a")
    await store.create("kompass")
    (tmp_path / "key").write_text(KEY)
    where = ("--repository", str(tmp_path / "repository"), "--key-file", str(tmp_path / "key"))
    words = ("backup", "--data", str(tmp_path / "backup"), *where)
    monkeypatch.setenv("KOMPASS_JOURNAL_DSN", made.dsn)
    random = Random(os.environ.get("KOMPASS_TEST_SEED", "1"))
    for round_ in range(ROUNDS):
        for number in range(60):
            await edit(of(store, "kompass"), f"d{round_}-{number}", pad=str(number) * 900)
        lock = tmp_path / "backup" / "LOCK"
        lock.unlink(missing_ok=True)
        await asyncio.to_thread(begun_and_killed, words, lock, random)
        told = await asyncio.to_thread(run, *words)
        assert told.exit_code == 0, (told.output, told.exception)
        repository = Repository.open(DirectoryTarget(tmp_path / "repository"), KEY.encode())
        assert not verify(repository).findings
        latest = repository.manifest(repository.numbers()[-1])
        (file,) = [one for one in latest.files if one.name == "kompass.sqlite"]
        (tmp_path / "look").write_bytes(b"".join(assembled(repository, file)))
        with closing(apsw.Connection(str(tmp_path / "look"))) as connection:
            assert connection.execute("SELECT count(*) FROM docs").get == 60 * (round_ + 1)
    await store.close()
