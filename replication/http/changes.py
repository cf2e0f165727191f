"""Being written."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors


async def changes(call: Call) -> Response:
    raise errors.not_implemented("not there yet")
