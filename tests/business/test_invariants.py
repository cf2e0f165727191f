"""What holds whatever people send: the product with its rules, real requests, edits that are right and wrong.

    KOMPASS_TEST_STEPS=50000 .venv/bin/python -m pytest -q tests/business/test_invariants.py

tries as many steps as you have time for. After each step everything that has changed is looked at:

- what is stored is a sound document of its type, and one version of it lives;
- its status came along edges of its graph;
- what was final is there, with its number, as it was sealed but for what its change log says;
- what was refused is in quarantine, and nothing failed.

After each program: no number is missing or given twice, what follows from documents is what would be worked
out anew, and the chain of writes has every revision.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from hashlib import md5
from itertools import count
from pathlib import Path as File
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from kompass.audit.inspecting import public_keys
from kompass.business import BusinessRules, numbers, rebuilding
from kompass.domain import models
from kompass.domain.machines import MACHINES
from kompass.domain.sealing import is_intact
from kompass.domain.series import SeriesTable
from kompass.server import create_product
from kompass.settings import Settings
from kompass.sync.serving import Sync
from replication.accounts.passwords import hash_password
from tests.audit.world import look
from tests.domain.examples import smallest
from tests.in_process import serving
from tests.sync.test_promises import quiet

STEPS_IN_ALL = int(os.environ.get("KOMPASS_TEST_STEPS", "1000"))
STEPS_EACH = 50
LONG = STEPS_IN_ALL > 1000

PASSWORD = "geheim"
HASHED = hash_password(PASSWORD, iterations=10)
PEOPLE = {"adm1": "ADM", "adm2": "ADM", "innen1": "INNEN", "plan1": "PLAN", "buch1": "BUCH", "gf1": "GF"}
NAMES = (*PEOPLE, "gf1", "gf1", "innen1", "boss")
"""Management and office do most; `boss` administers the server."""
KINDS = (
    "opportunity",
    "offer",
    "contract",
    "project",
    "time_entry",
    "expense",
    "project_cost",
    "user_task",
    "customer",
)
FOUNDED = ("customer", "opportunity", "offer", "project", "time_entry", "expense", "project_cost")
"""What there is before the first step."""
HOWS = ("online", "pushed", "beside", "late", "twice", "undone")
PDF = ("a.pdf", "b.pdf")

Document = dict[str, Any]
Step = tuple[Any, ...]

SETTINGS: Sequence[tuple[str, Sequence[Any]]] = (
    ("notes", ("kurz", "länger\nmit Zeilen", "x" * 20_000, "a\u202egnp.exe", None)),
    ("correctionReason", ("Zahlendreher im Vermerk", "zu kurz", None)),
    ("taxRate", (0.19, 0.07, 19, -1, 1e20, "0.19")),
    ("lineItems", ([], [{"description": "Regal", "quantity": 2, "unitPriceEur": 10.1}], "keine")),
    ("terms", ("frei Haus", "ab Werk", 5)),
    ("title", ("Ladenbau", "", "Regal\u0000")),
    ("amount", (4.5, 20, 120.55, 0.001)),
    ("totalEur", (1, 99999.99)),
    ("quantity", (1, 2.5, -3)),
    ("contractValueEur", (100, 4465)),
    ("endTime", ("2020-01-01T08:00:00.000Z", "now", "morgen")),
    ("actualValue", (1000, 0)),
    ("probability", (100, 50, 0, 101)),
    ("lostReason", ("zu teuer für den Kunden", None)),
    ("rejectionReason", ("gefällt dem Kunden nicht", "nein")),
    ("terminationReason", ("im Einvernehmen beendet", None)),
    ("cancellationReason", ("der Kunde hat abgesagt", None)),
    ("supersededBy", ("offer", "contract", "offer-nirgends")),
    ("signedPdfUrl", ("a.pdf", "b.pdf")),
    ("receiptUrl", ("a.pdf", None)),
    ("invoiceNumber", ("RE-1", "RE-2")),
    ("paymentReference", ("SEPA-4711",)),
    ("offerNumber", ("A-2026-00001", None)),
    ("customerNumber", ("K-99999",)),
    ("finalized", (False, True, None)),
    ("immutableHash", ("0" * 64, None)),
    ("changeLog", ([], [{"field": "terms"}])),
    ("legalHold", (True, False, None, "true", 1)),
    ("legalHoldReason", ("Verfahren vor dem Landgericht", "Das Verfahren ist beendet", "kurz", None)),
    ("customerId", ("customer",)),
    ("type", ("offer", "invoice", "nichts")),
    ("createdAt", ("2001-01-01T00:00:00.000Z",)),
    ("modifiedAt", ("2199-01-01T00:00:00.000Z", "1990-01-01T00:00:00.000Z", "gestern")),
    ("version", (10**12, 0, 7)),
    ("schemaVersion", (1, 2, 99)),
    ("unbekannt", (1, {"tief": [[[[]]]]})),
    ("owner", ("adm1", "adm2", "niemand")),
    ("stornoOf", ("expense", "project_cost", "time_entry")),
)

_small = st.sampled_from(range(36))
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("create"), _small, st.sampled_from(range(len(KINDS))), _small),
    st.tuples(st.just("advance"), _small, _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("advance"), st.just(7), _small, _small, st.sampled_from(("online", "pushed"))),
    st.tuples(st.just("advance"), st.just(7), st.sampled_from((1, 2)), _small, st.just("pushed")),
    st.tuples(
        st.just("set"),
        _small,
        _small,
        st.sampled_from(range(len(SETTINGS))),
        _small,
        st.sampled_from(HOWS),
    ),
    st.tuples(st.just("jump"), _small, _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("delete"), _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("attach"), _small, _small, _small, st.sampled_from(HOWS)),
    st.tuples(st.just("copy"), _small, _small),
    st.tuples(st.just("storno"), _small, _small),
    st.tuples(st.just("replay"), _small, _small),
    st.tuples(st.just("purge"), _small),
)


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Company:
    """One server."""

    def __init__(self, directory: File) -> None:
        self.directory = directory
        self._stack = AsyncExitStack()
        self._names = 0
        self.seen: Counter[str] = Counter()
        self.last: dict[str, Document] = {}
        """Documents as they were at the last look; those that are gone are left out."""
        self.sealed: dict[str, Document] = {}
        """Final documents as they were when they were first seen so."""
        self.administered: set[str] = set()
        """Final documents that an administrator has written to, whom nothing but the seal holds back."""
        self.looked = 0

    async def start(self) -> None:
        sync = Sync(self.directory, BusinessRules())
        store = await sync.open_store()
        admin = f"boss:-pbkdf2:{HASHED.prf}-{HASHED.key},{HASHED.salt},{HASHED.iterations}"
        settings = Settings(admin=SecretStr(admin), data=self.directory)
        product = await create_product(store, sync, settings, password_iterations=10)
        self.gate = sync.gate()
        self.database = self.gate.database
        stack = self._stack
        stack.push_async_callback(store.close)
        stack.push_async_callback(product.close)
        self.url = await stack.enter_async_context(serving(product))
        self.client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False)
        )

    async def found(self) -> None:
        for name, role in PEOPLE.items():
            login = {"name": name, "type": "user", "roles": [role], **HASHED.members()}
            path = f"/_users/org.couchdb.user:{name}"
            assert (await self.ask("boss", "PUT", path, login)).status_code == 201
            at = iso(datetime.now(UTC))
            user = {"type": "user", "name": name, "userName": name, "roles": [role], "active": True}
            user |= {"createdAt": at, "modifiedAt": at, "createdBy": "system", "modifiedBy": "system"}
            path = f"/kompass/user-{name}"
            found = await self.ask("boss", "GET", path)
            if found.status_code == 404:
                answer = await self.ask("boss", "PUT", path, {**user, "version": 1})
                assert answer.status_code == 201, answer.text

    async def close(self) -> None:
        await self._stack.aclose()

    async def ask(
        self, who: str, method: str, path: str, body: object = None, **headers: str
    ) -> httpx.Response:
        """Nothing fails, whatever is sent."""
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        headers.setdefault("content-type", "application/json")
        answer = await self.client.request(
            method, path, content=content, headers=headers, auth=(who, PASSWORD)
        )
        assert answer.status_code < 500, (who, method, path, content, answer.text)
        return answer

    def name(self) -> int:
        self._names += 1
        return self._names

    # -- what holds ----------------------------------------------------------------------------

    def look(self) -> None:
        """Everything that has changed since the last time."""
        with self.database.reading() as reading:
            rows: Any = reading.connection.execute(
                "SELECT id FROM docs WHERE seq > ? AND id NOT LIKE '\\_%' ESCAPE '\\'", (self.looked,)
            ).fetchall()
            self.looked = reading.update_seq
            for (docid,) in rows:
                leaves = reading.leaves(docid)
                live = [leaf for leaf in leaves if not leaf.deleted]
                assert len(live) <= 1, f"{docid} has {len(live)} versions that live"
                self._look_at(docid, orjson.loads(live[0].text) if live else None)
            for docid in [one for one in self.sealed if reading.winner(one) is None]:
                raise AssertionError(f"{docid} was final and has been purged")

    def _look_at(self, docid: str, stored: Document | None) -> None:
        before = self.last.pop(docid, None)
        if stored is None:
            assert docid not in self.sealed, f"{docid} was final and is deleted"
            return
        attached = stored.pop("_attachments", None)
        body = {name: value for name, value in stored.items() if name != "_rev"}
        if attached:
            body["_attachments"] = {name: one["digest"] for name, one in attached.items()}
        self.last[docid] = body
        if docid not in self.administered and body["type"] != "user":
            wrong = models.validate(body)
            assert wrong is None, (docid, wrong, body)
            self._came_along(docid, before, body)
        sealed = self.sealed.get(docid)
        if sealed is not None:
            for name in ("type", "finalized", "immutableAt", "immutableHash", "immutableAttachments"):
                assert body.get(name) == sealed.get(name), (docid, name)
            for name, value in sealed.items():
                if name.endswith("Number") and name != "invoiceNumber":
                    assert body.get(name) == value, (docid, name)
            log = sealed.get("changeLog") or []
            assert (body.get("changeLog") or [])[: len(log)] == log, docid
            if body["type"] in ("offer", "expense", "time_entry"):
                assert body.get("_attachments") == sealed.get("_attachments"), docid
        if body.get("finalized") is True:
            assert is_intact(body), (docid, body)
            self.seen["final"] += sealed is None
            self.seen["corrected"] += bool(body.get("changeLog")) and sealed is not None
            self.sealed[docid] = body

    def _came_along(self, docid: str, before: Document | None, body: Document) -> None:
        machine = MACHINES.get(body["type"])
        if machine is None:
            return
        state = machine.state(body)
        assert state in machine.states, (docid, state)
        self.seen[f"{body['type']} {state}"] += before is None or machine.state(before) != state
        if before is None:
            return
        assert before["type"] == body["type"], docid
        reached = {machine.state(before)}
        while more := {e.to for one in reached for e in machine.leaving(one)} - reached:
            reached |= more
        assert state in reached, f"{docid} went from {machine.state(before)} to {state}"

    def look_at_all(self) -> None:
        with self.database.reading() as reading:
            assert [str(one) for one in numbers.problems(reading, SeriesTable())] == []
            assert [str(one) for one in rebuilding.differences(reading)] == []
        report = look(self.directory / "kompass.sqlite", public_keys(self.directory))
        assert report.findings == [], report.findings[:3]


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


class Trial:
    """Runs programs, each in a company of its own."""

    def __init__(self, directory: File) -> None:
        self.runner = asyncio.Runner()
        self.seen: Counter[str] = Counter()
        self._directory = directory
        self._numbers = count()
        self.runner.run(self._found())

    async def _found(self) -> None:
        company = Company(self._directory / "template")
        await company.start()
        try:
            await company.found()
        finally:
            await company.close()

    def run(self, program: list[Step]) -> None:
        self.runner.run(self._run(program))

    async def _run(self, program: list[Step]) -> None:
        directory = self._directory / f"company-{next(self._numbers)}"
        await asyncio.to_thread(shutil.copytree, self._directory / "template", directory)
        company = Company(directory)
        await company.start()
        try:
            run = Run(company)
            for kind in FOUNDED:
                await run.step(("create", 5, KINDS.index(kind), 0))
            for step in program:
                await run.step(step)
            company.look_at_all()
        finally:
            await company.close()
            await asyncio.to_thread(shutil.rmtree, directory)
            self.seen += company.seen

    def close(self) -> None:
        self.runner.close()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with quiet():
        trial = Trial(tmp_path_factory.mktemp("invariants"))
        yield trial
        trial.close()
    if os.environ.get("KOMPASS_TEST_STEPS"):
        print(dict(sorted(trial.seen.items())), file=sys.__stderr__)


@pytest.mark.slow
@pytest.mark.timeout(0 if LONG else 600)
@settings(
    derandomize=not LONG,
    max_examples=max(1, STEPS_IN_ALL // STEPS_EACH),
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
@given(program=st.lists(STEPS, min_size=STEPS_EACH, max_size=STEPS_EACH))
def test_the_rules_hold_whatever_is_sent(trial: Trial, program: list[Step]) -> None:
    note(f"program: {program}")
    trial.run(program)
