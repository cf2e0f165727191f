"""Without any extra the server starts and works, and says what it can't do for want of one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest

from tests.needs import ROOT
from tests.serving import ADMIN, Serving

ABSENT = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec

def without(name, path=None, target=None):
    return None if name.partition(".")[0] in {names!r} else find_spec(name, path, target)

PathFinder.find_spec = without
"""
"""Run by every Python that starts with it on its path: what isn't installed isn't found."""


def modules_of_extras() -> set[str]:
    """What the extras bring, and nothing that the project needs anyway."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {named(one) for one in project["dependencies"]}
    extras = project["optional-dependencies"]
    brought = {named(one) for extra in extras if extra != "dev" for one in extras[extra]} - needed
    return {
        module
        for module, distributions in packages_distributions().items()
        if {named(one) for one in distributions} & brought
    }


def named(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    absent = modules_of_extras()
    assert absent >= {"tantivy", "psycopg", "numpy", "rq", "redis", "croniter", "keycloak"}
    (tmp_path / "sitecustomize.py").write_text(ABSENT.format(names=absent), "utf-8")
    server = Serving(tmp_path / "data", PYTHONPATH=str(tmp_path))
    server.start()
    yield server
    server.stop()


@pytest.mark.slow
def test_it_serves_and_says_what_is_missing(server: Serving) -> None:
    boss = ("gf1", "nur fuer den test")
    user = {"name": boss[0], "type": "user", "roles": ["GF"], "password": boss[1]}
    with httpx.Client(base_url=server.url, auth=ADMIN, timeout=20) as client:
        assert client.put("/_users/org.couchdb.user:gf1", json=user).status_code == 201
        assert client.put("/kompass/_design/one", json={"language": "javascript"}).status_code == 201
        assert client.get("/kompass/_changes").json()["results"]
        for path, who, extra in (
            ("/api/v1/search?q=Hof", boss, "kompass[search]"),
            ("/api/v1/reports/pipeline", boss, "kompass[readstore]"),
            ("/api/v1/jobs", ADMIN, "kompass[jobs]"),
            ("/api/v1/customers/export?format=xlsx", boss, "kompass[office]"),
            ("/api/v1/customers/export?format=parquet", boss, "kompass[parquet]"),
        ):
            answer = client.get(path, auth=who)
            assert answer.status_code == 503, (path, answer.text)
            assert extra in answer.json()["detail"], (path, answer.text)
        invoice = {"content-type": "application/pdf"}
        for path, body in (("supplier-invoices/import", b"%PDF-"), ("calendars", b"{}")):
            headers = invoice if body.startswith(b"%") else {"content-type": "application/json"}
            answer = client.post(f"/api/v1/{path}", content=body, headers=headers, auth=boss)
            assert (answer.status_code, "kompass[office]" in answer.text) == (503, True), answer.text
        at, headers = "/api/v1/imports?type=customer", {"content-type": "application/octet-stream"}
        answer = client.post(at, content=b"PK\x03\x04", headers=headers, auth=boss)
        assert (answer.status_code, "kompass[office]" in answer.text) == (503, True), answer.text
        table = b"Firma;Ort;Str\r\nHof;Ulm;Weg 1\r\n"
        answer = client.post(at, content=table, headers=headers, auth=boss)
        assert answer.json()["columns"][0]["field"] == "companyName", answer.text
    assert "Traceback" not in server.told()
