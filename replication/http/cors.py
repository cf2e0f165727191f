"""Cross-origin requests: which web pages may call the server from a browser.

Off unless `ServerConfig.cors_origins` names somebody. An allowed origin is echoed, never answered
with `*`, so that credentials may go along; `Vary: Origin` keeps caches from mixing the answers up. A
preflight that asks for more than there is gets no permission and goes on like any other request.
"""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors

METHODS = ("COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")

REQUEST_HEADERS = frozenset({
    "accept",
    "accept-language",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "destination",
    "expires",
    "if-match",
    "if-none-match",
    "last-event-id",
    "last-modified",
    "origin",
    "pragma",
    "range",
    "x-couch-full-commit",
    "x-couch-id",
    "x-couch-persist",
    "x-couchdb-www-authenticate",
    "x-http-method-override",
    "x-requested-with",
})  # fmt: skip
"""What a page may send: CouchDB's list, and what conditional requests, ranges and event sources need."""

EXPOSED = (
    "accept-ranges, cache-control, content-length, content-range, content-type, etag, location, server,"
    " x-couch-request-id, x-couch-update-newrev, x-couchdb-body-time"
)
"""What a page may read, besides what browsers show anyway."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})

MAX_AGE = 600
"""Seconds that a browser may remember a preflight's answer."""


def _header(call: Call, name: bytes) -> str | None:
    for key, value in call.scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def _allowed(call: Call, origin: str) -> bool:
    origins = call.server.config.cors_origins
    return origin.lower() in origins or origin in origins or "*" in origins


def apply(call: Call) -> None:
    """Adds what a response to a page of another origin needs; nothing when there is no such page."""
    config = call.server.config
    if not config.cors_origins:
        return
    headers = call.response_headers
    headers["Vary"] = "Origin"
    origin = _header(call, b"origin")
    if origin is None or not _allowed(call, origin):
        return
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Expose-Headers"] = EXPOSED
    # Sandboxed pages and local files all call themselves `null`: they get no one's credentials.
    if config.cors_credentials and origin != "null":
        headers["Access-Control-Allow-Credentials"] = "true"


def check_origin(call: Call) -> None:
    """Raises 403 for a request that changes something and that a page of another origin made.

    Only where the server was told to look (`same_origin`). Programs send no `Origin`, and a token never
    goes along by itself. Browsers that leave it out say where they come from in other headers.
    """
    if call.method in _READING or not call.server.config.same_origin:
        return
    origin = _header(call, b"origin") or _origin_of_page(call)
    if origin is None or is_own_origin(call, origin) or _allowed(call, origin):
        return
    if (_header(call, b"authorization") or "")[:7].lower() == "bearer " and _header(call, b"cookie") is None:
        return
    raise errors.forbidden(f"Pages of {origin[:200]} may not change anything here.")


def _origin_of_page(call: Call) -> str | None:
    """Which page made a request that has no `Origin`; None for a program, or a page that hides it."""
    referrer = _header(call, b"referer")
    if referrer is not None:
        scheme, separator, rest = referrer.partition("://")
        return f"{scheme}{separator}{rest.partition('/')[0].partition('?')[0].rpartition('@')[2]}"
    return "another site" if _header(call, b"sec-fetch-site") == "cross-site" else None


def is_own_origin(call: Call, origin: str) -> bool:
    """Whether a page with this origin came from this server, as the client called it."""
    scheme, separator, host = origin.partition("://")
    own = _header(call, b"host")
    if not separator or own is None:
        return False
    # A proxy that ends TLS and isn't trusted leaves our scheme as http: https there is no other origin.
    ours = call.scope.get("scheme", "http")
    schemes = (ours, "https") if ours == "http" else (ours,)
    return scheme.lower() in schemes and _host(host, scheme) == _host(own, scheme)


def _host(text: str, scheme: str) -> str:
    """A host with its port, unless that is the scheme's own."""
    return text.lower().removesuffix(":443" if scheme.lower() == "https" else ":80")


def is_preflight(call: Call) -> bool:
    """Whether a browser asks for permission, and for nothing that isn't to be had."""
    if call.method != "OPTIONS" or not call.server.config.cors_origins:
        return False
    origin = _header(call, b"origin")
    method = _header(call, b"access-control-request-method")
    if origin is None or method not in METHODS or not _allowed(call, origin):
        return False
    own = call.server.config.cors_headers
    return all(name in REQUEST_HEADERS or name in own for name in _asked_headers(call))


def _asked_headers(call: Call) -> list[str]:
    asked = _header(call, b"access-control-request-headers") or ""
    return [name for part in asked.split(",") if (name := part.strip().lower())]


def preflight(call: Call) -> Response:
    """The permission a preflight asked for; the origin's part was added by `apply`."""
    headers = {
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Max-Age": str(MAX_AGE),
    }
    asked = _asked_headers(call)
    if asked:
        headers["Access-Control-Allow-Headers"] = ", ".join(asked)
    return Response(status_code=204, headers=headers)
