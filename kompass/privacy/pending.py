"""Erasures of which bytes may still lie in the quarantine or in files, with what is looked for there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kompass.privacy.sweep import Sweep
from replication.store.sqlite import Reading, Writing


def begin(writing: Writing, erasure: int, sweep: Sweep) -> None:
    """What is outside of this transaction is still to be done."""
    writing.connection.execute(
        "INSERT OR REPLACE INTO privacy_pending VALUES (?, ?)", (erasure, sweep.to_json())
    )


def listed(reading: Reading) -> dict[int, Sweep | None]:
    """Erasures that aren't done; without a sweep only the bytes in the files are left."""
    rows: Any = reading.connection.execute("SELECT erasure, sweep FROM privacy_pending ORDER BY erasure")
    return {num: None if text is None else Sweep.from_json(text) for num, text in rows}


def swept(writing: Writing, erasure: int) -> None:
    """Nothing has to be looked for any more."""
    with writing.overwriting():
        writing.connection.execute("UPDATE privacy_pending SET sweep = NULL WHERE erasure = ?", (erasure,))


def finish(writing: Writing, erasures: Iterable[int]) -> None:
    """The files have been rewritten."""
    writing.connection.executemany(
        "DELETE FROM privacy_pending WHERE erasure = ?", [(num,) for num in erasures]
    )
