"""What documents name and share, kept in step with them, and what the rules may know of other documents.

`Register` keeps the tables, `Lookups` reads them. Both count live winners only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from kompass.access.audiences import MAX_KEY
from kompass.domain.changes import Body
from kompass.domain.keys import NUMBER, keys_of
from replication.protocol import jsontext
from replication.store.sqlite import Reading
from replication.store.values import Document

_ALSO = frozenset({"owner", "assignedTo", "stornoOf", "supersededBy"})
"""Fields that name something though they don't end in `Id` or `Ids`."""
_FIRST_READ, _READ = 5, 200
"""Documents that are read at once of those that name another one: most rules know after the first."""
MOST_REFERENCES = 1000
"""Of one document; who names more has the rest overlooked."""


def bare(document: Document) -> dict[str, Any]:
    """A stored body with `_id` and, if it has any, the digests of its attachments."""
    return members(jsontext.decode_request(document.text))


def members(value: dict[str, Any]) -> dict[str, Any]:
    """The same of a decoded text, which is changed."""
    attached = value.get("_attachments")
    for name in ("_rev", "_deleted", "_attachments"):
        value.pop(name, None)
    if attached:
        value["_attachments"] = {name: stub["digest"] for name, stub in attached.items()}
    return value


def references(doc: Body) -> Iterator[tuple[str, str]]:
    """(field, id) of everything that a document names, in its members and in their lists' objects."""
    for field, value in doc.items():
        if isinstance(value, str):
            if (field.endswith("Id") or field in _ALSO) and field != "_id" and 0 < len(value) <= MAX_KEY:
                yield field, value
        elif isinstance(value, list):
            if field.endswith("Ids"):
                yield from ((field, one) for one in value if isinstance(one, str) and 0 < len(one) <= MAX_KEY)
            else:
                for item in value[:MOST_REFERENCES]:
                    if isinstance(item, dict):
                        for name, one in item.items():
                            if isinstance(one, str) and name.endswith("Id") and 0 < len(one) <= MAX_KEY:
                                yield f"{field}.{name}", one


class Named(NamedTuple):
    """What of a document is in the tables."""

    type: str
    refs: list[list[str]]
    keys: list[list[str]]

    @classmethod
    def of(cls, doc: Body) -> Named:
        refs = sorted(set(references(doc)))[:MOST_REFERENCES]
        keys = sorted({(key, value) for key, value in keys_of(doc) if value})
        return cls(_type(doc), [list(one) for one in refs], [list(one) for one in keys])

    def targets(self, fields: Iterable[str]) -> list[str]:
        """The ids that stand in these fields."""
        wanted = set(fields)
        return [target for field, target in self.refs if field in wanted]


NOTHING = Named("", [], [])


def _type(doc: Body) -> str:
    doctype = doc.get("type")
    return doctype if isinstance(doctype, str) else ""


