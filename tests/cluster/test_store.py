"""Stores of several processes that have one catalogue."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from kompass.cluster.catalogue import PostgresCatalogue
from kompass.cluster.journal import PostgresJournal
from replication.protocol.errors import ProtocolError
from replication.store.interface import Database
from replication.store.sqlite import SharedStore, SqliteDatabase
from replication.store.sqlite.following import Question
from tests.cluster.harness import Cluster, cluster
from tests.replication.store.copied import Heard, step, tables
from tests.replication.store.writes import doc, edit

pytestmark = [pytest.mark.slow]


@pytest.fixture
def made() -> Iterator[Cluster]:
    with cluster() as one:
        yield one


async def names_are(store: SharedStore, right: Callable[[list[str]], bool]) -> None:
    for _ in range(1000):
        if right(await store.names()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(await store.names())


async def until_there(store: SharedStore, name: str) -> SqliteDatabase:
    await names_are(store, lambda names: name in names)
    found = store.get(name)
    assert isinstance(found, SqliteDatabase)
    return found


def of(database: Database) -> SqliteDatabase:
    assert isinstance(database, SqliteDatabase)
    return database


def added(word: bytes) -> Callable[[bytes], bytes]:
    return lambda kept: kept + word


async def test_databases_come_and_go_for_all(made: Cluster, tmp_path: Path) -> None:
    a = await made.open(tmp_path / "a", extensions={"db": Heard()})
    b = await made.open(tmp_path / "b", extensions={"db": Heard()})
    assert (a.uuid, a.secret) == (b.uuid, b.secret)
    at_a = of(await a.create("db", security=b'{"x":1}'))
    at_b = await until_there(b, "db")
    assert await at_b.security() == b'{"x":1}'
    with pytest.raises(ProtocolError, match="file_exists"):
        await b.create("db")
    await edit(at_a, "x")
    await at_b.fresh()
    assert await at_b.winner("x") is not None
    await a.change_settings(lambda kept: b'{"s":1}')
    assert await b.settings() == b'{"s":1}'
    words = [f" word{number}".encode() for number in range(6)]
    await asyncio.gather(*(one.change_settings(added(word)) for word in words for one in (a, b)))
    kept = await b.settings()
    assert all(kept.count(word) == 2 for word in words), "none has lost another's"
    await b.delete("db")
    await names_are(a, lambda names: "db" not in names)
    with pytest.raises(ProtocolError, match="not_found"):
        await at_a.write([doc("y")])
    again = of(await a.create("db"))
    assert await again.winner("x") is None
    assert await (await until_there(b, "db")).winner("x") is None
    await a.close()
    await b.close()


async def test_one_question_makes_all_databases_fresh(
    made: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await made.open(tmp_path / "a"), await made.open(tmp_path / "b")
    for name in ("one", "two"):
        await a.create(name)
    await b.fresh()
    assert await b.names() == ["one", "two"], "it needn't be heard of first"
    there = [of(b.get(name)) for name in ("one", "two")]
    monkeypatch.setattr(PostgresJournal, "head", lambda self: pytest.fail("asked for one of them"))
    answered: list[dict[str, int]] = []
    heads = PostgresCatalogue.heads

    def asked(catalogue: PostgresCatalogue) -> dict[str, int]:
        answered.append(heads(catalogue))
        return answered[-1]

    monkeypatch.setattr(PostgresCatalogue, "heads", asked)
    b._newest = Question(b.catalogue.heads)
    for name in ("one", "two"):
        await edit(a.get(name), "x")
    await asyncio.gather(*(b.fresh() for _ in range(20)))
    assert len(answered) == 1
    assert None not in [await database.winner("x") for database in there]
    await a.close()
    await b.close()


async def test_two_that_make_one_database_have_one(made: Cluster, tmp_path: Path) -> None:
    stores = [await made.open(tmp_path / str(number)) for number in range(3)]
    done = await asyncio.gather(*(store.create("db") for store in stores), return_exceptions=True)
    assert sum(isinstance(one, SqliteDatabase) for one in done) == 1
    for store in stores:
        await edit(await until_there(store, "db"), store.directory.name)
    for store in stores:
        database = of(store.get("db"))
        await database.fresh()
        assert (await database.info()).doc_count == 3
        await store.close()


async def test_a_new_process_begins_with_a_base_and_goes_on(made: Cluster, tmp_path: Path) -> None:
    a = await made.open(tmp_path / "a", extensions={"db": Heard()})
    first = of(await a.create("db"))
    for number in range(5):
        await edit(first, f"d{number}")
    await first.save(tmp_path / "saved")
    made.members[0].catalogue.add_base("db", 5, tmp_path / "saved", keep=1)
    for number in range(5, 8):
        await edit(first, f"d{number}")
    b = await made.open(tmp_path / "b", extensions={"db": Heard()})
    second = of(b.get("db"))
    await second.fresh()
    assert tables(second) == tables(first)
    await b.close()
    # Its directory is there still: it goes on where it stood.
    await edit(first, "later")
    b = await made.open(tmp_path / "b", extensions={"db": Heard()})
    second = of(b.get("db"))
    await second.fresh()
    assert tables(second) == tables(first)
    await b.close()
    await a.close()


@pytest.mark.parametrize("how", ["too old", "ahead", "another lineage", "damaged"])
async def test_a_copy_that_cannot_follow_is_fetched_anew(made: Cluster, tmp_path: Path, how: str) -> None:
    a = await made.open(tmp_path / "a")
    b = await made.open(tmp_path / "b")
    first = of(await a.create("db"))
    await edit(await until_there(b, "db"), "x")
    await b.close()
    file = tmp_path / "b" / "db.sqlite"
    if how == "too old":
        await edit(first, "y")
        await edit(first, "z")
        await first.save(tmp_path / "saved")
        made.members[0].catalogue.add_base("db", 3, tmp_path / "saved", keep=1)
    elif how == "ahead":
        ahead = await made.open(tmp_path / "b")
        of(ahead.get("db"))
        await ahead.close()
        connection = apsw.Connection(str(file))
        connection.execute("UPDATE copy SET position = 99")
        connection.close()
    elif how == "another lineage":
        await a.delete("db")
        first = of(await a.create("db"))
        await edit(first, "other")
    else:
        file.write_bytes(b"no database at all" * 100)
    again = await made.open(tmp_path / "b")
    second = of(again.get("db"))
    await second.fresh()
    await first.fresh()
    assert tables(second) == tables(first)
    assert again.lost() == {}
    await again.close()
    await a.close()


async def test_a_running_copy_that_falls_out_of_step_says_so_and_is_replaced(
    made: Cluster, tmp_path: Path
) -> None:
    a = await made.open(tmp_path / "a")
    b = await made.open(tmp_path / "b")
    await a.create("db")
    broken = await until_there(b, "db")
    rev = await edit(broken, "x")
    with broken.reading() as reading:
        file = reading.connection.filename
    connection = apsw.Connection(file)
    connection.execute("UPDATE docs SET rev = '1-f'")
    connection.close()
    first = of(a.get("db"))
    await edit(first, "x", rev)
    with pytest.raises(ProtocolError):
        await broken.fresh()
    assert set(b.lost()) == {"db"}
    await b.close()
    again = await made.open(tmp_path / "b")
    second = of(again.get("db"))
    await second.fresh()
    assert tables(second) == tables(first)
    await again.close()
    await a.close()


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_written_where_copies_are_the_same(
    made: Cluster, tmp_path: Path, seed: int
) -> None:
    source = random.Random(seed)
    stores = [await made.open(tmp_path / "0", extensions={"db": Heard()})]
    await stores[0].create("db")
    stores += [await made.open(tmp_path / str(n), extensions={"db": Heard()}) for n in (1, 2)]
    for number in range(80):
        jobs = [step(source, of(source.choice(stores).get("db"))) for _ in range(source.randrange(1, 5))]
        await asyncio.gather(*jobs)
        if number % 20 == 10:
            # A process goes; another one takes its place, with its directory or without.
            which = source.randrange(3)
            await stores[which].close()
            directory = source.choice([stores[which].directory, tmp_path / f"new{number}"])
            stores[which] = await made.open(directory, extensions={"db": Heard()})
    for store in stores:
        await of(store.get("db")).fresh()
    contents = [tables(of(store.get("db"))) for store in stores]
    assert contents[0] == contents[1] == contents[2]
    for store in stores:
        await store.close()
