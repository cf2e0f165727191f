"""How much one person, or one address that nobody has logged in from, may ask of the API in a minute.

Counted is below `/api/v1` only: replication isn't. The product's own services are not counted, and neither is
what a device needs to begin, whatever else its user does: logging in, and what it must erase.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from kompass.api.authentication import CALL
from kompass.api.counting import SECONDS, Limits
from kompass.api.language import german
from kompass.api.problems import Problem
from kompass.identity.services import is_service
from replication.http import session
from replication.http.call import Call

_FREE = ("/api/v1/login", "/api/v1/session", "/api/v1/privacy/tickets")


class RateLimit:
    """ASGI middleware behind `Authentication`."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call: Call = scope[CALL]
        who = _who(call)
        if who is None:
            await self._app(scope, receive, send)
            return
        standing = await self._limits.ask(who)
        call.response_headers["RateLimit-Policy"] = f'"minute";q={self._limits.most};w={SECONDS}'
        call.response_headers["RateLimit"] = f'"minute";r={standing.left};t={standing.seconds}'
        if standing.allowed:
            await self._app(scope, receive, send)
            return
        text = f"These are more than {self._limits.most} requests in a minute: ask again later."
        problem = Problem(429, text, headers={"retry-after": str(standing.seconds)})
        await problem.response(german=german(Request(scope)))(scope, receive, send)


def _who(call: Call) -> str | None:
    """Whose requests are counted; None for what isn't."""
    path = str(call.scope["path"])
    if any(path == free or path.startswith(f"{free}/") for free in _FREE):
        return None
    if call.principal.name is not None:
        return None if is_service(call.principal) else f"user:{call.principal.name}"
    address = session.address(call)
    try:
        found = ip_address(address)
    except ValueError:
        return f"address:{address}"
    if isinstance(found, IPv6Address):
        # One household has all addresses that begin so.
        return f"address:{IPv6Address(int(found) >> 64 << 64)}"
    return f"address:{found}"
