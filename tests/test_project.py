"""The files around the code: locks, documentation, what is declared and what is used."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kompass.demo import PEOPLE
from tests.needs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = (
    "requirements.lock",
    "requirements-image.lock",
    "requirements-server.lock",
    "requirements-node.lock",
    "pwa-contract/package-lock.json",
    "pwa-contract/clients/package-lock.json",
)

DISTRIBUTION_OF = {
    "jwt": "pyjwt",
    "keycloak": "python-keycloak",
    "_pytest": "pytest",
    "check_jsonschema": "check-jsonschema",
    "facturx": "factur-x",
    "icu": "pyicu-wheels",
    "kubernetes_validate": "kubernetes-validate",
    "python_calamine": "python-calamine",
    "quickjs": "quickjs-ng",
    "sentence_transformers": "sentence-transformers",
    "sqlite_vec": "sqlite-vec",
    "weaviate": "weaviate-client",
    "yaml": "pyyaml",
    "pytest_asyncio": "pytest-asyncio",
    "odf": "odfpy",
    "pydantic_core": "pydantic-core",
    "pydantic_settings": "pydantic-settings",
    "typing_extensions": "typing-extensions",
}
OURS = {"bench", "kompass", "replication", "tests"}


def names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", each) for each in requirements)
    return {each[0].lower().replace("_", "-") for each in found if each}


def imported_by(*folders: str) -> set[str]:
    """Distributions that the code imports."""
    modules: set[str] = set()
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    modules.add(str(node.module).split(".")[0])
    foreign = modules - OURS - sys.stdlib_module_names
    return {DISTRIBUTION_OF.get(module, module) for module in foreign}


@pytest.mark.slow
def test_the_packages_declare_what_they_import() -> None:
    extras = PROJECT["optional-dependencies"]
    optional = [each for extra in extras.keys() - {"dev"} for each in extras[extra]]
    assert imported_by("kompass", "replication") <= names(PROJECT["dependencies"] + optional)


@pytest.mark.slow
def test_tests_and_benchmarks_declare_what_they_import() -> None:
    declared = names(PROJECT["dependencies"]) | names(PROJECT["optional-dependencies"]["dev"])
    assert imported_by("tests", "bench") <= declared


def test_the_lock_covers_every_dependency() -> None:
    declared = names(PROJECT["dependencies"]) | names(PROJECT["optional-dependencies"]["dev"])
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert declared <= locked


def locked(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Package -> version and hashes."""
    found = {}
    for entry in re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text()):
        if named := re.match(r"([a-z0-9._-]+==\S+)(?: *; *([^\\\n]+))?", entry):
            name, _, version = named[1].partition("==")
            found[f"{name} {version}"] = (version, frozenset(re.findall(r"sha256:[0-9a-f]{64}", entry)))
    return found


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested, image = locked("requirements.lock"), locked("requirements-server.lock")
    assert image.items() <= tested.items()
    # Nothing of what tests alone need.
    assert not {name.partition(" ")[0] for name in image} & {"pytest", "hypothesis", "hatchling", "mypy"}
    for lock in ("requirements-server.lock", "requirements-image.lock"):
        assert all(hashes for _, hashes in locked(lock).values())


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    if lock.endswith(".json"):
        packages = json.loads(text)["packages"].values()
        assert not any("resolved" in package for package in packages)
    else:
        assert "://" not in text
        assert "--index-url" not in text


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\) \|", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))
    for name in listed:
        assert (folder / name).read_text().startswith(f"# {name[:4]}: ")


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_commands_on_pages_ask_as_people_of_the_demo() -> None:
    """With the password of the demo they would be refused otherwise."""
    asked = {
        (name, page.name)
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
        for name in re.findall(r" (?:--user|-\w*u) ([a-z]+[0-9]*)(?=\s|:kompass-demo)", block)
    }
    assert len(asked) > 8
    assert {name for name, _ in asked} <= {person.login for person in PEOPLE}, asked


def test_the_documentation_quotes_the_sample_that_is_tested() -> None:
    quoted = re.search(r"```js\n(.*?)```", (ROOT / "docs" / "clients.md").read_text(), re.DOTALL)
    assert quoted
    assert quoted[1] == (ROOT / "pwa-contract" / "replicate-safely.mjs").read_text()


def test_the_readme_has_room_for_the_figures() -> None:
    assert re.search(r"<!-- bench:engine -->.*<!-- /bench -->", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_page_keeps_a_copy_of_all_its_files() -> None:
    folder = ROOT / "kompass" / "app" / "static"
    files = re.search(r"FILES = \[(.*?)\]", (folder / "sw.js").read_text(), re.DOTALL)
    assert files
    kept = set(re.findall(r'"([^"]+)"', files[1]))
    assert kept == {path.name for path in folder.iterdir()} - {"index.html", "sw.js"} | {
        "./",
        "pouchdb.min.js",
    }


@pytest.mark.parametrize(
    "script", [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"], ids=lambda path: path.name
)
def test_scripts_are_valid_and_can_be_started(script: Path) -> None:
    text = script.read_text()
    sourced = script.name.startswith("_")
    shell = "bash" if "bash" in text.partition("\n")[0] else "sh"
    subprocess.run([shell, "-n", str(script)], check=True)
    assert os.access(script, os.X_OK) != sourced
    assert text.startswith("#!") != sourced
