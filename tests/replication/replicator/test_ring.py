"""A ring of three: two servers of ours and a PouchDB. Whatever happens, they end up the same.

        A  --our replicator-->  B
        ^                       |
        +------ PouchDB <-------+

Each step is random: edits at any of the three, that conflict more often than not; deletions; replications
that are cut off in the middle. Afterwards each link is replicated until nothing moves any more, and all
three must have the same leaves, the same bodies and the same winners.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from replication.replicator import Options, connect, replicate
from replication.replicator.failures import ReplicationError
from replication.replicator.hosts import ANYWHERE, PinnedTransport
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import parse_endpoint
from tests.needs import ROOT, require
from tests.replication.replicator.conftest import Side
from tests.servers import ServerProcess, running_server

DOCUMENTS = 8
STEPS = 60


class Pouch:
    """The PouchDB of the ring."""

    def __init__(self) -> None:
        script = ROOT / "pwa-contract" / "tests" / "support" / "commanded.mjs"
        self._process = subprocess.Popen(
            [require("node"), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, do: str, **members: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **members}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Cutting(httpx.AsyncBaseTransport):
    """Breaks off at a random request, before or behind it."""

    def __init__(self, inner: httpx.AsyncBaseTransport, chance: random.Random) -> None:
        self._inner = inner
        self._chance = chance

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._chance.random() < 0.15:
            raise httpx.ConnectError("cut before the request")
        response = await self._inner.handle_async_request(request)
        if self._chance.random() < 0.15:
            await response.aclose()
            raise httpx.ReadError("cut before the answer")
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture
def pouch() -> Iterator[Pouch]:
    pouch = Pouch()
    yield pouch
    pouch.close()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(tmp_path / "second") as server:
        yield server


@pytest.fixture
async def ring(server: ServerProcess, second: ServerProcess) -> AsyncIterator[tuple[Side, Side]]:
    sides = []
    for each, name in ((server, "ring"), (second, "ring")):
        client = httpx.AsyncClient(base_url=each.url, timeout=30)
        root = each.url
        sides.append(Side(client, name, lambda options, root=root: connect(f"{root}/ring", options)))  # type: ignore[misc]
        await sides[-1].create()
    yield sides[0], sides[1]
    for side in sides:
        await side.client.delete(side.path())
        await side.client.aclose()


async def edit(side: Side, docid: str, chance: random.Random) -> None:
    """A new child of a random leaf, or a branch of its own, or a deletion."""
    leaves = await side.get(docid, open_revs="all", revs="true") or []
    alive = [leaf["ok"] for leaf in leaves if not leaf["ok"].get("_deleted")]
    if alive and chance.random() < 0.2:
        rev = chance.choice(alive)["_rev"]
        await side.client.delete(side.path(docid), params={"rev": rev})
    elif alive and chance.random() < 0.3:
        await side.store(branch(chance.choice(alive), chance))
    else:
        parent = {"_rev": chance.choice(alive)["_rev"]} if alive else {}
        with suppress(AssertionError):  # a conflict is no accident here
            await side.put(docid, n=chance.random(), **parent)


def branch(leaf: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """A sibling of `leaf`, or of one of its ancestors' children."""
    ids = leaf["_revisions"]["ids"]
    back = chance.randrange(len(ids))
    start = leaf["_revisions"]["start"] - back
    hashed = f"{chance.getrandbits(128):032x}"
    revisions = {"start": start, "ids": [hashed, *ids[back + 1 :]]}
    return {"_id": leaf["_id"], "_rev": f"{start}-{hashed}", "_revisions": revisions, "n": chance.random()}


async def cut_replication(source: str, target: str, chance: random.Random) -> None:
    ends = []
    for url in (source, target):
        inner = PinnedTransport(ANYWHERE, httpx.AsyncHTTPTransport(trust_env=False))
        ends.append(HttpPeer(parse_endpoint(url), transport=Cutting(inner, chance), retries=0))
    try:
        with suppress(ReplicationError):
            await replicate(ends[0], ends[1], Options(batch_size=3, checkpoint_interval=0, retries=0))
    finally:
        for end in ends:
            await end.close()


@pytest.mark.node
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_ring_of_three_converges(
    ring: tuple[Side, Side], server: ServerProcess, second: ServerProcess, pouch: Pouch, seed: int
) -> None:
    chance = random.Random(seed)
    first_url, second_url = f"{server.url}/ring", f"{second.url}/ring"
    for _ in range(STEPS):
        docid = f"doc{chance.randrange(DOCUMENTS)}"
        match chance.choice(["edit", "edit", "edit", "pouch", "cut", "pull", "push"]):
            case "edit":
                await edit(chance.choice(ring), docid, chance)
            case "pouch":
                doc = pouch("get", id=docid)
                kept = {} if "error" in doc else {"_rev": doc["_rev"]}
                deleted = {"_deleted": True} if kept and chance.random() < 0.2 else {}
                pouch("put", doc={"_id": docid, "n": chance.random(), **kept, **deleted})
            case "cut":
                await cut_replication(first_url, second_url, chance)
            case "pull":
                assert pouch("replicate", **{"from": second_url, "to": None})["ok"]
            case "push":
                assert pouch("replicate", **{"from": None, "to": first_url})["ok"]
    for _ in range(4):
        await replicate(first_url, second_url)
        assert pouch("replicate", **{"from": second_url, "to": None})["ok"]
        assert pouch("replicate", **{"from": None, "to": first_url})["ok"]
    assert (await replicate(first_url, second_url)).progress.statistics.missing_found == 0
    states = [await ring[0].state(), await ring[1].state(), pouch("leaves")]
    assert states[0] == states[1]
    for docid in states[0]:
        assert states[0][docid] == states[2][docid], docid
    assert sum(len(each["leaves"]) for each in states[0].values()) > len(states[0])
