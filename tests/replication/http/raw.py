"""Requests as no well-behaved client would send them: every byte of path and headers as given."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

JSON = (b"content-type", b"application/json")


@dataclass(slots=True)
class Answer:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, error and reason."""
        value = self.json()
        return self.status, value["error"], value["reason"]


async def ask(
    app: ASGIApp,
    method: str,
    target: str | bytes,
    body: bytes | list[bytes] = b"",
    *headers: tuple[bytes, bytes],
) -> Answer:
    """The whole answer. `target`: path and query. A list as body is sent in pieces, without an end."""
    raw = target if isinstance(target, bytes) else target.encode("utf-8", "surrogatepass")
    path, _, query = raw.partition(b"?")
    answer = Answer()
    messages: list[Message] = (
        [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
        if isinstance(body, list)
        else [{"type": "http.request", "body": body, "more_body": False}]
    )
    cut = isinstance(body, list)

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        if cut:
            return {"type": "http.disconnect"}
        return await asyncio.Future()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message["headers"])
        else:
            answer.pieces.append(message.get("body", b""))

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "scheme": "http",
        "headers": list(headers),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    await app(scope, receive, send)
    return answer
