"""Signed statements of where the chain was.

A checkpoint is a JSON object in canonical form: the database's uuid, number and hash of an entry, the time,
the key that signs, and the hash of the checkpoint before. Up to the latest checkpoint no entry can be changed
and the chain can't be cut off without the secret key; what comes after it is as safe as the next one. Whoever
keeps a checkpoint elsewhere, in a file on another machine or on paper, can prove it even against the key's
owner.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from kompass.audit.canonical import GENESIS, canonical, digest
from kompass.audit.signing import SigningKeys
from kompass.domain.stamps import timestamp
from replication.store.sqlite import Writing

EVERY = 1000
"""Entries after which there is another one at once."""


class Checkpoint(NamedTuple):
    num: int
    """The entry it is about."""
    text: bytes
    signature: bytes


class Signer:
    """Makes the checkpoints of one chain."""

    def __init__(self, keys: SigningKeys, *, every: int = EVERY, anchor: Path | None = None) -> None:
        """`anchor`: a file elsewhere to which each checkpoint is added as a line."""
        self.keys = keys
        self._every = every
        self._anchor = anchor

    def sign_if_due(self, writing: Writing, now: datetime) -> None:
        row = writing.connection.execute("SELECT entries - checkpoint FROM audit_head").get
        if int(row) >= self._every:
            self.sign(writing, now)

    def sign(self, writing: Writing, now: datetime) -> None:
        """Unless nothing has come since the last time."""
        connection = writing.connection
        entries, hashed, last = connection.execute(
            "SELECT entries, hash, checkpoint FROM audit_head"
        ).fetchone() or (0, GENESIS, 0)
        if entries == last:
            return
        database = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").get
        before = connection.execute("SELECT text FROM audit_checkpoints WHERE num = ?", (last,)).get

        def make(key: str) -> bytes:
            return canonical(
                {
                    "at": timestamp(now),
                    "database": database,
                    "entry": entries,
                    "hash": hashed,
                    "key": key,
                    "previous": GENESIS if before is None else digest(bytes(before)),
                }
            )

        text, signature = self.keys.sign(make, now)
        connection.execute("INSERT INTO audit_checkpoints VALUES (?, ?, ?)", (entries, text, signature))
        connection.execute("UPDATE audit_head SET checkpoint = ?", (entries,))
        if self._anchor is not None:
            writing.tell(Checkpoint(int(str(entries)), text, signature))

    def publish(self, checkpoint: Checkpoint) -> None:
        """Adds a checkpoint that is durable here to the file elsewhere."""
        assert self._anchor is not None
        line = canonical(
            {"checkpoint": checkpoint.text.decode("ascii"), "signature": checkpoint.signature.hex()}
        )
        handle = os.open(self._anchor, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, line + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
