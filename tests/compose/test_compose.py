"""compose/: what is promised of every service, and that what the files name is there.

Nothing here starts a container: there is none where these tests run. What can be tried without one is.
"""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from yamllint import linter
from yamllint.config import YamlLintConfig

from kompass.cluster.api import Api
from tests.compose.described import (
    FOLDER,
    IMAGE,
    PINNED,
    SECRETS,
    has_command,
    problems_of,
    read,
)
from tests.needs import ROOT

FILES = ("compose.yaml", "couchdb-cluster.yaml")
ONE = read(FOLDER / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = ONE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == IMAGE}
EACH = pytest.mark.parametrize("name", SERVICES)


def targets(service: dict[str, Any]) -> set[str]:
    """Where a service finds its secrets."""
    secrets = service.get("secrets", [])
    return {SECRETS + each if isinstance(each, str) else each["target"] for each in secrets}


def texts(value: object) -> str:
    return json.dumps(value)


@pytest.mark.parametrize("file", FILES)
def test_it_is_a_compose_file(file: str) -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(read(FOLDER / file))] == []


@pytest.mark.parametrize("file", [*FOLDER.glob("*.yaml"), *(ROOT / "kubernetes").rglob("*.yaml")], ids=str)
def test_yaml_has_no_slips(file: Any) -> None:
    found = linter.run(file.read_text(), YamlLintConfig(file=str(ROOT / ".yamllint.yaml")))
    assert [str(problem) for problem in found] == []


