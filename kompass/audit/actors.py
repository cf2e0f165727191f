"""Who is at work, as the chain names him. It is said once for a request, a command or a task of the server.

Said in a context variable: jobs of a database's writing thread run in the context of whoever asked for them,
so what is written on whose behalf needs no passing on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum

from kompass.access.principals import Principal


class Door(StrEnum):
    """By which way something came."""

    REPLICATION = "replication"
    """A device pushed it."""
    EDIT = "edit"
    """Somebody changed it by CouchDB's protocol, and saw the answer."""
    REST = "rest"
    """The same through `/api/v1`."""
    ADMIN = "admin"
    """A server administrator wrote it by CouchDB's protocol, past the gate."""
    REPLICATOR = "replicator"
    """A replication that this server runs."""
    FOREIGN = "foreign"
    """Somebody wrote to the CouchDB behind the server, past it."""
    SERVER = "server"
    """The server itself."""
    IMPORT = "import"
    CLI = "cli"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who causes a write."""

    name: str
    roles: tuple[str, ...] = ()
    """Those that count, sorted."""
    device: str | None = None
    address: str | None = None
    """The client's, as the server sees it."""
    door: Door = Door.SERVER


SYSTEM = Actor("system")
"""The server, where nobody in particular has asked."""

REPLICATOR = Actor("replicator", door=Door.REPLICATOR)
"""A replication that the server runs by itself."""

FOREIGN = Actor("foreign", door=Door.FOREIGN)
"""Whoever writes to the CouchDB behind the server: nobody here knows who that is."""

_actor: ContextVar[Actor] = ContextVar("kompass_actor", default=SYSTEM)


def actor() -> Actor:
    """Who is at work in this context."""
    return _actor.get()


def acting_as(one: Actor) -> None:
    """From now on this one is at work, as long as the task lasts."""
    _actor.set(one)


@contextmanager
def acting(one: Actor) -> Iterator[None]:
    """This one is at work for a while."""
    token = _actor.set(one)
    try:
        yield
    finally:
        _actor.reset(token)


def of_principal(principal: Principal, door: Door) -> Actor:
    """Somebody who has logged in. If he is the one who asks, the address is that of his request."""
    roles = tuple(sorted(principal.roles))
    asking = actor()
    if asking.name == principal.name:
        return replace(asking, roles=roles, device=principal.device or asking.device, door=door)
    return Actor(principal.name, roles, principal.device, None, door)
