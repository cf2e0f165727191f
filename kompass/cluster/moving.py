"""Moving a server's directory into a cluster and back.

Files are moved as they are, so a device finds the same sequence numbers under the same epoch and goes on
where it stood; nothing is synced anew. CouchDB gets every tree by replication. What has been moved is
compared, revision by revision. A move that was interrupted is done again from the beginning: what is there
already is found, and costs a look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from kompass.cluster.member import Member
from kompass.cluster.mirror.keeping import OUTWARD
from kompass.texts import TextFiles
from replication.protocol.errors import ProtocolError
from replication.replicator import LocalPeer, Progress, ReplicationError, replicate
from replication.replicator.peer import BEGINNING, Feed, Peer
from replication.store.interface import Store
from replication.store.sqlite import SharedStore, SqliteDatabase, SqliteStore, copies

PAGE = 2000
MOST_NAMED = 20

Tell = Callable[[str, int, int], None]
"""What is done, how much of it, of how much."""


class MovingError(Exception):
    """What stands in the way; the text says it for people."""


class Difference(NamedTuple):
    """A document that isn't the same on both sides."""

    database: str
    id: str


class Moved(NamedTuple):
    """What was moved."""

    databases: list[str]
    shown: list[str]
    """Those of them that CouchDB has as well."""
    documents: int
    """Of those, deleted ones included, each compared with CouchDB's."""


async def into_cluster(store: SqliteStore, member: Member, texts: Iterable[str], tell: Tell) -> Moved:
    """Moves the databases of a store that nobody else has open, and `texts` of its directory by name.

    Raises `MovingError`; `ProtocolError` and `ReplicationError` if the journal or CouchDB can't be reached.
    """
    await asyncio.to_thread(_take_identity, store, member)
    await asyncio.to_thread(_copy_texts, TextFiles(store.directory), member, texts)
    names = await store.names()
    shown = [name for name in names if member.remote(name) is not None]
    documents = 0
    for name in shown:
        documents += await _show(store, name, member, tell)
    there = await asyncio.to_thread(member.catalogue.databases)
    for number, name in enumerate(names):
        tell("files", number, len(names))
        if name not in there:
            await _add(store, name, member)
    tell("files", len(names), len(names))
    return Moved(names, shown, documents)


def _take_identity(store: SqliteStore, member: Member) -> None:
    ours = TextFiles(store.directory)["server.json"].read()
    assert ours is not None
    if member.catalogue.identity(ours) != ours:
        raise MovingError(
            "The cluster has another server's name already: documents of two servers can't be united."
            " Move into an empty database of PostgreSQL."
        )


def _copy_texts(files: TextFiles, member: Member, names: Iterable[str]) -> None:
    for name in names:
        content = files[name].read()
        if content is not None:
            member.catalogue.texts[name].replace(content)


async def _show(store: SqliteStore, name: str, member: Member, tell: Tell) -> int:
    remote = member.remote(name)
    assert remote is not None
    total = (await LocalPeer(store, name).info()).documents

    def notify(progress: Progress) -> None:
        tell(f"{name} to CouchDB", min(progress.statistics.missing_checked, total), total)

    result = await replicate(LocalPeer(store, name), remote, OUTWARD, notify=notify)
    for refused in result.progress.refused[:1]:
        raise MovingError(f"CouchDB refuses {refused.id} of {name}: {refused.reason}")
    return await _compared(store, name, remote, tell)


async def _compared(store: Store, name: str, remote: Peer, tell: Tell) -> int:
    here = await _leaves(LocalPeer(store, name), partial(tell, f"{name}: looking here"))
    there = await _leaves(remote, partial(tell, f"{name}: looking in CouchDB"))
    differences = [
        docid for docid in sorted(here.keys() | there.keys()) if here.get(docid) != there.get(docid)
    ]
    if differences:
        named = ", ".join(differences[:MOST_NAMED])
        raise MovingError(
            f"{len(differences)} documents of {name} aren't the same in CouchDB: {named}. If they are only"
            " there, somebody has written them past this server: look at them, or move into an empty CouchDB."
        )
    return len(here)


async def _leaves(peer: Peer, tell: Callable[[int, int], None]) -> Mapping[str, bytes]:
    """The leaves of every document that isn't a design document, as a hash."""
    found: dict[str, bytes] = {}
    since = BEGINNING
    total = (await peer.info()).documents
    while True:
        page = await peer.changes(Feed(), since, PAGE)
        for row in page.rows:
            if not row.id.startswith("_design/"):
                found[row.id] = sha256(repr(sorted(row.revs)).encode()).digest()[:16]
        tell(min(len(found), total), total)
        if not page.rows or page.pending == 0:
            return found
        since = page.last_seq


async def _add(store: SqliteStore, name: str, member: Member) -> None:
    database = store.get(name)
    assert isinstance(database, SqliteDatabase)
    file = store.directory / f"{sha256(name.encode()).hexdigest()[:16]}.draft"
    await asyncio.to_thread(file.unlink, missing_ok=True)
    try:
        await database.save(file)
        await asyncio.to_thread(copies.begin, file)
        await asyncio.to_thread(member.catalogue.add, name, file)
    finally:
        await asyncio.to_thread(file.unlink, missing_ok=True)


async def out_of_cluster(member: Member, directory: Path, texts: Iterable[str], tell: Tell) -> Moved:
    """Makes a server's directory of what the cluster has, of which no other process is left.

    Raises as `into_cluster`; `directory` doesn't exist or is empty then as before.
    """
    if await asyncio.to_thread(_has_something, directory):
        raise MovingError(f"{directory} isn't empty.")
    others = await asyncio.to_thread(member.catalogue.others)
    if others:
        named = ", ".join(sorted(others))
        raise MovingError(f"Stop the cluster first, or what it writes meanwhile is lost: {named} is running.")
    store = await asyncio.to_thread(partial(SharedStore, directory, member.catalogue))
    try:
        names = await store.names()
        shown, documents = [], 0
        for number, name in enumerate(names):
            tell("files", number, len(names))
            database = store.get(name)
            assert isinstance(database, SqliteDatabase)
            await database.fresh()
            remote = member.remote(name)
            if remote is not None:
                documents += await _compared(store, name, remote, tell)
                shown.append(name)
        tell("files", len(names), len(names))
    finally:
        await store.close()
    for name in names:
        await asyncio.to_thread(store.end_copy, name)
    files = TextFiles(directory)
    for text in texts:
        content = await asyncio.to_thread(member.catalogue.texts[text].read)
        if content is not None:
            files[text].replace(content)
    return Moved(names, shown, documents)


def _has_something(directory: Path) -> bool:
    return directory.exists() and any(directory.iterdir())


FAILURES = (MovingError, ProtocolError, ReplicationError)
"""What can go wrong, for who tells people."""
