"""A small company behind its gate, and devices that push like PouchDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5
from itertools import cycle
from pathlib import Path as File
from typing import Any
from uuid import UUID

import orjson

from kompass.access import Principal, Role
from kompass.audit import AuditExtension
from kompass.audit.checkpoints import Signer
from kompass.sync.conflicts.extension import Conflicts
from kompass.sync.gate import records
from kompass.sync.gate.gate import Gate
from kompass.sync.index import FeedIndex
from kompass.sync.index.rules import MatrixRules
from kompass.sync.opening import business_of, extensions
from kompass.sync.quarantine import Quarantine, Quota
from kompass.sync.serving import OpensStore
from replication.protocol.attachments import AttachmentWrite, InlineAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev
from replication.store.sqlite import Several, SqliteDatabase, SqliteStore, Writing
from replication.store.values import Document
from tests.cluster import over

PEOPLE = {
    "adm1": {Role.ADM},
    "adm2": {Role.ADM},
    "innen1": {Role.INNEN},
    "plan1": {Role.PLAN},
    "buch1": {Role.BUCH},
    "gf1": {Role.GF},
    "admin": {Role.ADMIN},
}


def uuid(number: int) -> str:
    return str(UUID(int=number, version=4))


def customer(number: int) -> str:
    return f"customer-{uuid(number)}"


def contact(number: int) -> str:
    return f"contact-{uuid(number)}"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Version:
    """A revision on a device."""

    path: Path
    body: dict[str, Any] | None
    """None for a deletion."""
    attachments: dict[str, AttachmentWrite] = field(default_factory=dict)

    @property
    def rev(self) -> str:
        return format_rev(self.path.leaf)

    def write(self, docid: str) -> DocumentWrite:
        text = b"{}" if self.body is None else orjson.dumps(self.body)
        return DocumentWrite(
            docid,
            self.body is None,
            text,
            parse_rev(self.rev),
            self.path,
            self.attachments,
        )


def new(
    body: Mapping[str, Any] | None, above: Path | None = None, salt: object = "", **attachments: bytes
) -> Version:
    """A revision as PouchDB makes it: its id follows from what it says and from what it follows."""
    attached: dict[str, AttachmentWrite] = {
        name: InlineAttachment("image/png", data, digest_of(data)) for name, data in attachments.items()
    }
    text = orjson.dumps([None if body is None else dict(body), list(above or ()), sorted(attachments)])
    name = md5(text + str(salt).encode()).hexdigest()
    start = 1 if above is None else above.start + 1
    ids = [name] if above is None else [name, *above.ids]
    return Version(Path(start, ids), None if body is None else dict(body), attached)


@dataclass
class Side:
    """What one process has of the server."""

    store: SqliteStore
    database: SqliteDatabase
    index: FeedIndex
    audit: AuditExtension
    gate: Gate

    @classmethod
    async def open(
        cls,
        directory: File,
        clock: Clock,
        opens: OpensStore,
        *,
        quota: Quota | None = None,
        signer: Signer | None = None,
        follows: bool = False,
        **rules: Any,
    ) -> Side:
        index = FeedIndex("kompass", MatrixRules())
        audit = AuditExtension(signer, now=clock)
        extended = dict(extensions(index, audit=audit, now=clock))
        if not follows:
            extended[index.database_name] = Several(
                records.RecordTables(), index, audit, Conflicts(index, clock)
            )
        store = await opens(directory, extensions=extended)
        is_new = "kompass" not in await store.names()
        database = await store.create("kompass") if is_new else store.get("kompass")
        assert isinstance(database, SqliteDatabase)
        quarantine = await Quarantine.open(store, quota)
        if follows:
            rules["pass_time"] = business_of(database).pass_time
        gate = Gate(database, index, quarantine, audit=audit, now=clock, **rules)
        await gate.prepare()
        return cls(store, database, index, audit, gate)


class World:
    """One server. Over a cluster what tests look at is the side that leads; others write."""

    def __init__(self, sides: Sequence[Side], clock: Clock, stack: AsyncExitStack) -> None:
        first = sides[0]
        self.store, self.database, self.index = first.store, first.database, first.index
        self.gate, self.audit = first.gate, first.audit
        self.gates = [side.gate for side in sides]
        """Of all sides."""
        self.clock = clock
        self.people = {
            name: Principal(name, frozenset(roles), f"device of {name}") for name, roles in PEOPLE.items()
        }
        self._stack = stack
        self._serving = cycle(sides[1:] or sides)

    @classmethod
    async def open(cls, directory: File, *, signer: Signer | None = None, **how: Any) -> World:
        """`how`: `quota`; `follows`, whether the business writes what follows from documents; what else the
        gate takes.
        """
        clock = Clock()
        async with AsyncExitStack() as stack:
            sides: list[Side] = []
            async for place, opens in over.processes(directory, stack):
                side = await Side.open(place, clock, opens, signer=None if sides else signer, **how)
                stack.push_async_callback(side.store.close)
                sides.append(side)
            world = cls(sides, clock, stack.pop_all())
        if await world.database.winner("user-adm1") is None:
            for name, roles in PEOPLE.items():
                await world.set_roles(name, roles)
        return world

    async def close(self) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def _side(self) -> AsyncIterator[Side]:
        """Of a process that serves, up to date. What is done with it is here as well behind the block."""
        side = next(self._serving)
        await side.store.fresh()
        try:
            yield side
        finally:
            await self.store.fresh()

    # -- the office's side ---------------------------------------------------------------------

    async def put(self, docid: str, body: Mapping[str, Any] | None) -> str:
        """Writes past the gate and every other judge, as the server does."""
        winner = await self.database.winner(docid)
        parent = None if winner is None or winner.deleted else parse_rev(winner.rev)
        doc = DocumentWrite(docid, body is None, orjson.dumps(dict(body or {})), parent)

        def run(writing: Writing) -> str:
            (result,) = writing.write([doc])
            assert isinstance(result, str), result
            return result

        async with self._side() as side:
            return await side.database.transact(run)

    async def set_roles(self, name: str, roles: set[Role]) -> None:
        await self.put(f"user-{name}", {"type": "user", "name": name, "roles": sorted(roles), "active": True})

    async def has_customer(self, number: int, owner: str = "adm1", **more: Any) -> str:
        """Stores a customer and returns its revision."""
        return await self.put(customer(number), customer_body(owner, **more))

    # -- a device's side -----------------------------------------------------------------------

    async def push(self, user: str, *docs: tuple[str, Version]) -> list[str]:
        """Pushes, and returns the reasons of refused documents; an empty text for what is answered ok."""
        results = await self.push_raw(user, [version.write(docid) for docid, version in docs])
        answers = []
        for result, (_, version) in zip(results, docs, strict=True):
            if isinstance(result, ProtocolError):
                assert (result.status, result.error) == (403, "forbidden")
                answers.append(result.reason)
            else:
                assert result == version.rev
                answers.append("")
        return answers

    async def push_raw(self, user: str, docs: Sequence[DocumentWrite]) -> list[str | ProtocolError]:
        async with self._side() as side:
            return await side.gate.write(self.people[user], docs, replicated=True)

    async def missing(self, user: str, *docs: tuple[str, Version]) -> set[tuple[str, str]]:
        """What `_revs_diff` asks for."""
        asked: dict[str, list[Rev]] = {}
        for docid, version in docs:
            asked.setdefault(docid, []).append(version.path.leaf)
        async with self._side() as side:
            found = await side.gate.missing_revisions(self.people[user], asked)
        return {(docid, rev) for docid, missing in found.items() for rev in missing.missing}

    # -- looking -------------------------------------------------------------------------------

    async def winner(self, docid: str) -> Document | None:
        return await self.database.winner(docid)

    async def body(self, docid: str) -> dict[str, Any] | None:
        """What the winner says; None if there is none that lives."""
        found = await self.database.winner(docid)
        if found is None or found.deleted:
            return None
        value = orjson.loads(found.text)
        return {name: member for name, member in value.items() if name[:1] != "_"}

    async def live(self, docid: str) -> dict[str, Any]:
        """What the winner says, which lives."""
        found = await self.body(docid)
        assert found is not None, f"{docid} isn't there"
        return found

    async def path(self, docid: str) -> Path:
        found = await self.database.winner(docid)
        assert found is not None
        value = orjson.loads(found.revisions)
        return Path(value["start"], value["ids"])

    async def live_leaves(self, docid: str) -> list[str]:
        return [leaf.rev for leaf in await self.database.leaves(docid) if not leaf.deleted]

    async def notices(self, user: str, doctype: str) -> list[dict[str, Any]]:
        """Live documents of that type for somebody, which he sees and nobody else does."""
        found = []
        with self.database.reading() as reading:
            prefix = doctype.replace("_", "-")
            rows: Any = reading.connection.execute(
                "SELECT id, text FROM docs JOIN bodies ON bodies.seq = body"
                " WHERE NOT deleted AND id >= ? AND id < ?",
                (f"{prefix}-", f"{prefix}."),
            ).fetchall()
            for docid, text in rows:
                value = orjson.loads(text)
                readers = {name for name in PEOPLE if self.index.sees(reading, name, [docid])}
                assert readers == ({value["user"]} if "user" in value else {"gf1"})
                if user in readers:
                    found.append(value)
        return found

    async def quarantined(self, user: str) -> list[tuple[str, str]]:
        """(id, state) of what somebody has in quarantine, the oldest first."""
        found = []
        for _, number in self.gate.quarantine.listed(user=user, state=None, limit=10_000):
            entry = await self.gate.quarantine.get(number)
            assert entry is not None
            found.append((entry.docid, entry.state.value))
        return found[::-1]

    async def transact(self, run: Any) -> Any:
        def job(writing: Writing) -> Any:
            return run(writing)

        return await self.database.transact(job)


def customer_body(owner: str = "adm1", **more: Any) -> dict[str, Any]:
    return {
        "type": "customer",
        "companyName": "Hofladen Rode",
        "owner": owner,
        "createdBy": owner,
        "modifiedBy": owner,
        "modifiedAt": "2026-03-01T08:00:00.000Z",
        "version": 1,
        **more,
    }


def contact_body(customer_id: str, author: str = "adm1", **more: Any) -> dict[str, Any]:
    return {
        "type": "contact",
        "customerId": customer_id,
        "firstName": "Rike",
        "lastName": "Behn",
        "createdBy": author,
        "modifiedBy": author,
        "modifiedAt": "2026-03-01T08:00:00.000Z",
        "version": 1,
        **more,
    }
