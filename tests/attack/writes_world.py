"""The served product with people of every role, and hostile clients that write to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import md5
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson

from kompass.server import Product
from tests.product import running_product

ADMIN = ("chef", "streng-geheim")
PEOPLE = {
    "adm1": ["ADM"],
    "adm2": ["ADM"],
    "innen1": ["INNEN"],
    "plan1": ["PLAN"],
    "kalk1": ["KALK"],
    "buch1": ["BUCH"],
    "gf1": ["GF"],
    "admin1": ["ADMIN"],
}


class Attack:
    """A served product, asked over HTTP."""

    def __init__(self, client: httpx.AsyncClient, product: Product, known: set[str] | None = None) -> None:
        """`known`: people who have a login, by default nobody."""
        self.client = client
        self.product = product
        self._known = set() if known is None else known

    async def login(self, name: str, *roles: str) -> None:
        """Makes a login, or gives it other roles. People of `PEOPLE` get theirs when they first ask."""
        self._known.add(name)
        path = f"/_users/org.couchdb.user:{name}"
        user = {"name": name, "type": "user", "roles": list(roles), "password": "pw"}
        there = await self.client.get(path, auth=ADMIN)
        if there.status_code == 200:
            user["_rev"] = there.json()["_rev"]
        (await self.client.put(path, json=user, auth=ADMIN)).raise_for_status()
        assert (await self.ask(name, "GET", "/kompass")).status_code == 200

    async def ask(self, name: str, method: str, path: str, **options: Any) -> httpx.Response:
        if name in PEOPLE and name not in self._known:
            await self.login(name, *PEOPLE[name])
        auth = ADMIN if name == "chef" else (name, "pw")
        return await self.client.request(method, path, auth=auth, **options)

    async def put(self, docid: str, body: Mapping[str, Any]) -> str:
        """As a server administrator, past the gate. Returns the revision."""
        there = await self.ask("chef", "GET", f"/kompass/{docid}")
        given = dict(body)
        if there.status_code == 200:
            given["_rev"] = there.json()["_rev"]
        answer = await self.ask("chef", "PUT", f"/kompass/{docid}", json=given)
        return str(answer.raise_for_status().json()["rev"])

    async def push(self, name: str, *docs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """As PouchDB does; the rows of the answer, which are of documents that were refused."""
        body = orjson.dumps({"docs": docs, "new_edits": False})
        headers = {"content-type": "application/json"}
        answer = await self.ask(name, "POST", "/kompass/_bulk_docs", content=body, headers=headers)
        assert answer.status_code == 201, answer.text
        rows: list[dict[str, Any]] = answer.json()
        return rows

    async def get(self, docid: str, name: str = "chef", **params: str) -> dict[str, Any] | None:
        answer = await self.ask(name, "GET", f"/kompass/{docid}", params=params)
        found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return found


@asynccontextmanager
async def attacked(directory: Path) -> AsyncIterator[Attack]:
    async with running_product(directory / "data", ADMIN) as product:
        transport = httpx.ASGITransport(product)
        async with httpx.AsyncClient(transport=transport, base_url="http://server", timeout=120) as client:
            yield Attack(client, product)


def some(doctype: str) -> str:
    """The id of a new document."""
    return f"{doctype.replace('_', '-')}-{uuid4()}"


def text(doctype: str, author: str, **more: Any) -> dict[str, Any]:
    return {"type": doctype, "createdBy": author, "modifiedBy": author, "version": 1, **more}


def revised(docid: str, body: Mapping[str, Any], *above: str, start: int | None = None) -> dict[str, Any]:
    """A document as PouchDB pushes it. `above`: hashes of what it follows, the nearest first."""
    name = md5(orjson.dumps([docid, dict(body), above]) + str(uuid4()).encode()).hexdigest()
    generation = len(above) + 1 if start is None else start
    return {
        **body,
        "_id": docid,
        "_rev": f"{generation}-{name}",
        "_revisions": {"start": generation, "ids": [name, *above]},
    }


def following(docid: str, body: Mapping[str, Any], rev: str, *more: str) -> dict[str, Any]:
    """A revision that follows a stored one, of which the device tells `more` ancestors."""
    generation, _, name = rev.partition("-")
    return revised(docid, body, name, *more, start=int(generation) + 1)
