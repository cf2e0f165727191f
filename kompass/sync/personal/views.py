"""Which database a request gets: the hook of the document server."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from kompass.access.principals import Principal, known_roles
from kompass.identity.services import is_service
from kompass.sync.index import FeedIndex
from kompass.sync.personal.database import PersonalDatabase
from kompass.sync.personal.shared import AuthorOf, Gate, Shared
from replication.http.principal import Principal as Caller
from replication.protocol import errors
from replication.store.interface import Database
from replication.store.sqlite import SqliteDatabase

REMEMBERED = 1000
"""Views that are kept for the next request of the same person."""

NEEDS_LOGIN = "You are not authorized to access this db."


class PersonalViews:
    """Gives everybody his own view of one database; of the others, whatever their `_security` says.

    A view is remembered with whoever it was made for, so that feeds of one person share what they read.
    Nothing is shared between two people, nor between two sets of roles or two devices of one person.
    """

    def __init__(
        self,
        name: str,
        index: FeedIndex,
        gate_of: Callable[[SqliteDatabase], Gate],
        author_of: AuthorOf = lambda reading, docid, rev: None,
    ) -> None:
        """`name` of the database that `index` belongs to; `gate_of` makes what judges its writes.

        `author_of` tells who wrote a revision, if that is kept.
        """
        self._name = name
        self._index = index
        self._gate_of = gate_of
        self._author_of = author_of
        self._shared: Shared | None = None
        self._views: OrderedDict[Principal, PersonalDatabase] = OrderedDict()

    def __call__(self, database: Database, caller: Caller) -> Database:
        if database.name != self._name:
            return database
        if caller.name is None:
            raise errors.unauthorized(NEEDS_LOGIN)
        if is_service(caller):
            return database  # the identity's gate lets it read, and nothing else
        principal = Principal(caller.name, known_roles(caller.roles), caller.device)
        return self.of(database, principal)

    def of(self, database: Database, principal: Principal) -> PersonalDatabase:
        """The view of somebody who has logged in."""
        assert isinstance(database, SqliteDatabase)
        if self._shared is None or self._shared.database is not database:
            # The first request, or the database was deleted and made again.
            self._views.clear()
            self._shared = Shared(database, self._index, self._gate_of(database), self._author_of)
        view = self._views.get(principal)
        if view is None:
            view = self._views[principal] = PersonalDatabase(self._shared, principal)
            if len(self._views) > REMEMBERED:
                self._views.popitem(last=False)
        else:
            self._views.move_to_end(principal)
        return view
