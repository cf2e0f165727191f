"""The service that follows the change feed: who it is, how it logs in, and what it may ask.

It reads everything of the operational database and writes nothing. It has no account: it comes in by a
secret that the settings name, or that the server makes and hands to the process it starts. What it may ask is
a table that is gone through before anything else; what isn't in it is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from replication.http.call import Call
from replication.http.principal import Principal

FEED_ROLE = "_feed"
"""May read the operational database as a whole. No user document can have a role that begins so."""

FEED = Principal("_feed", (FEED_ROLE,))
"""No login can have a name that begins so."""

MIN_SECRET = 32

_READING = ("GET", "HEAD")
_ASKING = ("GET", "HEAD", "POST")
_OF_DATABASE = {"_changes": _ASKING, "_bulk_get": ("POST",)}
_API = (
    "/api/v1/feed/access",
    "/api/v1/feed/people",
    "/api/v1/privacy/consumers",
)


def is_feed(principal: Principal) -> bool:
    """Nobody else can be it: names and roles that begin so come from no account and no token."""
    return principal == FEED


def knows_secret(token: str, secret: str) -> bool:
    """Whether this is the secret; no secret is nobody's."""
    return bool(secret) and secrets.compare_digest(token.encode(), secret.encode())


def may_ask(call: Call, database: str) -> bool:
    """Whether the service may make such a request at all."""
    segments = call.segments
    if segments[:2] == ["api", "v1"]:
        path = str(call.scope["path"])
        return path.startswith(_API)
    return _may_read(call.method, segments, database)


def _may_read(method: str, segments: Sequence[str], database: str) -> bool:
    if not segments or segments == ["_up"]:
        return method in _READING
    if segments[0] != database:
        return False
    if len(segments) == 1:
        return method in _READING
    if segments[1][:1] == "_":
        return len(segments) == 2 and method in _OF_DATABASE.get(segments[1], ())
    return method in _READING  # a document, or an attachment of one
