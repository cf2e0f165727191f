"""Addresses of things on this server, for `Location`."""

from __future__ import annotations

from urllib.parse import quote

from replication.http.call import Call


def location(call: Call, *segments: str) -> str:
    """The absolute address of a path on the host that the client called; a `/` in a segment becomes `%2F`."""
    scope = call.scope
    host = call.headers.get("host")
    if host is None:
        name, port = scope.get("server") or ("localhost", None)
        host = name if port is None else f"{name}:{port}"
    path = "/".join([quote(segment, safe="") for segment in segments])
    return f"{scope.get('scheme', 'http')}://{host}/{path}"
