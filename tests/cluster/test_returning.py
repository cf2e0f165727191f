"""The journal is lost, and comes back from a backup; CouchDB has what was acknowledged since."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from kompass.business import numbers
from kompass.cluster.files import ClusterFiles
from kompass.cluster.process import Process
from kompass.domain.series import SeriesTable
from kompass.jobs.judging import Job
from kompass.jobs.store import JobStore
from kompass.settings import Settings
from replication.replicator import LocalPeer
from replication.replicator.peer import BEGINNING, Feed
from replication.store.sqlite import SqliteStore
from tests.backup.company import Company, run
from tests.cluster.harness import Cluster
from tests.cluster.test_moving import Place, address, place
from tests.readstore import harness
from tests.sync.gate_world import customer, customer_body, new

__all__ = ["address", "place"]

pytestmark = [pytest.mark.slow]


async def work(company: Company) -> None:
    """What is done after the backup: something of everything."""
    world = await company.open()
    await world.has_customer(10)
    await world.put(customer(1), customer_body(phone="nach der Sicherung"))
    await world.put(customer(0), None)
    above, body = await world.path(customer(3)), await world.live(customer(3))
    photo = new({**body, "version": 9}, above, photo=b"\1" * 200_000)
    assert await world.push("adm1", (customer(3), photo)) == [""]
    # Refused, and kept.
    assert await world.push("adm2", (customer(1), new(customer_body("adm2")))) != [""]
    await world.transact(world.audit.checkpoint)
    await world.close()


async def copied(place: Place) -> Path:
    """What a process of the cluster leaves behind."""
    cluster = Cluster(place.dsn)
    store = await cluster.open(place.directory / "api")
    await store.fresh()
    await store.close()
    cluster.members[0].close()
    return place.directory / "api"


async def number_given(company: Company, data: Path, docid: str) -> str:
    """The number of a new customer, in a directory where this one has another."""
    world = await company.open(data)
    with world.database.reading() as reading:
        before = numbers.number_of(reading, docid)
    await world.has_customer(11)
    with world.database.reading() as reading:
        assert list(numbers.problems(reading, SeriesTable())) == []
        given = numbers.number_of(reading, customer(11))
    await world.close()
    assert before
    assert given
    assert before != given
    return before


def leaves(directory: Path) -> dict[str, dict[str, list[str]]]:
    """Of every document its leaves, by database."""

    async def read() -> dict[str, dict[str, list[str]]]:
        store = await SqliteStore.open(directory)
        found = {}
        for name in ("kompass", "kompass-quarantine"):
            page = await LocalPeer(store, name).changes(Feed(), BEGINNING, 5000)
            assert page.pending == 0
            found[name] = {row.id: sorted(map(str, row.revs)) for row in page.rows}
        await store.close()
        return found

    return asyncio.run(read())


def test_what_couchdb_has_comes_in_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as alone:
        alone.delenv("KOMPASS_JOURNAL_DSN")
        place.company.backup()
    asyncio.run(work(place.company))
    assert place.init().exit_code == 0
    assert place.move().exit_code == 0
    expected = leaves(place.company.data)
    directory = place.directory / "restored"
    copies = asyncio.run(copied(place))
    told = place.company.restore(directory, "--survivors", copies)
    assert told.exit_code == 0, (told.output, told.exception)
    assert "entries that came after it are lost" in told.output, "what is left of an API process knows"
    empty = harness.make_database(template="template1")
    try:
        monkeypatch.setenv("KOMPASS_JOURNAL_DSN", empty.dsn)
        assert place.init().exit_code == 0
        refused = run("migrate", "to-cluster", "--data", directory)
        assert refused.exit_code == 1
        assert "--take-in" in str(refused.exception)
        told = run("migrate", "to-cluster", "--data", directory, "--take-in")
        assert told.exit_code == 0, (told.output, told.exception)
        assert "documents that only CouchDB had were let in" in told.output
        assert "refused" not in told.output
        assert leaves(directory) == expected, "all of it, and nothing besides: no conflict was made"
        chain = run("audit", "export", "--data", directory).output
        assert [line for line in chain.splitlines() if customer(10) in line and "foreign" in line]
        assert run("verify-audit", "--data", directory).exit_code == 0
        assert run("doctor", "--data", directory).exit_code == 0
        again = run("migrate", "to-cluster", "--data", directory)
        assert again.exit_code == 0, "it is the same on both sides now"
        of_both = [
            asyncio.run(number_given(place.company, data, customer(10)))
            for data in (place.company.data, directory)
        ]
        assert of_both[0] == of_both[1], "a document that comes back has the number that it had"
    finally:
        harness.drop_database(empty)


def test_an_empty_couchdb_is_filled_by_the_leader(place: Place) -> None:
    place.init()
    assert place.move().exit_code == 0
    place.clean()
    place.init()

    async def lead() -> None:
        process = Process(Settings(data=place.directory / "index"), "kompass index", leads=True)
        await process.open()
        await process.follow()
        for name in ("kompass", "kompass-quarantine"):
            keeper = process.member.keeper(name)
            assert keeper is not None
            await keeper.look()
        await process.close()

    asyncio.run(lead())
    told = run("migrate", "to-directory", "--data", place.directory / "back")
    assert told.exit_code == 0, (told.output, told.exception)
    assert "documents are the same in CouchDB: kompass, kompass-quarantine" in told.output
    assert leaves(place.directory / "back") == leaves(place.company.data)


def test_what_is_refused_stays_in_couchdb_and_is_named(place: Place) -> None:
    place.init()
    for number in (50, 51):
        body = {**customer_body(), "customerNumber": "K-2026-0077"}
        httpx.put(f"{place.url}{place.database()}/{customer(number)}", json=body).raise_for_status()
    told = run("migrate", "to-cluster", "--data", place.company.data, "--take-in")
    assert told.exit_code == 0, (told.output, told.exception)
    assert "1 documents that only CouchDB had were let in" in told.output
    (taken,) = leaves(place.company.data)["kompass"].keys() & {customer(50), customer(51)}
    (refused,) = {customer(50), customer(51)} - {taken}
    (line,) = [line for line in told.output.splitlines() if line.startswith("refused, and left in CouchDB")]
    assert f"kompass/{refused}: " in line
    assert "K-2026-0077 was given to another document" in line
    with place.client() as client:
        assert client.get(f"{place.database()}/{refused}").json()["customerNumber"] == "K-2026-0077"


def test_jobs_go_with_their_directory(place: Place, tmp_path: Path) -> None:
    store = JobStore(place.company.data)
    with store.writing() as connection:
        store.add(connection, [Job("one", "t", "a", "default", "doc", "1-x", time.time())], time.time())
    store.close()
    place.init()
    assert place.move().exit_code == 0
    cluster = Cluster(place.dsn)
    shared = JobStore(tmp_path / "worker", shared=ClusterFiles(cluster.member().catalogue))
    assert [entry.id for entry in shared.entries()] == ["one"]
    with shared.writing() as connection:
        shared.add(connection, [Job("two", "t", "a", "default", "doc", "1-x", time.time())], time.time())
    shared.close()
    cluster.members[0].close()
    assert run("migrate", "to-directory", "--data", tmp_path / "back").exit_code == 0
    store = JobStore(tmp_path / "back")
    assert sorted(entry.id for entry in store.entries()) == ["one", "two"]
    store.close()
