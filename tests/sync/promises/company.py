"""A small company: its server with real requests, its people with two devices each, its documents.

The server is the product. Only touching and housekeeping happen when a program says so, which makes every
program end the same way each time.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any, Self
from uuid import UUID

import httpx
import orjson
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from kompass.access import Principal
from kompass.access.companions import companion_id
from kompass.access.principals import known_roles
from kompass.server import create_product
from kompass.settings import Settings
from kompass.sync.index import touching
from kompass.sync.opening import DATABASE
from kompass.sync.quarantine.desk import Desk
from kompass.sync.serving import Sync
from replication.accounts.passwords import hash_password
from replication.protocol.attachments import digest_of
from replication.store.sqlite import SqliteDatabase
from tests.in_process import serving
from tests.sync.promises.device import Answer, BrokenPromiseError, Device, Pushed
from tests.sync.promises.oracle import Oracle, mark

PASSWORD = "geheim"
_HASHED = hash_password(PASSWORD, iterations=10)
"""Quick to check."""
ADMIN = f"-pbkdf2:{_HASHED.prf}-{_HASHED.key},{_HASHED.salt},{_HASHED.iterations}"
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "adm1": ("ADM",),
    "adm2": ("ADM", "PLAN"),
    "innen1": ("INNEN",),
    "plan1": ("PLAN",),
    "kalk1": ("KALK", "ADM"),
    "buch1": ("BUCH",),
    "gf1": ("GF",),
    "admin1": ("ADMIN",),
}
ROLES: tuple[tuple[str, ...], ...] = (
    ("ADM",),
    ("INNEN",),
    ("PLAN",),
    ("KALK",),
    ("BUCH",),
    ("GF",),
    ("ADMIN",),
    ("ADM", "PLAN"),
    ("KALK", "BUCH"),
    ("INNEN", "ADM"),
)
VIEW = {
    "kompass": {"public": True},
    "views": {"notes": {"map": "function (doc) { emit(doc.type, doc.notes); }"}},
}


def uuid(number: int) -> str:
    return str(UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128, version=4))


class Socket:
    """What listens: another application behind it is another start of the server."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.tap: Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]] | None = None
        """Stands between the network and the application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        if self.tap is not None:
            await self.tap(self.app, scope, receive, send)
            return
        await self.app(scope, receive, send)


class Host:
    """The machine: one port for all companies that are tried on it, one after another."""

    def __init__(self) -> None:
        self.socket = Socket()
        self._stack = AsyncExitStack()
        self.url = ""
        self.client: httpx.AsyncClient

    async def __aenter__(self) -> Self:
        self.url = await self._stack.enter_async_context(serving(self.socket))
        self.client = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


class Company:
    def __init__(self, host: Host, directory: File) -> None:
        self.host = host
        self.directory = directory
        self.oracle = Oracle(PEOPLE)
        self.new_device: Callable[[str, int], Device] = lambda user, number: Device(
            user, number, self.asking(user), self.note
        )
        """Other kinds of devices can be put in its place."""
        self.devices = [self.new_device(name, number) for name in PEOPLE for number in (1, 2)]
        self.pushed: list[Pushed] = []
        self.gone_for_good: set[str] = set()
        """Documents that were purged."""
        self.requests = 0
        self.writes = 0
        """Marks and revisions that were given out."""
        self._auth = {name: httpx.BasicAuth(name, PASSWORD) for name in (*PEOPLE, "boss")}

    # -- the server ----------------------------------------------------------------------------

    async def start(self) -> None:
        sync = Sync(self.directory)
        self.store = await sync.open_store()
        settings = Settings(admin=SecretStr(f"boss:{ADMIN}"), data=self.directory)
        self.product = await create_product(self.store, sync, settings, password_iterations=10)
        assert sync._gate is not None
        self.gate, self.index, self.desk = sync._gate, sync.index, Desk(sync._gate)
        # From now on touching and housekeeping are steps.
        await sync.close()
        await self.database.transact(lambda _: None)  # behind what had begun
        self.host.socket.app = self.product

    async def stop(self) -> None:
        await self.product.close()
        await self.product.documents.server.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    @property
    def database(self) -> SqliteDatabase:
        return self.gate.database

    async def touch(self) -> int:
        """What the toucher does in the background; returns how much there was to look at."""
        looked = 0
        while count := await self.database.transact(
            lambda writing: touching.touch_some(writing, self.index.tombstones, 10)
        ):
            looked += count
        return looked

    # -- requests ------------------------------------------------------------------------------

    async def request(
        self,
        user: str,
        method: str,
        path: str,
        body: object = None,
        *,
        database: str = f"/{DATABASE}/",
        **headers: str,
    ) -> httpx.Response:
        """As somebody. What comes back may hold nothing that he may not know."""
        self.requests += 1
        content = None if body is None else orjson.dumps(body)
        if user in PEOPLE:
            asked = path.encode() + (content or b"")
            self.oracle.sends(user, asked)
        if content is not None:
            headers.setdefault("content-type", "application/json")
        headers.setdefault("accept", "application/json")
        answer = await self.host.client.request(
            method, database + path, content=content, headers=headers, auth=self._auth[user]
        )
        self.oracle.look(self.database)
        if user in PEOPLE:
            said = answer.content + repr(answer.headers.raw).encode()
            self.check(user, method, database + path, answer.status_code, said)
        return answer

    def check(self, user: str, method: str, path: str, status: int, said: bytes) -> None:
        """Searches an answer, headers and all, for what its reader may not know."""
        answered = f"by {method} {path} ({status}): {said[:3000]!r}"
        if leaked := self.oracle.leaked(user, said):
            raise BrokenPromiseError(f"{user} got {sorted(leaked)} {answered}")
        if unheard := self.oracle.unheard(user, said):
            raise BrokenPromiseError(f"{user} heard of {sorted(unheard)} {answered}")
        if status >= 500:
            raise BrokenPromiseError(f"{user} was failed {answered}")

    def asking(self, user: str) -> Any:
        async def ask(method: str, path: str, body: object = None) -> Answer:
            answer = await self.request(user, method, path, body)
            return answer.status_code, orjson.loads(answer.content)

        return ask

    def note(self, work: Pushed) -> None:
        self.pushed.append(work)
        self.oracle.sends(work.user, work.text)

    # -- the office, past the gate -------------------------------------------------------------

    async def put(
        self, docid: str, body: Mapping[str, Any] | None, attached: Mapping[str, bytes] | None = None
    ) -> None:
        """Writes onto the winner, whatever it is, unless that is final; None deletes it."""
        before = await self.request("boss", "GET", docid)
        found = before.json() if before.status_code == 200 else {}
        document: dict[str, Any] = {} if body is None else {**body}
        if "_rev" in found:
            document["_rev"] = found["_rev"]
        elif body is None:
            return
        if body is None:
            document["_deleted"] = True
        elif attached:
            document["_attachments"] = {name: self.attachment(data) for name, data in attached.items()}
        elif "_attachments" in found:
            document["_attachments"] = found["_attachments"]
        answer = await self.request("boss", "PUT", docid, document)
        if _is_final(answer):
            return
        assert answer.status_code in (200, 201), answer.text

    def attachment(self, data: bytes) -> dict[str, str]:
        self.oracle.attached[digest_of(data)] = data
        return {"content_type": "application/octet-stream", "data": base64.b64encode(data).decode()}

    async def change(self, docid: str, **members: Any) -> None:
        """Changes members of a document that lives."""
        found = self.oracle.world.get(docid)
        if found is not None:
            body = {name: value for name, value in found.items() if name[:1] != "_"}
            await self.put(docid, {**body, **members})

    async def purge(self, docid: str) -> None:
        leaves = [leaf.rev for leaf in await self.database.leaves(docid)]
        if leaves:
            answer = await self.request("boss", "POST", "_purge", {docid: leaves})
            if _is_final(answer):
                return
            assert answer.status_code == 201, answer.text
            self.gone_for_good.add(docid)

    async def add_login(self, name: str, roles: tuple[str, ...]) -> None:
        user = {"name": name, "type": "user", "roles": list(roles), **_HASHED.members()}
        answer = await self.request("boss", "PUT", f"org.couchdb.user:{name}", user, database="/_users/")
        assert answer.status_code == 201, answer.text
        body = {
            "name": name,
            "userName": name,
            "displayName": self.mark(),
            "roles": list(roles),
            "active": True,
        }
        await self.put(f"user-{name}", self.body("user", "system", **body))

    async def set_roles(self, name: str, roles: tuple[str, ...], *, active: bool = True) -> None:
        """As identity providers and administrators do it."""
        keeper = self.product.identity.records
        await keeper.enable(name, "test")
        self.oracle.look(self.database)  # until the next step he may see what his login's roles show
        await keeper.record_roles(name, known_roles(roles), "test")
        self.oracle.look(self.database)
        if not active:
            await keeper.disable(name, "test")
        self.oracle.look(self.database)

    async def write_roles(self, name: str, roles: tuple[str, ...]) -> None:
        """By hand, in the login alone: what he loses thereby is lost when he asks next."""
        path = f"org.couchdb.user:{name}"
        user = (await self.request("boss", "GET", path, database="/_users/")).json()
        user["roles"] = list(roles)
        answer = await self.request("boss", "PUT", path, user, database="/_users/")
        assert answer.status_code == 201, answer.text

    def is_active(self, name: str) -> bool:
        record = self.oracle.world.get(f"user-{name}")
        return record is not None and bool(record["active"])

    def principal(self, name: str) -> Principal:
        return Principal(name, known_roles(self.oracle.world[f"user-{name}"]["roles"]), None)

    # -- what is unique ------------------------------------------------------------------------

    def mark(self) -> str:
        self.writes += 1
        return mark(self.writes)

    def revision(self) -> str:
        self.writes += 1
        # Its place among others doesn't follow the order in which they were made.
        return f"{(self.writes * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128:032x}"

    def new_id(self, doctype: str) -> str:
        self.writes += 1
        prefix = {"user_task": "usertask", "project_task": "projecttask"}.get(
            doctype, doctype.replace("_", "-")
        )
        return f"{prefix}-{uuid(1_000_000 + self.writes)}"

    def body(self, doctype: str, author: str, **members: Any) -> dict[str, Any]:
        """A well-formed document with marks in a field for everybody who reads it, and in one on its card."""
        public = {"customer": "companyName", "opportunity": "title", "project": "name", "tour": "title"}
        body = {
            "type": doctype,
            "createdBy": author,
            "modifiedBy": author,
            "modifiedAt": datetime(2026, 3, 1, tzinfo=UTC).isoformat(),
            "version": 1,
            "notes": self.mark(),
            **members,
        }
        if doctype in public:
            body[public[doctype]] = self.mark()
        return body

    async def found(self) -> None:
        """Fills an empty database."""
        for name, roles in PEOPLE.items():
            await self.add_login(name, roles)
        await self.put("_design/kompass", VIEW)
        for docid, body in self._first_documents().items():
            await self.put(
                docid, body, {"plan.bin": self.mark().encode()} if body["type"] == "offer" else None
            )

    def _first_documents(self) -> dict[str, dict[str, Any]]:
        one, two, three = (f"customer-{uuid(number)}" for number in (1, 2, 3))
        chance, offer = f"opportunity-{uuid(4)}", f"offer-{uuid(5)}"
        contract, project = f"contract-{uuid(6)}", f"project-{uuid(7)}"
        contact, activity, private = f"contact-{uuid(8)}", f"activity-{uuid(9)}", f"activity-{uuid(10)}"
        tour, task, booked = f"tour-{uuid(11)}", f"projecttask-{uuid(12)}", f"time-entry-{uuid(13)}"
        invoice, expense = f"invoice-{uuid(14)}", f"expense-{uuid(15)}"
        body = self.body
        return {
            one: body("customer", "adm1", owner="adm1"),
            two: body("customer", "adm2", owner="adm2"),
            three: body("customer", "kalk1", owner="kalk1"),
            companion_id("customer_finance", one): body("customer_finance", "gf1", customerId=one),
            companion_id("customer_visit", one): body("customer_visit", "adm1", customerId=one),
            f"location-{uuid(20)}": body("location", "adm1", customerId=one),
            contact: body("contact", "adm1", customerId=one),
            f"contact-{uuid(21)}": body("contact", "adm2", customerId=two),
            chance: body("opportunity", "adm1", customerId=one, owner="adm1", status="new"),
            offer: body("offer", "innen1", customerId=one, opportunityId=chance, status="accepted"),
            companion_id("offer_margin", offer): body("offer_margin", "kalk1", offerId=offer),
            contract: body("contract", "innen1", customerId=one, offerId=offer, status="signed"),
            project: body(
                "project",
                "plan1",
                customerId=one,
                contractId=contract,
                offerId=offer,
                projectManagerId="plan1",
                teamMemberIds=["adm2"],
            ),
            companion_id("project_costs", project): body("project_costs", "gf1", projectId=project),
            companion_id("project_margin", project): body("project_margin", "gf1", projectId=project),
            companion_id("project_competitor", project): body("project_competitor", "gf1", projectId=project),
            task: body("project_task", "plan1", projectId=project, assignedTo="innen1"),
            f"project-cost-{uuid(22)}": body("project_cost", "plan1", projectId=project, status="planned"),
            f"usertask-{uuid(23)}": body("user_task", "gf1", assignedTo="adm1"),
            activity: body("activity", "adm1", customerId=one),
            private: body("activity", "adm1", customerId=one, private=True),
            f"protocol-{uuid(24)}": body("protocol", "plan1", customerId=two, private=True),
            f"comment-{uuid(25)}": body("comment", "gf1", parentId=project),
            f"comment-{uuid(26)}": body("comment", "adm1", parentId=private),
            tour: body("tour", "adm1", ownerId="adm1", status="planned"),
            f"meeting-{uuid(27)}": body("meeting", "adm1", tourId=tour, customerId=one),
            booked: body("time_entry", "innen1", projectId=project, userId="innen1"),
            companion_id("time_entry_cost", booked): body("time_entry_cost", "gf1", timeEntryId=booked),
            invoice: body("invoice", "buch1", customerId=one, projectId=project, status="sent"),
            companion_id("invoice_amount", invoice): body("invoice_amount", "buch1", invoiceId=invoice),
            expense: body("expense", "plan1", projectId=project, status="draft"),
            companion_id("expense_notes", expense): body("expense_notes", "buch1", expenseId=expense),
            f"lead-{uuid(28)}": body("lead", "adm1", owner="adm1"),
            f"supplier-{uuid(29)}": body("supplier", "innen1"),
        }


class Template:
    """A company as it begins: its files, and what the first device of everybody has pulled."""

    def __init__(self, directory: File, kind: type[Company] = Company) -> None:
        self.directory = directory
        self._kind = kind
        self.devices: list[Device] = []
        self.attached: dict[str, bytes] = {}
        self.writes = 0

    async def make(self, host: Host) -> None:
        company = Company(host, self.directory)
        await company.start()
        try:
            await company.found()
            self.devices = company.devices
            for device in self.devices[::2]:
                await device.pull()
        finally:
            await company.stop()
        self.attached, self.writes = company.oracle.attached, company.writes

    async def open(self, host: Host, directory: File) -> Company:
        """Another company that begins like this, whose server runs."""
        await asyncio.to_thread(shutil.copytree, self.directory, directory)
        company = self._kind(host, directory)
        company.devices = [device.twin(company.asking(device.user), company.note) for device in self.devices]
        company.oracle.attached.update(self.attached)
        company.writes = self.writes
        await company.start()
        company.oracle.look(company.database)
        return company


def _is_final(answer: httpx.Response) -> bool:
    """Whether it was refused because the document has to stay, for administrators as well."""
    return answer.status_code == 403 and " is final" in answer.json()["reason"]
