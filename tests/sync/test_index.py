"""The feed index against a model: whatever happens, a device ends with what its user may see.

A device here is what PouchDB is to replication: revision trees that only grow, fed by rows of the feed.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path as FilePath
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kompass.access.audiences import Parents
from kompass.access.channels import Relation, RelationKind
from kompass.access.principals import Role
from kompass.sync.index import FeedIndex, FeedRow, leaves, listing, touching
from kompass.sync.index import feed as feed_module
from kompass.sync.positions import position
from replication.protocol.documents import DocumentWrite
from replication.protocol.revision_tree import RevisionTree
from replication.protocol.revisions import Path, Rev, parse_rev
from replication.store.sqlite import Reading, SqliteDatabase, SqliteStore, Writing
from replication.store.values import KeyRange
from tests.examples import examples

USERS = ("ada", "ben", "cem")
DOCS = ("d1", "d2", "d3", "d4")
CHANNELS = ("red", "green", "blue")


class PlainRules:
    """Channels are what a document says, or its parent's; grants are what documents say about people."""

    def document_channels(self, doc: Mapping[str, Any], parents: Parents) -> frozenset[str]:
        parent = doc.get("parentId")
        inherited = parents.channels(parent) if parent else None
        return frozenset(doc.get("channels", ())) | (inherited or frozenset())

    def parent_ids(self, doc: Mapping[str, Any]) -> Iterable[str]:
        return [doc["parentId"]] if doc.get("parentId") else []

    def relations(self, doc: Mapping[str, Any]) -> frozenset[Relation]:
        return frozenset(
            Relation(user, RelationKind.OWNS_CUSTOMER, channel) for user, channel in doc.get("grants", ())
        )

    def principal_channels(
        self, name: str, roles: frozenset[Role], relations: Iterable[Relation]
    ) -> frozenset[str]:
        own = frozenset(one.key for one in relations)
        return own | frozenset({"all"} if Role.GF in roles else ())

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


