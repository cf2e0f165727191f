"""The product with documents of every type for everybody, and what each person must never be answered.

Who may read what comes from `tests.access.naive`, which shares no code with the product. Every document has a
mark in its text that is nowhere else: whoever is answered a mark, a revision or an attachment of a document
that isn't his has found a hole.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson

from kompass.access.companions import BASE_FIELD, companion_id
from kompass.access.table import TABLE
from kompass.server import Product
from kompass.sync.opening import DATABASE
from replication.accounts.passwords import hash_password
from tests.access import naive
from tests.access.world import ME, make
from tests.product import running_product
from tests.search.filling import fill

ADMIN = ("chef", "streng-geheim")
"""The administrator of the server."""

PASSWORD = "sehr-geheim"
PEOPLE: Mapping[str, str | None] = {
    "adm1": "ADM",
    "adm2": "ADM",
    "innen1": "INNEN",
    "plan1": "PLAN",
    "kalk1": "KALK",
    "buch1": "BUCH",
    "gf1": "GF",
    "admin1": "ADMIN",
    "niemand": None,
}
"""Logins and their one role."""

ANONYMOUS = ""
EVERYBODY = (*PEOPLE, ANONYMOUS)

ATTACHED = ("contact", "expense", "activity", "offer", "project_competitor")
"""Types that have something attached."""

OWNERS = ("adm1", "adm2", "plan1", "gf1")
"""Who owns or has made documents of every type; others get their right to read by their role."""

SERVER_MADE = frozenset({"user", "permission_matrix", "role"})

DAY = 24 * 60 * 60
"""How long a login lasts: if it were renewed in between, two answers would differ in their cookies."""

PUBLIC_DESIGN = {
    "kompass": {"public": True},
    "views": {
        "all": {"map": "function (doc) { emit(doc.type, doc.notes) }"},
        "linked": {"map": "function (doc) { for (var k in doc) if (/Id$/.test(k)) emit(k, {_id: doc[k]}) }"},
        "counted": {"map": "function (doc) { emit(doc.type, 1) }", "reduce": "_count"},
    },
    "filters": {"everything": "function (doc, req) { return true }"},
    "updates": {
        "echo": "function (doc, req) { return [null, JSON.stringify([doc, req])] }",
    },
}
"""Functions that give away whatever they are given."""


MARK = re.compile(rb"MARK-(\d{5})-")
REVISION = re.compile(rb"\b\d+-[0-9a-f]{32}\b")
IDENTIFIER = re.compile(
    rb"[a-z]+(?:-[a-z]+)*-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


def mark(number: int) -> str:
    return f"MARK-{number:05d}-"


def attached_text(number: int) -> bytes:
    return f"{mark(number)} attached, {number * 7919}".encode()


@dataclass
class Truth:
    """What one person may be answered."""

    readable: frozenset[str]
    ids: frozenset[bytes]
    """Ids that documents he may read name."""


@dataclass
class World:
    product: Product
    stack: AsyncExitStack
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """All that live, by id."""
    numbers: dict[int, str] = field(default_factory=dict)
    """Mark -> document."""
    revisions: dict[bytes, str] = field(default_factory=dict)
    attachments: dict[bytes, str] = field(default_factory=dict)
    """What tells of an attachment's bytes -> document."""
    truths: dict[str, Truth] = field(default_factory=dict)
    _clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    # -- people --------------------------------------------------------------------------------

    async def client(self, name: str) -> httpx.AsyncClient:
        """Requests of somebody who has logged in."""
        if name not in self._clients:
            transport = httpx.ASGITransport(self.product)
            client = httpx.AsyncClient(transport=transport, base_url="http://server", timeout=30)
            self.stack.push_async_callback(client.aclose)
            if name == ADMIN[0]:
                client.auth = httpx.BasicAuth(*ADMIN)
            elif name:
                answer = await client.post("/_session", json={"name": name, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
                # As a header of every request: no test changes whose requests these are.
                client.headers["cookie"] = f"AuthSession={answer.cookies['AuthSession']}"
                client.cookies.clear()
            self._clients[name] = client
        return self._clients[name]

    async def admin(self) -> httpx.AsyncClient:
        return await self.client(ADMIN[0])

    # -- what is there -------------------------------------------------------------------------

    async def look(self) -> None:
        """Learns what is stored, and who may read it."""
        admin = await self.admin()
        listed = await admin.get(f"/{DATABASE}/_all_docs", params={"include_docs": "true"})
        rows = listed.raise_for_status().json()["rows"]
        self.documents = {row["id"]: row["doc"] for row in rows if not row["id"].startswith("_design/")}
        self.revisions = {doc["_rev"].encode(): docid for docid, doc in self.documents.items()}
        world = {docid: {"createdBy": "", **doc} for docid, doc in self.documents.items()}
        texts = {docid: orjson.dumps(doc) for docid, doc in self.documents.items()}
        for name in EVERYBODY:
            role = PEOPLE.get(name)
            readable = frozenset(
                docid for docid, doc in world.items() if role and naive.reads(name, role, doc, world)
            )
            named = {found for docid in readable for found in IDENTIFIER.findall(texts[docid])}
            self.truths[name] = Truth(readable, frozenset(named | {docid.encode() for docid in readable}))

    def secret_of(self, name: str, doctype: str, **members: Any) -> str:
        """A document of that type that somebody may not read."""
        for docid, doc in self.documents.items():
            wanted = all(doc.get(member) == value for member, value in members.items())
            if doc["type"] == doctype and wanted and docid not in self.truths[name].readable:
                return docid
        raise LookupError(f"{name or 'anonymous'} may read every {doctype}")

    def readable_by(self, name: str, doctype: str) -> str | None:
        return next(
            (
                docid
                for docid, doc in self.documents.items()
                if doc["type"] == doctype and docid in self.truths[name].readable
            ),
            None,
        )

    def secrets_of(self, name: str) -> list[str]:
        """A few documents he may not read: one of each type, as far as there are."""
        found: dict[str, str] = {}
        for docid, doc in self.documents.items():
            if docid not in self.truths[name].readable:
                found.setdefault(doc["type"], docid)
        return list(found.values())

    # -- judging answers -----------------------------------------------------------------------

    def leaks(self, name: str, answer: bytes, asked: bytes = b"") -> list[str]:
        """What an answer tells somebody and must not. `asked`: what he said himself."""
        truth = self.truths[name]
        found = []
        for number in MARK.findall(answer):
            docid = self.numbers[int(number)]
            if docid not in truth.readable and number not in asked:
                found.append(f"the text of {docid}")
        for rev in set(REVISION.findall(answer)):
            owner = self.revisions.get(rev)
            if owner is not None and owner not in truth.readable and rev not in asked:
                found.append(f"the revision of {owner}")
        for docid in set(IDENTIFIER.findall(answer)):
            text = docid.decode()
            if text in self.documents and docid not in truth.ids and docid not in asked:
                found.append(f"that there is {text}")
        for sign, owner in self.attachments.items():
            if owner not in truth.readable and sign in answer and sign not in asked:
                found.append(f"what is attached to {owner}")
        return sorted(set(found))


def whole(answer: httpx.Response) -> bytes:
    """Everything of an answer: its headers and its body."""
    head = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
    return b"%d\n%b\n\n%b" % (answer.status_code, head, answer.content)


def said(request: httpx.Request) -> bytes:
    """Everything of a request but who makes it."""
    head = b"\n".join(value for name, value in request.headers.raw if name.lower() != b"cookie")
    return request.url.raw_path + b"\n" + head + b"\n" + request.content


def _documents(owner: str, base: int) -> list[dict[str, Any]]:
    """One document of each type that names `owner`, and private ones."""
    uuid = str(UUID(int=0xC0FFEE0000 + base, version=4))
    types = sorted(set(naive_types()) - SERVER_MADE)
    docs = [make(doctype, mine=True, status="accepted") for doctype in types]
    for doctype in ("activity", "protocol"):
        private = make(doctype, mine=True, private=True)
        docs.append({**private, "_id": private["_id"].replace("-x", "-y")})
    found = []
    for doc in docs:
        text = orjson.dumps(doc).decode().replace(f'"{ME}"', f'"{owner}"').replace('"other"', '"gf1"')
        text = re.sub(r"-x\"", f'-{uuid}"', text)
        text = re.sub(r"-y\"", f'-{UUID(int=0xBEEF0000 + base, version=4)}"', text)
        doc = orjson.loads(text)
        if doc["type"] in BASE_FIELD:
            doc["_id"] = companion_id(doc["type"], doc[BASE_FIELD[doc["type"]]])
        found.append(doc)
    return found


def naive_types() -> Collection[str]:
    """All types people get to see but cards, which the server writes."""
    return [doctype for doctype in TABLE if not doctype.endswith("_card")]


async def open_world(directory: Path, stack: AsyncExitStack) -> World:
    """Starts the product on an empty directory and fills it."""
    product = await stack.enter_async_context(running_product(directory, ADMIN, session_timeout=DAY))
    world = World(product, stack)
    admin = await world.admin()
    password = hash_password(PASSWORD, iterations=10).members()
    for name, role in PEOPLE.items():
        user = {"name": name, "type": "user", "roles": [role] if role else [], **password}
        (await admin.put(f"/_users/org.couchdb.user:{name}", json=user)).raise_for_status()
    number = 0
    for place, owner in enumerate(OWNERS):
        docs = _documents(owner, place * 16)  # other ids fit in between
        for doc in docs:
            number += 1
            world.numbers[number] = doc["_id"]
            doc["notes"] = mark(number)
            if doc["type"] in ATTACHED:
                data = attached_text(number)
                doc["_attachments"] = {
                    "secret.txt": {"content_type": "text/plain", "data": b64encode(data).decode()}
                }
                world.attachments[b64encode(data)] = doc["_id"]
        answer = await admin.post(f"/{DATABASE}/_bulk_docs", json={"docs": docs})
        refused = [row for row in answer.raise_for_status().json() if "error" in row]
        assert not refused, refused
    design = f"/{DATABASE}/_design"
    (await admin.put(f"{design}/open", json=PUBLIC_DESIGN)).raise_for_status()
    closed = {**PUBLIC_DESIGN, "kompass": {"public": False}, "notes": "closed"}
    (await admin.put(f"{design}/closed", json=closed)).raise_for_status()
    for name, public in (("finding", True), ("hidden", False)):
        index = {"index": {"fields": ["type", "notes"]}, "ddoc": name, "name": "by-notes", "type": "json"}
        (await admin.post(f"/{DATABASE}/_index", json=index)).raise_for_status()
        ddoc = (await admin.get(f"{design}/{name}")).json()
        (await admin.put(f"{design}/{name}", json={**ddoc, "kompass": {"public": public}})).raise_for_status()
    note = {"notes": "the administrator's"}
    (await admin.put(f"/{DATABASE}/_local/noted", json=note)).raise_for_status()
    for name in PEOPLE:
        # The first request makes the document that his roles come from.
        await (await world.client(name)).get(f"/{DATABASE}")
    await world.look()
    await fill(product, directory / "search")
    return world
