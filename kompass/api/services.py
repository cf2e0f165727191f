"""What the handlers of the API work with."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from kompass.identity.setup import IdentityServices
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
    desk: Desk
    """The quarantine."""
    access: Access
    """The documents, and who sees them."""


def services_of(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
