"""The leader's part: CouchDB gets what no process could show it, and what comes there otherwise is judged.

Outward, whatever CouchDB lacks of a database is replicated to it from the last checkpoint on: what a process
had no time for before it ended, what CouchDB couldn't take, everything after a move. Inward, revisions that
nobody here has written are let in by the door where strangers write, so that the rules of what is final hold
and the chain of writes says that somebody went round the gate.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from kompass.audit import FOREIGN, acting
from kompass.cluster.mirror.guarding import ADVICE, Guard
from kompass.cluster.mirror.purging import Purger
from kompass.cluster.mirror.status import Refused, Strange
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.replicator import LocalPeer, Options, Progress, ReplicationError, replicate
from replication.replicator.local_peer import PageFilter, Rules
from replication.replicator.peer import Feed, Lacking, Peer, Refusal, Unreadable
from replication.store.interface import Database, Store
from replication.store.sqlite import SqliteDatabase
from replication.store.values import Change

EVERY_SECONDS = 5.0
"""How often the leader looks in both directions."""
ATTEMPTS = 100
"""How often a document is tried again that one side didn't give or the other one didn't take."""
GUARDED_SECONDS = 60.0
"""How often it looks who may use the database there."""
COMPARED_SECONDS = 86_400.0
"""How often it looks through everything; a new leader does when it begins."""
MOST_TOLD = 20
"""Ids that one line of the log names."""

log = structlog.get_logger(__name__)


class Keeper:
    """Of one database."""

    def __init__(
        self, store: Store, name: str, remote: Peer, purger: Purger, guard: Guard | None = None
    ) -> None:
        """`remote` is the database in CouchDB; `purger` the same for what replication doesn't carry, `guard`
        for who may use it."""
        self.name = name
        self._store = store
        self._remote = remote
        self._purger = purger
        self._guard = guard
        self._wrong: list[str] = []
        self._purges: list[object] = []
        self._strangers = _Strangers()
        self._refused = _Again(lambda progress: [one.id for one in progress.refused])
        self._unread = _Again(lambda progress: [one.id for one in progress.unreadable if not one.for_good])
        self._alone = asyncio.Lock()

    @property
    def strange(self) -> Strange:
        return self._strangers.strange

    async def keep(self) -> None:
        """Until it is cancelled."""
        told = ""
        guarded = compared = -math.inf
        while True:
            try:
                if time.monotonic() - guarded >= GUARDED_SECONDS:
                    guarded = time.monotonic()
                    await self.guard()
                if time.monotonic() - compared >= COMPARED_SECONDS:
                    await self.compare()
                    compared = time.monotonic()
                await self.look()
                told = ""
            except (ReplicationError, ProtocolError) as error:
                if str(error) != told:
                    log.warning("CouchDB isn't kept up at the moment", database=self.name, error=str(error))
                    told = str(error)
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Once in both directions, to the end. That nothing can be purged there keeps back nothing else."""
        async with self._alone:
            hindrance: ProtocolError | None = None
            try:
                await self.purge()
            except ProtocolError as error:
                hindrance = error
            await self._refused.replicate(outward(self._store, self.name), self._remote, OUTWARD)
            judged = _Judged(self._store, self.name, rules=self._strangers)
            with acting(FOREIGN):
                progress = await self._unread.replicate(self._remote, judged, Options())
            self._strangers.note_others(progress)
            if hindrance is not None:
                raise hindrance

    async def guard(self) -> list[str]:
        """Looks who may use the database there, and says it once if that isn't the service user alone."""
        wrong = [] if self._guard is None else await self._guard.look()
        if wrong != self._wrong:
            self._wrong = wrong
            for what in wrong:
                log.error("a database in CouchDB is open", database=self.name, what=what, advice=ADVICE)
        return wrong

    async def compare(self) -> int:
        """Sends again what CouchDB had and has no more, whatever the checkpoints say: after a purge there, a
        restore of its files, a time in which it refused. How many revisions that were.
        """
        async with self._alone:
            result = await replicate(outward(self._store, self.name), self._remote, WHOLE)
        lacked = result.progress.statistics.docs_written
        if lacked:
            log.warning(
                "CouchDB lacked revisions: they were sent again", database=self.name, revisions=lacked
            )
        return lacked

    async def purge(self) -> None:
        """What was purged here is purged there."""
        database = self._store.get(self.name)
        await _fresh(database)
        requests = await database.purge_requests()
        if requests == self._purges:
            return
        gone = await _gone(database, [(one.id, [parse_rev(rev) for rev in one.revs]) for one in requests])
        lacking = await self._remote.lacking(gone)
        there = {
            docid: [rev for rev in revs if docid not in lacking or rev not in lacking[docid].missing]
            for docid, revs in gone.items()
        }
        there = {docid: revs for docid, revs in there.items() if revs}
        if there:
            await self._purger.purge(there)
            log.info("purged in CouchDB as well", database=self.name, documents=len(there))
        self._purges = list(requests)


