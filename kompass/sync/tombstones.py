"""Synthetic tombstones: how a plain PouchDB loses what its user may not see any more.

T(r) is a deleted child of revision r that exists in no tree of the server. Its id is made from r with a
key, so it needs not be stored, is the same for everybody, can't be made up, and is recognised
when a device sends it back, even without knowing r: a push brings only the id of the document and the ids
of revisions before its bodies.

The id has two halves. The first says which revision it closes, the second that the first was made here.
The key must be kept for as long as devices are out there that have seen tombstones: with another
key, what they push back would look like edits.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

import orjson

from replication.protocol.revisions import Rev, format_rev

_HALF = 16
BODY = b'"revoked":true'
"""What a tombstone says besides being one. Devices tell revoked from deleted by it."""


class Tombstones:
    """The tombstones of one database."""

    __slots__ = ("_closing", "_database", "_proving", "_revisions")

    def __init__(self, key: bytes, database: str) -> None:
        self._database = database.encode()
        self._closing = _Keyed(_derived(key, b"closes"))
        self._proving = _Keyed(_derived(key, b"proves"))
        self._revisions = _Keyed(_derived(key, b"revisions"))

    def of(self, docid: str, rev: Rev) -> Rev:
        """T(rev)."""
        first = self._first(docid, rev)
        return rev[0] + 1, first + self._second(docid, rev[0] + 1, first)

    def made(self, docid: str, rev: Rev) -> bool:
        """Whether `rev` is a tombstone of this document, of whatever revision."""
        generation, text = rev
        if len(text) != 2 * _HALF:
            return False
        return hmac.compare_digest(self._second(docid, generation, text[:_HALF]), text[_HALF:])

    def closes(self, docid: str, tombstone: Rev, rev: Rev) -> bool:
        """Whether `tombstone`, which was made here, is the one of `rev`."""
        return tombstone[0] == rev[0] + 1 and tombstone[1][:_HALF] == self._first(docid, rev)

    def text(self, docid: str, tombstone: Rev) -> bytes:
        """The document as a device gets it."""
        return b'{"_id":%b,"_rev":"%b","_deleted":true,%b}' % (
            orjson.dumps(docid),
            format_rev(tombstone).encode("ascii"),
            BODY,
        )

    def keyed_revision(self, docid: str, parent: Rev | None, body: bytes) -> str:
        """The id of a revision that the server writes: nobody can guess a body by comparing ids."""
        above = "" if parent is None else format_rev(parent)
        return self._revisions.hex(orjson.dumps([docid, above]) + body)[: 2 * _HALF]

    def _first(self, docid: str, rev: Rev) -> str:
        return self._closing.hex(orjson.dumps([docid, *rev]))[:_HALF]

    def _second(self, docid: str, generation: int, first: str) -> str:
        message = self._database + b"\0" + orjson.dumps([docid, generation, first])
        return self._proving.hex(message)[:_HALF]


class _Keyed:
    """HMAC-SHA-256 with one key, which is taken in once: a device that pushes asks for thousands."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes) -> None:
        self._begun = hmac.new(key, digestmod="sha256")

    def hex(self, message: bytes) -> str:
        begun = self._begun.copy()
        begun.update(message)
        return begun.hexdigest()


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"kompass tombstones: " + purpose, sha256)
