"""Being written."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors


async def bulk_docs(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def bulk_get(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def revs_diff(call: Call) -> Response:
    raise errors.not_implemented("not there yet")


async def missing_revs(call: Call) -> Response:
    raise errors.not_implemented("not there yet")
