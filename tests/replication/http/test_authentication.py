"""Logging in by a token or through a proxy."""

from __future__ import annotations

import hmac
import time
from base64 import b64encode

import httpx
import jwt
import pytest

from replication.accounts.tokens import TokenSettings
from replication.http.server import ServerConfig
from tests.replication.http.conftest import Serve

ADMIN = ("root", "secret")
SECRET = bytes(range(32))
SETTINGS = TokenSettings({"hmac:_default": b64encode(SECRET).decode("ascii")})
PROXY = "a secret that is shared"


def _bearer(name: str = "anna", roles: tuple[str, ...] = (), *, seconds: int = 100) -> dict[str, str]:
    claims = {"sub": name, "exp": int(time.time()) + seconds, "_couchdb.roles": list(roles)}
    return {"authorization": "Bearer " + jwt.encode(claims, SECRET, "HS256")}


def _proxied(name: str, roles: str = "", *, secret: str = PROXY, digest: str = "sha256") -> dict[str, str]:
    token = hmac.new(secret.encode(), name.encode(), digest).hexdigest()
    return {
        "x-auth-couchdb-username": name,
        "x-auth-couchdb-roles": roles,
        "x-auth-couchdb-token": token,
    }


async def _who(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> tuple[str | None, list[str], str | None]:
    answer = (await client.get("/_session", headers=headers)).json()
    user = answer["userCtx"]
    return user["name"], user["roles"], answer["info"].get("authenticated")


async def test_a_token_logs_in(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]), tokens=SETTINGS)
    assert await _who(client, _bearer("anna", ("sales",))) == ("anna", ["sales"], "jwt")
    info = (await client.get("/_session")).json()["info"]
    assert info["authentication_handlers"] == ["cookie", "jwt", "default"]
    assert (await client.get("/_all_dbs", headers=_bearer())).status_code == 401
    assert (await client.get("/_all_dbs", headers=_bearer(roles=("_admin",)))).status_code == 200
    assert (await client.get("/_session", auth=ADMIN)).json()["userCtx"]["name"] == "root"


async def test_a_token_opens_the_databases_of_its_roles(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]), tokens=SETTINGS)
    await client.put("/db", auth=ADMIN)
    await client.put("/db/_security", json={"members": {"roles": ["sales"]}}, auth=ADMIN)
    assert (await client.get("/db", headers=_bearer(roles=("sales",)))).status_code == 200
    assert (await client.get("/db", headers=_bearer())).status_code == 403
    assert (await client.get("/db")).status_code == 401


async def test_a_bad_token_is_refused_everywhere(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]), tokens=SETTINGS)
    expired = await client.get("/", headers=_bearer(seconds=-5))
    assert (expired.status_code, expired.json()) == (
        401,
        {"error": "unauthorized", "reason": "exp not in future"},
    )
    broken = await client.get("/_up", headers={"authorization": "Bearer x.y"})
    assert (broken.status_code, broken.json()) == (
        400,
        {"error": "bad_request", "reason": "Malformed token"},
    )


async def test_tokens_count_for_nothing_unless_they_are_set_up(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]))
    assert await _who(client, _bearer(roles=("_admin",))) == (None, [], None)
    assert (await client.get("/_all_dbs", headers=_bearer(roles=("_admin",)))).status_code == 401


async def test_a_login_is_required_and_a_token_is_one(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]), tokens=SETTINGS, require_valid_user=True)
    assert (await client.get("/db")).status_code == 401
    assert (await client.get("/db", headers=_bearer())).status_code == 404


@pytest.mark.parametrize("digest", ["sha256", "sha1"])
async def test_a_proxy_vouches(serve: Serve, digest: str) -> None:
    client = await serve(admins=dict([ADMIN]), proxy_secret=PROXY)
    headers = _proxied("anna", "sales , back office", digest=digest)
    assert await _who(client, headers) == ("anna", ["sales", "back office"], "proxy")
    info = (await client.get("/_session")).json()["info"]
    assert info["authentication_handlers"] == ["cookie", "proxy", "default"]


@pytest.mark.parametrize(
    "changes",
    [
        {"x-auth-couchdb-token": ""},
        {"x-auth-couchdb-token": "00"},
        {"x-auth-couchdb-token": "ä" * 32},
        {"x-auth-couchdb-username": "root"},
        {"x-auth-couchdb-username": ""},
        _proxied("anna", "_admin", secret="another secret than that"),
        _proxied("anna", "_admin", digest="md5"),
    ],
)
async def test_headers_without_the_right_token_are_nothing(serve: Serve, changes: dict[str, str]) -> None:
    client = await serve(admins=dict([ADMIN]), proxy_secret=PROXY)
    raw = {**_proxied("anna", "_admin"), **changes}
    headers = {name: value.encode("latin-1") for name, value in raw.items()}
    answer = (await client.get("/_session", headers=headers)).json()  # type: ignore[arg-type]
    assert answer["userCtx"] == {"name": None, "roles": []}


@pytest.mark.parametrize("name", ["x-auth-couchdb-roles", "x-auth-couchdb-username", "x-auth-couchdb-token"])
async def test_a_header_that_came_twice_is_refused(serve: Serve, name: str) -> None:
    client = await serve(admins=dict([ADMIN]), proxy_secret=PROXY)
    headers = [*_proxied("anna", "sales").items(), (name, "_admin")]
    assert (await client.get("/", headers=headers)).status_code == 400


async def test_a_proxys_headers_count_for_nothing_without_a_secret(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]))
    for secret in ("", PROXY):
        assert await _who(client, _proxied("root", "_admin", secret=secret)) == (None, [], None)


async def test_names_of_a_proxy_are_utf8(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]), proxy_secret=PROXY)
    raw = {name: value.encode("utf-8") for name, value in _proxied("jürgen").items()}
    answer = (await client.get("/_session", headers=raw)).json()  # type: ignore[arg-type]
    assert answer["userCtx"]["name"] == "jürgen"


def test_a_secret_that_can_be_guessed_stops_the_start() -> None:
    with pytest.raises(ValueError, match="16 characters"):
        ServerConfig(proxy_secret="short")
    assert PROXY not in repr(ServerConfig(proxy_secret=PROXY))
