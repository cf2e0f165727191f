"""What the handlers of the API work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from kompass.identity.setup import IdentityServices
from kompass.sync.gate import Gate
from kompass.sync.index import FeedIndex
from kompass.sync.quarantine.desk import Desk
from replication.http.server import Server
from replication.store.sqlite import SqliteDatabase


@dataclass(frozen=True, slots=True)
class Access:
    """The operational database, and its index."""

    database: SqliteDatabase
    index: FeedIndex


@dataclass(frozen=True, slots=True)
class Services:
    """One for an application; a new resource adds here what it needs."""

    server: Server
    identity: IdentityServices
    index: FeedIndex
    gate_now: Callable[[], Gate]
    """The gate of the database that is there now. Raises 503 if there is none."""

    @property
    def desk(self) -> Desk:
        """The quarantine."""
        return Desk(self.gate_now())

    @property
    def access(self) -> Access:
        """The documents, and who sees them."""
        return Access(self.gate_now().database, self.index)


def services_of(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