class Device:
    """One person's tablet."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.since = 0
        self.trees: dict[str, RevisionTree] = {}

    def add(self, docid: str, path: Path, deleted: bool) -> None:
        self.trees.setdefault(docid, RevisionTree()).add(path, deleted)

    def take(self, index: FeedIndex, reading: Reading, row: FeedRow) -> None:
        state = reading.revisions(row.id)
        if row.winner is not None:
            assert state is not None
            rev = parse_rev(row.winner)
            self.add(row.id, state.tree.path(rev), state.tree.is_deleted(rev))
        for closed in row.closed:
            assert state is not None
            self.add(row.id, state.tree.path(parse_rev(closed)), True)
        for text in row.tombstones:
            rev = parse_rev(text)
            assert index.knows_tombstone(row.id, rev)
            path = index.tombstone_path(reading, self.user, row.id, rev)
            assert path is not None
            assert path.leaf == rev
            self.add(row.id, path, True)
        assert row.winner is not None or row.tombstones, row

    def sync(self, index: FeedIndex, database: SqliteDatabase, limit: int, most: int = 10_000) -> None:
        """Reads pages until there is nothing more, or `most` pages."""
        for _ in range(most):
            with database.reading() as reading:
                rows = index.rows(reading, self.user, self.since, limit)
                for row in rows:
                    self.take(index, reading, row)
            if not rows:
                return
            self.since = rows[-1].position

    def shown(self) -> dict[str, Rev]:
        return {
            docid: tree.winner() for docid, tree in self.trees.items() if not tree.is_deleted(tree.winner())
        }


class World:
    def __init__(self, database: SqliteDatabase, index: FeedIndex) -> None:
        self.database = database
        self.index = index
        self.devices = [Device(user) for user in USERS for _ in range(2)]
        self.count = 0

    async def put(self, docid: str, body: dict[str, Any], *, deleted: bool = False) -> None:
        self.count += 1
        text = orjson.dumps({**body, "n": self.count})

        def run(writing: Writing) -> None:
            winner = writing.winner(docid)
            if deleted and (winner is None or winner.deleted):
                return
            parent = None if winner is None or winner.deleted else parse_rev(winner.rev)
            outcome = writing.write([DocumentWrite(docid, deleted, b"{}" if deleted else text, parent)])
            assert isinstance(outcome[0], str), outcome

        await self.database.transact(run)

    async def purge(self, docid: str) -> None:
        winner = await self.database.winner(docid)
        if winner is not None:
            await self.database.purge(
                {docid: [parse_rev(doc.rev) for doc in await self.database.leaves(docid)]}
            )

    async def push(
        self, device: Device, docid: str, *, refused: bool, channels: list[str] | None = None
    ) -> None:
        """The device edits what it shows, or makes a new document, and sends it. The edit may move it."""
        self.count += 1
        tree = device.trees.get(docid)
        shown = device.shown().get(docid)
        name = f"{self.count:032x}"
        if shown is None and tree is not None:
            return
        if shown is None:
            path = Path(1, [name])
        else:
            assert tree is not None
            above = tree.path(shown)
            path = Path(above.start + 1, [name, *above.ids])
        device.add(docid, path, False)

        def run(writing: Writing) -> None:
            winner = writing.winner(docid)
            body: dict[str, Any] = {}
            fits = winner is None if shown is None else winner is not None and parse_rev(winner.rev) == shown
            sees = docid in self.index.sees(writing, device.user, [docid])
            if refused or not fits or not (sees or winner is None):
                self.index.refuse(writing, device.user, docid, path)
                return
            if winner is not None:
                body = {k: v for k, v in orjson.loads(winner.text).items() if k[:1] != "_"}
            if channels is not None:
                body["channels"] = channels
            outcome = writing.write(
                [DocumentWrite(docid, False, orjson.dumps({**body, "n": self.count}), path=path)],
                replicated=True,
            )
            assert isinstance(outcome[0], str), outcome

        def lose_sight(writing: Writing) -> None:
            if docid not in self.index.sees(writing, device.user, [docid]):
                self.index.refuse(writing, device.user, docid, path)

        await self.database.transact(run)
        await self.database.transact(lose_sight)

    async def settle(self) -> None:
        while await self.database.transact(
            lambda writing: touching.touch_some(writing, self.index.tombstones, 2)
        ):
            pass

    def check(self, limit: int) -> None:
        with self.database.reading() as reading:
            for user in USERS:
                self._check_feed(reading, user)
        for device in self.devices:
            device.sync(self.index, self.database, limit)
            with self.database.reading() as reading:
                allowed = {
                    docid: parse_rev(winner.rev)
                    for docid, winner in reading.winners(self.index.sees(reading, device.user, DOCS)).items()
                    if not winner.deleted
                }
            shown = {docid: rev for docid, rev in device.shown().items() if docid in DOCS}
            assert shown == allowed, device.user

    def _check_feed(self, reading: Reading, user: str) -> None:
        index = self.index
        rows = index.rows(reading, user, 0, 1000)
        places = [row.position for row in rows]
        assert places == sorted(set(places))
        assert len({row.id for row in rows}) == len(rows)
        assert (
            index.rows(reading, user, position(reading.update_seq) + 1, 1000, descending=True) == rows[::-1]
        )
        assert index.pending(reading, user, 0) == len(rows)
        for at, row in enumerate(rows):
            assert index.row_of(reading, user, row.id) == row
            assert index.pending(reading, user, row.position) == len(rows) - at - 1
            assert index.rows(reading, user, row.position, 1000) == rows[at + 1 :]
            assert index.rows(reading, user, row.position, 1000, descending=True) == rows[:at][::-1]
        for number in range(reading.update_seq + 1):
            since = position(number)
            assert index.rows(reading, user, since, 1000) == [row for row in rows if row.position > since]
        seen = {row.id for row in rows if row.visible}
        assert seen == index.sees(
            reading, user, [*DOCS, *(f"g{n}" for n in range(3)), *(f"user-{u}" for u in USERS)]
        )
        live = {row.id for row in rows if row.visible and not row.deleted}
        assert index.counts(reading, user) == (len(live), len(seen - live))
        assert listing.ids(reading, user, KeyRange()) == sorted(live)


doc_ids = st.sampled_from(DOCS)
channel_sets = st.lists(st.sampled_from([*CHANNELS, "all"]), max_size=2, unique=True)
grants = st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(CHANNELS)), max_size=3, unique=True)
operations = st.one_of(
    st.tuples(st.just("put"), doc_ids, channel_sets, st.sampled_from([None, *DOCS])),
    st.tuples(st.just("grant"), st.sampled_from(["g0", "g1", "g2"]), grants),
    st.tuples(st.just("delete"), st.sampled_from([*DOCS, "g0", "g1"])),
    st.tuples(st.just("purge"), doc_ids),
    st.tuples(st.just("roles"), st.sampled_from(USERS), st.booleans()),
    st.tuples(st.just("sync"), st.integers(0, 5), st.integers(1, 3), st.integers(1, 2)),
    st.tuples(st.just("push"), st.integers(0, 5), doc_ids, st.booleans()),
    st.tuples(st.just("settle")),
)


async def run_program(program: list[tuple[Any, ...]], limit: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        index = FeedIndex("work", PlainRules())
        store = await SqliteStore.open(FilePath(directory), extensions={"work": index})
        database = await store.create("work")
        assert isinstance(database, SqliteDatabase)
        world = World(database, index)
        try:
            for user in USERS:
                await world.put(f"user-{user}", {"type": "user", "name": user, "roles": []})
            for step in program:
                match step:
                    case ("put", docid, channels, parent):
                        body = {"channels": channels, **({"parentId": parent} if parent != docid else {})}
                        await world.put(docid, body)
                    case ("grant", docid, given_):
                        await world.put(docid, {"grants": given_, "channels": []})
                    case ("delete", docid):
                        await world.put(docid, {}, deleted=True)
                    case ("purge", docid):
                        await world.purge(docid)
                    case ("roles", user, boss):
                        await world.put(
                            f"user-{user}", {"type": "user", "name": user, "roles": ["GF"] if boss else []}
                        )
                    case ("sync", number, size, most):
                        world.devices[number].sync(index, database, size, most)
                    case ("sync all", size):
                        for device in world.devices:
                            device.sync(index, database, size)
                    case ("push", number, docid, refused):
                        await world.push(world.devices[number], docid, refused=refused)
                    case ("move", number, docid, channels):
                        await world.push(world.devices[number], docid, refused=False, channels=channels)
                    case ("settle",):
                        await world.settle()
            await world.settle()
            world.check(limit)
        finally:
            await store.close()


@settings(
    max_examples=examples(30),
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(operations, max_size=25), st.integers(1, 4), st.booleans(), st.booleans())
def test_devices_end_with_what_their_users_may_see(
    program: list[Any], limit: int, merged: bool, shortened: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if shortened:
            patch.setattr(leaves, "FEW", 0)
        if merged:
            patch.setattr(feed_module, "NEAR", -1)
        asyncio.run(run_program(program, limit))


def program_of(source: random.Random, steps: int) -> list[tuple[Any, ...]]:
    """Something like a day's work: much syncing, rights that come and go."""

    def step() -> tuple[Any, ...]:
        docid = source.choice(DOCS)
        channels = source.sample([*CHANNELS, "all"], source.randrange(3))
        match source.choices(range(9), [4, 4, 3, 1, 0.3, 3, 3, 3, 1])[0]:
            case 0:
                return "put", docid, channels, source.choice([None, None, *DOCS])
            case 1:
                people = [(user, channel) for user in USERS for channel in CHANNELS]
                return "grant", source.choice(["g0", "g1"]), source.sample(people, source.randrange(5))
            case 2:
                return "roles", source.choice(USERS), source.random() < 0.5
            case 3:
                return "delete", docid
            case 4:
                return "purge", docid
            case 5:
                return "sync all", source.randrange(1, 4)
            case 6:
                return "sync", source.randrange(6), source.randrange(1, 4), source.randrange(1, 3)
            case 7:
                return "push", source.randrange(6), docid, source.random() < 0.4
            case _:
                return "move", source.randrange(6), docid, channels

    return [step() for _ in range(steps)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("KOMPASS_TEST_SEEDS", "30"))))
def test_long_days_end_well(seed: int) -> None:
    source = random.Random(seed)
    asyncio.run(run_program(program_of(source, 60), source.randrange(1, 5)))
