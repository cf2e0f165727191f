"""What stands between people and the operational database while it is served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

from kompass.access.principals import Role
from kompass.access.services import AUTHOR
from kompass.audit import SYSTEM, acting_as
from kompass.audit.signing import FILE as KEYS_FILE
from kompass.audit.signing import KeysError, SigningKeys
from kompass.domain import users
from kompass.domain.personal import ANONYMIZED
from kompass.domain.series import SeriesTable
from kompass.domain.stamps import timestamp
from kompass.identity.failures import SharedFailures
from kompass.identity.records import Record, RoleChange
from kompass.identity.stored import Members, change_document, next_version
from kompass.privacy import erasures
from kompass.privacy.accounts import Accounts, identity_digest
from kompass.privacy.desk import FILE as HINDRANCE_FILE
from kompass.privacy.desk import ErasureDesk, Hindrance
from kompass.privacy.journal import FILE as ERASURES_FILE
from kompass.privacy.journal import Journal
from kompass.privacy.service import Privacy, outline
from kompass.revocations.log import FILE as REVOCATIONS_FILE
from kompass.revocations.log import RevocationLog, RevocationLogError
from kompass.sync.gate import records
from kompass.sync.gate.gate import Gate
from kompass.sync.gate.ports import Business
from kompass.sync.opening import DATABASE, chain_of, extensions, feed_index, open_gate
from kompass.sync.personal import PersonalViews
from kompass.sync.quarantine import Quota
from kompass.sync.toucher import Toucher
from kompass.texts import TextFiles, Texts
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import Extension, SqliteDatabase, SqliteStore, Writing

RESUMED_EVERY = 60.0
"""Seconds after which an erasure is gone on with that couldn't be finished, or was done on another server."""
SIGNED_EVERY = 86_400.0
"""Seconds after which the chain of writes is signed, even if little was written."""
SIGNED_FOR_OTHERS_EVERY = 60.0
"""Seconds after which is looked whether other processes have written enough for a signature."""

log = structlog.get_logger(__name__)


class OpensStore(Protocol):
    """Opens the databases of a directory, with what extends them by name."""

    def __call__(
        self, directory: Path, /, *, extensions: Mapping[str, Extension]
    ) -> Awaitable[SqliteStore]: ...