class _Again:
    """Replicates from the last checkpoint on, and again what didn't get through, which checkpoints pass by.

    A node of CouchDB that lags doesn't have yet what its feed tells of; one that fails says so of some
    documents.
    """

    def __init__(self, missed: Callable[[Progress], Sequence[str]]) -> None:
        self._missed = missed
        self._left: dict[str, int] = {}
        """How often each is tried yet."""

    async def replicate(self, source: Peer, target: Peer, options: Options) -> Progress:
        """What came of the changes since the checkpoint."""
        done = await replicate(source, target, options)
        before, self._left = self._left, dict.fromkeys(self._missed(done.progress), ATTEMPTS)
        if not before:
            return done.progress
        self._left = before | self._left
        only = Options(feed=Feed(doc_ids=tuple(before)), use_checkpoints=False)
        missed = self._missed((await replicate(source, target, only)).progress)
        for docid in before:
            if docid not in missed or self._left[docid] <= 1:
                del self._left[docid]
            else:
                self._left[docid] -= 1
        return done.progress


class _Documents(Rules):
    """What goes to CouchDB. Design documents stay where they are: the ones here are for this engine, those
    there for CouchDB's.
    """

    FILTER = "_documents"

    async def filter(self, database: Database, feed: Feed) -> PageFilter:
        async def by_id(changes: Sequence[Change]) -> Sequence[Sequence[str]]:
            return [() if change.id.startswith(DESIGN_PREFIX) else change.revs for change in changes]

        return by_id


OUTWARD = Options(feed=Feed(filter=_Documents.FILTER))
"""How a database is replicated to CouchDB, from `outward`."""
WHOLE = Options(feed=OUTWARD.feed, use_checkpoints=False)
"""The same, whatever was there before."""


def outward(store: Store, name: str) -> LocalPeer:
    """A database as the source of a replication to CouchDB."""
    return LocalPeer(store, name, rules=_Documents())


class _Judged(LocalPeer):
    """A database as the target of what was written in CouchDB."""

    async def lacking(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Lacking]:
        # CouchDB may have what another process has written before this copy has heard of it.
        with self._database() as database:
            await _fresh(database)
        return await super().lacking(asked)


class _Strangers(Rules):
    """How revisions come in that nobody here has written."""

    def __init__(self) -> None:
        self.strange = Strange()

    async def write(self, database: Database, docs: Sequence[DocumentWrite]) -> Sequence[str | ProtocolError]:
        await _fresh(database)
        outcomes: dict[int, str | ProtocolError] = {}
        judged: list[tuple[int, DocumentWrite]] = []
        purged = {(one.id, parse_rev(rev)) for one in await database.purge_requests() for rev in one.revs}
        for number, doc in enumerate(docs):
            assert doc.path is not None
            leaf = doc.path.leaf
            if doc.id.startswith(DESIGN_PREFIX) or (doc.id, leaf) in purged:
                outcomes[number] = format_rev(leaf)  # not taken, and not asked about again
            else:
                judged.append((number, doc))
        results = await database.write([doc for _, doc in judged], replicated=True) if judged else []
        taken = []
        for (number, doc), result in zip(judged, results, strict=True):
            outcomes[number] = result
            if isinstance(result, ProtocolError):
                self._note(doc, result)
            else:
                taken.append(doc.id)
        if taken:
            self.strange = self.strange.took(len(taken))
            # The chain of writes has each of them.
            log.warning(
                "documents were written in CouchDB, past this server",
                documents=len(taken),
                ids=taken[:MOST_TOLD],
            )
        return [outcomes[number] for number in range(len(docs))]

    def note_others(self, progress: Progress) -> None:
        """What couldn't come as far as here: ids that no document has, texts that can't be read or taken."""
        hopeless = [one for one in progress.unreadable if one.for_good]
        found_there: list[Unreadable | Refusal] = [*hopeless, *progress.refused]
        for one in found_there:
            found = Refused(one.id, one.rev, one.reason)
            if found not in self.strange.refused:
                self._refuse(found)

    def _refuse(self, one: Refused) -> None:
        self.strange = self.strange.refused_one(one)
        log.error(
            "a document in CouchDB, written past this server, is refused",
            id=one.id,
            rev=one.rev,
            reason=one.reason,
        )

    def _note(self, doc: DocumentWrite, error: ProtocolError) -> None:
        assert doc.path is not None
        if error.status < 500:
            self._refuse(Refused(doc.id, format_rev(doc.path.leaf), error.reason))


async def _fresh(database: Database) -> None:
    if isinstance(database, SqliteDatabase):
        await database.fresh()


async def _gone(database: Database, asked: Sequence[tuple[str, Sequence[Rev]]]) -> dict[str, list[Rev]]:
    """Those of these revisions that the database doesn't have: one may have come again."""
    merged: dict[str, list[Rev]] = {}
    for docid, revs in asked:
        merged.setdefault(docid, []).extend(revs)
    missing = await database.missing_revisions(merged)
    return {docid: [parse_rev(rev) for rev in one.missing] for docid, one in missing.items()}
