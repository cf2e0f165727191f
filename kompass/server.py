"""The product as one ASGI application: its own paths, and the document server for everything else.

A table decides by the first segment of the path. Those segments are no names for databases, so that no
document can ever be hidden by one of them. Of the operational database the document server shows everybody
but its administrators what is his, and stores what he writes if the gate lets it through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import unquote_to_bytes

import orjson
import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompass.api.counting import Limits
from kompass.api.metrics import metrics
from kompass.api.resources import create_api
from kompass.api.services import Chain, Services
from kompass.app import Page
from kompass.audit import Actor, Door, acting, actor
from kompass.calendars.store import CalendarStore
from kompass.demo import load as demo
from kompass.einvoices.reading import InvoiceReader
from kompass.exports.batches import Batches
from kompass.exports.making import Exports
from kompass.feed.desk import FeedDesk
from kompass.identity.devices import HEADERS as DEVICE_HEADERS
from kompass.identity.records import RESERVED
from kompass.identity.setup import IdentityServices, create_identity
from kompass.imports.desk import ImportDesk
from kompass.imports.working import ImportService
from kompass.jobs.desk import JobsDesk
from kompass.lexware.exchange import Exchange
from kompass.lexware.keeping import Keeper
from kompass.printing.typesetter import Typesetter
from kompass.privacy.accounts import Accounts
from kompass.privacy.service import Privacy
from kompass.readstore.reading import ReadStore
from kompass.requests import Requests
from kompass.revocations.replaying import replay
from kompass.search.service import Search
from kompass.search.setup import create_search
from kompass.settings import Settings
from kompass.sqlfile import shared_files
from kompass.sync.opening import DATABASE
from kompass.sync.quarantine import Quota
from kompass.sync.serving import Sync
from kompass.vectors.setup import create_meaning
from replication.accounts.passwords import ITERATIONS
from replication.http import Application, ServerConfig, create_app
from replication.http.live_feeds import LiveFeeds
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.replicator.hosts import LOOPBACK
from replication.store.sqlite import SqliteStore

SECURITY = orjson.dumps(
    {
        "admins": {"names": [], "roles": ["_admin"]},
        "members": {"names": [], "roles": ["ADM", "INNEN", "PLAN", "KALK", "BUCH", "GF", "ADMIN"]},
    }
)
"""Who may use it: everybody with a role of the business."""

MAX_FEED_SECONDS = 3600
"""After that a live feed is ended; clients begin another one."""
NOTES_SECONDS = 1.0
"""How long who asks whether it is ready waits for what is wrong besides."""

log = structlog.get_logger(__name__)


class Product:
    """Routes between the product's own paths and the document server, and owns the latter's lifetime."""

    def __init__(
        self,
        documents: Application,
        page: ASGIApp,
        api: ASGIApp,
        identity: IdentityServices,
        sync: Sync,
        search: Search,
        feed: FeedDesk,
        reports: ReadStore,
        jobs: JobsDesk,
        typesetter: Typesetter,
        lexware: Keeper,
        calendars: CalendarStore,
        batches: Batches,
        requests: Requests,
        invoices: InvoiceReader,
        imports: ImportService,
    ) -> None:
        self.invoices = invoices
        self.calendars = calendars
        self.batches = batches
        self.requests = requests
        self.imports = imports
        self.typesetter = typesetter
        self.reports = reports
        self.lexware = lexware
        self.jobs = jobs
        self.feed = feed
        self.documents = documents
        self.search = search
        self.sync = sync
        self.identity = identity
        self.is_leaving = False
        """Whether it says that it isn't ready, so that nobody sends it anything new."""
        self._looking: asyncio.Task[list[str]] | None = None
        self._own: dict[bytes, ASGIApp] = {
            b"app": page,
            b"api": api,
            b"metrics": metrics(
                documents.server, sync.index, identity, feed, jobs, sync.erasures, lexware.exchange
            ),
            b"healthz": JSONResponse({"status": "ok"}),
            b"readyz": self._ready,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.documents(scope, self._closing(receive), send)
            return
        if scope["type"] == "http":
            # From the raw path: decoded, `a%2Fb` and `a/b` would look the same.
            segment = scope["raw_path"].lstrip(b"/").partition(b"/")[0]
            own = self._own.get(unquote_to_bytes(segment))
            with acting(actor()):  # whoever it turns out to be, the next request is another's
                await (own or self.documents)(scope, receive, send)
            return
        await self.documents(scope, receive, send)

    def _closing(self, receive: Receive) -> Receive:
        """Passes the lifespan's messages on; what works on documents ends before they are closed."""

        async def closing() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            return message

        return closing

    async def close(self) -> None:
        """Ends what works on documents; `documents` are then closed by whoever serves them."""
        if self._looking is not None:
            self._looking.cancel()
        await self.lexware.close()
        await self.search.close()
        await self.reports.close()
        await self.typesetter.close()
        await self.invoices.close()
        await self.imports.close()
        self.feed.close()
        self.jobs.close()
        self.calendars.close()
        self.batches.close()
        self.requests.close()
        await self.identity.close()
        await self.sync.close()

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 when documents can be read and show what other processes have written, 503 with the reason when
        not.

        Notes say what is wrong besides, and keeps nobody from working: logins go on with the keys and the
        records there are.
        """
        try:
            if self.is_leaving:
                raise errors.unavailable("This process is about to end: another one serves.")
            store = self.documents.server.store
            await store.fresh()
            await store.get(DATABASE).info()
            # Nothing else: anybody may ask, and how many documents there are is nobody's business.
            answer: dict[str, object] = {"status": "ready"}
            if notes := await self._notes():
                answer["notes"] = notes
            response = JSONResponse(answer)
        except Exception as error:
            reason = "Documents can't be read: the server's log tells why."
            if isinstance(error, ProtocolError) and error.status == 503:
                reason = error.reason
            else:
                log.exception("not ready")
            response = JSONResponse({"status": "not ready", "reason": reason}, status_code=503)
        await response(scope, receive, send)

    async def _notes(self) -> list[str]:
        """Whoever asks is answered in time: those in front take a process that isn't for one that is gone."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._looked(), name="notes")
        try:
            async with asyncio.timeout(NOTES_SECONDS):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            return ["How late copies, jobs and erasures are couldn't be told in time."]

    async def _looked(self) -> list[str]:
        notes: list[str] = []
        looks = (
            ("copies of the documents", self.feed.notes),
            ("jobs", self.jobs.notes),
            ("erasures", self.sync.erasures.notes),
            ("files for Lexware", self.lexware.exchange.notes),
        )
        for what, look in looks:
            try:
                notes += await asyncio.to_thread(look)
            except Exception:
                log.exception("what runs beside the server can't be looked at", what=what)
                notes.append(f"How the {what} are can't be told: the server's log tells why.")
        users = self.identity.sync
        if users is not None and users.last_error is not None:
            notes.append("Keycloak's users can't be followed: the server's log tells why.")
        return notes


async def create_product(
    store: SqliteStore,
    sync: Sync,
    settings: Settings,
    *,
    password_iterations: int = ITERATIONS,
    feed_secret: str = "",
    jobs_secret: str = "",
) -> Product:
    """The application with its database, and with the demo's users and documents if they were asked for.

    `store` is the one that `sync` has opened. `password_iterations` make guessing passwords slow; only tests
    take fewer. `feed_secret` lets the service in that follows the feed, `jobs_secret` the one that does jobs.
    Raises `demo.RealDataError` when demo and real data would meet.
    """
    admins = demo.ADMINS if settings.demo else settings.admins
    config = ServerConfig(
        admins=admins,
        password_iterations=password_iterations,
        cors_origins=settings.cors_origins,
        cors_headers=DEVICE_HEADERS,
        session_timeout=settings.session_timeout,
        same_site=settings.same_site.value,
        same_origin=True,
        # A feed must not outlive the login that its answer has just renewed.
        max_feed_seconds=min(MAX_FEED_SECONDS, settings.session_timeout // 2),
        lockout_threshold=settings.lockout_threshold,
        lockout_seconds=settings.lockout_seconds,
        lockout_address_threshold=settings.lockout_address_threshold,
        lockout_name_threshold=settings.lockout_name_threshold,
        reserved_user_members=RESERVED,
        tokens=settings.tokens,
        proxy_secret=settings.proxy_secret.get_secret_value() if settings.proxy_secret else "",
        access_log=settings.log_requests,
        replication_hosts=(*LOOPBACK, *settings.replication_hosts),
        replication_proxies=settings.replication_proxies,
    )
    identity = create_identity(
        store, settings, feed_secret=feed_secret, jobs_secret=jobs_secret, database=DATABASE
    )
    documents = create_app(store, config, identity=identity.gate, view=sync.view, replicates=sync.leads)
    sync.failures.attach(documents.server.lockout, store)
    sync.revocations.on_heard.append(_checking(documents.server.feeds))
    await documents.server.prepare()
    await identity.devices.prepare()
    await demo.check_kind(store, DATABASE, demo_wanted=settings.demo)
    if settings.demo:
        with acting(Actor("demo", door=Door.IMPORT)):
            await demo.load(documents, DATABASE, SECURITY, settings.demo_size)
    else:
        await _create_database(store)
    gate = await sync.start(store, Quota(settings.quarantine_entries, settings.quarantine_bytes))
    if sync.leads:
        for erasure in await Privacy(gate, Accounts(store)).replay(sync.journal):
            log.warning("the database was restored: an erasure was done again", erasure=erasure.num)
        await replay(store, sync.revocations, DATABASE)
    identity.records.hooks.append(sync.roles_changed)
    identity.records.is_erased = sync.is_erased
    identity.records.description_hooks.append(sync.described)
    identity.gate.met.append(sync.met)
    if sync.leads:
        identity.start()
    search = create_search(settings)
    search.meaning, search.no_meaning = create_meaning(settings)
    reports = ReadStore(settings)
    feed = FeedDesk(settings)
    jobs = JobsDesk(sync.file.parent, expected=settings.jobs, shared=shared_files(settings))
    typesetter = Typesetter(settings.letterhead, settings.templates)
    lexware = Exchange(settings, sync.gate, sync.file.parent)
    calendars = CalendarStore(sync.file.parent, shared=shared_files(settings))
    batches = Batches(sync.file.parent, shared=shared_files(settings))
    requests = Requests(sync.file.parent, shared=shared_files(settings))
    invoices = InvoiceReader()
    imports = ImportDesk(sync.file.parent, shared=shared_files(settings))
    service = ImportService(imports, sync.view, sync.gate, identity.records.find)
    service.start()
    chain = Chain(sync.file, sync.keys)
    api = create_api(
        Services(
            documents.server,
            identity,
            sync.index,
            sync.gate,
            chain,
            search=search,
            feed=feed,
            reports=reports,
            jobs=jobs,
            lexware=lexware,
            erasures=sync.erasures,
            views=sync.view,
            typesetter=typesetter,
            exports=Exports(settings.directory / "temporary" / "exports"),
            calendars=calendars,
            batches=batches,
            requests=requests,
            books_file=settings.books_file,
            limits=Limits(settings.rate_limit, settings.redis_url) if settings.rate_limit else None,
            invoices=invoices,
            imports=imports,
        )
    )
    provider = identity.provider
    page = Page(settings.pouchdb_file, token_endpoint=provider.token_endpoint if provider else None)
    keeper = Keeper(lexware)
    keeper.start()
    return Product(
        documents,
        page,
        api,
        identity,
        sync,
        search,
        feed,
        reports,
        jobs,
        typesetter=typesetter,
        lexware=keeper,
        calendars=calendars,
        batches=batches,
        requests=requests,
        invoices=invoices,
        imports=service,
    )


def _checking(feeds: LiveFeeds) -> Callable[[], None]:
    """Asks of the live feeds, from any thread, whether those who read them still may."""
    loop = asyncio.get_running_loop()

    def check() -> None:
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(feeds.check_now)

    return check


async def _create_database(store: SqliteStore) -> None:
    if DATABASE not in await store.names():
        await store.create(DATABASE, security=SECURITY)
