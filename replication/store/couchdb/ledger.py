"""The ledger of a CouchDB database: which documents there are, and in which order we heard of their changes.

CouchDB's sequences are opaque, and are in no order that others could compare. The ledger gives every change
that the feed tells of a number of its own, in the order in which they are told. It is a database file of the
embedded driver without documents in it: ids, leaves, numbers, and the indexes over them. Listings and the
feed are read from it; everything else is asked of CouchDB.

Why no reader ever misses a change. A reader was given numbers up to `n` and goes on behind `n`.

1. *Heard means numbered.* Rows of CouchDB's feed are taken in the order in which they come. A row that tells
   of the same leaves as the ledger already has is dropped; any other one takes the document's place in the
   ledger, under a number greater than all before. So the ledger's row of a document always is what was last
   heard of it, and whoever has read up to `n` has either seen that row or finds it behind `n`.
2. *Numbers are for good.* The rows, and CouchDB's `seq` of the last of them, are one transaction, on disk
   before anybody can read it. After a crash the feed is asked from a `seq` whose rows are all there; no
   number is ever given twice in an epoch, for the counter is in the same transaction.
3. *Asked again, CouchDB leaves nothing out.* It promises for every `seq` of its own that the feed from there
   has all documents that changed after it. It doesn't promise the order, nor that a row doesn't come again,
   nor that it isn't an older one from a copy that lags behind: then the newer one follows. By 1. a
   repetition is dropped or numbered anew: rows come again, none gets lost, and the last one is the right one.
4. *Another ledger is another epoch.* A ledger that is new, or begun anew because the database was made again
   or somebody has purged documents behind our back, has an epoch of its own. A sequence from any other one is
   unknown to it, and its reader starts from 0. Numbers go on growing even then, so a reader who is in the
   middle of waiting sees everything once more.

`tests/replication/store/couchdb/test_ledger.py` has this tried by a feed that reorders, repeats and restarts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import apsw

from replication.protocol import jsontext
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.protocol.sequences import Epoch, Epochs, new_epoch_name
from replication.store.sqlite import indexes
from replication.store.sqlite.entries import change_text
from replication.store.sqlite.listed import ListedDatabase
from replication.store.sqlite.reading import id_list
from replication.store.sqlite.transaction import Transaction

SEEN_SECONDS = 2.0
SEEN_SECONDS_EACH = 0.002
"""How long a writer waits for the feed to tell of what he has written, and of each document more."""

LeavesAtServer = Callable[[Sequence[str]], Awaitable[Mapping[str, Collection[Rev]]]]
"""The leaves of documents, by id, as they are at the server."""

log = logging.getLogger("replication.couchdb")


class Heard(NamedTuple):
    """A row of CouchDB's feed."""

    id: str
    revs: tuple[str, ...]
    """All leaves, the winner first."""
    deleted: bool
    """Whether the winner is a deletion."""


class Origin(NamedTuple):
    """What tells a database from another one of the same name, and from itself after a purge."""

    created: str
    """`instance_start_time`"""
    purges: int
    """The number of `purge_seq`. Copies of a cluster tell it as far as they have come, and one that took the
    place of another counts from anew: the greatest is the right one."""

    def is_of(self, known: Origin) -> bool:
        """Whether a ledger with the origin `known` is of the database that tells this one."""
        return self.created == known.created and self.purges <= known.purges

    def purged(self, documents: int) -> Origin:
        """After a request of our own that purged in so many documents: CouchDB counts each."""
        return self._replace(purges=self.purges + documents)


class Known(NamedTuple):
    """What the ledger has of a document."""

    seq: int
    revs: tuple[str, ...]
    deleted: bool


