"""The command line as a person meets it: in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import httpx
import pytest

from kompass import __version__
from kompass.cli import errors
from kompass.demo import PASSWORD, PEOPLE


def environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KOMPASS_")}
    return kept | {"NO_COLOR": "1"} | extra


def run(*arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kompass", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment(**extra), capture_output=True, text=True, timeout=60, check=False
    )


class Server:
    def __init__(self, *arguments: str, cwd: Path, **extra: str) -> None:
        command = [sys.executable, "-m", "kompass", "serve", "--port", "0", *arguments]
        self.output = ""
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if "Ctrl+C" in line:
                break
        found = re.search(r"at (http://\S+/)", self.output)
        assert found, self.process.stderr and self.process.stderr.read()
        self.url = found[1]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)
        return self.process.returncode


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def demo(directory: Path) -> Iterator[Server]:
    server = Server("--demo", cwd=directory)
    yield server
    server.stop()


def test_version(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"kompass {__version__}\n"


@pytest.mark.slow
def test_demo_names_its_addresses_and_logins(demo: Server, directory: Path) -> None:
    for person in PEOPLE:
        assert person.login in demo.output
    assert PASSWORD in demo.output
    assert f"{demo.url}app/" in demo.output
    assert (directory / "data" / "demo").is_dir()


@pytest.mark.slow
def test_demo_users_can_log_in_and_read_what_is_theirs(demo: Server) -> None:
    counts = {}
    for person in PEOPLE:
        with httpx.Client(base_url=demo.url) as client:
            answer = client.post("_session", json={"name": person.login, "password": PASSWORD})
            assert answer.status_code == 200
            counts[person.login] = client.get("kompass").json()["doc_count"]
            customers = {"selector": {"type": "customer"}, "limit": 1000, "fields": ["owner"]}
            found = client.post("kompass/_find", json=customers).json()["docs"]
            if person.role == "ADM":
                assert {customer["owner"] for customer in found} == {person.login}
            else:
                assert len(found) == 50
    assert 100 < counts["adm1"] < counts["gf1"] < counts["admin"]


@pytest.mark.slow
def test_without_login_there_is_nothing_to_read(demo: Server) -> None:
    assert httpx.get(f"{demo.url}kompass/_all_docs").status_code == 401


@pytest.mark.slow
def test_health_and_readiness(demo: Server) -> None:
    assert httpx.get(f"{demo.url}healthz").json() == {"status": "ok"}
    assert httpx.get(f"{demo.url}readyz").json()["status"] == "ready"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["app", "api", "healthz", "readyz", "metrics", "%61pi"])
def test_own_paths_are_no_database_names(demo: Server, name: str) -> None:
    with httpx.Client(base_url=demo.url, auth=("admin", PASSWORD)) as client:
        client.put(name)
        assert set(client.get("_all_dbs").json()) == {
            "_replicator",
            "_users",
            "kompass",
            "kompass-devices",
            "kompass-quarantine",
        }


@pytest.mark.slow
def test_unknown_api_paths_are_problem_details(demo: Server) -> None:
    answer = httpx.get(f"{demo.url}api/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404


@pytest.mark.slow
def test_the_page_is_served_with_a_strict_policy(demo: Server) -> None:
    answer = httpx.get(f"{demo.url}app", follow_redirects=True)
    assert answer.status_code == 200
    assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
    assert "<script>" not in answer.text
    for missing in ("app/nothing.js", "app/../server.py", "app/%2e%2e/page.py"):
        assert httpx.get(f"{demo.url}{missing}").status_code == 404


@pytest.mark.slow
def test_a_missing_pouchdb_is_explained(tmp_path: Path) -> None:
    server = Server("--demo", cwd=tmp_path, KOMPASS_POUCHDB_FILE="nowhere.js")
    try:
        assert "./scripts/run" in server.output
        answer = httpx.get(f"{server.url}app/pouchdb.min.js")
        assert (answer.status_code, "./scripts/run" in answer.text) == (404, True)
    finally:
        server.stop()


@pytest.mark.slow
def test_demo_data_is_loaded_once(directory: Path, demo: Server) -> None:
    """Runs after the tests above: they share the server that is stopped and started again here."""
    with httpx.Client(base_url=demo.url, auth=("admin", PASSWORD)) as client:
        note = client.post("kompass", json={"type": "note"}).json()
    assert demo.stop() == 0
    again = Server("--demo", cwd=directory)
    try:
        with httpx.Client(base_url=again.url, auth=("admin", PASSWORD)) as client:
            assert client.get(f"kompass/{note['id']}").status_code == 200
    finally:
        again.stop()

    assert run("doctor", "--data", "data/demo", cwd=directory).stdout == "data/demo is in order\n"


@pytest.mark.slow
def test_demo_data_is_not_served_as_real(directory: Path, demo: Server) -> None:
    demo.stop()
    answer = run("serve", "--data", "data/demo", cwd=directory, KOMPASS_ADMIN="a:b", KOMPASS_PORT="0")
    assert answer.returncode == 1
    assert "passwords are public" in answer.stderr


@pytest.mark.slow
def test_real_data_gets_no_demo_users(tmp_path: Path) -> None:
    server = Server(cwd=tmp_path, KOMPASS_ADMIN="chef:geheim")
    with httpx.Client(base_url=server.url, auth=("chef", "geheim")) as client:
        assert client.put("kompass/customer-1", json={"type": "customer"}).status_code == 201
    assert server.stop() == 0
    answer = run("serve", "--demo", "--data", "data", cwd=tmp_path, KOMPASS_PORT="0")
    assert answer.returncode == 1
    assert "no demo data" in answer.stderr


@pytest.mark.slow
def test_an_interrupted_load_is_done_again(tmp_path: Path) -> None:
    assert Server("--demo", cwd=tmp_path).stop() == 0
    connection = apsw.Connection(str(tmp_path / "data/demo/kompass.sqlite"))
    connection.execute("UPDATE local SET body = ?", (b'{"size":"small","complete":false}',))
    connection.close()
    server = Server("--demo", "--demo-size", "medium", cwd=tmp_path)
    try:
        info = httpx.get(f"{server.url}kompass", auth=("admin", "kompass-demo"))
        assert info.json()["doc_count"] > 5000
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "extra", "text"),
    [
        (["serve"], {}, "KOMPASS_ADMIN=NAME:PASSWORD"),
        (["serve", "--demo", "--host", "0.0.0.0"], {}, "loopback"),
        (["serve", "--demo"], {"KOMPASS_PORT": "many"}, "port (KOMPASS_PORT)"),
        (["serve"], {"KOMPASS_ADMIN": "nobody"}, "NAME:PASSWORD"),
        (["serve"], {"KOMPASS_CONFIG": "missing.toml"}, "missing.toml"),
        (["doctor", "--data", "nowhere"], {}, "--data"),
    ],
)
def test_mistakes_are_one_readable_line(
    tmp_path: Path, arguments: list[str], extra: dict[str, str], text: str
) -> None:
    answer = run(*arguments, cwd=tmp_path, **extra)
    assert answer.returncode == 1
    assert answer.stderr.startswith("Error: ")
    assert text in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_misspelt_setting_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "kompass.toml").write_text("prot = 8080\n")
    answer = run("serve", "--demo", cwd=tmp_path)
    assert "'prot'" in answer.stderr
    assert "docs/settings.md" in answer.stderr


@pytest.mark.slow
def test_a_taken_port_and_a_taken_directory_are_explained(tmp_path: Path) -> None:
    server = Server("--demo", cwd=tmp_path)
    port = server.url.rstrip("/").rpartition(":")[2]
    try:
        taken = run("serve", "--demo", "--port", port, "--data", "other", cwd=tmp_path)
        assert (taken.returncode, "another port" in taken.stderr) == (1, True)
        for arguments in (["serve", "--demo", "--port", "0"], ["doctor", "--data", "data/demo"]):
            answer = run(*arguments, cwd=tmp_path)
            assert answer.returncode == 1
            assert answer.stderr.startswith("Error: ")
            assert "data/demo" in answer.stderr
    finally:
        server.stop()


def test_a_cluster_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KOMPASS_JOURNAL_DSN", "postgresql://journal@nowhere.example/journal")
    assert errors.read_settings(data=tmp_path).journal_dsn is not None
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(errors.UsableError, match=r"psycopg.*kompass\[cluster\]"):
        errors.read_settings(data=tmp_path)
