"""Who gives and takes roles, and that it shows at once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.identity.conftest import ADMIN, client, product, put_user, store

__all__ = ["client", "product", "store"]

CUSTOMER = "customer-11111111-1111-4111-8111-111111111111"


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture(autouse=True)
async def company(client: httpx.AsyncClient) -> None:
    for name, role in (("anna", "ADM"), ("chef", "GF"), ("chefin", "GF"), ("it", "ADMIN"), ("it2", "ADMIN")):
        await put_user(client, name, role)
        assert (await client.get("/kompass", auth=(name, "pw"))).status_code == 200
    customer = {"type": "customer", "companyName": "Hof", "owner": "anna"}
    assert (await client.put(f"/kompass/{CUSTOMER}", json=customer, auth=ADMIN)).status_code == 201


async def change(client: httpx.AsyncClient, by: str, name: str, **body: Any) -> httpx.Response:
    auth = ADMIN if by == ADMIN[0] else (by, "pw")
    return await client.patch(f"/api/v1/users/{name}", json={"reason": "Versetzung", **body}, auth=auth)


async def reads(client: httpx.AsyncClient, name: str) -> int:
    return (await client.get(f"/kompass/{CUSTOMER}", auth=(name, "pw"))).status_code


async def test_a_role_goes_and_comes_with_what_it_shows(client: httpx.AsyncClient) -> None:
    assert await reads(client, "anna") == 200
    answer = await change(client, "it", "anna", roles=["KALK"])
    assert (answer.status_code, answer.json()["roles"]) == (200, ["KALK"])
    assert await reads(client, "anna") == 200, "costing reads all customers"
    assert (await change(client, "it", "anna", roles=[])).status_code == 200
    assert await reads(client, "anna") in (403, 404)
    assert (await change(client, "chef", "anna", roles=["ADM", "PLAN"])).json()["roles"] == ["ADM", "PLAN"]
    assert await reads(client, "anna") == 200


async def test_whoever_is_locked_out_is_out(client: httpx.AsyncClient) -> None:
    rev = (await client.get(f"/kompass/{CUSTOMER}", auth=ADMIN)).json()["_rev"]
    assert (await change(client, "chef", "anna", active=False)).json()["active"] is False
    assert await reads(client, "anna") == 401
    assert (await change(client, "chef", "anna", active=True)).json()["active"] is True
    assert await reads(client, "anna") == 200
    now = (await client.get(f"/kompass/{CUSTOMER}", auth=ADMIN)).json()["_rev"]
    assert now == rev, "nothing is written for somebody who was away"


@pytest.mark.parametrize(
    ("by", "name", "body"),
    [
        ("anna", "it", {"roles": []}),
        ("anna", "anna", {"roles": ["GF"]}),
        ("it", "it", {"roles": ["ADMIN", "GF"]}),
        ("chef", "chef", {"active": False}),
        ("it", "anna", {"roles": ["ADM", "GF"]}),
        ("it", "anna", {"roles": ["ADM", "ADMIN"]}),
        ("it", "chef", {"roles": []}),
        ("it", "chef", {"active": False}),
        ("it", "it2", {"roles": []}),
    ],
)
async def test_what_nobody_may(client: httpx.AsyncClient, by: str, name: str, body: dict[str, Any]) -> None:
    before = (await client.get("/api/v1/users", auth=ADMIN)).json()
    assert (await change(client, by, name, **body)).status_code == 403
    assert (await client.get("/api/v1/users", auth=ADMIN)).json() == before


@pytest.mark.parametrize(("by", "roles"), [("chef", ["GF"]), ("root", ["GF", "ADMIN"])])
async def test_gf_makes_gf(client: httpx.AsyncClient, by: str, roles: list[str]) -> None:
    assert (await change(client, by, "anna", roles=roles)).json()["roles"] == sorted(roles)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"roles": ["BOSS"]},
        {"roles": "ADM"},
        {"active": "no"},
        {"colour": "x"},
        {"roles": [], "reason": ""},
    ],
)
async def test_nonsense_says_what_is_wrong(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await change(client, "chef", "anna", **body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_everybody_sees_his_own_record_only(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/users/anna", auth=("anna", "pw"))).json()["roles"] == ["ADM"]
    assert (await client.get("/api/v1/users/chef", auth=("anna", "pw"))).status_code == 403
    assert (await client.get("/api/v1/users/nobody", auth=("anna", "pw"))).status_code == 403
    assert (await client.get("/api/v1/users/nobody", auth=("chef", "pw"))).status_code == 404
