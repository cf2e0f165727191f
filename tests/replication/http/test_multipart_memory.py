"""Attachments pass through the server: its memory does not grow with their size.

KOMPASS_TEST_ATTACHMENT_MB sets how large they are (150 by itself).
"""

from __future__ import annotations

import json
import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5

import httpx
import psutil
import pytest

from replication.protocol.multipart import Parser, PartData, PartStarted, boundary_of
from tests.servers import ServerProcess, running_server

pytestmark = pytest.mark.slow

MB = 1024 * 1024
SIZE = int(os.environ.get("KOMPASS_TEST_ATTACHMENT_MB", "150")) * MB
ROOM = 64 * MB
"""What the server may take more than before, whatever the size: caches, pieces under way."""

BLOCK = os.urandom(MB)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("memory") / "data") as server:
        with httpx.Client(base_url=server.url) as client:
            client.put("/db").raise_for_status()
            # What is loaded with the first use is no growth.
            client.put("/db/first", content=document("image/png", MB), headers=RELATED).raise_for_status()
            client.get("/db/first?attachments=true").raise_for_status()
        yield server


RELATED = {"Content-Type": 'multipart/related; boundary="b"'}


def document(content_type: str, size: int) -> Iterator[bytes]:
    """A document with one attachment, as the body of a request."""
    entry = {"follows": True, "content_type": content_type, "length": size}
    text = json.dumps({"_attachments": {"f": entry}})
    yield f"--b\r\nContent-Type: application/json\r\n\r\n{text}\r\n--b\r\n\r\n".encode()
    for _ in range(size // MB):
        yield BLOCK
    yield b"\r\n--b--"


@contextmanager
def flat_memory(server: ServerProcess) -> Iterator[None]:
    """Fails if the server's process takes more than `ROOM` beyond what it has now."""
    (process,) = [child for child in psutil.Process().children() if str(server.port) in child.cmdline()]
    before = most = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert most - before < ROOM, f"grew from {before // MB} to {most // MB} MB"


@pytest.mark.parametrize("content_type", ["image/png", "text/plain"])
def test_an_attachment_comes_and_goes_as_multipart(server: ServerProcess, content_type: str) -> None:
    path = f"/db/{content_type.replace('/', '-')}"
    with httpx.Client(base_url=server.url, timeout=600) as client:
        with flat_memory(server):
            response = client.put(path, content=document(content_type, SIZE), headers=RELATED)
        assert response.status_code == 201
        digest = client.get(path).json()["_attachments"]["f"]["digest"]
        received = md5()
        with flat_memory(server), client.stream("GET", f"{path}?attachments=true") as answer:
            parser = Parser(boundary_of(answer.headers["content-type"]))
            parts = 0
            for piece in answer.iter_raw():
                for event in parser.feed(piece):
                    if isinstance(event, PartStarted):
                        parts += 1
                    elif isinstance(event, PartData) and parts == 2:
                        received.update(event.data)
            parser.close()
    assert digest == "md5-" + b64encode(received.digest()).decode()


@pytest.mark.parametrize("query", ["attachments=true", "open_revs=all&attachments=true"])
def test_an_attachment_goes_as_base64(server: ServerProcess, query: str) -> None:
    size = SIZE // 3 // MB * MB
    with httpx.Client(base_url=server.url, timeout=600) as client:
        client.put(f"/db/base64-{len(query)}", content=document("image/png", size), headers=RELATED)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        received = 0
        with (
            flat_memory(server),
            client.stream("GET", f"/db/base64-{len(query)}?{query}", headers=headers) as answer,
        ):
            for piece in answer.iter_raw():
                received += len(piece)
    assert received > size * 4 // 3


def test_a_refused_attachment_takes_no_memory_either(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, timeout=600) as client, flat_memory(server):
        pieces = [*document("image/png", MB)][:-1]

        def endless() -> Iterator[bytes]:
            yield from pieces
            for _ in range(SIZE // MB):
                yield BLOCK

        try:
            response = client.put("/db/refused", content=endless(), headers=RELATED)
        except httpx.TransportError:
            pass  # the server has had enough and closed the connection
        else:
            assert response.status_code == 400
        assert client.get("/db/refused").status_code == 404
