"""`/api/v1/login`: how one can log in here. For everybody: a page asks it before anybody has."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kompass.api.services import services_of


async def ways(request: Request) -> Response:
    """`keycloak` has what a page needs for the code flow with PKCE; null where Keycloak isn't set."""
    provider = services_of(request).identity.provider
    keycloak = None
    if provider is not None:
        keycloak = {
            "issuer": provider.issuer,
            "client_id": provider.client_id,
            "authorization_endpoint": provider.authorization_endpoint,
            "token_endpoint": provider.token_endpoint,
            "end_session_endpoint": provider.end_session_endpoint,
        }
    return JSONResponse({"password": True, "keycloak": keycloak})


ROUTES = [Route("/login", ways, methods=["GET"])]
