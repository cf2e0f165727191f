"""The promises, when everybody has synced: devices show what their users may see, and no work is lost."""

from __future__ import annotations

from collections import Counter

import orjson

from kompass.sync.quarantine.entries import State
from replication.protocol.attachments import digest_of
from replication.protocol.revisions import Rev, format_rev, parse_rev
from tests.sync.promises.company import PEOPLE, Company
from tests.sync.promises.device import BrokenPromiseError, Device, Pushed
from tests.sync.promises.oracle import marks


class Promises:
    """Of one company."""

    def __init__(self, company: Company, seen: Counter[str]) -> None:
        """`seen` counts what happened."""
        self.company = company
        self.seen = seen

    async def check(self) -> None:
        """Raises `BrokenPromiseError`."""
        self.company.oracle.look(self.company.database)
        for device in self.company.devices:
            if self.company.is_active(device.user):
                await self._check_device(device)
        await self._check_counts()
        for work in self.company.pushed:
            if not work.deleted:
                await self._check_kept(work)

    async def _check_device(self, device: Device) -> None:
        company = self.company
        expected: dict[str, Rev] = {
            docid: parse_rev(company.oracle.winners[docid]) for docid in company.oracle.may_see[device.user]
        }
        shown = device.shown()
        for docid, rev in shown.items():
            if expected.get(docid) == rev:
                continue
            held = company.gate.quarantine.known(device.user, [docid]).get((docid, format_rev(rev)))
            if docid not in expected and held is not None and held.state is State.WAITING:
                self.seen["shown waiting"] += 1
                expected[docid] = rev
                continue
            raise BrokenPromiseError(
                f"{device.name} shows {docid} {format_rev(rev)}, not {_named(expected.get(docid))}: "
                f"{await self._about(device, docid)}"
            )
        for docid in expected.keys() - shown.keys():
            raise BrokenPromiseError(
                f"{device.name} lacks {docid} {_named(expected[docid])}: {await self._about(device, docid)}"
            )
        for docid in device.trees:
            if len(device.live_leaves(docid)) > (docid in expected):
                raise BrokenPromiseError(
                    f"{device.name} has other leaves: {await self._about(device, docid)}"
                )
        for docid in expected.keys() & company.oracle.world.keys():
            version = device.version(docid)
            if {**version.body, "_id": docid} != company.oracle.world[docid]:
                raise BrokenPromiseError(
                    f"{device.name} shows {docid} as {version.body}, not {company.oracle.world[docid]}"
                )
            stored = await company.database.attachments(docid, expected[docid])
            here = {name: digest_of(data) for name, data in version.attachments.items()}
            if here != {name: info.digest for name, info in stored.items()}:
                raise BrokenPromiseError(f"{device.name}: attachments of {docid}: {here}, not {stored}")

    async def _about(self, device: Device, docid: str) -> str:
        tree = device.trees.get(docid)
        here = tree.to_json() if tree is not None else None
        with self.company.database.reading() as reading:
            state = reading.revisions(docid)
            row = self.company.index.row_of(reading, device.user, docid)
        there = state.tree.to_json() if state is not None else None
        lives = self.company.oracle.world.get(docid)
        return f"\n on the device {here}\n on the server {there}\n in the feed {row}\n {lives}"

    async def _check_counts(self) -> None:
        for name in PEOPLE:
            if self.company.is_active(name):
                info = (await self.company.request(name, "GET", "")).json()
                # The public design document counts, too.
                assert info["doc_count"] == len(self.company.oracle.may_see[name]) + 1, (name, info)

    async def _check_kept(self, work: Pushed) -> None:
        """What was sent is in the document's history, in quarantine, in a notice of a conflict, or went into
        a later text of its author's that is."""
        mine = marks(work.text)
        docid = work.docid
        if docid not in self.company.gone_for_good and not await self._is_kept(work, mine):
            raise BrokenPromiseError(
                f"work of {work.user} is lost: {docid} {format_rev(work.path.leaf)} {work.text!r}"
            )

    async def _is_kept(self, work: Pushed, mine: set[bytes]) -> bool:
        company, docid, rev = self.company, work.docid, work.path.leaf
        known = company.gate.quarantine.known(work.user, [docid])
        if (docid, format_rev(rev)) in known:
            return True
        with company.database.reading() as reading:
            state = reading.revisions(docid)
            if state is not None:
                lineage = {state.winner} | state.tree.ancestors(state.winner)
                if rev in lineage:
                    return True
                if rev in state.tree:
                    # A closed branch: what it brought is in what the winner comes from, or a person decides.
                    for one in lineage:
                        found = reading.revision(docid, one)
                        if found is not None:
                            mine = mine - marks(found.text)
                    for doc in company.oracle.ever.values():
                        about = (doc["type"], doc.get("user"), doc.get("entityId"))
                        if about == ("conflict", work.user, docid):
                            mine = mine - marks(orjson.dumps(doc["localDocument"]))
                    # Or a rule has decided against it: then it is in the history.
                    for (decided,) in reading.connection.execute(
                        "SELECT decided FROM conflicts WHERE doc = ?", (docid,)
                    ):
                        mine = mine - marks(decided.encode())
                    if not mine:
                        return True
        later = [
            one
            for one in company.pushed
            if one.docid == docid and one.user == work.user and rev in one.path.revisions()[1:]
        ]
        return any([await self._is_kept(one, marks(one.text)) for one in later])


def _named(rev: Rev | None) -> str:
    return "nothing" if rev is None else format_rev(rev)
