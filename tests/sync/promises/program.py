"""Programs: what happens in the company, step by step, until everybody has synced to the end.

A step is a tuple of a name and small numbers, which choose among what there is when it comes to it: so any
part of a program is a program, and the shortest that fails can be looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from kompass.sync.notices import rejected_id
from kompass.sync.quarantine.desk import DeskError
from replication.protocol.attachments import digest_of
from replication.protocol.errors import ProtocolError
from tests.sync.promises.checking import Promises
from tests.sync.promises.company import PEOPLE, ROLES, Company
from tests.sync.promises.device import Break, BrokenPromiseError, Device, NotAdmittedError, Version
from tests.sync.promises.oracle import marks
from tests.sync.promises.probes import PROBES
from tests.sync.promises.steps import NEW_TYPES, Step

MOST_ROUNDS = 12
"""Rounds of syncing after which nothing may move any more."""

_NAMES = tuple(PEOPLE)

_WRITES: Mapping[str, frozenset[str]] = {
    "ADM": frozenset({"customer", "contact", "location", "opportunity"}),
    "INNEN": frozenset({"customer", "contact", "opportunity", "offer"}),
    "PLAN": frozenset({"contact", "location", "project", "project_task", "activity"}),
    "KALK": frozenset({"opportunity", "project_task"}),
    "BUCH": frozenset({"customer_finance"}),
    "GF": frozenset({"customer", "contact", "activity", "offer", "project", "opportunity"}),
    "ADMIN": frozenset(),
}
"""What most changes are made to, so that many are accepted and meet others."""


class Run:
    """One program in one company."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.seen: Counter[str] = Counter()
        """How often what happened."""
        self._promises = Promises(company, self.seen)
        self._deleted: dict[str, dict[str, Any]] = {}

    async def step(self, step: Step) -> None:
        name, *arguments = step
        self.seen[name] += 1
        before = dict(self.company.oracle.world)
        await getattr(self, f"_{name}")(*arguments)
        self._deleted.update(
            (docid, doc) for docid, doc in before.items() if docid not in self.company.oracle.world
        )

    def _pick(self, number: int, *types: str) -> str | None:
        found = sorted(
            docid for docid, doc in self.company.oracle.world.items() if not types or doc["type"] in types
        )
        return found[number % len(found)] if found else None

    async def _nothing(self) -> None:
        return

    # -- on devices ----------------------------------------------------------------------------

    def _device(self, number: int) -> Device:
        return self.company.devices[number]

    def _shown(self, device: Device, number: int) -> str | None:
        """More often than not one that may be changed."""
        found = sorted(device.shown())
        if number < 30:
            found = [docid for docid in found if self._may_write(device, docid)] or found
        return found[number % len(found)] if found else None

    def _may_write(self, device: Device, docid: str) -> bool:
        record = self.company.oracle.world.get(f"user-{device.user}", {})
        doctype = device.version(docid).body.get("type")
        return any(doctype in _WRITES[role] for role in record.get("roles", ()))

    async def _edit(self, number: int, which: int, how: int) -> None:
        device = self._device(number)
        docid = self._shown(device, which)
        if docid is not None:
            self._write(device, docid, how)

    async def _clash(self, one: int, other: int, which: int, how: int, how_else: int) -> None:
        """Two devices change the same document, neither knowing of the other."""
        devices = self._device(one), self._device(other)
        found = sorted(devices[0].shown().keys() & devices[1].shown().keys())
        if which < 35:
            both = [docid for docid in found if all(self._may_write(device, docid) for device in devices)]
            found = both or found
        if found:
            self._write(devices[0], found[which % len(found)], how)
            self._write(devices[1], found[which % len(found)], how_else)

    def _write(self, device: Device, docid: str, how: int) -> None:
        version = device.version(docid)
        body = {**version.body, "modifiedBy": device.user}
        attachments = dict(version.attachments)
        if how == 3:
            data = self.company.mark().encode() + device.name.encode()
            self.company.oracle.attached[digest_of(data)] = data
            self.company.oracle.sends(device.user, data)
            attachments["photo.bin"] = data
        else:
            body[("notes", "remark", "notes")[how]] = self.company.mark()
        device.write(docid, self.company.revision(), Version(body, False, attachments))

    async def _create(self, number: int, which: int, target: int, own: bool) -> None:
        """A new document that belongs to one that is shown, or (not `own`) to any that there is."""
        device, doctype = self._device(number), NEW_TYPES[which]
        user = device.user
        members: dict[str, Any] = {}
        shown = {docid: device.version(docid).body for docid in device.shown()}

        def to(*types: str) -> str | None:
            found = sorted(docid for docid, body in shown.items() if not types or body.get("type") in types)
            if not own or not found:
                return self._pick(target, *types)
            return found[target % len(found)]

        match doctype:
            case "customer":
                members = {"owner": user}
            case "contact" | "activity" | "location":
                members = {"customerId": to("customer")}
                if doctype == "activity":
                    members["private"] = target % 2 == 1
            case "opportunity":
                members = {"customerId": to("customer"), "owner": user, "status": "new"}
            case "offer":
                members = {
                    "customerId": to("customer"),
                    "opportunityId": to("opportunity"),
                    "status": "draft",
                }
            case "comment":
                members = {
                    "parentId": to("customer", "activity", "project", "contact", "comment", "customer_card")
                }
            case "user_task":
                members = {"assignedTo": user if own else _NAMES[target % len(_NAMES)]}
            case "project_task":
                members = {"projectId": to("project"), "assignedTo": _NAMES[target % len(_NAMES)]}
            case "expense":
                members = {"projectId": to("project"), "status": "draft"}
        if None in members.values():
            return
        body = self.company.body(doctype, user, **members)
        device.write(self.company.new_id(doctype), self.company.revision(), Version(body, False))

    async def _remove(self, number: int, which: int) -> None:
        device = self._device(number)
        docid = self._shown(device, which)
        if docid is not None:
            device.write(docid, self.company.revision(), Version({}, True))

    async def _recreate(self, number: int, which: int) -> None:
        """What was deleted or taken away comes again, as `put` without a revision does it."""
        device = self._device(number)
        gone = sorted(device.trees.keys() - device.shown().keys())
        known = [docid for docid in gone if docid in self.company.oracle.world or docid in self._deleted]
        if known:
            docid = known[which % len(known)]
            was = self.company.oracle.world.get(docid) or self._deleted[docid]
            references = {
                name: value for name, value in was.items() if name.endswith(("Id", "owner", "assignedTo"))
            }
            body = self.company.body(was["type"], device.user, **references)
            device.write(docid, self.company.revision(), Version(body, False))

    async def _pull(self, number: int, size: int, batches: int, at: str) -> None:
        device = self._device(number)
        await self._admitted(device, lambda: device.pull(size, batches, Break(at)))

    async def _push(self, number: int, size: int, batches: int, at: str) -> None:
        device = self._device(number)
        await self._admitted(device, lambda: device.push(size, batches, Break(at)))

    async def _race(self, number: int, direction: str, size: int, step: Step) -> None:
        """Something happens between two requests of a replication."""
        device = self._device(number)
        replicate = device.pull if direction == "pull" else device.push
        await self._admitted(device, lambda: replicate(size, between=lambda: self.step(step)))

    async def _admitted(self, device: Device, sync: Callable[[], Awaitable[int]]) -> int:
        """Syncs as long as the user is let in, and not otherwise."""
        was_active = self.company.is_active(device.user)
        try:
            moved = await sync()
        except NotAdmittedError:
            if self.company.is_active(device.user):
                raise
            return 0
        if not was_active:
            raise BrokenPromiseError(f"{device.user} is no user any more, and syncs")
        return moved

    async def _forget(self, number: int, direction: str, side: str) -> None:
        device = self._device(number)
        if side == "here":
            device.forget_checkpoint(direction)
        else:
            await self.company.request(
                device.user, "DELETE", f"_local/{device.checkpoint_id(direction)}?rev=0-1"
            )

    async def _replace(self, number: int) -> None:
        company = self.company
        user = self._device(number).user
        fresh = len(company.devices) + self.seen["replace"]
        company.devices[number] = company.new_device(user, fresh)

    # -- in the office -------------------------------------------------------------------------

    async def _own(self, which: int, person: int) -> None:
        docid = self._pick(which, "customer", "customer", "opportunity", "lead")
        if docid is not None:
            await self.company.change(docid, owner=_NAMES[person], notes=self.company.mark())

    async def _team(self, which: int, members: list[int], manager: int) -> None:
        docid = self._pick(which, "project")
        if docid is not None:
            names = [_NAMES[one] for one in members]
            await self.company.change(docid, teamMemberIds=names, projectManagerId=_NAMES[manager])

    async def _roles(self, person: int, which: int, active: int) -> None:
        if active == 1:
            await self.company.write_roles(_NAMES[person], ROLES[which])
        else:
            await self.company.set_roles(_NAMES[person], ROLES[which], active=active > 0)

    async def _office(self, which: int) -> None:
        docid = self._pick(which)
        if docid is not None and self.company.oracle.world[docid]["type"] not in (
            "user",
            "conflict",
            "rejected_change",
        ):
            await self.company.change(docid, notes=self.company.mark())

    async def _drop(self, which: int) -> None:
        docid = self._pick(which)
        if docid is not None and self.company.oracle.world[docid]["type"] != "user":
            await self.company.put(docid, None)

    async def _purge(self, which: int) -> None:
        docid = self._pick(which, "contact", "activity", "location", "comment", "opportunity", "customer")
        if docid is not None and which % 3 == 0:
            await self.company.purge(docid)
            self._deleted.pop(docid, None)

    async def _revive(self, which: int) -> None:
        """Somebody of the office makes a deleted document again."""
        gone = sorted(self._deleted.keys() - self.company.oracle.world.keys())
        if gone:
            docid = gone[which % len(gone)]
            body = {name: value for name, value in self._deleted[docid].items() if name[:1] != "_"}
            if body["type"] not in ("conflict", "rejected_change"):
                await self.company.put(docid, {**body, "notes": self.company.mark()})

    async def _status(self, which: int, accepted: bool) -> None:
        docid = self._pick(which, "offer")
        if docid is not None:
            await self.company.change(docid, status="accepted" if accepted else "draft")

    async def _private(self, which: int, private: bool) -> None:
        docid = self._pick(which, "activity", "protocol")
        if docid is not None:
            await self.company.change(docid, private=private, notes=self.company.mark())

    async def _move(self, which: int, where: int) -> None:
        docid, customer = (
            self._pick(which, "contact", "location", "activity", "project"),
            self._pick(where, "customer"),
        )
        if docid is not None and customer is not None:
            await self.company.change(docid, customerId=customer, notes=self.company.mark())

    async def _assign(self, which: int, person: int) -> None:
        docid = self._pick(which, "user_task", "project_task")
        if docid is not None:
            await self.company.change(docid, assignedTo=_NAMES[person], notes=self.company.mark())

    async def _online(self, person: int, which: int, remove: bool) -> None:
        """Somebody who is online changes or deletes a document, whether he may or not."""
        user, docid = _NAMES[person], self._pick(which)
        if docid is None:
            return
        found = await self.company.request(user, "GET", docid)
        rev = self.company.oracle.winners[docid]
        if remove:
            await self.company.request(user, "DELETE", f"{docid}?rev={rev}")
            return
        body = found.json() if found.status_code == 200 else {"type": "contact", "_id": docid}
        body |= {"modifiedBy": user, "notes": self.company.mark(), "_rev": rev}
        await self.company.request(user, "PUT", docid, body)

    async def _release(self, person: int, which: int, discard: bool) -> None:
        """Somebody looks at the quarantine and settles an entry."""
        user = _NAMES[person]
        if not self.company.is_active(user):
            return
        principal = self.company.principal(user)
        desk = self.company.desk
        entries, _ = await desk.page(principal, everybody=True, state=None, limit=1000, before=None)
        for entry in entries:
            if entry.user != user:
                text = orjson.dumps(entry.document)
                leaked = marks(text) - self.company.oracle.own[entry.user]
                assert not leaked, leaked
        if not entries:
            return
        shown = await desk.find(principal, entries[which % len(entries)].id)
        assert shown is not None
        # What waits is refused and settled at once: of the notice its author only hears that it has ended.
        about = shown.entry
        notice = rejected_id(about.user, about.docid, about.document_rev)
        self.company.oracle.heard_of[about.user].add(notice.encode())
        try:
            if discard:
                await desk.discard(principal, shown)
            else:
                await desk.release(principal, shown, overwrite=which % 2 == 1)
        except (DeskError, ProtocolError):
            self.seen["release refused"] += 1
        self.company.oracle.look(self.company.database)

    # -- on the server -------------------------------------------------------------------------

    async def _touch(self) -> None:
        await self.company.touch()
        self.company.oracle.look(self.company.database)

    async def _housekeep(self) -> None:
        await self.company.gate.housekeep()
        self.company.oracle.look(self.company.database)

    async def _restart(self) -> None:
        await self.company.restart()

    async def _probe(self, person: int, which: int, document: int, more: int) -> None:
        winners = self.company.oracle.winners
        changed = {docid for docid, rev in winners.items() if not rev.startswith("1-")}
        known = changed & self.company.oracle.may_see[_NAMES[person]]
        everything = {*self.company.oracle.world, *self._deleted}
        docids = sorted((known, changed, everything)[document % 3] or everything)
        docid = docids[document % len(docids)]
        await PROBES[which](self.company, _NAMES[person], docid, more)

    # -- the end -------------------------------------------------------------------------------

    async def _settle(self) -> None:
        await self.settle()
        await self.check()

    async def settle(self) -> None:
        """Everybody syncs until nothing changes."""
        company = self.company
        for _ in range(MOST_ROUNDS):
            at = company.database.update_seq
            moved = 0
            for device in company.devices:
                moved += await self._admitted(device, device.push)
                moved += await self._admitted(device, device.pull)
            await self._housekeep()
            await self._touch()
            self.seen["rounds"] += 1
            if not moved and company.database.update_seq == at:
                return
        raise BrokenPromiseError(f"still moving after {MOST_ROUNDS} rounds")

    async def check(self) -> None:
        """The promises."""
        await self._promises.check()

    def count(self) -> None:
        """What came of it all: for whoever wonders whether programs try enough."""
        reading_now = self.company.database.reading
        self.seen["pushed"] += len(self.company.pushed)
        self.seen["denied"] += sum(device.denied for device in self.company.devices)
        for doc in self.company.oracle.ever.values():
            if doc["type"] in ("conflict", "rejected_change"):
                self.seen[doc["type"]] += 1
        with reading_now() as reading:
            rows: Any = reading.connection.execute(
                "SELECT origin, count(*) FROM gate_revisions GROUP BY origin"
            )
            for origin, number in rows:
                self.seen[f"revisions {origin}"] += number
        for device in self.company.devices:
            for docid, tree in device.trees.items():
                tombstones = sum(self.company.index.knows_tombstone(docid, leaf) for leaf in tree.leaves())
                self.seen["tombstones held"] += tombstones
                self.seen["and the document lives"] += bool(tombstones and docid in device.shown())
