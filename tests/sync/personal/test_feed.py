"""`_changes` as people see it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from tests.sync.personal.world import World


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


async def test_lists_what_somebody_sees_and_nothing_else(world: World) -> None:
    rev = await world.put("a", readers=["ada"])
    await world.put("b", readers=["ben"])
    await world.put("c", readers=["ADM"])
    rows = await world.rows("ada")
    assert ids(rows) == ["a", "c"]
    assert rows[0]["changes"] == [{"rev": rev}]
    assert "deleted" not in rows[0]
    assert ids(await world.rows("ben")) == ["b", "c"]
    assert await world.rows("ina") == []


async def test_sequences_are_strings_that_go_on_where_they_say(world: World) -> None:
    for docid in "abcde":
        await world.put(docid, readers=["ada"])
        await world.put(f"{docid}2", readers=["ben"])
    seen: list[str] = []
    since = "0"
    while True:
        page = await world.feed("ada", since=since, limit=2)
        assert page["pending"] == 5 - len(seen) - len(page["results"])
        if not page["results"]:
            break
        seen += ids(page["results"])
        since = page["results"][-1]["seq"]
        assert page["last_seq"] == since or page["pending"] == 0
        assert isinstance(since, str)
    assert seen == list("abcde")
    assert ids(await world.rows("ada", descending="true")) == list("edcba")
    assert ids(await world.rows("ada", descending="true", limit=2)) == list("ed")


async def test_nobody_hears_of_what_others_write(world: World) -> None:
    await world.put("a", readers=["ada"])
    since = (await world.feed("ada"))["last_seq"]
    await world.put("b", readers=["ben"])
    page = await world.feed("ada", since=since)
    assert (page["results"], page["pending"]) == ([], 0)


async def test_a_document_somebody_loses_ends_with_a_tombstone(world: World) -> None:
    await world.put("a", readers=["ada"], secret=1)
    since = (await world.feed("ada"))["last_seq"]
    closing = world.tombstone("a", await world.put("a", readers=["ben"], secret=2))
    for style in ("main_only", "all_docs"):
        (row,) = await world.rows("ada", since=since, style=style, include_docs="true")
        assert row["changes"] == [{"rev": closing}]
        assert row["deleted"] is True
        assert row["doc"] == {"_id": "a", "_rev": closing, "_deleted": True, "revoked": True}
    await world.put("a", readers=["ben"], secret=3)
    assert len(await world.rows("ada", since=since)) == 1


async def test_a_deletion_shows_without_what_it_says(world: World) -> None:
    rev = await world.put("a", readers=["ada"])
    doc = {"_id": "a", "_rev": rev, "_deleted": True, "readers": ["ada"], "secret": 1}
    answer = await world.client("admin").post("_bulk_docs", json={"docs": [doc]})
    deleted = answer.json()[0]["rev"]
    (row,) = await world.rows("ada", include_docs="true")
    assert row["doc"] == {"_id": "a", "_rev": deleted, "_deleted": True}
    assert (row["deleted"], row["changes"]) == (True, [{"rev": deleted}])


async def test_the_styles_list_other_deleted_leaves_and_no_live_ones(world: World) -> None:
    await world.put_revision("a", ["2-c", "1-a"], readers=["ada"])
    await world.put_revision("a", ["2-b", "1-a"], readers=["ada"], secret=1)
    await world.put_revision("a", ["2-a", "1-a"], readers=["ada"], _deleted=True)
    (row,) = await world.rows("ada", style="all_docs")
    assert row["changes"] == [{"rev": "2-c"}, {"rev": "2-a"}]
    (row,) = await world.rows("ada")
    assert row["changes"] == [{"rev": "2-c"}]
    (row,) = await world.rows("ada", include_docs="true", conflicts="true", style="all_docs")
    assert "_conflicts" not in row["doc"]


async def test_documents_with_attachments(world: World) -> None:
    await world.put("a", readers=["ada"], _attachments={"x.txt": {"content_type": "x/y", "data": "aGFsbG8="}})
    (row,) = await world.rows("ada", include_docs="true", attachments="true")
    assert row["doc"]["_attachments"]["x.txt"]["data"] == "aGFsbG8="


async def test_the_filter_by_ids_knows_only_his(world: World) -> None:
    await world.put("a", readers=["ada"])
    await world.put("b", readers=["ben"])
    page = await world.feed("ada", filter="_doc_ids", doc_ids='["b","a","unknown"]')
    assert ids(page["results"]) == ["a"]


async def test_a_selector_sees_only_his_documents_and_lets_revocations_pass(world: World) -> None:
    await world.put("a", readers=["ada"], kind="x")
    await world.put("b", readers=["ben"], kind="x")
    await world.put("c", readers=["ada"], kind="y")
    client = world.client("ada")

    async def selected(since: str) -> list[str]:
        answer = await client.post(
            "_changes", params={"filter": "_selector", "since": since}, json={"selector": {"kind": "x"}}
        )
        return ids(answer.json()["results"])

    assert await selected("0") == ["a"]
    since = (await world.feed("ada"))["last_seq"]
    await world.put("a", readers=[], kind="x")
    assert await selected(since) == ["a"]


async def test_a_selector_passes_a_row_as_a_whole(world: World) -> None:
    """A leaf that ends a branch must arrive, though it has no body to be judged by."""
    await world.put_revision("a", ["2-c", "1-a"], readers=["ada"], kind="x")
    await world.put_revision("a", ["2-a", "1-a"], readers=["ada"], _deleted=True)
    answer = await world.client("ada").post(
        "_changes",
        params={"filter": "_selector", "style": "all_docs"},
        json={"selector": {"kind": "x"}},
    )
    assert answer.json()["results"][0]["changes"] == [{"rev": "2-c"}, {"rev": "2-a"}]


FUNCTIONS = {
    "filters": {
        "x": "function(doc, req) { return doc.kind === 'x'; }",
        "long": "function(doc, req) { return doc._revisions.start > 1; }",
        "fails": "function(doc) { if (doc.kind === 'trap') throw({forbidden: doc.secret}); return true; }",
    },
    "views": {"x": {"map": "function(doc) { if (doc.kind === 'x') emit(doc._id, null); }"}},
}


async def test_functions_of_public_design_documents_judge_his_documents(world: World) -> None:
    await world.put("_design/open", kompass={"public": True}, **FUNCTIONS)
    await world.put("a", readers=["ada"], kind="x")
    await world.put("b", readers=["ben"], kind="trap", secret="of others")
    await world.put("c", readers=["ada"], kind="y")
    await world.put("c", readers=["ada"], kind="z")
    assert ids(await world.rows("ada", filter="open/x")) == ["a"]
    assert ids(await world.rows("ada", filter="open/x", style="all_docs", include_docs="true")) == ["a"]
    assert ids(await world.rows("ada", filter="open/long")) == ["c"]
    assert ids(await world.rows("ada", filter="open/fails")) == ["a", "c"]
    assert ids(await world.rows("ada", filter="_view", view="open/x")) == ["a"]
    since = (await world.feed("ada"))["last_seq"]
    await world.put("a", readers=[], kind="x")
    assert ids(await world.rows("ada", filter="open/x", since=since)) == ["a"]


async def test_other_design_documents_are_as_if_they_were_not_there(world: World) -> None:
    await world.put("_design/shut", **FUNCTIONS)
    client = world.client("ada")
    for name in ("shut", "none"):
        answer = await client.get("_changes", params={"filter": f"{name}/x"})
        assert (answer.status_code, answer.json()) == (404, {"error": "not_found", "reason": "missing"})


async def test_the_filter_for_design_documents_finds_none(world: World) -> None:
    await world.put("_design/open", kompass={"public": True}, **FUNCTIONS)
    assert await world.rows("ada", filter="_design") == []


@pytest.mark.parametrize("feed", ["longpoll", "continuous", "eventsource"])
async def test_a_waiting_feed_wakes_for_his_changes_only(world: World, feed: str) -> None:
    """Others' writes leave him alone; his own arrive."""
    await world.put("a", readers=["ada"])
    since = (await world.feed("ada"))["last_seq"]
    parameters = {"feed": feed, "since": since, "timeout": 20000, "limit": 1}
    waiting = asyncio.create_task(world.client("ada").get("_changes", params=parameters))
    await asyncio.sleep(0.2)
    for number in range(5):
        await world.put("b", readers=["ben"], number=number)
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await world.put("c", readers=["ada"])
    answer = await asyncio.wait_for(waiting, 10)
    assert b'"c"' in answer.content
    assert b'"b"' not in answer.content


