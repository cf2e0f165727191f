"""The quarantine over REST: who gets what, and what the desk's answers look like."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sync.gate_world import PEOPLE, World, contact, contact_body, customer, customer_body, new

PROBLEM = "application/problem+json"


def of(user: str) -> Any:
    return httpx.BasicAuth(user, "pw")


async def refused(world: World, number: int = 1, **more: Any) -> None:
    await world.has_customer(number)
    version = new(
        customer_body(owner="adm2", createdBy="adm1", modifiedBy="adm1", **more),
        await world.path(customer(number)),
        "",
        photo=b"<script>",
    )
    assert await world.push("adm1", (customer(number), version)) != [""]


async def entry_id(client: httpx.AsyncClient, user: str = "adm1") -> str:
    (entry,) = (await client.get("/api/v1/quarantine", auth=of(user))).json()["entries"]
    return str(entry["id"])


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["detail"]
    return found


async def test_who_has_not_logged_in_gets_nothing(world: World, client: httpx.AsyncClient) -> None:
    await refused(world)
    for path in ("", "/x", "/x/attachments/y"):
        problem(await client.get(f"/api/v1/quarantine{path}"), 401)
    for action in ("release", "correct", "discard"):
        problem(await client.post(f"/api/v1/quarantine/x/{action}", json={}), 401)


async def test_everybody_sees_his_own_and_the_office_what_it_may_read(
    world: World, client: httpx.AsyncClient
) -> None:
    await refused(world, big=12345678901234567890)
    number = await entry_id(client)
    for user in PEOPLE:
        answer = await client.get("/api/v1/quarantine", auth=of(user))
        single = await client.get(f"/api/v1/quarantine/{number}", auth=of(user))
        attachment = await client.get(f"/api/v1/quarantine/{number}/attachments/photo", auth=of(user))
        if user in ("adm1", "innen1", "gf1"):
            assert [entry["id"] for entry in answer.json()["entries"]] == [number]
            shown = single.json()
            assert shown["document"]["big"] == 12345678901234567890
            assert shown["current"]["owner"] == "adm1"
            assert shown["state"] == "quarantined"
            assert shown["attachments"]["photo"]["length"] == 8
            assert attachment.content == b"<script>"
            assert attachment.headers["content-type"] == "application/octet-stream"
            assert attachment.headers["x-content-type-options"] == "nosniff"
        else:
            assert answer.json() == {"entries": []}
            assert problem(single, 404) == problem(attachment, 404)
    own = await client.get("/api/v1/quarantine?own=true", auth=of("gf1"))
    assert own.json() == {"entries": []}


async def test_pages_and_states(world: World, client: httpx.AsyncClient) -> None:
    for number in (1, 2, 3):
        await refused(world, number)
    await world.push("adm1", (contact(1), new(contact_body(customer(9)))))
    first = (await client.get("/api/v1/quarantine?limit=2&state=quarantined", auth=of("gf1"))).json()
    rest = await client.get(
        f"/api/v1/quarantine?limit=2&state=quarantined&before={first['next']}", auth=of("gf1")
    )
    ids = [entry["docId"] for entry in first["entries"] + rest.json()["entries"]]
    assert ids == [customer(3), customer(2), customer(1)]
    waiting = (await client.get("/api/v1/quarantine?state=waiting", auth=of("adm1"))).json()["entries"]
    assert [entry["docId"] for entry in waiting] == [contact(1)]
    for query in ("limit=0", "limit=x", "limit=201", "before=-1", "state=lost"):
        problem(await client.get(f"/api/v1/quarantine?{query}", auth=of("adm1")), 400)


async def test_release(world: World, client: httpx.AsyncClient) -> None:
    await refused(world, phone="device")
    await world.has_customer(1, phone="office")
    path = f"/api/v1/quarantine/{await entry_id(client)}/release"
    clash = problem(await client.post(path, auth=of("innen1"), json={}), 409)
    assert clash["fields"] == ["phone"]
    assert clash["rev"] == (await world.winner(customer(1)) or pytest.fail("no winner")).rev
    problem(await client.post(path, auth=of("innen1"), json={"overwrite": "yes"}), 422)
    problem(await client.post(path, auth=of("adm1"), json={"overwrite": True}), 403)
    problem(await client.post(path, auth=of("buch1"), json={"overwrite": True}), 404)
    answer = await client.post(path, auth=of("innen1"), json={"overwrite": True})
    assert answer.status_code == 200
    assert answer.json()["rev"] == (await world.winner(customer(1)) or pytest.fail("no winner")).rev
    assert (await world.live(customer(1)))["phone"] == "device"
    problem(await client.post(path, auth=of("innen1"), json={"overwrite": True}), 409)


async def test_correct(world: World, client: httpx.AsyncClient) -> None:
    await refused(world)
    path = f"/api/v1/quarantine/{await entry_id(client)}/correct"
    rev = (await world.winner(customer(1)) or pytest.fail("no winner")).rev
    better = customer_body(phone="1", big=12345678901234567890)
    bodies: list[Any] = [
        [],
        {},
        {"document": 1},
        {"document": better, "rev": 7},
        {"document": better, "x": 1},
    ]
    for body in bodies:
        problem(await client.post(path, auth=of("adm1"), json=body), 422)
    other = {"document": {**better, "_id": customer(2)}, "rev": rev}
    problem(await client.post(path, auth=of("adm1"), json=other), 422)
    assert problem(await client.post(path, auth=of("adm1"), json={"document": better}), 409)["rev"] == rev
    problem(await client.post(path, auth=of("gf1"), json={"document": better, "rev": rev}), 409)
    wrong = {"document": customer_body(owner="adm2"), "rev": rev}
    german = {"accept-language": "de"}
    told = problem(await client.post(path, auth=of("adm1"), json=wrong, headers=german), 403)
    assert told["rule"] == "escape.author"
    assert told["detail"].startswith("Als Verfasser muss eingetragen sein, wer das Dokument sendet.")
    assert [one["pointer"] for one in told["errors"]] == ["/createdBy"]
    answer = await client.post(path, auth=of("adm1"), json={"document": better, "rev": rev})
    assert answer.status_code == 200, answer.text
    assert await world.body(customer(1)) == better


async def test_discard(world: World, client: httpx.AsyncClient) -> None:
    await refused(world)
    path = f"/api/v1/quarantine/{await entry_id(client)}/discard"
    problem(await client.post(path, auth=of("adm2")), 404)
    assert (await client.post(path, auth=of("adm1"))).status_code == 204
    problem(await client.post(path, auth=of("adm1")), 409)
    assert await world.notices("adm1", "rejected_change") == []
