"""A whole look at the chain in a data directory, as the command and tests take it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw
import orjson

from kompass.audit import schema
from kompass.audit.reconciling import reconcile
from kompass.audit.signing import FILE, KeysError, PublicKey, SigningKeys, read_public
from kompass.audit.verifying import Finding, verify, wrong_checkpoints
from kompass.texts import TextFile

MOST_FINDINGS = 1000
"""More aren't looked for: one change may make everything after it wrong."""

Progress = Callable[[str, int, int], None]
"""`(what, done, of)`."""


class Report(NamedTuple):
    """What was found. The first finding is the first thing that is wrong with the chain."""

    findings: Sequence[Finding]
    entries: int
    hash: str
    """Of the latest entry: note it down, and give it to the next verification."""
    checkpoint: int
    """The entry that is signed last; 0 if none is."""
    complete: bool
    """False if there are more findings."""


@contextmanager
def opened(file: Path) -> Iterator[apsw.Connection]:
    """A database's file in one state, while a server may go on writing it. Nothing is changed."""
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA query_only = 1")
        connection.execute("BEGIN")
        yield connection
    finally:
        connection.close()


def public_keys(directory: Path, given: Path | None = None) -> tuple[PublicKey, ...]:
    """The keys of a data directory, or those in a file that somebody has kept. Raises `KeysError`."""
    if given is None:
        return SigningKeys(TextFile(directory / FILE)).public
    try:
        value = orjson.loads(given.read_bytes())
    except (OSError, ValueError) as error:
        raise KeysError(f"{given} can't be read: {error}") from None
    return read_public(value["keys"] if isinstance(value, dict) and "keys" in value else value)


def inspect(
    connection: apsw.Connection,
    public: Sequence[PublicKey],
    *,
    start: int = 1,
    expected: Mapping[int, str] | None = None,
    anchored: Sequence[tuple[int, bytes, bytes]] = (),
    progress: Progress = lambda what, done, of: None,
) -> Report:
    """Verifies the chain from the entry `start` on, and compares the documents with it.

    `expected`: hashes that entries are known to have. `anchored`: checkpoints that were kept elsewhere.
    """
    findings: list[Finding] = []

    def look() -> Iterator[Finding]:
        yield from _unlike(connection, expected or {})
        yield from _unlike_anchored(connection, public, anchored)
        yield from verify(
            connection, public, start=start, progress=lambda done, of: progress("entries", done, of)
        )
        if schema.exists(connection):
            yield from reconcile(connection, progress=lambda done, of: progress("documents", done, of))

    complete = True
    for finding in look():
        if len(findings) == MOST_FINDINGS:
            complete = False
            break
        findings.append(finding)
    # What concerns an entry comes in the order of entries, the rest after it.
    findings.sort(key=lambda one: (one.entry is None, one.entry or 0))
    entries, hashed, checkpoint = 0, "", 0
    if schema.exists(connection):
        head = connection.execute("SELECT entries, hash, checkpoint FROM audit_head").fetchone()
        entries, hashed, checkpoint = (0, "", 0) if head is None else head
    return Report(findings, entries, hashed, checkpoint, complete)


def _hash_of(connection: apsw.Connection, num: int) -> str | None:
    if not schema.exists(connection):
        return None
    found = connection.execute("SELECT hash FROM audit_entries WHERE num = ?", (num,)).get
    return found.hex() if isinstance(found, bytes) else None


def _unlike(connection: apsw.Connection, expected: Mapping[int, str]) -> Iterator[Finding]:
    for num, wanted in expected.items():
        found = _hash_of(connection, num)
        if found != wanted:
            what = "is missing, and was expected" if found is None else "isn't the one that was expected"
            yield Finding(num, None, what)


def _unlike_anchored(
    connection: apsw.Connection, public: Sequence[PublicKey], anchored: Sequence[tuple[int, bytes, bytes]]
) -> Iterator[Finding]:
    if not anchored:
        return
    hashes = {num: found for num, _, _ in anchored if (found := _hash_of(connection, num)) is not None}
    for finding in wrong_checkpoints(anchored, public, hashes):
        yield finding._replace(what=f"{finding.what} (by a checkpoint that was kept elsewhere)")


def read_anchor(path: Path) -> list[tuple[int, bytes, bytes]]:
    """The checkpoints in a file of `Signer`'s. Raises `KeysError` for a line that is none."""
    found = []
    try:
        for line in path.read_bytes().splitlines():
            value = orjson.loads(line)
            text = value["checkpoint"].encode()
            found.append((orjson.loads(text)["entry"], text, bytes.fromhex(value["signature"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeysError(f"{path} can't be read: {error}") from None
    return found
