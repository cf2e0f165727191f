"""From one version of the tables to the next, while a cluster serves: `kompass upgrade`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from tests.cluster.newer import VERSION
from tests.cluster.processes import Node, Nodes, nodes
from tests.cluster.test_processes import PASSWORD, Device, customer, stored
from tests.needs import ROOT
from tests.serving import ADMIN, until

pytestmark = pytest.mark.slow
POSITION = "SELECT position FROM copy"
NEWER = "tests.cluster.newer"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A leader and an API process of today, and one of each of the next version."""
    with nodes(tmp_path_factory.mktemp("upgrade")) as made:
        made.add("index")
        api = made.add("api")
        api.await_ready()
        login = {"name": "adm1", "type": "user", "roles": ["ADM"], "password": PASSWORD}
        httpx.put(f"{api.url}/_users/org.couchdb.user:adm1", json=login, auth=ADMIN).raise_for_status()
        yield made


def upgrade(node: Node, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """The command of the next version, as it is run beside one of its processes."""
    return subprocess.Popen(
        [sys.executable, "-m", NEWER, "upgrade", "--data", str(node.directory), *arguments],
        cwd=ROOT,
        env={**node.environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def finished(command: subprocess.Popen[str], code: int) -> str:
    """What it has said."""
    out, _ = await asyncio.to_thread(command.communicate, timeout=60)
    assert command.returncode == code, out
    return out


async def push(device: Device, done: dict[str, str]) -> None:
    sent = customer()
    answer = await device.ask("POST", "/kompass/_bulk_docs", {"docs": [sent], "new_edits": False})
    assert answer.status_code == 201, answer.text
    done[sent["_id"]] = sent["_rev"]


async def work(device: Device, end: asyncio.Event, done: dict[str, str]) -> None:
    while not end.is_set():
        await push(device, done)
        await asyncio.sleep(0.05)


def rows(node: Node, query: str) -> list[Any]:
    connection = apsw.Connection(str(node.directory / "kompass.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def columns(node: Node) -> set[str]:
    return {name for (name,) in rows(node, "SELECT name FROM pragma_table_info('conflicts')")}


def reason(node: Node) -> str:
    answer = httpx.get(f"{node.url}/readyz", timeout=10)
    assert answer.status_code == 503, answer.text
    return str(answer.json()["reason"])


async def test_tables_change_while_devices_push(running: Nodes, tmp_path: Path) -> None:
    index, api = running.all
    done: dict[str, str] = {}
    async with httpx.AsyncClient(auth=("adm1", PASSWORD), timeout=30) as client:
        await push(Device(client, [api], 0), done)

        # Nobody of the next version waits: nothing is begun.
        out = await finished(upgrade(index), 1)
        assert "No `kompass api` of this version waits" in out

        # They wait, and their copies follow. Until the upgrade they may go again.
        newer_index, newer_api = running.add("index", NEWER), running.add("api", NEWER)
        for node in (newer_index, newer_api):
            await asyncio.to_thread(node.await_told, "waiting: the cluster's tables")
        newer_index.terminate()
        assert await asyncio.to_thread(newer_index.process.wait, 30) == 0, newer_index.told()
        await push(Device(client, [api], 0), done)
        newer_index.start()
        await asyncio.to_thread(
            until,
            lambda: rows(newer_api, "SELECT position FROM copy") == rows(api, "SELECT position FROM copy"),
            30,
        )
        assert "note" not in columns(newer_api)

        # Killed when the tables have changed and what they lack isn't filled.
        end = asyncio.Event()
        working = [
            asyncio.create_task(work(Device(client, [api, newer_api], number), end, done))
            for number in (0, 1)
        ]
        mark = tmp_path / "stopped"
        stopped = upgrade(newer_index, KOMPASS_TEST_STOP="filling", KOMPASS_TEST_STOPPED=str(mark))
        await asyncio.to_thread(until, mark.exists, 60)
        stopped.kill()
        stopped.communicate()
        await asyncio.to_thread(until, lambda: not api.is_ready, 30)
        assert reason(api).startswith("The cluster has gone on to a newer version of the program")
        answer = await client.get(f"{api.url}/kompass")
        assert answer.status_code == 503, "it can't know what is fresh"
        assert answer.json()["reason"].startswith("The cluster has gone on")
        assert newer_api.process.poll() is None

        # Once more, to the end.
        began = time.monotonic()
        out = await finished(upgrade(newer_index), 0)
        assert f"version {VERSION} now" in out
        await asyncio.to_thread(newer_api.await_ready)
        before = len(done)
        await asyncio.sleep(1)
        end.set()
        await asyncio.gather(*working)
        assert len(done) > before, "devices go on at the newer one"
        assert time.monotonic() - began < 60
        assert done.keys() <= stored(newer_api)

        # Copies of the next version are the same; that of today is what it was, and damaged by nothing.
        await asyncio.to_thread(newer_index.await_told, "] leads ")
        await asyncio.to_thread(
            until,
            lambda: (
                rows(newer_api, "SELECT position, tables FROM copy")
                == rows(newer_index, "SELECT position, tables FROM copy")
            ),
            30,
        )
        made = rows(newer_api, "SELECT * FROM made ORDER BY id")
        assert done.keys() <= {row[0] for row in made}
        assert rows(newer_index, "SELECT * FROM made ORDER BY id") == made
        assert columns(newer_api) == columns(newer_index) == columns(api) | {"note"}
        assert rows(newer_api, "SELECT tables FROM copy") == [(VERSION,)]
        assert rows(api, "SELECT tables FROM copy") == [(VERSION - 1,)]
        assert rows(api, "PRAGMA integrity_check") == [("ok",)]

    # Today's leader has ended, and today's program doesn't start any more. Nor does it take part otherwise.
    assert await asyncio.to_thread(index.process.wait, 30) == 1
    assert "newer version of the program" in index.told()
    api.kill()
    api.start()
    assert await asyncio.to_thread(api.process.wait, 30) == 1
    assert "gone on to a newer version of the program. Start that one here" in api.told()
    assert rows(api, "PRAGMA integrity_check") == [("ok",)]

    # With the next version it goes on where it stood, and nothing happens twice.
    again = running.add("api", NEWER)
    again.await_ready()
    assert done.keys() <= stored(again)
    assert rows(again, "SELECT * FROM made ORDER BY id") == made
