"""The image: what the Dockerfile says, and that the steps which need no container do what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kompass.settings import Settings
from tests.compose.described import FOLDER, has_command, read
from tests.needs import ROOT

DOCKERFILE = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
"""Without remarks."""
STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
LAST = STAGES[-1]
DIGEST = re.compile(r"ARG [A-Z]+=\S+:\d+(\.\d+)+\S*@sha256:[0-9a-f]{64}$")


@pytest.mark.parametrize("file", ["Dockerfile", "compose/keycloak/Dockerfile"])
def test_a_linter_finds_nothing(file: str) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / file], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file", ["Dockerfile", "compose/keycloak/Dockerfile"])
def test_what_it_is_made_from_is_pinned(file: str) -> None:
    text = (ROOT / file).read_text()
    bases = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    pinned = [line.split()[1].partition("=")[0] for line in text.splitlines() if DIGEST.match(line)]
    assert bases - {"scratch"} == {f"${{{name}}}" for name in pinned}


def test_packages_come_from_locks_with_hashes_as_wheels() -> None:
    for stage in STAGES[1:]:
        installs = re.findall(r"\bpip\b[^&\n]*\binstall\b[^&\n]*", stage)
        if installs:
            assert "PIP_ONLY_BINARY=:all:" in stage
            assert "PIP_REQUIRE_HASHES=1" in stage
        for install in installs:
            assert re.search(r"-r requirements-\w+\.lock|--no-deps --no-index /wheels/", install), install
    assert "apt-get" not in DOCKERFILE
    assert " install" not in re.sub(r"install --directory", "", LAST)


def test_what_runs_has_no_installer_and_no_root() -> None:
    assert "venv --without-pip /opt/kompass" in DOCKERFILE
    assert "pip uninstall --yes --quiet pip setuptools wheel" in LAST
    assert re.findall(r"^USER (\S+)$", LAST, re.MULTILINE) == ["10001:10001"]
    services = read(FOLDER / "compose.yaml")["services"]
    assert {services[name]["user"] for name in ("api-1", "feed", "worker", "init")} == {"10001:10001"}
    assert "STOPSIGNAL SIGTERM" in LAST
    assert re.search(r"^LABEL org\.opencontainers\.image\.title=", LAST, re.MULTILINE)


def test_what_it_copies_goes_through_the_ignore_file() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {word for line in lines for word in line.split()}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_its_settings_are_settings() -> None:
    variables = re.findall(r"\b(KOMPASS_[A-Z_]+)=", LAST)
    assert {name.removeprefix("KOMPASS_").lower() for name in variables} <= Settings.model_fields.keys()


def test_it_asks_for_its_health_as_compose_does() -> None:
    asked = re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", LAST, re.MULTILINE)
    assert asked
    service = read(FOLDER / "compose.yaml")["services"]["api-1"]
    assert ["CMD", *json.loads(asked[1])] == service["healthcheck"]["test"]


def test_it_starts_the_program() -> None:
    assert 'ENTRYPOINT ["kompass"]' in LAST
    assert has_command(["--version"])


@pytest.mark.slow
def test_the_wheel_has_everything_that_the_program_reads(tmp_path: Path) -> None:
    """The step of the image that makes it, with the same tool."""
    hatchling = Path(sys.executable).with_name("hatchling")
    subprocess.run(
        [hatchling, "build", "--target", "wheel", "--directory", tmp_path], cwd=ROOT, check=True, timeout=120
    )
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", *tmp_path.glob("*.whl")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    in_tree = {
        str(file.relative_to(ROOT))
        for package in ("kompass", "replication")
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    in_wheel = {line.split()[0] for line in listed.splitlines() if re.match(r"(kompass|replication)/", line)}
    assert in_wheel == in_tree
