"""What every driver does: databases, their partitions and what is kept of them."""

from __future__ import annotations

import pytest

from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.interface import Database, Store
from replication.store.values import PartitionInfo
from tests.replication.store.reading import rows_of
from tests.replication.store.traits import Traits
from tests.replication.store.writes import branch, doc, edit, replicate, status

# -- databases ---------------------------------------------------------------------------------------


async def test_databases_are_listed_sorted(store: Store) -> None:
    for name in ("zoo", "a/b+c", "_users", "m"):
        await store.create(name)
    assert await store.names() == ["_users", "a/b+c", "m", "zoo"]


async def test_creating_twice_is_refused(store: Store) -> None:
    await store.create("one")
    with pytest.raises(ProtocolError) as caught:
        await store.create("one")
    assert caught.value.status == 412


@pytest.mark.parametrize("name", ["", "A", "1a", "_x", "a b", "ä", "../x", "a" * 239])
async def test_bad_database_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        await store.create(name)
    assert caught.value.status == 400
    assert await store.names() == []


async def test_unknown_database(store: Store) -> None:
    with pytest.raises(ProtocolError) as caught:
        store.get("nothing")
    assert caught.value.status == 404
    with pytest.raises(ProtocolError):
        await store.delete("nothing")


async def test_deleted_database_is_gone_and_comes_back_empty(store: Store) -> None:
    db = await store.create("one")
    await edit(db, "a")
    old_epoch = db.epochs.current
    await store.delete("one")
    with pytest.raises(ProtocolError) as caught:
        await db.winner("a")
    assert caught.value.status == 404
    again = await store.create("one")
    assert await again.winner("a") is None
    assert again.epochs.current != old_epoch


async def test_info_counts_documents_and_deletions(db: Database) -> None:
    rev = await edit(db, "a")
    await edit(db, "b")
    await edit(db, "a", rev, _deleted=True)
    info = await db.info()
    assert (info.doc_count, info.deleted_count, info.update_seq) == (1, 1, 3)


# -- partitions --------------------------------------------------------------------------------------


async def test_a_database_is_partitioned_or_not_from_its_beginning(store: Store) -> None:
    assert not (await store.create("flat")).partitioned
    assert (await store.create("part", partitioned=True)).partitioned
    assert store.get("part").partitioned


async def test_a_partitioned_database_refuses_ids_without_a_partition(store: Store, traits: Traits) -> None:
    db = await store.create("part", partitioned=True)
    outcomes = await db.write([doc("x"), doc("p:1"), doc(":1"), doc("p:"), doc("p:_1"), doc("_design/x")])
    assert [isinstance(outcome, str) for outcome in outcomes] == [False, True, False, False, False, True]
    (outcome,) = await db.write([branch("x", 1, "a")], replicated=True)
    assert status(outcome) == (400, "illegal_docid")
    assert await db.put_local("x", 0, b"{}") == "0-1"
    ids = [str(change["id"]) for change in await rows_of(db)]
    assert (ids if traits.keeps_order_of_a_batch else sorted(ids, reverse=True)) == ["p:1", "_design/x"]


async def test_facts_of_a_partition_are_those_of_its_documents(store: Store, traits: Traits) -> None:
    db = await store.create("part", partitioned=True)
    nothing = PartitionInfo(0, 0, 0, 0)
    assert await db.partition_info("p") == nothing
    rev = await edit(db, "p:1")
    await edit(db, "p:2", text="x" * 1000)
    for docid in ("p", "p!:1", "p;:1", "q:1", "o:1", "P:1"):
        await db.write([doc(docid)])
    await edit(db, "p:1", rev, _deleted=True)
    await replicate(db, branch("p:2", 1, "other", text="y" * 500))
    found = await db.partition_info("p")
    assert (found.doc_count, found.deleted_count) == (1, 1)
    assert 1500 < found.external_size < 2000
    if traits.sizes_are_of_texts:
        assert found.external_size < found.active_size < 2000
    assert (await db.partition_info("q")).doc_count == 1
    assert await db.partition_info("none") == nothing


# -- keeping -----------------------------------------------------------------------------------------


async def test_security_and_limits_are_kept(db: Database) -> None:
    await db.set_security(b'{"admins":{"names":["x"]}}')
    await db.set_revs_limit(7)
    assert await db.security() == b'{"admins":{"names":["x"]}}'
    assert await db.revs_limit() == 7


async def test_requests_to_purge_are_remembered_up_to_a_limit(store: Store, traits: Traits) -> None:
    db = await store.create("db")
    rev = parse_rev("1-" + "a" * 32)
    await db.purge({"one": [rev]})
    await db.purge({"two": [rev], "three": [rev]})
    await db.purge({"one": [rev]})
    if not traits.tells_purge_requests:
        with pytest.raises(ProtocolError) as caught:
            await db.purge_requests()
        assert (caught.value.status, caught.value.error) == (404, "not_found")
        return
    requests = await db.purge_requests()
    if traits.orders_purge_requests:
        assert [request.id for request in requests] == ["two", "three", "one"]
    assert {request.id for request in requests} == {"one", "two", "three"}
    assert requests[0].revs == ["1-" + "a" * 32]
    assert await db.purge_requests_limit() == 1000
    await db.set_purge_requests_limit(1)
    assert await db.purge_requests_limit() == 1
    if not traits.orders_purge_requests:
        return
    assert [request.id for request in await db.purge_requests()] == ["one"]
    await db.purge({"four": [rev]})
    assert [request.id for request in await db.purge_requests()] == ["four"]
