"""One process of a cluster: the product over its copies of the databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog
from starlette.types import Message, Receive, Scope, Send

from kompass.beside import given
from kompass.business import BusinessRules
from kompass.cluster import schema
from kompass.cluster.member import Member
from kompass.cluster.texts import PostgresTexts
from kompass.identity.devices import DATABASE as DEVICES
from kompass.server import Product, create_product
from kompass.settings import Settings
from kompass.sync.opening import DATABASE
from kompass.sync.quarantine import DATABASE as QUARANTINE
from kompass.sync.serving import Sync
from replication.accounts.users import USERS_DATABASE
from replication.protocol.errors import ProtocolError
from replication.replicator.documents import REPLICATOR_DATABASE
from replication.store.sqlite import LOST, SharedStore, TablesAheadError

NEEDED = frozenset({DATABASE, QUARANTINE, DEVICES, USERS_DATABASE, REPLICATOR_DATABASE})
"""Databases that the leader makes."""
_LOOK_SECONDS = 0.5
_SETTINGS_SECONDS = 2.0

log = structlog.get_logger(__name__)


def named(command: str) -> str:
    """As what PostgreSQL lists a process with this version of the tables."""
    return f"{command} v{schema.VERSION}"


def is_past(lost: Mapping[str, Exception]) -> bool:
    """Whether copies can't follow because a newer version of the program has to do it."""
    return any(isinstance(error, TablesAheadError) for error in lost.values())


class Process:
    """From its making, which connects to nothing, to `close`, or to the end of its lifespan as an ASGI
    application."""

    def __init__(self, settings: Settings, name: str, *, leads: bool) -> None:
        """`name`: as what PostgreSQL lists it, with the version. Raises `NoClusterError`."""
        self.settings = settings
        self.member = Member.of(settings, named(name))
        self._leads = leads
        self._waits = False
        self.sync: Sync
        self.store: SharedStore
        self.product: Product | None = None
        self._following: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Fetches the copies, which may take minutes. Raises as `Member.join_early`, `Sync` and
        `SharedStore`.
        """
        await asyncio.to_thread(self.member.join_early)
        try:
            self.sync = Sync(
                self.settings.directory,
                BusinessRules(),
                self.settings.series,
                anchor=self.settings.audit_anchor,
                texts=PostgresTexts(self.member.connections),
                opens=self.member.open_store,
                leads=self._leads,
            )
            store = await self.sync.open_store()
            assert isinstance(store, SharedStore)
            self.store = store
        except BaseException:
            await self.member.leave()
            raise

    async def is_raised(self) -> bool:
        """Whether the cluster's tables have the version that this program knows. If they are of an earlier
        one, copies are brought up to date, so that it can serve as soon as they have. Nothing of theirs is
        open before. Raises as `Member.is_raised`."""
        try:
            if await asyncio.to_thread(self.member.is_raised):
                return True
            if not self._waits:
                log.info("waiting: the cluster's tables are of an earlier version until `kompass upgrade`")
                self._waits = True
            await asyncio.to_thread(self.store.play_closed)
        except ProtocolError:  # away
            return False
        except LOST as error:
            log.info("a copy is out of step: it is fetched anew", why=str(error))
        return False

    async def until_raised(self) -> None:
        """Returns when `is_raised`."""
        while not await self.is_raised():  # noqa: ASYNC110 - it is in PostgreSQL
            await asyncio.sleep(_LOOK_SECONDS)

    async def follow(self) -> None:
        """Brings the copies up to date, as far as that is possible now."""
        with suppress(ProtocolError):
            for name in await self.store.names():
                self.store.get(name)
            await self.store.fresh()

    async def start(self) -> Product:
        """The product, which works from now on. Who doesn't lead waits until there are databases to serve."""
        told = False
        while not (self._leads or set(await self.store.names()) >= NEEDED):
            if not told:
                log.info("waiting until `kompass index` has made the databases")
                told = True
            await asyncio.sleep(_LOOK_SECONDS)
        self.product = await create_product(
            self.store,
            self.sync,
            self.settings,
            feed_secret=given(self.settings.feed_secret),
            jobs_secret=given(self.settings.jobs_secret),
        )
        self._following = asyncio.create_task(self._follow_settings(self.product), name="settings")
        return self.product

    async def _follow_settings(self, product: Product) -> None:
        """What is set at another process while it runs holds here, too."""
        text = await self.store.settings()
        while True:
            await asyncio.sleep(_SETTINGS_SECONDS)
            with suppress(ProtocolError):  # away: what was set last holds
                before, text = text, await self.store.settings()
                if text != before:
                    await product.documents.server.changes.load()

    async def until_lost(self) -> Mapping[str, Exception]:
        """Returns when a copy can't follow any more, with why: another process has to take the place of this
        one.
        """
        while True:
            lost = self.store.lost()
            if lost:
                why = {name: str(error) for name, error in lost.items()}
                if is_past(lost):
                    log.error("the cluster has gone on to a newer version of the program", why=why)
                else:
                    log.error("a copy is out of step: it is fetched anew by the next start", why=why)
                return lost
            await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        if self.product is None:
            await self.sync.close()
            await self.store.close()
        else:
            self._unfollow()
            await self.product.close()
            await self.product.documents.server.close()
        await self.member.leave()

    def _unfollow(self) -> None:
        if self._following is not None:
            self._following.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.product is not None

        async def leaving(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                self._unfollow()
                await self.member.leave()
            await send(message)

        await self.product(scope, receive, leaving if scope["type"] == "lifespan" else send)
