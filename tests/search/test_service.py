"""`GET /api/v1/search`: everybody finds what he may read, and is told nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import pytest_asyncio

from kompass.access.companions import BASE_FIELD
from kompass.search import service
from kompass.search.catalogue import SEARCHED, Searched
from kompass.search.embedded.sink import EmbeddedSink
from kompass.search.highlighting import Highlighter
from kompass.sync.opening import DATABASE
from tests.attack.world import PEOPLE, World, open_world
from tests.search.asking import answer, search
from tests.search.filling import follow

SHOWN_ANYWAY = {"type", "owner", "customerId", "projectId", "status", "rating", "customerType"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield await open_world(tmp_path_factory.mktemp("search") / "data", stack)


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield await open_world(tmp_path / "data", stack)


@pytest_asyncio.fixture
async def sink(world: World, tmp_path: Path) -> AsyncIterator[EmbeddedSink]:
    sink = EmbeddedSink(tmp_path / "data" / "search")
    await sink.open()
    yield sink
    await sink.close()


async def everything(world: World, name: str, **parameters: Any) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = []
    while True:
        page = await search(world, name, limit=50, offset=len(hits), **parameters)
        hits += page["hits"]
        if not page["more"]:
            assert len(hits) == page["total"]
            return hits


def expected(world: World, name: str, text: str = "") -> set[str]:
    """Base documents that somebody finds, by the test's own reading of the rules."""
    return set(_expected(world, name, text))


def _expected(world: World, name: str, text: str) -> Iterator[str]:
    for docid in world.truths[name].readable:
        doc = world.documents[docid]
        if doc["type"] not in SEARCHED or (text and text not in doc.get("notes", "")):
            continue
        if text and "notes" not in SEARCHED[doc["type"]].texts:
            continue
        field = BASE_FIELD.get(doc["type"])
        yield doc[field] if field else docid


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name, role in PEOPLE.items() if role])
async def test_everybody_finds_what_he_may_read_and_it_is_counted(shared: World, name: str) -> None:
    for text in ("", "MARK"):
        wanted = expected(shared, name, text)
        hits = await everything(shared, name, q=text)
        assert {hit["id"] for hit in hits} == wanted
        assert len(hits) == len(wanted), "a document is one hit"
        answered = await search(shared, name, q=text)
        assert answered["total"] == len(wanted)
        assert sum(answered["facets"]["type"].values()) == len(wanted)
        assert answered["index"] == {"state": "current", "behind": 0}
        readable = shared.truths[name].readable
        assert {hit["document"] for hit in hits} <= readable


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name, role in PEOPLE.items() if role])
async def test_each_secret_is_like_what_was_never_there(shared: World, name: str) -> None:
    """By its own words, nearly its own words, and everything that facets know of it."""
    nothing = await search(shared, name, q="MARK-99999-")
    for docid in shared.secrets_of(name):
        doc = shared.documents[docid]
        if "notes" not in doc or "notes" not in SEARCHED.get(doc["type"], Searched()).texts:
            continue
        number = doc["notes"].split("-")[1]
        found = await search(shared, name, q=f"MARK-{number}-")
        assert {hit["document"] for hit in found["hits"]} <= shared.truths[name].readable
        assert found == {**nothing, "hits": found["hits"], "total": 0, "facets": nothing["facets"]}, docid
        for facet in ("customerId", "projectId"):
            page = await search(shared, name, **{facet: docid})
            shown = {hit["document"] for hit in page["hits"]}
            assert shown <= shared.truths[name].readable
            assert page["total"] == len(shown)


@pytest.mark.asyncio(loop_scope="module")
async def test_companions_fields_are_found_by_their_readers_alone(shared: World) -> None:
    for doctype in ("customer_finance", "project_competitor", "offer_margin", "expense_notes"):
        for docid, doc in shared.documents.items():
            if doc["type"] != doctype:
                continue
            for name, role in PEOPLE.items():
                if role is None:
                    continue
                found = await search(shared, name, q=doc["notes"].rstrip("-"))
                may = docid in shared.truths[name].readable
                assert [hit["document"] for hit in found["hits"]] == ([docid] if may else []), (name, docid)
                if may:
                    (hit,) = found["hits"]
                    assert hit["id"] == doc[BASE_FIELD[doctype]]
                    assert hit["highlights"][0]["field"] == "notes"
                    assert "<mark>" in hit["highlights"][0]["html"]


