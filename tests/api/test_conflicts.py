"""Conflicts over REST: who is shown what, what a decision writes, and what it closes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from replication.protocol.revisions import Path, parse_rev
from tests.sync.gate_world import PEOPLE, World, customer, customer_body, new, uuid

ALL = "?state=open,resolved,merged"


def of(user: str) -> Any:
    return httpx.BasicAuth(user, "pw")


async def listed(client: httpx.AsyncClient, user: str, query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/conflicts{query}", auth=of(user))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["conflicts"]
    return found


async def resolve(client: httpx.AsyncClient, user: str, conflict: str, **body: Any) -> httpx.Response:
    return await client.post(f"/api/v1/conflicts/{conflict}/resolve", json=body, auth=of(user))


async def clash(world: World, number: int = 1, *, mine: Any = None, theirs: Any = None) -> Path:
    """adm1 and the office change a customer; returns what adm1 knew."""
    await world.has_customer(number, tags=["a"])
    known = await world.path(customer(number))
    theirs = {"phone": "office", "website": "office", **(theirs or {})}
    await world.has_customer(number, tags=["a"], modifiedBy="innen1", version=2, **theirs)
    mine = new(customer_body(tags=["a"], phone="device", website="device", **(mine or {})), known)
    assert await world.push("adm1", (customer(number), mine)) == [""]
    return known


async def opportunity(world: World, value: int) -> str:
    """One that adm1 and the office price differently, the device first by its clock."""
    docid = f"opportunity-{uuid(1)}"
    body = {
        "type": "opportunity",
        "owner": "adm1",
        "createdBy": "adm1",
        "modifiedBy": "adm1",
        "title": "Tresen",
    }
    await world.put(docid, {**body, "estimatedValue": 1000})
    known = await world.path(docid)
    await world.put(docid, {**body, "estimatedValue": 2000, "modifiedBy": "innen1"})
    assert await world.push("adm1", (docid, new({**body, "estimatedValue": value}, known))) == [""]
    return docid


async def test_those_concerned_see_a_conflict_and_nobody_else(
    world: World, client: httpx.AsyncClient
) -> None:
    await clash(world)
    for user in PEOPLE:
        found = await listed(client, user)
        assert len(found) == (user in ("adm1", "gf1")), user
        assert len(await listed(client, user, "?mine=true")) == (user == "adm1")
    (one,) = await listed(client, "adm1")
    assert one["mayResolve"]
    assert [(field["path"], field["local"], field["server"]) for field in one["fields"]] == [
        ("phone", "device", "office"),
        ("website", "device", "office"),
    ]
    for user in PEOPLE:
        answer = await client.get(f"/api/v1/conflicts/{one['id']}", auth=of(user))
        assert answer.status_code == (200 if user in ("adm1", "gf1") else 404)
    assert (await client.get("/api/v1/conflicts")).status_code == 401
    assert (await client.delete(f"/api/v1/conflicts/{one['id']}", auth=of("adm1"))).status_code == 405


async def test_field_by_field(world: World, client: httpx.AsyncClient) -> None:
    await clash(world)
    (one,) = await listed(client, "adm1")
    answer = await resolve(client, "adm1", one["id"], strategy="manual", fields={"phone": "mine"})
    assert answer.status_code == 422
    assert "website" in answer.json()["detail"]
    fields = {"phone": "mine", "website": {"value": "both"}}
    answer = await resolve(client, "adm1", one["id"], strategy="manual", fields=fields)
    assert answer.status_code == 200, answer.text
    body = await world.live(customer(1))
    assert (body["phone"], body["website"], body["modifiedBy"]) == ("device", "both", "adm1")
    winner = await world.winner(customer(1))
    assert winner is not None
    assert answer.json()["rev"] == winner.rev
    assert await world.notices("adm1", "conflict") == []
    assert await listed(client, "adm1") == []
    (past,) = await listed(client, "adm1", ALL)
    assert (past["state"], past["resolvedBy"], past["strategy"]) == ("resolved", "adm1", "manual")
    assert past["choices"] == {"phone": "mine", "website": "value"}
    again = await resolve(client, "adm1", one["id"], strategy="local")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("strategy", "phone"), [("local", "device"), ("server", "office"), ("newest", "office")]
)
async def test_one_choice_for_all_fields(
    world: World, client: httpx.AsyncClient, strategy: str, phone: str
) -> None:
    await clash(world, theirs={"modifiedAt": "2026-03-01T09:00:00.000Z"})
    (one,) = await listed(client, "adm1")
    assert (await resolve(client, "adm1", one["id"], strategy=strategy)).status_code == 200
    assert (await world.live(customer(1)))["phone"] == phone
    assert await world.notices("adm1", "conflict") == []


async def test_merging_a_field_needs_a_text_or_a_list(world: World, client: httpx.AsyncClient) -> None:
    await clash(world, mine={"size": 1}, theirs={"size": 2})
    (one,) = await listed(client, "adm1")
    fields = {"phone": "merge", "website": "theirs", "size": "merge"}
    answer = await resolve(client, "adm1", one["id"], strategy="manual", fields=fields)
    assert answer.status_code == 422
    assert "size" in answer.json()["detail"]
    answer = await resolve(client, "adm1", one["id"], strategy="manual", fields={**fields, "size": "mine"})
    assert answer.status_code == 200
    assert (await world.live(customer(1)))["phone"] == "office\ndevice"


async def test_whole_values_and_what_the_conflict_is_not_about(
    world: World, client: httpx.AsyncClient
) -> None:
    await clash(world)
    (one,) = await listed(client, "adm1")
    for wrong in ({"fields": {"owner": "mine"}}, {"resolvedData": {"owner": "adm2"}}, {"strategy": "x"}):
        answer = await resolve(client, "adm1", one["id"], **{"strategy": "local", **wrong})
        assert answer.status_code == 422, wrong
    data = {"phone": "1", "website": "2"}
    answer = await resolve(client, "adm1", one["id"], strategy="manual", resolvedData=data)
    assert answer.status_code == 200
    body = await world.live(customer(1))
    assert (body["phone"], body["website"], body["owner"]) == ("1", "2", "adm1")


async def test_from_fifty_thousand_euros_on_management_decides(
    world: World, client: httpx.AsyncClient
) -> None:
    docid = await opportunity(world, 60_000)
    (mine,) = await listed(client, "adm1")
    assert mine["escalated"]
    assert not mine["mayResolve"]
    assert (await resolve(client, "adm1", mine["id"], strategy="local")).status_code == 403
    for_management = [one for one in await world.notices("gf1", "conflict") if "user" not in one]
    assert [one["status"] for one in for_management] == ["escalated"]
    assert len(await world.notices("adm1", "conflict")) == 1
    # His own later edit doesn't take the decision from management.
    body = {**(await world.live(docid)), "estimatedValue": 60_000, "modifiedBy": "adm1"}
    assert await world.push("adm1", (docid, new(body, await world.path(docid)))) == [""]
    assert len(await world.notices("adm1", "conflict")) == 1
    assert (await resolve(client, "gf1", mine["id"], strategy="server")).status_code == 200
    assert await world.notices("adm1", "conflict") == []
    assert await world.notices("gf1", "conflict") == []


async def test_a_matrix_takes_from_management_what_it_may_not_read_any_more(
    world: World, client: httpx.AsyncClient
) -> None:
    """Then those who are told decide; when management gets the type back, it does again."""
    docid = await opportunity(world, 60_000)
    (one,) = await listed(client, "adm1")
    assert len(await world.notices("gf1", "conflict")) == 1
    without: dict[str, list[str]] = {"read": [], "update": [], "create": [], "delete": []}
    matrix = {"type": "permission_matrix", "active": True, "matrixVersion": "2"}
    taken = {**matrix, "overrides": {"opportunity": {"GF": without}}}
    await world.put("permission-matrix-2", taken)
    assert await world.notices("gf1", "conflict") == []
    assert await listed(client, "gf1") == []
    assert (await client.get(f"/api/v1/conflicts/{one['id']}", auth=of("gf1"))).status_code == 404
    assert (await resolve(client, "gf1", one["id"], strategy="local")).status_code == 404
    (notice,) = await world.notices("adm1", "conflict")
    assert not notice["escalated"]
    assert not notice["restricted"]
    (seen,) = await listed(client, "adm1", "?escalated=false")
    assert seen["mayResolve"]
    assert await listed(client, "adm1", "?escalated=true") == []

    await world.put("permission-matrix-2", {**taken, "active": False})
    (notice,) = await world.notices("gf1", "conflict")
    assert (notice["status"], notice["fields"][0]["local"]) == ("escalated", 60_000)
    assert [notice["escalated"] for notice in await world.notices("adm1", "conflict")] == [True]
    assert (await resolve(client, "adm1", one["id"], strategy="local")).status_code == 403

    await world.put("permission-matrix-2", taken)
    assert (await resolve(client, "adm1", one["id"], strategy="server")).status_code == 200
    assert await world.notices("adm1", "conflict") == []
    assert (await world.live(docid))["estimatedValue"] == 2000


async def test_what_management_may_not_read_is_not_left_undecided(
    world: World, client: httpx.AsyncClient
) -> None:
    """Its sender settles it by writing, too."""
    without: dict[str, list[str]] = {"read": [], "update": [], "create": [], "delete": []}
    matrix = {"type": "permission_matrix", "active": True, "matrixVersion": "2"}
    await world.put("permission-matrix-2", {**matrix, "overrides": {"opportunity": {"GF": without}}})
    docid = await opportunity(world, 60_000)
    assert await world.notices("gf1", "conflict") == []
    (one,) = await listed(client, "adm1")
    assert (one["escalated"], one["mayResolve"]) == (False, True)
    body = {**(await world.live(docid)), "modifiedBy": "adm1"}
    assert await world.push("adm1", (docid, new(body, await world.path(docid)))) == [""]
    assert await world.notices("adm1", "conflict") == []


async def test_what_a_rule_decided_is_in_the_history(world: World, client: httpx.AsyncClient) -> None:
    docid = await opportunity(world, 30_000)
    assert (await world.live(docid))["estimatedValue"] == 2000
    assert await listed(client, "adm1") == []
    (one,) = await listed(client, "adm1", "?state=merged")
    assert one["decided"] == [{"path": "estimatedValue", "rule": "stored", "taken": "theirs", "lost": 30_000}]
    assert await listed(client, "buch1", "?state=merged") == []


async def test_a_decision_is_judged_as_any_other_edit(world: World, client: httpx.AsyncClient) -> None:
    """adm1 hands the customer over between the conflict and his decision."""
    await clash(world)
    (one,) = await listed(client, "adm1")
    await world.put(customer(1), {**(await world.live(customer(1))), "owner": "adm2"})
    (mine,) = await listed(client, "adm1")
    assert mine["restricted"]
    assert {field["server"] for field in mine["fields"]} == {None}
    assert (await resolve(client, "adm1", one["id"], strategy="local")).status_code == 409
    assert (await resolve(client, "adm1", one["id"], strategy="server")).status_code == 200
    assert await world.notices("adm1", "conflict") == []


async def test_several_at_once(world: World, client: httpx.AsyncClient) -> None:
    for number in (1, 2, 3):
        await clash(world, number)
    ids = [one["id"] for one in await listed(client, "adm1")]
    body = {"ids": [*ids[:2], "unknown", ids[0]], "strategy": "local"}
    german = {"accept-language": "de"}
    answer = await client.post("/api/v1/conflicts/resolve", json=body, auth=of("adm1"), headers=german)
    results = answer.json()["results"]
    assert [one.get("state", one.get("status")) for one in results] == ["resolved", "resolved", 404]
    assert results[2]["detail"] == "Einen solchen Konflikt gibt es nicht."
    assert [one["id"] for one in await listed(client, "adm1")] == ids[2:]
    assert (await client.post("/api/v1/conflicts/resolve", json=body)).status_code == 401


async def test_pages_and_filters(world: World, client: httpx.AsyncClient) -> None:
    for number in (1, 2, 3):
        await clash(world, number)
    first = (await client.get("/api/v1/conflicts?limit=2", auth=of("adm1"))).json()
    assert [one["entityId"] for one in first["conflicts"]] == [customer(3), customer(2)]
    rest = (await client.get(f"/api/v1/conflicts?limit=2&before={first['next']}", auth=of("adm1"))).json()
    assert [one["entityId"] for one in rest["conflicts"]] == [customer(1)]
    assert "next" not in rest
    assert len(await listed(client, "adm1", f"?entityId={customer(2)}")) == 1
    assert await listed(client, "adm1", "?entityType=offer") == []
    assert await listed(client, "adm1", "?escalated=true") == []
    for wrong in ("state=x", "limit=0", "limit=x", "before=-1", "escalated=1"):
        assert (await client.get(f"/api/v1/conflicts?{wrong}", auth=of("adm1"))).status_code == 400


async def test_an_attachment_of_ones_own(world: World, client: httpx.AsyncClient) -> None:
    first = new(customer_body(), None, "", logo=b"logo")
    await world.push("adm1", (customer(1), first))
    office = new(customer_body(modifiedBy="innen1"), first.path, "o", logo=b"the office's")
    assert await world.push("innen1", (customer(1), office)) == [""]
    mine = new(customer_body(), first.path, "m", logo=b"the salesman's")
    assert await world.push("adm1", (customer(1), mine)) == [""]
    await world.database.compact()
    (one,) = await listed(client, "adm1")
    assert (await resolve(client, "adm1", one["id"], strategy="local")).status_code == 200
    winner = await world.winner(customer(1))
    assert winner is not None
    infos = await world.database.attachments(customer(1), parse_rev(winner.rev))
    assert (
        b"".join([piece async for piece in world.database.read_attachment(infos["logo"])])
        == b"the salesman's"
    )


async def test_accepting_ones_own_deletion(world: World, client: httpx.AsyncClient) -> None:
    await world.has_customer(1)
    old = await world.path(customer(1))
    await world.has_customer(1, phone="9")
    assert await world.push("gf1", (customer(1), new(None, old))) == [""]
    (one,) = await listed(client, "gf1")
    assert one["deleted"]
    assert (
        await resolve(client, "gf1", one["id"], strategy="manual", fields={"": "merge"})
    ).status_code == 422
    assert (await resolve(client, "gf1", one["id"], strategy="local")).status_code == 200
    assert await world.body(customer(1)) is None
    assert await listed(client, "gf1") == []
