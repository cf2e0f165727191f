"""A read store with documents in it, as the server would hand them over: channels by the rules of access."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from kompass.access import DEFAULT, Role, document_channels, principal_channels, relations
from kompass.access.audiences import Channel
from kompass.feed.sink import Batch, Change, Checkpoint, PersonAccess
from kompass.readstore import logins
from kompass.readstore.embedded import Address
from kompass.readstore.place import Server
from kompass.readstore.sink import PostgresSink

Document = dict[str, Any]
Rows = list[tuple[Any, ...]]

ROLES = {
    "adm1": Role.ADM,
    "adm2": Role.ADM,
    "innen1": Role.INNEN,
    "plan1": Role.PLAN,
    "kalk1": Role.KALK,
    "buch1": Role.BUCH,
    "gf1": Role.GF,
    "admin": Role.ADMIN,
}


class World:
    """Documents, and the store that follows them."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.sink = PostgresSink(Server(address.dsn))
        self.documents: dict[str, Document] = {}
        self.position = 0
        self._logins: dict[str, str] = {}

    async def put(self, *docs: Document) -> None:
        """Writes documents, one batch, and what changes for people by them."""
        changes = []
        for doc in docs:
            self.documents[doc["_id"]] = doc
        for doc in docs:
            self.position += 1
            channels = document_channels(doc, self)
            changes.append(Change(doc["_id"], self.position, f"1-{self.position:032x}", doc, channels))
        await self._apply(changes)

    async def delete(self, docid: str) -> None:
        del self.documents[docid]
        self.position += 1
        await self._apply([Change(docid, self.position, "2-a", None)])

    async def _apply(self, changes: Sequence[Change]) -> None:
        at = Checkpoint("world", str(self.position), self.position)
        await self.sink.apply(Batch(changes, at, self.people()))

    def people(self) -> list[PersonAccess]:
        stated = frozenset(one for doc in self.documents.values() for one in relations(doc))
        return [
            PersonAccess(
                name,
                True,
                frozenset({role.value}),
                principal_channels(name, frozenset({role}), stated, DEFAULT),
            )
            for name, role in ROLES.items()
        ]

    def everything(self) -> list[Change]:
        """What a rebuild reads: every document as it is now."""
        return [
            Change(docid, number, "1-a", doc, document_channels(doc, self))
            for number, (docid, doc) in enumerate(self.documents.items(), start=1)
        ]

    # -- what deriving channels asks -----------------------------------------------------------

    def document(self, docid: str) -> Mapping[str, Any] | None:
        return self.documents.get(docid)

    def channels(self, docid: str) -> frozenset[Channel] | None:
        doc = self.documents.get(docid)
        return None if doc is None else document_channels(doc, self)

    def readable(self, person: str) -> set[str]:
        """The ids that somebody may read, by the rules."""
        held = next(one.channels for one in self.people() if one.name == person)
        return {docid for docid in self.documents if held & (self.channels(docid) or frozenset())}

    # -- reading -------------------------------------------------------------------------------

    @contextmanager
    def login(self, person: str) -> Any:
        """A real connection of a person's own login."""
        name = logins.login_name(person)
        if person not in self._logins:
            with psycopg.connect(self.address.dsn) as connection:
                self._logins[person] = logins.create(connection, person).password
        dsn = replace(self.address, user=name, password=self._logins[person]).dsn
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield connection

    def ask(self, person: str, query: str, values: Iterable[Any] = ()) -> Rows:
        with self.login(person) as connection:
            found: Rows = connection.execute(query, tuple(values)).fetchall()
            return found

    def inside(self, query: str) -> Rows:
        """As the sink, past all views."""
        with psycopg.connect(self.address.dsn, autocommit=True) as connection:
            return connection.execute(query).fetchall()
