"""Reading the chain: entries by document, user and time, with the values that somebody may read.

What is shown of an entry is decided by whoever asks here: `Sight`. Of a document that he may not read there
is only that something was done, by whom and when; no id, no revision, no names of fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

import apsw
import orjson

from kompass.audit.recording import REJECTED
from kompass.audit.schema import OF_DOCUMENT
from kompass.audit.verifying import Opened, Row, as_bytes, as_hex
from replication.store.sqlite import Reading


class Sight(Enum):
    """How much of an entry somebody gets."""

    ALL = "all"
    """Its document is his to read."""
    NAMES = "names"
    """The same without values."""
    OWN = "own"
    """He did it himself, and may not read the document, or no more: he gets what he sent."""
    OUTLINE = "outline"
    """That something was done."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries, the latest first."""

    document: str | None = None
    user: str | None = None
    since: int | None = None
    """Milliseconds since 1970, inclusive."""
    until: int | None = None
    """Exclusive."""
    before: int | None = None
    """Only entries with a lower number."""

    def following(self, num: int) -> Query:
        """The same, from before this entry on."""
        return replace(self, before=num)


class Change(NamedTuple):
    """A field that was changed. JSON texts; None where there is nothing or nothing to be shown."""

    field: str
    old: str | None
    new: str | None


class Shown(NamedTuple):
    """An entry for a person."""

    num: int
    hash: str
    entry: Mapping[str, Any]
    """Its members, as far as he gets them."""
    reason: str | None
    changes: Sequence[Change]
    values: str
    """`shown`, `hidden`, `shredded`, or `none` if it has none."""


def found(reading: Reading, query: Query, limit: int) -> list[Row]:
    """Entries that match, at most `limit`."""
    clauses, values = ["1"], []
    for clause, value in (
        (OF_DOCUMENT, query.document),  # the first: it has the first parameter
        ("user = ?", query.user),
        ("at >= ?", query.since),
        ("at < ?", query.until),
        ("num < ?", query.before),
    ):
        if value is not None:
            clauses.append(clause)
            values.append(value)
    rows: Any = reading.connection.execute(
        "SELECT num, hash, text, at, user, doc, key, sealed FROM audit_entries"
        f" WHERE {' AND '.join(clauses)} ORDER BY num DESC LIMIT ?",
        (*values, limit),
    ).fetchall()
    return [
        Row(num, as_hex(hashed), as_bytes(text), at, user, doc, key, sealed)
        for num, hashed, text, at, user, doc, key, sealed in rows
    ]


_OUTLINE = ("action", "address", "device", "door", "num", "origin", "received", "roles", "type", "who")
_OWN = (*_OUTLINE, "after", "claimed", "deleted", "document", "fields", "rule")
_ALL = (*_OWN, "before", "cause", "more", "purged", "since", "until")
_MEMBERS = {Sight.ALL: _ALL, Sight.NAMES: _ALL, Sight.OWN: _OWN, Sight.OUTLINE: _OUTLINE}


class Reader:
    """Shows entries. One for a snapshot."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._opened = Opened(connection)

    def sent(self, row: Row) -> dict[str, Any] | None:
        """The text of a refused write. None if it isn't readable, or isn't kept here."""
        opening = None if row.key is None else self._opened.opening(row)
        text = opening.get("text") if isinstance(opening, dict) else None
        value = None if text is None else json.loads(text)
        return value if isinstance(value, dict) else None

    def shown(self, row: Row, sight: Sight) -> Shown:
        entry: dict[str, Any] = orjson.loads(row.text)
        members = _MEMBERS[sight]
        told = {name: entry.get(name) for name in members}
        told["decision"] = "refused" if entry["action"] == REJECTED else "accepted"
        if row.key is None:
            return Shown(row.num, row.hash, told, None, (), "none")
        if sight in (Sight.OUTLINE, Sight.NAMES) or (sight is Sight.OWN and entry["action"] != REJECTED):
            return Shown(row.num, row.hash, told, None, (), "hidden")
        opening = self._opened.opening(row)
        if not isinstance(opening, dict):
            names = [*entry.get("changes", ()), *(entry.get("fields") or ())]
            return Shown(row.num, row.hash, told, None, [Change(n, None, None) for n in names], "shredded")
        reason = opening.get("reason")
        changes = list(_changes(opening))
        return Shown(row.num, row.hash, told, None if reason is None else reason[1], changes, "shown")


def _changes(opening: Mapping[str, Any]) -> Iterator[Change]:
    called = opening.get("names", {})
    for name, (_, text) in sorted(opening.get("fields", {}).items()):
        value = json.loads(text)  # exact: no number is rounded
        yield Change(called.get(name, name), _text(value, "old"), _text(value, "new"))
    whole = opening.get("text")
    if whole is not None:
        value = json.loads(whole)
        for name in sorted(value):
            if name[:1] != "_" or name == "_attachments":
                yield Change(name, None, _text(value, name))


def _text(value: Mapping[str, Any], name: str) -> str | None:
    if name not in value:
        return None
    return json.dumps(value[name], ensure_ascii=False, separators=(",", ":"))
