"""What stands between people and the operational database while it is served."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from kompass.identity.records import RoleChange
from kompass.identity.stored import Members, change_document
from kompass.sync.gate import Gate, records
from kompass.sync.opening import DATABASE, extensions, feed_index, open_gate
from kompass.sync.personal import PersonalViews
from kompass.sync.quarantine import Quota
from kompass.sync.toucher import Toucher
from replication.protocol import errors
from replication.store.sqlite import SqliteDatabase, SqliteStore


class Sync:
    """`open_store`, then `start` when the database is there, and `close` before the store is closed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._index = feed_index()
        self._gate: Gate | None = None
        self._toucher: Toucher | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self.view = PersonalViews(DATABASE, self._index, self._gate_of, records.author_of)
        """For `create_app`."""

    async def open_store(self) -> SqliteStore:
        """The store, whose databases keep the index and the quarantine's tables."""
        return await SqliteStore.open(self._directory, extensions=extensions(self._index))

    async def start(self, store: SqliteStore, quota: Quota) -> None:
        """Opens the gate, and goes on with what was left to do."""
        self._gate = gate = await open_gate(store, self._index, quota)
        self._housekeeping = asyncio.create_task(gate.keep_house(), name="gate")
        self._toucher = Toucher(gate.database, self._index)
        self._toucher.start()

    async def close(self) -> None:
        """Does nothing if it wasn't started."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._housekeeping
        if self._toucher is not None:
            await self._toucher.close()

    async def roles_changed(self, change: RoleChange) -> None:
        """Keeps the user's document as his login is: what he sees goes by it. A hook of `Records`."""
        if self._gate is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")

        def changed(members: Members | None) -> Members | None:
            before = members or {
                "type": "user",
                "name": change.name,
                "userName": change.name,
                "createdAt": now,
                "createdBy": "system",
                "version": 0,
            }
            after = {**before, "roles": sorted(change.after), "active": bool(change.after)}
            if after == members:
                return None
            return {
                **after,
                "modifiedAt": now,
                "modifiedBy": "system",
                "version": int(before.get("version", 0)) + 1,
            }

        await change_document(self._gate.database, f"user-{change.name}", changed)

    def _gate_of(self, database: SqliteDatabase) -> Gate:
        if self._gate is None or self._gate.database is not database:
            raise errors.unavailable(f"{DATABASE} has been made anew: start the server again.")
        return self._gate
