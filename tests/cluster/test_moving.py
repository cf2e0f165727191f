"""A directory goes into a cluster and comes back, and nobody notices but by its speed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from typer.testing import Result

from kompass.cluster import moving
from kompass.cluster.member import Member
from replication.replicator.http_peer import HttpPeer
from replication.replicator.peer import Feed, FeedPage
from replication.store.sqlite import SqliteDatabase, SqliteStore
from tests.backup.company import Company, run
from tests.cluster.couchdb import CouchdbPlace, couchdb
from tests.needs import COUCHDB_URL
from tests.readstore import harness
from tests.replication.store.copied import tables

pytestmark = [pytest.mark.slow]


class Place(CouchdbPlace):
    """A PostgreSQL and a CouchDB with nothing in them, and a company that shall move there."""

    def __init__(self, directory: Path, couchdb: str, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(couchdb)
        self.directory = directory
        self.dsn = dsn
        self.company = Company(directory)
        self.company.fill()
        monkeypatch.setenv("KOMPASS_JOURNAL_DSN", dsn)
        if not COUCHDB_URL:
            monkeypatch.setattr(moving, "WAITS", (0.0, 0.0))
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def init(self) -> Result:
        return run("init")

    def move(self) -> Result:
        return run("migrate", "to-cluster", "--data", self.company.data)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with couchdb(tmp_path_factory.mktemp("couchdb") / "data") as url:
        yield url


@pytest.fixture
def place(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    postgres = harness.make_database(template="template1")
    made = Place(tmp_path, address, postgres.dsn, monkeypatch)
    yield made
    made.clean()
    harness.drop_database(postgres)


def contents(directory: Path) -> dict[str, object]:
    """All rows of all databases of a directory, epochs and sequence numbers included."""

    async def read() -> dict[str, object]:
        store = await SqliteStore.open(directory)
        found: dict[str, object] = {"identity": (store.uuid, store.secret)}
        for name in await store.names():
            database = store.get(name)
            assert isinstance(database, SqliteDatabase)
            found[name] = tables(database)
        await store.close()
        return found

    return asyncio.run(read())


def test_a_directory_moves_there_and_back_unchanged(place: Place) -> None:
    assert place.init().exit_code == 0
    told = place.move()
    assert told.exit_code == 0, told.output
    assert "are the same in CouchDB: kompass, kompass-quarantine" in told.output
    with place.client() as client:
        rows = client.get(place.database() + "/_all_docs").json()["rows"]
        assert [row["id"] for row in rows if row["id"].startswith("customer-")]
    before = contents(place.company.data)
    back = place.directory / "back"
    told = run("migrate", "to-directory", "--data", back)
    assert told.exit_code == 0, told.output
    assert contents(back) == before
    for name in ("audit-keys.json", "server.json"):
        assert (back / name).read_bytes() == (place.company.data / name).read_bytes()
    assert run("verify-audit", "--data", back).exit_code == 0
    assert run("doctor", "--data", back).exit_code == 0
    assert sorted(path.name for path in back.glob("*.origin")) == []


def test_who_does_it_again_finds_it_done(place: Place) -> None:
    place.init()
    assert place.move().exit_code == 0
    first = place.move()
    assert first.exit_code == 0, first.output

    async def head() -> int:
        member = Member(place.dsn)
        try:
            return (await asyncio.to_thread(member.catalogue.databases))["kompass"].head
        finally:
            await member.leave()

    assert asyncio.run(head()) == 0


def test_what_differs_in_couchdb_is_named(place: Place) -> None:
    place.init()
    with place.client() as client:
        httpx.put(place.url + place.database() + "/strange", json={"n": 1}).raise_for_status()
        told = place.move()
        assert told.exit_code == 1
        assert "strange" in str(told.exception)
        assert client.get(place.database() + "/strange").status_code == 200


def test_a_node_that_lags_behind_is_looked_at_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that answers the feed of changes need not be one of those that have confirmed a document."""
    whole = HttpPeer.changes
    late: list[str] = []

    async def lagging(
        peer: HttpPeer, feed: Feed, since: object, limit: int, *, wait: bool = False
    ) -> FeedPage:
        page = await whole(peer, feed, since, limit, wait=wait)
        if len(late) == 2 or not page.rows:
            return page
        late.append(page.rows[0].id)
        return FeedPage(page.rows[1:], page.last_seq, page.pending)

    place.init()
    monkeypatch.setattr(HttpPeer, "changes", lagging)
    told = place.move()
    assert told.exit_code == 0, told.output
    assert len(late) == 2


def test_nobody_but_the_service_user_writes_to_couchdb(place: Place) -> None:
    first = place.init()
    assert first.exit_code == 0, first.output
    assert "only svc" in first.output
    again = place.init()
    assert "tables of the journal: were there" in again.output
    assert " made" not in again.output
    with place.client() as client:
        refused = client.put(place.database() + "/x", json={})
        assert refused.status_code == 403
        anonymous = "http://" + place.admin.rpartition("@")[2] + place.database()
        assert httpx.get(anonymous, timeout=30).status_code == 401


def test_a_cluster_of_another_server_is_left_alone(place: Place, tmp_path: Path) -> None:
    place.init()
    assert place.move().exit_code == 0
    (tmp_path / "other").mkdir()
    other = Company(tmp_path / "other")
    other.fill()
    told = run("migrate", "to-cluster", "--data", other.data)
    assert told.exit_code == 1
    assert "another server" in str(told.exception)


def test_what_stands_in_the_way_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "kompass init" in str(place.move().exception)
    place.init()
    assert place.move().exit_code == 0
    full = place.directory / "full"
    full.mkdir()
    (full / "x").touch()
    assert "isn't empty" in str(run("migrate", "to-directory", "--data", full).exception)
    with psycopg.connect(place.dsn, application_name="kompass api"):
        told = run("migrate", "to-directory", "--data", place.directory / "new")
        assert "kompass api is running" in str(told.exception)
    monkeypatch.delenv("KOMPASS_JOURNAL_DSN")
    assert "KOMPASS_JOURNAL_DSN" in str(place.move().exception)
    assert "KOMPASS_JOURNAL_DSN" in str(place.init().exception)
