"""Being written."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors


async def find(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def explain(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def list_indexes(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def create_index(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def delete_index(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def bulk_delete_indexes(call: Call) -> Response:
    raise errors.not_implemented("not there yet")
