"""A real Weaviate for the tests of all sinks: one for a process of tests, an index for each test."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import httpx

from kompass.feed.sink import PersonAccess, Sink
from kompass.search.asking import question
from kompass.search.index import IndexUnavailableError
from kompass.vectors.attaching import SECONDS
from kompass.vectors.embedders.packaged import NAME
from kompass.vectors.meaning import VectorMeaning
from kompass.vectors.originals import Originals
from kompass.vectors.readings import Readings
from kompass.vectors.sink import VectorSink
from kompass.vectors.weaviate.place import Address
from kompass.vectors.weaviate.reader import WeaviateVectors
from kompass.vectors.weaviate.store import WeaviateStore
from tests.feed.harness import SinkHarness, Stored
from tests.needs import require
from tests.relays import Relay
from tests.servers import free_port
from tests.vectors.embedded import AnyFile, embedder, originals

START_SECONDS = 60.0


@cache
def server() -> Address:
    """Where it answers; it ends with this process."""
    program = require("weaviate")
    directory = Path(tempfile.mkdtemp(prefix="kompass-weaviate-"))
    http, grpc, gossip, data, raft, rpc = (free_port() for _ in range(6))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
        "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
        "CLUSTER_DATA_BIND_PORT": str(data),
        "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
        "CLUSTER_HOSTNAME": "node1",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "DISABLE_TELEMETRY": "true",
        "GO_PROFILING_DISABLE": "true",
        "GRPC_PORT": str(grpc),
        "LOG_LEVEL": "error",
        "PERSISTENCE_DATA_PATH": str(directory / "data"),
        "RAFT_INTERNAL_RPC_PORT": str(rpc),
        "RAFT_PORT": str(raft),
    }
    command = [program, "--host", "127.0.0.1", "--port", str(http), "--scheme", "http"]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log)
    atexit.register(_stop, process, directory)
    until = time.monotonic() + START_SECONDS
    url = f"http://127.0.0.1:{http}"
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/v1/.well-known/ready").status_code == 200:
                return Address(url, grpc, "", "Test", "kompass")
        if time.monotonic() > until or process.poll() is not None:
            raise AssertionError(f"Weaviate doesn't start: {(directory / 'log').read_text()[-3000:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes], directory: Path) -> None:
    process.kill()
    process.wait()
    shutil.rmtree(directory, ignore_errors=True)


def at(place: str) -> Sink:
    found = json.loads(place)
    return make(Address(**found["address"]), Path(found["directory"]))


def make(
    address: Address, directory: Path, documents: Originals | None = None, *, seconds: float = SECONDS
) -> VectorSink:
    store, readings = WeaviateStore(address, NAME), Readings(directory, NAME)
    return VectorSink(store, embedder(), documents or originals(), readings, seconds=seconds)


class WeaviateHarness(SinkHarness):
    """Breaks it by closing the way to it."""

    def __init__(self, address: Address, directory: Path, http: Relay, grpc: Relay) -> None:
        self.address = address
        self._directory = directory
        self._relays = (http, grpc)
        self._address = replace(address, url=f"http://127.0.0.1:{http.port}", grpc_port=grpc.port)
        self.index = WeaviateVectors(address, NAME)
        self._meaning = VectorMeaning(self.index, embedder())

    @property
    def again(self) -> tuple[str, str]:
        place = {"address": asdict(self.address), "directory": str(self._directory)}
        return "tests.vectors.in_weaviate:at", json.dumps(place)

    def make(self) -> Sink:
        return make(self._address, self._directory)

    def make_slow(self) -> Sink:
        return make(self._address, self._directory, AnyFile(), seconds=0)

    async def read(self, docid: str) -> Stored | None:
        try:
            found = await self.index.inspect(docid)
        except IndexUnavailableError:
            return None
        if found is None:
            return None
        content = (found["title"], found["base"], found["allowed"], found["chunks"])
        return Stored(found["rev"], frozenset(found["channels"]), content)

    async def readable(self, person: PersonAccess) -> set[str]:
        try:
            found = await self._meaning.nearest(question("Hofladen"), person.channels, limit=50)
        except IndexUnavailableError:
            return set()
        return {match.id for match in found}

    async def break_it(self) -> None:
        for relay in self._relays:
            await relay.close()

    async def mend_it(self) -> None:
        for relay in self._relays:
            await relay.open()

    async def close(self) -> None:
        await self._meaning.close()


@asynccontextmanager
async def harness(directory: Path) -> AsyncIterator[SinkHarness]:
    found = await asyncio.to_thread(server)
    address = replace(found, tenant=f"t{secrets.token_hex(6)}")
    relays = Relay(int(address.url.rpartition(":")[2])), Relay(address.grpc_port)
    for relay in relays:
        await relay.open()
    one = WeaviateHarness(address, directory, *relays)
    try:
        yield one
    finally:
        await one.close()
        for relay in relays:
            await relay.close()
