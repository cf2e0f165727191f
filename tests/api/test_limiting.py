"""How much one may ask in a minute: each person for himself, and replication as much as it likes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from kompass.api.counting import Limits, Standing, Window
from tests.identity.conftest import ADMIN, client, product, put_user, store
from tests.jobs.conftest import redis_server, url

__all__ = ["client", "product", "redis_server", "store", "url"]

JOBS_SECRET = "j" * 40

alone = pytest.mark.alone("each process counts in its own memory here")


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"rate_limit": 5, "jobs_secret": JOBS_SECRET}


async def ask(client: httpx.AsyncClient, path: str = "customers", **how: Any) -> httpx.Response:
    return await client.get(f"/api/v1/{path}", **how)


@alone
async def test_each_person_has_so_many_requests(client: httpx.AsyncClient) -> None:
    for name in ("anna", "bert"):
        await put_user(client, name, "GF")
        await client.get("/kompass", auth=(name, "pw"))
    anna, bert = ("anna", "pw"), ("bert", "pw")
    for left in (4, 3, 2, 1, 0):
        answer = await ask(client, auth=anna)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"minute";q=5;w=60'
        assert answer.headers["ratelimit"].startswith(f'"minute";r={left};t=')
    refused = await ask(client, auth=anna)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"].startswith('"minute";r=0;t=')
    assert refused.json()["status"] == 429
    # Writes and what isn't there count, too; others, replication and logging in don't.
    assert (await client.post("/api/v1/customers", json={}, auth=anna)).status_code == 429
    assert (await ask(client, "nothing", auth=anna)).status_code == 429
    assert (await ask(client, auth=bert)).status_code == 200
    for _ in range(10):
        assert (await client.get("/kompass/_changes?limit=1", auth=anna)).status_code == 200
        assert (await ask(client, "session", auth=anna)).status_code == 200
    assert "ratelimit" not in (await ask(client, "session", auth=anna)).headers


@alone
async def test_who_has_not_logged_in_is_counted_by_address(client: httpx.AsyncClient) -> None:
    assert [(await ask(client)).status_code for _ in range(6)] == [401] * 5 + [429]
    assert (await ask(client, "openapi.json")).status_code == 429
    assert (await ask(client, "login")).status_code == 200
    assert (await ask(client, "logins")).status_code == 429
    assert (await ask(client, auth=ADMIN)).status_code != 429


async def test_services_of_the_product_are_not_counted(client: httpx.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {JOBS_SECRET}"}
    answers = [await ask(client, "jobs/service/people?role=GF", headers=headers) for _ in range(12)]
    assert {one.status_code for one in answers} == {200}


def test_a_window_moves_with_the_requests() -> None:
    now = 0.0
    window = Window(2, lambda: now)
    assert window.ask("anna") == Standing(True, 1, 60)
    now = 30.5
    assert window.ask("anna") == Standing(True, 0, 30)
    assert window.ask("anna") == Standing(False, 0, 30)
    assert window.ask("bert") == Standing(True, 1, 60)
    now = 60.0
    assert window.ask("anna") == Standing(True, 0, 31), "what was refused is not counted"
    now = 200.0
    assert window.ask("anna") == Standing(True, 1, 60)
    assert list(window._asked) == ["anna"], "who has not asked for long is forgotten"


# -- Redis -----------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_processes_count_together_in_redis(url: str) -> None:
    one, other = (Limits(5, SecretStr(url)) for _ in range(2))
    allowed = [(await limits.ask("user:anna")).allowed for limits in (one, other) * 5]
    assert allowed == [True] * 5 + [False] * 5
    left = await asyncio.gather(*(one.ask("user:bert") for _ in range(10)))
    assert sum(each.allowed for each in left) == 5


async def test_a_redis_that_is_away_stops_nobody(tmp_path: Path) -> None:
    limits = Limits(5, SecretStr(f"unix://{tmp_path}/nothing.sock"))
    assert [(await limits.ask("user:anna")).allowed for _ in range(6)] == [True] * 5 + [False]
