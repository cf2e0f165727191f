"""Smaller responses for clients that take gzip."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call


def compressed(call: Call, response: Response) -> Response:
    return response
