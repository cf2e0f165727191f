"""kubernetes/: what is promised of every pod, and that what the files name is there.

Nothing here talks to a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from kompass.cluster.api import Api
from tests.compose.described import FOLDER, SECRETS, has_command, problems_of, read
from tests.needs import ROOT

KUBERNETES = ROOT / "kubernetes"
BASE = KUBERNETES / "base"
EXAMPLE = KUBERNETES / "overlays" / "example"
VERSIONS = ("1.31", "1.37")
"""The oldest that has all that is used here, and the newest whose schemas there are."""


def objects(folder: Path) -> Iterator[dict[str, Any]]:
    """What a folder's kustomization makes of its own files."""
    for name in read(folder / "kustomization.yaml")["resources"]:
        if (folder / name).is_file():
            yield from yaml.load_all((folder / name).read_text(), Loader=yaml.CSafeLoader)


ALL = [*objects(BASE), *objects(EXAMPLE)]
NAMED = {f"{one['kind']}/{one['metadata']['name']}": one for one in ALL}


def template_of(one: dict[str, Any]) -> Any:
    """Of the pods that an object makes; None if it makes none."""
    spec = one.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec).get("template")


PODS = {name: template for name, one in NAMED.items() if (template := template_of(one)) is not None}
CONTAINERS = {
    f"{name}/{container['name']}": (pod["spec"], container)
    for name, pod in PODS.items()
    for container in pod["spec"]["containers"]
}
SHARED = dict(
    literal.split("=", 1)
    for literal in read(BASE / "kustomization.yaml")["configMapGenerator"][0]["literals"]
)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMED)
def test_it_fits_the_schema_of_kubernetes(name: str, version: str) -> None:
    kubernetes_validate.validate(NAMED[name], version, strict=True)


@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=lambda folder: folder.name)
def test_no_file_is_left_out(folder: Path) -> None:
    kustomization = read(folder / "kustomization.yaml")
    files = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == {name for name in kustomization["resources"] if not name.startswith("..")}


def test_the_overlay_says_where_the_image_comes_from() -> None:
    """An image that the base had renamed already would be found by nobody under its first name."""
    assert "images" not in read(BASE / "kustomization.yaml")
    (image,) = read(EXAMPLE / "kustomization.yaml")["images"]
    assert {container["image"] for _, container in CONTAINERS.values()} == {image["name"]}
    assert image["newTag"] == "0.1.0"


