"""Single documents, `_bulk_get` and attachments as people see them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.sync.index import FeedIndex
from kompass.sync.personal import PersonalDatabase
from replication.protocol.revisions import Rev
from tests.sync.personal.world import World
from tests.sync.statements import Statements

ATTACHED = {"x.txt": {"content_type": "image/x", "data": "aGFsbG8="}}


async def bulk_get(world: World, name: str, docs: list[dict[str, Any]], **parameters: Any) -> list[Any]:
    """The `docs` of each row."""
    answer = await world.client(name).post("_bulk_get", json={"docs": docs}, params=parameters)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["results"]
    assert [row["id"] for row in rows] == [doc["id"] for doc in docs]
    return [row["docs"] for row in rows]


async def test_the_winner_is_read_by_those_who_see_it(world: World) -> None:
    rev = await world.put("a", readers=["ada"], text="x")
    for parameters in ({}, {"rev": rev}, {"rev": rev, "latest": "true"}):
        answer = await world.client("ada").get("a", params=parameters)
        assert answer.json() == {"_id": "a", "_rev": rev, "readers": ["ada"], "text": "x"}
        assert answer.headers["etag"] == f'"{rev}"'


def told(answer: httpx.Response, docid: str) -> tuple[int, bytes, list[tuple[str, str]]]:
    """All that an answer tells, with the document's id taken out."""
    headers = [
        (name, value)
        for name, value in answer.headers.multi_items()
        if name not in ("date", "x-couch-request-id", "set-cookie")
    ]
    return answer.status_code, answer.content.replace(docid.encode(), b"ID"), headers


READS = [
    ("GET", "{id}", {}),
    ("HEAD", "{id}", {}),
    ("GET", "{id}?revs=true&meta=true&local_seq=true", {}),
    ("GET", "{id}?rev={rev}", {}),
    ("GET", "{id}?rev={rev}&latest=true", {}),
    ("GET", "{id}?rev={old}", {}),
    ("GET", "{id}?open_revs=all", {}),
    ("GET", '{id}?open_revs=["{rev}"]', {"headers": {"accept": "application/json"}}),
    ("GET", '{id}?open_revs=["{rev}"]&latest=true', {"headers": {"accept": "application/json"}}),
    ("GET", "{id}?attachments=true", {}),
    ("GET", "{id}?deleted=true", {}),
    ("GET", "{id}/x.txt", {}),
    ("HEAD", "{id}/x.txt", {}),
    ("GET", "{id}/x.txt?rev={rev}", {}),
    ("PUT", "{id}/y.txt?rev={rev}", {"content": b"x"}),
    ("DELETE", "{id}/x.txt?rev={rev}", {}),
    ("DELETE", "{id}/x.txt", {}),
    ("DELETE", "{id}?rev={rev}", {}),
    ("COPY", "{id}", {"headers": {"destination": "copied"}}),
    ("GET", '_all_docs?keys=["{id}"]', {}),
    ("GET", '_all_docs?key="{id}"&include_docs=true', {}),
    ("GET", '_all_docs?start_key="{id}"&limit=1', {}),
    ("POST", "_all_docs", {"json": {"keys": ["{id}"]}}),
    ("POST", "_all_docs/queries", {"json": {"queries": [{"keys": ["{id}"], "include_docs": True}]}}),
    ("POST", "_bulk_get", {"json": {"docs": [{"id": "{id}"}]}}),
    ("POST", "_bulk_get", {"json": {"docs": [{"id": "{id}", "rev": "{rev}"}]}}),
    ("POST", "_bulk_get?latest=true&revs=true", {"json": {"docs": [{"id": "{id}", "rev": "{old}"}]}}),
    ("POST", "_bulk_get?attachments=true", {"json": {"docs": [{"id": "{id}", "rev": "{rev}"}]}}),
    ("POST", "_find", {"json": {"selector": {"_id": "{id}"}, "execution_stats": False}}),
    ("POST", "_changes?filter=_doc_ids", {"json": {"doc_ids": ["{id}"]}}),
    ("POST", "_revs_diff", {"json": {"{id}": ["9-nobody"]}}),
    ("POST", "_missing_revs", {"json": {"{id}": ["9-nobody"]}}),
    ("POST", "_purge", {"json": {"{id}": ["{rev}"]}}),
    ("GET", "_design/open/_view/all?key=%22{id}%22&include_docs=true", {}),
    ("POST", "_design/open/_update/touch/{id}", {}),
]


IDS = ("of-ben-1", "of-ben-2", "of-ben-3")
"""A document that others have, one that was deleted, one that was never there."""


