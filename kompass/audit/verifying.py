"""Is the chain as it was written? Finds what was changed, removed, inserted, moved or cut off.

Every entry is read in order: its hash, what it says of the one before it, what is kept beside it to find it
by, and whether the sealed values are those it commits to. Then the end of the chain, the keys, and the
checkpoints with their signatures. `reconciling` compares the documents with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import apsw
import orjson

from kompass.audit import schema, vault
from kompass.audit.canonical import GENESIS, canonical, commitment, digest
from kompass.audit.recording import ERASE, SHRED
from kompass.audit.signing import PublicKey
from kompass.audit.vault import Key, WrongSealError

PAGE = 1000


class Finding(NamedTuple):
    """Something that isn't as it was."""

    entry: int | None
    """The number of the entry; None for what concerns none."""
    document: str | None
    what: str

    def __str__(self) -> str:
        place = "" if self.entry is None else f"entry {self.entry}"
        if self.document is not None:
            place = f"{place} ({self.document})" if place else self.document
        return f"{place}: {self.what}" if place else self.what


class Row(NamedTuple):
    """An entry as it is stored."""

    num: int
    hash: str
    text: bytes
    at: int | None = None
    """This and what follows are kept beside the chain; None in an export."""
    user: str | None = None
    doc: str | None = None
    key: int | None = None
    sealed: bytes | None = None


@dataclass(slots=True)
class Chain:
    """Follows a chain, entry by entry."""

    num: int = 0
    hash: str = GENESIS
    entries: int = 0
    hashes: dict[int, str] = field(default_factory=dict)
    """Of the entries in `wanted`."""
    wanted: frozenset[int] = frozenset()
    used: set[int] = field(default_factory=set)
    """Keys that entries were sealed with."""
    unreadable: dict[int, int] = field(default_factory=dict)
    """Keys that were shredded -> the first entry sealed with it."""
    shredded: dict[int, str] = field(default_factory=dict)
    """Keys that the chain says are shredded -> their subject."""
    emptied: set[int] = field(default_factory=set)
    """Entries whose values were taken away though their key is there."""
    erased: set[int] = field(default_factory=set)
    """Entries whose values the chain says were erased."""

    def follow(self, row: Row) -> Iterator[Finding]:
        """What is wrong with the next entry as such."""
        if row.num != self.num + 1:
            gap = f"the entry before it is {self.num}"
            if row.num > self.num + 1:
                what = f"missing, the next one is {row.num}"
                yield Finding(self.num + 1, None, what)
            else:
                yield Finding(row.num, None, f"out of order: {gap}")
        entry = _parsed(row.text)
        if entry is None:
            yield Finding(row.num, row.doc, "changed: its text is no entry in canonical form")
        elif digest(row.text) != row.hash:
            yield Finding(row.num, row.doc, "changed: its text doesn't have its hash")
        elif entry.get("num") != row.num:
            yield Finding(row.num, row.doc, f"moved: it was entry {entry.get('num')}")
        elif entry.get("previous") != self.hash and row.num == self.num + 1:
            yield Finding(row.num, row.doc, "doesn't follow the entry before it: one of them was exchanged")
        if entry is not None:
            yield from self._beside(row, entry)
        self.num, self.hash = row.num, row.hash
        self.entries += 1
        if row.num in self.wanted:
            self.hashes[row.num] = row.hash

    def _beside(self, row: Row, entry: Mapping[str, Any]) -> Iterator[Finding]:
        if entry.get("action") == SHRED:
            self.shredded.update(dict.fromkeys(entry.get("keys", ()), str(entry.get("document"))))
        if entry.get("action") == ERASE:
            self.erased.update(num for num in entry.get("entries", ()) if isinstance(num, int))
        if row.at is None:
            return
        told = (
            _milliseconds(entry.get("received")),
            entry.get("who"),
            entry.get("document"),
            entry.get("key"),
        )
        if told != (row.at, row.user, row.doc, row.key):
            yield Finding(row.num, row.doc, "changed: what stands beside its text to find it by is different")


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and canonical(value) == text else None