@pytest.mark.parametrize("name", PODS)
def test_a_pod_can_do_no_more_than_it_must(name: str) -> None:
    spec = PODS[name]["spec"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (10001, 10001, 10001)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert not any("hostPath" in volume for volume in spec["volumes"])
    assert PODS[name]["metadata"]["labels"]["app.kubernetes.io/name"].startswith("kompass-")


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_limits_and_nothing_to_write_to_but_its_own(name: str) -> None:
    spec, container = CONTAINERS[name]
    assert container["image"] == "kompass"  # the kustomization says from where and which
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"].keys() == {"requests", "limits"}
    for bounds in container["resources"].values():
        assert bounds.keys() == {"cpu", "memory", "ephemeral-storage"}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for mount in container["volumeMounts"]:
        assert mount["name"] in volumes or mount["name"] == "feed"
        if "emptyDir" in volumes.get(mount["name"], {}):
            assert volumes[mount["name"]]["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_its_settings_are_settings_and_its_secrets_files(name: str) -> None:
    spec, container = CONTAINERS[name]
    secrets = next(volume["secret"] for volume in spec["volumes"] if volume["name"] == "secrets")
    files = {SECRETS + item["path"] for item in secrets["items"]}
    assert container["envFrom"] == [{"configMapRef": {"name": "kompass"}}]
    assert {"name": "secrets", "mountPath": SECRETS.rstrip("/"), "readOnly": True} in container[
        "volumeMounts"
    ]
    own = {variable["name"]: variable["value"] for variable in container["env"]}
    assert problems_of({**SHARED, **own}, files, container["args"][0]) == []
    assert files <= {SECRETS + name for name in read(FOLDER / "compose.yaml")["secrets"]}


def test_no_secret_is_in_a_config_map() -> None:
    for folder in (BASE, EXAMPLE):
        for generator in read(folder / "kustomization.yaml")["configMapGenerator"]:
            assert problems_of(dict(literal.split("=", 1) for literal in generator["literals"]), set()) == []


@pytest.mark.parametrize("name", CONTAINERS)
def test_its_command_is_one_of_the_program(name: str) -> None:
    assert has_command(CONTAINERS[name][1]["args"])


def test_every_command_of_compose_runs_here_too() -> None:
    services = read(FOLDER / "compose.yaml")["services"].values()
    there = {service["command"][0] for service in services if service["image"].startswith("kompass:")}
    assert {container["args"][0] for _, container in CONTAINERS.values()} == there - {"keycloak"}


def test_what_is_asked_of_the_api_means_what_it_should() -> None:
    spec, container = CONTAINERS["Deployment/kompass-api/api"]
    paths = {
        probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")
    }
    # Whether it drains or lacks documents must not end it: only if it hangs it is started anew.
    assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    noticed = container["readinessProbe"]["periodSeconds"] * container["readinessProbe"]["failureThreshold"]
    assert waits >= noticed
    assert spec["terminationGracePeriodSeconds"] >= waits + Api.NOTICE_SECONDS + Api.SHUTDOWN_SECONDS + 10


def test_the_page_says_how_often_and_how_long_is_asked() -> None:
    page = " ".join((ROOT / "docs/operations/kubernetes.md").read_text().split())
    spec, container = CONTAINERS["Deployment/kompass-api/api"]
    startup, readiness, liveness = (
        container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")
    )
    assert startup["periodSeconds"] * startup["failureThreshold"] == 600
    assert "`/readyz`, for ten minutes" in page
    assert readiness["periodSeconds"] == 2
    assert "`/readyz`, every two seconds" in page
    assert (liveness["periodSeconds"], liveness["periodSeconds"] * liveness["failureThreshold"]) == (10, 60)
    assert "`/healthz`, every ten seconds | it hangs, for a minute" in page
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 5
    assert "waits five seconds" in page
    assert spec["terminationGracePeriodSeconds"] == 60
    assert "`terminationGracePeriodSeconds` leaves it a minute" in page


def test_there_are_two_of_what_must_not_be_away() -> None:
    scaler = NAMED["HorizontalPodAutoscaler/kompass-api"]["spec"]
    assert scaler["minReplicas"] == NAMED["Deployment/kompass-index"]["spec"]["replicas"] == 2
    assert "replicas" not in NAMED["Deployment/kompass-api"]["spec"]
    for name in ("api", "index"):
        rolling = NAMED[f"Deployment/kompass-{name}"]["spec"]["strategy"]["rollingUpdate"]
        assert rolling["maxUnavailable"] == 0
    budgets = [one for one in ALL if one["kind"] == "PodDisruptionBudget"]
    named = {one["metadata"]["name"] for one in budgets}
    assert named == {"kompass-api", "kompass-feed", "kompass-index", "kompass-worker"}


def test_what_selects_pods_finds_some() -> None:
    labels = [pod["metadata"]["labels"] for pod in PODS.values()]
    for one in ALL:
        spec = one.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        wanted = selector.get("matchLabels", selector if one["kind"] == "Service" else {})
        wanted = {key: value for key, value in wanted.items() if key != "app.kubernetes.io/part-of"}
        assert not wanted or any(wanted.items() <= each.items() for each in labels), one["metadata"]["name"]


def test_nobody_is_let_in_or_out_but_as_said() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in ALL if one["kind"] == "NetworkPolicy"}
    nobody = policies.pop("kompass-nobody")
    assert nobody.keys() == {"podSelector", "policyTypes"}
    assert set(nobody["policyTypes"]) == {"Ingress", "Egress"}
    assert {name for name, spec in policies.items() if "ingress" in spec} == {"kompass-api"}
    for name in ("kompass-backup", "kompass-worker"):
        assert "ipBlock" in str(policies.pop(name))
    assert "ipBlock" not in str(policies)


def test_the_job_has_the_version_in_its_name() -> None:
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert f"Job/kompass-init-{version[1].replace('.', '-')}" in NAMED
