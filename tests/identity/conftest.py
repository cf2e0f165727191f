"""An issuer of tokens with keys of its own, and the product in this process."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kompass.server import Product
from replication.store.interface import Store
from tests.in_process import serving
from tests.product import running_product

ADMIN = ("root", "geheim-genug")
REALM = "/realms/kompass"


def new_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


KEYS = {"one": new_key(), "two": new_key()}


@dataclass
class Issuer:
    """Signs tokens, and is an ASGI application that serves the public keys, or doesn't."""

    url: str = ""
    published: list[str] = field(default_factory=lambda: ["one"])
    down: bool = False
    asked: int = 0

    @property
    def name(self) -> str:
        return self.url + REALM

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        if self.down:
            response = Response("down", status_code=503)
        else:
            response = Response(self.key_set(), media_type="application/json")
        await response(scope, receive, send)

    def key_set(self) -> str:
        keys = []
        for kid in self.published:
            jwk = RSAAlgorithm.to_jwk(KEYS[kid].public_key(), as_dict=True)
            keys.append({**jwk, "kid": kid, "use": "sig", "alg": "RS256"})
        return json.dumps({"keys": keys})

    def claims(self, name: str = "anna", roles: tuple[str, ...] = ("ADM",), **changed: Any) -> dict[str, Any]:
        """What Keycloak puts into an access token. `…=None` leaves a claim out."""
        now = int(time.time())
        claims = {
            "iss": self.name,
            "aud": ["kompass-server", "account"],
            "azp": "kompass-pwa",
            "typ": "Bearer",
            "sub": f"id-of-{name}",
            "preferred_username": name,
            "iat": now,
            "exp": now + 300,
            "realm_access": {"roles": [*roles, "offline_access"]},
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *args: Any, kid: str = "one", **claims: Any) -> str:
        return jwt.encode(self.claims(*args, **claims), KEYS[kid], "RS256", headers={"kid": kid})

    def bearer(self, *args: Any, **claims: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(*args, **claims)}"}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    async with serving(issuer) as url:
        issuer.url = url
        yield issuer


@pytest.fixture
def settings(issuer: Issuer) -> dict[str, Any]:
    """What `running_product` is given besides; a test module may have another one."""
    return {"keycloak_issuer": issuer.name}


@pytest.fixture
async def product(tmp_path: Path, settings: dict[str, Any]) -> AsyncIterator[Product]:
    async with running_product(tmp_path / "data", ADMIN, **settings) as product:
        yield product


@pytest.fixture
async def store(product: Product) -> Store:
    return product.documents.server.store


@pytest.fixture
async def client(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def put_user(client: httpx.AsyncClient, name: str, *roles: str, **members: Any) -> None:
    """A user with the password `pw`, made by the administrator."""
    user = {"name": name, "type": "user", "roles": list(roles), "password": "pw", **members}
    path = f"/_users/org.couchdb.user:{name}"
    there = await client.get(path, auth=ADMIN)
    if there.status_code == 200:
        user = {**there.json(), **user}
    answer = await client.put(path, json=user, auth=ADMIN)
    assert answer.status_code == 201, answer.text


async def roles_of(client: httpx.AsyncClient, name: str) -> list[str]:
    answer = await client.get(f"/_users/org.couchdb.user:{name}", auth=ADMIN)
    roles: list[str] = answer.json()["roles"]
    return roles