async def test_a_waiting_feed_tells_of_a_grant_and_of_a_revocation(world: World) -> None:
    await world.put("b", readers=["ben"])
    since = (await world.feed("ada"))["last_seq"]
    parameters: dict[str, Any] = {"feed": "longpoll", "since": since, "timeout": 20000}
    waiting = asyncio.create_task(world.client("ada").get("_changes", params=parameters))
    await asyncio.sleep(0.1)
    await world.put("b", readers=["ada"])
    found = (await asyncio.wait_for(waiting, 10)).json()
    assert ids(found["results"]) == ["b"]
    waiting = asyncio.create_task(
        world.client("ada").get("_changes", params={**parameters, "since": found["last_seq"]})
    )
    await asyncio.sleep(0.1)
    await world.put("b", readers=["ben"])
    found = (await asyncio.wait_for(waiting, 10)).json()
    assert found["results"][0]["deleted"] is True


async def test_rows_are_written_as_those_of_the_whole_database(world: World) -> None:
    await world.put('quote"\\ü', readers=["ada"])
    client = world.client("ada")
    text = (await client.get("_changes")).text
    lines = text.split("\n")
    assert lines[0] == '{"results":['
    row = orjson.loads(lines[1])
    assert list(row) == ["seq", "id", "changes"]
    assert row["id"] == 'quote"\\ü'
