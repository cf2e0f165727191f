"""python-couchdb, the oldest client for Python, against a real server process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from itertools import count, pairwise
from threading import Timer
from typing import Any

import couchdb
import pytest
from couchdb.design import ViewDefinition
from couchdb.mapping import Document, IntegerField, TextField

from tests.contract.served import Served

pytestmark = pytest.mark.slow

numbers = count(1)


@pytest.fixture(scope="module")
def couch(server: Served) -> Any:
    return couchdb.Server(server.url)


@pytest.fixture
def db(couch: Any) -> Iterator[Any]:
    """An empty database."""
    name = f"python-{next(numbers)}/a+b"
    yield couch.create(name)
    del couch[name]


def orders(number: int) -> list[dict[str, Any]]:
    return [{"_id": f"order-{each:04}", "customer": each % 7, "sum": each * 10} for each in range(number)]


def sequence(db: Any) -> int:
    """The number at the front of the database's sequence."""
    return int(db.info()["update_seq"].partition("-")[0])


def test_databases_are_keys_of_the_server(couch: Any, db: Any) -> None:
    assert couch
    assert couch.version_info() >= (3, 5)
    assert db.name in couch
    assert db.name in list(couch)
    assert len(couch) == len(list(couch))
    assert "python-none" not in couch
    with pytest.raises(couchdb.PreconditionFailed):
        couch.create(db.name)
    with pytest.raises(couchdb.ResourceNotFound):
        couch["python-none"]
    with pytest.raises(couchdb.ServerError):
        couch.create("UPPER")
    assert len(set(couch.uuids(20))) == 20
    assert couch.tasks() == []
    assert db.commit()["ok"]
    assert db.compact()
    assert db.cleanup()
    db.security = {"members": {"names": ["anna"], "roles": []}, "admins": {"names": [], "roles": []}}
    assert db.security["members"]["names"] == ["anna"]


def test_users_and_who_may_read(couch: Any, server: Served, db: Any) -> None:
    couch.add_user("bert", "wanderweg", roles=["sales"])
    db.security = {"members": {"names": [], "roles": ["sales"]}}
    db["doc"] = {"n": 1}
    bert = couchdb.Server(server.origin)
    with pytest.raises(couchdb.Unauthorized):
        bert[db.name]
    bert.resource.credentials = ("bert", "wanderweg")
    assert bert[db.name]["doc"]["n"] == 1
    bert.resource.credentials = ("bert", "wrong")
    with pytest.raises(couchdb.Unauthorized):
        bert[db.name]
    couch.remove_user("bert")


def test_documents_are_items_of_the_database(db: Any) -> None:
    doc = {"größe": 1.5, "list": [1, None, {"a": "é\u2028"}], "big": 2**60}
    db["a/ü b+c?"] = doc
    assert db["a/ü b+c?"] == doc
    assert "a/ü b+c?" in db
    stale = dict(doc)
    doc["größe"] = 2
    db.save(doc)
    with pytest.raises(couchdb.ResourceConflict):
        db.save(stale)
    with pytest.raises(couchdb.ResourceConflict):
        db.delete(stale)
    assert [each["größe"] for each in db.revisions(doc["_id"])] == [2, 1.5]
    name, rev = db.save({"posted": True})
    assert db.get(name)["_rev"] == rev
    copied = db.copy(name, {"_id": "copy of ü"})
    assert db["copy of ü"].rev == copied
    assert db.copy(doc, {"_id": "copy of ü", "_rev": copied}).startswith("2-")
    assert len(db) == 3
    assert sorted(db) == sorted([name, "a/ü b+c?", "copy of ü"])
    del db["a/ü b+c?"]
    assert db.get("a/ü b+c?", "gone") == "gone"
    assert "a/ü b+c?" not in db
    local = {"seq": 1}
    db["_local/point"] = local
    assert db["_local/point"]["seq"] == 1


def test_documents_are_asked_for_again_by_etag(db: Any) -> None:
    """The client keeps what it read, and orders it by the header `Date`."""
    batch = orders(200)
    db.update(batch)
    for _ in range(2):
        assert [db[doc["_id"]]["sum"] for doc in batch] == [doc["sum"] for doc in batch]
    batch[199]["sum"] = -1
    db.save(batch[199])
    assert db["order-0199"]["sum"] == -1


def test_batches_say_which_document_failed(db: Any) -> None:
    batch = orders(50)
    before = sequence(db)
    assert all(ok for ok, _, _ in db.update(batch))
    assert sequence(db) == before + 50
    changed = [{"_id": "order-0000"}, {**batch[1], "sum": 0}, {**batch[2], "_deleted": True}]
    (no, _, reason), *rest = db.update(changed)
    assert not no
    assert isinstance(reason, couchdb.ResourceConflict)
    assert [ok for ok, _, _ in rest] == [True, True]
    assert len(db) == 49
    assert sequence(db) == before + 52
    purged = db.purge([batch[3]])
    assert purged["purged"] == {"order-0003": [batch[3]["_rev"]]}
    assert "order-0003" not in db


