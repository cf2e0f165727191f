"""A peer whose answers are replaced one by one, for tests of what is believed."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from replication.replicator import LocalPeer, Options, replicate
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import parse_endpoint
from replication.store.sqlite import SqliteStore

REV = "1-" + "a" * 32
OPTIONS = Options(retries=0, batch_size=100, use_checkpoints=False)

Answer = httpx.Response | dict[str, Any] | list[Any]


def digest(data: bytes) -> str:
    return "md5-" + b64encode(md5(data).digest()).decode()


def document(docid: str = "doc", **members: Any) -> dict[str, Any]:
    return {"_id": docid, "_rev": REV, "_revisions": {"start": 1, "ids": ["a" * 32]}, **members}


class Liar:
    """A source with one document, whose answers are replaced one by one."""

    def __init__(self) -> None:
        self.document: Any = document(value=1)
        self.info: Answer = {"db_name": "db", "update_seq": "1-x", "instance_start_time": "0", "doc_count": 1}
        self.feed: Callable[[httpx.Request], Answer] = lambda request: {
            "results": [{"seq": "1-x", "id": "doc", "changes": [{"rev": REV}]}],
            "last_seq": "1-x",
            "pending": 0,
        }
        self.bulk_get: Callable[[list[Any]], Answer] = lambda docs: {
            "results": [{"id": "doc", "docs": [{"ok": self.document}]}]
        }
        self.attachment: Callable[[], httpx.Response] = lambda: httpx.Response(404, json={})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        found: Answer
        if path == "/db":
            found = self.info
        elif path == "/db/_changes":
            found = self.feed(request)
        elif path == "/db/_bulk_get":
            found = self.bulk_get(orjson.loads(request.content)["docs"])
        elif path.startswith("/db/doc/"):
            found = self.attachment()
        else:
            found = httpx.Response(404, json={"error": "not_found", "reason": "missing"})
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    def peer(self) -> HttpPeer:
        return HttpPeer(parse_endpoint("http://liar/db"), transport=httpx.MockTransport(self), retries=0)


@pytest.fixture
def liar() -> Liar:
    return Liar()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "data")
    await store.create("db")
    yield store
    await store.close()


async def pull(liar: Liar, store: SqliteStore, *, lenient: bool = False) -> Any:
    peer = liar.peer()
    peer.lenient = lenient
    return await replicate(peer, LocalPeer(store, "db"), OPTIONS)


async def assert_nothing_stored(store: SqliteStore) -> None:
    assert (await store.get("db").info()).update_seq == 0