@EACH
def test_the_image_is_pinned(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert re.fullmatch(r"kompass(-[a-z]+)?:\d+\.\d+\.\d+", service["image"])
    elif "x-no-digest" not in service:
        assert PINNED.fullmatch(service["image"])
    else:
        assert re.fullmatch(r"\S+:\d+\.\d+\.\d+", service["image"])


def test_our_image_has_the_version_of_the_project() -> None:
    assert f'version = "{IMAGE.rpartition(":")[2]}"' in (ROOT / "pyproject.toml").read_text()
    assert f"ARG VERSION={IMAGE.rpartition(':')[2]}" in (ROOT / "Dockerfile").read_text()


@EACH
def test_nothing_can_be_done_that_needn_t_be(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", ())) <= {"CHOWN", "NET_BIND_SERVICE"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    root = re.fullmatch(r"[1-9]\d*:\d+", service["user"]) is None
    assert root == ("x-root" in service)
    assert not service.keys() & {"privileged", "pid", "ipc", "devices", "env_file", "extra_hosts"}
    assert "docker.sock" not in texts(service)


@EACH
def test_nothing_takes_the_whole_machine(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@EACH
def test_it_is_asked_whether_it_is_well_or_there_is_a_reason(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if "x-no-healthcheck" in SERVICES[name]:
        assert check == {"disable": True}
    else:
        assert check["test"][0] in ("CMD", "CMD-SHELL")
        assert check.keys() >= {"interval", "timeout", "retries", "start_period"}


def test_only_the_proxy_can_be_reached_and_only_workers_and_backups_reach_out() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"proxy"}
    open_ = {name for name, network in ONE["networks"].items() if not network.get("internal")}
    assert open_ == {"public", "outbound"}
    for name, service in SERVICES.items():
        reached = set(service.get("networks", ())) & open_
        outside = {"proxy": {"public"}, "worker": {"outbound"}, "backup": {"outbound"}}
        assert reached == outside.get(name, set())
        assert service.get("network_mode", "none") == "none"
    # The proxy speaks to what answers devices, and to nothing that keeps data.
    assert set(SERVICES["proxy"]["networks"]) == {"public", "edge"}
    beside = {name for name, service in SERVICES.items() if "edge" in service.get("networks", ())}
    assert beside == {"proxy", "api-1", "api-2", "index-1", "index-2", "feed", "worker", "keycloak"}


def test_profiles() -> None:
    by_profile: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for profile in service["profiles"]:
            by_profile.setdefault(profile, set()).add(name)
    assert by_profile.keys() == {"core", "search", "ai", "backup"}
    assert by_profile["backup"] == {"backup"}
    assert by_profile["search"] == {"meilisearch", "volumes"}
    assert by_profile["ai"] == {"weaviate", "s3", "s3-bucket", "volumes"}
    # What a service waits for is started with it.
    for service in SERVICES.values():
        for other in service.get("depends_on", {}):
            assert set(service["profiles"]) <= set(SERVICES[other]["profiles"])


@pytest.mark.parametrize("name", OURS)
def test_its_settings_are_settings_and_its_secrets_files(name: str) -> None:
    service = OURS[name]
    assert problems_of(service.get("environment", {}), targets(service), service["command"][0]) == []


@EACH
def test_secrets_are_files_that_are_there(name: str) -> None:
    service = SERVICES[name]
    named = set(re.findall(r"/run/secrets/([A-Za-z0-9_.]+)", texts({**service, "secrets": []})))
    given = {secret if isinstance(secret, str) else secret["source"] for secret in service.get("secrets", [])}
    assert named <= given
    assert given <= ONE["secrets"].keys()
    for variable, value in service.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|(ACCESS|API)_KEY|DSN", variable):
            assert value.startswith(SECRETS), variable


@pytest.mark.parametrize("name", OURS)
def test_its_command_is_one_of_the_program(name: str) -> None:
    assert has_command(OURS[name]["command"])


def test_no_other_words_are_commands() -> None:
    assert not has_command(["no-such-command"])
    assert has_command(["feed", "--server"])
    assert not has_command(["feed", "--no-such-option"])


def test_the_proxy_knows_who_answers_devices_and_they_believe_it() -> None:
    caddy = (FOLDER / "Caddyfile").read_text()
    processes = {name for name, service in OURS.items() if service["command"] == ["api"]}
    upstreams = re.findall(r"reverse_proxy ([^{\n]+)", caddy)
    assert sorted(upstreams) == ["api-1:8080 api-2:8080 ", "keycloak:8080"]
    assert processes == {"api-1", "api-2"}
    address = SERVICES["proxy"]["networks"]["edge"]["ipv4_address"]
    assert {OURS[name]["environment"]["KOMPASS_TRUSTED_PROXIES"] for name in processes} == {address}
    for name in ("feed", "worker"):
        assert OURS[name]["environment"]["KOMPASS_FEED_SERVER"] == "http://proxy:8090"
    assert "http://proxy:8090 {" in caddy
    published = {port.rpartition(":")[2].partition("/")[0] for port in SERVICES["proxy"]["ports"]}
    assert published == set(re.findall(r"https?_port (\d+)", caddy))


def test_a_process_that_ends_is_waited_for() -> None:
    grace = {name: float(OURS[name]["stop_grace_period"].rstrip("s")) for name in ("api-1", "api-2")}
    assert min(grace.values()) >= Api.NOTICE_SECONDS + Api.SHUTDOWN_SECONDS + 10
    # The proxy has asked at least once while it says that it goes.
    asks = re.search(r"health_interval (\d+)s", (FOLDER / "Caddyfile").read_text())
    assert asks
    assert float(asks[1]) < Api.NOTICE_SECONDS


DIRECTORIES = ("api", "index", "feed", "worker")
"""Commands of processes with a directory."""


def test_every_process_has_a_directory_of_its_own() -> None:
    """What they have in common is in the journal."""
    own = [service["volumes"] for service in OURS.values() if service["command"][0] in DIRECTORIES]
    assert len(own) == len({texts(one) for one in own}) == 6


def test_three_nodes_of_couchdb() -> None:
    three = read(FOLDER / "couchdb-cluster.yaml")["services"]
    hosts = {
        "couchdb": SERVICES["couchdb"]["hostname"],
        **{name: three[name]["hostname"] for name in ("couchdb-2", "couchdb-3")},
    }
    for name, host in hosts.items():
        assert {**three, **SERVICES}[name]["environment"]["ERL_FLAGS"] == f"-name couchdb@{host}"
    seeds = re.search(r"^seedlist = (.*)$", (FOLDER / "couchdb" / "cluster.ini").read_text(), re.MULTILINE)
    assert seeds
    assert seeds[1].split(",") == [f"couchdb@{host}" for host in hosts.values()]
    for name, host in hosts.items():
        assert host in three[name]["networks"]["documents"]["aliases"]
        assert three[name]["volumes"][-1].startswith("./couchdb/cluster.ini:")
    single, cluster = ((FOLDER / "couchdb" / f"{name}.ini").read_text() for name in ("single", "cluster"))
    for number, text in ((1, single), (3, cluster)):
        assert re.findall(r"^([qn]) = (\d+)$", text, re.MULTILINE) == [("q", "2"), ("n", str(number))]
