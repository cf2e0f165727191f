"""Who may read what of the chain of writes.

    GF, BUCH    every entry
    ADMIN       every entry, of documents that he may not read (all of the business's) the outline
    PLAN        his own, and those about projects that he manages
    the others  their own

Whoever gets an entry gets its values only if he may read the document, and could when it was as the entry
says: what was private stays its author's when the document no longer is. Of what others were refused he gets
values that he may read, fields included that belong in companions; of what he was refused what he sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from kompass.access import Principal, Role
from kompass.audit.reading import Query, Reader, Shown, Sight, found
from kompass.audit.recording import EXPORT, REJECTED, SETTLE
from kompass.audit.verifying import Row
from kompass.sync.gate.records import Origin
from kompass.sync.index import FeedIndex
from kompass.sync.notices import NOTICE
from replication.protocol import jsontext
from replication.store.sqlite import Reading, SqliteDatabase

SEES_ALL = frozenset({Role.GF, Role.BUCH, Role.ADMIN})

MOST_LOOKED_AT = 5000
"""Entries that one page goes through."""
_AT_ONCE = 500
_BESIDE = ("card", NOTICE.origin)
_SENT = (None, *(one.value for one in Origin))
"""What somebody has sent, and what became of that."""


class Page(NamedTuple):
    entries: list[Shown]
    before: int | None
    """Where the next page begins; None if there is none."""


class AuditDesk:
    """The chain of one database, for people."""

    def __init__(self, database: SqliteDatabase, index: FeedIndex) -> None:
        self._database = database
        self._index = index

    def page(self, principal: Principal, query: Query, limit: int) -> Page:
        """At most `limit` entries that somebody may see, the latest first; maybe fewer with more to come."""
        with self._database.reading() as reading:
            return _Asking(reading, self._index, principal).page(query, limit)


class _Asking:
    """One person's look at one snapshot."""

    def __init__(self, reading: Reading, index: FeedIndex, principal: Principal) -> None:
        self._reading = reading
        self._index = index
        self._user = principal.name
        recorded = index.roles(reading, principal.name)
        self._principal = principal
        self._is_whole = recorded is not None and recorded <= principal.roles
        """Whether he has come with all the roles that what he sees is worked out from."""
        self._sees_all = not SEES_ALL.isdisjoint(principal.roles)
        self._manages = Role.PLAN in principal.roles and not self._sees_all
        self._reader = Reader(reading.connection)
        self._second_look = index.second_look(reading, principal.name)
        self._visible: dict[str, bool] = {}
        self._managed: dict[str, bool] = {}

    def page(self, query: Query, limit: int) -> Page:
        if not self._sees_all and not self._manages:
            if query.user not in (None, self._user):
                return Page([], None)
            query = replace(query, user=self._user)
        shown: list[Shown] = []
        looked = 0
        while True:
            rows = found(self._reading, query, _AT_ONCE)
            for row in rows:
                query = query.following(row.num)
                sight = self._sight(row, query)
                if sight is not None:
                    shown.append(self._known(self._reader.shown(row, sight)))
                    if len(shown) == limit:
                        return Page(shown, row.num)
            looked += len(rows)
            if len(rows) < _AT_ONCE:
                return Page(shown, None)
            if looked >= MOST_LOOKED_AT:
                return Page(shown, query.before)

    def _known(self, shown: Shown) -> Shown:
        """Without the document that it follows from, if that isn't his to know."""
        cause = shown.entry.get("cause")
        if cause is None or self._sees(cause["document"]):
            return shown
        return shown._replace(entry={**shown.entry, "cause": None})

    def _sight(self, row: Row, query: Query) -> Sight | None:
        """How much of an entry he gets; None for nothing."""
        docid = str(row.doc)
        own = row.user == self._user
        if not (own or self._sees_all or (self._manages and self._is_managed(docid))):
            return None
        entry = orjson.loads(row.text)
        if entry["action"] in (EXPORT, SETTLE):  # it is of no document, and has no values
            return Sight.ALL if own or self._sees_all else None
        origin = entry.get("origin")
        sent = own and origin in _SENT
        if self._sees(docid):
            return Sight.ALL if sent or self._reads_values(row, docid, origin) else Sight.NAMES
        if sent:
            return Sight.OWN
        # Whoever asks for a document would learn from the outline that it is there; what the server writes
        # beside it says nothing more; and what followed from his write elsewhere isn't his to know.
        if query.document is not None or origin in _BESIDE or not (self._sees_all or self._manages):
            return None
        return Sight.OUTLINE

    def _sees(self, docid: str) -> bool:
        visible = self._visible.get(docid)
        if visible is None:
            visible = self._visible[docid] = self._is_whole and self._may_read(docid)
        return visible

    def _may_read(self, docid: str) -> bool:
        if docid not in self._index.sees(self._reading, self._user, [docid]):
            return False
        winner = self._reading.winner(docid)
        return winner is not None and self._second_look.allows(winner)

    def _reads_values(self, row: Row, docid: str, origin: str | None) -> bool:
        """Whether the values of an entry are his to read as well as the document as it is now."""
        if row.key is None:
            return True
        if origin == NOTICE.origin:
            return False  # it may have told him of what he has lost since
        entry = orjson.loads(row.text)
        if entry["action"] == REJECTED:
            sent = self._reader.sent(row)
            if sent is None:
                return False
            document = {**sent, "_id": docid}
            return bool(entry["deleted"]) or self._index.reads_text(self._reading, self._principal, document)
        revs = [rev for rev in (entry.get("before"), entry.get("after")) if rev is not None]
        return self._index.saw(self._reading, self._user, docid, revs)

    def _is_managed(self, docid: str) -> bool:
        """Whether a document is a project that he manages, or belongs to one."""
        managed = self._managed.get(docid)
        if managed is None:
            body = self._body(docid)
            project = body.get("projectId") if body.get("type") != "project" else docid
            if isinstance(project, str) and project != docid:
                body = self._body(project)
            managed = self._managed[docid] = (
                body.get("type") == "project" and body.get("projectManagerId") == self._user
            )
        return managed

    def _body(self, docid: str) -> dict[str, Any]:
        winner = self._reading.winner(docid)
        if winner is None or winner.deleted:
            return {}
        value: dict[str, Any] = jsontext.decode_request(winner.text)
        return value
