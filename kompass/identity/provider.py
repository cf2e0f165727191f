"""Where a page sends people to log in with Keycloak, as browsers reach it."""

from __future__ import annotations

from dataclasses import dataclass

from kompass.settings import Settings


@dataclass(frozen=True, slots=True)
class Provider:
    """Keycloak's realm, and the public client that pages are in it."""

    issuer: str
    client_id: str

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.issuer}/protocol/openid-connect/auth"

    @property
    def token_endpoint(self) -> str:
        return f"{self.issuer}/protocol/openid-connect/token"

    @property
    def end_session_endpoint(self) -> str:
        return f"{self.issuer}/protocol/openid-connect/logout"


def find_provider(settings: Settings) -> Provider | None:
    """The realm of the settings, with the first of `keycloak_parties`; None where Keycloak isn't set."""
    if settings.keycloak_issuer is None or not settings.keycloak_parties:
        return None
    return Provider(settings.keycloak_issuer, settings.keycloak_parties[0])
