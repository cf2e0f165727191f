"""The benchmark: it runs through, tells what a peer can't do, and leaves no server behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from bench import engine, servers
from bench.client import Client, Target
from bench.engine import OPERATIONS, Work, compare_one
from bench.servers import our_server, peer

PROGRAM = """#!{python}
# What a script on PATH may be: it starts the server as a child and waits for it.
import json, subprocess, sys, pathlib
pathlib.Path({record!r}).write_text(json.dumps(sys.argv[1:]))
port = sys.argv[sys.argv.index("--port") + 1]
subprocess.run([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port], stderr=subprocess.DEVNULL)
"""


@pytest.fixture
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SETTLING", 0)


@pytest.mark.slow
def test_pouchdb_server_on_path_is_the_peer_and_is_stopped_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pouchdb-server"
    program.write_text(PROGRAM.format(python=sys.executable, record=str(tmp_path / "arguments")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with peer(None) as running:
        assert running is not None
        assert running.pid is not None
        family = [psutil.Process(running.pid)]
        family += family[0].children(recursive=True)
        assert len(family) == 2
        arguments = (tmp_path / "arguments").read_text()
        port = running.url.rpartition(":")[2]
        assert f'"--host", "127.0.0.1", "--port", "{port}", "--dir"' in arguments
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive


def test_without_npm_there_is_no_peer_and_a_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "PEER_HOME", tmp_path)
    with peer(None) as running:
        assert running is None
    assert "--peer URL" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("no_settling")
def test_every_operation_runs_beside_a_peer(capsys: pytest.CaptureFixture[str]) -> None:
    with our_server() as other:
        rows = engine.compare(1000, 1, other.url)
        left = Client(Target(other.url)).json("GET", "/_all_dbs")
        assert not [name for name in left if name.startswith("bench")]
    assert [row.operation for row in rows] == [name for name, *_ in OPERATIONS]
    assert all(row.ratio for row in rows)
    assert engine.table(rows) in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("no_settling")
def test_a_row_says_what_the_peer_cannot_do() -> None:
    with our_server() as first:
        docs = engine.documents(10)
        with our_server() as second:
            ours, theirs = Work(first, docs), Work(second, docs)
            for work in (ours, theirs):
                work.bulk_docs()
            changes = next(operation for operation in OPERATIONS if operation[0] == "_changes")
            assert compare_one(changes, 1, ours, theirs).ratio
            theirs.client.call("PUT", f"{theirs.path}/one-more", b"{}")
            row = compare_one(changes, 2, ours, theirs)
            assert (row.ratio, row.why_not) == (None, "11 rows instead of 10")
            assert "| can't: 11 rows instead of 10 | - |" in engine.table([row])
            theirs.client.call("DELETE", theirs.path)
            assert compare_one(changes, 1, ours, theirs).why_not == "answers 404"
        assert compare_one(changes, 1, ours, theirs).why_not  # it is gone
