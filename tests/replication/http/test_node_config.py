"""`/_node/{name}/_config`: what is shown, what can be set, what is kept."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from replication.accounts.tokens import TokenSettings
from replication.http import create_app
from replication.http.config import ServerConfig
from replication.http.config_keys import KEYS, SETTABLE
from replication.protocol.errors import ProtocolError
from replication.store.interface import Store
from tests.replication.http.conftest import Serve

ADMIN = ("root", "pass phrase")
CONFIG = "/_node/_local/_config"

VALUES = {
    "chttpd/require_valid_user": ("true", "yes"),
    "chttpd_auth/timeout": ("1200", "5"),
    "chttpd_auth_lockout/threshold": ("3", "0"),
    "chttpd_auth_lockout/max_lifetime": ("60000", "soon"),
    "chttpd_auth_lockout/mode": ("off", "warn"),
    "cors/origins": ("https://app.example:8443, http://localhost", "app.example"),
    "cors/credentials": ("false", "0"),
    "log/level": ("error", "loud"),
}
"""For what can be set: a good value and a bad one."""


@pytest.fixture(autouse=True)
def _same_log_level() -> Iterator[None]:
    logger = logging.getLogger("replication")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
async def admin(serve: Serve) -> httpx.AsyncClient:
    client = await serve(admins=dict([ADMIN]), cors_origins=("https://start.example",))
    client.auth = httpx.BasicAuth(*ADMIN)
    return client


async def _put(client: httpx.AsyncClient, name: str, value: Any, **headers: str) -> httpx.Response:
    return await client.put(f"{CONFIG}/{name}", json=value, headers=headers)


async def test_sections_and_keys(admin: httpx.AsyncClient) -> None:
    everything = (await admin.get(CONFIG)).json()
    assert everything["chttpd_auth"]["timeout"] == "600"
    assert everything["couchdb"]["max_document_size"] == "8000000"
    assert all(isinstance(value, str) for section in everything.values() for value in section.values())
    assert (await admin.get(f"{CONFIG}/cors")).json()["origins"] == "https://start.example"
    assert (await admin.get(f"{CONFIG}/cors/origins")).json() == "https://start.example"
    assert (await admin.get(f"{CONFIG}/couch_httpd_auth/timeout")).json() == "600"
    assert (await admin.get(f"{CONFIG}/nothing")).json() == {}


@pytest.mark.parametrize("path", ["nothing/here", "cors/nothing"])
async def test_an_unknown_key_is_404(admin: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "DELETE"):
        response = await admin.request(method, f"{CONFIG}/{path}")
        assert (response.status_code, response.json()) == (
            404,
            {"error": "not_found", "reason": "unknown_config_value"},
        )
    assert (await admin.get(f"{CONFIG}/a/b/c")).json()["reason"] == "missing"


async def test_secrets_are_never_shown(serve: Serve, store: Store) -> None:
    secret = b64encode(b"k" * 32).decode("ascii")
    settings = TokenSettings({"hmac:_default": secret})
    client = await serve(admins=dict([ADMIN]), tokens=settings, proxy_secret="shared by the proxy")
    response = await client.get(CONFIG, auth=ADMIN)
    assert response.json()["admins"] == {"root": "(hidden)"}
    assert response.json()["jwt_keys"] == {"hmac:_default": "(hidden)"}
    assert response.json()["jwt_auth"]["required_claims"] == "exp"
    for kept in (secret, ADMIN[1], "shared by the proxy", store.secret.hex(), "pbkdf2"):
        assert kept not in response.text


@pytest.mark.alone("another process follows within two seconds; see tests/cluster/test_processes.py")
@pytest.mark.parametrize("name", SETTABLE)
async def test_every_settable_key_is_set_shown_and_set_back(admin: httpx.AsyncClient, name: str) -> None:
    good, bad = VALUES[name]
    before = (await admin.get(f"{CONFIG}/{name}")).json()
    assert before != good
    changed = await _put(admin, name, good)
    assert (changed.status_code, changed.json()) == (200, before)
    assert (await admin.get(f"{CONFIG}/{name}")).json() == good
    refused = await _put(admin, name, bad)
    assert (refused.status_code, refused.json()["error"]) == (400, "bad_request")
    assert name in refused.json()["reason"]
    assert (await admin.get(f"{CONFIG}/{name}")).json() == good
    taken_back = await admin.delete(f"{CONFIG}/{name}")
    assert (taken_back.status_code, taken_back.json()) == (200, good)
    assert (await admin.get(f"{CONFIG}/{name}")).json() == before


@pytest.mark.parametrize("name", [each.name for each in KEYS if each.set is None] + ["admins/eve", "a/b"])
async def test_what_is_set_at_the_start_says_so(admin: httpx.AsyncClient, name: str) -> None:
    response = await _put(admin, name, "x")
    assert (response.status_code, response.json()["error"]) == (403, "forbidden")
    assert "when the server is started" in response.json()["reason"]
    assert "cors/origins" in response.json()["reason"]


@pytest.mark.parametrize("value", [5, True, ["a"], {"a": "b"}])
async def test_a_value_is_a_text(admin: httpx.AsyncClient, value: object) -> None:
    response = await _put(admin, "cors/origins", value)
    assert (response.status_code, response.json()["reason"]) == (400, "a JSON string expected")


async def test_wrong_methods(admin: httpx.AsyncClient) -> None:
    assert (await admin.put(f"{CONFIG}/cors", json="x")).status_code == 405
    assert (await admin.delete(CONFIG)).status_code == 405
    assert (await admin.get(f"{CONFIG}/_reload")).status_code == 405


@pytest.mark.alone("another process follows within two seconds; see tests/cluster/test_processes.py")
async def test_settings_count_at_once(admin: httpx.AsyncClient) -> None:
    origin = {"origin": "https://new.example"}
    assert "access-control-allow-origin" not in (await admin.get("/", headers=origin)).headers
    await _put(admin, "cors/origins", "https://NEW.example")
    assert (await admin.get("/", headers=origin)).headers["access-control-allow-origin"] == origin["origin"]
    await _put(admin, "cors/credentials", "false")
    assert "access-control-allow-credentials" not in (await admin.get("/", headers=origin)).headers
    await _put(admin, "chttpd_auth/timeout", "1234")
    login = await admin.post("/_session", json={"name": ADMIN[0], "password": ADMIN[1]})
    assert "Max-Age=1234" in login.headers["set-cookie"]
    admin.cookies.clear()
    await _put(admin, "chttpd/require_valid_user", "true")
    assert (await admin.get("/_uuids", auth=httpx.BasicAuth("_", "_"))).status_code == 401
    await _put(admin, "log/level", "debug")
    assert logging.getLogger("replication.http").isEnabledFor(logging.DEBUG)


@pytest.mark.alone("another process follows within two seconds; see tests/cluster/test_processes.py")
async def test_the_lockout_can_be_set(admin: httpx.AsyncClient) -> None:
    await _put(admin, "chttpd_auth_lockout/threshold", "1")
    statuses = [(await admin.get("/", auth=("eve", "wrong"))).status_code for _ in range(2)]
    assert statuses == [401, 403]
    await _put(admin, "chttpd_auth_lockout/mode", "off")
    assert (await admin.get("/", auth=("eve", "wrong"))).status_code == 401
    assert (await admin.get(f"{CONFIG}/chttpd_auth_lockout/mode")).json() == "off"
    await _put(admin, "chttpd_auth_lockout/mode", "enforce")
    assert (await admin.get("/", auth=("eve", "wrong"))).status_code == 403


async def test_a_login_is_not_required_of_nobody(client: httpx.AsyncClient) -> None:
    response = await _put(client, "chttpd/require_valid_user", "true")
    assert response.status_code == 400
    assert (await client.get("/_all_dbs")).status_code == 200


async def test_only_administrators_see_and_set(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]))
    for response in (
        await client.get(CONFIG),
        await client.get(f"{CONFIG}/cors/origins"),
        await _put(client, "cors/origins", "*"),
        await client.delete(f"{CONFIG}/cors/origins"),
        await client.post(f"{CONFIG}/_reload"),
    ):
        assert (response.status_code, response.json()["reason"]) == (401, "You are not a server admin.")


@pytest.mark.alone("another process follows within two seconds; see tests/cluster/test_processes.py")
async def test_what_was_set_outlives_the_server(serve: Serve, admin: httpx.AsyncClient) -> None:
    await _put(admin, "cors/origins", "https://kept.example")
    await _put(admin, "chttpd_auth/timeout", "77", **{"X-Couch-Persist": "false"})
    assert (await admin.get(f"{CONFIG}/chttpd_auth/timeout")).json() == "77"
    again = await serve(admins=dict([ADMIN]), cors_origins=("https://start.example",))
    again.auth = httpx.BasicAuth(*ADMIN)
    assert (await again.get(f"{CONFIG}/cors/origins")).json() == "https://kept.example"
    assert (await again.get(f"{CONFIG}/chttpd_auth/timeout")).json() == "600"
    assert (await admin.post(f"{CONFIG}/_reload")).json() == {"ok": True}
    assert (await admin.get(f"{CONFIG}/chttpd_auth/timeout")).json() == "600"
    await again.delete(f"{CONFIG}/cors/origins")
    third = await serve(admins=dict([ADMIN]))
    assert (await third.get(f"{CONFIG}/cors/origins", auth=ADMIN)).json() == ""


async def test_settings_at_the_same_time_are_all_kept(admin: httpx.AsyncClient, store: Store) -> None:
    await asyncio.gather(*(_put(admin, name, good) for name, (good, _) in VALUES.items()))
    kept = await store.settings()
    assert all(name.encode() in kept for name in VALUES)


async def test_a_kept_setting_that_cannot_be_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.change_settings(lambda kept: b'{"chttpd_auth/timeout":"x","cors/origins":"*"}')
    app = create_app(store, ServerConfig(admins=dict([ADMIN]), password_iterations=10))
    await app.server.prepare()
    assert app.server.config.cors_origins == ("*",)
    assert app.server.config.session_timeout == 600
    assert "chttpd_auth/timeout" in caplog.text
    app.server.accounts.close()


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"cors/origins":5}'])
async def test_settings_that_cannot_be_read_stop_the_start(store: Store, text: bytes) -> None:
    await store.change_settings(lambda kept: text)
    app = create_app(store, ServerConfig(admins=dict([ADMIN])))
    with pytest.raises(ProtocolError, match=r"settings\.json"):
        await app.server.prepare()
    app.server.accounts.close()


def test_every_settable_key_has_values_to_try() -> None:
    assert set(VALUES) == set(SETTABLE)
