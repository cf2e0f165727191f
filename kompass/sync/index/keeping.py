"""Keeping the index in step: what a changed document does to channels, relations and holdings.

One `Step` is one call of `Extension.changed`: the documents of a transaction, in the order of their changes.
What they grant and revoke takes effect together at the last number of the transaction, when all are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from kompass.access.audiences import AUDIENCES, INHERITED
from kompass.access.principals import Role, known_roles
from kompass.sync.index import leaves
from kompass.sync.index.rules import Rules
from kompass.sync.index.stored import StoredParents, StoredRelations
from kompass.sync.index.touched import Touched
from replication.protocol import jsontext
from replication.protocol.revisions import format_rev
from replication.store.sqlite import ChangedDocument, Writing, id_list

USER_PREFIX = "user-"
PURGED = b""
"""The lineage of a document that was purged: of its revisions only the ids of its last leaves are known."""
MOST_GENERATIONS = 8
"""How deep parents are followed down; deeper, documents keep the channels they had."""


class UserRecord(NamedTuple):
    """What a user document says of its person."""

    roles: frozenset[Role]
    active: bool


def record_of(name: str, body: Mapping[str, Any]) -> UserRecord | None:
    """The record in the user document of somebody; None if it says another name than its id."""
    if body.get("name", name) != name:
        return None
    roles = body.get("roles")
    listed = roles if isinstance(roles, list) else ()
    return UserRecord(
        known_roles(role for role in listed if isinstance(role, str)), body.get("active", True) is True
    )


def lineage(doc: Mapping[str, Any]) -> bytes:
    """The members that others may inherit something from: all that are short texts or lists of them."""
    kept = {
        key: [one for one in value if isinstance(one, str)] if isinstance(value, list) else value
        for key, value in doc.items()
        if key[:1] != "_"
        and key not in ("modifiedAt", "modifiedBy")
        and (key.endswith(("Id", "Ids", "By")) or key in ("type", "owner", "assignedTo", "status", "private"))
        and (value is None or isinstance(value, str | bool | list))
    }
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def _passes_on(kept: bytes) -> object:
    """What of a lineage children read: a document may have many, and most changes are none to them."""
    if not kept:
        return None
    value = orjson.loads(kept)
    doctype = value.get("type")
    if doctype not in AUDIENCES:
        return kept
    return doctype, [value.get(name) for name in sorted(INHERITED.get(doctype, ()))]


class Step:
    """See the module."""

    def __init__(self, writing: Writing, rules: Rules) -> None:
        self._writing = writing
        self._execute = writing.connection.execute
        self._executemany = writing.connection.executemany
        self._rules = rules
        self._parents = StoredParents(writing)
        self._channel_numbers: dict[str, int] = {}
        self._people: set[str] = set()
        self._moved: list[str] = []
        self._other_rules = False
        self.touched = Touched()
        self.lost_by: set[str] = set()
        """People who hold less than before."""
        self._left: set[int] = set()

    def run(self, documents: Iterable[ChangedDocument]) -> Touched:
        for document in sorted(documents, key=lambda one: one.seq or self._writing.update_seq):
            if document.seq == 0:
                self._purged(document)
            else:
                self._changed(document)
        self._follow_children()
        if self._other_rules:
            self._people.update(name for (name,) in self._execute("SELECT name FROM access_users"))
        self.hold_again(())
        return self.touched

    # -- documents -----------------------------------------------------------------------------

    def _changed(self, document: ChangedDocument) -> None:
        num, place = document.num, document.seq
        stored = None
        if document.old_seq:
            stored = self._execute("SELECT lineage FROM access_docs WHERE num = ?", (num,)).fetchone()
        body: dict[str, Any] = {} if document.deleted else jsontext.decode_request(document.text)
        self._parents.forget(document.id)
        before = self._entries(num) if stored is not None else {}
        if document.deleted:
            # Whoever held the document learns of its end, so it stays where it was.
            self._enter(num, place, before, set(before), new=stored is None)
            inherited = b"{}" if stored is None else stored[0]
        else:
            wanted = {self._channel(name) for name in self._rules.document_channels(body, self._parents)}
            inherited = lineage(body)
            self._enter(num, place, before, wanted, new=stored is None)
            self._relate(num, body, new=stored is None)
            if stored is None or wanted != set(before) or _passes_on(stored[0]) != _passes_on(inherited):
                self._moved.append(document.id)
        if stored is None:
            self._execute(
                "INSERT INTO access_docs VALUES (?, ?, ?, ?, ?)",
                (num, document.id, place, document.deleted, inherited),
            )
        else:
            self._execute(
                "UPDATE access_docs SET place = ?, deleted = ?, lineage = ? WHERE num = ?",
                (place, document.deleted, inherited, num),
            )
        leaves.keep(self._execute, num, place, self._leaves(document))
        if document.id.startswith(USER_PREFIX):
            if body.get("type") == "user":
                self._person(document.id, body)
            else:
                self._retire(document.id)
        changed_rules = self._rules.changed_by(document.id, None if document.deleted else body)
        if changed_rules is not None:
            self._rules = changed_rules
            self._other_rules = True
            self._execute(
                "INSERT OR REPLACE INTO access_meta VALUES ('rules', ?)",
                (jsontext.encode({"id": document.id, "doc": None if document.deleted else body}).decode(),),
            )

    def _leaves(self, document: ChangedDocument) -> list[str]:
        if document.leaves == 1:
            return [document.rev]
        found = self._writing.revisions(document.id)
        assert found is not None
        return [format_rev(rev) for rev in found.tree.leaves()]

    def _purged(self, document: ChangedDocument) -> None:
        """To its readers a purged document is one that they may not see any more."""
        place = self._writing.next_seq()
        before = self._entries(document.num)
        self._enter(document.num, place, before, set(), new=False)
        self._execute("INSERT INTO access_purged VALUES (?, ?)", (document.num, document.text))
        self._execute("DELETE FROM access_parents WHERE child = ?", (document.num,))
        self._unrelate(document.num)
        self._execute(
            "UPDATE access_docs SET place = ?, deleted = 1, lineage = ? WHERE num = ?",
            (place, PURGED, document.num),
        )
        if document.id.startswith(USER_PREFIX):
            self._retire(document.id)
        self._parents.forget(document.id)
        self._moved.append(document.id)

    def _entries(self, num: int) -> dict[int, int]:
        return dict(self._execute("SELECT channel, since FROM access_entries WHERE doc = ?", (num,)))

    def _enter(self, num: int, place: int, before: Mapping[int, int], wanted: set[int], *, new: bool) -> None:
        """Puts a document into the channels it belongs to, all at its new place."""
        if before:
            self._execute("DELETE FROM access_entries WHERE doc = ?", (num,))
            left = [
                (channel, place, num, since) for channel, since in before.items() if channel not in wanted
            ]
            if left:
                self._executemany("INSERT OR REPLACE INTO access_left VALUES (?, ?, ?, ?)", left)
                self._left.add(num)
        if wanted:
            self._executemany(
                "INSERT INTO access_entries VALUES (?, ?, ?, ?)",
                [(channel, place, num, before.get(channel, place)) for channel in wanted],
            )
        self.touched.channels |= wanted
        self.touched.channels.update(before)
        if not new and not wanted <= before.keys():
            # Somebody who sees it now may have lost it before.
            self._execute("INSERT INTO access_touches (doc) VALUES (?)", (num,))
            self.touched.touches = True

    def _relate(self, num: int, body: Mapping[str, Any], *, new: bool) -> None:
        wanted = {(one.user, one.kind, one.key) for one in self._rules.relations(body)}
        parents = set(self._rules.parent_ids(body))
        before: set[tuple[str, str, str]] = set()
        if not new:
            rows: Any = self._execute("SELECT user, kind, key FROM access_relations WHERE doc = ?", (num,))
            before = set(rows)
            known = {
                name for (name,) in self._execute("SELECT parent FROM access_parents WHERE child = ?", (num,))
            }
            if known != parents:
                self._execute("DELETE FROM access_parents WHERE child = ?", (num,))
                new = True
        if new and parents:
            self._executemany("INSERT INTO access_parents VALUES (?, ?)", [(num, one) for one in parents])
        if wanted != before:
            for one in before - wanted:
                self._execute(
                    "DELETE FROM access_relations WHERE doc = ? AND user = ? AND kind = ? AND key = ?",
                    (num, *one),
                )
            self._executemany(
                "INSERT INTO access_relations VALUES (?, ?, ?, ?)", [(num, *one) for one in wanted - before]
            )
            self._people.update(user for user, _, _ in before ^ wanted)

    def _unrelate(self, num: int) -> None:
        for (user,) in self._execute("SELECT DISTINCT user FROM access_relations WHERE doc = ?", (num,)):
            self._people.add(user)
        self._execute("DELETE FROM access_relations WHERE doc = ?", (num,))

    def _follow_children(self) -> None:
        """Documents whose parents have moved go with them."""
        for _ in range(MOST_GENERATIONS):
            moved, self._moved = self._moved, []
            if not moved:
                return
            children = [
                num
                for (num,) in self._execute(
                    "SELECT DISTINCT child FROM json_each(?) CROSS JOIN access_parents p ON p.parent = value",
                    (orjson.dumps(moved).decode(),),
                )
            ]
            for num in children:
                self._rederive(num, self._execute("SELECT id FROM access_docs WHERE num = ?", (num,)).get)

    def rederive(self, docid: str) -> None:
        """Puts a document, and what follows from it, into the channels it should be in, as of now."""
        num = self._execute("SELECT max(num) FROM access_docs WHERE id = ?", (docid,)).get
        if num is not None:
            self._rederive(num, docid)
            self._follow_children()

    def restate(self, docid: str) -> None:
        """Keeps of a live document what it states about people, and nothing else."""
        num = self._execute("SELECT max(num) FROM access_docs WHERE id = ?", (docid,)).get
        winner = self._writing.winner(docid)
        if num is not None and winner is not None and not winner.deleted:
            self._relate(num, jsontext.decode_request(winner.text), new=False)

    def record(self, name: str) -> None:
        """Keeps of somebody what his document says."""
        winner = self._writing.winner(USER_PREFIX + name)
        if winner is not None and not winner.deleted:
            body = jsontext.decode_request(winner.text)
            if body.get("type") == "user":
                self._person(winner.id, body)

    def hold_again(self, names: Iterable[str]) -> None:
        """Works out which channels these people hold, and all whom something has happened to."""
        self._people.update(names)
        for name in self._known_people():
            self.hold(name)

    def _rederive(self, num: int, docid: str) -> None:
        winner = self._writing.winner(docid)
        if winner is None or winner.deleted:
            return
        body = jsontext.decode_request(winner.text)
        wanted = {self._channel(name) for name in self._rules.document_channels(body, self._parents)}
        before = self._entries(num)
        if wanted == set(before):
            return
        place = self._writing.next_seq()
        self._enter(num, place, before, wanted, new=False)
        self._execute("UPDATE access_docs SET place = ? WHERE num = ?", (place, num))
        self._moved.append(docid)

    # -- people --------------------------------------------------------------------------------

    def _person(self, docid: str, body: Mapping[str, Any]) -> None:
        """A record that says another name than its id counts for nobody."""
        name = docid.removeprefix(USER_PREFIX)
        record = record_of(name, body)
        if record is None:
            return
        self._execute(
            "INSERT INTO access_users VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
            " SET roles = excluded.roles, active = excluded.active, version = excluded.version",
            (name, " ".join(sorted(record.roles)), record.active, self._writing.update_seq),
        )
        self._people.add(name)

    def _retire(self, docid: str) -> None:
        """A record is gone: deleted, purged, or no record any more. Other documents have ids like it."""
        name = docid.removeprefix(USER_PREFIX)
        self._execute("UPDATE access_users SET roles = '', active = 0 WHERE name = ? AND active", (name,))
        if self._writing.connection.changes():
            self._people.add(name)

    def _known_people(self) -> list[str]:
        """Those whose channels may have changed and who have a record: documents may name anybody."""
        rows: Any = self._execute(
            "SELECT name FROM json_each(?) CROSS JOIN access_users ON name = value ORDER BY name",
            (id_list(self._people),),
        )
        return [name for (name,) in rows.fetchall()]

    def hold(self, name: str) -> None:
        """Works out which channels somebody holds. What differs begins or ends now."""
        record = self._execute("SELECT roles, active FROM access_users WHERE name = ?", (name,)).fetchone()
        wanted: set[int] = set()
        # Somebody without roles still has what is his own; nobody has neither roles nor a record in force.
        if record is not None and any(record):
            relations = StoredRelations(self._writing, name)
            channels = self._rules.principal_channels(name, known_roles(record[0].split()), relations)
            wanted = {self._channel(channel) for channel in channels}
        before: dict[int, int] = dict(
            self._execute("SELECT channel, since FROM access_holdings WHERE user = ?", (name,))
        )
        self.touched.users.add(name)
        if wanted == before.keys():
            return
        now = self._writing.update_seq
        lost = [(channel, since) for channel, since in before.items() if channel not in wanted]
        if lost:
            self.lost_by.add(name)
        gained = wanted - before.keys()
        self._executemany(
            "DELETE FROM access_holdings WHERE user = ? AND channel = ?",
            [(name, channel) for channel, _ in lost],
        )
        self._executemany(
            "INSERT OR REPLACE INTO access_lost VALUES (?, ?, ?, ?)",
            [(name, now, channel, since) for channel, since in lost if since < now],
        )
        self._executemany(
            "INSERT INTO access_holdings VALUES (?, ?, ?)", [(name, channel, now) for channel in gained]
        )
        if gained and self._was_denied(name):
            self._executemany(
                "INSERT INTO access_touches (user, channel) VALUES (?, ?)",
                [(name, channel) for channel in gained],
            )
            self.touched.touches = True
        self._execute("UPDATE access_users SET version = ? WHERE name = ?", (now, name))

    def _was_denied(self, name: str) -> bool:
        found = self._execute(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM access_lost WHERE user = ?)"
            " OR EXISTS (SELECT 1 FROM access_refused WHERE user = ?)"
            " OR EXISTS (SELECT 1 FROM access_left)",
            (name, name),
        ).get
        return found is not None

    def left(self) -> list[str]:
        """Documents that fewer people may see than before."""
        rows: Any = self._execute(
            "SELECT d.id FROM json_each(?) CROSS JOIN access_docs d ON d.num = value",
            (id_list(self._left),),
        )
        return [docid for (docid,) in rows]

    def _channel(self, name: str) -> int:
        number = self._channel_numbers.get(name)
        if number is None:
            number = self._execute("SELECT num FROM access_channels WHERE name = ?", (name,)).get
            if number is None:
                self._execute("INSERT INTO access_channels (name) VALUES (?)", (name,))
                number = self._writing.connection.last_insert_rowid()
            self._channel_numbers[name] = number
        return number
