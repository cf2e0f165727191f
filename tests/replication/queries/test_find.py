"""Executing Mango queries on a store: the right documents, in order, page by page."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from replication.protocol.collation import sort_key
from replication.protocol.documents import parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.mango.index import IndexDefinition, read_index_request, with_index
from replication.protocol.mango.query import read_find
from replication.protocol.mango.selector import compile_selector
from replication.protocol.revisions import Path
from replication.queries import indexes
from replication.queries.find import find
from replication.store.interface import Database


async def save(db: Database, *docs: dict[str, Any]) -> list[str]:
    revs = []
    for outcome in await db.write([parse_document(doc) for doc in docs]):
        assert isinstance(outcome, str), outcome
        revs.append(outcome)
    return revs


async def save_index(db: Database, ddoc: str, *fields: str, partial: Any = None) -> IndexDefinition:
    source: dict[str, Any] = {"fields": list(fields)}
    if partial is not None:
        source["partial_filter_selector"] = partial
    request = read_index_request({"index": source, "ddoc": ddoc, "name": ddoc})
    body = with_index(None, request)
    assert body is not None
    await save(db, {"_id": request.definition.ddoc, **body})
    return request.definition


async def answer(db: Database, selector: Any, **options: Any) -> dict[str, Any]:
    query = await find(db, read_find({"selector": selector, **options}))
    docs = [orjson.loads(text) async for page in query.pages() for text in page]
    return {"docs": docs, **query.trailer()}


async def ids(db: Database, selector: Any, **options: Any) -> list[str]:
    return [doc["_id"] for doc in (await answer(db, selector, **options))["docs"]]


async def test_an_index_that_is_dropped_while_it_is_read_is_made_again(db: Database) -> None:
    names = [f"{n:04}" for n in range(2000)]
    await save(db, *({"_id": name, "age": n} for n, name in enumerate(names)))
    await save_index(db, "age", "age")
    query = await find(db, read_find({"selector": {"age": {"$gte": 0}}, "limit": 5000}))
    found = []
    async for page in query.pages():
        found += [orjson.loads(text)["_id"] for text in page]
        if len(found) < 1500:
            await db.drop_indexes([])
    assert found == names


async def test_index_follows_every_change(db: Database) -> None:
    await save_index(db, "age", "age")
    (rev,) = await save(db, {"_id": "a", "age": 1})
    assert await ids(db, {"age": {"$gt": 0}}) == ["a"]
    (rev,) = await save(db, {"_id": "a", "_rev": rev, "age": 5})
    await save(db, {"_id": "b", "age": 3}, {"_id": "c"}, {"_id": "d", "age": None})
    assert await ids(db, {"age": {"$gt": 0}}) == ["b", "a"]
    assert await ids(db, {"age": {"$lt": 4}}) == ["d", "b"]
    await save(db, {"_id": "a", "_rev": rev, "_deleted": True, "age": 5})
    assert await ids(db, {"age": {"$gt": 0}}) == ["b"]


async def test_without_update_the_index_stays_as_it_was(db: Database) -> None:
    await save_index(db, "age", "age")
    await save(db, {"_id": "a", "age": 1})
    assert await ids(db, {"age": 1}, update=False) == []
    assert await ids(db, {"age": 1}) == ["a"]
    await save(db, {"_id": "b", "age": 1})
    assert await ids(db, {"age": 1}, update=False) == ["a"]


async def test_partial_index(db: Database) -> None:
    await save_index(db, "p", "age", partial={"type": "x"})
    await save(db, {"_id": "a", "age": 1, "type": "x"}, {"_id": "b", "age": 1})
    result = await answer(db, {"age": 1}, use_index="p", execution_stats=True)
    assert [doc["_id"] for doc in result["docs"]] == ["a"]
    assert result["execution_stats"]["total_keys_examined"] == 1
    assert "warning" not in result
    assert await ids(db, {"age": 1}) == ["a", "b"]


async def test_answer_of_a_full_scan(db: Database) -> None:
    await save(db, {"_id": "a", "x": 1}, {"_id": "b", "x": 2, "y": {"z": 3}})
    result = await answer(db, {"x": 2}, fields=["_id", "y.z"], execution_stats=True)
    assert result["docs"] == [{"_id": "b", "y": {"z": 3}}]
    assert result["warning"] == "No matching index found, create an index to optimize query time."
    stats = result["execution_stats"]
    assert stats.pop("execution_time_ms") > 0
    assert stats == {
        "total_keys_examined": 2,
        "total_docs_examined": 2,
        "total_quorum_docs_examined": 0,
        "results_returned": 1,
    }


async def test_design_documents_are_never_found(db: Database) -> None:
    await save_index(db, "i", "language")
    assert await ids(db, {}) == []
    assert await ids(db, {"language": "query"}) == []


async def test_conflicts_are_shown_and_can_be_asked_for(db: Database) -> None:
    await save_index(db, "c", "_conflicts")
    for rev in ("1-aa", "1-bb"):
        write = parse_document({"_id": "a", "x": rev})
        write.path = Path(1, [rev[2:]])
        await db.write([write], replicated=True)
    await save(db, {"_id": "b"})
    (doc,) = (await answer(db, {"_conflicts": {"$exists": True}}, conflicts=True))["docs"]
    assert (doc["_rev"], doc["_conflicts"]) == ("1-bb", ["1-aa"])
    assert await ids(db, {"_conflicts": {"$exists": True}}) == []


async def test_big_integers_are_exact(db: Database) -> None:
    await save(db, {"_id": "a", "n": 2**70 + 1}, {"_id": "b", "n": 2**70})
    assert await ids(db, {"n": 2**70 + 1}) == ["a"]
    await save_index(db, "n", "n")
    assert await ids(db, {"n": {"$gt": 2**70}}) == ["a"]
    query = await find(db, read_find({"selector": {"_id": "a"}, "fields": ["n"]}))
    assert [text async for page in query.pages() for text in page] == [b'{"n":%d}' % (2**70 + 1)]


async def test_bookmark_at_the_end_and_of_nothing(db: Database) -> None:
    await save(db, {"_id": "a"}, {"_id": "b"})
    first = await answer(db, {"_id": {"$gt": None}}, limit=5)
    again = await answer(db, {"_id": {"$gt": None}}, bookmark=first["bookmark"])
    assert (again["docs"], again["bookmark"]) == ([], first["bookmark"])
    assert (await answer(db, {"x": 1}))["bookmark"] == "nil"
    assert (await answer(db, {"$or": []}))["bookmark"] == "nil"


async def test_bookmark_survives_that_its_document_goes(db: Database) -> None:
    await save_index(db, "n", "n")
    revs = await save(db, *({"_id": f"{n}", "n": n} for n in range(4)))
    page = await answer(db, {"n": {"$gte": 0}}, limit=2)
    await save(db, {"_id": "1", "_rev": revs[1], "_deleted": True})
    assert await ids(db, {"n": {"$gte": 0}}, bookmark=page["bookmark"]) == ["2", "3"]


async def test_slow_regex_is_an_error(db: Database) -> None:
    await save(db, {"_id": "a", "x": "a" * 60 + "b"})
    with pytest.raises(ProtocolError, match="takes too long"):
        await answer(db, {"x": {"$regex": "^(a|aa)+$"}})


async def test_lone_surrogate_in_a_range_of_ids(db: Database) -> None:
    await save(db, {"_id": "a"})
    assert await ids(db, {"_id": {"$lt": "\ud800"}}) == ["a"]
    assert await ids(db, {"_id": "\ud800"}) == []


async def test_unused_indexes_are_dropped(db: Database) -> None:
    used = await save_index(db, "used", "x")
    gone = await save_index(db, "gone", "y")
    await save(db, {"_id": "a", "x": 1, "y": 1})
    for field in ("x", "y"):
        await ids(db, {field: 1})
    winner = await db.winner(gone.ddoc)
    assert winner is not None
    await save(db, {"_id": gone.ddoc, "_rev": winner.rev, "_deleted": True})
    await indexes.drop_unused(db)
    assert len(await db.scan_index(used.signature, b"", None)) == 1
    assert await db.scan_index(gone.signature, b"", None) == []


async def test_broken_design_documents_disturb_nobody(db: Database) -> None:
    await save(db, {"_id": "_design/bad", "language": "query", "views": {"v": {"map": 1}}})
    good = await save_index(db, "good", "x")
    assert [found.ddoc for found in await indexes.definitions(db)] == [good.ddoc]


CITIES = ["Köln", "Kiel", "kiel", "Ulm", "Öhringen", "", None, 5]
SELECTORS: list[Any] = [
    {},
    {"city": "Kiel"},
    {"city": {"$gte": "K", "$lt": "U"}},
    {"city": {"$gt": None}, "n": {"$lt": 20}},
    {"n": {"$gte": 5, "$lte": 25}},
    {"n": 7, "city": {"$exists": True}},
    {"$or": [{"n": {"$lt": 5}}, {"city": "Ulm", "n": {"$gt": 50}}]},
    {"city": {"$beginsWith": "K"}},
    {"_id": {"$gt": "doc-05", "$lt": "doc-3"}},
    {"n": {"$gt": 1}, "_id": {"$lt": "doc-4"}},
    {"city": {"$in": ["Ulm", 5]}},
    {"$not": {"city": "Ulm"}},
]


@pytest.mark.parametrize("indexed", [False, True], ids=["all_docs", "indexes"])
async def test_every_query_finds_what_a_plain_filter_finds(db: Database, indexed: bool) -> None:
    chance = random.Random(7)
    docs: list[dict[str, Any]] = []
    for number in range(120):
        doc: dict[str, Any] = {"_id": f"doc-{number:02}", "n": chance.randrange(60)}
        if chance.random() < 0.8:
            doc["city"] = chance.choice(CITIES)
        docs.append(doc)
    await save(db, *docs)
    if indexed:
        await save_index(db, "city", "city")
        await save_index(db, "city-n", "city", "n")
        await save_index(db, "n", "n")
        await save_index(db, "n-id", "n", "_id")
    for selector in SELECTORS:
        matches = compile_selector(selector).matches
        expected = {doc["_id"] for doc in docs if matches(doc)}
        found = await ids(db, selector, limit=1000)
        assert len(found) == len(set(found))
        assert set(found) == expected, selector
        paged: list[str] = []
        bookmark = None
        while True:
            page = await answer(db, selector, limit=7, bookmark=bookmark)
            paged += [doc["_id"] for doc in page["docs"]]
            bookmark = page["bookmark"]
            if len(page["docs"]) < 7:
                break
        assert paged == found, selector
        assert await ids(db, selector, skip=3, limit=4) == found[3:7]


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_sorted_pages(db: Database, direction: str) -> None:
    chance = random.Random(3)
    docs: list[dict[str, Any]] = [
        {"_id": f"{n:03}", "a": chance.choice(CITIES), "b": chance.randrange(3)} for n in range(150)
    ]
    await save_index(db, "ab", "a", "b")
    await save(db, *docs)
    down = direction == "desc"
    expected = [
        doc["_id"]
        for doc in sorted(docs, key=lambda doc: (sort_key([doc["a"], doc["b"]]), doc["_id"]), reverse=down)
    ]
    by_id = sorted((doc["_id"] for doc in docs), reverse=down)
    for sort, selector, order in [
        (["a", "b"], {"a": {"$gte": None}}, expected),
        (["_id"], {"_id": {"$gt": None}}, by_id),
    ]:
        found: list[str] = []
        bookmark = None
        while True:
            options = {"sort": [{name: direction} for name in sort], "limit": 40, "bookmark": bookmark}
            page = await answer(db, selector, **options)
            found += [doc["_id"] for doc in page["docs"]]
            bookmark = page["bookmark"]
            if not page["docs"]:
                break
        assert found == order
