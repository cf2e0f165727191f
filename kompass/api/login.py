"""`/api/v1/login`: how one can log in here. For everybody: a page asks it before anybody has."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from kompass.api.endpoints import Endpoint
from kompass.api.services import services_of


class Keycloak(TypedDict):
    """What a page needs for the code flow with PKCE."""

    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str | None


class Ways(TypedDict):
    """How one can log in."""

    password: bool
    keycloak: Keycloak | None


async def ways(request: Request) -> Response:
    """`keycloak` has what a page needs for the code flow with PKCE; null where Keycloak isn't set."""
    provider = services_of(request).identity.provider
    keycloak: Keycloak | None = None
    if provider is not None:
        keycloak = {
            "issuer": provider.issuer,
            "client_id": provider.client_id,
            "authorization_endpoint": provider.authorization_endpoint,
            "token_endpoint": provider.token_endpoint,
            "end_session_endpoint": provider.end_session_endpoint,
        }
    told: Ways = {"password": True, "keycloak": keycloak}
    return JSONResponse(told)


ROUTES = [Endpoint("GET", "/login", ways, "How one can log in here", answer=Ways, public=True)]