@pytest.mark.asyncio(loop_scope="module")
async def test_who_has_no_role_or_login_gets_nothing(shared: World) -> None:
    assert (await answer(shared, "niemand", q="MARK")).status_code == 403
    assert (await answer(shared, "", q="MARK")).status_code == 401


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"q": "a" * 10_000}, "at most 500 characters"),
        ({"limit": "51"}, "from 1 to 50"),
        ({"limit": "0"}, "from 1 to 50"),
        ({"limit": "-1"}, "from 1 to 50"),
        ({"limit": "1e9"}, "from 1 to 50"),
        ({"offset": "1001"}, "from 0 to 1000"),
        ({"offset": "٣"}, "from 0 to 1000"),
        ({"sort": "channels"}, "sort must be one of"),
        ({"type": "customer_finance"}, "type can't be customer_finance"),
        ({"type": "quarantine"}, "type can't be quarantine"),
        ({"channels": "all:customer"}, "There is no parameter channels"),
        ({"owner": "x" * 201}, "at most 20 values of 200 characters"),
        ({"status": ",".join(map(str, range(21)))}, "at most 20 values"),
    ],
)
async def test_what_can_not_be_asked_is_refused_in_words(
    shared: World, parameters: dict[str, str], said: str
) -> None:
    found = await answer(shared, "gf1", **parameters)
    assert found.status_code == 400
    assert found.headers["content-type"] == "application/problem+json"
    assert said in found.json()["detail"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "text",
    ["\x00\x01", "* AND (", "(a+)+$", "\ud800", "channels:all", "%00", "a" * 500, "a " * 250, "../../"],
)
async def test_strange_questions_are_answered(shared: World, text: str) -> None:
    found = await answer(shared, "adm1", q=text.encode("utf-8", "replace").decode())
    assert found.status_code == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_others_are_served_while_long_texts_are_looked_through(shared: World) -> None:
    def slowly(_: Highlighter, text: str) -> None:
        time.sleep(0.01)

    longest, done = 0.0, asyncio.Event()

    async def tick() -> None:
        nonlocal longest
        while not done.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)

    await search(shared, "gf1", q="MARK", limit=50)
    others = asyncio.create_task(tick())
    with patch.object(Highlighter, "piece", slowly):
        began = time.perf_counter()
        found = await search(shared, "gf1", q="MARK", limit=50)
        took = time.perf_counter() - began
    done.set()
    await others
    assert len(found["hits"]) == 50
    assert longest < took / 3


async def test_what_has_changed_since_is_shown_as_it_is_now(world: World, sink: EmbeddedSink) -> None:
    admin = await world.admin()
    docid = next(
        each for each in world.truths["buch1"].readable if world.documents[each]["type"] == "contact"
    )
    doc = world.documents[docid]
    changed = {**doc, "notes": "Zwetschge MARK"}
    (await admin.put(f"/{DATABASE}/{docid}", json=changed)).raise_for_status()
    found = await search(world, "buch1", q=doc["notes"].rstrip("-"))
    assert found["index"] == {"state": "behind", "behind": 1}
    (hit,) = found["hits"]
    assert (hit["id"], hit["highlights"]) == (
        docid,
        [{"field": "notes", "html": "Zwetschge <mark>MARK</mark>"}],
    )
    assert (await search(world, "buch1", q="Zwetschge"))["total"] == 0
    await follow(world.product, sink)
    found = await search(world, "buch1", q="Zwetschge")
    assert (found["total"], found["index"]["state"]) == (1, "current")
    assert (await search(world, "buch1", q=doc["notes"].rstrip("-")))["total"] == 0


