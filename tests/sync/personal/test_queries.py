"""Listings, queries and views as people see them."""

from __future__ import annotations

from typing import Any

import pytest

from replication.http.principal import Principal
from replication.queries.designs import design_document
from replication.store.values import RowSpan
from tests.sync.personal.world import World

OPEN: dict[str, Any] = {
    "kompass": {"public": True},
    "views": {
        "by_n": {
            "map": "function(doc) { if (doc.n !== undefined) emit(doc.n, {_id: doc.other || doc._id}); }"
        },
        "counted": {"map": "function(doc) { emit(doc.n, 1); }", "reduce": "_count"},
    },
}
INDEX = {
    "kompass": {"public": True},
    "language": "query",
    "views": {
        "n": {
            "map": {"fields": {"n": "asc"}, "partial_filter_selector": {}},
            "reduce": "_count",
            "options": {"def": {"fields": ["n"]}},
        }
    },
}


@pytest.fixture
async def numbers(world: World) -> World:
    """Documents `d0` to `d9`, the even ones ada's, the others ben's; one of each deleted."""
    for n in range(10):
        await world.put(f"d{n}", readers=["ben" if n % 2 else "ada"], n=n)
    await world.remove("d8")
    await world.remove("d9")
    return world


async def listed(world: World, path: str, **parameters: Any) -> tuple[Any, Any, list[str]]:
    answer = await world.client("ada").get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    value = answer.json()
    return value.get("total_rows"), value.get("offset"), [row.get("id") for row in value["rows"]]


async def test_all_docs_lists_and_counts_his(numbers: World) -> None:
    assert await listed(numbers, "_all_docs") == (4, 0, ["d0", "d2", "d4", "d6"])
    assert await listed(numbers, "_all_docs", skip=1, limit=2) == (4, 1, ["d2", "d4"])
    assert await listed(numbers, "_all_docs", start_key='"d1"', end_key='"d4"') == (4, 1, ["d2", "d4"])
    assert await listed(numbers, "_all_docs", start_key='"d4"', descending="true") == (
        4,
        1,
        ["d4", "d2", "d0"],
    )
    assert (await listed(numbers, "_all_docs", inclusive_end="false", end_key='"d4"'))[2] == ["d0", "d2"]
    answer = await numbers.client("ada").get("_all_docs?include_docs=true&limit=1")
    (row,) = answer.json()["rows"]
    assert (row["doc"]["n"], row["value"]["rev"]) == (0, row["doc"]["_rev"])


async def test_all_docs_by_keys(numbers: World) -> None:
    answer = await numbers.client("ada").post("_all_docs", json={"keys": ["d0", "d1", "d8", "none"]})
    rows = answer.json()["rows"]
    assert rows[0]["id"] == "d0"
    assert rows[1] == {"key": "d1", "error": "not_found"}
    assert rows[2]["value"]["deleted"] is True
    assert rows[3] == {"key": "none", "error": "not_found"}


async def test_public_design_documents_are_listed_where_they_belong(numbers: World) -> None:
    """Between other documents, at any place of a page."""
    await numbers.put("_design/a", **OPEN)
    await numbers.put("_design/b", kompass={"public": True})
    await numbers.put("_design/c", views={})
    await numbers.put("A", readers=["ada"])
    whole = ["A", "_design/a", "_design/b", "d0", "d2", "d4", "d6"]
    assert await listed(numbers, "_all_docs") == (7, 0, whole)
    for skip in range(8):
        for limit in range(1, 8):
            expected = whole[skip : skip + limit]
            assert (await listed(numbers, "_all_docs", skip=skip, limit=limit))[2] == expected
            turned = whole[::-1][skip : skip + limit]
            found = await listed(numbers, "_all_docs", skip=skip, limit=limit, descending="true")
            assert found[2] == turned
    assert await listed(numbers, "_design_docs") == (2, 1, whole[1:3])
    assert await listed(numbers, "_all_docs", start_key='"d0"') == (7, 3, whole[3:])
    assert (await numbers.client("ada").get("_design/a")).json()["views"] == OPEN["views"]
    assert (await numbers.client("ada").get("_design/c")).status_code == 404
    assert (await numbers.client("ada").get("")).json()["doc_count"] == 7


