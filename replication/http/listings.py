"""Being written."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors


async def all_docs(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def design_docs(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def local_docs(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def queries(call: Call) -> Response:
    raise errors.not_implemented("not there yet")
