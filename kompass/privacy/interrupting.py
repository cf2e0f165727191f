"""An erasure in one process, while people's work is under way at the gate of another.

What somebody sent is judged in one transaction and kept in another. In one process an erasure waits until
nobody works at the gate (`kompass.sync.gate.turns`). Others notice that there was one since they began: then
nothing more is written of that work, and whoever sent it sends it again.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

from kompass.privacy import erasures
from replication.protocol import errors
from replication.store.sqlite import Reading, SqliteDatabase, Writing

_MARK = "swept"
"""A local document of the quarantine: each sweep writes the next revision of it before it begins."""


class _Begun(NamedTuple):
    erasure: int
    swept: int


_begun: ContextVar[_Begun | None] = ContextVar("kompass_gate_begun", default=None)


def begin(database: SqliteDatabase, quarantine: SqliteDatabase) -> None:
    """The rest of this task is one piece of work at the gate."""
    with database.reading() as reading, quarantine.reading() as held:
        _begun.set(_Begun(erasures.next_erasure(reading), _swept(held)))


def check(writing: Writing) -> None:
    """For transactions that write documents out of what was sent. Raises 503."""
    begun = _begun.get()
    if begun is not None and erasures.next_erasure(writing) != begun.erasure:
        raise _interrupted()


def check_quarantine(writing: Writing) -> None:
    """For transactions that keep what was sent in the quarantine. Raises 503."""
    begun = _begun.get()
    if begun is not None and _swept(writing) != begun.swept:
        raise _interrupted()


async def sweep(quarantine: SqliteDatabase) -> None:
    """What is kept from now on by work that had begun before is refused; what was kept before is there to be
    swept.
    """
    with quarantine.reading() as reading:
        swept = _swept(reading)
    await quarantine.put_local(_MARK, swept, b"{}")


def _swept(reading: Reading) -> int:
    found = reading.local(_MARK)
    return 0 if found is None else int(found.rev.removeprefix("0-"))


def _interrupted() -> errors.ProtocolError:
    return errors.unavailable("Somebody's data was erased meanwhile: send it again.")
