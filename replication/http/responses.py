"""Responses as CouchDB sends them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from typing import Any

from starlette.responses import Response

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

CACHE_CONTROL = "must-revalidate"


def json_response(value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON value with the newline that CouchDB puts behind it."""
    return text_response(jsontext.encode(value), status, headers=headers)


def text_response(text: bytes, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is text already."""
    response = Response(text + b"\n", status, media_type="application/json")
    response.headers["cache-control"] = CACHE_CONTROL
    if headers:
        for name, value in headers.items():
            response.headers[name] = value
    return response


def error_response(error: ProtocolError) -> Response:
    return json_response(error.body(), error.status, headers=error.headers)


def etag_of(data: bytes) -> str:
    """A quoted `ETag` for an answer that has no revision of its own."""
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'


def etag_matches(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names `etag` (quoted). Weak tags compare as strong ones."""
    if not header:
        return False
    if header.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == etag for candidate in header.split(","))


def not_modified(etag: str) -> Response:
    return Response(status_code=304, headers={"etag": etag, "cache-control": CACHE_CONTROL})
