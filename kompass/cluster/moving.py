"""Moving a server's directory into a cluster and back.

Files are moved as they are, so a device finds the same sequence numbers under the same epoch and goes on
where it stood; nothing is synced anew. CouchDB gets every tree by replication. What has been moved is
compared, revision by revision. A move that was interrupted is done again from the beginning: what is there
already is found, and costs a look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import apsw

from kompass.cluster import schema
from kompass.cluster.catalogue import PostgresCatalogue
from kompass.cluster.files import KEPT, play
from kompass.cluster.member import Member
from kompass.cluster.mirror.keeping import OUTWARD, outward
from kompass.cluster.uniting import unite
from kompass.sync.opening import extensions, feed_index
from kompass.texts import TextFiles
from replication.protocol.errors import ProtocolError
from replication.replicator import LocalPeer, Progress, ReplicationError, replicate
from replication.replicator.peer import BEGINNING, Feed, Peer
from replication.store.interface import Store
from replication.store.sqlite import SharedStore, SqliteDatabase, SqliteStore, copies

PAGE = 2000
MOST_NAMED = 20
WAITS = (0.2, 1.0, 3.0, 6.0)
"""Seconds between looks at documents that differ: of CouchDB's nodes one answers, and it may lag behind the
two that have confirmed a document; nodes tell each other within five.
"""

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
    taken: int = 0
    """Documents that CouchDB had and the directory hadn't, which were let in."""
    refused: Sequence[str] = ()
    """Documents of which CouchDB has something that wasn't let in: `database/id: reason`."""


async def into_cluster(
    store: SqliteStore, member: Member, texts: Iterable[str], tell: Tell, *, takes_in: bool = False
) -> Moved:
    """Moves the databases of a store that nobody else has open, and `texts` of its directory by name.

    `takes_in`: the directory was restored, and CouchDB may have more: that comes into the store by the door
    where strangers write, before anything is moved. What is refused stays in CouchDB and is named.

    Raises `MovingError`; `ProtocolError` and `ReplicationError` if the journal or CouchDB can't be reached.
    """
    await _check_stopped(member)
    await asyncio.to_thread(_take_identity, store, member)
    await asyncio.to_thread(_copy_texts, TextFiles(store.directory), member, texts)
    names = await store.names()
    shown = [name for name in names if member.remote(name) is not None]
    documents = taken = 0
    refused: list[str] = []
    for name in shown:
        if takes_in:
            united = await unite(store, name, member, tell)
            taken += united.taken
            same, differences = await _compared(store, name, member, tell)
            refused += [
                f"{name}/{docid}: {united.reasons.get(docid, 'see the log')}" for docid in differences
            ]
        else:
            await _show(store, name, member, tell)
            same = await _all_the_same(store, name, member, tell)
        documents += same
    there = await asyncio.to_thread(member.catalogue.databases)
    for number, name in enumerate(names):
        tell("files", number, len(names))
        if name not in there:
            await _add(store, name, member)
    await asyncio.to_thread(_add_files, store.directory, member.catalogue)
    tell("files", len(names), len(names))
    return Moved(names, shown, documents, taken, refused)


async def _check_stopped(member: Member) -> None:
    others = await asyncio.to_thread(member.catalogue.others)
    if others:
        named = ", ".join(sorted(others))
        raise MovingError(f"Stop the cluster first, or what it writes meanwhile is lost: {named} is running.")


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


async def _show(store: SqliteStore, name: str, member: Member, tell: Tell) -> None:
    remote = member.remote(name)
    assert remote is not None
    total = (await LocalPeer(store, name).info()).documents

    def notify(progress: Progress) -> None:
        tell(f"{name} to CouchDB", min(progress.statistics.missing_checked, total), total)

    result = await replicate(outward(store, name), remote, OUTWARD, notify=notify)
    for refused in result.progress.refused[:1]:
        raise MovingError(f"CouchDB refuses {refused.id} of {name}: {refused.reason}")


async def _all_the_same(store: Store, name: str, member: Member, tell: Tell) -> int:
    same, differences = await _compared(store, name, member, tell)
    if differences:
        named = ", ".join(differences[:MOST_NAMED])
        raise MovingError(
            f"{len(differences)} documents of {name} aren't the same in CouchDB: {named}. If they are only"
            " there, somebody has written them past this server, or the directory was restored: look at them,"
            " and let them in with --take-in, or move into an empty CouchDB."
        )
    return same


async def _compared(store: Store, name: str, member: Member, tell: Tell) -> tuple[int, list[str]]:
    """How many documents have the same leaves on both sides, and which haven't."""
    remote = member.remote(name)
    assert remote is not None
    here = await _leaves(LocalPeer(store, name), partial(tell, f"{name}: looking here"))
    there = await _leaves(remote, partial(tell, f"{name}: looking in CouchDB"))
    both = here.keys() | there.keys()
    differences = [docid for docid in sorted(both) if here.get(docid) != there.get(docid)]
    for wait in WAITS:
        if not differences:
            break
        await asyncio.sleep(wait)
        there = await _leaves(remote, partial(tell, f"{name}: looking again in CouchDB"))
        differences = [docid for docid in differences if here.get(docid) != there.get(docid)]
    return len(both) - len(differences), differences


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
        await asyncio.to_thread(copies.begin, file, schema.VERSION)
        await asyncio.to_thread(member.catalogue.add, name, file)
    finally:
        await asyncio.to_thread(file.unlink, missing_ok=True)


def _add_files(directory: Path, catalogue: PostgresCatalogue) -> None:
    """What isn't a database but is kept."""
    there = catalogue.files()
    for name, place in KEPT.items():
        if name in there or not (directory / place).is_file():
            continue
        draft = (directory / place).with_suffix(".draft")
        draft.unlink(missing_ok=True)
        try:
            with closing(apsw.Connection(str(directory / place))) as connection:
                connection.execute("VACUUM INTO ?", (str(draft),))
            copies.begin(draft)
            catalogue.add(name, draft)
        finally:
            draft.unlink(missing_ok=True)


def _fetch_files(directory: Path, catalogue: PostgresCatalogue) -> None:
    there = catalogue.files()
    for name, place in KEPT.items():
        if name in there:
            (directory / place).parent.mkdir(mode=0o700, exist_ok=True)
            catalogue.fetch(name, directory / place)
            play(directory / place, catalogue.journal(name).since)
            copies.end(directory / place)


async def out_of_cluster(member: Member, directory: Path, texts: Iterable[str], tell: Tell) -> Moved:
    """Makes a server's directory of what the cluster has, of which no other process is left.

    Raises as `into_cluster`; `directory` doesn't exist or is empty then as before.
    """
    if await asyncio.to_thread(_has_something, directory):
        raise MovingError(f"{directory} isn't empty.")
    await _check_stopped(member)
    opened = partial(
        SharedStore,
        directory,
        member.catalogue,
        extensions=extensions(feed_index()),
        tables=schema.VERSION,
    )
    store = await asyncio.to_thread(opened)
    try:
        names = await store.names()
        shown, documents = [], 0
        for number, name in enumerate(names):
            tell("files", number, len(names))
            database = store.get(name)
            assert isinstance(database, SqliteDatabase)
            await database.fresh()
            if member.remote(name) is not None:
                documents += await _all_the_same(store, name, member, tell)
                shown.append(name)
        tell("files", len(names), len(names))
    finally:
        await store.close()
    for name in names:
        await asyncio.to_thread(store.end_copy, name)
    await asyncio.to_thread(_fetch_files, directory, member.catalogue)
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
