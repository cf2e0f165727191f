"""Who may know what at this moment: by the stored documents and the second evaluation of the tables.

Every text that anybody writes is marked with a word of its own, so whatever a server says can be searched for
what its reader may not know. Nothing of the code under test is used but its storage.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any

import orjson

from replication.store.sqlite import SqliteDatabase
from tests.access import naive

MARK = re.compile(rb"zq[0-9]{7}zq")
_ID = re.compile(rb"[a-z][a-z-]*-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DATA = re.compile(rb'"data":\s*"([A-Za-z0-9+/=]+)"')


def mark(number: int) -> str:
    """A word that nobody has used."""
    return f"zq{number:07d}zq"


def marks(text: bytes) -> set[bytes]:
    """All marks in a text, and in bytes that are given in base64 within it."""
    found = set(MARK.findall(text))
    for data in _DATA.findall(text):
        found.update(MARK.findall(base64.b64decode(data)))
    return found


def ids(text: bytes) -> set[bytes]:
    """All ids of documents in a text."""
    return set(_ID.findall(text))


class Oracle:
    def __init__(self, people: Iterable[str]) -> None:
        self.people = tuple(people)
        self.world: dict[str, dict[str, Any]] = {}
        """What lives, by id."""
        self.winners: dict[str, str] = {}
        self.may_see: dict[str, set[str]] = {}
        """Person -> documents that live and that he may see."""
        self.may_know: dict[str, set[bytes]] = {}
        """Person -> marks in what he may see, notices of conflicts left out."""
        self.of_conflicts: dict[str, set[bytes]] = {}
        """Person -> marks in notices of conflicts about documents that he may see, or might if they weren't
        deleted."""
        self.once_known: dict[str, set[bytes]] = {name: set() for name in self.people}
        """Person -> marks that he might know at some time."""
        self.own: dict[str, set[bytes]] = {name: set() for name in self.people}
        """Person -> marks in what he has sent."""
        self.heard_of: dict[str, set[bytes]] = {name: set() for name in self.people}
        """Person -> ids he may have heard of."""
        self.attached: dict[str, bytes] = {}
        """Digest -> bytes of all attachments that were ever written."""
        self.ever: dict[str, dict[str, Any]] = {}
        """What ever lived, as it was last."""
        self._files: dict[str, bytes] = {}
        self._buried: dict[str, dict[str, Any]] = {}
        """What deleted documents said last: what belongs to them is still where it was."""
        self._seq = -1

    def sends(self, user: str, text: bytes) -> None:
        """Whoever sends something knows it."""
        self.own[user] |= marks(text)
        self.heard_of[user] |= ids(text)

    def look(self, database: SqliteDatabase) -> None:
        """Takes note of the documents as they are now."""
        with database.reading() as reading:
            if reading.update_seq == self._seq:
                return
            self._seq = reading.update_seq
            rows: Any = reading.connection.execute(
                "SELECT id, rev, deleted, text FROM docs JOIN bodies ON bodies.seq = body"
            ).fetchall()
        world, self.winners = {}, {}
        texts: dict[str, bytes] = {}
        for docid, rev, deleted, text in rows:
            if deleted or docid.startswith("_design/"):
                continue
            body = orjson.loads(text)
            stubs = body.get("_attachments", {})
            members = {name: value for name, value in body.items() if name[:1] != "_"}
            world[docid] = {**members, "_id": docid}
            self.winners[docid] = rev
            self._files[docid] = b"".join(self.attached[one["digest"]] for one in stubs.values())
            texts[docid] = bytes(text) + self._files[docid]
        for docid, body in self.world.items():
            if docid not in world:
                self._buried[docid] = body
        self.world = world
        self.ever.update(world)
        for docid, _, _, _ in rows:
            if docid in world:
                self._buried.pop(docid, None)
        there = {row[0] for row in rows}
        self._buried = {docid: body for docid, body in self._buried.items() if docid in there}
        everything = {**self._buried, **world}
        for name in self.people:
            self._look_as(name, everything, texts)

    def _look_as(self, name: str, everything: dict[str, dict[str, Any]], texts: dict[str, bytes]) -> None:
        record = self.world.get(f"user-{name}")
        seen: set[str] = set()
        readable: set[str] = set()
        if record is not None:
            roles = (*record["roles"], None)
            readable = {
                docid
                for docid, doc in everything.items()
                if any(naive.reads(name, role, doc, everything) for role in roles)
            }
            # He is told of the end of what he would see; later also of what ended while he was not let in.
            self.heard_of[name].update(docid.encode() for docid in readable)
            seen = readable & self.world.keys() if record["active"] else set()
        self.may_see[name] = seen
        self.may_know[name], self.of_conflicts[name] = set(), set()
        for docid in seen:
            doc = self.world[docid]
            if doc["type"] != "conflict":
                self.may_know[name] |= marks(texts[docid])
            elif doc["entityId"] in (readable if doc.get("serverDeleted") else seen):
                self.of_conflicts[name] |= marks(texts[docid])
                self.once_known[name] |= self._brought(name, doc, everything)
            self.heard_of[name] |= ids(texts[docid])
        self.once_known[name] |= self.may_know[name]

    def _brought(
        self, name: str, conflict: dict[str, Any], everything: dict[str, dict[str, Any]]
    ) -> set[bytes]:
        """What the version says that didn't stay, if the reader of the conflict might have read it."""
        brought = conflict.get("localDocument")
        record = self.world.get(f"user-{name}")
        if brought is None or record is None:
            return set()
        document = {**brought, "_id": conflict["entityId"]}
        if not any(naive.reads(name, role, document, everything) for role in (*record["roles"], None)):
            return set()
        return marks(orjson.dumps(brought) + self._files[conflict["_id"]])

    def leaked(self, user: str, text: bytes) -> set[bytes]:
        """Marks in something that was said to somebody and that he may not know."""
        found = marks(text) - self.may_know[user] - self.own[user]
        return found - (self.of_conflicts[user] & self.once_known[user])

    def unheard(self, user: str, text: bytes) -> set[bytes]:
        """Ids in something that was said to somebody and that he could not know of."""
        return ids(text) - self.heard_of[user]
