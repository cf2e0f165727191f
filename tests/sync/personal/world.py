"""A server with a database that people see parts of, with rules simple enough to be read off a document."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from starlette.types import ASGIApp

from kompass.access.audiences import Parents
from kompass.access.channels import Relation
from kompass.access.principals import Principal, Role
from kompass.sync.index import FeedIndex
from kompass.sync.personal import PersonalViews
from kompass.sync.personal.local import LocalTables
from kompass.sync.serving import OpensStore
from replication.http import Application, create_app
from replication.http.server import Server, ServerConfig
from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path as RevisionPath
from replication.protocol.revisions import Rev, format_rev, parse_rev
from replication.store.sqlite import Reading, Several, SqliteDatabase, SqliteStore, Writing
from replication.store.values import Missing
from tests.cluster import over

DATABASE = "kompass"
PASSWORD = "geheim"
SECURITY = b'{"admins":{"names":["somebody"],"roles":["_admin"]},"members":{"roles":["ADM","INNEN","GF"]}}'
PEOPLE = {"ada": ["ADM"], "ben": ["ADM"], "ina": ["INNEN"]}


class ReaderRules:
    """A document is for the people and roles in its `readers`."""

    def document_channels(self, doc: Mapping[str, Any], parents: Parents) -> frozenset[str]:
        return frozenset(f"for:{reader}" for reader in doc.get("readers", ()))

    def parent_ids(self, doc: Mapping[str, Any]) -> Iterable[str]:
        return ()

    def relations(self, doc: Mapping[str, Any]) -> frozenset[Relation]:
        return frozenset()

    def principal_channels(
        self, name: str, roles: frozenset[Role], relations: Iterable[Relation]
    ) -> frozenset[str]:
        return frozenset({f"for:{name}", *(f"for:{role}" for role in roles)})

    def may_read(
        self,
        name: str,
        roles: frozenset[Role],
        doc: Mapping[str, Any],
        relations: AbstractSet[Relation],
        parents: Parents,
    ) -> bool:
        held = self.principal_channels(name, roles, relations)
        return not held.isdisjoint(self.document_channels(doc, parents))

    def cards(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        return []

    def changed_by(self, docid: str, doc: Mapping[str, Any] | None) -> None:
        return None


class VisibilityGate:
    """Whoever sees a document may change it, and may make new ones. Keeps no quarantine."""

    def __init__(self, database: SqliteDatabase, index: FeedIndex) -> None:
        self._database = database
        self._index = index
        self.asked: list[tuple[Principal, list[str]]] = []
        """Who has written which documents."""

    async def write(
        self, principal: Principal, docs: Sequence[DocumentWrite], *, replicated: bool
    ) -> list[str | ProtocolError]:
        self.asked.append((principal, [doc.id for doc in docs]))

        def run(writing: Writing) -> list[str | ProtocolError]:
            return [self._one(writing, principal.name, doc, replicated) for doc in docs]

        outcomes = await self._database.transact(run)
        self._database.taken_up(docs)
        return outcomes

    async def rehearse(
        self, principal: Principal, docs: Sequence[DocumentWrite]
    ) -> list[str | ProtocolError]:
        raise NotImplementedError

    def _one(self, writing: Writing, user: str, doc: DocumentWrite, replicated: bool) -> str | ProtocolError:
        known = writing.winner(doc.id) is not None
        if known and not self._index.sees(writing, user, [doc.id]):
            if replicated and doc.path is not None:
                self._index.refuse(writing, user, doc.id, RevisionPath(doc.path.start, doc.path.ids))
            return errors.forbidden("You may not write this document.")
        return writing.write([doc], replicated=replicated)[0]

    async def missing_revisions(
        self, principal: Principal, asked: Mapping[str, Sequence[Rev]]
    ) -> dict[str, Missing]:
        with self._database.reading() as reading:
            answers = reading.missing_revisions(asked)
            return {
                docid: Missing(missing, answer.possible_ancestors)
                for docid, answer in answers.items()
                if (missing := [rev for rev in answer.missing if not self._known(reading, docid, rev)])
            }

    def _known(self, reading: Any, docid: str, rev: str) -> bool:
        parsed = parse_rev(rev)
        return self._index.knows_tombstone(docid, parsed) or self._index.refused(reading, docid, parsed)


def _author_of(reading: Reading, docid: str, rev: Rev) -> str | None:
    """A document's own word: good enough here."""
    found = reading.revision(docid, rev)
    author = {} if found is None else orjson.loads(found.text)
    return author.get("by") if isinstance(author.get("by"), str) else None


