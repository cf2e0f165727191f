"""Logging in to the product: token and record, sessions and devices, pages of other origins."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest

from kompass.access.principals import Role
from kompass.identity.records import RoleChange
from kompass.server import Product
from replication.accounts.cookies import make_cookie
from tests.identity.conftest import ADMIN, Issuer, put_user, roles_of
from tests.in_process import serving
from tests.product import answering


async def whoami(client: httpx.AsyncClient, headers: dict[str, str]) -> tuple[int, Any]:
    answer = await client.get("/_session", headers=headers)
    body = answer.json()
    if answer.status_code != 200:
        assert body.keys() == {"error", "reason"}
        return answer.status_code, body["reason"]
    return 200, sorted(body["userCtx"]["roles"])


# -- token and record -------------------------------------------------------------------------------


async def test_the_first_login_makes_the_record(client: httpx.AsyncClient, issuer: Issuer) -> None:
    assert await whoami(client, issuer.bearer("anna", ("ADM",))) == (200, ["ADM"])
    assert await roles_of(client, "anna") == ["ADM"]
    assert (await client.get("/kompass", headers=issuer.bearer("anna", ("ADM",)))).status_code == 200


async def test_a_newer_token_narrows_the_record(client: httpx.AsyncClient, issuer: Issuer) -> None:
    past = int(time.time()) - 60
    await whoami(client, issuer.bearer("anna", ("ADM", "PLAN"), iat=past))
    assert await whoami(client, issuer.bearer("anna", ("PLAN",))) == (200, ["PLAN"])
    assert await roles_of(client, "anna") == ["PLAN"]
    # The older one has more: the record decides.
    assert await whoami(client, issuer.bearer("anna", ("ADM", "PLAN"), iat=past)) == (200, ["PLAN"])
    assert await roles_of(client, "anna") == ["PLAN"]


async def test_a_newer_token_widens_the_record(client: httpx.AsyncClient, issuer: Issuer) -> None:
    await whoami(client, issuer.bearer("anna", ("ADM",), iat=int(time.time()) - 60))
    assert await whoami(client, issuer.bearer("anna", ("ADM", "GF"))) == (200, ["ADM", "GF"])
    assert await roles_of(client, "anna") == ["ADM", "GF"]


async def test_an_older_token_with_fewer_roles_is_refused(
    client: httpx.AsyncClient, product: Product, issuer: Issuer
) -> None:
    old = issuer.bearer("anna", ("ADM",), iat=int(time.time()) - 60)
    await product.identity.records.record_roles("anna", [Role.ADM, Role.PLAN], "promoted")
    status, reason = await whoami(client, old)
    assert status == 401
    assert "get a new one" in reason
    assert await roles_of(client, "anna") == ["ADM", "PLAN"]


async def test_roles_set_by_hand_are_not_undone_by_an_older_token(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    old = issuer.bearer("anna", ("ADM", "GF"), iat=int(time.time()) - 30)
    await whoami(client, old)
    await put_user(client, "anna", "ADM")
    assert await whoami(client, old) == (200, ["ADM"])
    assert await roles_of(client, "anna") == ["ADM"]


class TestWithoutTrust:
    @pytest.fixture
    def settings(self, issuer: Issuer) -> dict[str, Any]:
        return {"keycloak_issuer": issuer.name, "keycloak_trust_roles": False}

    async def test_tokens_take_roles_away_and_add_none(
        self, client: httpx.AsyncClient, issuer: Issuer
    ) -> None:
        assert (await whoami(client, issuer.bearer("anna", ("GF",))))[0] == 401
        await put_user(client, "anna", "ADM", "PLAN")
        token = issuer.bearer("anna", ("ADM", "GF"), iat=int(time.time()) + 5)
        assert await whoami(client, token) == (200, ["ADM"])
        assert await roles_of(client, "anna") == ["ADM"]


async def test_roles_nobody_knows_are_no_roles(client: httpx.AsyncClient, issuer: Issuer) -> None:
    status, reason = await whoami(client, issuer.bearer("anna", ("root", "_admin")))
    assert (status, reason) == (401, "You have no role in this system.")
    assert await whoami(client, issuer.bearer("anna", ("ADM", "_admin"))) == (200, ["ADM"])


async def test_a_token_for_the_administrator_s_name_makes_no_administrator(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    token = issuer.bearer(ADMIN[0], ("ADM",))
    assert await whoami(client, token) == (200, ["ADM"])
    answer = await client.post("/_session", headers=token)
    assert answer.json()["roles"] == ["ADM"]
    assert await whoami(client, {}) == (200, ["ADM"])
    assert (await client.get("/_all_dbs")).status_code == 401


async def test_a_disabled_record_is_out_at_once(
    client: httpx.AsyncClient, product: Product, issuer: Issuer
) -> None:
    token = issuer.bearer("anna", ("ADM",))
    cookie = (await client.post("/_session", headers=token)).cookies["AuthSession"]
    client.cookies.clear()
    await product.identity.records.disable("anna", "left the company")
    assert (await whoami(client, token))[0] == 401
    # The cookie's salt is another one now: it is as good as none.
    assert await whoami(client, {"cookie": f"AuthSession={cookie}"}) == (200, [])
    await product.identity.records.enable("anna", "came back")
    assert (await whoami(client, token))[0] == 200
    assert await whoami(client, {"cookie": f"AuthSession={cookie}"}) == (200, [])


async def test_a_record_disabled_by_hand(client: httpx.AsyncClient) -> None:
    await put_user(client, "bert", "ADM", active=False)
    assert (await client.get("/kompass", auth=("bert", "pw"))).status_code == 401
    answer = await client.post("/_session", json={"name": "bert", "password": "pw"})
    assert answer.status_code == 401
    assert answer.json()["reason"] == "This account is disabled."
    answer = await client.post("/_session", json={"name": "bert", "password": "wrong"})
    assert answer.json()["reason"] == "Name or password is incorrect."


async def test_nobody_goes_by_the_servers_name(client: httpx.AsyncClient, issuer: Issuer) -> None:
    """What it makes by itself says that name, in documents and in the chain."""
    await put_user(client, "system", "ADM")
    answer = await client.post("/_session", json={"name": "system", "password": "pw"})
    assert answer.status_code == 401
    assert "nobody else has this name" in answer.json()["reason"]
    for path in ("/kompass", "/kompass/_changes", "/api/v1/session"):
        assert (await client.get(path, auth=("system", "pw"))).status_code == 401, path
    status, reason = await whoami(client, issuer.bearer("system", ("GF",)))
    assert status == 401
    assert "can't be the name of a user" in reason
    assert await roles_of(client, "system") == ["ADM"]


async def test_a_deleted_record_is_not_made_again(client: httpx.AsyncClient, issuer: Issuer) -> None:
    await whoami(client, issuer.bearer("anna", ("ADM",)))
    path = "/_users/org.couchdb.user:anna"
    rev = (await client.get(path, auth=ADMIN)).json()["_rev"]
    assert (await client.delete(path, params={"rev": rev}, auth=ADMIN)).status_code == 200
    assert (await whoami(client, issuer.bearer("anna", ("ADM",))))[0] == 401


async def test_a_name_belongs_to_one_identity(client: httpx.AsyncClient, issuer: Issuer) -> None:
    await whoami(client, issuer.bearer("anna", ("ADM",)))
    status, reason = await whoami(client, issuer.bearer("anna", ("ADM",), sub="somebody-else"))
    assert status == 401
    assert "another identity" in reason


async def test_somebody_without_a_role_gets_nothing_of_a_local_user_of_that_name(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    await put_user(client, "anna", "GF")
    bearer = issuer.bearer("anna", ())
    assert await whoami(client, bearer) == (401, "You have no role in this system.")
    for path in ("/_session", "/api/v1/session"):
        assert (await client.post(path, headers=bearer)).status_code == 401, path
    assert (await client.get("/_users/org.couchdb.user:anna", headers=bearer)).status_code == 401
    # She neither lost her roles by it nor belongs to that identity now.
    assert await roles_of(client, "anna") == ["GF"]
    assert await whoami(client, issuer.bearer("anna", ("GF",), sub="her own")) == (200, ["GF"])


async def test_nobody_changes_what_he_may_do(client: httpx.AsyncClient) -> None:
    await put_user(client, "anna", "ADM")
    path, auth = "/_users/org.couchdb.user:anna", ("anna", "pw")
    document = (await client.get(path, auth=auth)).json()
    for change in (
        {"roles": ["GF"]},
        {"active": True},
        {"session_salt": "x"},
        {"kompass": {"roles": ["ADM"], "roles_as_of": 0, "subject": "me"}},
    ):
        assert (await client.put(path, json={**document, **change}, auth=auth)).status_code == 403, change
    assert (await client.delete(path, params={"rev": document["_rev"]}, auth=auth)).status_code == 403
    assert (await client.put(path, json={**document, "password": "new"}, auth=auth)).status_code == 201


async def test_hooks_hear_of_every_change(
    product: Product, client: httpx.AsyncClient, issuer: Issuer
) -> None:
    heard: list[RoleChange] = []

    async def hear(change: RoleChange) -> None:
        heard.append(change)

    for records in {id(one): one.identity.records for one in (product, *answering(product))}.values():
        records.hooks.append(hear)
    await whoami(client, issuer.bearer("anna", ("ADM", "GF"), iat=int(time.time()) - 10))
    await whoami(client, issuer.bearer("anna", ("ADM",)))
    await whoami(client, issuer.bearer("anna", ("ADM",)))
    await product.identity.records.disable("anna", "gone")
    assert [(each.before, each.after) for each in heard] == [
        (frozenset(), {Role.ADM, Role.GF}),
        ({Role.ADM, Role.GF}, {Role.ADM}),
        ({Role.ADM}, frozenset()),
    ]


# -- the issuer's trouble -----------------------------------------------------------------------------


async def test_an_unknown_key_while_the_issuer_is_down_is_503(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    issuer.down = True
    answer = await client.get("/kompass", headers=issuer.bearer("anna", ("ADM",)))
    assert answer.status_code == 503
    assert answer.json()["error"] == "service_unavailable"
    assert answer.headers["retry-after"] == "5"
    problem = await client.get("/api/v1/session", headers=issuer.bearer("anna", ("ADM",)))
    assert problem.status_code == 503
    assert problem.headers["content-type"] == "application/problem+json"


async def test_forged_tokens_lock_their_address(
    client: httpx.AsyncClient, product: Product, issuer: Issuer
) -> None:
    for one in answering(product):
        one.documents.server.lockout._address_threshold = 5
    forged = issuer.bearer("anna", ("GF",), aud="other")
    late = len(answering(product)) - 1  # what one process tells another is under way meanwhile
    tried = [(await whoami(client, forged))[0] for _ in range(7 + late)]
    assert tried == sorted(tried)
    assert tried.count(401) in range(5, 6 + late)
    assert set(tried[5 + late :]) == {403}
    assert (await whoami(client, issuer.bearer("anna", ("ADM",))))[0] == 403
    answer = await client.post("/_session", json={"name": ADMIN[0], "password": ADMIN[1]})
    assert answer.status_code == 403


async def test_expired_tokens_lock_nobody(
    client: httpx.AsyncClient, product: Product, issuer: Issuer
) -> None:
    for one in answering(product):
        one.documents.server.lockout._address_threshold = 3
    for _ in range(5):
        assert (await whoami(client, issuer.bearer("anna", ("GF",), exp=1000)))[0] == 401
    assert (await whoami(client, issuer.bearer("anna", ("ADM",))))[0] == 200


# -- sessions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/_session", "/api/v1/session"])
async def test_a_token_is_exchanged_for_a_cookie(
    client: httpx.AsyncClient, issuer: Issuer, path: str
) -> None:
    answer = await client.post(path, headers=issuer.bearer("anna", ("ADM",)))
    assert answer.status_code == 200
    assert answer.json()["name"] == "anna"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert (await client.get("/kompass")).status_code == 200
    assert (await client.get("/api/v1/session")).json()["authenticated_by"] == "cookie"
    assert (await client.delete(path)).status_code in (200, 204)


async def test_a_cookie_over_tls_is_secure(product: Product, issuer: Issuer) -> None:
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="https://server") as client:
        answer = await client.post("/api/v1/session", headers=issuer.bearer("anna"))
        assert "; Secure" in answer.headers["set-cookie"]


async def test_a_login_never_keeps_a_session(client: httpx.AsyncClient, issuer: Issuer) -> None:
    await put_user(client, "bert", "PLAN")
    first = await client.post("/_session", headers=issuer.bearer("anna", ("ADM",)))
    second = await client.post("/_session", headers=issuer.bearer("anna", ("ADM",)))
    assert first.cookies["AuthSession"] != second.cookies["AuthSession"]
    # With somebody else's cookie along, the login counts.
    assert (await client.get("/_session")).json()["userCtx"]["name"] == "anna"
    third = await client.post("/_session", json={"name": "bert", "password": "pw"})
    assert third.json()["name"] == "bert"
    fourth = await client.post("/_session", headers=issuer.bearer("carl", ("ADM",)))
    assert fourth.json()["name"] == "carl"


async def test_a_cookie_without_a_session_is_refused(client: httpx.AsyncClient, product: Product) -> None:
    secret = product.documents.server.store.secret
    await put_user(client, "bert", "ADM")
    salt = (await client.get("/_users/org.couchdb.user:bert", auth=ADMIN)).json()["salt"]
    cookie = make_cookie("bert", salt, secret, int(time.time()))
    answer = await client.get("/kompass", headers={"cookie": f"AuthSession={cookie}"})
    assert answer.status_code == 401


async def test_pages_of_other_origins_may_not_write(client: httpx.AsyncClient, issuer: Issuer) -> None:
    token = issuer.bearer("anna", ("ADM",))
    device = (await client.post("/api/v1/session", headers=token)).json()["device"]["id"]
    evil = {"origin": "https://evil.example"}
    for path in ("/api/v1/session", "/_session", "/kompass/_bulk_docs", f"/api/v1/devices/{device}/lost"):
        answer = await client.post(path, json={}, headers=evil)
        assert answer.status_code == 403, path
    answer = await client.put("/kompass/_local/x", json={}, headers={"origin": "http://server"})
    assert answer.status_code == 201
    assert (await client.put("/kompass/_local/x", json={})).status_code == 201


# -- feeds ------------------------------------------------------------------------------------------------


async def ends_within(product: Product, headers: dict[str, str], end: Callable[[], Awaitable[Any]]) -> float:
    """Seconds until a continuous feed ends after `end`."""
    async with serving(product) as url, httpx.AsyncClient(base_url=url) as reader:
        params = {"feed": "continuous", "heartbeat": "60000"}
        async with reader.stream("GET", "/kompass/_changes", params=params, headers=headers) as answer:
            assert answer.status_code == 200
            pieces = answer.aiter_bytes()
            await anext(pieces)
            await end()
            began = time.monotonic()
            async with asyncio.timeout(10):
                async for _ in pieces:
                    pass
        return time.monotonic() - began


@pytest.mark.parametrize("how", ["disabled", "roles", "device", "token"])
async def test_a_running_feed_ends_with_the_right(
    product: Product, client: httpx.AsyncClient, issuer: Issuer, how: str
) -> None:
    answer = await client.post("/api/v1/session", headers=issuer.bearer("anna", ("ADM",)))
    headers = {"cookie": f"AuthSession={answer.cookies['AuthSession']}"}
    client.cookies.clear()
    if how == "token":
        headers = issuer.bearer("anna", ("ADM",))

    async def end() -> None:
        if how == "device":
            await product.identity.devices.revoke(answer.json()["device"]["id"])
        elif how == "disabled":
            await product.identity.records.disable("anna", "gone")
        else:
            await product.identity.records.record_roles("anna", [], "none left")

    assert await ends_within(product, headers, end) < 3


# -- CouchDB's tokens and proxies --------------------------------------------------------------------------

SECRET = b"k" * 40
PROXY = "a secret of sixteen"


class TestCouchdbStyle:
    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        key = f"hmac:_default={base64.b64encode(SECRET).decode()}"
        return {"jwt_keys": key, "jwt_roles_claim_name": "roles", "proxy_secret": PROXY}

    async def test_a_token_counts_as_far_as_the_record(self, client: httpx.AsyncClient) -> None:
        claims = {"sub": "anna", "roles": ["ADM", "_admin"], "exp": int(time.time()) + 60}
        bearer = {"authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
        assert (await whoami(client, bearer))[0] == 401
        await put_user(client, "anna", "ADM", "GF")
        assert await whoami(client, bearer) == (200, ["ADM"])
        await put_user(client, "anna", "ADM", active=False)
        assert (await whoami(client, bearer))[0] == 401
        await put_user(client, "anna", "ADM", active=True)
        answer = await client.post("/_session", headers=bearer)
        assert answer.json()["roles"] == ["ADM"]

    async def test_a_token_with_fewer_roles_than_the_record_gets_nothing_for_the_others(
        self, client: httpx.AsyncClient
    ) -> None:
        await put_user(client, "anna", "ADM", "GF")
        claims = {"sub": "anna", "roles": ["ADM"], "exp": int(time.time()) + 60}
        bearer = {"authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
        assert await whoami(client, bearer) == (200, ["ADM"])
        for path in ("/_session", "/api/v1/session"):
            answer = await client.post(path, headers=bearer)
            assert answer.status_code == 401, path
            assert answer.cookies.get("AuthSession", "") in ("", '""')
        for path in (
            "/kompass",
            "/kompass/_all_docs",
            "/api/v1/conflicts",
            "/api/v1/conflicts/1",
            "/api/v1/quarantine",
            "/api/v1/quarantine/1",
            "/api/v1/privacy/subjects/customer-1/consents",
            "/api/v1/privacy/tickets",
        ):
            assert (await client.get(path, headers=bearer)).status_code == 401, path
        assert (await client.get("/api/v1/users", headers=bearer)).status_code == 403
        claims["roles"] = ["ADM", "GF"]
        bearer = {"authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
        assert (await client.post("/_session", headers=bearer)).json()["roles"] == ["ADM", "GF"]

    async def test_a_proxy_is_believed_as_far_as_the_record(self, client: httpx.AsyncClient) -> None:
        import hmac

        token = hmac.new(PROXY.encode(), b"anna", "sha256").hexdigest()
        vouched = {
            "x-auth-couchdb-username": "anna",
            "x-auth-couchdb-roles": "ADM,_admin",
            "x-auth-couchdb-token": token,
        }
        assert (await whoami(client, vouched))[0] == 401
        await put_user(client, "anna", "ADM", "GF")
        assert await whoami(client, vouched) == (200, ["ADM"])
