"""Idempotency keys after a restore: what is there is not done twice, what was lost is done again, once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import httpx
import pytest

from kompass.backup import sealing
from kompass.business import BusinessRules
from kompass.server import Product
from kompass.sync.serving import Sync
from tests.api.test_documents import customer
from tests.backup.company import Company
from tests.identity.conftest import ADMIN, put_user
from tests.product import running_product

CHEF = ("chef", "pw")


def _client(product: Product) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(product), base_url="http://server")


async def _sent(client: httpx.AsyncClient, name: str) -> str:
    headers = {"idempotency-key": f'"{name}"'}
    answer = await client.post("/api/v1/customers", json=customer(name), headers=headers, auth=CHEF)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["_id"])


@pytest.mark.slow
async def test_what_a_restore_has_is_not_done_twice_and_what_it_lost_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "COST", 1024)
    company, rules = Company(tmp_path), partial(Sync, business=BusinessRules())
    async with running_product(company.data, ADMIN, sync=rules) as product, _client(product) as client:
        for name, role in (("chef", "GF"), ("anna", "ADM")):
            await put_user(client, name, role)
            await client.get("/kompass", auth=(name, "pw"))
        kept = await _sent(client, "Hof")
        company.backup()
        await _sent(client, "Laden")
    assert company.restore(tmp_path / "new").exit_code == 0
    async with running_product(tmp_path / "new", ADMIN, sync=rules) as product, _client(product) as client:
        assert await _sent(client, "Hof") == kept
        again = await _sent(client, "Laden")
        assert await _sent(client, "Laden") == again
        there = (await client.get("/api/v1/customers", auth=CHEF)).json()["items"]
        assert sorted(one["companyName"] for one in there) == ["Hof", "Laden"]
