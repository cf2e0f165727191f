"""Why somebody sees a document, over REST and on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.server import Product
from tests.identity.conftest import ADMIN, client, product, put_user, store
from tests.in_process import serving

__all__ = ["client", "product", "store"]

CUSTOMER = "customer-11111111-1111-4111-8111-111111111111"
GF = ("chef", "pw")


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture(autouse=True)
async def company(client: httpx.AsyncClient) -> None:
    for name, role in (("anna", "ADM"), ("bert", "ADM"), ("chef", "GF"), ("kalk1", "KALK"), ("it", "ADMIN")):
        await put_user(client, name, role)
        # With his first request he gets his user document.
        assert (await client.get("/kompass", auth=(name, "pw"))).status_code == 200
    customer = {"type": "customer", "companyName": "Hof", "owner": "anna"}
    answer = await client.put(f"/kompass/{CUSTOMER}", json=customer, auth=ADMIN)
    assert answer.status_code == 201, answer.text


async def asked(client: httpx.AsyncClient, user: str, docid: str, auth: tuple[str, str] = GF) -> Any:
    answer = await client.get("/api/v1/access/explain", params={"user": user, "doc": docid}, auth=auth)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_owner_and_somebody_else(client: httpx.AsyncClient) -> None:
    owner = await asked(client, "anna", CUSTOMER)
    assert owner["visible"]
    assert owner["agree"]
    assert [one["channel"] for one in owner["grants"]] == [f"sales:customer:{CUSTOMER}"]
    assert owner["grants"][0]["because"] == [CUSTOMER]
    assert owner["rules"]["decision"]["rule"] == "customer.read.ADM.own_customer"
    other = await asked(client, "bert", CUSTOMER, ("it", "pw"))
    assert not other["visible"]
    assert other["agree"]
    assert "Hof" not in json.dumps([owner, other]), "it tells why, never what"


@pytest.mark.parametrize(
    ("auth", "status"), [(("anna", "pw"), 403), (("kalk1", "pw"), 403), (None, 401), (ADMIN, 200)]
)
async def test_only_those_who_administer_may_ask(
    client: httpx.AsyncClient, auth: tuple[str, str] | None, status: int
) -> None:
    params = {"user": "anna", "doc": CUSTOMER}
    answer = await client.get("/api/v1/access/explain", params=params, auth=auth)
    assert answer.status_code == status
    body = {"changes": {CUSTOMER: {"owner": "bert"}}}
    tried = await client.request("POST", "/api/v1/access/dry-run", json=body, auth=auth)
    assert tried.status_code == status


async def test_a_dry_run_changes_nothing(client: httpx.AsyncClient) -> None:
    body = {"changes": {CUSTOMER: {"owner": "bert"}}}
    answer = await client.post("/api/v1/access/dry-run", json=body, auth=GF)
    effects = {one["user"]: one for one in answer.json()["effects"]}
    assert set(effects) == {"anna", "bert"}
    assert (effects["anna"]["lost"], effects["bert"]["gained"]) == ([CUSTOMER], [CUSTOMER])
    assert (await asked(client, "anna", CUSTOMER))["visible"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"changes": {}, "matrix": {}},
        {"matrix": {"matrixVersion": "2", "overrides": {"customer": {"KALK": {"read": ["everything"]}}}}},
        {"matrix": {"overrides": {}}},
        {"changes": {"_design/x": {"a": 1}}},
        {"changes": {CUSTOMER: "bert"}},
    ],
)
async def test_what_can_not_be_tried_says_why(client: httpx.AsyncClient, body: Any) -> None:
    answer = await client.post("/api/v1/access/dry-run", json=body, auth=GF)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["detail"]
    if list(body) == ["matrix"]:
        assert told["errors"][0]["pointer"].startswith(("/matrix/matrixVersion", "/matrix/overrides"))


async def kompass(*arguments: str, password: str = "pw") -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KOMPASS_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kompass",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, "KOMPASS_PASSWORD": password},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.slow
async def test_the_command_tells_people(product: Product, tmp_path: Path) -> None:
    async with serving(product) as url:
        about = ["--server", url, "--user", "chef"]
        code, out, err = await kompass("explain", "anna", CUSTOMER, *about)
        assert (code, err) == (0, "")
        assert f"anna (ADM) can read {CUSTOMER} (customer)." in out
        assert f"sales:customer:{CUSTOMER}" in out
        code, out, _ = await kompass("explain", "bert", CUSTOMER, *about)
        assert code == 3
        assert "can not read" in out
        assert "to own" in out
        code, out, _ = await kompass("explain", "bert", CUSTOMER, "--owner", "bert", *about)
        assert code == 0
        assert "bert: would gain 1, lose 0" in out
        matrix = tmp_path / "matrix.json"
        matrix.write_text(
            json.dumps({"matrixVersion": "2", "overrides": {"customer": {"KALK": {"read": []}}}})
        )
        code, out, _ = await kompass("explain", "bert", CUSTOMER, "--matrix", str(matrix), *about)
        assert code == 0
        assert "kalk1: would gain 0, lose 1" in out
        code, out, _ = await kompass("explain", "bert", CUSTOMER, "--json", *about)
        assert json.loads(out)["visible"] is False
        code, _, err = await kompass("explain", "bert", CUSTOMER, *about, password="wrong")
        assert code == 1
        assert err.startswith("Error: ")