@pytest.mark.parametrize("most", [2000, 0], ids=["few changes", "more than can be looked through"])
async def test_what_he_lost_a_moment_ago_is_neither_shown_nor_counted(world: World, most: int) -> None:
    """Deleted, made private, handed to somebody else: the index doesn't know yet."""
    admin = await world.admin()
    own = [
        next(
            each
            for each in world.truths["adm1"].readable
            if world.documents[each]["type"] == doctype
            and not world.documents[each].get("private")
            and "adm1" in (world.documents[each].get(field) for field in ("owner", "ownerId", "createdBy"))
        )
        for doctype in ("activity", "lead", "tour")
    ]
    before = {hit["id"] for hit in await everything(world, "adm1", q="MARK")}
    assert set(own) <= before
    for docid in own:
        doc = world.documents[docid]
        if doc["type"] == "lead":
            doc = {**doc, "owner": "adm2"}
        elif doc["type"] == "tour":
            doc = {**doc, "_deleted": True}
        else:
            doc = {**doc, "private": True, "createdBy": "gf1"}
        (await admin.put(f"/{DATABASE}/{docid}", json=doc)).raise_for_status()
    with patch.object(service, "MOST_CHANGED", most):
        page = await search(world, "adm1", q="MARK", limit=50)
        hits = list(page["hits"])
        while page["more"]:
            page = await search(world, "adm1", q="MARK", limit=50, offset=len(hits))
            hits += page["hits"]
    left = {hit["id"] for hit in hits}
    assert not left & set(own)
    assert before - left >= set(own)
    assert page["index"]["state"] == "behind"
    if most:
        assert page["total"] == len(hits)
        assert sum(page["facets"]["type"].values()) == len(hits)
    else:
        assert page["total"] is page["facets"] is None


async def test_a_customer_that_changes_hands_takes_everything_along(world: World) -> None:
    admin = await world.admin()
    docid = next(
        each for each, doc in world.documents.items() if doc["type"] == "customer" and doc["owner"] == "adm1"
    )
    before = (await search(world, "adm1", customerId=docid))["total"]
    assert before > 3
    assert (await search(world, "adm2", q="", customerId=docid))["total"] < before
    changed = {**world.documents[docid], "owner": "adm2"}
    (await admin.put(f"/{DATABASE}/{docid}", json=changed)).raise_for_status()
    await world.look()
    for name in ("adm1", "adm2"):
        hits = await everything(world, name, q="MARK")
        assert {hit["id"] for hit in hits} == expected(world, name, "MARK"), name


async def test_an_index_of_another_database_counts_nothing_and_shows_what_is_his(
    world: World, sink: EmbeddedSink
) -> None:
    from kompass.feed.sink import Batch, Checkpoint

    await sink.apply(Batch([], Checkpoint("fremd", "999999-fremd", 999_999)))
    with patch.object(service, "MOST_CHANGED", 10):
        page = await search(world, "gf1", q="MARK", limit=50)
    assert page["total"] is None
    assert {hit["document"] for hit in page["hits"]} <= world.truths["gf1"].readable
    assert page["index"]["state"] == "behind"


async def test_while_it_is_rebuilt_it_says_so(world: World, sink: EmbeddedSink) -> None:
    other = await sink.rebuilding()
    page = await search(world, "gf1", q="MARK")
    assert page["index"]["state"] == "rebuilding"
    assert page["total"] > 0
    await other.switch()
    await other.close()
    page = await search(world, "gf1", q="MARK")
    assert (page["index"]["state"], page["hits"]) == ("rebuilding", [])
    assert page["index"]["behind"] > 0


async def test_without_an_index_the_answer_is_why(world: World, tmp_path: Path) -> None:
    (tmp_path / "data" / "search").rename(tmp_path / "away")
    found = await answer(world, "gf1", q="MARK")
    assert found.status_code == 503
    assert found.headers["retry-after"] == "5"
    assert "There is no search index yet" in found.json()["detail"]
    assert found.json()["index"] == {"state": "down"}


async def test_a_role_that_was_taken_counts_at_once(world: World) -> None:
    admin = await world.admin()
    assert (await search(world, "buch1", q="MARK"))["total"] > 0
    user = (await admin.get(f"/{DATABASE}/user-buch1")).json()
    (await admin.put(f"/{DATABASE}/user-buch1", json={**user, "active": False})).raise_for_status()
    assert (await answer(world, "buch1", q="MARK")).status_code == 403
