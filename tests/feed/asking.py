"""A server that the service asks which follows the feed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from kompass.server import Product
from tests.feed.world import DB, SECRET, Company, company, customer


def contact(number: int) -> str:
    return f"contact-0000000{number}-1111-4111-8111-111111111111"


class Feed(Company):
    """The server, asked by the service as well."""

    def __init__(self, product: Product, admin: httpx.AsyncClient, service: httpx.AsyncClient) -> None:
        super().__init__(product, admin)
        self.service = service

    async def contact(self, number: int, of: int) -> str:
        return await self.put(contact(number), type="contact", customerId=customer(of), lastName="Öztürk")

    async def seq(self) -> str:
        return str((await self.service.get(DB)).json()["update_seq"])

    async def access(self, since: str, until: str = "now", **more: Any) -> Any:
        body = {"since": since, "until": until, **more}
        answer = await self.service.post("/api/v1/feed/access", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture
async def feed(tmp_path: Path) -> AsyncIterator[Feed]:
    async with company(tmp_path) as one:
        transport = httpx.ASGITransport(one.product)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as service:
            service.headers["authorization"] = f"Bearer {SECRET}"
            yield Feed(one.product, one.admin, service)