def test_attachments(db: Any) -> None:
    doc = {"_id": "doc"}
    db.save(doc)
    photo = os.urandom(200_000)
    db.put_attachment(doc, BytesIO(photo), "photo.jpg")
    db.put_attachment(doc, "Grüße ".encode() * 300, "notiz.txt", "text/plain; charset=utf-8")
    db.put_attachment(doc, b"", "folder/leer ü.bin", "application/octet-stream")
    assert db.get_attachment("doc", "photo.jpg").read() == photo
    assert db.get_attachment(doc, "notiz.txt").read().decode() == "Grüße " * 300
    assert db.get_attachment(doc, "none", "nothing") == "nothing"
    stubs = db["doc"]["_attachments"]
    assert stubs["folder/leer ü.bin"]["length"] == 0
    assert {name: stub["content_type"] for name, stub in stubs.items()} == {
        "photo.jpg": "image/jpeg",
        "notiz.txt": "text/plain; charset=utf-8",
        "folder/leer ü.bin": "application/octet-stream",
    }
    db.delete_attachment(doc, "photo.jpg")
    assert db.get_attachment(doc, "photo.jpg") is None
    # Written with its attachments listed as stubs, a document keeps them.
    db["doc"] = {**db["doc"], "edited": True}
    assert db.get_attachment("doc", "notiz.txt").read().startswith("Grüße".encode())


class Order(Document):  # type: ignore[misc]
    customer = IntegerField()
    name = TextField()


def test_views(db: Any) -> None:
    db.update(orders(120))
    by_customer = ViewDefinition(
        "shop", "customer", "function (doc) { emit(doc.customer, doc.sum); }", reduce_fun="_sum"
    )
    by_customer.sync(db)
    by_customer.sync(db)
    assert db["_design/shop"].rev.startswith("1-")
    rows = list(db.iterview("shop/customer", 11, reduce=False))
    assert len(rows) == 120
    assert all((one.key, one.id) < (other.key, other.id) for one, other in pairwise(rows))
    some = by_customer(db, reduce=False)[2:3]
    assert {row.key for row in some} == {2, 3}
    assert len(by_customer(db, reduce=False)[5]) == len(range(5, 120, 7))
    groups = {row.key: row.value for row in db.view("shop/customer", group=True)}
    assert groups == {each: sum(number * 10 for number in range(each, 120, 7)) for each in range(7)}
    (total,) = db.view("shop/customer")
    assert total.value == sum(groups.values())
    chosen = db.view("shop/customer", keys=[6, 1], reduce=False, include_docs=True, limit=1000)
    assert {row.doc["customer"] for row in chosen} == {1, 6}
    backwards = db.view("_all_docs", descending=True, limit=3, startkey="order-0100")
    assert [row.id for row in backwards] == ["order-0100", "order-0099", "order-0098"]
    wanted = list(db.view("_all_docs", keys=["order-0001", "none"]))
    assert wanted[1].error == "not_found"
    first = Order.view(db, "shop/customer", reduce=False, include_docs=True, limit=1).rows[0]
    assert (first.id, first.customer) == ("order-0000", 0)
    assert db.info("shop")["view_index"]["language"] == "javascript"


def test_find_and_its_indexes(db: Any) -> None:
    db.update(orders(60))
    indexes = db.index()
    indexes["by", "sum"] = [{"sum": "asc"}]
    assert [each["name"] for each in indexes] == ["_all_docs", "sum"]
    query = {"selector": {"sum": {"$gt": 550}}, "sort": [{"sum": "desc"}], "fields": ["sum"]}
    assert [doc["sum"] for doc in db.find(query)] == [590, 580, 570, 560]
    assert db.explain(query)["index"]["name"] == "sum"
    del indexes["by", "sum"]
    with pytest.raises(couchdb.ServerError) as unsorted:
        db.find(query)
    assert unsorted.value.args[0][0] == 400


def test_changes_as_a_list_and_as_they_come(db: Any) -> None:
    db.update(orders(30))
    listed = db.changes(limit=10)
    assert [row["id"] for row in listed["results"]] == [f"order-{each:04}" for each in range(10)]
    chosen = db.changes(filter="_selector", _selector={"selector": {"sum": 70}})
    assert [row["id"] for row in chosen["results"]] == ["order-0007"]
    feed = db.changes(feed="continuous", since=listed["last_seq"], heartbeat=100, timeout=20_000)
    assert [next(feed)["id"] for _ in range(20)] == [f"order-{each:04}" for each in range(10, 30)]
    late = Timer(0.5, db.save, ({"_id": "late"},))
    late.start()
    # Heartbeats came before it.
    assert next(feed)["id"] == "late"
    late.join()
    feed.close()
    ended = list(db.changes(feed="continuous", since=0, timeout=100))
    assert len(ended) == 32
    assert ended[-1]["pending"] == 0


def test_replicate(couch: Any, server: Served, db: Any) -> None:
    db.update(orders(80))
    doc = {"_id": "attached"}
    db.save(doc)
    db.put_attachment(doc, b"bytes" * 1000, "file.bin", "application/octet-stream")
    address = f"{server.url}/{db.name.replace('/', '%2F').replace('+', '%2B')}"
    target = f"python-target-{next(numbers)}"
    answer = couch.replicate(address, f"{server.url}/{target}", create_target=True)
    assert answer["ok"]
    assert answer["history"][0]["docs_written"] == 81
    copy = couch[target]
    assert len(copy) == 81
    assert copy["attached"].rev == doc["_rev"]
    assert copy.get_attachment("attached", "file.bin").read() == b"bytes" * 1000
    db.save({"_id": "later"})
    again = couch.replicate(address, f"{server.url}/{target}")
    assert again["history"][0]["docs_read"] == 1
    assert couch.replicate(address, f"{server.url}/{target}")["no_changes"]
    couch.delete(target)
