"""What the handlers of the API work with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from starlette.requests import Request

from kompass.api.counting import Limits
from kompass.audit.signing import SigningKeys
from kompass.calendars.store import CalendarStore
from kompass.einvoices.reading import InvoiceReader
from kompass.exports.batches import Batches
from kompass.exports.making import Exports
from kompass.feed.desk import FeedDesk
from kompass.identity.setup import IdentityServices
from kompass.imports.desk import ImportDesk
from kompass.jobs.desk import JobsDesk
from kompass.lexware.exchange import Exchange
from kompass.printing.typesetter import Typesetter
from kompass.privacy.desk import ErasureDesk
from kompass.readstore.reading import ReadStore
from kompass.requests import Requests
from kompass.search.service import Search
from kompass.settings import Settings
from kompass.sync.conflicts.desk import ConflictDesk
from kompass.sync.gate.gate import Gate
from kompass.sync.index import FeedIndex
from kompass.sync.personal import PersonalViews
from kompass.sync.quarantine.desk import Desk
from replication.http.server import Server
from replication.store.sqlite import SqliteDatabase


@dataclass(frozen=True, slots=True)
class Access:
    """The operational database, and its index."""

    database: SqliteDatabase
    index: FeedIndex


@dataclass(frozen=True, slots=True)
class Chain:
    """The file with the chain of writes, and the keys that sign it."""

    file: Path
    keys: SigningKeys
    verifying: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Reading all of it takes a while: one does at a time."""


@dataclass(frozen=True, slots=True)
class Services:
    """One for an application; a new resource adds here what it needs."""

    server: Server
    identity: IdentityServices
    index: FeedIndex
    gate_now: Callable[[], Gate]
    """The gate of the database that is there now. Raises 503 if there is none."""

    chain: Chain
    """Where the chain of writes lies."""

    turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """Of those who change a document whichever version is there, by its id."""

    search: Search = field(default_factory=lambda: Search(None))
    """The full text."""

    feed: FeedDesk | None = None
    """How far search, reports and other copies are."""

    jobs: JobsDesk | None = None
    """Reminders, mails, webhooks."""

    lexware: Exchange | None = None
    """Files that go to Lexware and come from it."""

    erasures: ErasureDesk | None = None
    """How far erasures are elsewhere."""

    views: PersonalViews | None = None
    """What each person sees of the database."""

    exports: Exports | None = None
    """Where files of lists are made."""

    limits: Limits | None = None
    """How much one may ask; None for as much as one likes."""

    requests: Requests | None = None
    """Idempotency keys."""

    books_file: Path | None = None
    """What says whose books files for tax consultants and auditors are about."""

    batches: Batches | None = None
    """What went to DATEV."""

    reports: ReadStore = field(default_factory=lambda: ReadStore(Settings(readstore=False)))
    """What reports are asked of."""

    calendars: CalendarStore | None = None
    """Subscriptions."""

    invoices: InvoiceReader = field(default_factory=InvoiceReader)
    """Reads what suppliers send."""

    imports: ImportDesk | None = None
    """Tables that become documents."""

    typesetter: Typesetter = field(default_factory=Typesetter)
    """Makes PDFs."""

    @property
    def desk(self) -> Desk:
        """The quarantine."""
        return Desk(self.gate_now())

    @property
    def conflicts(self) -> ConflictDesk:
        return ConflictDesk(self.gate_now())

    @property
    def access(self) -> Access:
        """The documents, and who sees them."""
        return Access(self.gate_now().database, self.index)


def services_of(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
