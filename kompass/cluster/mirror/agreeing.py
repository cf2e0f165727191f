"""Making CouchDB's leaves say what ours say, where replication can't.

An erasure empties leaves in place: the revision stays, its text goes. For a replication nothing has changed,
and CouchDB takes no second text of a revision that it has. So such a leaf is purged there and written again.
A device that has it sees nothing of that: the revision and what it follows are the same.

It is looked in each copy of each shard, and done again until all of them say the same: what is in the way, a
document that changes meanwhile or a copy that lags behind, is another round, or another attempt later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog

from kompass.cluster.mirror.places import NotYetError, Place, Places
from kompass.cluster.mirror.purging import Purger
from replication.protocol import jsontext
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, parse_rev
from replication.replicator import LocalPeer
from replication.replicator.peer import Peer, Revision, Wanted
from replication.store.interface import Store
from replication.store.sqlite import Reading, SqliteDatabase

ROUNDS = 5
BETWEEN_SECONDS = 0.5
"""After a round, so that CouchDB's nodes hear of it."""
AT_ONCE = 8
"""Documents that are looked at at the same time."""
_PAGE = 500
_NOTHING = frozenset({"_id", "_rev", "_deleted"})
"""What a revision has that says nothing."""

log = structlog.get_logger(__name__)


class _Wrong(NamedTuple):
    """A document that isn't the same in a copy."""

    id: str
    full: tuple[str, ...]
    """Leaves that say something there and nothing here."""
    strange: tuple[str, ...]
    """Leaves that aren't here, and shouldn't be there."""
    lacking: tuple[str, ...]
    """Leaves that aren't there."""


class Agreement:
    """Of one database here and in CouchDB."""

    def __init__(
        self,
        store: Store,
        name: str,
        remote: Peer,
        purger: Purger,
        places: Places,
        replicate: Callable[[], Awaitable[None]],
    ) -> None:
        """`replicate` brings CouchDB what it lacks, and has what is only there judged."""
        self._store = store
        self._name = name
        self._remote = remote
        self._purger = purger
        self._places = places
        self._replicate = replicate

    async def make(self, named: Collection[str]) -> None:
        """Returns when every copy of every leaf that was emptied here is empty there, and documents that are
        `named`, and those that were purged here, have no other leaves there than here.

        Raises `NotYetError`, `ProtocolError`, `ReplicationError`.
        """
        await self._replicate()
        database = self._store.get(self._name)
        assert isinstance(database, SqliteDatabase)
        purged = await self._purged(database)
        ids: Iterable[str] = {*named, *purged, *await asyncio.to_thread(_emptied, database)}
        ids = sorted(docid for docid in ids if not docid.startswith(DESIGN_PREFIX))
        judged: set[tuple[str, str]] = set()
        for number in range(ROUNDS):
            wrong = await self._wrong(database, ids, set(named), purged)
            if not wrong:
                return
            log.info("leaves are made the same in CouchDB", database=self._name, documents=len(wrong))
            strangers = {(one.id, rev) for one in wrong for rev in one.strange}
            if strangers <= judged:
                await self._mend(wrong)
            else:
                await self._replicate()  # they may be let in; what is refused goes with the next round
                judged |= strangers
            ids = sorted({one.id for one in wrong})
            await asyncio.sleep(BETWEEN_SECONDS * (number + 1))
        raise NotYetError(f"{len(ids)} documents of {self._name} don't become the same in CouchDB")

    async def _purged(self, database: SqliteDatabase) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in await database.purge_requests():
            found.setdefault(one.id, set()).update(one.revs)
        return found

    # -- looking -------------------------------------------------------------------------------

    async def _wrong(
        self,
        database: SqliteDatabase,
        ids: Sequence[str],
        named: Collection[str],
        purged: Mapping[str, Collection[str]],
    ) -> list[_Wrong]:
        places = await self._places.all()
        shards = {place.range for place in places}
        free = asyncio.Semaphore(AT_ONCE)

        async def look(docid: str) -> list[_Wrong]:
            async with free:
                span = next(iter(shards)) if len(shards) == 1 else await self._places.range_of(docid)
                found = [
                    await self._compared(database, place, docid, docid in named, purged.get(docid, ()))
                    for place in places
                    if place.range == span
                ]
                return [one for one in found if one is not None]

        wrong: list[_Wrong] = []
        for start in range(0, len(ids), _PAGE):
            for found in await asyncio.gather(*map(look, ids[start : start + _PAGE])):
                wrong += found
        return wrong

    async def _compared(
        self, database: SqliteDatabase, place: Place, docid: str, is_named: bool, purged: Collection[str]
    ) -> _Wrong | None:
        there = await self._places.leaves(place, docid)
        # Ours are read last: what comes meanwhile is there already, or will be by replication.
        with database.reading() as reading:
            here = {one.rev: _says_nothing(jsontext.decode(one.text)) for one in reading.leaves(docid)}
            unknown = _unknown(reading, docid, there.keys() - here.keys())
        lacking = [rev for rev in here if rev not in there]
        full = [rev for rev, nothing in here.items() if nothing and rev in there and _says(there[rev])]
        strange = [rev for rev in unknown if is_named or rev in purged]
        missing = [rev for rev in lacking if strange or await self._places.lacks(place, docid, rev)]
        if not full and not strange and not missing:
            return None
        return _Wrong(docid, tuple(full), tuple(strange), tuple(missing))

    # -- mending -------------------------------------------------------------------------------

    async def _mend(self, wrong: Sequence[_Wrong]) -> None:
        purge: dict[str, dict[Rev, None]] = {}
        write: dict[str, dict[Rev, None]] = {}
        for one in wrong:
            for rev in (*one.full, *one.strange):
                purge.setdefault(one.id, {})[parse_rev(rev)] = None
            for rev in (*one.full, *one.lacking):
                write.setdefault(one.id, {})[parse_rev(rev)] = None
        await self._purger.purge({docid: [*revs] for docid, revs in purge.items()})
        wanted = [Wanted(docid, tuple(revs), ()) for docid, revs in write.items()]
        async for batch in LocalPeer(self._store, self._name).fetch(wanted):
            revisions = [one for one in batch if isinstance(one, Revision)]
            for refused in await self._remote.store(revisions) if revisions else ():
                raise NotYetError(f"CouchDB refuses {refused.id} {refused.rev}: {refused.reason}")


def _emptied(database: SqliteDatabase) -> list[str]:
    """Documents with leaves that may once have said something, and now say nothing."""
    found: list[str] = []
    after = ""
    while True:
        with database.reading() as reading:
            rows: Any = reading.connection.execute(
                "SELECT id FROM docs WHERE id > ? AND (deleted OR leaves > 1) ORDER BY id LIMIT ?",
                (after, _PAGE),
            ).fetchall()
            for (docid,) in rows:
                if any(_says_nothing(jsontext.decode(one.text)) for one in reading.leaves(docid)):
                    found.append(docid)
        if not rows:
            return found
        after = rows[-1][0]


def _unknown(reading: Reading, docid: str, revs: Collection[str]) -> list[str]:
    """Those that are no revisions of a document here."""
    if not revs:
        return []
    missing = reading.missing_revisions({docid: [parse_rev(rev) for rev in revs]})
    return list(missing[docid].missing) if docid in missing else []


def _says(body: Mapping[str, Any]) -> bool:
    return not body.keys() <= _NOTHING


def _says_nothing(body: Mapping[str, Any]) -> bool:
    return not _says(body)