class LedgerDatabase(ListedDatabase):
    """A database whose documents are elsewhere. `path` is its ledger."""

    # -- what is known -------------------------------------------------------------------------

    def known(self, docids: Iterable[str]) -> dict[str, Known]:
        """Documents by id; unknown ones are left out."""
        with self._connections.reader() as connection:
            rows: Any = connection.execute(
                "SELECT id, seq, tree, deleted FROM (SELECT value AS asked FROM json_each(?))"
                " CROSS JOIN docs ON docs.id = asked",
                (id_list(dict.fromkeys(docids)),),
            )
            return {
                docid: Known(seq, tuple(jsontext.decode(tree)), bool(deleted))
                for docid, seq, tree, deleted in rows
            }

    def position(self) -> str:
        """CouchDB's `seq` up to which the feed has been heard."""
        return self._noted("since", "0")

    def origin(self) -> Origin | None:
        """Of the database that the ledger is about; None before it is about any."""
        text = self._noted("origin", "")
        return Origin(*jsontext.decode(text)) if text else None

    def _noted(self, name: str, default: str) -> str:
        with self._connections.reader() as connection:
            found = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).get
        return default if found is None else str(found)

    async def seen(
        self,
        written: Mapping[str, Rev],
        leaves: LeavesAtServer,
        without: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        """Returns when the feed has told of these revisions, or of what came after; or in the end without.

        So that whoever has written something finds it in the feed and in listings. It doesn't have to: what
        isn't heard of now will be. `leaves` is asked about documents that have other leaves as new as what
        was written: it may have been superseded or known before, and then there is nothing to wait for.
        `without`: leaves that documents no longer have, which the feed has to tell as well.
        """
        waiting = dict(written)
        sure: set[str] = set()
        try:
            async with asyncio.timeout(SEEN_SECONDS + len(written) * SEEN_SECONDS_EACH):
                while waiting:
                    unsure: list[str] = []
                    await self._waiting.until(partial(self._heard_or_unsure, waiting, without, sure, unsure))
                    found = await leaves(unsure) if unsure else {}
                    for docid in unsure:
                        if waiting[docid] in found.get(docid, ()):
                            sure.add(docid)
                        else:
                            del waiting[docid]
        except TimeoutError:
            log.warning("%s: the feed lags behind by more than %s s", self.name, SEEN_SECONDS)

    def _heard_or_unsure(
        self,
        waiting: dict[str, Rev],
        without: Mapping[str, Collection[str]],
        sure: set[str],
        unsure: list[str],
    ) -> bool:
        """Takes out of `waiting` what was heard. True if that is all, or if something has to be asked."""
        if self._connections.is_closed():
            waiting.clear()
        unsure.clear()
        for docid, known in self.known(waiting).items() if waiting else ():
            rev = waiting[docid]
            if known.seq > self.update_seq:
                continue  # committed, but not yet counted: somebody may ask for the number
            if not set(known.revs).isdisjoint(without.get(docid, ())):
                continue
            if format_rev(rev) in known.revs:
                del waiting[docid]
            elif docid not in sure and any(parse_rev(leaf)[0] >= rev[0] for leaf in known.revs):
                unsure.append(docid)
        return not waiting or bool(unsure)

    # -- what is heard -------------------------------------------------------------------------

    async def hear(self, rows: Sequence[Heard], since: str) -> None:
        """Takes rows over, in order. `since`: CouchDB's `seq` behind them."""
        await self._write(lambda transaction: _hear(transaction, self._epochs.current, rows, since))

    async def begin(self, origin: Origin) -> None:
        """Makes the ledger one of this database: empty, in an epoch of its own."""
        name = new_epoch_name()

        def run(transaction: Transaction) -> int:
            connection = transaction.connection
            connection.execute(
                "DELETE FROM changes; DELETE FROM docs; DELETE FROM epochs;"
                " DELETE FROM row_partials; DELETE FROM index_entries; DELETE FROM indexes"
            )
            first = transaction.counters.update_seq
            connection.execute("INSERT INTO epochs VALUES (?, ?)", (first, name))
            transaction.counters.doc_count = transaction.counters.deleted_count = 0
            # Nobody's page of changes, and nothing reduced, is good any more.
            transaction.counters.purge_seq += 1
            transaction.designs = True
            _note(connection, "since", "0")
            _note_origin(connection, origin)
            return first

        first = await self._write(run)
        self._epochs = Epochs([Epoch(name, first)])
        self._counts.forget()
        self._waiting.wake()

    async def purged(self, gone: Sequence[str], touched: Sequence[str], origin: Origin) -> None:
        """We have purged something ourselves: documents that are gone, and others that have leaves left.

        `origin`: of the database since then.
        """
        await self._write(lambda transaction: _purge(transaction, gone, touched, origin))


def _note(connection: apsw.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _note_origin(connection: apsw.Connection, origin: Origin) -> None:
    _note(connection, "origin", jsontext.encode(origin).decode())


def _hear(transaction: Transaction, epoch: str, rows: Sequence[Heard], since: str) -> None:
    connection = transaction.connection
    counters = transaction.counters
    latest: dict[str, Heard] = {}
    for row in rows:
        latest.pop(row.id, None)
        latest[row.id] = row
    stored: dict[str, tuple[int, int, bytes, int]] = {
        docid: (num, seq, tree, deleted)
        for docid, num, seq, tree, deleted in connection.execute(
            "SELECT id, num, seq, tree, deleted FROM (SELECT value AS asked FROM json_each(?))"
            " CROSS JOIN docs ON docs.id = asked",
            (id_list(latest),),
        )
    }
    old, changes, docs = [], [], []
    for docid, row in latest.items():
        tree = jsontext.encode(row.revs)
        known = stored.get(docid)
        if known is not None and known[2:] == (tree, int(row.deleted)):
            continue
        counters.update_seq += 1
        seq = counters.update_seq
        if docid.startswith(DESIGN_PREFIX):
            transaction.designs = True
        was_shown = known is not None and not known[3]
        if known is not None:
            old.append((known[1],))
            _count(transaction, deleted=bool(known[3]), step=-1)
        _count(transaction, deleted=row.deleted, step=1)
        if was_shown == row.deleted:
            transaction.shown.append((docid, -1 if row.deleted else 1))
        transaction.moved.append((known[1] if known else 0, seq))
        quoted, shown = jsontext.quote(docid), f"{seq}-{epoch}"
        leaves = None
        if len(row.revs) > 1:
            leaves = change_text(shown, quoted, list(row.revs), row.deleted)
        winner = change_text(shown, quoted, [row.revs[0]], row.deleted)
        changes.append((seq, docid, row.deleted, 0, winner, leaves))
        num = known[0] if known else seq
        docs.append((docid, num, seq, row.revs[0], row.deleted, 0, len(row.revs), 0, tree))
    connection.executemany("DELETE FROM changes WHERE seq = ?", old)
    connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?)", changes)
    connection.executemany("INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", docs)
    _note(connection, "since", since)


def _count(transaction: Transaction, *, deleted: bool, step: int) -> None:
    if deleted:
        transaction.counters.deleted_count += step
    else:
        transaction.counters.doc_count += step


def _purge(transaction: Transaction, gone: Sequence[str], touched: Sequence[str], origin: Origin) -> None:
    connection = transaction.connection
    for docid in (*gone, *touched):
        indexes.unindex(transaction, docid)
        if docid.startswith(DESIGN_PREFIX):
            transaction.designs = True
    for docid in gone:
        row: Any = connection.execute("SELECT seq, deleted FROM docs WHERE id = ?", (docid,)).fetchone()
        if row is None:
            continue
        seq, deleted = row
        connection.execute("DELETE FROM docs WHERE id = ?", (docid,))
        connection.execute("DELETE FROM changes WHERE seq = ?", (seq,))
        transaction.moved.append((seq, 0))
        _count(transaction, deleted=bool(deleted), step=-1)
        if not deleted:
            transaction.shown.append((docid, -1))
        # The number is used up, so that readers at the end of the feed notice that something happened.
        transaction.counters.update_seq += 1
    if gone or touched:
        transaction.counters.purge_seq += 1
    _note_origin(connection, origin)
