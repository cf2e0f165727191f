"""What an index lists as somebody sees it: each way to find that finds the same."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from random import Random
from typing import Any

import pytest

from kompass.sync.index import entries
from kompass.sync.index.entries import Listing, Span
from kompass.sync.personal import PersonalDatabase
from replication.http.principal import Principal
from replication.protocol.collation import above, array_prefix, sort_key
from replication.store.interface import IndexBehindError
from replication.store.values import IndexEntry
from tests.sync.personal.world import DATABASE, World

Body = dict[str, Any]
WAYS = {"walking": (1, 7, 0), "sorting": (1, 7, 1000), "both": (1, 23, 9)}
"""What `FIRST`, `MOST` and `SORTED` are, that a few documents are enough for each way."""


def span(member: str, *value: Any) -> Span:
    low = array_prefix(value)
    return Span(member, low, above(low))


LISTINGS = [
    Listing(wanted, descending, also, "t" if also else None)
    for wanted, descending, also in product(
        (span("a"), span("a", "x"), span("a", "none")),
        (False, True),
        ((), (span("b", "p"),), (span("b", "rare"), span("c", "r")), (span("b", "none"),)),
    )
]


def keys_of(member: str) -> Any:
    return lambda document: [sort_key([document[member]])] if member in document else []


def made(source: Random) -> Body:
    body = {
        "readers": source.choice(
            [["ada"], ["ADM"], ["ada", "ADM"], *[["ben"]] * 20, *[["INNEN", "ben"]] * 20]
        ),
        "a": source.choice([None, 1, 1, 1, "x", "x", "X", ["x", 1]]),
        "b": source.choice(["p"] * 20 + ["rare"]),
        "c": source.choice("rs"),
    }
    return {name: value for name, value in body.items() if name == "readers" or source.random() < 0.95}


async def write(world: World, docs: Mapping[str, Body]) -> None:
    known = {docid: await world.database.winner(docid) for docid in docs}
    sent = [
        {**body, "_id": docid} | ({"_rev": before.rev} if (before := known[docid]) else {})
        for docid, body in docs.items()
    ]
    answer = await world.client("admin").post("_bulk_docs", json={"docs": sent})
    assert all("error" not in one for one in answer.json())


def view_of(world: World, name: str = "ada") -> PersonalDatabase:
    view = world.server.database(Principal(name, ("ADM",)), DATABASE)
    assert isinstance(view, PersonalDatabase)
    return view


async def refresh(view: PersonalDatabase) -> None:
    for member in "abc":
        await view.refresh_index(member, keys_of(member))


def expected(docs: Mapping[str, Body], name: str | None, listing: Listing) -> list[IndexEntry]:
    """By looking at every document. None sees all."""

    def key(body: Body, one: Span) -> bytes | None:
        found = keys_of(one.signature)(body)
        return found[0] if found and one.low <= found[0] < one.high else None

    found = [
        IndexEntry(at, docid)
        for docid, body in docs.items()
        if not body.get("_deleted") and (name is None or {name, "ADM"} & set(body["readers"]))
        if (at := key(body, listing.span)) is not None
        and all(key(body, one) is not None for one in listing.also)
    ]
    return sorted(found, reverse=listing.descending)


async def leafed(view: PersonalDatabase, listing: Listing, limit: int) -> list[IndexEntry]:
    found: list[IndexEntry] = []
    while True:
        after = found[-1] if found else None
        page = await view.scan_documents(listing, after=after, limit=limit)
        assert all(entry.id == document.id for entry, document in page)
        found += [entry for entry, _ in page]
        if len(page) < limit:
            return found


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_lists_the_same(world: World, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    for name, number in zip(("FIRST", "MOST", "SORTED"), WAYS[way], strict=True):
        monkeypatch.setattr(entries, name, number)
    source = Random(way)
    docs = {f"d{number:03}": made(source) for number in range(200)}
    await write(world, docs)
    views = {name: view_of(world, name) for name in ("ada", "ben")}
    await refresh(views["ada"])
    for (name, view), listing, limit in product(views.items(), LISTINGS, (1, 4, 50)):
        assert await leafed(view, listing, limit) == expected(docs, name, listing), (name, listing, limit)
    changed = {
        docid: made(source) | ({"_deleted": True} if source.random() < 0.3 else {})
        for docid in source.sample(sorted(docs), 60)
    }
    await write(world, changed)
    now = docs | changed
    for (name, view), listing in product(views.items(), LISTINGS):
        # By what an index read before, only what is so still is shown.
        read = set(expected(docs, None, listing))
        valid = [entry for entry in expected(now, name, listing) if entry in read]
        assert await leafed(view, listing, 4) == valid, (name, listing)
    await refresh(views["ada"])
    for (name, view), listing in product(views.items(), LISTINGS):
        assert await leafed(view, listing, 4) == expected(now, name, listing), (name, listing)


async def test_each_of_the_indexes_has_to_be_there(world: World) -> None:
    await write(world, {"d": {"readers": ["ada"], "a": 1, "b": "p"}})
    view = view_of(world)
    await view.refresh_index("a", keys_of("a"))
    listing = Listing(span("a"), also=(span("b", "p"),))
    with pytest.raises(IndexBehindError):
        await view.scan_documents(listing, seq=view.update_seq)
    await view.refresh_index("b", keys_of("b"))
    assert [entry.id for entry, _ in await view.scan_documents(listing, seq=view.update_seq)] == ["d"]


async def test_what_is_changed_just_then_is_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is written to between the index's being brought up to date and its being read isn't missing."""
    docs = {f"d{number}": {"readers": ["ada"], "a": number, "b": "p"} for number in range(5)}
    await write(world, docs)
    view = view_of(world)
    await refresh(view)
    asked, listing = view.update_seq, Listing(span("a"), also=(span("b", "p"),))
    await write(world, {"d1": docs["d1"], "d3": docs["d3"] | {"a": 7}, "d4": docs["d4"] | {"b": "rare"}})
    found = await view.scan_documents(listing, seq=asked, limit=2)
    assert [entry.id for entry, _ in found] == ["d0", "d1"]
    found = await view.scan_documents(listing, seq=asked, after=found[-1][0], limit=9)
    assert [entry.id for entry, _ in found] == ["d2", "d3"], "one is listed elsewhere now, and one no more"
    # One that is moved again and again holds nobody up.
    refreshed = view.refresh_index
    moves = iter(range(10, 100))

    async def moved(signature: str, mapper: Any) -> None:
        await refreshed(signature, mapper)
        await write(world, {"d0": docs["d0"] | {"a": -next(moves)}})

    await write(world, {"d0": docs["d0"] | {"a": -9}})
    monkeypatch.setattr(view, "refresh_index", moved)
    found = await view.scan_documents(listing, seq=asked, limit=9)
    assert [entry.id for entry, _ in found] == ["d1", "d2", "d3"]


async def test_what_one_of_the_indexes_has_not_read_is_left_out(world: World) -> None:
    await write(world, {"d": {"readers": ["ada"], "a": 1, "b": "p"}})
    view = view_of(world)
    await refresh(view)
    await write(world, {"d": {"readers": ["ada"], "a": 2, "b": "p"}})
    await view.refresh_index("b", keys_of("b"))
    assert await view.scan_documents(Listing(span("a"), also=(span("b", "p"),))) == []
