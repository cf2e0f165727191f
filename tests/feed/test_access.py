"""What the service that follows the feed may ask, and what it is answered."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from kompass.audit import heads
from kompass.domain.examples import smallest
from kompass.sync.index import following
from tests.feed.asking import Feed, feed
from tests.feed.world import DB, SECRET, customer
from tests.identity.conftest import ADMIN
from tests.product import running_product

__all__ = ["feed"]


# -- who ---------------------------------------------------------------------------------------


async def test_the_service_reads_everything(feed: Feed) -> None:
    rev = await feed.customer(1, "adm1")
    attached = await feed.admin.put(
        f"{DB}/{customer(1)}/foto.txt", params={"rev": rev}, content=b"abc", headers={"content-type": "a/b"}
    )
    assert attached.status_code == 201
    page = (await feed.service.get(f"{DB}/_changes", params={"include_docs": "true"})).json()
    assert customer(1) in {row["id"] for row in page["results"]}
    assert "user-adm1" in {row["id"] for row in page["results"]}
    asked = {"docs": [{"id": customer(1), "rev": attached.json()["rev"]}]}
    got = (await feed.service.post(f"{DB}/_bulk_get", json=asked)).json()
    assert got["results"][0]["docs"][0]["ok"]["companyName"] == "Hof"
    assert (await feed.service.get(f"{DB}/{customer(1)}/foto.txt")).content == b"abc"
    assert (await feed.service.get(DB)).status_code == 200


REFUSED = [
    ("PUT", f"{DB}/{customer(7)}"),
    ("DELETE", f"{DB}/{customer(1)}"),
    ("COPY", f"{DB}/{customer(1)}"),
    ("PUT", f"{DB}/{customer(1)}/foto.txt"),
    ("POST", DB),
    ("PUT", DB),
    ("DELETE", DB),
    ("POST", f"{DB}/_bulk_docs"),
    ("POST", f"{DB}/_revs_diff"),
    ("POST", f"{DB}/_purge"),
    ("POST", f"{DB}/_compact"),
    ("POST", f"{DB}/_index"),
    ("POST", f"{DB}/_find"),
    ("GET", f"{DB}/_security"),
    ("PUT", f"{DB}/_security"),
    ("GET", f"{DB}/_local/x"),
    ("PUT", f"{DB}/_local/x"),
    ("PUT", f"{DB}/_design/x"),
    ("GET", f"{DB}/_design/x"),
    ("GET", "/_all_dbs"),
    ("GET", "/_users/_all_docs"),
    ("GET", "/_users/_changes"),
    ("GET", "/_users/org.couchdb.user:adm1"),
    ("GET", "/kompass-quarantine/_changes"),
    ("GET", "/kompass-devices/_changes"),
    ("POST", "/_replicate"),
    ("GET", "/_node/_local/_config"),
    ("POST", "/_session"),
    ("GET", "/api/v1/devices"),
    ("GET", "/api/v1/session"),
    ("GET", "/api/v1/quarantine"),
    ("GET", "/api/v1/audit/entries"),
    ("GET", "/metrics"),
]


async def test_the_service_may_do_nothing_else(feed: Feed) -> None:
    await feed.customer(1, "adm1")
    before = await feed.seq()
    for method, path in REFUSED:
        answer = await feed.service.request(method, path, json={})
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
        override = await feed.service.post(path, json={}, headers={"x-http-method-override": method})
        assert override.status_code in (403, 405), f"{method} {path}: {override.text}"
    assert await feed.seq() == before


async def test_nobody_else_is_the_service(feed: Feed) -> None:
    asked = {"since": "0", "until": "now"}
    for token in ("y" * 40, "", "x" * 39, "x" * 41, "ü"):
        headers = {b"authorization": f"Bearer {token}".encode()}
        answer = await feed.admin.post("/api/v1/feed/access", json=asked, headers=headers, auth=httpx.Auth())
        assert answer.status_code == 401, token
        answer = await feed.admin.get(f"{DB}/_changes", headers=headers, auth=httpx.Auth())
        assert answer.status_code == 401, token
    mine = ("adm1", "pw")
    assert (await feed.admin.post("/api/v1/feed/access", json=asked, auth=mine)).status_code == 403
    assert (await feed.admin.get("/api/v1/feed/people", auth=mine)).status_code == 403
    assert (await feed.admin.post("/api/v1/feed/access", json=asked)).status_code == 200


async def test_no_user_document_gives_the_role(feed: Feed) -> None:
    for name, roles in (("mallory", ["_feed"]), ("_feed", ["ADM"])):
        user = {"name": name, "roles": roles, "type": "user", "password": "pw"}
        answer = await feed.admin.put(f"/_users/org.couchdb.user:{name}", json=user)
        assert answer.status_code == 403, answer.text


async def test_without_a_secret_nobody_is_it(tmp_path: Path) -> None:
    async with running_product(tmp_path / "data", ADMIN) as product:
        transport = httpx.ASGITransport(product)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            for token in ("", "x", SECRET):
                headers = {"authorization": f"Bearer {token}"}
                assert (await client.get(f"{DB}/_changes", headers=headers)).status_code == 401


# -- what --------------------------------------------------------------------------------------


async def test_channels_of_what_was_written(feed: Feed) -> None:
    start = await feed.seq()
    rev = await feed.customer(1, "adm1")
    answer = await feed.access(start, ids=[customer(1), "customer-unbekannt"])
    assert answer["revs"][customer(1)] == rev
    assert f"sales:customer:{customer(1)}" in answer["channels"][customer(1)]
    assert answer["moved"] == []
    assert "customer-unbekannt" not in answer["channels"]
    assert answer["until"] == await feed.seq()
    # adm1 owns a customer more than before.
    (adm1,) = [one for one in answer["people"] if one["name"] == "adm1"]
    assert f"sales:customer:{customer(1)}" in adm1["channels"]
    assert adm1["active"]
    assert adm1["roles"] == ["ADM"]


async def test_what_goes_with_its_parent_has_moved(feed: Feed) -> None:
    tour, stop = smallest("tour"), smallest("hotel_stay")
    tour_id, stop_id = tour.pop("_id"), stop.pop("_id")
    await feed.put(tour_id, **{**tour, "ownerId": "adm1"})
    rev = await feed.put(stop_id, **{**stop, "tourId": tour_id})
    start = await feed.seq()
    await feed.put(tour_id, **{**tour, "ownerId": "adm2"})
    page = (await feed.service.get(f"{DB}/_changes", params={"since": start})).json()
    assert stop_id not in {row["id"] for row in page["results"]}
    answer = await feed.access(start, page["last_seq"])
    assert stop_id in answer["moved"]
    assert answer["revs"][stop_id] == rev
    assert answer["positions"][stop_id] > int(start.partition("-")[0])
    assert "own:hotel_stay:adm2" in answer["channels"][stop_id]
    assert "own:hotel_stay:adm1" not in answer["channels"][stop_id]


async def test_a_purged_document_is_named(feed: Feed) -> None:
    rev = await feed.customer(1, "adm1")
    start = await feed.seq()
    purged = await feed.admin.post(f"{DB}/_purge", json={customer(1): [rev]})
    assert purged.status_code == 201
    page = (await feed.service.get(f"{DB}/_changes", params={"since": start})).json()
    assert customer(1) not in {row["id"] for row in page["results"]}
    answer = await feed.access(start, page["last_seq"])
    assert answer["moved"] == [customer(1)]
    assert answer["revs"] == {customer(1): None}
    assert answer["channels"] == {customer(1): []}
    # Another one of the same id is a change as any other.
    again = await feed.customer(1, "adm2")
    answer = await feed.access(start, ids=[customer(1)])
    assert answer["revs"][customer(1)] == again
    assert answer["channels"][customer(1)]


async def test_a_deleted_document_has_no_channels(feed: Feed) -> None:
    rev = await feed.customer(1, "adm1")
    start = await feed.seq()
    await feed.admin.delete(f"{DB}/{customer(1)}", params={"rev": rev})
    answer = await feed.access(start, ids=[customer(1)])
    assert answer["channels"][customer(1)] == []
    assert answer["revs"][customer(1)] is not None


async def test_moves_come_some_at_a_time(feed: Feed) -> None:
    revs = {customer(number): [await feed.customer(number, "adm1")] for number in range(1, 8)}
    start = await feed.seq()
    await feed.admin.post(f"{DB}/_purge", json=revs)
    found, since = [], start
    for _ in range(20):
        answer = await feed.access(since, limit=2)
        found += answer["moved"]
        since = answer["until"]
        if since == await feed.seq():
            break
    assert sorted(set(found)) == sorted(revs)


async def test_people_who_lose_their_role(feed: Feed) -> None:
    await feed.customer(1, "adm1")
    start = await feed.seq()
    everybody = (await feed.service.get("/api/v1/feed/people")).json()
    assert {one["name"] for one in everybody["people"]} == {"adm1", "adm2"}
    await feed.put("user-adm1", type="user", name="adm1", roles=["ADM"], active=False)
    (adm1,) = (await feed.access(start))["people"]
    assert (adm1["name"], adm1["active"], adm1["channels"]) == ("adm1", False, [])
    assert (await feed.access(await feed.seq()))["people"] == []


async def test_history_tells_another_past(feed: Feed) -> None:
    first = await feed.access("0")
    await feed.customer(1, "adm1")
    second = await feed.access("0", history=first["history"])
    assert second["continues"]
    assert second["history"] != first["history"]
    for other in ("999999." + "0" * 32, second["history"][:-1] + "g", "5", "", "0.x"):
        assert not (await feed.access("0", history=other))["continues"], other
    with feed.database.reading() as reading:
        assert heads.continues(reading, heads.head(reading))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"since": "x", "until": "now"}, 400),
        ({"since": 5, "until": "now"}, 422),
        ({"since": "0", "until": "now", "ids": ["x"] * 2001}, 422),
        ({"since": "0", "until": "now", "ids": [7]}, 422),
        ({"since": "0", "until": "now", "limit": 0}, 422),
        ({"since": "0", "until": "now", "more": 1}, 422),
        ({"since": "0", "until": "now", "ids": ["\x00", "'; --", "_design/x"]}, 200),
    ],
)
async def test_questions_that_cannot_be(feed: Feed, body: dict[str, Any], status: int) -> None:
    assert (await feed.service.post("/api/v1/feed/access", json=body)).status_code == status


async def test_an_answer_costs_what_lies_between(feed: Feed) -> None:
    """Of the plans of its queries none goes through a table."""
    await feed.customer(1, "adm1")
    with feed.database.reading() as reading:
        for query, values in (
            (following._STANDINGS, (orjson.dumps([customer(1)]).decode(),)),
            (following._MOVED, (0, 10, 10)),
            (following._PEOPLE + following._SINCE, (0, 10)),
        ):
            plan = reading.connection.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
            steps = [str(row[-1]) for row in plan]
            assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step], steps


@pytest.mark.slow
async def test_in_a_large_database_an_answer_is_as_quick(feed: Feed) -> None:
    """The same interval of thirty changes, before and after fifty times as much was written."""

    async def fastest() -> float:
        start = await feed.seq()
        for number in range(10):
            await feed.customer(number % 3, "adm1")
        took = []
        for _ in range(30):
            began = time.perf_counter()
            await feed.access(start, ids=[customer(0), customer(1), customer(2)])
            took.append(time.perf_counter() - began)
        return min(took)

    before = await fastest()
    for _ in range(10):
        docs = [
            {"_id": f"contact-{uuid4()}", "type": "contact", "customerId": customer(1), "lastName": "x"}
            for _ in range(500)
        ]
        answer = await feed.admin.post(f"{DB}/_bulk_docs", json={"docs": docs})
        assert all("ok" in row for row in answer.json())
    after = await fastest()
    assert after < 3 * before + 0.002, (before, after)
