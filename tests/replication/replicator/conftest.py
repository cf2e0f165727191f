"""Databases of every kind at either end of a replication."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import pytest

from replication.http import create_app
from replication.replicator import LocalPeer, Options, connect, jobs
from replication.replicator.peer import Peer
from replication.store.sqlite import SqliteStore
from tests.needs import COUCHDB_URL
from tests.replication.replicator.host import Host
from tests.servers import ServerProcess, running_server


@dataclass
class Side:
    """One database: written and read over HTTP, whatever kind of peer the replicator sees."""

    client: httpx.AsyncClient
    name: str
    make_peer: Callable[[Options], Peer]
    peers: list[Peer] = field(default_factory=list)

    def peer(self, options: Options | None = None) -> Peer:
        peer = self.make_peer(options or Options())
        self.peers.append(peer)
        return peer

    def path(self, docid: str = "") -> str:
        if not docid:
            return f"/{self.name}"
        for prefix in ("_design/", "_local/"):
            if docid.startswith(prefix):
                return f"/{self.name}/{prefix}{quote(docid[len(prefix) :], safe='')}"
        if docid in (".", ".."):
            return f"/{self.name}/{docid.replace('.', '%2E')}"
        return f"/{self.name}/{quote(docid, safe='')}"

    async def create(self) -> None:
        response = await self.client.put(self.path())
        for _ in range(50):
            if response.status_code != 412:
                break
            await asyncio.sleep(0.1)  # one of several nodes that hasn't heard yet that it was deleted
            response = await self.client.put(self.path())
        assert response.status_code in (201, 202), response.text

    async def put(self, docid: str, **members: Any) -> str:
        response = await self.client.put(self.path(docid), json=members)
        assert response.status_code in (200, 201), response.text
        return str(response.json()["rev"])

    async def store(self, *docs: dict[str, Any]) -> None:
        """Revisions with their histories, as a replicator would."""
        response = await self.client.post(
            self.path() + "/_bulk_docs", json={"new_edits": False, "docs": list(docs)}
        )
        assert response.json() == [], response.text

    async def get(self, docid: str, **params: str) -> Any:
        response = await self.client.get(
            self.path(docid), params=params, headers={"accept": "application/json"}
        )
        return response.json() if response.status_code == 200 else None

    async def attach(self, docid: str, name: str, data: bytes, content_type: str, rev: str = "") -> str:
        response = await self.client.put(
            f"{self.path(docid)}/{quote(name, safe='')}",
            params={"rev": rev} if rev else {},
            content=data,
            headers={"content-type": content_type},
        )
        assert response.status_code == 201, response.text
        return str(response.json()["rev"])

    async def attachment(self, docid: str, name: str) -> bytes:
        response = await self.client.get(f"{self.path(docid)}/{quote(name, safe='')}")
        assert response.status_code == 200, response.text
        return response.content

    async def state(self) -> dict[str, Any]:
        """All documents with all of their leaves: revision, history, body, attachments; the winner first."""
        response = await self.client.get(
            self.path() + "/_changes", params={"style": "all_docs", "limit": "100000"}
        )
        state = {}
        for row in response.json()["results"]:
            docid = row["id"]
            leaves = await self.get(docid, open_revs="all", revs="true", attachments="true")
            found = {leaf["ok"]["_rev"]: _comparable(leaf["ok"]) for leaf in leaves}
            state[docid] = {"winner": row["changes"][0]["rev"], "leaves": found}
        return state


def _comparable(doc: dict[str, Any]) -> dict[str, Any]:
    for attachment in doc.get("_attachments", {}).values():
        # Peers differ in what they compress, and the digest is that of the compressed bytes.
        attachment.pop("digest")
        attachment.pop("revpos", None)
    return doc


class Open(Protocol):
    async def __call__(self, kind: str, *, create: bool = True) -> Side: ...


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of ours that all tests use, each with its own databases."""
    with running_server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
async def local_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "local")
    yield store
    await store.close()


@pytest.fixture
async def side(server: ServerProcess, local_store: SqliteStore) -> AsyncIterator[Open]:
    """`await side("local" | "server" | "couchdb")`: an empty database there."""
    sides: list[Side] = []

    async def open_side(kind: str, *, create: bool = True) -> Side:
        name = f"rpl-{secrets.token_hex(6)}"
        if kind == "local":
            transport = httpx.ASGITransport(create_app(local_store))
            client = httpx.AsyncClient(transport=transport, base_url="http://local")
            made = Side(client, name, lambda options: LocalPeer(local_store, name))
        else:
            root = server.url if kind == "server" else COUCHDB_URL
            client = httpx.AsyncClient(base_url=root, timeout=30)
            made = Side(client, name, lambda options: connect(f"{root}/{name}", options))
        sides.append(made)
        if create:
            await made.create()
        return made

    yield open_side
    for made in sides:
        for peer in made.peers:
            await peer.close()
        if made.client.base_url.host != "local":
            await made.client.delete(made.path())
        await made.client.aclose()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(jobs, "_LONGEST_PAUSE", 0.2)


@pytest.fixture
async def host(tmp_path: Path, quick_retries: None) -> AsyncIterator[Host]:
    store = await SqliteStore.open(tmp_path / "host")
    host = Host(store)
    await host.start()
    yield host
    await host.stop()
    await store.close()
