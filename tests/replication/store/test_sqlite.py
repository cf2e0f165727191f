"""What is particular to the embedded driver: files, the lock, the doctor, trouble with the disk."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import apsw
import psutil
import pytest

from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.interface import Database
from replication.store.sqlite import DirectoryInUseError, SqliteStore
from replication.store.sqlite.doctor import examine
from tests.replication.store.writes import branch, doc, edit, replicate, status


async def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await store.create("a/b+c")
    rev = await edit(db, "ä", n=1, _attachments={"t": {"data": "aGVsbG8="}})
    await replicate(db, branch("c", 2, "y", "r"), branch("c", 2, "x", "r"))
    await db.put_local("x", 4, b"{}")
    await db.set_security(b'{"a":1}')
    await db.set_revs_limit(9)
    before, uuid, secret = await db.info(), store.uuid, store.secret
    await store.close()

    store = await SqliteStore.open(tmp_path)
    assert (store.uuid, store.secret) == (uuid, secret)
    assert await store.names() == ["a/b+c"]
    db = store.get("a/b+c")
    assert await db.info() == before
    found = await db.winner("ä")
    assert found is not None
    assert found.rev == rev
    local = await db.local("x")
    assert local is not None
    assert local.rev == "0-5"
    assert (await db.security(), await db.revs_limit()) == (b'{"a":1}', 9)
    assert [leaf.rev for leaf in await db.leaves("c")] == ["2-y", "2-x"]
    await edit(db, "next")
    assert db.update_seq == before.update_seq + 1
    await store.close()


async def test_a_second_process_is_turned_away(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    with pytest.raises(DirectoryInUseError, match="is in use by another process"):
        await SqliteStore.open(tmp_path)
    code = (
        "import asyncio, sys\n"
        "from replication.store.sqlite import SqliteStore, DirectoryInUseError\n"
        "try:\n"
        "    asyncio.run(SqliteStore.open(sys.argv[1]))\n"
        "except DirectoryInUseError as error:\n"
        "    print(error)\n"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "is in use by another process" in done.stdout
    await store.close()
    await (await SqliteStore.open(tmp_path)).close()


async def test_a_store_that_is_closed_opens_nothing_any_more(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    await store.create("db")
    await store.close()
    with pytest.raises(ProtocolError, match="about to end") as caught:
        store.get("db")
    assert caught.value.status == 503
    again = await SqliteStore.open(tmp_path)
    assert await again.get("db").pending(0) == 0
    await again.close()


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    await edit(await store.create("db"), "a")
    await store.close()
    connection = apsw.Connection(str(tmp_path / "db.sqlite"))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    store = await SqliteStore.open(tmp_path)
    with pytest.raises(ProtocolError, match="99"):
        store.get("db")
    await store.close()


async def test_a_log_left_by_a_crash_while_deleting_is_not_the_next_databases(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    await edit(await store.create("db"), "old")
    log = (tmp_path / "db.sqlite-wal").read_bytes()
    await store.delete("db")
    (tmp_path / "db.sqlite-wal").write_bytes(log)
    db = await store.create("db")
    assert await db.winner("old") is None
    await edit(db, "new")
    await store.close()
    assert list(examine(tmp_path)) == []


async def test_a_revision_that_comes_back_after_stemming_leaves_no_second_text(tmp_path: Path) -> None:
    attachments = {"t": {"data": "aGVsbG8="}}
    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    await db.set_revs_limit(1)
    rev = await edit(db, "a", _attachments=attachments)
    await edit(db, "a", rev)
    again = branch("a", 1, rev[2:], _attachments=attachments)
    await replicate(db, again)
    await replicate(db, branch("a", 2, "c", rev[2:]))
    await replicate(db, again, branch("a", 2, "d", rev[2:]), again)
    await store.close()
    assert list(examine(tmp_path)) == []


async def test_what_an_upload_left_behind_goes_with_compaction(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000

    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    await db.stage_attachment(chunks(), content_type="x/y")
    await store.close()
    store = await SqliteStore.open(tmp_path)
    db = store.get("db")
    await db.compact()
    assert (await db.info()).file_size < 500_000
    await store.close()


async def test_a_full_disk_loses_nothing_and_passes(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    rev = await edit(db, "a", n=1)
    writing = db._writer._connection  # type: ignore[attr-defined]  # the test plays the disk
    pages = writing.pragma("page_count")
    writing.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = "x" * 100_000
    with pytest.raises(ProtocolError) as caught:
        await db.write([doc("b", text=big)])
    assert (caught.value.status, caught.value.error) == (507, "insufficient_storage")
    results = await asyncio.gather(
        db.write([doc("c", text=big)]), db.write([doc("d")]), return_exceptions=True
    )
    assert isinstance(results[0], ProtocolError)
    assert isinstance(results[1], list)
    writing.execute("PRAGMA max_page_count = 1000000")
    await edit(db, "b", text=big)
    await edit(db, "a", rev, n=2)
    assert (await db.info()).doc_count == 3
    await store.close()
    assert list(examine(tmp_path)) == []


async def test_thousands_of_leaves(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    for start in range(0, 2000, 500):
        await replicate(db, *(branch("a", 2, f"{n:04d}", "r", n=n) for n in range(start, start + 500)))
    leaves = await db.leaves("a")
    assert len(leaves) == 2000
    assert leaves[0].rev == "2-1999"
    assert json.loads(leaves[7].text)["n"] == 1992
    missing = await db.missing_revisions({"a": [(2, f"{n:04d}") for n in range(1990, 2010)]})
    assert len(missing["a"].missing) == 10
    await store.close()
    assert list(examine(tmp_path)) == []


async def _populate(path: Path, seed: int) -> None:
    """A database with everything in it: branches, deletions, attachments, an index, history."""
    random = Random(seed)
    store = await SqliteStore.open(path)
    db = await store.create("db")
    for n in range(40):
        rev = await edit(db, f"d{n}", n=n)
        for _ in range(random.randrange(3)):
            members = {"_attachments": {"t": {"data": "aGVsbG8="}}} if random.random() < 0.5 else {}
            rev = await edit(db, f"d{n}", rev, m=random.random(), **members)
        if random.random() < 0.3:
            await replicate(db, branch(f"d{n}", 2, f"x{n}", rev[2:] if rev[:1] == "1" else "q", k=1))
        if random.random() < 0.2:
            found = await db.winner(f"d{n}")
            assert found is not None
            await edit(db, f"d{n}", found.rev, _deleted=True)
    await db.refresh_index("s", lambda value: [b"k"])
    await store.close()


async def test_the_doctor_finds_nothing_in_a_sound_directory(tmp_path: Path) -> None:
    await _populate(tmp_path, 1)
    assert list(examine(tmp_path)) == []


async def test_the_doctor_needs_the_directory_to_himself(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    with pytest.raises(DirectoryInUseError):
        list(examine(tmp_path))
    await store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM changes WHERE seq % 3 = 0",
        "UPDATE changes SET body = body + 1",
        "INSERT INTO changes VALUES (100000, 'nobody', 0, 1, '{', NULL)",
        "UPDATE counters SET doc_count = 7, external_size = 1",
        "INSERT INTO bodies VALUES (100000, '{}')",
        "INSERT INTO revs VALUES (100000, '1-x', 1, 0, 0, 0)",
        "INSERT INTO attachments VALUES (77, 'md5-', 0, 0, NULL)",
        "INSERT INTO attachment_refs VALUES (100000, 'x', 1, 'y', 1)",
        "INSERT INTO index_entries VALUES (1, x'00', 'nobody', 0, NULL, NULL)",
    ],
)
async def test_the_doctor_mends_what_can_be_mended(tmp_path: Path, damage: str) -> None:
    await _populate(tmp_path, 2)
    connection = apsw.Connection(str(tmp_path / "db.sqlite"))
    connection.execute(damage)
    connection.close()
    found = list(examine(tmp_path))
    assert found
    assert not any(finding.repaired for finding in found)
    assert list(examine(tmp_path)) == found
    mended = list(examine(tmp_path, repair=True))
    assert mended
    assert all(finding.repaired for finding in mended)
    assert list(examine(tmp_path)) == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM bodies WHERE seq = (SELECT body FROM docs LIMIT 1)",
        'UPDATE docs SET tree = \'{"start":1,"ids":["x"]}\'',
        "UPDATE docs SET deleted = NOT deleted",
        "UPDATE docs SET tree = 'nonsense' WHERE id = 'd1'",
        "UPDATE chunks SET data = x'00'",
        "DELETE FROM chunks",
    ],
)
async def test_the_doctor_names_what_only_a_backup_brings_back(tmp_path: Path, damage: str) -> None:
    await _populate(tmp_path, 2)
    connection = apsw.Connection(str(tmp_path / "db.sqlite"))
    connection.execute(damage)
    connection.close()
    lost = [finding for finding in examine(tmp_path, repair=True) if not finding.repaired]
    assert lost
    assert all("backup" in finding.advice for finding in lost)


async def test_the_doctor_reports_a_file_that_is_no_database(tmp_path: Path) -> None:
    await _populate(tmp_path, 3)
    path = tmp_path / "db.sqlite"
    path.write_bytes(b"not a database at all" * 1000)
    [finding] = examine(tmp_path, repair=True)
    assert (finding.database, finding.repaired) == ("db", False)


async def _pull(source: Database, target: Database, random: Random, part: float) -> None:
    """Replicates some of what `target` misses."""
    for change in await source.change_rows(0, 10_000, all_leaves=True):
        if random.random() > part:
            continue
        missing = await target.missing_revisions({change.id: [parse_rev(rev) for rev in change.revs]})
        for answer in missing.values():
            for text in answer.missing:
                for found in await source.revision(change.id, parse_rev(text)):
                    history = json.loads(found.revisions)
                    body = {k: v for k, v in json.loads(found.text).items() if k[0] != "_"}
                    await replicate(
                        target,
                        branch(found.id, history["start"], *history["ids"], deleted=found.deleted, **body),
                    )


@pytest.mark.parametrize("seed", range(6))
async def test_replicas_converge_whatever_happens(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    store = await SqliteStore.open(tmp_path)
    replicas = [await store.create(f"r{n}") for n in range(3)]
    for step in range(150):
        here = random.choice(replicas)
        if random.random() < 0.25:
            await _pull(here, random.choice(replicas), random, random.random())
            continue
        name = f"d{random.randrange(6)}"
        leaves = [leaf for leaf in await here.leaves(name) if not leaf.deleted]
        parent = random.choice(leaves).rev if leaves else None
        await here.write([doc(name, parent, step=step, _deleted=random.random() < 0.15)])
    for _ in range(2):
        for here in replicas:
            for there in replicas:
                await _pull(here, there, random, 1)
    first = replicas[0]
    for here in replicas[1:]:
        for n in range(6):
            a, b = await first.tree(f"d{n}"), await here.tree(f"d{n}")
            assert a == b
            mine, theirs = await first.leaves(f"d{n}"), await here.leaves(f"d{n}")
            assert [leaf.text for leaf in mine] == [leaf.text for leaf in theirs]
    await store.close()
    assert list(examine(tmp_path)) == []


async def test_writing_after_closing_says_that_the_database_is_gone(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    await store.delete("db")
    with pytest.raises(ProtocolError) as caught:
        await db.write([doc("a")])
    assert status(caught.value) == (404, "not_found")
    await store.close()


async def test_branches_and_edits_of_one_document_in_one_batch(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    first = await edit(db, "a", n=0)
    await replicate(
        db,
        branch("a", 2, "x", first[2:], n=1),
        branch("a", 3, "y", "x", first[2:], n=2),
        branch("a", 2, "x", first[2:], n=9),
        branch("a", 2, "z", first[2:], n=3, _attachments={"t": {"data": "aGVsbG8="}}),
        branch("a", 3, "w", "z", first[2:], n=4, _attachments={"t": {"stub": True}}),
        branch("b", 1, "q"),
    )
    assert [leaf.rev for leaf in await db.leaves("a")] == ["3-y", "3-w"]
    results = await db.write([doc("a", "3-w", n=5), doc("a", "3-y", n=6), doc("a", "3-y", n=7)])
    assert [isinstance(result, str) for result in results] == [True, True, False]
    assert len(await db.leaves("a")) == 2
    await store.close()
    assert list(examine(tmp_path)) == []


async def test_a_thousand_conflicts_in_a_batch_take_a_moment(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    db = await store.create("db")
    async with asyncio.timeout(5):
        await replicate(db, *(branch("a", 1, f"{n:04d}", n=n) for n in range(3000)))
    assert len(await db.leaves("a")) == 3000
    await store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="counts file handles, which Windows hides")
async def test_only_so_many_databases_keep_their_files_open(tmp_path: Path) -> None:
    """Each database held five handles for good: with two hundred of them most servers were out of files."""

    def handles() -> int:
        return sum(Path(file.path).parent == tmp_path for file in psutil.Process().open_files())

    store = await SqliteStore.open(tmp_path, most_awake=10)
    first = await store.create("first")
    waiting = asyncio.create_task(first.wait_for_change(0))
    for n in range(60):
        db = await store.create(f"db{n}")
        await edit(db, "a", n=n)
        assert await db.winner("a") is not None
    for _ in range(50):
        await asyncio.sleep(0.02)
        if handles() <= 10 * 5 + 1:
            break
    assert handles() <= 10 * 5 + 1
    for n in range(60):
        found = await store.get(f"db{n}").winner("a")
        assert found is not None
        assert b'"n":%d' % n in found.text
    await edit(first, "a")
    await asyncio.wait_for(waiting, 5)
    await store.close()
    assert list(examine(tmp_path)) == []


async def test_databases_that_rest_all_the_time_lose_nothing(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path, most_awake=1)
    names = [f"db{n}" for n in range(4)]
    for name in names:
        await store.create(name)

    async def use(name: str) -> None:
        for n in range(60):
            db = store.get(name)
            await edit(db, f"{n}", n=n)
            assert (await db.info()).doc_count == n + 1
            assert await db.winner(f"{n}") is not None

    await asyncio.gather(*map(use, names))
    for name in names:
        assert (await store.get(name).info()).doc_count == 60
    await store.delete("db1")
    await store.create("db1")
    assert (await store.get("db1").info()).doc_count == 0
    await store.close()
    assert list(examine(tmp_path)) == []
