"""Parents and relations as they are stored, read when the rules ask for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from kompass.access.audiences import Parents
from kompass.access.channels import Relation, RelationKind
from replication.protocol import jsontext
from replication.store.sqlite import Reading


class StoredParents(Parents):
    """Parents as the database has them."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._documents: dict[str, Mapping[str, Any] | None] = {}

    def document(self, docid: str) -> Mapping[str, Any] | None:
        """The winner; of a deleted one what it referred to when it was last alive."""
        if docid not in self._documents:
            self._documents[docid] = self._load(docid)
        return self._documents[docid]

    def channels(self, docid: str) -> frozenset[str] | None:
        found = self._reading.connection.execute(
            "SELECT num FROM access_docs WHERE id = ? ORDER BY num DESC LIMIT 1", (docid,)
        ).get
        if found is None:
            return None
        return frozenset(
            name
            for (name,) in self._reading.connection.execute(
                "SELECT name FROM access_entries JOIN access_channels ON num = channel WHERE doc = ?",
                (found,),
            )
        )

    def remember(self, docid: str, document: Mapping[str, Any]) -> None:
        """The winner of a document that lives, whoever has read it."""
        self._documents[docid] = document

    def is_known(self, docid: str) -> bool:
        """Whether asking for a document that there is costs nothing."""
        return self._documents.get(docid) is not None

    def forget(self, docid: str) -> None:
        self._documents.pop(docid, None)

    def _load(self, docid: str) -> Mapping[str, Any] | None:
        winner = self._reading.winner(docid)
        if winner is None:
            return None
        if winner.deleted:
            lineage = self._reading.connection.execute(
                "SELECT lineage FROM access_docs WHERE id = ? ORDER BY num DESC LIMIT 1", (docid,)
            ).get
            return None if not lineage else orjson.loads(lineage)
        value: dict[str, Any] = jsontext.decode_request(winner.text)
        return value


class StoredRelations(AbstractSet[Relation]):
    """What stored documents say about somebody, looked up one by one: he may own thousands of customers."""

    def __init__(self, reading: Reading, user: str) -> None:
        self._execute = reading.connection.execute
        self._user = user

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> AbstractSet[Any]:
        """What is computed from it is an ordinary set."""
        return frozenset(it)

    def __contains__(self, one: object) -> bool:
        if not isinstance(one, Relation) or one.user != self._user:
            return False
        found = self._execute(
            "SELECT 1 FROM access_relations WHERE user = ? AND kind = ? AND key = ?",
            (one.user, one.kind, one.key),
        ).get
        return found is not None

    def __iter__(self) -> Iterator[Relation]:
        rows: Any = self._execute(
            "SELECT DISTINCT kind, key FROM access_relations WHERE user = ?", (self._user,)
        )
        return (Relation(self._user, RelationKind(kind), key) for kind, key in rows)

    def __len__(self) -> int:
        return sum(1 for _ in self)