async def hidden(world: World) -> tuple[str, str]:
    """Puts two of `IDS` there. Returns the first one's revision, and the one before it."""
    await world.put(
        "_design/open",
        kompass={"public": True},
        views={"all": {"map": "function(doc) { emit(doc._id, {_id: doc._id, text: doc.text}); }"}},
        updates={"touch": "function(doc, req) { return [null, doc ? 'there' : 'not there']; }"},
    )
    old = await world.put("of-ben-1", readers=["ben"], text="x", _attachments=ATTACHED)
    rev = await world.put("of-ben-1", readers=["ben"], text="y")
    await world.put("of-ben-2", readers=["ben"], text="x", _attachments=ATTACHED)
    await world.remove("of-ben-2")
    return rev, old


def filled(value: Any, **values: str) -> Any:
    """A request about a document, from the pattern of one."""
    if isinstance(value, str):
        for name, one in values.items():
            value = value.replace(f"{{{name}}}", one)
        return value
    if isinstance(value, dict):
        return {filled(key, **values): filled(one, **values) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, **values) for one in value]
    return value


@pytest.mark.parametrize(("method", "path", "options"), READS)
async def test_what_is_not_his_is_as_if_it_were_not_there(
    world: World, method: str, path: str, options: dict[str, Any]
) -> None:
    """Byte for byte."""
    rev, old = await hidden(world)
    answers = []
    for docid in IDS:
        request = filled({"url": path, **options}, id=docid, rev=rev, old=old)
        answer = await world.client("ada").request(method, **request)
        assert answer.status_code < 500, answer.text
        answers.append(told(answer, docid))
    assert answers[0] == answers[2]
    assert answers[1] == answers[2]
    assert rev.encode() not in answers[0][1] or "rev" in path + str(options)


DIFFERENT = ("_purge", "_revs_diff", "_missing_revs", "_design/open/_view")
"""What asks no file, what the gate answers (`tests.sync.test_gate_offers`), and a view that lists what others
have: its rows are gone through."""


@pytest.mark.alone("counts what one process asks its file, which others' news are played into")
@pytest.mark.parametrize(
    ("method", "path", "options"),
    [one for one in READS if one[0] in ("GET", "HEAD", "POST") and not one[1].startswith(DIFFERENT)],
)
async def test_what_is_not_his_takes_what_is_not_there_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, path: str, options: dict[str, Any]
) -> None:
    """Statement for statement: else the time of an answer would tell."""
    statements = Statements(monkeypatch)
    async with AsyncExitStack() as stack:
        world = await World.open(tmp_path, stack)
        rev, old = await hidden(world)
        asked = []
        for docid in (*IDS, *IDS):  # what only the first question of all takes is over by the second time
            request = filled({"url": path, **options}, id=docid, rev=rev, old=old)
            statements.seen.clear()
            await world.client("ada").request(method, **request)
            asked.append([*statements.seen])
    assert asked[5]
    assert asked[3] == asked[5]
    assert asked[4] == asked[5]


async def test_older_revisions_are_nobodys(world: World) -> None:
    old = await world.put("a", readers=["ada"], text="old")
    rev = await world.put("a", readers=["ada"], text="new")
    client = world.client("ada")
    assert (await client.get("a", params={"rev": old})).status_code == 404
    latest = (await client.get("a", params={"rev": old, "latest": "true"})).json()
    assert latest["text"] == "new"
    whole = (await client.get("a", params={"revs": "true", "revs_info": "true"})).json()
    assert whole["_revisions"]["ids"] == [rev.partition("-")[2], old.partition("-")[2]]
    assert whole["_revs_info"] == [
        {"rev": rev, "status": "available"},
        {"rev": old, "status": "missing"},
    ]
    assert await bulk_get(world, "ada", [{"id": "a", "rev": old}]) == [[]]
    ((found,),) = await bulk_get(world, "ada", [{"id": "a", "rev": old}], latest="true")
    assert found["ok"]["text"] == "new"


async def test_older_revisions_are_read_by_who_wrote_them(world: World) -> None:
    old = await world.put("a", readers=["ADM"], by="ada", _attachments=ATTACHED)
    await world.put("a", readers=["ADM"], by="ben")
    for name, status in (("ada", 200), ("ben", 404)):
        client = world.client(name)
        assert (await client.get("a", params={"rev": old})).status_code == status
        assert (await client.get("a/x.txt", params={"rev": old})).status_code == status
    await world.put("a", readers=["ben"])
    assert (await world.client("ada").get("a", params={"rev": old})).status_code == 404


