"""Do the documents say what the chain says? Finds what was written past it.

Every stored revision must have an entry that commits to its text; the winner must be the one that follows
from all revisions the chain knows; what the chain knows and hasn't purged must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apsw
import orjson

from kompass.audit import schema
from kompass.audit.canonical import commitment
from kompass.audit.recording import (
    ADOPT,
    ERASE,
    EXPORT,
    PURGE,
    REJECTED,
    RESEAL,
    RESTORE,
    SECURITY,
    SETTLE,
    SHRED,
)
from kompass.audit.verifying import Finding, Opened, Row, as_bytes, as_hex
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, parse_rev

_PAGE = 500


class _Known(NamedTuple):
    """A revision by the chain."""

    row: Row
    state: str
    deleted: bool


class _History:
    """What the chain says of one document."""

    def __init__(self) -> None:
        self.revisions: dict[str, _Known] = {}
        self.replaced: dict[str, str | None] = {}
        """Revision -> the one it follows; for those that were there before, None."""
        self.interior: set[str] = set()

    def read(self, row: Row) -> None:
        """Raises `KeyError`, `TypeError`, `ValueError`, `ProtocolError` for what no chain has by itself."""
        entry: dict[str, Any] = orjson.loads(row.text)
        action = entry["action"]
        if action in (REJECTED, SHRED, ERASE, SECURITY, RESTORE, EXPORT, SETTLE):
            return
        if action == PURGE:
            for rev in entry["purged"]:
                self._purge(rev)
            return
        rev, before = entry["after"], entry.get("before")
        for each in (rev,) if before is None else (rev, before):
            parse_rev(each)
        deleted = bool(entry.get("deleted"))
        if action == RESEAL:
            known = self.revisions.get(rev)
            deleted = known is not None and known.deleted
        else:
            self.replaced[rev] = before
            if action == ADOPT and not entry["leaf"]:
                self.interior.add(rev)
        self.revisions[rev] = _Known(row, entry["state"], deleted)

    def _purge(self, rev: str | None) -> None:
        """A leaf goes with all that nothing else follows from."""
        while rev in self.replaced and rev not in self.replaced.values():
            self.revisions.pop(rev, None)
            rev = self.replaced.pop(rev)

    def winner(self) -> str | None:
        inner = self.interior | {before for before in self.replaced.values() if before is not None}
        leaves = [rev for rev in self.replaced if rev not in inner]

        def rank(rev: str) -> tuple[bool, Rev]:
            return not self.revisions[rev].deleted, parse_rev(rev)

        return max(leaves, key=rank, default=None)


def reconcile(
    connection: apsw.Connection, *, progress: Callable[[int, int], None] = lambda done, of: None
) -> Iterator[Finding]:
    """What of the stored documents contradicts the chain, which is taken to be in order."""
    opened = Opened(connection)
    total: int = connection.execute("SELECT count(*) FROM docs").get
    after, done = "", 0
    while True:
        page: Any = connection.execute(
            "SELECT id, num, rev, body FROM docs WHERE id > ? ORDER BY id LIMIT ?", (after, _PAGE)
        ).fetchall()
        for docid, num, winner, body in page:
            after = docid
            yield from _document(connection, opened, docid, num, winner, body)
        done += len(page)
        progress(done, total)
        if len(page) < _PAGE:
            break
    yield from _lost(connection)


def _history(connection: apsw.Connection, docid: str) -> _History:
    history = _History()
    rows: Any = connection.execute(
        "SELECT num, hash, text, at, user, doc, key, sealed FROM audit_entries"
        f" WHERE {schema.OF_DOCUMENT} ORDER BY num",
        (docid,),
    )
    for num, hashed, text, at, user, doc, key, sealed in rows:
        row = Row(num, as_hex(hashed), as_bytes(text), at, user, doc, key, sealed)
        try:
            history.read(row)
        except (KeyError, TypeError, ValueError, ProtocolError):
            continue  # `verify` has told
    return history


def _document(
    connection: apsw.Connection, opened: Opened, docid: str, num: int, winner: str, body: int
) -> Iterator[Finding]:
    history = _history(connection, docid)
    expected = history.winner()
    if expected != winner:
        known = history.revisions.get(expected) if expected is not None else None
        what = f"{winner} is stored as the winner, and by the chain it is {expected or 'not there'}"
        yield Finding(None if known is None else known.row.num, docid, what)
    stored: Any = connection.execute(
        "SELECT ?, text FROM bodies WHERE seq = ?"
        " UNION ALL SELECT revs.rev, text FROM revs JOIN bodies ON bodies.seq = revs.body WHERE doc = ?",
        (winner, body, num),
    ).fetchall()
    if not any(rev == winner for rev, _ in stored):
        yield Finding(None, docid, f"the text of {winner} is missing")
    for rev, text in stored:
        known = history.revisions.get(rev)
        if known is None:
            if rev != winner or expected == winner:
                yield Finding(None, docid, f"{rev} is stored, and isn't in the chain")
            continue
        if known.row.key is None:
            continue
        opening = opened.opening(known.row)
        if opening is None or isinstance(opening, str):
            continue  # shredded, or `verify` has told
        if commitment(bytes.fromhex(opening["state"]), as_bytes(text)) != known.state:
            yield Finding(known.row.num, docid, f"the stored text of {rev} isn't the one that was written")


def _lost(connection: apsw.Connection) -> Iterator[Finding]:
    """Documents that are in the chain and nowhere else."""
    lost: Any = connection.execute(
        "SELECT DISTINCT doc FROM audit_entries WHERE doc NOT IN (SELECT id FROM docs)"
    ).fetchall()
    for (docid,) in lost:
        history = _history(connection, docid)
        if history.revisions:
            last = max(known.row.num for known in history.revisions.values())
            yield Finding(last, docid, "was written, and is missing among the documents")