async def test_facts_about_the_database_are_his(numbers: World) -> None:
    before = (await numbers.client("ada").get("")).json()
    assert (before["doc_count"], before["doc_del_count"], before["purge_seq"][:2]) == (4, 1, "0-")
    assert before["sizes"] == {"file": 0, "external": 0, "active": 0}
    assert before["update_seq"] == (await numbers.feed("ada"))["last_seq"]
    await numbers.put("d1", readers=["ben"], text="x" * 1000)
    after = (await numbers.client("ada").get("")).json()
    assert {**after, "update_seq": ""} == {**before, "update_seq": ""}


async def find(world: World, **request: Any) -> dict[str, Any]:
    answer = await world.client("ada").post("_find", json=request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_find_looks_at_his_documents_only(numbers: World) -> None:
    found = await find(numbers, selector={"n": {"$gte": 0}}, execution_stats=True)
    assert [doc["_id"] for doc in found["docs"]] == ["d0", "d2", "d4", "d6"]
    stats = found["execution_stats"]
    assert (stats["total_docs_examined"], stats["results_returned"]) == (4, 4)
    assert stats["total_keys_examined"] in (0, 4)
    found = await find(numbers, selector={"n": {"$gte": 0}}, skip=1, limit=2)
    assert [doc["_id"] for doc in found["docs"]] == ["d2", "d4"]
    found = await find(numbers, selector={"n": {"$gte": 0}}, limit=2, bookmark=found["bookmark"])
    assert [doc["_id"] for doc in found["docs"]] == ["d6"]


async def test_find_by_a_public_index(numbers: World) -> None:
    await numbers.put("_design/i", **INDEX)
    for _ in range(2):
        found = await find(
            numbers, selector={"n": {"$gt": 0}}, sort=[{"n": "desc"}], skip=1, limit=1, execution_stats=True
        )
        assert [doc["n"] for doc in found["docs"]] == [4]
        assert found["execution_stats"]["total_keys_examined"] == 2
        found = await find(
            numbers, selector={"n": {"$gt": 0}}, sort=[{"n": "desc"}], limit=5, bookmark=found["bookmark"]
        )
        assert [doc["n"] for doc in found["docs"]] == [2]
    await numbers.put("d7", readers=["ada"], n=7)
    found = await find(numbers, selector={"n": {"$gt": 4}}, sort=["n"], update=False)
    assert [doc["n"] for doc in found["docs"]] == [6, 7]
    explained = (await numbers.client("ada").post("_explain", json={"selector": {"n": 1}})).json()
    assert explained["index"]["name"] == "n"


async def test_indexes_are_public_ones(numbers: World) -> None:
    client = numbers.client("ada")
    await numbers.put("_design/i", **INDEX)
    await numbers.put("_design/j", **{**INDEX, "kompass": {"public": False}})
    assert [index["ddoc"] for index in (await client.get("_index")).json()["indexes"]] == [None, "_design/i"]
    answer = await client.post("_find", json={"selector": {"n": 1}, "use_index": "_design/j"})
    assert "j" not in answer.json().get("warning", "").replace("_design/j was not used", "")
    refused = await client.post("_index", json={"index": {"fields": ["x"]}})
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    assert (await client.delete("_index/_design/i/json/n")).status_code == 403
    assert (await client.delete("_index/_design/j/json/n")).status_code == 404
    many = await client.post("_index/_bulk_delete", json={"docids": ["_design/i", "_design/j"]})
    assert many.json() == {
        "success": [],
        "fail": [{"id": "_design/i", "error": "forbidden"}, {"id": "_design/j", "error": "not_found"}],
    }
    assert (await client.post("_index", json={"index": {"fields": ["n"]}, "ddoc": "i", "name": "n"})).json()[
        "result"
    ] == "exists"


async def test_views_show_rows_of_his_documents(numbers: World) -> None:
    await numbers.put("_design/v", **OPEN)
    assert await listed(numbers, "_design/v/_view/by_n") == (None, None, ["d0", "d2", "d4", "d6"])
    assert (await listed(numbers, "_design/v/_view/by_n", descending="true", limit=2))[2] == ["d6", "d4"]
    assert (await listed(numbers, "_design/v/_view/by_n", skip=1, limit=2, start_key=1))[2] == ["d4", "d6"]
    assert (await listed(numbers, "_design/v/_view/by_n", keys="[3,4,0]", skip=1))[2] == ["d0"]
    await numbers.put("d1", readers=["ada"], n=1)
    await numbers.put("d0", readers=["ben"], n=0)
    for update in ("true", "false", "lazy"):
        assert (await listed(numbers, "_design/v/_view/by_n", update=update))[2] == ["d1", "d2", "d4", "d6"]


async def test_documents_that_rows_of_a_view_name_are_shown_if_they_are_his(numbers: World) -> None:
    await numbers.put("_design/v", **OPEN)
    await numbers.put("d0", readers=["ada"], n=0, other="d3")
    await numbers.put("d2", readers=["ada"], n=2, other="d4")
    answer = await numbers.client("ada").get("_design/v/_view/by_n?include_docs=true&limit=2")
    rows = answer.json()["rows"]
    assert rows[0]["doc"] is None
    assert rows[1]["doc"]["_id"] == "d4"


async def test_reducing_and_looking_at_indexes_is_for_administrators(numbers: World) -> None:
    await numbers.put("_design/v", **OPEN)
    client = numbers.client("ada")
    assert (await client.get("_design/v/_view/counted")).status_code == 403
    queries = {"queries": [{"group": True}]}
    assert (await client.post("_design/v/_view/counted/queries", json=queries)).status_code == 403
    assert (await client.get("_design/v/_info")).status_code == 403
    assert (await listed(numbers, "_design/v/_view/counted", reduce="false"))[2] == ["d0", "d2", "d4", "d6"]


async def test_views_that_are_not_public_are_not_there(numbers: World) -> None:
    await numbers.put("_design/w", views=OPEN["views"])
    client = numbers.client("ada")
    for name in ("w", "none"):
        for path in ("_view/by_n", "_info", "_show/x", "_list/x/y", "_rewrite", "_view/by_n/queries"):
            answer = await client.post(f"_design/{name}/{path}", json={"queries": []})
            if answer.status_code == 405:
                answer = await client.get(f"_design/{name}/{path}")
            assert (answer.status_code, answer.json()["reason"]) == (404, "missing"), path


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_a_view_leaves_out_what_it_has_not_read_as_it_is_now(numbers: World) -> None:
    """What a document said before he saw it isn't shown when he does."""
    await numbers.put("_design/v", **OPEN)
    await numbers.client("ada").get("_design/v/_view/by_n")
    view = numbers.server.database(Principal("ada", ("ADM",)), "kompass")
    state = await numbers.database.index_state(await _signature(numbers))
    assert state is not None
    await numbers.put("d1", readers=["ada"], n=9)
    await numbers.put("d3", readers=["ada"], n=3, other="new")
    rows = await view.scan_rows(await _signature(numbers), RowSpan(), seq=0)
    assert [row.id for row in rows] == ["d0", "d2", "d3", "d4", "d6"], "not where it was before"
    assert rows[2].value == b'{"_id":"new"}', "nor with what it said before"


async def test_a_view_leaves_out_nothing_for_being_changed_just_then(
    numbers: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await numbers.put("_design/v", **OPEN)
    await numbers.client("ada").get("_design/v/_view/by_n")
    view, signature = (
        numbers.server.database(Principal("ada", ("ADM",)), "kompass"),
        await _signature(numbers),
    )
    asked = view.update_seq
    for changed in (2, 4):
        await numbers.put(f"d{changed}", readers=["ada"], n=changed)
        rows = await view.scan_rows(signature, RowSpan(), seq=asked)
        assert [row.id for row in rows] == ["d0", "d2", "d4", "d6"]
        await numbers.put(f"d{changed}", readers=["ada"], n=changed)
        assert await view.count_rows(signature, RowSpan(), seq=asked) == 4
    # However often, as long as it is listed in the same place; what it says there is of now.
    refreshed, said = view.refresh_rows, iter(f"d{number}" for number in range(10, 99))

    async def changed_again(signature: str, mapper: Any) -> None:
        await refreshed(signature, mapper)
        await numbers.put("d2", readers=["ada"], n=2, other=next(said))

    monkeypatch.setattr(view, "refresh_rows", changed_again)
    await numbers.put("d2", readers=["ada"], n=2, other="d99")
    await numbers.put("d4", readers=["ada"], n=9)
    rows = await view.scan_rows(signature, RowSpan(), seq=asked)
    assert [row.id for row in rows] == ["d0", "d2", "d6", "d4"]
    assert rows[1].value == b'{"_id":"d10"}'


async def _signature(world: World) -> str:
    return (await design_document(world.database, "_design/v")).views["by_n"].signature
