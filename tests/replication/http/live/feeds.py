"""Feeds that wait, over a real server, as their clients read them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
import uvicorn

from replication.http import ServerConfig, create_app
from replication.store.interface import Store

Running = Callable[..., Awaitable[httpx.AsyncClient]]

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""


class QuietServer(uvicorn.Server):
    """Leaves the signals to the test run."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def serving(store: Store, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = create_app(store, ServerConfig(access_log=False, **settings))
        await app.server.prepare()
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, lifespan="off")
        server = QuietServer(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            limits = httpx.Limits(max_connections=None)
            url = f"http://127.0.0.1:{port}"
            plain = {"accept-encoding": "identity"}
            async with httpx.AsyncClient(
                base_url=url, headers=plain, limits=limits, timeout=PATIENCE
            ) as client:
                yield client
        finally:
            server.should_exit = True
            await task


class Stream:
    """A feed as its client reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._pieces = response.aiter_raw()
        self.text = ""

    async def until(self, *marks: str) -> str:
        """Reads on until each mark has come."""
        async with asyncio.timeout(PATIENCE):
            while not all(mark in self.text for mark in marks):
                self.text += (await anext(self._pieces)).decode()
        return self.text

    async def end(self) -> str:
        """Reads to the end of the feed."""
        async with asyncio.timeout(PATIENCE):
            async for piece in self._pieces:
                self.text += piece.decode()
        return self.text


@asynccontextmanager
async def feed(client: httpx.AsyncClient, query: str, **options: Any) -> AsyncIterator[Stream]:
    method = "POST" if "json" in options else "GET"
    async with client.stream(method, f"/db/_changes?{query}", **options) as response:
        assert response.status_code == 200
        yield Stream(response)


async def put(client: httpx.AsyncClient, docid: str, **members: Any) -> None:
    response = await client.put(f"/db/{docid}", json=members)
    assert response.status_code == 201


def longpoll_rows(text: str) -> list[str]:
    answer = json.loads(text)
    assert list(answer) == ["results", "last_seq", "pending"]
    return [row["id"] for row in answer["results"]]


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line]


async def settle(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def fill(client: httpx.AsyncClient, megabytes: int = 14) -> int:
    """Documents that don't fit any buffer on the way. Returns how many."""
    text = "x" * 24_000
    for batch in range(megabytes):
        docs = [{"_id": f"d{batch * 40 + n:06}", "text": text} for n in range(40)]
        assert (await client.post("/db/_bulk_docs", json={"docs": docs})).status_code == 201
    return megabytes * 40
