"""The same suites over a cluster: KOMPASS_TEST_OVER=cluster.

What a test opens in a data directory is then a process of a cluster: the one that leads, which tests look
at, with its copies in that directory. Two others serve, each with copies of its own. All follow the journals
in one PostgreSQL, and CouchDB has their documents: the one that KOMPASS_TEST_COUCHDB_URL names, or else this
project's own server.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompass.backup.contents import SERVER, SMALL
from kompass.cluster.files import ClusterFiles, files_of
from kompass.cluster.member import SHOWN, Member
from kompass.cluster.moving import into_cluster
from kompass.cluster.texts import PostgresTexts
from kompass.shared_files import SharedFiles
from kompass.sync.serving import OpensStore
from kompass.texts import Texts
from replication.store.interface import Store
from replication.store.sqlite import Extension, SqliteStore
from replication.store.sqlite.copies import end
from replication.store.sqlite.lock import ORIGIN
from replication.store.sqlite.store import SUFFIX
from tests.cluster.harness import prepared_database
from tests.needs import COUCHDB_URL
from tests.readstore import harness
from tests.servers import ServerProcess

OVER = os.environ.get("KOMPASS_TEST_OVER", "")
IS_CLUSTER = OVER == "cluster"
APIS = 2
"""Processes that serve."""
PROCESSES = 1 + APIS if IS_CLUSTER else 1
"""That a test's server consists of, with all of their work in the one process of the test."""


def check_environment() -> None:
    if OVER not in ("", "cluster"):
        raise pytest.UsageError(f"KOMPASS_TEST_OVER is {OVER}; known: cluster")


@cache
def couchdb() -> str:
    """With an administrator's name and password."""
    if COUCHDB_URL:
        return COUCHDB_URL
    directory = Path(tempfile.mkdtemp(prefix="kompass-test-couchdb-"))
    server = ServerProcess(directory / "data")
    server.start()

    def stop() -> None:
        server.crash()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(stop)
    return server.url


class Process:
    """What one process has of the cluster."""

    def __init__(self, directory: Path, member: Member) -> None:
        self.directory = directory
        self.member = member

    @property
    def texts(self) -> Texts:
        return PostgresTexts(self.member.connections)

    async def open_store(self, directory: Path, *, extensions: Mapping[str, Extension]) -> SqliteStore:
        return await self.member.open_store(directory, extensions)


class Cluster:
    """What the processes of a data directory have in common."""

    def __init__(self, directory: Path, shown: Sequence[str]) -> None:
        self.directory = directory
        self.address = prepared_database()
        self.prefix = f"over{secrets.token_hex(6)}-"
        self.has_files = any(directory.glob("*.sqlite"))
        """Of a server that was no cluster's."""
        self.running: list[Process] = []
        self._shown = shown
        self._made = 0
        with httpx.Client(base_url=couchdb(), timeout=30) as client:
            for name in shown:
                client.put(self._there(name)).raise_for_status()

    def _there(self, name: str) -> str:
        return "/" + quote(self.prefix + name, safe="")

    def member(self, name: str) -> Member:
        return Member(self.address.dsn, couchdb(), name=name, prefix=self.prefix, shown=self._shown)

    async def join(self) -> Process:
        """Another process. The first of those that run leads, in the directory itself."""
        leads = not self.running
        directory = self.directory
        if not leads:
            self._made += 1
            directory = self.directory.with_name(f"{self.directory.name}-api{self._made}")
        process = Process(directory, self.member("kompass index" if leads else "kompass api"))
        await asyncio.to_thread(process.member.join)
        self.running.append(process)
        return process

    async def leave(self, process: Process) -> None:
        """After its store is closed."""
        self.running.remove(process)
        await process.member.leave()

    async def move_in(self) -> None:
        """What lies in the directory since before there was a cluster."""
        member = self.member("kompass migrate")
        await asyncio.to_thread(member.join)
        store = await SqliteStore.open(self.directory)
        texts = [name for name in SMALL if name != SERVER]
        await into_cluster(store, member, texts, lambda what, done, of: None)
        await store.close()
        await member.leave()

    def drop(self) -> None:
        with httpx.Client(base_url=couchdb(), timeout=30) as client:
            for name in self._shown:
                client.delete(self._there(name))
        files = files_of(self.address.dsn)
        assert isinstance(files, ClusterFiles)
        files.close()
        harness.drop_database(self.address)


_clusters: dict[Path, Cluster] = {}


async def cluster_of(directory: Path, shown: Sequence[str] = SHOWN) -> Cluster:
    """The one whose leader has this directory."""
    if directory not in _clusters:
        made = await asyncio.to_thread(partial(Cluster, directory, shown))
        _clusters[directory] = made
        if made.has_files:
            await made.move_in()
    return _clusters[directory]


async def processes(
    directory: Path, stack: AsyncExitStack, *, shown: Sequence[str] = SHOWN
) -> AsyncIterator[tuple[Path, OpensStore]]:
    """The processes that a directory's server consists of, the leader first: the directory of each, and how
    it opens its store. They leave at the end of the stack. Not over a cluster there is one. `shown`:
    databases that CouchDB has.
    """
    if not IS_CLUSTER:
        yield directory, SqliteStore.open
        return
    cluster = await cluster_of(directory, shown)
    for _ in range(1 + APIS):
        process = await cluster.join()
        stack.push_async_callback(cluster.leave, process)
        yield process.directory, process.open_store


def shared_files(directory: Path) -> SharedFiles | None:
    """What the processes of a directory's server have beside their databases; None if it is one process."""
    return files_of(_clusters[directory].address.dsn) if IS_CLUSTER else None


def copied(directory: Path, place: Path) -> None:
    """What a server had in a directory, as one that was restored has it: with databases of its own."""
    shutil.copytree(directory, place)
    for note in place.glob(f"*{ORIGIN}"):
        end(note.with_name(note.name.removesuffix(ORIGIN) + SUFFIX))
        note.unlink()


def forget_clusters() -> None:
    """Drops those that no process is left of."""
    for directory, cluster in list(_clusters.items()):
        if not cluster.running:
            del _clusters[directory]
            cluster.drop()


@dataclass(frozen=True)
class Balanced:
    """An application that hands each request to the next of several. Before whoever asked has the answer,
    `fresh` is awaited: what was done is there then for the test, which looks at the leader.
    """

    apps: itertools.cycle[ASGIApp]
    fresh: Callable[[], Awaitable[None]]

    @classmethod
    def of(cls, apps: Sequence[ASGIApp], looked_at: Store) -> Balanced:
        return cls(itertools.cycle(apps), looked_at.fresh)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answered(message: Message) -> None:
            await self.fresh()
            await send(message)

        await next(self.apps)(scope, receive, answered)
