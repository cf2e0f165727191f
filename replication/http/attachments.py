"""Attachments by their own address: streamed both ways."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors


async def get(call: Call) -> Response:
    raise errors.not_implemented("get")


async def put(call: Call) -> Response:
    raise errors.not_implemented("put")


async def delete(call: Call) -> Response:
    raise errors.not_implemented("delete")
