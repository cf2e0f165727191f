"""Purge: leaves go without a trace in the feed, as if they had never come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import apsw
import orjson

from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, format_rev
from replication.protocol.sequences import Epochs
from replication.store.sqlite import indexes
from replication.store.sqlite.edits import Batch, drop_bodies
from replication.store.sqlite.transaction import ChangedDocument, Transaction
from replication.store.values import PurgeRequest


def purge(
    transaction: Transaction, epochs: Epochs, revs_limit: int, asked: Mapping[str, Sequence[Rev]]
) -> dict[str, list[str]]:
    """Removes the asked leaves. A document that keeps others moves to a new sequence number."""
    connection = transaction.connection
    batch = Batch(transaction, epochs, revs_limit, None)
    purged: dict[str, list[str]] = {}
    for docid, revs in asked.items():
        entry = batch.entry(docid)
        if entry is None:
            purged[docid] = []
            continue
        tree = entry.tree.copy()
        gone = tree.remove_leaves(revs)
        purged[docid] = batch.purged[docid] = [format_rev(rev) for rev in gone]
        if not gone:
            continue
        stored = batch.stored_bodies(entry)
        kept = {format_rev(rev) for rev in tree}
        drop_bodies(transaction, [at.body for name, at in stored.items() if name not in kept])
        indexes.unindex(transaction, docid)
        if docid.startswith(DESIGN_PREFIX):
            transaction.designs = True
        if kept:
            batch.place(entry, tree, {n: at for n, at in stored.items() if n in kept})
            batch.touch(entry)
            continue
        connection.execute("DELETE FROM revs WHERE doc = ?", (entry.num,))
        connection.execute("DELETE FROM docs WHERE id = ?", (docid,))
        connection.execute("DELETE FROM changes WHERE seq = ?", (entry.seq,))
        transaction.moved.append((entry.seq, 0))
        if transaction.changed is not None:
            was = orjson.dumps(entry.tree.to_json())
            transaction.changed.append(
                ChangedDocument(docid, entry.num, entry.seq, 0, entry.rev, True, was, 0, (), purged[docid])
            )
        if entry.deleted:
            transaction.counters.deleted_count -= 1
        else:
            transaction.counters.doc_count -= 1
            transaction.shown.append((docid, -1))
        # The number is used up, so that readers at the end of the feed notice that something happened.
        transaction.counters.update_seq += 1
    batch.flush()
    if any(purged.values()):
        transaction.counters.purge_seq += 1
    _remember(connection, asked)
    return purged


def _remember(connection: apsw.Connection, asked: Mapping[str, Sequence[Rev]]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO purges (id, revs) VALUES (?, ?)",
        [(docid, json.dumps([format_rev(rev) for rev in revs])) for docid, revs in asked.items()],
    )
    forget_requests(connection)


def forget_requests(connection: apsw.Connection) -> None:
    """Drops the oldest requests until there are no more than the limit."""
    connection.execute(
        "DELETE FROM purges WHERE num NOT IN (SELECT num FROM purges ORDER BY num DESC LIMIT"
        " (SELECT value FROM meta WHERE name = 'purge_requests_limit'))"
    )


def requests(connection: apsw.Connection) -> list[PurgeRequest]:
    rows = connection.execute("SELECT id, revs FROM purges ORDER BY num")
    return [PurgeRequest(docid, json.loads(revs)) for docid, revs in rows]
