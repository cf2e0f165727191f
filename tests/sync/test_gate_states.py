"""Devices, the office and time in any order: what must hold whatever happens."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path as File
from typing import Any, TypeVar

import hypothesis.strategies as st
import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kompass.sync.quarantine.desk import ClashError, Desk
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path
from tests.examples import examples
from tests.sync.gate_world import Version, World, contact, contact_body, customer, customer_body, new

T = TypeVar("T")
USERS = st.sampled_from(["adm1", "adm2", "innen1", "buch1", "gf1"])
OWNERS = st.sampled_from(["adm1", "adm2"])
NUMBERS = st.integers(1, 3)
FIELDS = st.sampled_from(["phone", "email", "notes"])


class Company(RuleBasedStateMachine):
    """`devices`: what each person's device holds: document -> the version it shows."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.world = self.wait(World.open(File(self.directory.name)))
        self.devices: dict[str, dict[str, Version]] = {}
        self.sent: dict[tuple[str, str, str], Version] = {}
        self.count = 0
        for number, owner in ((1, "adm1"), (2, "adm2"), (3, "adm1")):
            self.wait(self.world.put(customer(number), customer_body(owner)))
            if number < 3:
                self.wait(self.world.put(contact(number), contact_body(customer(number), owner)))
        for user in ("adm1", "adm2", "innen1", "buch1", "gf1"):
            self.pull(user)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.wait(self.world.close())
            self.runner.close()
            self.directory.cleanup()

    # -- what happens --------------------------------------------------------------------------

    @rule(number=NUMBERS, owner=OWNERS, field=FIELDS)
    def office_writes(self, number: int, owner: str, field: str) -> None:
        """Also grants and revokes: the owner changes."""
        self.count += 1
        before = self.wait(self.world.body(customer(number))) or customer_body(owner)
        changed = {**before, "owner": owner, "modifiedBy": "gf1", field: self.count}
        self.wait(self.world.put(customer(number), changed))

    @rule(number=NUMBERS)
    def office_deletes(self, number: int) -> None:
        if self.wait(self.world.body(customer(number))) is not None:
            self.wait(self.world.put(customer(number), None))

    @rule(user=USERS)
    def pull(self, user: str) -> None:
        """The device shows what its user may see; what it has not sent yet it keeps."""
        device = self.devices.setdefault(user, {})
        for docid in [make(n) for make in (customer, contact) for n in (1, 2, 3)]:
            with self.world.database.reading() as reading:
                visible = docid in self.world.index.sees(reading, user, [docid])
                winner = reading.winner(docid)
            held = device.get(docid)
            if held is not None and (user, docid, held.rev) not in self.sent:
                continue
            if not visible or winner is None or winner.deleted:
                device.pop(docid, None)
                continue
            revisions = orjson.loads(winner.revisions)
            text = {k: v for k, v in orjson.loads(winner.text).items() if k[:1] != "_"}
            version = Version(Path(revisions["start"], revisions["ids"]), text)
            device[docid] = version
            self.sent[user, docid, version.rev] = version

    @rule(user=USERS, number=NUMBERS)
    def creates_customer(self, user: str, number: int) -> None:
        self.count += 1
        body = customer_body(user, made=self.count)
        self.devices.setdefault(user, {}).setdefault(customer(number), new(body, None, self.count))

    @rule(user=USERS, number=NUMBERS, parent=NUMBERS)
    def creates_contact(self, user: str, number: int, parent: int) -> None:
        self.count += 1
        body = contact_body(customer(parent), user, made=self.count)
        self.devices.setdefault(user, {}).setdefault(contact(number), new(body, None, self.count))

    @rule(user=USERS, field=FIELDS, number=NUMBERS, make=st.sampled_from([customer, contact]))
    def edits(self, user: str, field: str, number: int, make: Any) -> None:
        device = self.devices.setdefault(user, {})
        held = device.get(make(number))
        if held is not None and held.body is not None:
            self.count += 1
            body = {**held.body, field: self.count, "modifiedBy": user}
            device[make(number)] = new(body, held.path, self.count)

    @rule(user=USERS, number=NUMBERS, owner=OWNERS)
    def gives_away(self, user: str, number: int, owner: str) -> None:
        """Which field sales may not."""
        device = self.devices.setdefault(user, {})
        held = device.get(customer(number))
        if held is not None and held.body is not None:
            body = {**held.body, "owner": owner, "modifiedBy": user}
            device[customer(number)] = new(body, held.path, self.count)

    @rule(user=USERS, number=NUMBERS, make=st.sampled_from([customer, contact]))
    def deletes(self, user: str, number: int, make: Any) -> None:
        held = self.devices.get(user, {}).get(make(number))
        if held is not None and held.body is not None:
            self.devices[user][make(number)] = new(None, held.path)

    @rule(user=USERS, only=st.none() | st.sampled_from([customer, contact]))
    def push(self, user: str, only: Any) -> None:
        """All that wasn't sent, or the documents of one type alone, contacts before customers."""
        docs = [
            (docid, version)
            for docid, version in sorted(self.devices.get(user, {}).items())
            if (user, docid, version.rev) not in self.sent
            and (only is None or docid.startswith(only(1).partition("-")[0]))
        ]
        owners = {n: (self.wait(self.world.body(customer(n))) or {}).get("owner") for n in (1, 2, 3)}
        self.wait(self.world.push(user, *docs))
        for docid, version in docs:
            self.sent[user, docid, version.rev] = version
        asked = [(docid, version) for docid, version in docs if version.body is not None]
        assert self.wait(self.world.missing(user, *asked)) == set()
        if user.startswith("adm"):
            for n, owner in owners.items():
                body = self.wait(self.world.body(customer(n)))
                assert owner is None or body is None or body["owner"] == owner

    @rule(users=st.permutations(["adm1", "innen1", "gf1"]), number=NUMBERS, field=FIELDS, other=FIELDS)
    def several_edit_at_once(self, users: list[str], number: int, field: str, other: str) -> None:
        """All of them online before, offline meanwhile."""
        for user in users:
            self.pull(user)
        for user, one in zip(users, (field, other, field), strict=True):
            self.edits(user, one, number, customer)
        for user in users:
            self.push(user, None)

    @rule(user=USERS)
    def pushes_again(self, user: str) -> None:
        """As after an answer that got lost."""
        docs = [
            (docid, version)
            for docid, version in self.devices.get(user, {}).items()
            if (user, docid, version.rev) in self.sent
        ]
        before = self.world.database.update_seq
        self.wait(self.world.push(user, *docs))
        if docs and not any(version.body is None for _, version in docs):
            assert self.world.database.update_seq == before

    @rule(days=st.integers(1, 5))
    def time_passes(self, days: int) -> None:
        self.world.clock.advance(days=days)
        self.wait(self.world.gate.housekeep())

    @rule()
    def compacts(self) -> None:
        self.wait(self.world.database.compact())

    @rule(user=st.sampled_from(["innen1", "gf1"]), place=st.integers(0, 20), overwrite=st.booleans())
    def office_releases(self, user: str, place: int, overwrite: bool) -> None:
        self.wait(self._release(user, place, overwrite))

    async def _release(self, user: str, place: int, overwrite: bool) -> None:
        entries = self.world.gate.quarantine.listed(user=None, state=None, limit=100)
        if not entries:
            return
        desk, person = Desk(self.world.gate), self.world.people[user]
        shown = await desk.find(person, entries[place % len(entries)][1])
        if shown is None or shown.entry.state != "quarantined":
            return
        try:
            await desk.release(person, shown, overwrite=overwrite)
        except ClashError:
            pass
        except ProtocolError as error:
            if error.error != "forbidden":
                raise

    # -- what holds ----------------------------------------------------------------------------

    @invariant()
    def a_document_has_one_live_leaf(self) -> None:
        if hasattr(self, "world"):
            for docid in [make(n) for make in (customer, contact) for n in (1, 2, 3)]:
                assert len(self.wait(self.world.live_leaves(docid))) <= 1

    @invariant()
    def no_work_is_lost(self) -> None:
        """Every text that was sent is among the documents or in quarantine, or a later one of its line is."""
        if hasattr(self, "world"):
            self.wait(self._no_work_is_lost())

    async def _no_work_is_lost(self) -> None:
        trees = {
            make(n): await self.world.database.tree(make(n))
            for make in (customer, contact)
            for n in (1, 2, 3)
        }
        lines: dict[tuple[str, str], set[Any]] = {}
        for user, docid, _ in self.sent:
            lines.setdefault((user, docid), set())
        for user, docid, rev in self.sent:
            lines[user, docid].update(self.sent[user, docid, rev].path.revisions()[1:])
        for (user, docid, rev), version in self.sent.items():
            if version.body is None or version.path.leaf in lines[user, docid]:
                continue
            tree = trees[docid]
            if tree is not None and version.path.leaf in tree:
                continue
            known = self.world.gate.quarantine.known(user, [docid])
            assert (docid, rev) in known, (user, docid, rev)

    @invariant()
    def the_author_is_told_of_what_lies_in_quarantine(self) -> None:
        if hasattr(self, "world"):
            self.wait(self._told())

    async def _told(self) -> None:
        for user in ("adm1", "adm2", "innen1", "buch1", "gf1"):
            told = {
                (notice["docId"], notice["rev"])
                for notice in await self.world.notices(user, "rejected_change")
            }
            known = self.world.gate.quarantine.known(
                user, [make(n) for make in (customer, contact) for n in (1, 2, 3)]
            )
            assert told == {key for key, entry in known.items() if entry.state == "quarantined"}


TestCompany = pytest.mark.slow(Company.TestCase)
Company.TestCase.settings = settings(
    max_examples=examples(30),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
