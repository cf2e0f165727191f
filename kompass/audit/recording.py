"""Adding to the chain, inside the transaction of what is added.

An entry tells who, when, by which door and rule, and about values only commitments (`canonical`):

- `state`: the stored text of the revision that was written, which so can be compared with the chain.
- `changes`: for each member that differs from the revision before, its new and its old value.
- A new document has all its members changed: `state` is the commitment to them, `fields` are their names.
- What attachments are called is a value too: the entry has a random label instead, and the values the name.
- Of a document that was refused and isn't stored, an id that isn't made as ours are is told by its digest.
- `reason`, and for what was refused `state`, are those of the refusal and of the text that was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from kompass.audit.actors import actor
from kompass.audit.canonical import SALT, canonical, commitment, digest, value_text
from kompass.audit.causes import Cause
from kompass.audit.comparing import ATTACHMENT, differences, members
from kompass.audit.schema import OF_DOCUMENT
from kompass.audit.subjects import subject_of
from kompass.audit.vault import Chance, Keys
from kompass.domain.registry import MODELS
from kompass.domain.stamps import stamp, timestamp
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import format_rev
from replication.store.sqlite import ChangedDocument, Writing, WrittenRevision

CREATE, UPDATE, DELETE, REJECTED, PURGE = "CREATE", "UPDATE", "DELETE", "REJECTED", "PURGE"
ROLES, MATRIX = "ROLES", "MATRIX"
"""Updates that change somebody's rights, and everybody's."""
SECURITY = "SECURITY"
"""The database's security object is another one: who may use it at all."""
EXPORT = "EXPORT"
"""Somebody took out a file for a tax consultant or an auditor."""
SETTLE = "SETTLE"
"""Somebody settled something that is no document."""
RESTORE = "RESTORE"
"""The database came back from a backup: what was written after that is not in the chain."""
DATABASE = "_database"
"""What an entry names as its document that is about the database itself. No document has such an id."""
ADOPT = "ADOPT"
"""A revision that was there before the chain."""
RESEAL = "RESEAL"
"""The state of a stored revision, committed to once more: the salt of the first time was shredded."""
SHRED = "SHRED"
"""The keys of a subject are gone."""
ERASE = "ERASE"
"""The values of single entries are gone."""