class Sync:
    """`open_store`, then `start` when the database is there, and `close` before the store is closed."""

    def __init__(
        self,
        directory: Path,
        business: Business | None = None,
        series: SeriesTable | None = None,
        *,
        anchor: Path | None = None,
        disposable: bool = False,
        texts: Texts | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        opens: OpensStore = SqliteStore.open,
        leads: bool = True,
    ) -> None:
        """`business` has the rules that documents keep, by default none; `series` are forms of numbers.
        `anchor` gets each checkpoint of the chain of writes. `disposable`: the database may be deleted while
        it is served, for nothing in it has to be kept. `texts`: where keys and logs are, by default in the
        directory. `now` is the server's clock. `opens` makes the store.

        Of several processes that serve the same databases one `leads`: it does what has to be done once.

        Raises `KeysError` if the keys of the chain of writes can't be used.
        """
        texts = texts or TextFiles(directory)
        self._directory = directory
        self._business = business
        self._series = series
        self.index = feed_index()
        self.file = directory / f"{DATABASE}.sqlite"
        """Where the operational database lies, with its chain of writes."""
        self.keys = SigningKeys(texts[KEYS_FILE])
        self._now = now
        self._opens = opens
        self.leads = leads
        self.audit = chain_of(self.keys, anchor, disposable=disposable, now=now, signs=leads)
        self.revocations = RevocationLog(texts[REVOCATIONS_FILE])
        """Of what was taken from people: taken again before anybody is served if a database lacks it."""
        self.failures = SharedFailures()
        """Of logins, which count wherever they happen."""
        self.journal = Journal(texts[ERASURES_FILE])
        """Of erasures, which are done again before anybody is served if the database lacks them."""
        self.erasures = ErasureDesk(lambda: self.gate().database, Hindrance(texts[HINDRANCE_FILE]))
        """How far what erasures have left to do elsewhere is."""
        self._store: SqliteStore | None = None
        self._gate: Gate | None = None
        self._toucher: Toucher | None = None
        self._tasks: list[asyncio.Task[None]] = []
        """What goes on beside requests, on the gate's database."""
        self._context = copy_context()
        self.view = PersonalViews(DATABASE, self.index, self._gate_of, records.author_of)
        """For `create_app`."""

    async def open_store(self) -> SqliteStore:
        """The store, whose databases keep the index and the quarantine's tables.

        Raises `RevocationLogError`.
        """
        extended = extensions(
            self.index, audit=self.audit, series=self._series, now=self._now, journal=self.journal,
            revocations=self.revocations, failures=self.failures,
        )  # fmt: skip
        store = await self._opens(self._directory, extensions=extended)
        try:
            self.revocations.load()
        except RevocationLogError:
            await store.close()
            raise
        return store

    async def start(self, store: SqliteStore, quota: Quota) -> Gate:
        """Opens the gate, which it returns. Who leads goes on with what was left to do: erasures first,
        before anybody is told of what lies in quarantine.
        """
        gate = await open_gate(store, self.index, quota, self._business, self.audit, now=self._now)
        if self.leads:
            await Privacy(gate, Accounts(store)).resume()
        self._store = store
        self._context = copy_context()
        self._keep(gate)
        return gate

    def _keep(self, gate: Gate) -> None:
        self._gate = gate
        if self.leads:
            # In nobody's name: it may be somebody's request that finds another database.
            self._context.copy().run(self._keep_house, gate)

    def _keep_house(self, gate: Gate) -> None:
        self._tasks = [
            asyncio.create_task(gate.keep_house(), name="gate"),
            asyncio.create_task(self._sign_daily(gate), name="checkpoints"),
            asyncio.create_task(self._finish_erasures(gate), name="erasures"),
        ]
        self._toucher = Toucher(gate.database, self.index)
        self._toucher.start()

    def gate(self) -> Gate:
        """The gate of the database that is there now. Raises 503 if there is none."""
        database = None
        if self._store is not None:
            with suppress(ProtocolError):
                database = self._store.get(DATABASE)
        if not isinstance(database, SqliteDatabase):
            raise errors.unavailable(f"There is no database {DATABASE}: an administrator has to make it.")
        return self._gate_of(database)

    async def close(self) -> None:
        """Does nothing if it wasn't started."""
        if self._gate is None:
            return
        self._leave()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._toucher is not None:
            await self._toucher.close()
        if self.leads:
            await self._sign(self._gate.database)

    async def _finish_erasures(self, gate: Gate) -> None:
        acting_as(SYSTEM)
        while True:
            await asyncio.sleep(RESUMED_EVERY)
            assert self._store is not None
            try:
                privacy = Privacy(gate, Accounts(self._store))
                await privacy.resume()
                await privacy.follow()
            except Exception as error:
                log.error("erasures could not be looked at: that is tried again", **outline(error))

    async def _sign_daily(self, gate: Gate) -> None:
        """Signs once a day; what others write in between as often as they would. Then what uploads have left
        goes that broke off.
        """
        acting_as(SYSTEM)
        while True:
            for _ in range(int(SIGNED_EVERY / SIGNED_FOR_OTHERS_EVERY)):
                await asyncio.sleep(SIGNED_FOR_OTHERS_EVERY)
                if gate.database.is_shared:
                    await self._sign(gate.database, self.audit.sign_if_due)
            await self._sign(gate.database)
            for database in (gate.database, gate.quarantine.database):
                with suppress(ProtocolError):
                    await database.drop_leftovers()

    async def _sign(self, database: SqliteDatabase, sign: Callable[[Writing], None] | None = None) -> None:
        """Signs where the chain of writes is."""
        try:
            await database.transact(sign or self.audit.checkpoint)
        except (ProtocolError, OSError, KeysError):
            log.exception("the chain of writes could not be signed")

    async def roles_changed(self, change: RoleChange) -> None:
        """Keeps the user's document as his login is: what he sees goes by it. A hook of `Records`.

        Somebody who is disabled keeps the roles of his record there as well. He gets in nowhere; but taking
        everything from him and giving it back would write each document he sees.
        """
        await self._record(change.name, change.recorded, active=change.active)

    def is_erased(self, subject: str) -> bool:
        """Whether the account of this identity of Keycloak's was erased here. For `Records.is_erased`."""
        gate = self._gate_now()
        if gate is None:
            return False
        with gate.database.reading() as reading:
            return erasures.knows_identity(reading, identity_digest(subject))

    async def met(self, record: Record) -> None:
        """Somebody asks whose login an administrator wrote by hand. A hook of the identity's gate.

        He gets a user document if he never had one. One with roles that his login has lost loses them, too;
        it never gets more: whoever took them from the document wants them gone.
        """
        gate = self._gate_now()
        if gate is None or not record.roles:
            return
        with gate.database.reading() as reading:
            known = self.index.roles(reading, record.name)
            if known is None and reading.winner(_document_id(record.name)) is not None:
                return
        if known is None:
            await self._record(record.name, record.roles, active=True)
        elif not known <= record.roles:
            await self._record(record.name, known & record.roles, active=True)

    async def _record(self, name: str, roles: frozenset[Role], *, active: bool) -> None:
        gate = self._gate_now()
        if gate is None:
            return
        now = timestamp(datetime.now(UTC))

        def changed(members: Members | None) -> Members | None:
            before = members or {
                "type": "user",
                "name": name,
                "userName": name,
                "createdAt": now,
                "createdBy": AUTHOR,
                "version": 0,
            }
            if before.get(ANONYMIZED) is True:
                return None  # whoever was erased doesn't come back
            after = {**before, "roles": sorted(roles), "active": active}
            # What it lacks still (email, displayName, primaryRole) follows in the same transaction.
            return None if after == members else next_version(after)

        await change_document(gate.database, _document_id(name), changed)

    async def described(self, name: str, email: str, display_name: str) -> None:
        """Keeps in the user's document what Keycloak says of him. A hook of `Records`."""
        gate = self._gate_now()
        if gate is None:
            return

        def changed(members: Members | None) -> Members | None:
            said = {} if members is None else users.described(members, email, display_name)
            return next_version({**(members or {}), **said}) if said else None

        await change_document(gate.database, _document_id(name), changed)

    def _gate_now(self) -> Gate | None:
        """The gate, if there is one."""
        try:
            return self.gate()
        except ProtocolError:
            return None

    def _gate_of(self, database: SqliteDatabase) -> Gate:
        """The gate of this database, another one if it was deleted and made again."""
        before = self._gate
        if before is None:
            raise errors.unavailable(f"{DATABASE} is being opened.")
        if before.database is not database:
            self._leave()
            self._keep(before.of(database))
        assert self._gate is not None
        return self._gate

    def _leave(self) -> None:
        """Ends what worked on a database that is gone."""
        for task in self._tasks:
            task.cancel()
        if self._toucher is not None:
            self._toucher.cancel()


def _document_id(name: str) -> str:
    return f"user-{name}"
