"""compose/make_secrets.py: what it makes is what the services take."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from kompass.settings import Settings
from replication.accounts.passwords import from_admin_line
from tests.compose.described import FOLDER, SECRETS, read

COMPOSE = read(FOLDER / "compose.yaml")


def made_in(directory: Path) -> str:
    command = [sys.executable, str(FOLDER / "make_secrets.py"), "--directory", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("compose") / "secrets"
    made_in(directory)
    return directory


def test_every_secret_of_the_services_is_made(secrets: Path) -> None:
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    parts = {"couchdb_password", "couchdb_admin_password"}
    assert named | parts == {file.name for file in secrets.iterdir()}
    assert all(re.fullmatch(r"\./secrets/\S+", secret["file"]) for secret in COMPOSE["secrets"].values())


def test_their_directory_is_its_owner_s_alone_and_containers_can_read_them(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in secrets.iterdir()} == {0o444}


def test_what_is_there_stays(secrets: Path) -> None:
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    (secrets / "redis_url").unlink()
    assert "1 secrets made" in made_in(secrets)
    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before


def test_no_two_are_alike(secrets: Path, tmp_path: Path) -> None:
    made_in(tmp_path / "others")
    texts = [file.read_text() for folder in (secrets, tmp_path / "others") for file in folder.iterdir()]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", ["api-1", "index-1", "feed", "worker"])
def test_the_program_takes_them(secrets: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(secrets)
    environment = COMPOSE["services"][name]["environment"]
    for variable, value in environment.items():
        if variable.startswith("KOMPASS_") and value.startswith(SECRETS):
            monkeypatch.setenv(variable, value.replace(SECRETS, f"{secrets}/"))
    settings = Settings(keycloak_issuer="https://login.example/realms/kompass")
    given = {setting for setting in Settings.model_fields if f"KOMPASS_{setting.upper()}_FILE" in environment}
    assert given >= {"readstore_dsn", "redis_url"}
    for setting in given:
        assert isinstance(getattr(settings, setting), SecretStr)


def test_couchdb_has_an_administrator_that_the_server_is_not(secrets: Path) -> None:
    service, admin = ((secrets / name).read_text() for name in ("couchdb_password", "couchdb_admin_password"))
    line = re.search(r"^admin = (.*)$", (secrets / "couchdb.ini").read_text(), re.MULTILINE)
    assert line
    stored = from_admin_line(line[1])
    assert stored
    assert stored.matches(admin)
    assert (secrets / "couchdb_url").read_text() == f"http://kompass:{service}@couchdb:5984"
    assert (secrets / "couchdb_admin").read_text() == f"admin:{admin}"
    assert (secrets / "couchdb_netrc").read_text() == f"default login admin password {admin}\n"


def test_the_others_have_the_same_password_as_their_users(secrets: Path) -> None:
    text = {file.name: file.read_text() for file in secrets.iterdir()}
    assert f"requirepass {text['redis_password']}\n" in text["redis.conf"]
    assert text["redis_url"] == f"redis://:{text['redis_password']}@redis:6379/0"
    assert tomllib.loads(text["meilisearch.toml"]) == {"master_key": text["meilisearch_key"]}
    for name in ("journal", "readstore"):
        assert f":{text[f'{name}_password']}@postgres:5432/{name}" in text[f"{name}_dsn"]
    credentials = json.loads(text["s3.json"])["identities"][0]["credentials"]
    assert credentials == [{"accessKey": text["s3_access_key"], "secretKey": text["s3_secret_key"]}]


def test_logins_of_postgresql_are_made_with_the_passwords_that_are_used(secrets: Path) -> None:
    script = (FOLDER / "postgres" / "10-databases.sh").read_text()
    assert set(re.findall(r"'/(\w+_password)'", script)) == {
        "journal_password",
        "readstore_password",
        "keycloak_db_password",
    }
    roles = set(re.findall(r"CREATE ROLE (\w+) LOGIN", script))
    assert roles == {"journal", "kompass_sink", "keycloak"}
    for name in ("journal", "readstore"):
        login, database = re.findall(r"//(\w+):[^@]+@[^/]+/(\w+)", (secrets / f"{name}_dsn").read_text())[0]
        assert f"CREATE DATABASE {database} OWNER {login};" in script
    assert "SUPERUSER" not in script
