"""A server with its rules, and what holds there after every step."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any

import httpx
import orjson
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
from tests.in_process import serving

PASSWORD = "geheim"
HASHED = hash_password(PASSWORD, iterations=10)
PEOPLE = {"adm1": "ADM", "adm2": "ADM", "innen1": "INNEN", "plan1": "PLAN", "buch1": "BUCH", "gf1": "GF"}

Document = dict[str, Any]


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