class Register:
    """Keeps the tables in one transaction. What `put` adds is in them after `flush`."""

    def __init__(self, reading: Reading) -> None:
        self._execute = reading.connection.execute
        self._executemany = reading.connection.executemany
        self._docs: list[tuple[int, str, str, bytes]] = []
        self._refs: list[tuple[str, str, str, int]] = []
        self._keys: list[tuple[str, str, int]] = []

    def known(self, num: int) -> Named | None:
        """What the tables have of a document."""
        row = self._execute("SELECT type, named FROM business_docs WHERE num = ?", (num,)).fetchone()
        return None if row is None else Named(row[0], *orjson.loads(row[1]))

    def put(self, num: int, docid: str, doc: Body | None, *, new: bool = False) -> tuple[Named, Named]:
        """A document as it is now, None if it isn't any more. Returns what was named before and is now."""
        before = None if new else self.known(num)
        if doc is None:
            if before is not None:
                self._remove(num, before)
                self._execute("DELETE FROM business_docs WHERE num = ?", (num,))
            return before or NOTHING, NOTHING
        named = Named.of(doc)
        if before is None:
            self._add(num, named)
        elif before != named:
            self._remove(num, before)
            self._add(num, named)
        if before != named:
            self._docs.append((num, docid, named.type, orjson.dumps([named.refs, named.keys])))
        return before or NOTHING, named

    def _add(self, num: int, named: Named) -> None:
        self._refs += [(target, named.type, field, num) for field, target in named.refs]
        self._keys += [(key, value, num) for key, value in named.keys]

    def flush(self) -> None:
        self._executemany("INSERT OR REPLACE INTO business_docs VALUES (?, ?, ?, ?)", self._docs)
        self._executemany("INSERT OR IGNORE INTO business_refs VALUES (?, ?, ?, ?)", self._refs)
        self._executemany("INSERT OR IGNORE INTO business_keys VALUES (?, ?, ?)", self._keys)
        self._docs, self._refs, self._keys = [], [], []

    def _remove(self, num: int, named: Named) -> None:
        self._executemany(
            "DELETE FROM business_refs WHERE target = ? AND doctype = ? AND field = ? AND doc = ?",
            [(target, named.type, field, num) for field, target in named.refs],
        )
        self._executemany(
            "DELETE FROM business_keys WHERE key = ? AND value = ? AND doc = ?",
            [(key, value, num) for key, value in named.keys],
        )


class Lookups:
    """`Facts` of one state of the database. Make a new one when documents have been written."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._documents: dict[str, Body | None] = {}

    def document(self, docid: str) -> Body | None:
        if docid not in self._documents:
            winner = self._reading.winner(docid)
            self._documents[docid] = None if winner is None or winner.deleted else bare(winner)
        return self._documents[docid]

    def referring(self, doctype: str, field: str, docid: str) -> Iterator[Body]:
        rows: Any = self._reading.connection.execute(
            "SELECT d.id FROM business_refs r CROSS JOIN business_docs d ON d.num = r.doc"
            " WHERE r.target = ? AND r.doctype = ? AND r.field = ? ORDER BY r.doc",
            (docid, doctype, field),
        )
        found = [one for (one,) in rows]
        first, size = 0, _FIRST_READ
        while first < len(found):
            some = found[first : first + size]
            self._load([one for one in some if one not in self._documents])
            for one in some:
                body = self._documents[one]
                if body is not None:
                    yield body
            first, size = first + size, _READ

    def sharing(self, key: str, value: str, most: int | None = None) -> Sequence[str]:
        if key == NUMBER:
            return self._given(value)
        rows: Any = self._reading.connection.execute(
            "SELECT d.id FROM business_keys k CROSS JOIN business_docs d ON d.num = k.doc"
            " WHERE k.key = ? AND k.value = ? ORDER BY k.doc LIMIT ?",
            (key, value, -1 if most is None else most),
        )
        return [one for (one,) in rows]

    def _given(self, number: str) -> Sequence[str]:
        """The documents, even former ones, that a number was given to."""
        rows: Any = self._reading.connection.execute(
            "SELECT doc FROM business_numbers WHERE upper(number) = ?", (number,)
        )
        return [one for (one,) in rows]

    def coming(self, docid: str) -> None:
        return None

    def due(self, key: str, before: str, limit: int) -> Sequence[str]:
        """Ids of live documents whose value of a key, a day, is over, the longest over first."""
        rows: Any = self._reading.connection.execute(
            "SELECT d.id FROM business_keys k CROSS JOIN business_docs d ON d.num = k.doc"
            " WHERE k.key = ? AND k.value < ? ORDER BY k.value, k.doc LIMIT ?",
            (key, before, limit),
        )
        return [one for (one,) in rows]

    def _load(self, docids: Sequence[str]) -> None:
        winners: Mapping[str, Document] = self._reading.winners(docids) if docids else {}
        for docid in docids:
            winner = winners.get(docid)
            self._documents[docid] = None if winner is None or winner.deleted else bare(winner)