@dataclass
class Side:
    """What one process has of the server."""

    app: Application
    store: SqliteStore
    index: FeedIndex

    @classmethod
    async def open(
        cls, directory: Path, opens: OpensStore, gates: list[VisibilityGate], stack: AsyncExitStack
    ) -> Side:
        index = FeedIndex(DATABASE, ReaderRules())
        store = await opens(directory, extensions={DATABASE: Several(LocalTables(), index)})
        stack.push_async_callback(store.close)

        def gate_of(database: SqliteDatabase) -> VisibilityGate:
            gates.append(VisibilityGate(database, index))
            return gates[-1]

        config = ServerConfig(admins={"admin": PASSWORD}, password_iterations=10)
        app = create_app(store, config, view=PersonalViews(DATABASE, index, gate_of, _author_of))
        await app.server.prepare()
        stack.callback(app.server.accounts.close)
        stack.callback(app.server.javascript.close)
        return cls(app, store, index)


@dataclass
class World:
    """Over a cluster what tests look at is the side that leads; others answer."""

    app: ASGIApp
    server: Server
    store: SqliteStore
    index: FeedIndex
    gates: list[VisibilityGate]
    """Of all sides."""
    _stack: AsyncExitStack
    _clients: dict[str | None, httpx.AsyncClient]

    @classmethod
    async def open(cls, directory: Path, stack: AsyncExitStack) -> World:
        gates: list[VisibilityGate] = []
        sides = [
            await Side.open(place, opens, gates, stack)
            async for place, opens in over.processes(directory, stack)
        ]
        first = sides[0]
        app: ASGIApp = first.app
        if others := [side.app for side in sides[1:]]:
            app = over.Balanced.of(others, first.store)
        world = cls(app, first.app.server, first.store, first.index, gates, stack, {})
        await first.store.create(DATABASE, security=SECURITY)
        for name, roles in PEOPLE.items():
            await world.add_login(name, roles)
            await world.set_roles(name, roles)
        return world

    @property
    def database(self) -> SqliteDatabase:
        database = self.store.get(DATABASE)
        assert isinstance(database, SqliteDatabase)
        return database

    def client(self, name: str | None) -> httpx.AsyncClient:
        """Requests of one person; None: of nobody who has logged in."""
        if name not in self._clients:
            auth = None if name is None else (name, PASSWORD)
            transport = httpx.ASGITransport(self.app)
            self._clients[name] = httpx.AsyncClient(
                transport=transport, base_url=f"http://server/{DATABASE}/", auth=auth, timeout=30
            )
            self._stack.push_async_callback(self._clients[name].aclose)
        return self._clients[name]

    async def add_login(self, name: str, roles: Sequence[str]) -> None:
        admin = self.client("admin")
        path = f"http://server/_users/org.couchdb.user:{name}"
        user = {"name": name, "type": "user", "roles": list(roles), "password": PASSWORD}
        before = await admin.get(path)
        if before.status_code == 200:
            user["_rev"] = before.json()["_rev"]
        (await admin.put(path, json=user)).raise_for_status()

    async def set_roles(self, name: str, roles: Sequence[str], *, active: bool = True) -> None:
        """The server's own record."""
        await self.put(f"user-{name}", type="user", name=name, roles=list(roles), active=active)

    async def put(self, docid: str, **members: Any) -> str:
        """Writes a document as an administrator, whatever is there. Returns its revision."""
        admin = self.client("admin")
        path = docid if docid.startswith("_design/") else quote(docid, safe="")
        before = await admin.get(path)
        if before.status_code == 200:
            members["_rev"] = before.json()["_rev"]
            attached = before.json().get("_attachments")
            if attached is not None:
                members.setdefault("_attachments", attached)
        answer = await admin.put(path, json=members)
        answer.raise_for_status()
        return str(answer.json()["rev"])

    async def put_revision(self, docid: str, path: Sequence[str], **members: Any) -> None:
        """Writes a revision under its own id: `path` is the revision and its ancestors, newest first."""
        start = int(path[0].partition("-")[0])
        ids = [rev.partition("-")[2] for rev in path]
        doc = {"_id": docid, "_revisions": {"start": start, "ids": ids}, **members}
        answer = await self.client("admin").post("_bulk_docs", json={"docs": [doc], "new_edits": False})
        assert answer.json() == []

    async def remove(self, docid: str) -> str:
        admin = self.client("admin")
        rev = (await admin.get(docid)).json()["_rev"]
        answer = await admin.delete(docid, params={"rev": rev})
        answer.raise_for_status()
        return str(answer.json()["rev"])

    async def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        return list((await self.feed(name, **parameters))["results"])

    async def feed(self, name: str, **parameters: Any) -> dict[str, Any]:
        answer = await self.client(name).get("_changes", params=parameters)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def tombstone(self, docid: str, rev: str) -> str:
        return format_rev(self.index.tombstone(docid, parse_rev(rev)))


async def settled() -> None:
    """Gives other tasks time for what they have to do at once."""
    for _ in range(20):
        await asyncio.sleep(0)
