"""An office that imports: a server with a few people, and how they ask it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from kompass.business import BusinessRules
from kompass.server import Product
from kompass.sync.serving import Sync
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product

PEOPLE = {"innen1": "INNEN", "gf1": "GF", "adm1": "ADM", "adm2": "ADM", "buch1": "BUCH", "plan1": "PLAN"}
HEAD = "Firma;Straße;PLZ;Ort;E-Mail;Verantwortlich"


class Office:
    def __init__(self, url: str, client: httpx.AsyncClient, product: Product) -> None:
        self.product = product
        self.url = url
        self.client = client

    async def ask(self, method: str, path: str, name: str = "innen1", **more: Any) -> httpx.Response:
        return await self.client.request(method, f"/api/v1{path}", auth=(name, "pw"), **more)

    async def upload(
        self, data: bytes | str, doctype: str = "customer", file: str = "x.csv", name: str = "innen1"
    ) -> httpx.Response:
        content = data.encode() if isinstance(data, str) else data
        query = {"type": doctype, "file": file}
        headers = {"content-type": "application/octet-stream"}
        return await self.ask("POST", "/imports", name, params=query, content=content, headers=headers)

    async def uploaded(self, data: bytes | str, doctype: str = "customer", **more: Any) -> dict[str, Any]:
        answer = await self.upload(data, doctype, **more)
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def executed(self, docid: str, name: str = "innen1", **order: Any) -> dict[str, Any]:
        answer = await self.ask("POST", f"/imports/{docid}/execute", name, json=order)
        assert answer.status_code == 202, answer.text
        return await self.settled(docid, name)

    async def settled(self, docid: str, name: str = "innen1", seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            told: dict[str, Any] = (await self.ask("GET", f"/imports/{docid}", name)).json()
            if not told["state"].endswith("ing"):
                return told
            assert time.monotonic() < deadline, told
            await asyncio.sleep(0.02)

    async def imported(
        self, data: bytes | str, doctype: str = "customer", name: str = "innen1", **order: Any
    ) -> dict[str, Any]:
        one = await self.uploaded(data, doctype, name=name)
        return await self.executed(one["id"], name, **order)

    async def rows(self, docid: str, name: str = "innen1", **query: Any) -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/imports/{docid}/rows", name, params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["rows"]
        return found

    async def list(self, resource: str, name: str = "gf1", **filters: str) -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/{resource}", name, params={"limit": 200, **filters})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    async def one(self, resource: str, **filters: str) -> dict[str, Any]:
        (found,) = await self.list(resource, **filters)
        return found


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Office]:
    async with (
        running_product(
            directory, ADMIN, sync=partial(Sync, business=BusinessRules()), rate_limit=0
        ) as product,
        serving(product) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        for name, role in PEOPLE.items():
            await put_user(client, name, role)
            await client.get("/kompass", auth=(name, "pw"))
        yield Office(url, client, product)


def customers(*rows: str, head: str = HEAD) -> str:
    """A file as a German spreadsheet writes it."""
    return "".join(f"{row}\r\n" for row in (head, *rows))


def customer(name: str, place: str = "Köln", mail: str = "", owner: str = "adm1") -> str:
    return f"{name};Weg {len(name)};50667;{place};{mail};{owner}"
