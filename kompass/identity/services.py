"""The services of the product: who they are, how they log in, and what they may ask.

None has an account. A service comes in by a secret that the settings name, or that the server makes and hands
to the process it starts. What it may ask is a table that is gone through before anything else; what isn't in
it is refused.

- `_feed` follows the change feed: it reads everything of the operational database and writes nothing.
- `_jobs` does jobs: it reads documents, asks what a person may read, and writes, through the endpoint made
  for it, the documents that `kompass.access.services` lets it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from replication.http.call import Call
from replication.http.principal import Principal

FEED_ROLE = "_feed"
"""May read the operational database as a whole. No user document can have a role that begins so."""

FEED = Principal("_feed", (FEED_ROLE,))
"""No login can have a name that begins so."""

JOBS_ROLE = "_jobs"
JOBS = Principal("_jobs", (JOBS_ROLE,))

MIN_SECRET = 32

_READING = ("GET", "HEAD")
_ASKING = ("GET", "HEAD", "POST")
_OF_DATABASE: Mapping[Principal, Mapping[str, Sequence[str]]] = {
    FEED: {"_changes": _ASKING, "_bulk_get": ("POST",)},
    JOBS: {},
}
_API: Mapping[Principal, tuple[str, ...]] = {
    FEED: ("/api/v1/feed/access", "/api/v1/feed/people", "/api/v1/privacy/consumers"),
    JOBS: ("/api/v1/jobs/service/",),
}


def is_feed(principal: Principal) -> bool:
    """Nobody else can be it: names and roles that begin so come from no account and no token."""
    return principal == FEED


def is_jobs(principal: Principal) -> bool:
    """As above."""
    return principal == JOBS


def is_service(principal: Principal) -> bool:
    return principal in _API


def knows_secret(token: str, secret: str) -> bool:
    """Whether this is the secret; no secret is nobody's."""
    return bool(secret) and secrets.compare_digest(token.encode(), secret.encode())


def may_ask(service: Principal, call: Call, database: str) -> bool:
    """Whether the service may make such a request at all."""
    segments = call.segments
    if segments[:2] == ["api", "v1"]:
        path = str(call.scope["path"])
        return path.startswith(_API[service])
    return _may_read(service, call.method, segments, database)


def _may_read(service: Principal, method: str, segments: Sequence[str], database: str) -> bool:
    if not segments or segments == ["_up"]:
        return method in _READING
    if segments[0] != database:
        return False
    if len(segments) == 1:
        return method in _READING
    if segments[1][:1] == "_":
        return len(segments) == 2 and method in _OF_DATABASE[service].get(segments[1], ())
    # A document, or an attachment of one.
    return method in _READING and (service == FEED or len(segments) == 2)