async def test_branches_that_lost_show_if_they_are_closed_and_then_without_bodies(world: World) -> None:
    await world.put_revision("a", ["2-c", "1-a"], readers=["ada"], text="wins")
    await world.put_revision("a", ["2-b", "1-a"], readers=["ada"], text="lives")
    await world.put_revision("a", ["2-a", "1-a"], readers=["ada"], text="closed", _deleted=True)
    client = world.client("ada")
    leaves = (await client.get("a?open_revs=all", headers={"accept": "application/json"})).json()
    assert [leaf["ok"] for leaf in leaves] == [
        {"_id": "a", "_rev": "2-c", "readers": ["ada"], "text": "wins"},
        {"_id": "a", "_rev": "2-a", "_deleted": True},
    ]
    meta = (await client.get("a", params={"meta": "true"})).json()
    assert meta["_deleted_conflicts"] == ["2-a"]
    assert "_conflicts" not in meta
    asked = [{"id": "a", "rev": rev} for rev in ("2-a", "2-b", "2-c")]
    closed, lives, wins = await bulk_get(world, "ada", asked)
    assert closed == [{"ok": {"_id": "a", "_rev": "2-a", "_deleted": True}}]
    assert lives == []
    assert wins[0]["ok"]["text"] == "wins"


async def test_bulk_get_answers_every_request_and_never_with_an_error(world: World) -> None:
    rev = await world.put("a", readers=["ada"], text="x")
    other = await world.put("b", readers=["ben"])
    asked = [
        {"id": "b", "rev": other},
        {"id": "a", "rev": rev},
        {"id": "b"},
        {"id": "none", "rev": "1-x"},
        {"id": "a", "rev": "7-nobody"},
        {"id": "a"},
    ]
    whole = {"_id": "a", "_rev": rev, "readers": ["ada"], "text": "x"}
    for parameters in ({}, {"latest": "true"}, {"attachments": "true"}):
        found = await bulk_get(world, "ada", asked, **parameters)
        assert found == [[], [{"ok": whole}], [], [], [], [{"ok": whole}]]


