"""The second look: whether the rules agree that somebody reads a document that the stored channels show him.

The stored channels decide who sees what. Should they ever be wrong, by a defect or because somebody changed
the file, this is what keeps a text from leaving: each one is judged again by the rules, from documents alone.
Who he is comes from his user document, what is said about him from the documents that say it, what parents
pass on from the parents. The index is asked only where such documents are, and what deleted ones were like.
"""

from __future__ import annotations

from typing import Any

import structlog

from kompass.access.channels import Relation
from kompass.access.principals import Role
from kompass.sync.index.keeping import MOST_GENERATIONS, USER_PREFIX, record_of
from kompass.sync.index.remembering import is_lasting
from kompass.sync.index.rules import Rules
from kompass.sync.index.stored import StoredParents, StoredRelations
from replication.protocol import jsontext
from replication.store.sqlite import Reading
from replication.store.values import Document

_REMEMBERED = 10_000

log = structlog.get_logger(__name__)


class Disagreements:
    """How often the rules have refused what the stored channels showed."""

    def __init__(self) -> None:
        self.count = 0
        """Since the start."""
        self._told: set[str] = set()

    def found(self, user: str, docid: str) -> None:
        """Counts one; logs an alarm the first time that it is about this document."""
        self.count += 1
        if docid in self._told:
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told.add(docid)
        log.error(
            "the access index shows somebody what the rules refuse; nothing was shown: run kompass doctor",
            id=docid,
            user=user,
        )


class StatedRoles:
    """The roles that people have by their own documents."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, frozenset[Role] | None]] = {}

    def of(self, reading: Reading, user: str) -> frozenset[Role] | None:
        """None if the document says another name: then the one before it counts, which only the index has."""
        docid = USER_PREFIX + user
        if not is_lasting(reading):
            return _stated_roles(user, reading.winner(docid))
        seq = reading.connection.execute("SELECT seq FROM docs WHERE id = ?", (docid,)).get
        if seq is None:
            return frozenset()
        known = self._known.get(user)
        if known is None or known[0] != seq:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[user] = seq, _stated_roles(user, reading.winner(docid))
        return known[1]


def _stated_roles(user: str, document: Document | None) -> frozenset[Role] | None:
    if document is None or document.deleted:
        return frozenset()
    body = jsontext.decode_request(document.text)
    if body.get("type") != "user":
        return frozenset()
    record = record_of(user, body)
    if record is None:
        return None
    return record.roles if record.active else frozenset()


class SecondLook:
    """For one person in one snapshot; what it has looked up once it knows."""

    def __init__(
        self, reading: Reading, rules: Rules, user: str, roles: frozenset[Role], counted: Disagreements
    ) -> None:
        """`roles`: those that his document states."""
        self._rules = rules
        self._user = user
        self._roles = roles
        self._counted = counted
        self._parents = DerivedParents(reading, rules)
        self._relations = StatedRelations(reading, user, rules, self._parents)

    def allows(self, winner: Document) -> bool:
        """Whether he may read a document that the index shows him. A refusal is counted.

        A deletion says nothing that could be read, or judged: those the index alone decides.
        """
        if winner.deleted:
            return True
        body = jsontext.decode_request(winner.text)
        self._parents.remember(winner.id, body)
        if self._rules.may_read(self._user, self._roles, body, self._relations, self._parents):
            return True
        self._counted.found(self._user, winner.id)
        return False


class DerivedParents(StoredParents):
    """Parents whose channels follow from their texts, not from what is stored of them."""

    def __init__(self, reading: Reading, rules: Rules) -> None:
        super().__init__(reading)
        self._rules = rules
        self._derived: dict[str, frozenset[str] | None] = {}
        self._depth = 0

    def channels(self, docid: str) -> frozenset[str] | None:
        """Stored ones of deleted documents, which say nothing, and further up than documents follow."""
        if docid in self._derived:
            return self._derived[docid]
        document = self.document(docid)
        if document is None or "_id" not in document or self._depth >= MOST_GENERATIONS:
            return super().channels(docid)
        self._depth += 1
        try:
            found = self._rules.document_channels(document, self)
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._derived[docid] = found
        return found


class StatedRelations(StoredRelations):
    """Relations that a document states, not only the index."""

    def __init__(self, reading: Reading, user: str, rules: Rules, parents: StoredParents) -> None:
        super().__init__(reading, user)
        self._rules = rules
        self._documents = parents
        self._known: dict[Relation, bool] = {}

    def __contains__(self, one: object) -> bool:
        if not isinstance(one, Relation) or one.user != self._user:
            return False
        known = self._known.get(one)
        if known is None:
            # Customers and projects say themselves whose they are, and are often what is being judged.
            known = self._documents.is_known(one.key) and self._states(one.key, one)
            known = known or any(self._states(docid, one) for docid in self._stating(one))
            self._known[one] = known
        return known

    def _stating(self, one: Relation) -> list[str]:
        """The documents that are said to state it."""
        rows: Any = self._execute(
            "SELECT d.id FROM access_relations r CROSS JOIN access_docs d ON d.num = r.doc"
            " WHERE r.user = ? AND r.kind = ? AND r.key = ?",
            (one.user, one.kind, one.key),
        )
        return [docid for (docid,) in rows]

    def _states(self, docid: str, one: Relation) -> bool:
        document = self._documents.document(docid)
        return document is not None and one in self._rules.relations({**document, "_id": docid})
