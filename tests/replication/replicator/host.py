"""A server that replicates."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from replication.http import create_app
from replication.http.server import ServerConfig
from replication.store.sqlite import SqliteStore

ADMIN = ("admin", "geheim")


class Host:
    """A server in this process, with its jobs running, and a client that is its administrator."""

    def __init__(self, store: SqliteStore, **settings: Any) -> None:
        self.store = store
        config = ServerConfig(admins=dict([ADMIN]), password_iterations=10, access_log=False, **settings)
        self.app = create_app(store, config)
        self.client = self.client_of(*ADMIN)

    def client_of(self, name: str, password: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://host", auth=(name, password))

    async def start(self) -> None:
        await self.app.server.prepare()

    async def stop(self) -> None:
        await self.app.server.replications.close()
        await self.app.server.jobs.close()
        self.app.server.accounts.close()

    async def fill(self, name: str, count: int) -> None:
        assert (await self.client.put(f"/{name}")).status_code == 201
        docs = [{"_id": f"doc{number}", "n": number} for number in range(count)]
        assert (await self.client.post(f"/{name}/_bulk_docs", json={"docs": docs})).status_code == 201

    async def count(self, name: str) -> int:
        response = await self.client.get(f"/{name}")
        return int(response.json().get("doc_count", -1))

    async def reaches(self, name: str, count: int) -> None:
        """Returns when the database has `count` documents."""
        for _ in range(400):
            found = await self.count(name)
            if found >= count:
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"{name} has {found} documents and should have {count}")

    async def scheduled(self, docid: str, *states: str) -> dict[str, Any]:
        """The document's row once it is in one of these states."""
        row: dict[str, Any] = {}
        try:
            async with asyncio.timeout(20):
                while row.get("state") not in states:
                    await asyncio.sleep(0.05)
                    row = (await self.client.get(f"/_scheduler/docs/_replicator/{docid}")).json()
        except TimeoutError:
            pytest.fail(f"{docid} did not become {states}: {row}")
        return row

    async def told(self, docid: str) -> dict[str, Any]:
        """The document once the server has written into it what became of it, behind the scheduler's row."""
        async with asyncio.timeout(20):
            while True:
                doc: dict[str, Any] = (await self.client.get(f"/_replicator/{docid}")).json()
                if "_replication_state" in doc:
                    return doc
                await asyncio.sleep(0.05)