async def test_what_is_asked_for_again_and_again_is_looked_up_some_times(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And while it is answered, others have their turn."""
    rev = await world.put("a", readers=["ada"], text="x")
    looked_up = []
    row_of = FeedIndex.row_of

    def counting(self: FeedIndex, *arguments: Any) -> Any:
        looked_up.append(arguments)
        return row_of(self, *arguments)

    monkeypatch.setattr(FeedIndex, "row_of", counting)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    found = await bulk_get(world, "ada", [{"id": "a"}, {"id": "a", "rev": rev}, {"id": "b"}] * 2000)
    waiting.cancel()
    whole = {"ok": {"_id": "a", "_rev": rev, "readers": ["ada"], "text": "x"}}
    assert found == [[whole], [whole], []] * 2000
    assert len(looked_up) < 300
    assert turns > 60


async def test_an_asked_revision_of_a_lost_document_is_answered_by_its_tombstone(world: World) -> None:
    first = await world.put("a", readers=["ada"], secret=1)
    second = await world.put("a", readers=["ben"], secret=2)
    closing = world.tombstone("a", first)
    ((row,),) = await bulk_get(world, "ada", [{"id": "a", "rev": first}], revs="true", latest="true")
    assert row["ok"] == {
        "_id": "a",
        "_rev": closing,
        "_deleted": True,
        "revoked": True,
        "_revisions": {"start": 2, "ids": [closing.partition("-")[2], first.partition("-")[2]]},
    }
    (row,) = await world.rows("ada", style="all_docs")
    listed = row["changes"][0]["rev"]
    assert listed == world.tombstone("a", second)
    ((row,),) = await bulk_get(world, "ada", [{"id": "a", "rev": listed}], revs="true", latest="true")
    assert row["ok"]["_revisions"]["ids"][1:] == [rev.partition("-")[2] for rev in (second, first)]
    assert (await world.client("ada").get("a")).status_code == 404
    assert await bulk_get(world, "ina", [{"id": "a", "rev": first}]) == [[]]


async def test_a_tombstone_is_served_after_the_document_came_back(world: World) -> None:
    first = await world.put("a", readers=["ada"])
    await world.put("a", readers=["ben"])
    rev = await world.put("a", readers=["ada"], back=True)
    closing = world.tombstone("a", first)
    ((row,),) = await bulk_get(world, "ada", [{"id": "a", "rev": closing}], latest="true")
    assert row["ok"]["revoked"] is True
    assert (await world.client("ada").get("a")).json()["_rev"] == rev
    made_up = closing[:-1] + ("0" if closing[-1] != "0" else "1")
    assert await bulk_get(world, "ada", [{"id": "a", "rev": made_up}], latest="true") == [[]]


async def test_attachments_of_what_he_reads(world: World) -> None:
    old = await world.put("a", readers=["ada"], _attachments=ATTACHED)
    rev = await world.put("a", readers=["ada"], more=1)
    client = world.client("ada")
    answer = await client.get("a/x.txt")
    assert (answer.status_code, answer.content) == (200, b"hallo")
    assert (await client.get("a/x.txt", params={"rev": rev})).content == b"hallo"
    assert (await client.head("a/x.txt")).headers["content-length"] == "5"
    assert (await client.get("a/x.txt", params={"rev": old})).status_code == 404
    client.headers["accept"] = "application/json"
    whole = (await client.get("a", params={"attachments": "true"})).json()
    assert whole["_attachments"]["x.txt"]["data"] == "aGFsbG8="
    since = (await client.get("a", params={"atts_since": f'["{rev}"]'})).json()
    assert since["_attachments"]["x.txt"]["stub"] is True
    stub = (await client.get("a")).json()["_attachments"]["x.txt"]
    assert stub["digest"].startswith("md5-")
    await world.put("a", readers=[])
    assert (await client.get("a/x.txt")).status_code == 404
    assert (await world.client("ben").get("a/x.txt")).status_code == 404


async def test_writes_go_to_the_gate_with_who_wrote_them(world: World) -> None:
    await world.put("theirs", readers=["ben"])
    client = world.client("ada")
    made = await client.put("mine", json={"readers": ["ada"]})
    assert made.status_code == 201
    refused = await client.put("theirs", json={"readers": ["ada"]})
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    attached = await client.put(f"mine/x.txt?rev={made.json()['rev']}", content=b"hallo")
    assert attached.status_code == 201
    assert (await client.get("mine/x.txt")).content == b"hallo"
    principal, docids = next(gate.asked[0] for gate in world.gates if gate.asked)
    assert (principal.name, [str(role) for role in principal.roles], docids) == ("ada", ["ADM"], ["mine"])


async def test_design_documents_of_devices_are_dropped(world: World) -> None:
    client = world.client("ada")
    design = {"_id": "_design/idx-1", "_rev": "1-a", "views": {}}
    assert (await client.post("_revs_diff", json={"_design/idx-1": ["1-a"]})).json() == {}
    pushed = await client.post("_bulk_docs", json={"docs": [design], "new_edits": False})
    assert (pushed.status_code, pushed.json()) == (201, [])
    assert world.gates[0].asked == []
    assert (await world.client("admin").get("_design/idx-1")).status_code == 404
    refused = await client.put("_design/idx-1", json={})
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")


async def test_ancestors_are_told_of_documents_he_sees(world: World) -> None:
    mine = await world.put("mine", readers=["ada"])
    await world.put("theirs", readers=["ben"])
    asked = {"mine": ["2-x"], "theirs": ["2-x"]}
    found = (await world.client("ada").post("_revs_diff", json=asked)).json()
    assert found == {
        "mine": {"missing": ["2-x"], "possible_ancestors": [mine]},
        "theirs": {"missing": ["2-x"]},
    }


@pytest.mark.parametrize("accept", ["application/json", "multipart/related"])
async def test_an_attachment_comes_along_though_its_document_is_changed_just_then(
    world: World, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    await world.put("a", readers=["ada"], _attachments=ATTACHED)
    old = await world.put("a", readers=["ada"], n=0)
    _changed_before_attachments(world, monkeypatch, 2)
    asked = {"docs": [{"id": "a", "rev": old}, {"id": "a"}]}
    path = "_bulk_get?attachments=true&revs=true&latest=true"
    answer = await world.client("ada").post(path, json=asked, headers={"accept": accept})
    assert answer.content.count(b"aGFsbG8=" if accept == "application/json" else b"hallo") == 2


@pytest.mark.parametrize(
    "path",
    [
        "a?attachments=true",
        "_all_docs?include_docs=true&attachments=true",
        "_changes?include_docs=true&attachments=true",
        "_design/open/_view/all?include_docs=true&attachments=true",
    ],
)
async def test_a_document_that_is_changed_just_then_comes_with_its_attachments(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    await hidden(world)
    await world.put("a", readers=["ada"], _attachments=ATTACHED)
    _changed_before_attachments(world, monkeypatch, 2)
    answer = await world.client("ada").get(path, headers={"accept": "application/json"})
    assert (answer.status_code, answer.content.count(b"aGFsbG8=")) == (200, 1), answer.text


async def test_nothing_is_copied_without_its_attachments(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put("a", readers=["ada"], _attachments=ATTACHED)
    _changed_before_attachments(world, monkeypatch, 1)
    answer = await world.client("ada").request("COPY", "a", headers={"destination": "copied"})
    assert answer.status_code == 404
    assert await world.database.winner("copied") is None


def _changed_before_attachments(world: World, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Somebody changes the document whenever its attachments are looked for, so many times."""
    read, left = PersonalDatabase.attachments, list(range(times))

    async def changed_then(view: PersonalDatabase, docid: str, rev: Rev) -> Any:
        if left:
            await world.put(docid, readers=["ada"], n=left.pop() + 1)
        return await read(view, docid, rev)

    monkeypatch.setattr(PersonalDatabase, "attachments", changed_then)
