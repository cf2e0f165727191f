"""What the chain commits to, sealed under a key for each subject. Without the key nobody reads it.

The chain verifies all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apsw
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kompass.audit.schema import OF_DOCUMENT
from replication.store.sqlite import Writing

ERASED = b""
"""What an entry has instead of its values once they were erased while its subject's key stays."""

_NONCE = 12
_REMEMBERED = 5000

_ciphers: dict[bytes, AESGCM] = {}
"""Making one costs more than encrypting with it."""


class WrongSealError(Exception):
    """What is sealed was changed, moved, or sealed with another key."""


class Key(NamedTuple):
    num: int
    subject: str
    secret: bytes | None
    """None once it has been shredded."""

    def seal(self, entry: int, opening: bytes, nonce: bytes) -> bytes:
        assert self.secret is not None
        return nonce + _cipher(self.secret).encrypt(nonce, opening, self._place(entry))

    def open(self, entry: int, sealed: bytes) -> dict[str, Any]:
        """Raises `WrongSealError`."""
        value: dict[str, Any] = orjson.loads(self.open_text(entry, sealed))
        return value

    def open_text(self, entry: int, sealed: bytes) -> bytes:
        """The same as JSON."""
        assert self.secret is not None
        try:
            return _cipher(self.secret).decrypt(sealed[:_NONCE], sealed[_NONCE:], self._place(entry))
        except (InvalidTag, ValueError):
            raise WrongSealError from None

    def _place(self, entry: int) -> bytes:
        """A seal is good for one entry and one subject."""
        return f"{entry}:{self.num}:{self.subject}".encode()


def _cipher(secret: bytes) -> AESGCM:
    found = _ciphers.get(secret)
    if found is None:
        if len(_ciphers) >= _REMEMBERED:
            _ciphers.clear()
        try:
            found = _ciphers[secret] = AESGCM(secret)
        except ValueError:
            raise WrongSealError from None
    return found


class Keys:
    """The keys of one transaction."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._found: dict[str, Key] = {}

    def of(self, subject: str) -> Key:
        """The key that counts, made if there is none."""
        found = self._found.get(subject)
        if found is None:
            connection = self._writing.connection
            row = connection.execute(
                "SELECT num, secret FROM audit_keys WHERE subject = ? ORDER BY num DESC LIMIT 1", (subject,)
            ).fetchone()
            if row is not None and row[1] is not None:
                found = Key(int(row[0]), subject, bytes(row[1]))
            else:
                secret = AESGCM.generate_key(256)
                connection.execute(
                    "INSERT INTO audit_keys (subject, secret) VALUES (?, ?)", (subject, secret)
                )
                found = Key(connection.last_insert_rowid(), subject, secret)
            self._found[subject] = found
        return found


def key(connection: apsw.Connection, num: int) -> Key | None:
    row = connection.execute("SELECT subject, secret FROM audit_keys WHERE num = ?", (num,)).fetchone()
    return None if row is None else Key(num, row[0], None if row[1] is None else bytes(row[1]))


def shred(writing: Writing, subject: str) -> list[int]:
    """Makes all that is sealed for a subject unreadable; returns the numbers of its keys, which are gone.

    Their bytes are overwritten in the file. Its write-ahead log still has them until it has gone round.
    """
    connection = writing.connection
    nums = [
        int(num)
        for (num,) in connection.execute(
            "SELECT num FROM audit_keys WHERE subject = ? AND secret IS NOT NULL ORDER BY num", (subject,)
        )
    ]
    with writing.overwriting():
        for num in nums:
            connection.execute("UPDATE audit_keys SET secret = NULL WHERE num = ?", (num,))
            connection.execute("UPDATE audit_entries SET sealed = NULL WHERE key = ?", (num,))
    _ciphers.clear()
    return nums


def erase(writing: Writing, entries: Iterable[int]) -> list[int]:
    """Takes the values away that these entries have; returns those that had any."""
    connection = writing.connection
    with writing.overwriting():
        return [
            num
            for num in sorted(set(entries))
            if connection.execute(
                "UPDATE audit_entries SET sealed = ? WHERE num = ? AND length(sealed) > 0 RETURNING num",
                (ERASED, num),
            ).get
            is not None
        ]


class Sealed(NamedTuple):
    """An entry whose values can be read."""

    num: int
    doc: str
    subject: str
    opening: bytes
    """JSON: see `recording`."""


def readable(connection: apsw.Connection, *, after: int = 0, page: int = 1000) -> Iterator[Sealed]:
    """The values of the entries that follow the number `after`. What was tampered with is left out."""
    keys: dict[int, Key | None] = {}
    while True:
        rows: Any = connection.execute(
            "SELECT num, doc, key, sealed FROM audit_entries WHERE num > ? ORDER BY num LIMIT ?",
            (after, page),
        ).fetchall()
        for num, doc, number, sealed in rows:
            after = num
            if not sealed:
                continue
            if number not in keys:
                if len(keys) >= _REMEMBERED:
                    keys.clear()
                keys[number] = key(connection, number)
            one = keys[number]
            if one is None or one.secret is None:
                continue
            try:
                yield Sealed(num, doc, one.subject, one.open_text(num, sealed))
            except WrongSealError:
                continue
        if len(rows) < page:
            return


def numbers(connection: apsw.Connection, docid: str, user: str | None) -> Iterator[int]:
    """The numbers of the entries about a document, and of those about what somebody did."""
    rows: Any = connection.execute(
        f"SELECT num FROM audit_entries WHERE {OF_DOCUMENT} OR user = ?2", (docid, user)
    )
    return (num for (num,) in rows)


def of_document(connection: apsw.Connection, docid: str) -> Iterator[Sealed]:
    """The values of the entries about one document, as far as they can be read, the first one first."""
    rows: Any = connection.execute(
        f"SELECT num, key, sealed FROM audit_entries WHERE {OF_DOCUMENT} AND length(sealed) > 0 ORDER BY num",
        (docid,),
    ).fetchall()
    for num, number, sealed in rows:
        one = key(connection, number)
        if one is None or one.secret is None:
            continue
        try:
            yield Sealed(num, docid, one.subject, one.open_text(num, sealed))
        except WrongSealError:
            continue


def entry(connection: apsw.Connection, num: int) -> tuple[bytes, bytes | None]:
    """The text of an entry, and its values as far as they can be read. Raises `KeyError`."""
    row = connection.execute("SELECT text, key, sealed FROM audit_entries WHERE num = ?", (num,)).fetchone()
    if row is None:
        raise KeyError(num)
    text, number, sealed = row
    one = key(connection, number) if sealed else None
    if one is None or one.secret is None:
        return text, None
    try:
        return text, one.open_text(num, sealed)
    except WrongSealError:
        return text, None


class Chance:
    """Random bytes, fetched many at a time."""

    def __init__(self) -> None:
        self._bytes = b""
        self._used = 0

    def take(self, count: int) -> bytes:
        start = self._used
        if start + count > len(self._bytes):
            self._bytes = os.urandom(max(4096, count))
            start = 0
        self._used = start + count
        return self._bytes[start : start + count]
