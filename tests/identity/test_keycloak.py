"""The product with a real Keycloak: its tokens, its keys, its users."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from typer.testing import CliRunner

from kompass.access.principals import Role
from kompass.cli.app import app as cli
from kompass.demo.people import PEOPLE
from kompass.identity.keycloak import KeycloakDirectory, KeycloakError
from kompass.identity.keys import INTERVAL
from kompass.server import Product
from kompass.settings import Settings
from tests.identity.conftest import ADMIN, roles_of
from tests.identity.keycloak_process import KeycloakProcess
from tests.in_process import serving
from tests.needs import require
from tests.product import running_product

pytestmark = [pytest.mark.keycloak, pytest.mark.slow]


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeycloakProcess]:
    with KeycloakProcess(Path(require("keycloak")), tmp_path_factory.mktemp("keycloak")) as process:
        yield process


@pytest.fixture
def settings(keycloak: KeycloakProcess) -> dict[str, Any]:
    return {"keycloak_issuer": keycloak.realm}


@pytest.fixture
async def followed(keycloak: KeycloakProcess, tmp_path: Path) -> AsyncIterator[Product]:
    """The product with the sync in the background."""
    settings: dict[str, Any] = {
        "keycloak_issuer": keycloak.realm,
        "keycloak_client_secret": keycloak.client_secret(),
    }
    async with running_product(tmp_path / "followed", ADMIN, **settings) as product:
        yield product


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 20) -> float:
    """Seconds until `true` is."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.parametrize("person", [person.login for person in PEOPLE])
async def test_everybody_of_the_realm_logs_in(
    keycloak: KeycloakProcess, client: httpx.AsyncClient, person: str
) -> None:
    token = await asyncio.to_thread(keycloak.log_in, person)
    answer = await client.post("/api/v1/session", headers={"authorization": f"Bearer {token}"})
    role = next(each.role for each in PEOPLE if each.login == person)
    assert (answer.status_code, answer.json()["roles"]) == (200, [role])
    assert (await client.get("/kompass")).status_code == 200
    client.cookies.clear()
    assert await roles_of(client, person) == [role]


async def test_other_tokens_of_the_realm_are_refused(
    keycloak: KeycloakProcess, client: httpx.AsyncClient
) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "kompass-server",
        "client_secret": keycloak.client_secret(),
    }
    async with httpx.AsyncClient() as other:
        answer = await other.post(f"{keycloak.realm}/protocol/openid-connect/token", data=form)
    service = answer.json()["access_token"]
    answer = await client.get("/_session", headers={"authorization": f"Bearer {service}"})
    assert answer.status_code == 401
    token = await asyncio.to_thread(keycloak.log_in, "adm1")
    header, payload, signature = token.split(".")
    for changed in (f"{header}.{payload}.{signature[:-8]}AAAAAAAA", f"{header}.{payload}."):
        answer = await client.get("/_session", headers={"authorization": f"Bearer {changed}"})
        assert answer.status_code == 401
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["azp"] == "kompass-pwa"


async def test_the_page_s_client_needs_its_proof(keycloak: KeycloakProcess) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        await asyncio.to_thread(keycloak.log_in, "adm1", verifier="a" * 64)


