"""Attachments as tests write them."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5

import httpx

DATA = bytes(range(256)) * 2000
"""Half a megabyte: more than is sent in one piece, and more than a stored chunk."""


def etag_of(data: bytes) -> str:
    return f'"{b64encode(md5(data).digest()).decode()}"'


async def upload(
    client: httpx.AsyncClient, path: str, data: bytes = b"hello", **headers: str
) -> httpx.Response:
    return await client.put(path, content=data, headers={k.replace("_", "-"): v for k, v in headers.items()})
