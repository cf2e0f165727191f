"""A database as a whole: facts, birth and death."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors


async def info(call: Call) -> Response:
    raise errors.not_implemented("info")


async def create(call: Call) -> Response:
    raise errors.not_implemented("create")


async def delete(call: Call) -> Response:
    raise errors.not_implemented("delete")


async def ensure_full_commit(call: Call) -> Response:
    raise errors.not_implemented("ensure_full_commit")