async def test_keys_that_were_rotated(keycloak: KeycloakProcess, client: httpx.AsyncClient) -> None:
    before = await asyncio.to_thread(keycloak.log_in, "adm1")
    assert (await client.get("/kompass", headers={"authorization": f"Bearer {before}"})).status_code == 200
    await asyncio.to_thread(keycloak.rotate_keys)
    after = await asyncio.to_thread(keycloak.log_in, "adm1")
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    await asyncio.sleep(INTERVAL)
    for token in (after, before):
        answer = await client.get("/kompass", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200


async def test_disabled_in_keycloak_ends_a_running_feed_within_5_seconds(
    keycloak: KeycloakProcess, followed: Product
) -> None:
    records = followed.identity.records

    async def known() -> bool:
        return len(await records.all()) == len(PEOPLE)

    await eventually(known)
    token = await asyncio.to_thread(keycloak.log_in, "adm2")
    async with serving(followed) as url, httpx.AsyncClient(base_url=url) as client:
        await client.post("/api/v1/session", headers={"authorization": f"Bearer {token}"})
        params = {"feed": "continuous", "heartbeat": "60000"}
        try:
            async with client.stream("GET", "/kompass/_changes", params=params) as answer:
                assert answer.status_code == 200
                pieces = answer.aiter_bytes()
                await anext(pieces)
                await asyncio.to_thread(keycloak.set_enabled, "adm2", False)
                began = time.monotonic()
                async with asyncio.timeout(15):
                    async for _ in pieces:
                        pass
                took = time.monotonic() - began
            assert took < 5
            assert (await client.get("/kompass")).status_code == 401
            answer = await client.get("/kompass", headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 401
        finally:
            await asyncio.to_thread(keycloak.set_enabled, "adm2", True)

        async def back() -> bool:
            record = await records.find("adm2")
            return record is not None and record.active

        assert await eventually(back) < 5


async def test_roles_given_and_taken_in_keycloak_arrive(keycloak: KeycloakProcess, followed: Product) -> None:
    records = followed.identity.records

    async def has(*roles: Role) -> bool:
        record = await records.find("plan1")
        return record is not None and record.roles == frozenset(roles)

    await eventually(lambda: has(Role.PLAN))
    await asyncio.to_thread(keycloak.change_roles, "plan1", add=("GF",))
    assert await eventually(lambda: has(Role.PLAN, Role.GF)) < 5
    await asyncio.to_thread(keycloak.change_roles, "plan1", remove=("GF",))
    assert await eventually(lambda: has(Role.PLAN)) < 5


async def test_roles_through_a_group_count(keycloak: KeycloakProcess) -> None:
    def arrange() -> None:
        keycloak.admin("POST", "kompass/groups", json={"name": "office"})
        group = keycloak.admin("GET", "kompass/groups", params={"search": "office"}).json()[0]["id"]
        role = keycloak.admin("GET", "kompass/roles/BUCH").json()
        keycloak.admin("POST", f"kompass/groups/{group}/role-mappings/realm", json=[role])
        keycloak.admin("PUT", f"kompass/users/{keycloak.user_id('kalk1')}/groups/{group}")

    def tidy() -> None:
        group = keycloak.admin("GET", "kompass/groups", params={"search": "office"}).json()[0]["id"]
        keycloak.admin("DELETE", f"kompass/groups/{group}")

    await asyncio.to_thread(arrange)
    try:
        directory = KeycloakDirectory(
            server_url=keycloak.url,
            realm="kompass",
            client_id="kompass-server",
            client_secret=keycloak.client_secret(),
        )
        users = {user.name: user for user in await asyncio.to_thread(directory.all)}
        assert users["kalk1"].roles == {Role.KALK, Role.BUCH}
        events = await asyncio.to_thread(directory.events)
        assert events is not None
        assert users["kalk1"].subject in {event.user for event in events}
    finally:
        await asyncio.to_thread(tidy)


async def test_a_wrong_secret_is_said(keycloak: KeycloakProcess) -> None:
    directory = KeycloakDirectory(
        server_url=keycloak.url, realm="kompass", client_id="kompass-server", client_secret="wrong"
    )
    with pytest.raises(KeycloakError, match="secret of kompass-server"):
        await asyncio.to_thread(directory.all)


def test_the_command_line_syncs_once(
    keycloak: KeycloakProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KOMPASS_KEYCLOAK_ISSUER", keycloak.realm)
    monkeypatch.setenv("KOMPASS_KEYCLOAK_CLIENT_SECRET", keycloak.client_secret())
    (tmp_path / "data").mkdir()
    for changed in (len(PEOPLE), 0):
        result = CliRunner().invoke(cli, ["keycloak", "sync", "--data", str(tmp_path / "data")])
        assert result.exit_code == 0, result.output
        assert f"8 users of Keycloak have a role here, {changed} records changed" in result.output


def test_the_secret_is_in_no_log(keycloak: KeycloakProcess) -> None:
    settings = Settings(
        keycloak_issuer=keycloak.realm,
        keycloak_client_secret=keycloak.client_secret(),
    )
    assert keycloak.client_secret() not in repr(settings)
    assert keycloak.client_secret() not in json.dumps(settings.model_dump(mode="json"))
