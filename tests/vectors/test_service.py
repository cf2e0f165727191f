"""`GET /api/v1/search` by meaning: the same rules as for words, and words alone where there is no meaning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kompass.search import finding, service
from kompass.search.asking import question
from kompass.search.fusion import FUSED, fused
from kompass.search.index import IndexUnavailableError, Match
from kompass.sync.opening import DATABASE
from kompass.vectors.embedded.reader import EmbeddedVectors
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.meaning import VectorMeaning
from tests.attack.world import PEOPLE, World, open_world
from tests.search.asking import answer, search
from tests.search.filling import database_of
from tests.vectors.agreeing import filled
from tests.vectors.embedded import embedder

ASKED = "MARK Besuch im Hofladen"
ROLES = [name for name, role in PEOPLE.items() if role]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        directory = tmp_path_factory.mktemp("meaning")
        world = await open_world(directory / "data", stack)
        await filled(world.product, directory / "data" / "vectors", world.documents.values())
        yield world


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
@pytest.mark.parametrize("name", ROLES)
async def test_nobody_is_shown_what_he_may_not_read(shared: World, name: str, mode: str) -> None:
    seen: list[str] = []
    while True:
        page = await search(shared, name, q=ASKED, mode=mode, limit=20, offset=len(seen))
        assert page["vectors"]["state"] == "current"
        assert page["total"] is None
        seen += [hit["id"] for hit in page["hits"]]
        assert {hit["document"] for hit in page["hits"]} <= shared.truths[name].readable
        if not page["more"]:
            break
    assert len(seen) == len(set(seen)), "a document is one hit"
    assert seen, name


@pytest.mark.asyncio(loop_scope="module")
async def test_what_he_may_not_read_changes_nothing_in_what_he_finds(shared: World, tmp_path: Path) -> None:
    """Neither which documents nor their order: as in an index that has his documents alone."""
    whole = VectorMeaning(EmbeddedVectors(shared_vectors(shared), NAME), embedder())
    for name in ("adm1", "buch1"):
        await filled(shared.product, tmp_path / name, shared.documents.values(), shared.truths[name].readable)
        his = VectorMeaning(EmbeddedVectors(tmp_path / name, NAME), embedder())
        with database_of(shared.product).reading() as reading:
            held = shared.product.sync.index.channels_held(reading, name).keys()
        for text in (ASKED, "Skonto und Zahlungsziel", "Wettbewerber"):
            found = await whole.nearest(question(text), held, limit=50)
            assert found == await his.nearest(question(text), held, limit=50)
            assert found
        await his.close()
    await whole.close()


def shared_vectors(world: World) -> Path:
    return world.product.sync.file.parent / "vectors"


@pytest.mark.asyncio(loop_scope="module")
async def test_filters_count_for_meaning_too(shared: World) -> None:
    page = await search(shared, "gf1", q=ASKED, mode="vector", type="lead,contact")
    assert {hit["type"] for hit in page["hits"]} == {"contact"}, "leads have agreed to nothing"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"mode": "magic"}, "mode must be one of text, vector, hybrid"),
        ({"mode": "vector"}, "needs something to look for"),
        ({"mode": "vector", "q": "\x00 "}, "needs something to look for"),
        ({"mode": "hybrid", "q": "Hof", "sort": "-value"}, "sorted by relevance"),
    ],
)
async def test_what_can_not_be_asked_is_refused_in_words(
    shared: World, parameters: dict[str, str], said: str
) -> None:
    found = await answer(shared, "gf1", **parameters)
    assert found.status_code == 400
    assert said in found.json()["detail"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("text", ["\x00\x01", "🥕", "\ud800", "a" * 500, "!!!", "   ", "0" * 400, "'; --"])
async def test_strange_questions_are_answered(shared: World, text: str) -> None:
    asked = text.encode("utf-8", "replace").decode()
    assert (await answer(shared, "adm1", q=asked, mode="hybrid")).status_code == 200
    assert (await answer(shared, "adm1", q=asked, mode="vector")).status_code in (200, 400)


@pytest.mark.asyncio(loop_scope="module")
async def test_numbers_are_left_to_the_full_text(shared: World) -> None:
    page = await search(shared, "gf1", q="R-2026-00001", mode="hybrid")
    assert page == {**await search(shared, "gf1", q="R-2026-00001"), "vectors": page["vectors"]}


async def test_without_vectors_the_full_text_answers_and_says_so(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        world = await open_world(tmp_path / "data", stack)
        text = await search(world, "gf1", q=ASKED)
        page = await search(world, "gf1", q=ASKED, mode="hybrid")
        assert page == {**text, "vectors": {"state": "down", "behind": 0}}
        refused = await answer(world, "gf1", q=ASKED, mode="vector")
        assert refused.status_code == 503
        assert "no vectors yet" in refused.json()["detail"]

        meaning = world.product.search.meaning
        world.product.search.meaning = None
        page = await search(world, "gf1", q=ASKED, mode="hybrid")
        assert page == {**text, "vectors": {"state": "absent", "behind": 0}}
        assert (await answer(world, "gf1", q=ASKED, mode="vector")).status_code == 503
        world.product.search.meaning = meaning


async def test_an_index_that_is_slow_or_broken_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object, **__: object) -> list[Match]:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits so long")

    async def broken(*_: object, **__: object) -> list[Match]:
        raise IndexUnavailableError("http://model.intern:8080 and /srv/vectors are broken")

    monkeypatch.setattr(finding, "MEANING_TOOK_TOO_LONG", 0.1)
    async with AsyncExitStack() as stack:
        world = await open_world(tmp_path / "data", stack)
        await filled(world.product, tmp_path / "data" / "vectors", world.documents.values())
        text = await search(world, "gf1", q=ASKED)
        for failing in (slow, broken):
            monkeypatch.setattr(world.product.search.meaning, "nearest", failing)
            page = await search(world, "gf1", q=ASKED, mode="hybrid")
            assert page["vectors"] == {"state": "down", "behind": 0}
            assert page["hits"] == text["hits"]
            refused = await answer(world, "gf1", q=ASKED, mode="vector")
            assert refused.status_code == 503
            assert "try again" in refused.json()["detail"]
            assert "/" not in refused.json()["detail"], "where things are is nobody's business"


async def test_what_he_lost_a_moment_ago_is_not_shown(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        world = await open_world(tmp_path / "data", stack)
        await filled(world.product, tmp_path / "data" / "vectors", world.documents.values())
        before = await search(world, "gf1", q=ASKED, mode="vector", type="contact", limit=50)
        lost = before["hits"][0]["id"]
        doc: Mapping[str, Any] = {**world.documents[lost], "_deleted": True}
        await (await world.admin()).put(f"/{DATABASE}/{lost}", json=doc)
        after = await search(world, "gf1", q=ASKED, mode="vector", type="contact", limit=50)
        assert [hit["id"] for hit in after["hits"]] == [
            hit["id"] for hit in before["hits"] if hit["id"] != lost
        ]
        assert after["vectors"] == {"state": "behind", "behind": 1}


async def test_what_he_lost_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where more has changed than is looked through beforehand."""
    async with AsyncExitStack() as stack:
        world = await open_world(tmp_path / "data", stack)
        await filled(world.product, tmp_path / "data" / "vectors", world.documents.values())
        asked = {"q": ASKED, "mode": "vector", "type": "contact,activity"}
        before = [hit["id"] for hit in (await search(world, "gf1", **asked, limit=40))["hits"]]
        assert len(before) >= 8
        admin = await world.admin()
        for docid in before[:3]:
            doc: Mapping[str, Any] = {**world.documents[docid], "_deleted": True}
            assert (await admin.put(f"/{DATABASE}/{docid}", json=doc)).is_success
        monkeypatch.setattr(finding, "MOST_NEAR", 4)
        for most in (2000, 0):
            monkeypatch.setattr(service, "MOST_CHANGED", most)
            page = await search(world, "gf1", **asked, limit=20)
            left = [docid for docid in before if docid not in before[:3]]
            assert [hit["id"] for hit in page["hits"]] == left[:4], most
            assert not page["more"]


