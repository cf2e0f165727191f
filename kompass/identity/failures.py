"""Failed logins count in every process of a cluster: each tells the others, by a note in the journal of
`_users`. Nothing is stored: a process that begins counts from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import orjson

from replication.accounts.lockout import Counted, Key, Lockout
from replication.accounts.users import USERS_DATABASE
from replication.protocol.errors import ProtocolError
from replication.store.interface import Store
from replication.store.sqlite import ChangedDocument, Extension, SqliteDatabase, Writing


class _Heard(NamedTuple):
    what: Counted
    key: Key


class SharedFailures(Extension):
    """Belongs to `_users`. `attach` when there is somebody who counts."""

    def __init__(self) -> None:
        self._lockout: Lockout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def attach(self, lockout: Lockout, store: Store) -> None:
        """From now on this one's failures are told, and those of others count. Called in its event loop."""
        self._lockout, self._loop = lockout, asyncio.get_running_loop()
        lockout.tell = partial(self._tell, store)

    def _tell(self, store: Store, what: Counted, key: Key) -> None:
        with suppress(ProtocolError):  # there is no such database at the moment
            database = store.get(USERS_DATABASE)
            if isinstance(database, SqliteDatabase) and database.is_shared:
                task = asyncio.create_task(_told(database, _Heard(what, key)))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)

    def prepare(self, writing: Writing) -> None:
        return

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        return

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        return

    def shared(self, notes: Sequence[object]) -> str | None:
        heard = [list(note) for note in notes if isinstance(note, _Heard)]
        return orjson.dumps(heard).decode() if heard else None

    def played(self, update_seq: int, shared: str | None) -> None:
        if shared is None or self._lockout is None or self._loop is None:
            return
        for what, (address, name) in orjson.loads(shared):
            with suppress(RuntimeError):  # the loop is gone
                self._loop.call_soon_threadsafe(self._lockout.count, Counted(what), (address, name))


async def _told(database: SqliteDatabase, heard: _Heard) -> None:
    with suppress(ProtocolError):  # the journal is away, and nobody gets in
        await database.transact(lambda writing: writing.tell(heard))
