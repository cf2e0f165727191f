"""Putting the operational database together with what stands before it.

Whoever opens a data directory to write to it does so with `extensions`: the index would miss what he writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from kompass.audit import AuditExtension
from kompass.audit.checkpoints import Signer
from kompass.audit.signing import FILE as KEYS_FILE
from kompass.audit.signing import SigningKeys
from kompass.business import BusinessExtension
from kompass.domain.series import SeriesTable
from kompass.domain.settings import BusinessSettings
from kompass.identity.failures import SharedFailures
from kompass.privacy.journal import Journal
from kompass.privacy.register import Register
from kompass.revocations.log import RevocationLog
from kompass.revocations.watching import watching
from kompass.sync import quarantine
from kompass.sync.conflicts.extension import Conflicts
from kompass.sync.gate import records
from kompass.sync.gate.gate import Gate
from kompass.sync.gate.ports import Audit, Business
from kompass.sync.index import FeedIndex
from kompass.sync.index.rules import MatrixRules
from kompass.sync.personal.local import LocalTables
from kompass.sync.quarantine import Quarantine, QuarantineIndex, Quota
from kompass.texts import TextFile
from replication.accounts.users import USERS_DATABASE
from replication.store.interface import Store
from replication.store.sqlite import Extension, Several, SqliteDatabase

DATABASE = "kompass"
"""The operational database."""


def feed_index() -> FeedIndex:
    """A new one, for one store."""
    return FeedIndex(DATABASE, MatrixRules())


def chain_of(
    keys: SigningKeys | Path,
    anchor: Path | None = None,
    *,
    disposable: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    signs: bool = True,
) -> AuditExtension:
    """A chain of writes that is signed with these keys, or those of a data directory. `disposable`: it may be
    deleted with its database, as a demo's may. Not `signs`: another process does, and this one adds to it.

    Raises `KeysError` if they can't be used.
    """
    if isinstance(keys, Path):
        keys = SigningKeys(TextFile(keys / KEYS_FILE))
    return AuditExtension(Signer(keys, anchor=anchor) if signs else None, now=now, disposable=disposable)


def extensions(
    index: FeedIndex,
    business: BusinessSettings | None = None,
    audit: AuditExtension | None = None,
    *,
    series: SeriesTable | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    journal: Journal | None = None,
    revocations: RevocationLog | None = None,
    failures: SharedFailures | None = None,
) -> Mapping[str, Extension]:
    """What `SqliteStore.open` must be given, by database. `series` are the forms of numbers.

    The documents have the rules of the business, the index of who sees what, the chain of writes, by default
    one without signatures, the conflicts, and the register of what people want done with their data, whose
    erasures go into the `journal`; the quarantine has its own index. What is taken from people, here and
    from logins and devices, goes into the log of `revocations`. `failures`: of logins, for other processes.
    """
    watches = {} if revocations is None else watching(revocations, index.database_name)
    own = watches.pop(index.database_name, None)
    if failures is not None:
        watch = watches.get(USERS_DATABASE)
        watches[USERS_DATABASE] = failures if watch is None else Several(watch, failures)
    return {
        **watches,
        index.database_name: Several(
            BusinessExtension(
                index.keyed_revision, business, series=series, may_read=index.may_read, now=now
            ),
            records.RecordTables(),
            LocalTables(),
            index,
            audit or AuditExtension(),
            Conflicts(index, now),
            Register(now) if journal is None else Register(now, journal.add, journal.reword),
            *(() if own is None else (own,)),
        ),
        quarantine.DATABASE: QuarantineIndex(),
    }


def business_of(database: SqliteDatabase) -> BusinessExtension:
    """What was given for the database of documents."""
    several = database.extension
    assert isinstance(several, Several)
    (found,) = [one for one in several.extensions if isinstance(one, BusinessExtension)]
    return found


def chain_in(database: SqliteDatabase) -> AuditExtension:
    """The chain of writes that was given for the database of documents."""
    several = database.extension
    assert isinstance(several, Several)
    (found,) = [one for one in several.extensions if isinstance(one, AuditExtension)]
    return found


async def open_gate(
    store: Store,
    index: FeedIndex,
    quota: Quota | None = None,
    business: Business | None = None,
    audit: Audit | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Gate:
    """The gate of the database that `index` belongs to, which exists. Makes what it needs beside it.

    `business` has the rules that documents keep, by default none; `audit` hears of what is refused.

    Whoever serves with it runs `Gate.keep_house` for as long.
    """
    database = store.get(index.database_name)
    assert isinstance(database, SqliteDatabase)
    gate = Gate(
        database,
        index,
        await Quarantine.open(store, quota),
        business=business,
        audit=audit,
        pass_time=business_of(database).pass_time,
        now=now,
    )
    await gate.prepare()
    return gate
