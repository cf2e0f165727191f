"""Trouble with the disk, seen from a client: it is told what is wrong, and nothing is lost.

The disk is a small one of its own (tmpfs) where the tests may mount one; a full database file is played by
SQLite's own limit everywhere.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.store.interface import Store
from replication.store.sqlite.doctor import examine
from tests.servers import running_server

FULL = {
    "error": "insufficient_storage",
    "reason": "The disk is full: nothing was written. Make room and try again.",
}
BIG = {"text": "x" * 200_000}


def mount(directory: Path, *options: str) -> bool:
    if sys.platform != "linux":
        return False
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(directory)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    if not mount(directory, "size=6m"):
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


@pytest.mark.slow
def test_a_full_disk_is_507_loses_nothing_and_passes(disk: Path) -> None:
    with running_server(disk / "data", options=["--log-level", "error"]) as server:
        client = httpx.Client(base_url=server.url, timeout=20)
        assert client.put("/db").status_code == 201
        rev = client.put("/db/kept", json={"n": 1}).json()["rev"]
        assert client.put("/db/kept/file", params={"rev": rev}, content=b"hello").status_code == 201
        filler = fill(disk)

        refused = 0
        acknowledged = {}
        for n in range(40):
            answer = client.put(f"/db/doc{n}", json=BIG)
            if answer.status_code == 201:
                acknowledged[f"doc{n}"] = answer.json()["rev"]
            else:
                assert (answer.status_code, answer.json()) == (507, FULL)
                refused += 1
        assert refused >= 30
        writes: list[tuple[str, str, dict[str, Any]]] = [
            ("PUT", "/other", {}),
            ("POST", "/db/_bulk_docs", {"json": {"docs": [BIG, BIG]}}),
            ("PUT", "/db/new/file", {"content": b"x" * 5_000_000}),
            (
                "POST",
                "/db/_bulk_docs",
                {"json": {"docs": [{**BIG, "_id": "r", "_rev": "1-a"}], "new_edits": False}},
            ),
        ]
        for method, path, body in writes:
            answer = client.request(method, path, **body)
            assert (answer.status_code, answer.json()["error"]) == (507, "insufficient_storage"), path

        # Reading goes on.
        assert client.get("/db/kept").json()["n"] == 1
        assert client.get("/db/kept/file").content == b"hello"
        rows = client.get("/db/_all_docs").json()["rows"]
        assert {row["id"]: row["value"]["rev"] for row in rows if row["id"] != "kept"} == acknowledged
        assert len(client.get("/db/_changes").json()["results"]) == len(rows)
        assert "other" not in client.get("/_all_dbs").json()

        filler.unlink()
        assert client.put("/db/after", json=BIG).status_code == 201
        assert client.put("/other").status_code == 201
        assert client.put("/db/new/file", content=b"x" * 1_000_000).status_code == 201
        client.close()
        server.crash()
        filler = fill(disk)
        filler.unlink()
        server.start()
        client = httpx.Client(base_url=server.url, timeout=20)
        ids = {row["id"] for row in client.get("/db/_all_docs").json()["rows"]}
        assert ids == {"kept", "after", "new", *acknowledged}
        client.close()
    assert [found for found in examine(disk / "data") if "belong to no document" not in found.what] == []


@pytest.mark.slow
def test_a_directory_that_cannot_be_reached_is_500_with_a_reason_and_passes(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", options=["--log-level", "error"]) as server:
        client = httpx.Client(base_url=server.url, timeout=20)
        assert client.put("/db").status_code == 201
        assert client.put("/db/kept", json={"n": 1}).status_code == 201
        assert client.get("/db/kept").status_code == 200
        data = tmp_path / "data"
        moved = tmp_path / "moved"
        data.rename(moved)
        answer = client.put("/other")
        assert answer.status_code == 500
        assert "data directory" in answer.json()["reason"]
        assert client.get("/db/kept").json()["n"] == 1
        moved.rename(data)
        assert client.put("/other").status_code == 201
        assert client.put("/db/more", json={}).status_code == 201
        client.close()
    assert list(examine(tmp_path / "data")) == []


@pytest.mark.alone("one server's file is full")
async def test_a_full_file_is_507_for_every_kind_of_write(
    client: httpx.AsyncClient, store: Store, db: str
) -> None:
    rev = (await client.put(f"{db}/kept", json={"n": 1})).json()["rev"]
    before = (await client.get(f"{db}/_changes")).json()
    writing = store.get("db")._writer._connection  # type: ignore[attr-defined]  # the test plays the disk
    writing.execute(f"PRAGMA max_page_count = {writing.pragma('page_count')}")
    big: dict[str, Any] = {"text": "x" * 100_000}
    security = {"members": {"names": ["n" * 100_000]}}
    for method, path, body in [
        ("PUT", "new", big),
        ("PUT", f"kept?rev={rev}", big),
        ("POST", "", big),
        ("POST", "_bulk_docs", {"docs": [big]}),
        ("POST", "_bulk_docs", {"docs": [{**big, "_id": "r", "_rev": "1-a"}], "new_edits": False}),
        ("PUT", "_local/note", big),
        ("PUT", "_security", security),
    ]:
        answer = await client.request(method, f"{db}/{path}", json=body)
        assert (answer.status_code, answer.json()) == (507, FULL), path
    answer = await client.put(f"{db}/new/file", content=b"x" * 200_000)
    assert (answer.status_code, answer.json()) == (507, FULL)
    assert (await client.get(f"{db}/_changes")).json() == before
    assert (await client.get(f"{db}/_security")).json() != security
    writing.execute("PRAGMA max_page_count = 1000000")
    assert (await client.put(f"{db}/new", json=big)).status_code == 201
    assert (await client.put(f"{db}/other/file", content=b"x" * 200_000)).status_code == 201


@pytest.mark.alone("one server's file can't be written")
async def test_a_file_that_cannot_be_written_is_500_with_a_reason(
    client: httpx.AsyncClient, store: Store, db: str
) -> None:
    assert (await client.put(f"{db}/kept", json={})).status_code == 201
    before = (await client.get(f"{db}/_changes")).json()
    writing = store.get("db")._writer._connection  # type: ignore[attr-defined]  # the test plays the file
    writing.execute("PRAGMA query_only = 1")
    reason = "The data directory cannot be written: check its owner and rights."
    for method, path, body in [
        ("PUT", "new", b"{}"),
        ("PUT", "new/file", b"hello"),
        ("PUT", "_local/note", b"{}"),
        ("PUT", "_revs_limit", b"5"),
    ]:
        answer = await client.request(method, f"{db}/{path}", content=body)
        assert (answer.status_code, answer.json()) == (
            500,
            {"error": "internal_server_error", "reason": reason},
        )
    assert (await client.get(f"{db}/_changes")).json() == before
    assert (await client.get(f"{db}/_revs_limit")).json() == 1000
    writing.execute("PRAGMA query_only = 0")
    assert (await client.put(f"{db}/new", json={})).status_code == 201