def _milliseconds(text: object) -> int | None:
    try:
        return round(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return None


class Opened:
    """The keys that entries are sealed with."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._keys: dict[int, Key | None] = {}

    def key(self, num: int) -> Key | None:
        if num not in self._keys:
            if len(self._keys) > 10_000:
                self._keys.clear()
            self._keys[num] = vault.key(self._connection, num)
        return self._keys[num]

    def opening(self, row: Row) -> dict[str, Any] | str | None:
        """What is sealed; None if its key was shredded or its values were erased; a text that says what is
        wrong with it.
        """
        assert row.key is not None
        key = self.key(row.key)
        if key is None:
            return f"its values can't be read: key {row.key} is missing"
        if key.secret is None:
            return None if not row.sealed else "it has values again that were shredded"
        if row.sealed == vault.ERASED:
            return None
        if row.sealed is None:
            return "its values are missing"
        try:
            return key.open(row.num, row.sealed)
        except WrongSealError:
            return "its values, or their key, were changed or exchanged"


def wrong_values(entry: Mapping[str, Any], opening: Mapping[str, Any]) -> str | None:
    """How sealed values contradict what an entry commits to."""
    try:
        text = opening.get("text")
        if text is not None and entry["state"] != commitment(bytes.fromhex(opening["state"]), text.encode()):
            return "its text isn't the one it commits to"
        reason = opening.get("reason")
        if reason is not None and entry["reason"] != _committed(reason):
            return "its reason isn't the one it commits to"
        fields = opening.get("fields", {})
        if fields.keys() != entry.get("changes", {}).keys():
            return "its values are of other fields than it commits to"
        for name, opened in fields.items():
            if _committed(opened) != entry["changes"][name]:
                return f"its values of {name} aren't those it commits to"
    except (KeyError, TypeError, ValueError, AttributeError):
        return "its values can't be read"
    return None


def _committed(opened: Sequence[str]) -> str:
    return commitment(bytes.fromhex(opened[0]), opened[1].encode())


def verify(
    connection: apsw.Connection,
    public: Sequence[PublicKey],
    *,
    start: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Iterator[Finding]:
    """What is wrong with the chain in a database, from the entry `start` on; the first comes first.

    `public` are the keys that checkpoints may be signed with. All statements must see one state. Before
    `start` nothing is looked at: the entry before it is believed.
    """
    if not schema.exists(connection):
        yield Finding(None, None, "there is no chain: its tables are missing")
        return
    total: int = connection.execute("SELECT max(num) FROM audit_entries").get or 0
    chain, opened = Chain(), Opened(connection)
    if start > 1:
        row = connection.execute("SELECT hash FROM audit_entries WHERE num = ?", (start - 1,)).get
        if row is None:
            yield Finding(start - 1, None, "missing: nothing can follow it")
            return
        chain.num, chain.hash = start - 1, bytes(row).hex()
    points: Any = connection.execute("SELECT num FROM audit_checkpoints").fetchall()
    chain.wanted = frozenset(num for (num,) in points)
    for row in rows(connection, start):
        yield from chain.follow(row)
        yield from _sealed(row, chain, opened)
        if row.num % PAGE == 0:
            progress(row.num, total)
    progress(total, total)
    yield from _end(connection, chain)
    yield from _keys(connection, chain, whole=start == 1)
    yield from _checkpoints(connection, chain, public, start)


def rows(connection: apsw.Connection, start: int = 1) -> Iterator[Row]:
    """The stored entries from a number on, read page by page."""
    while True:
        page: Any = connection.execute(
            "SELECT num, hash, text, at, user, doc, key, sealed FROM audit_entries"
            " WHERE num >= ? ORDER BY num LIMIT ?",
            (start, PAGE),
        ).fetchall()
        for num, hashed, text, at, user, doc, key, sealed in page:
            yield Row(
                num,
                as_hex(hashed),
                as_bytes(text),
                at,
                user,
                doc,
                key,
                None if sealed is None else as_bytes(sealed),
            )
            start = num + 1
        if len(page) < PAGE:
            return


def as_bytes(value: object) -> bytes:
    """Whatever somebody has put where bytes belong."""
    return value if isinstance(value, bytes) else str(value).encode()


def as_hex(value: object) -> str:
    return as_bytes(value).hex()


def _sealed(row: Row, chain: Chain, opened: Opened) -> Iterator[Finding]:
    if row.key is None:
        if row.sealed is not None:
            yield Finding(row.num, row.doc, "changed: it has values that it doesn't commit to")
        return
    chain.used.add(row.key)
    opening = opened.opening(row)
    if opening is None:
        if row.sealed == vault.ERASED:
            chain.emptied.add(row.num)
        else:
            chain.unreadable.setdefault(row.key, row.num)
        return
    entry = _parsed(row.text)
    wrong = opening if isinstance(opening, str) else None
    if wrong is None and entry is not None and not isinstance(opening, str):
        wrong = wrong_values(entry, opening)
    if wrong is not None:
        yield Finding(row.num, row.doc, wrong)


def _end(connection: apsw.Connection, chain: Chain) -> Iterator[Finding]:
    head = connection.execute("SELECT entries, hash FROM audit_head").fetchone()
    if head is None:
        yield Finding(None, None, "it isn't said where the chain ends")
    elif head[0] != chain.num:
        yield Finding(chain.num + 1, None, f"the chain ends before it: it had {head[0]} entries")
    elif head[1] != chain.hash:
        yield Finding(chain.num, None, "the latest entry isn't the one with which the chain ended")


def _keys(connection: apsw.Connection, chain: Chain, *, whole: bool) -> Iterator[Finding]:
    stored: Any = connection.execute("SELECT num, subject, secret IS NULL FROM audit_keys").fetchall()
    gone = {num: subject for num, subject, is_gone in stored if is_gone}
    for num, first in sorted(chain.unreadable.items()):
        if num not in chain.shredded and whole:
            yield Finding(first, None, f"its values are unreadable, and nobody has shredded key {num}")
    for num in sorted(chain.emptied - chain.erased):
        yield Finding(num, None, "its values are missing, and nobody has erased them")
    for num, subject in sorted(chain.shredded.items()):
        if gone.get(num) != subject:
            yield Finding(None, subject, f"key {num} was shredded, and is there again or another's")
    if whole:
        for num, subject, _ in stored:
            if num not in chain.used:
                yield Finding(None, subject, f"key {num} was never used by an entry")


def _checkpoints(
    connection: apsw.Connection, chain: Chain, public: Sequence[PublicKey], start: int
) -> Iterator[Finding]:
    stored: Any = connection.execute(
        "SELECT num, text, signature FROM audit_checkpoints ORDER BY num"
    ).fetchall()
    last = connection.execute("SELECT checkpoint FROM audit_head").get
    points = [(num, as_bytes(text), as_bytes(signature)) for num, text, signature in stored]
    database = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").get
    hashes = {num: hashed for num, hashed in chain.hashes.items() if num >= start}
    yield from wrong_checkpoints(points, public, hashes, start=start, database=str(database))
    if (points[-1][0] if points else 0) != last:
        yield Finding(last or None, None, "the latest checkpoint isn't the one that was made last")


def wrong_checkpoints(
    points: Iterable[tuple[int, bytes, bytes]],
    public: Sequence[PublicKey],
    hashes: Mapping[int, str],
    *,
    start: int = 1,
    database: str | None = None,
) -> Iterator[Finding]:
    """What is wrong with checkpoints, (number, text, signature) in order, of entries with these hashes."""
    keys = {key.id: key for key in public}
    previous = GENESIS
    for num, text, signature in points:
        value = _parsed(text)
        if value is None or value.get("entry") != num:
            yield Finding(num, None, "its checkpoint was changed or moved")
            previous = digest(text)
            continue
        key = keys.get(str(value.get("key")))
        if key is None:
            yield Finding(num, None, f"its checkpoint is signed with an unknown key, {value.get('key')}")
        elif not key.verifies(signature, text):
            yield Finding(num, None, "its checkpoint was changed: the signature is wrong")
        if value.get("previous") != previous:
            yield Finding(num, None, "the checkpoint before this entry's is missing or another one")
        if database is not None and value.get("database") != database:
            yield Finding(num, None, "its checkpoint is of another database")
        if num >= start and hashes.get(num) != value.get("hash"):
            what = "isn't the one that was signed" if num in hashes else "was signed and is missing"
            yield Finding(num, None, what)
        previous = digest(text)