MOST_FIELDS = 200
"""Members of a document that an entry names; more are one change of `*`."""
MOST_SEALED = 65_536
"""Bytes of a refused text that are kept; of longer ones the chain has the commitment alone."""
_LONGEST_ID = 512
_MEMBER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PROPER_ID = re.compile(
    f"(?:{'|'.join(sorted(doctype.replace('_', '-') for doctype in MODELS))})-"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
"""Ids in which nobody can have written anything about anybody."""
_TIME = re.compile(r"[0-9TZ:.+-]{1,40}")
_RIGHTS = frozenset({"roles", "primaryRole", "active"})

Opening = dict[str, Any]


class Refused(NamedTuple):
    """A write that was refused."""

    docid: str
    rev: str | None
    """The revision that a device sent."""
    body: bytes
    """A JSON object, without the members of the protocol."""
    deleted: bool
    rule: str
    reason: str
    keeps_text: bool = True
    """Whether its text is kept beside the commitment to it."""


CONFLICT = "conflict"
"""The rule of an edit that follows another revision than the one that is there: nobody has judged it."""
MORE = "refusals.more"
"""The rule of an entry that counts refusals for those that have none of their own."""


def conflicting(write: DocumentWrite, error: ProtocolError) -> Refused:
    """An edit that is answered 409. Its author has its text, and sends it again."""
    follows = "" if write.parent is None else f" It follows {format_rev(write.parent)}."
    return Refused(
        write.id, None, write.body, write.deleted, CONFLICT, f"{error.reason}{follows}", keeps_text=False
    )


class Recorder:
    """Entries of one transaction. `finish` when all are added."""

    def __init__(self, writing: Writing, now: datetime) -> None:
        self._writing = writing
        row = writing.connection.execute("SELECT entries, hash FROM audit_head").fetchone()
        assert row is not None
        self.num: int = row[0]
        self.hash: str = row[1]
        self._at = stamp(now)
        self._received = timestamp(now)
        who = actor()
        self._who = who.name
        self._caused = {
            "address": who.address,
            "device": who.device,
            "door": who.door.value,
            "received": self._received,
            "roles": who.roles,
            "who": who.name,
        }
        """What all entries say of this transaction."""
        self._keys = Keys(writing)
        self._chance = Chance()
        self._parents: dict[int, bytes] = {}
        self._rows: list[tuple[int, bytes, bytes, int, str, str, int | None, bytes | None]] = []

    # -- what happens ----------------------------------------------------------------------------

    def changed(self, documents: Sequence[ChangedDocument]) -> None:
        """The revisions that were stored, and the leaves that were purged."""
        wanted = []
        for document in documents:
            for one in document.written:
                if one.parent_body:
                    seen = self._writing.seen(document.id, one.parent)
                    if seen is None:
                        wanted.append(one.parent_body)
                    else:
                        self._parents[one.parent_body] = seen
        if wanted:
            self._parents |= self._writing.bodies(wanted)
        for document in documents:
            for one in document.written:
                self._written(document.id, one)
            if document.purged:
                self._add(document.id, PURGE, {"purged": list(document.purged)})

    def _written(self, docid: str, one: WrittenRevision) -> None:
        text = one.text
        cause = one.note if type(one.note) is Cause else None
        before: dict[str, Any] | None = None
        if one.parent is not None:
            stored = self._parents.get(one.parent_body)
            before = None if stored is None else members(stored)
        after = members(text)
        described = before if one.deleted and before else after
        doctype = described.get("type")
        entry: dict[str, Any] = {"after": one.rev, "before": one.parent, "type": _name(doctype)}
        if cause is not None:
            entry["origin"], entry["rule"], source = cause
            if source is not None:
                entry["cause"] = source._asdict()
        claimed = after.get("modifiedAt")
        if type(claimed) is str and _TIME.fullmatch(claimed) is not None:
            entry["claimed"] = claimed
        opening: Opening
        if one.deleted:
            action = DELETE
            entry["deleted"] = True
            opening = self._state(entry, text)
        elif not before:
            action = CREATE
            opening = self._state(entry, text)
            if cause is None or cause.origin != "card":  # a card says what its document does
                opening["text"] = text.decode("utf-8")
                entry["fields"] = [self._label(opening, name) for name in _names(after)]
        else:
            action = UPDATE
            opening = self._state(entry, text)
            self._compare(entry, opening, before, after)
            if doctype == "user" and not _RIGHTS.isdisjoint(entry["changes"]):
                action = ROLES
        if doctype == "permission_matrix":
            action = MATRIX
        elif doctype == "user" and action in (CREATE, DELETE):
            action = ROLES
        self._add(docid, action, entry, opening, subject_of(docid, described))

    def adopted(self, docid: str, rev: str, *, deleted: bool, leaf: bool, text: bytes) -> None:
        """A revision that was stored before there was a chain."""
        value = members(text)
        entry = {"after": rev, "deleted": deleted, "leaf": leaf, "type": _name(value.get("type"))}
        opening = self._state(entry, text)
        opening["text"] = text.decode("utf-8")
        self._add(docid, ADOPT, entry, opening, subject_of(docid, value))

    def resealed(self, docid: str, rev: str, text: bytes) -> None:
        value = members(text)
        entry = {"after": rev, "type": _name(value.get("type"))}
        self._add(docid, RESEAL, entry, self._state(entry, text), subject_of(docid, value))

    def secured(self, before: bytes, after: bytes) -> None:
        entry: dict[str, Any] = {}
        opening = self._state(entry, after)
        self._compare(entry, opening, members(before), members(after))
        self._add(DATABASE, SECURITY, entry, opening, DATABASE)

    def restored(self, told: Mapping[str, Any]) -> None:
        """`told`: which backup, of when, and how many entries are known to be lost."""
        self._add(DATABASE, RESTORE, dict(told))

    def exported(self, what: str, since: str, until: str, files: Sequence[str]) -> None:
        """`files`: the names of those that were made, with their digests."""
        entry = {"fields": list(files), "rule": what, "since": since, "type": "export", "until": until}
        self._add(DATABASE, EXPORT, entry)

    def settled(self, what: str, nums: Sequence[int]) -> None:
        """`what`: `lexware.ignore`, for instance. What he said about it may name anybody, and isn't here."""
        entry = {"fields": [str(num) for num in nums], "rule": what, "type": "sync_error"}
        self._add(DATABASE, SETTLE, entry)

    def shredded(self, subject: str, keys: Sequence[int]) -> None:
        self._add(subject, SHRED, {"keys": list(keys)})

    def erased(self, subject: str, entries: Sequence[int]) -> None:
        self._add(subject, ERASE, {"entries": list(entries)})

    def refused(self, one: Refused) -> None:
        text = b"{}" if one.deleted else one.body
        try:
            value = members(text)
        except (ProtocolError, AttributeError):
            value = {}
        winner = self._writing.revisions(one.docid)
        stands = None if winner is None else f"{winner.winner[0]}-{winner.winner[1]}"
        entry: dict[str, Any] = {
            "after": one.rev,
            "before": stands,
            "deleted": one.deleted,
            "rule": one.rule,
            "type": _name(value.get("type")),
            "winner": self._latest(one.docid),
        }
        opening = self._state(entry, text)
        if one.keeps_text and len(text) <= MOST_SEALED:
            opening["text"] = text.decode("utf-8")
        reason = one.reason.encode("utf-8", "replace")
        salt = self._chance.take(SALT)
        entry["reason"] = commitment(salt, reason)
        opening["reason"] = [salt.hex(), reason.decode("utf-8")]
        proper = winner is not None or one.docid == DATABASE or _PROPER_ID.fullmatch(one.docid) is not None
        proper = proper and len(one.docid) <= _LONGEST_ID
        docid = one.docid if proper else f"sha256:{digest(one.docid.encode())}"
        self._add(docid, REJECTED, entry, opening, subject_of(docid, value))

    def counted(self, user: str, count: int, since: datetime, until: datetime) -> None:
        """Refusals of somebody's writes that have no entries."""
        entry = {
            "deleted": False,
            "more": count,
            "rule": MORE,
            "since": timestamp(since),
            "until": timestamp(until),
            "user": user,
        }
        self._add(f"user-{user}", REJECTED, entry)

    # -- the parts of an entry -------------------------------------------------------------------

    def _state(self, entry: dict[str, Any], text: bytes) -> Opening:
        salt = self._chance.take(SALT)
        entry["state"] = commitment(salt, text)
        return {"state": salt.hex()}

    def _compare(
        self, entry: dict[str, Any], opening: Opening, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        found = differences(before, after)
        if len(found) > MOST_FIELDS:
            found = {"*": b'{"new":%b,"old":%b}' % (value_text(after), value_text(before))}
        changes = entry["changes"] = {}
        fields = opening["fields"] = {}
        salts, at = self._chance.take(SALT * len(found)), 0
        for name, value in found.items():
            salt = salts[at : at + SALT]
            at += SALT
            label = self._label(opening, name)
            changes[label] = sha256(salt + value).hexdigest()
            fields[label] = [salt.hex(), value.decode("utf-8")]

    def _label(self, opening: Opening, name: str) -> str:
        """A member as the entry names it for good. What people have called an attachment may name somebody:
        it goes with the values.
        """
        if _MEMBER.fullmatch(name) is not None or name == "*":
            return name
        kind = ATTACHMENT if name.startswith(ATTACHMENT) else ""
        label = f"{kind}{self._chance.take(SALT).hex()}"
        opening.setdefault("names", {})[label] = name
        return label

    def _latest(self, docid: str) -> str | None:
        """The hash of the entry that a document's stored winner has."""
        rows: Any = self._writing.connection.execute(
            f"SELECT hash, text FROM audit_entries WHERE {OF_DOCUMENT} ORDER BY num DESC LIMIT 50", (docid,)
        )
        for hashed, text in rows:
            if b'"action":"REJECTED"' not in text:
                return bytes(hashed).hex()
        return None

    def _add(
        self,
        docid: str,
        action: str,
        entry: dict[str, Any],
        opening: Opening | None = None,
        subject: str | None = None,
    ) -> None:
        self.num = num = self.num + 1
        entry |= self._caused
        entry["action"] = action
        entry["document"] = docid
        entry["num"] = num
        entry["previous"] = self.hash
        number = sealed = None
        if opening is not None and subject is not None:
            key = self._keys.of(subject)
            entry["key"] = number = key.num
            sealed = key.seal(num, orjson.dumps(opening), self._chance.take(12))
        text = canonical(entry)
        hashed = sha256(text)
        self.hash = hashed.hexdigest()
        self._rows.append((num, hashed.digest(), text, self._at, self._who, docid, number, sealed))

    def finish(self) -> None:
        """Writes what was added."""
        if not self._rows:
            return
        connection = self._writing.connection
        connection.executemany("INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._rows)
        connection.execute("UPDATE audit_head SET entries = ?, hash = ?", (self.num, self.hash))
        self._rows = []


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= 100 else None


def _names(value: dict[str, Any]) -> list[str]:
    names = sorted(value)
    return names if len(names) <= MOST_FIELDS else ["*"]
