"""IBM's Cloudant SDK for Python against a real server process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from ibmcloudant import (
    ApiException,
    ChangesFollower,
    CloudantV1,
    CouchDbSessionAuthenticator,
    PagerType,
    Pagination,
)

from tests.contract.served import Served, served
from tests.servers import running_server

pytestmark = pytest.mark.slow

numbers = count(1)


def client(server: Served, name: str = "admin", password: str = "geheim") -> Any:
    service = CloudantV1(authenticator=CouchDbSessionAuthenticator(name, password))
    service.set_service_url(server.origin)
    return service


@pytest.fixture(scope="module")
def service(server: Served) -> Any:
    return client(server)


@pytest.fixture
def db(service: Any) -> Iterator[str]:
    """The name of an empty database."""
    name = f"cloudant-{next(numbers)}"
    assert service.put_database(db=name).get_result() == {"ok": True}
    yield name
    service.delete_database(db=name)


def fill(service: Any, db: str, documents: list[dict[str, Any]]) -> list[str]:
    """Writes a batch; the revisions it got."""
    rows = service.post_bulk_docs(db=db, bulk_docs={"docs": documents}).get_result()
    assert all(row["ok"] for row in rows)
    return [row["rev"] for row in rows]


def orders(number: int) -> list[dict[str, Any]]:
    return [{"_id": f"order-{each:04}", "customer": each % 7, "sum": each * 10} for each in range(number)]


# -- Logins --------------------------------------------------------------------------------------


def test_a_session_is_kept_renewed_and_refused(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", options=("--session-timeout", "10")) as server:
        service = client(server)
        manager = service.authenticator.token_manager
        service.put_database(db="db")
        service.put_security(db="db", members={"names": ["anna"], "roles": []}, admins={"names": []})
        user = {"name": "anna", "password": "wanderweg", "roles": ["sales"], "type": "user"}
        # `_users` is a database; the SDK has no call of its own for it.
        service.put_document(db="_users", doc_id="org.couchdb.user:anna", document=user)
        ttl = manager.expire_time - manager._get_current_time()
        assert 0 < ttl <= 10
        assert manager.refresh_time < manager.expire_time
        # The SDK believes that its login has ended: it logs in again.
        manager.expire_time = manager.refresh_time = 0
        service.get_all_dbs()
        assert manager.expire_time > time.time()

        anna = client(server, "anna", "wanderweg")
        anna.put_document(db="db", doc_id="hers", document={"n": 1})
        context = anna.get_session_information().get_result()["userCtx"]
        assert context == {"name": "anna", "roles": ["sales"]}
        with pytest.raises(ApiException) as not_hers:
            anna.put_database(db="other")
        assert not_hers.value.status_code == 401
        with pytest.raises(ApiException) as wrong:
            client(server, "anna", "wrong").get_all_dbs()
        assert wrong.value.status_code == 401


# -- Documents -----------------------------------------------------------------------------------


def test_documents_are_written_read_and_deleted(service: Any, db: str) -> None:
    posted = service.post_document(db=db, document={"name": "Zoë", "größe": 1.5}).get_result()
    first = service.put_document(db=db, doc_id="a/ü b+c", document={"n": 1}).get_result()["rev"]
    second = service.put_document(db=db, doc_id="a/ü b+c", document={"n": 2, "_rev": first})
    rev = second.get_result()["rev"]
    with pytest.raises(ApiException) as conflict:
        service.put_document(db=db, doc_id="a/ü b+c", document={"n": 3}, rev=first)
    assert conflict.value.status_code == 409
    assert conflict.value.message == "conflict: Document update conflict."
    assert service.head_document(db=db, doc_id="a/ü b+c").get_headers()["ETag"] == f'"{rev}"'
    read = service.get_document(db=db, doc_id="a/ü b+c", revs_info=True, local_seq=True).get_result()
    assert [each["rev"] for each in read["_revs_info"]] == [rev, first]
    old = service.get_document(db=db, doc_id="a/ü b+c", rev=first).get_result()
    assert old["n"] == 1
    raw = service.get_document_as_stream(db=db, doc_id=posted["id"]).get_result().content
    assert '"Zoë"'.encode() in raw
    service.delete_document(db=db, doc_id="a/ü b+c", rev=rev)
    with pytest.raises(ApiException) as gone:
        service.get_document(db=db, doc_id="a/ü b+c")
    assert (gone.value.status_code, gone.value.message) == (404, "not_found: deleted")
    with pytest.raises(ApiException) as unchanged:
        service.get_document(db=db, doc_id=posted["id"], if_none_match=f'"{posted["rev"]}"')
    assert unchanged.value.status_code == 304


def test_batches_histories_and_local_documents(service: Any, db: str) -> None:
    revs = fill(service, db, orders(20))
    rows = service.post_bulk_docs(
        db=db, bulk_docs={"docs": [{"_id": "order-0000"}, {"_id": "order-0001", "_rev": revs[1], "n": 2}]}
    ).get_result()
    assert [row.get("error") for row in rows] == ["conflict", None]
    branch = {
        "_id": "order-0002",
        "_rev": f"2-{'f' * 32}",
        "_revisions": {"start": 2, "ids": ["f" * 32, "e" * 32]},
    }
    assert service.post_bulk_docs(db=db, bulk_docs={"docs": [branch], "new_edits": False}).get_result() == []
    both = service.get_document(db=db, doc_id="order-0002", conflicts=True).get_result()
    assert (both["_rev"], both["_conflicts"]) == (branch["_rev"], [revs[2]])
    asked = [{"id": "order-0002", "rev": revs[2]}, {"id": "order-0003"}, {"id": "nothing"}]
    got = service.post_bulk_get(db=db, docs=asked, revs=True).get_result()["results"]
    assert [row["docs"][0].get("ok", {}).get("_rev") for row in got] == [revs[2], revs[3], None]
    mixed = service.post_bulk_get_as_mixed(db=db, docs=asked).get_result()
    assert mixed.headers["content-type"].startswith("multipart/mixed")
    missing = service.post_revs_diff(
        db=db, document_revisions={"order-0000": [revs[0], "3-x"], "new": ["1-y"]}
    )
    assert missing.get_result() == {
        "order-0000": {"missing": ["3-x"], "possible_ancestors": [revs[0]]},
        "new": {"missing": ["1-y"]},
    }
    service.put_local_document(db=db, doc_id="checkpoint", document={"seq": "5-x"})
    assert service.get_local_document(db=db, doc_id="checkpoint").get_result()["seq"] == "5-x"
    service.delete_local_document(db=db, doc_id="checkpoint")
    with pytest.raises(ApiException):
        service.head_local_document(db=db, doc_id="checkpoint")


@pytest.mark.parametrize("packed", [True, False], ids=["sent as gzip", "sent plain"])
def test_attachments(server: Served, db: str, packed: bool) -> None:
    service = client(server)
    assert service.get_enable_gzip_compression()
    service.set_enable_gzip_compression(packed)
    photo = os.urandom(300_000)
    rev = service.put_document(db=db, doc_id="doc", document={}).get_result()["rev"]
    for name, content, kind in (
        ("photo.jpg", BytesIO(photo), "image/jpeg"),
        ("folder/notiz.txt", BytesIO(b"Text " * 500), "text/plain"),
    ):
        rev = service.put_attachment(
            db=db, doc_id="doc", attachment_name=name, attachment=content, content_type=kind, rev=rev
        ).get_result()["rev"]
    got = service.get_attachment(db=db, doc_id="doc", attachment_name="photo.jpg").get_result().content
    assert got == photo
    text = service.get_attachment(db=db, doc_id="doc", attachment_name="folder/notiz.txt")
    assert text.get_result().content == b"Text " * 500
    part = service.get_attachment(db=db, doc_id="doc", attachment_name="photo.jpg", range="bytes=10-19")
    # What came as gzip stays gzip, and has no ranges.
    assert part.get_result().content == (photo if packed else photo[10:20])
    head = service.head_attachment(db=db, doc_id="doc", attachment_name="photo.jpg").get_headers()
    assert head["Accept-Ranges"] == ("none" if packed else "bytes")
    related = service.get_document_as_related(db=db, doc_id="doc", attachments=True).get_result()
    assert (photo in related.content) != packed
    inline = service.get_document(db=db, doc_id="doc", attachments=True).get_result()["_attachments"]
    assert {name: each["content_type"] for name, each in inline.items()} == {
        "photo.jpg": "image/jpeg",
        "folder/notiz.txt": "text/plain",
    }
    service.delete_attachment(db=db, doc_id="doc", attachment_name="photo.jpg", rev=rev)
    left = service.get_document(db=db, doc_id="doc").get_result()["_attachments"]
    assert list(left) == ["folder/notiz.txt"]


# -- Pages ---------------------------------------------------------------------------------------


def pages(service: Any, kind: PagerType, **options: Any) -> list[list[Any]]:
    return [list(page) for page in Pagination.new_pagination(service, kind, **options).pages()]


def test_pages_of_all_documents(service: Any, db: str) -> None:
    fill(service, db, orders(105))
    got = pages(service, PagerType.POST_ALL_DOCS, db=db, limit=20, include_docs=True)
    assert [len(page) for page in got] == [20, 20, 20, 20, 20, 5]
    assert [row.doc.sum for page in got for row in page] == [each * 10 for each in range(105)]
    # A number that comes out even, a part of the ids, and backwards.
    some = pages(
        service, PagerType.POST_ALL_DOCS, db=db, limit=25, start_key="order-0005", end_key="order-0054"
    )
    assert [len(page) for page in some] == [25, 25]
    rows = Pagination.new_pagination(
        service, PagerType.POST_ALL_DOCS, db=db, limit=10, descending=True
    ).rows()
    assert [row.id for row in islice(rows, 25)] == [f"order-{each:04}" for each in range(104, 79, -1)]


def test_pages_of_a_search_by_bookmark(service: Any, db: str) -> None:
    fill(service, db, orders(150))
    service.post_index(db=db, index={"fields": ["customer", "sum"]}, ddoc="by", name="customer", type="json")
    asked = {
        "db": db,
        "selector": {"customer": {"$gte": 3}},
        "sort": [{"customer": "desc"}, {"sum": "desc"}],
        "fields": ["_id", "customer", "sum"],
        "use_index": ["by", "customer"],
    }
    got = pages(service, PagerType.POST_FIND, limit=20, **asked)
    found = [(doc.customer, doc.sum) for page in got for doc in page]
    wanted = [(each["customer"], each["sum"]) for each in orders(150) if each["customer"] >= 3]
    assert found == sorted(wanted, reverse=True)
    assert [len(page) for page in got] == [20, 20, 20, 20, 4]
    skipped = pages(service, PagerType.POST_FIND, limit=20, skip=3, **asked)
    assert [(doc.customer, doc.sum) for page in skipped for doc in page] == found[3:]
    # A bookmark goes on where an earlier process stopped.
    first = service.post_find(limit=50, **asked).get_result()
    rest = service.post_find(limit=50, bookmark=first["bookmark"], **asked).get_result()
    assert [doc["sum"] for doc in first["docs"] + rest["docs"]] == [each[1] for each in found]
    explained = service.post_explain(limit=50, **asked).get_result()
    assert explained["index"]["name"] == "customer"
    listed = service.get_indexes_information(db=db).get_result()
    assert [each["name"] for each in listed["indexes"]] == ["_all_docs", "customer"]
    service.delete_index(db=db, ddoc="by", type="json", index="customer")
    with pytest.raises(ApiException) as unsorted:
        service.post_find(limit=50, **{**asked, "use_index": None})
    assert unsorted.value.status_code == 400


def test_pages_of_a_view_whose_keys_repeat(service: Any, db: str) -> None:
    fill(service, db, orders(100))
    functions = {
        "customer": {"map": "function (doc) { emit(doc.customer, doc.sum); }", "reduce": "_stats"},
        "parts": {"map": "function (doc) { emit([doc.customer, doc._id], null); }", "reduce": "_count"},
    }
    service.put_design_document(db=db, ddoc="shop", design_document={"views": functions})
    got = pages(service, PagerType.POST_VIEW, db=db, ddoc="shop", view="customer", limit=9, reduce=False)
    rows = [(row.key, row.id) for page in got for row in page]
    assert len(rows) == 100
    assert all(one < other for one, other in pairwise(rows))
    groups = service.post_view(db=db, ddoc="shop", view="customer", group=True).get_result()["rows"]
    assert [row["key"] for row in groups] == list(range(7))
    assert sum(row["value"]["sum"] for row in groups) == sum(each * 10 for each in range(100))
    answers = service.post_view_queries(
        db=db,
        ddoc="shop",
        view="parts",
        queries=[{"group_level": 1, "limit": 2}, {"reduce": False, "keys": [[1, "order-0001"]]}],
    ).get_result()["results"]
    assert [row["key"] for row in answers[0]["rows"]] == [[0], [1]]
    assert [row["id"] for row in answers[1]["rows"]] == ["order-0001"]
    about = service.get_design_document_information(db=db, ddoc="shop").get_result()
    assert about["name"] == "shop"
    assert about["view_index"]["language"] == "javascript"
    listings = service.post_all_docs_queries(
        db=db, queries=[{"keys": ["order-0001", "none"]}, {"limit": 1, "descending": True}]
    ).get_result()["results"]
    assert [row.get("error") for row in listings[0]["rows"]] == [None, "not_found"]
    assert listings[1]["rows"][0]["id"] == "order-0099"
    designs = service.post_design_docs(db=db).get_result()["rows"]
    assert [row["id"] for row in designs] == ["_design/shop"]


# -- Changes -------------------------------------------------------------------------------------


def stop(follower: Any, writer: Any, db: str) -> None:
    """Stops a follower that listens. It waits for the request that is open; a change ends that."""
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(follower.stop)
        writer.put_document(db=db, doc_id="the end", document={})
        stopped.result(20)


def test_a_follower_of_what_is_there(service: Any, db: str) -> None:
    fill(service, db, orders(500))
    rows = list(ChangesFollower(service, db=db).start_one_off())
    assert [row.id for row in rows] == [f"order-{each:04}" for each in range(500)]
    # Later it goes on behind what it has seen.
    last = rows[-1].seq
    fill(service, db, [{"_id": "new"}])
    assert [row.id for row in ChangesFollower(service, db=db, since=last).start_one_off()] == ["new"]
    # Few of many, in small pages with documents: the pages without any must not end it.
    chosen = ChangesFollower(
        service, db=db, filter="_selector", selector={"sum": {"$in": [10, 4900]}}, include_docs=True
    )
    assert [row.doc.sum for row in chosen.start_one_off()] == [10, 4900]
    assert len(list(ChangesFollower(service, db=db, limit=7).start_one_off())) == 7
    with pytest.raises(ApiException) as missing:
        next(ChangesFollower(service, db="no-such-database").start_one_off())
    assert missing.value.status_code == 404


def test_a_follower_of_what_comes(service: Any, server: Served, db: str) -> None:
    fill(service, db, orders(3))
    follower = ChangesFollower(service, db=db, since="0")
    writer = client(server)
    with ThreadPoolExecutor(1) as pool:
        rows = follower.start()
        assert [next(rows).id for _ in range(3)] == ["order-0000", "order-0001", "order-0002"]
        for number in range(5):
            written = pool.submit(writer.put_document, db=db, doc_id=f"live-{number}", document={"n": number})
            assert next(rows).id == f"live-{number}"
            rev = written.result(10).get_result()["rev"]
        pool.submit(writer.delete_document, db=db, doc_id="live-4", rev=rev)
        deleted = next(rows)
        assert (deleted.id, deleted.deleted) == ("live-4", True)
    stop(follower, writer, db)


def test_a_follower_outlives_a_crash_of_the_server(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        service = client(server)
        service.put_database(db="db")
        fill(service, "db", orders(3))
        follower = ChangesFollower(service, db="db", since="0")
        rows = follower.start()
        assert [next(rows).id for _ in range(3)] == ["order-0000", "order-0001", "order-0002"]
        server.crash()
        server.start()
        # The login holds as well; a 401 would end the follower.
        fill(service, "db", [{"_id": "after"}, {"_id": "last"}])
        assert [next(rows).id for _ in range(2)] == ["after", "last"]
        stop(follower, service, "db")


def test_changes_as_a_stream(service: Any, db: str) -> None:
    fill(service, db, orders(30))
    feed = service.post_changes_as_stream(
        db=db, feed="continuous", timeout=200, filter="_doc_ids", doc_ids=["order-0003", "order-0028"]
    ).get_result()
    lines = [line for line in feed.iter_lines() if line]
    assert [b'"order-0003"' in lines[0], b'"order-0028"' in lines[1], b"last_seq" in lines[2]] == [True] * 3
    newest = service.post_changes(db=db, descending=True, limit=2).get_result()["results"]
    assert [row["id"] for row in newest] == ["order-0029", "order-0028"]


# -- The server ----------------------------------------------------------------------------------


def test_what_the_server_says_of_itself(service: Any, db: str) -> None:
    assert service.get_server_information().get_result()["couchdb"] == "Welcome"
    assert service.get_up_information().get_result()["status"] == "ok"
    assert len(service.get_uuids(count=5).get_result()["uuids"]) == 5
    fill(service, db, orders(3))
    assert db in service.get_all_dbs().get_result()
    assert service.get_all_dbs(start_key=json.dumps(db), limit=1).get_result() == [db]
    info = service.post_dbs_info(keys=[db, "none"]).get_result()
    assert info[0]["info"]["doc_count"] == 3
    assert info[1] == {"key": "none", "error": "not_found"}
    assert service.get_active_tasks().get_result() == []
    nodes = service.get_membership_information().get_result()
    assert nodes["all_nodes"] == nodes["cluster_nodes"]
    updates = service.get_db_updates(feed="normal").get_result()
    assert db in {row["db_name"] for row in updates["results"]}
    service.delete_database(db=db)
    after = service.get_db_updates(since=updates["last_seq"]).get_result()["results"]
    assert [(row["db_name"], row["type"]) for row in after] == [(db, "deleted")]
    service.put_database(db=db)
    rights = {"names": ["anna"], "roles": ["sales"]}
    service.put_security(db=db, members=rights, admins={"names": [], "roles": ["boss"]})
    assert service.get_security(db=db).get_result()["members"] == rights


@pytest.mark.alone("the leader replicates and answers nobody: the document says what became of it")
def test_a_replication_is_a_document(service: Any, server: Served, db: str) -> None:
    fill(service, db, orders(40))
    target = f"{db}-copy"
    job = {
        "source": {"url": f"{server.url}/{db}"},
        "target": {"url": f"{server.url}/{target}"},
        "create_target": True,
        "selector": {"customer": 1},
    }
    service.put_replication_document(doc_id="copy", replication_document=job)
    try:
        deadline = time.monotonic() + 30
        state: dict[str, Any] = {"state": None}
        while state["state"] != "completed" and time.monotonic() < deadline:
            time.sleep(0.05)
            state = service.get_scheduler_document(doc_id="copy").get_result()
        assert state["state"] == "completed"
        assert state["info"]["docs_written"] == len([each for each in orders(40) if each["customer"] == 1])
        assert "geheim" not in str(state)
        assert "copy" in [each["doc_id"] for each in service.get_scheduler_docs().get_result()["docs"]]
        assert service.get_scheduler_jobs().get_result()["total_rows"] >= 0
        stored = service.get_replication_document(doc_id="copy").get_result()
    finally:
        rev = service.get_replication_document(doc_id="copy").get_result()["_rev"]
        service.delete_replication_document(doc_id="copy", rev=rev)
    assert stored["_replication_state"] == "completed"
    copied = service.post_all_docs(db=target).get_result()
    assert copied["total_rows"] == 6
    service.delete_database(db=target)