async def test_without_the_full_text_what_is_near_is_shown_and_it_is_said(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        world = await open_world(tmp_path / "data", stack)
        await filled(world.product, tmp_path / "data" / "vectors", world.documents.values())
        near = await search(world, "adm1", q=ASKED, mode="vector", limit=50)
        assert near["hits"]
        index = world.product.search.index
        (tmp_path / "data" / "search").rename(tmp_path / "away")
        for state, mode in (
            ("down", "hybrid"),
            ("down", "vector"),
            ("absent", "hybrid"),
            ("absent", "vector"),
        ):
            world.product.search.index = index if state == "down" else None
            page = await search(world, "adm1", q=ASKED, mode=mode, limit=50)
            ids = [[hit["id"] for hit in each["hits"]] for each in (page, near)]
            assert ids[0] == ids[1], (state, mode)
            assert page["index"] == {"state": state, "behind": 0}
            assert page["vectors"]["state"] == "current"
            assert page["total"] is page["facets"] is None
            # What only words can find nobody answers.
            for parameters in ({"q": "R-2026-00001", "mode": "hybrid"}, {"q": ASKED}):
                assert (await answer(world, "adm1", **parameters)).status_code == 503
        world.product.search.index = index


async def test_a_full_text_that_fails_in_the_midst_leaves_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object, **__: object) -> list[Match]:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits so long")

    async def broken(*_: object, **__: object) -> list[Match]:
        raise IndexUnavailableError("it is broken")

    monkeypatch.setattr(finding, "TEXT_TOOK_TOO_LONG", 0.3)
    async with AsyncExitStack() as stack:
        world = await open_world(tmp_path / "data", stack)
        await filled(world.product, tmp_path / "data" / "vectors", world.documents.values())
        near = await search(world, "gf1", q=ASKED, mode="vector")
        for failing in (slow, broken):
            monkeypatch.setattr(world.product.search.index, "find", failing)
            page = await search(world, "gf1", q=ASKED, mode="hybrid")
            assert page["index"] == {"state": "down", "behind": 0}
            assert [hit["id"] for hit in page["hits"]] == [hit["id"] for hit in near["hits"]]
        monkeypatch.setattr(world.product.search.meaning, "nearest", broken)
        assert (await answer(world, "gf1", q=ASKED, mode="hybrid")).status_code == 503
        # It is back a moment later: how far it is wasn't known, so it must not count what has changed since.
        monkeypatch.undo()
        monkeypatch.setattr(world.product.search.index, "standing", broken)
        assert (await answer(world, "gf1", q="", mode="hybrid")).status_code == 503
        assert (await search(world, "gf1", q=ASKED, mode="hybrid"))["index"]["state"] == "down"


# -- fusion --------------------------------------------------------------------------------------


def matches(names: str) -> list[Match]:
    return [Match(name, name, "1-a", "customer") for name in names]


def test_what_both_find_comes_first() -> None:
    assert [one.base for one in fused(matches("abc"), matches("cxy"), 1.0)] == list("cabxy")


def test_a_light_order_adds_and_moves_nothing() -> None:
    assert [one.base for one in fused(matches("abc"), matches("xcy"), 0.01)] == list("abcxy")


def test_pages_fit_together_behind_what_is_fused() -> None:
    many = [Match(f"t{at}", f"t{at}", "1-a", "customer") for at in range(3 * FUSED)]
    near = [many[250], *matches("xy"), many[2]]
    for most in (FUSED, 2 * FUSED, 3 * FUSED):
        order = fused(many[:most], near, 0.5)
        assert len({one.base for one in order}) == len(order)
        assert order == fused(many, near, 0.5)[: len(order)]
