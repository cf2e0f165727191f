"""What a page is told before anybody has logged in, and where it may go."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kompass.app.page import content_policy
from kompass.identity.provider import find_provider
from kompass.settings import Settings
from tests.identity.conftest import Issuer


async def test_everybody_is_told_where_to_log_in(client: httpx.AsyncClient, issuer: Issuer) -> None:
    answer = await client.get("/api/v1/login")
    realm = f"{issuer.name}/protocol/openid-connect"
    assert answer.status_code == 200
    assert answer.json() == {
        "password": True,
        "keycloak": {
            "issuer": issuer.name,
            "client_id": "kompass-pwa",
            "authorization_endpoint": f"{realm}/auth",
            "token_endpoint": f"{realm}/token",
            "end_session_endpoint": f"{realm}/logout",
        },
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_the_page_may_ask_for_a_token_and_nothing_else(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    policy = (await client.get("/app/")).headers["content-security-policy"]
    assert f"connect-src 'self' {issuer.name}/protocol/openid-connect/token;" in policy
    assert policy.count(issuer.url) == 1


class TestWithoutKeycloak:
    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {}

    async def test_there_are_passwords_alone(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/v1/login")
        assert answer.json() == {"password": True, "keycloak": None}
        assert "connect-src 'self';" in (await client.get("/app/")).headers["content-security-policy"]


def test_an_address_adds_nothing_to_the_policy() -> None:
    policy = content_policy("https://login.example/realms/a; script-src *, b/token")
    assert "connect-src 'self' https://login.example/realms/a%3B%20script-src%20*%2C%20b/token;" in policy


def test_the_page_is_the_first_of_the_clients() -> None:
    issuer = "https://login.example/realms/kompass"
    several = find_provider(Settings(keycloak_issuer=issuer, keycloak_parties=("web", "app")))
    assert several is not None
    assert several.client_id == "web"
    assert find_provider(Settings(keycloak_issuer=issuer, keycloak_parties=())) is None
