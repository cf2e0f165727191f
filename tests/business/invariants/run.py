"""One program, as people and their devices carry it out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import md5
from uuid import UUID

import orjson

from kompass.domain.examples import smallest
from kompass.domain.machines import MACHINES
from tests.business.invariants.company import PEOPLE, Company, Document, iso
from tests.business.invariants.steps import KINDS, SETTINGS, Step

NAMES = (*PEOPLE, "gf1", "gf1", "innen1", "boss")
"""Management and office do most; `boss` administers the server."""
PDF = ("a.pdf", "b.pdf")


class Run:
    """One program, with a sale of its own."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.documents: dict[str, list[str]] = {kind: [] for kind in KINDS}
        self.pushes: list[tuple[str, Document]] = []
        self.histories: dict[str, list[tuple[Document, list[str]]]] = {}
        """Versions as devices had them, with their history, the latest first."""

    # -- documents -----------------------------------------------------------------------------

    def docid(self, kind: str, *, fresh: bool = False) -> str:
        known = self.documents[kind]
        if fresh or not known:
            number = int.from_bytes(md5(f"{self.company.name()}".encode()).digest())
            prefix = "usertask" if kind == "user_task" else kind.replace("_", "-")
            known.append(f"{prefix}-{UUID(int=number, version=4)}")
        return known[-1]

    def new(self, kind: str, who: str, variant: int) -> Document:
        at = datetime.now(UTC)
        body = smallest(kind, now=at)
        del body["_id"]
        body |= {"createdBy": who, "modifiedBy": who}
        for field, target in (
            ("customerId", "customer"),
            ("opportunityId", "opportunity"),
            ("offerId", "offer"),
            ("projectId", "project"),
        ):
            if field in body or (field == "projectId" and kind == "expense"):
                body[field] = self.docid(target)
        if kind == "customer":
            body["companyName"] = f"Hof {self.company.name()}"
        elif kind == "time_entry":
            body["userId"] = who
        elif kind == "opportunity":
            body |= {"status": "negotiation", "estimatedValue": 1000, "probability": 50}
        elif kind == "expense":
            body["amount"] = (4.5, 24.99, 80, 120)[variant % 4]
            if variant % 2:
                body |= {"receiptUrl": "a.pdf", "justification": "Parken beim Kunden, ganztägig"}
        machine = MACHINES.get(kind)
        if machine is not None and variant >= 30:
            body[machine.field] = machine.states[variant % len(machine.states)]
        return body

    def pick(self, number: int) -> str | None:
        """One of the program's documents, the later ones rather; contracts of the server's count."""
        last = self.company.last
        for turn in range(len(KINDS)):
            kind = KINDS[(number + turn) % len(KINDS)]
            known = [one for one, body in last.items() if body["type"] == kind]
            if known:
                return known[-1 - number // len(KINDS) % min(len(known), 3)]
        return None

    # -- steps ---------------------------------------------------------------------------------

    async def step(self, step: Step) -> None:
        await getattr(self, f"_{step[0]}")(*step[1:])
        self.company.look()

    async def _create(self, who: int, kind: int, variant: int) -> None:
        person, doctype = NAMES[who % len(NAMES)], KINDS[kind]
        if person == "boss":
            person = "gf1"
        docid = self.docid(doctype, fresh=True)
        await self._send(person, docid, self.new(doctype, person, variant), [], "pushed")

    async def _advance(self, who: int, doc: int, way: int, how: str) -> None:
        """Along an edge of the graph, with what it asks for."""
        docid = self.pick(doc)
        if docid is None:
            return
        stored = self.company.last[docid]
        machine = MACHINES.get(stored["type"])
        edges = machine.leaving(machine.state(stored)) if machine is not None else ()
        if machine is None or not edges:
            return
        edge = edges[way % len(edges)]
        members: Document = {machine.field: edge.to}
        for need in edge.needs:
            members[need.field] = 1000 if need.positive else "so ist es vereinbart worden"
            if need.field in ("endTime", "signedPdfUrl", "receiptUrl", "actualEndDate", "invoicePdfUrl"):
                members[need.field] = "a.pdf"
            if need.field == "endTime":
                members[need.field] = iso(datetime.now(UTC))
            if need.field == "actualEndDate":
                members[need.field] = datetime.now(UTC).date().isoformat()
            if need.field == "supersededBy":
                members[need.field] = self.docid("offer")
        if edge.to == "won":
            members["probability"] = 100
        await self._change(who, docid, members, how)

    async def _jump(self, who: int, doc: int, way: int, how: str) -> None:
        docid = self.pick(doc)
        machine = None if docid is None else MACHINES.get(self.company.last[docid]["type"])
        if docid is not None and machine is not None:
            state = machine.states[way % len(machine.states)]
            await self._change(who, docid, {machine.field: state}, how)

    async def _set(self, who: int, doc: int, field: int, value: int, how: str) -> None:
        docid = self.pick(doc)
        if docid is None:
            return
        name, values = SETTINGS[field]
        wanted = values[value % len(values)]
        if wanted == "now":
            wanted = iso(datetime.now(UTC))
        if name in ("supersededBy", "customerId", "stornoOf") and wanted in self.documents:
            wanted = self.docid(wanted)
        members = {name: wanted}
        if name != "correctionReason" and value >= 24:
            members["correctionReason"] = "Zahlendreher im Vermerk"
        await self._change(who, docid, members, how)

    async def _attach(self, who: int, doc: int, number: int, how: str) -> None:
        docid = self.pick(doc)
        if docid is None:
            return
        data = f"%PDF {number % 3}".encode()
        person = NAMES[who % len(NAMES)]
        if how == "online" and (person != "boss" or docid in self.company.sealed):
            found = await self.company.ask(person, "GET", f"/kompass/{docid}")
            if found.status_code == 200:
                path = f"/kompass/{docid}/{PDF[number % 2]}?rev={found.json()['_rev']}"
                kind = {"content-type": "application/pdf"}
                if number % 4 == 3:
                    await self.company.ask(person, "DELETE", path)
                else:
                    await self.company.ask(person, "PUT", path, data, **kind)
            return
        await self._change(who, docid, {}, how, {PDF[number % 2]: data} if number % 4 != 3 else {})

    async def _delete(self, who: int, doc: int, how: str) -> None:
        docid = self.pick(doc)
        if docid is not None:
            await self._change(who, docid, None, how)

    async def _copy(self, who: int, doc: int) -> None:
        docid = self.pick(doc)
        if docid is not None:
            kind = self.company.last[docid]["type"]
            if kind in self.documents:
                to = self.docid(kind, fresh=True)
                person = NAMES[who % len(NAMES)]
                if person != "boss":
                    await self.company.ask(person, "COPY", f"/kompass/{docid}", destination=to)

    async def _storno(self, who: int, doc: int) -> None:
        docid = self.pick(doc)
        stored = None if docid is None else self.company.last[docid]
        if stored is None or stored["type"] not in ("expense", "project_cost", "time_entry"):
            return
        person = NAMES[who % len(NAMES)]
        body = {**self.new(stored["type"], person, 0), "stornoOf": docid, "stornoReason": "doppelt erfasst"}
        for name, value in stored.items():
            if name not in ("_id", "createdBy", "createdAt", "modifiedBy", "modifiedAt", "_attachments"):
                body.setdefault(name, value)
        for name in ("status", "projectId", "amount", "expenseDate", "startTime", "endTime", "userId"):
            if name in stored:
                body[name] = stored[name]
        if person != "boss":
            await self._send(person, self.docid(stored["type"], fresh=True), body, [], "pushed")

    async def _replay(self, who: int, number: int) -> None:
        """What somebody has pushed comes again, from him or from somebody else."""
        if self.pushes:
            person, document = self.pushes[number * 5 % len(self.pushes)]
            if who % 2 and person != "boss":
                person = NAMES[who % len(PEOPLE)]
            await self._push(person, document)

    async def _purge(self, doc: int) -> None:
        docid = self.pick(doc)
        if docid is not None and docid in self.company.sealed:
            found = (await self.company.ask("boss", "GET", f"/kompass/{docid}")).json()
            answer = await self.company.ask("boss", "POST", "/kompass/_purge", {docid: [found["_rev"]]})
            assert answer.status_code == 403, answer.text

    # -- sending -------------------------------------------------------------------------------

    async def _change(
        self,
        who: int,
        docid: str,
        members: Document | None,
        how: str,
        attached: Mapping[str, bytes] | None = None,
    ) -> None:
        """As a device does that has the document, or had it."""
        person = NAMES[who % len(NAMES)]
        if person == "boss" and docid not in self.company.sealed:
            person = "gf1"
        elif person == "boss":
            self.company.administered.add(docid)
        found = await self.company.ask(person, "GET", f"/kompass/{docid}?revs=true")
        if found.status_code != 200:
            return
        stored = found.json()
        history = stored.pop("_revisions")
        versions = self.histories.setdefault(docid, [])
        versions.insert(0, (stored, [f"{history['start']}", *history["ids"]]))
        base, above = versions[0]
        if how == "late":
            base, above = versions[-1]
        elif how == "beside" and len(versions) > 1:
            base, above = versions[1]
        changed = {name: value for name, value in base.items() if name[:1] != "_"}
        changed |= {"modifiedBy": person, "modifiedAt": iso(datetime.now(UTC))}
        changed["version"] = base["version"] + 1
        for name, value in (members or {}).items():
            changed[name] = value
            if value is None:
                del changed[name]
        if "_attachments" in base:
            changed["_attachments"] = {**base["_attachments"]}
        if attached is not None:
            changed["_attachments"] = {
                name: {"content_type": "application/pdf", "data": b64encode(data).decode()}
                for name, data in attached.items()
            }
        if members is None:
            changed = {"_deleted": True}
        if how == "online":
            await self.company.ask(person, "PUT", f"/kompass/{docid}", {**changed, "_rev": stored["_rev"]})
            return
        undo = {**changed, **{name: base.get(name) for name in members or ()}, "version": 9}
        undo = {name: value for name, value in undo.items() if value is not None}
        await self._send(person, docid, changed, above, how, undo)

    async def _send(
        self,
        person: str,
        docid: str,
        body: Document,
        above: Sequence[str],
        how: str,
        undo: Document | None = None,
    ) -> None:
        first = self._version(docid, body, above)
        documents = [first]
        if how == "twice":
            documents.append(self._version(docid, {**body, "notes": "noch einmal"}, above))
        elif how == "undone" and undo is not None:
            revisions = first["_revisions"]
            history = [str(revisions["start"]), *revisions["ids"]]
            documents.append(self._version(docid, undo, history))
        await self._push(person, *documents)

    def _version(self, docid: str, body: Document, above: Sequence[str]) -> Document:
        start, ids = (int(above[0]), list(above[1:])) if above else (0, [])
        name = md5(orjson.dumps([body, ids, self.company.name()])).hexdigest()
        revisions = {"start": start + 1, "ids": [name, *ids]}
        return {**body, "_id": docid, "_rev": f"{start + 1}-{name}", "_revisions": revisions}

    async def _push(self, person: str, *documents: Document) -> None:
        self.pushes += [(person, document) for document in documents]
        request = {"new_edits": False, "docs": documents}
        answer = await self.company.ask(person, "POST", "/kompass/_bulk_docs", request)
        if answer.status_code != 201:
            assert answer.status_code in (400, 403, 412), answer.text
            return
        refused = answer.json()
        self.company.seen["refused" if refused else "ok"] += 1
        for one in refused:
            assert one["error"] == "forbidden", one
            if person != "boss":
                known = self.company.gate.quarantine.known(person, [one["id"]])
                kept = (one["id"], one["rev"]) in known
                assert kept, f"{person}: {one} is lost"
