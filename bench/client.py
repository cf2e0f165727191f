"""An HTTP client that costs as little as possible, so that the server is what is measured."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from typing import Any
from urllib.parse import quote, urlsplit

DELETING = 20
"""Attempts, half a second apart, to make a database that was just deleted."""
ANSWER_SECONDS = 120
"""How long a server may be silent in the middle of a call."""


class Refused(RuntimeError):
    """A status from 400."""

    def __init__(self, status: int, what: str, data: bytes) -> None:
        super().__init__(f"{what}: {status} {data[:200]!r}")
        self.status = status


class Target:
    """A server by its URL; user and password may be part of it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 80
        self._head = f"Host: {self.host}:{self.port}\r\nAccept: application/json\r\n"
        if parts.username:
            pair = f"{parts.username}:{parts.password or ''}".encode()
            self._head += f"Authorization: Basic {base64.b64encode(pair).decode()}\r\n"

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The bytes of a request."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + (body or b"")


class Client:
    """One connection, one request at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = socket.create_connection((target.host, target.port), ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", buffering=1 << 18)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of the answer. Raises `Refused` for a status from 400, `OSError` if the server is gone."""
        self._socket.sendall(self._target.request(method, path, body))
        first = self._file.readline()
        if not first:
            raise ConnectionError(f"{method} {path}: the server hung up without an answer")
        status = int(first.split()[1])
        length, chunked = 0, False
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            name = name.lower()
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = True
        data = self._chunks() if chunked else self._file.read(length)
        if status >= 400:
            raise Refused(status, f"{method} {path}", data)
        return data

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self._file.readline().partition(b";")[0], 16):
            pieces.append(self._file.read(size))
            self._file.readline()
        self._file.readline()
        return b"".join(pieces)

    def json(self, method: str, path: str, value: Any = None) -> Any:
        body = None if value is None else json.dumps(value).encode()
        return json.loads(self.call(method, path, body))

    def fresh_database(self, name: str) -> str:
        """Deletes and makes a database; its path."""
        path = "/" + quote(name, safe="")
        try:
            self.call("DELETE", path)
        except RuntimeError as error:
            if " 404 " not in str(error):
                raise
        for attempt in range(DELETING):
            try:
                self.call("PUT", path)
                break
            except Refused as refusal:
                # A CouchDB may still be busy with deleting it.
                if refusal.status != 412 or attempt == DELETING - 1:
                    raise
                time.sleep(0.5)
        return path


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """One whole answer from a stream: its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        pieces = []
        while True:
            size = int((await reader.readline()).strip(), 16)
            pieces.append((await reader.readexactly(size + 2))[:-2])
            if size == 0:
                break
        data = b"".join(pieces)
    else:
        start = lowered.index(b"content-length:") + 15
        data = await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
    if status >= 400:
        raise Refused(status, "a request", data)
    return data
