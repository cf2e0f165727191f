"""`kompass replicate` as a person meets it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import ServerProcess, running_server

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KOMPASS_")}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kompass", "replicate", *arguments]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("server") / "data") as server:
        httpx.put(f"{server.url}/shop").raise_for_status()
        docs = [{"_id": f"doc{number}", "n": number} for number in range(5)]
        httpx.post(f"{server.url}/shop/_bulk_docs", json={"docs": docs}).raise_for_status()
        yield server


@pytest.mark.slow
def test_a_url_into_a_directory_and_back(server: ServerProcess, tmp_path: Path) -> None:
    source = f"{server.url}/shop"
    pulled = run(source, "copy", "--data", "here", "--create-target", cwd=tmp_path)
    assert (pulled.returncode, pulled.stdout) == (0, "5 revisions written, 5 looked at\n"), pulled.stderr
    again = run(source, "copy", "--data", "here", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, "nothing new\n")
    pushed = run("copy", f"{server.url}/back", "--data", "here", "--create-target", "--json", cwd=tmp_path)
    told = json.loads(pushed.stdout)
    assert (told["ok"], told["history"][0]["docs_written"], told["refused"]) == (True, 5, [])
    assert httpx.get(f"{server.url}/back").json()["doc_count"] == 5
    assert "geheim" not in pulled.stdout + pushed.stdout + pushed.stderr


@pytest.mark.slow
def test_some_documents_only(server: ServerProcess, tmp_path: Path) -> None:
    source = f"{server.url}/shop"
    for name, options in {
        "ids": ["--doc-ids", "doc1", "--doc-ids", "doc2"],
        "selector": ["--selector", '{"n": {"$lt": 2}}'],
    }.items():
        done = run(source, f"{server.url}/some-{name}", "--create-target", *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert httpx.get(f"{server.url}/some-{name}").json()["doc_count"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://127.0.0.1:1/db", "copy"], "needs --data"),
        (["http://127.0.0.1", "copy", "--data", "here"], "must name a database"),
        (["A B", "copy", "--data", "here"], "neither a URL"),
        (["a", "b", "--data", "here"], "could not open a"),
        (["a", "b", "--data", "here", "--selector", "[]"], "--selector must be a JSON object"),
        (["a", "b", "--data", "here", "--selector", '{"$no": 1}'], "$no"),
        (["a", "b", "--data", "here", "--doc-ids", "x", "--filter", "a/b"], "mutually exclusive"),
    ],
)
def test_what_a_person_can_put_right_is_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_refused_documents_are_named_and_end_with_code_3(server: ServerProcess, tmp_path: Path) -> None:
    url = f"{server.url}/refusing"
    httpx.put(url).raise_for_status()
    user = {"name": "jo", "password": "pw", "roles": [], "type": "user"}
    httpx.put(f"{server.url}/_users/org.couchdb.user:jo", json=user).raise_for_status()
    httpx.put(f"{url}/_security", json={"members": {"names": ["jo"]}}).raise_for_status()
    httpx.put(f"{server.url}/shop/_design/x", json={"language": "query"}).raise_for_status()
    target = url.replace("admin:geheim", "jo:pw")
    done = run(f"{server.url}/shop", target, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "5 revisions written, 6 looked at\n"), done.stderr
    assert "the target refused _design/x 1-" in done.stderr


@pytest.mark.slow
def test_a_continuous_replication_until_it_is_stopped(server: ServerProcess, tmp_path: Path) -> None:
    arguments = [f"{server.url}/shop", f"{server.url}/live", "--continuous", "--create-target", "--json"]
    process = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    httpx.put(f"{server.url}/shop/later", json={}).raise_for_status()
    for _ in range(200):
        if httpx.get(f"{server.url}/live/later").status_code == 200:
            break
        time.sleep(0.05)
    assert httpx.get(f"{server.url}/live/later").status_code == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert json.loads(errors.splitlines()[0]).keys() >= {"docs_written", "pending", "through_seq"}
    locals_there = httpx.get(f"{server.url}/live/_local_docs").json()["rows"]
    assert len(locals_there) == 1
