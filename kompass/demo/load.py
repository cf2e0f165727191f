"""Puts the demo into a store, once, and keeps demo and real data apart.

Everything goes through the document server's HTTP side, in process: passwords are hashed and documents
checked as if a client had sent them. A local document remembers that a database is a demo, and whether
loading has finished: what was interrupted is loaded again from the start.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import httpx
import orjson
import structlog

from kompass.demo.generate import generate
from kompass.demo.people import PASSWORD, PEOPLE
from kompass.settings_values import DemoSize
from replication.http import Application
from replication.store.interface import Store

ADMINS = {"admin": PASSWORD}
"""The server administrators of a demo."""

BATCH = 1000
"""Documents sent at once."""

MARKER = "kompass-demo"
"""The local document that makes a database a demo."""

log = structlog.get_logger(__name__)


class RealDataError(Exception):
    """Demo and real data would be mixed; the text says what to do."""


async def check_kind(store: Store, name: str, *, demo_wanted: bool) -> None:
    """Raises `RealDataError` if the database exists and is not of the wanted kind."""
    if name not in await store.names():
        return
    database = store.get(name)
    is_demo = await database.local(MARKER) is not None
    if demo_wanted and not is_demo and database.update_seq > 0:
        raise RealDataError(
            "This directory holds data that is no demo data; demo users must not get at it. "
            "Leave out --demo, or choose another directory with --data."
        )
    if not demo_wanted and is_demo:
        raise RealDataError(
            "This directory holds demo data, whose passwords are public. "
            "Add --demo, or choose another directory with --data."
        )


async def load(app: Application, name: str, security: bytes, size: DemoSize) -> DemoSize:
    """Makes users and database unless they are there. Returns the size of what is there now."""
    store = app.server.store
    if name in await store.names():
        marker = await store.get(name).local(MARKER)
        kept = orjson.loads(marker.text) if marker is not None else {}
        if kept.get("complete"):
            return DemoSize(kept["size"])
        await store.delete(name)
    log.info("loading demo data", size=size.value)
    database = await store.create(name, security=security)
    await database.put_local(MARKER, 0, orjson.dumps({"size": size, "complete": False}))

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://demo", auth=("admin", PASSWORD)
    ) as client:
        await _write_users(client)
        documents = generate(size)
        while batch := list(islice(documents, BATCH)):
            await _write_documents(client, name, batch)
    await database.put_local(MARKER, 1, orjson.dumps({"size": size, "complete": True}))
    return size


async def _write_users(client: httpx.AsyncClient) -> None:
    for person in PEOPLE:
        if person.login in ADMINS:
            continue
        user = {"name": person.login, "type": "user", "roles": [person.role], "password": PASSWORD}
        answer = await client.put(f"/_users/org.couchdb.user:{person.login}", json=user)
        if answer.status_code != httpx.codes.CONFLICT:  # there from an interrupted attempt
            answer.raise_for_status()


async def _write_documents(client: httpx.AsyncClient, name: str, documents: list[dict[str, Any]]) -> None:
    answer = await client.post(
        f"/{name}/_bulk_docs",
        content=orjson.dumps({"docs": documents}),
        headers={"content-type": "application/json"},
    )
    answer.raise_for_status()
    refused = [row for row in answer.json() if "error" in row]
    if refused:
        raise RuntimeError(f"{len(refused)} demo documents were refused, the first: {refused[0]}")
