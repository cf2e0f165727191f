"""The realm in the package agrees with roles and demo users; the command writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kompass.access.principals import Role
from kompass.cli.app import app as cli
from kompass.demo.people import PASSWORD, PEOPLE


def written(tmp_path: Path, *options: str) -> dict[str, Any]:
    file = tmp_path / "realm.json"
    result = CliRunner().invoke(cli, ["keycloak", "realm", "--output", str(file), *options])
    assert result.exit_code == 0, result.output
    realm: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return realm


def test_roles_and_people_are_those_of_the_product(tmp_path: Path) -> None:
    realm = written(tmp_path)
    assert [role["name"] for role in realm["roles"]["realm"]] == [role.value for role in Role]
    people = [user for user in realm["users"] if "credentials" in user]
    assert [(user["username"], user["realmRoles"]) for user in people] == [
        (person.login, [person.role]) for person in PEOPLE
    ]
    assert {user["credentials"][0]["value"] for user in people} == {PASSWORD}


def test_the_page_s_client_has_no_secret_and_proves_itself(tmp_path: Path) -> None:
    clients = {client["clientId"]: client for client in written(tmp_path)["clients"]}
    page, server = clients["kompass-pwa"], clients["kompass-server"]
    assert page["publicClient"] is True
    assert page["attributes"]["pkce.code.challenge.method"] == "S256"
    assert page["directAccessGrantsEnabled"] is page["implicitFlowEnabled"] is False
    assert "secret" not in server
    assert server["serviceAccountsEnabled"] is True


def test_for_production_without_the_demo(tmp_path: Path) -> None:
    realm = written(tmp_path, "--no-demo", "--url", "https://sales.example/")
    assert [user["username"] for user in realm["users"]] == ["service-account-kompass-server"]
    page = next(client for client in realm["clients"] if client["clientId"] == "kompass-pwa")
    assert page["redirectUris"] == ["https://sales.example/app/*"]


def test_the_secret_of_the_server_s_client_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("between us\n")
    realm = written(tmp_path, "--no-demo", "--client-secret-file", str(tmp_path / "secret"))
    secrets = {client["clientId"]: client.get("secret") for client in realm["clients"]}
    assert secrets == {"kompass-pwa": None, "kompass-server": "between us"}


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_without_that_secret_no_realm_is_written(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "secret").write_text(text)
    output = tmp_path / "realm.json"
    result = CliRunner().invoke(
        cli, ["keycloak", "realm", f"--output={output}", f"--client-secret-file={tmp_path / 'secret'}"]
    )
    assert result.exit_code == 1
    assert str(tmp_path / "secret") in str(result.exception)
    assert not output.exists()


def test_sync_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["keycloak", "sync", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "KOMPASS_KEYCLOAK_ISSUER" in str(result.exception)
