"""Doing again what the log has and a database hasn't, as after a restore, before anybody is served."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from kompass.identity.stored import Members, change_document, next_version
from kompass.revocations.log import Change, RevocationLog
from kompass.revocations.states import Kind, is_harmless, kind_of, kinds
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import parse_rev
from replication.store.interface import Database, Store
from replication.store.values import KeyRange

_PAGE = 500

log = structlog.get_logger(__name__)


async def replay(store: Store, revocations: RevocationLog, documents: str) -> list[Change]:
    """Takes away what the databases have more than the log; returns what had to be done.

    `documents` is the operational database. What databases have and the log hasn't, because it could not be
    written, is added to it.
    """
    done: list[Change] = []
    there = await store.names()
    for name, kinds_there in kinds(documents).items():
        if name not in there:
            continue
        database = store.get(name)
        settled = []
        for change in revocations.latest(name):
            if _is_in_the_past(database, change):
                continue
            kind = kind_of(kinds_there, change.name)
            if kind is not None and await _taken(database, kind, change, is_business=name == documents):
                log.warning("the database was restored: a revocation was done again", what=change.name)
                done.append(change)
            settled.append(change)
        # From now on this past has them.
        here = database.epochs.current, database.update_seq
        revocations.add([one._replace(epoch=here[0], seq=here[1]) for one in settled])
        revocations.add(await _unknown(database, kinds_there, revocations))
    return done


def _is_in_the_past(database: Database, change: Change) -> bool:
    """Whether the database has had this change: then its present state came after it."""
    return database.epochs.resolve(f"{change.seq}-{change.epoch}", database.update_seq) >= change.seq


async def _taken(database: Database, kind: Kind, change: Change, *, is_business: bool) -> bool:
    """Brings one document to the state of the log, where that is less; whether anything was written."""
    state = change.state
    if state is None:
        return await _deleted(database, change.name)

    def narrowed(members: Members | None) -> Members | None:
        after = kind.made(state) if members is None else kind.narrowed(members, state)
        if after is None or after == members or not is_business:
            return after
        return next_version(after)

    before, after = await change_document(database, change.name, narrowed)
    return before != after


async def _deleted(database: Database, docid: str) -> bool:
    winner = await database.winner(docid)
    if winner is None or winner.deleted:
        return False
    write = DocumentWrite(docid, deleted=True, body=b"{}", parent=parse_rev(winner.rev))
    (outcome,) = await database.write([write])
    if isinstance(outcome, ProtocolError):
        raise outcome
    return True


async def _unknown(
    database: Database, kinds_there: Sequence[Kind], revocations: RevocationLog
) -> list[Change]:
    """States that differ from the log's, or that it hasn't."""
    found = []
    for kind in kinds_there:
        start, inclusive = kind.prefix, True
        while True:
            span = KeyRange(start, kind.prefix + "\U0010ffff", inclusive_start=inclusive)
            page = await database.documents(span, limit=_PAGE)
            for document in page:
                if document.id.startswith(DESIGN_PREFIX):
                    continue
                state = kind.state(document.text)
                last = revocations.last(database.name, document.id)
                if last.state != state if last is not None else not is_harmless(database.name, state):
                    found.append(
                        Change(database.name, database.epochs.current, document.seq, document.id, state)
                    )
            if len(page) < _PAGE:
                break
            start, inclusive = page[-1].id, False
    return found
