"""The exchange with Lexware of one server, or of the processes of a cluster: whatever is started by the
clock, by a person or by the command line goes through here.

One thing of each kind is done at a time, whoever begins it: by a lease in the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from kompass.kept import LEXWARE
from kompass.leases import Lease, held, is_held
from kompass.lexware import (
    delivering,
    erasing,
    exporting,
    fading,
    importing,
    polling,
    reconciling,
    resolving,
    runs,
    watching,
)
from kompass.lexware.arrivals import Report
from kompass.lexware.errors import SyncError
from kompass.lexware.exporting import Sheet, Wish
from kompass.lexware.files_in import FileKind
from kompass.lexware.inbox import Inbox, InboxError
from kompass.lexware.ledger import ledger
from kompass.lexware.polling import Polled
from kompass.lexware.reconciling import Comparison
from kompass.lexware.resolving import Resolution
from kompass.lexware.runs import Kind, Run
from kompass.lexware.sftp import Sftp
from kompass.lexware.store import LexwareStore
from kompass.lexware.targets import Folder, Target
from kompass.settings import Settings
from kompass.sqlfile import Late, shared_files
from kompass.sync.gate.gate import Gate

EXPORTS, IMPORTS = "exports", "imports"
SCHEDULE = "schedule"
"""Who asks when nobody does."""
KEPT_DAYS = 90
"""How long files that came and went are kept here."""
PATIENCE = 5.0
"""Seconds that somebody waits for what another one does."""

log = structlog.get_logger(__name__)


class BusyError(Exception):
    """Somebody else does the same now. The text is for people."""


class Exchange:
    """Of one server. The file is made when it is first needed."""

    def __init__(
        self,
        settings: Settings,
        gate_now: Callable[[], Gate],
        directory: Path | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`gate_now`: see `Services`. `directory`: where the file is, if not the settings' own."""
        self.settings = settings
        self.gate_now = gate_now
        self.now = now
        place, shared = directory or settings.directory, shared_files(settings)
        self._late = Late(place / LEXWARE, partial(LexwareStore, place, shared=shared), shared)
        self.target = _target(settings)
        """Where files go; None: they are fetched from here."""

    @property
    def store(self) -> LexwareStore | None:
        """None as long as nothing was exchanged. Blocks. Raises `LexwareStoreError`."""
        return self._late.there()

    def opened(self) -> LexwareStore:
        """Makes the file where it isn't there. Blocks. Raises `LexwareStoreError`."""
        return self._late.opened()

    def close(self) -> None:
        self._late.close()

    @property
    def imports(self) -> Path | None:
        """The folder where Lexware's files come."""
        directory = self.settings.lexware_directory
        return None if directory is None else directory / IMPORTS

    # -- out -----------------------------------------------------------------------------------

    async def preview(self, wish: Wish) -> Sheet:
        """What `export` would do. Raises `ExportError`."""
        store = await asyncio.to_thread(self.opened)
        database = self.gate_now().database
        await database.fresh()
        return await exporting.preview(store, database, wish)

    async def export(self, wish: Wish) -> tuple[Run, Sheet]:
        """Makes a run and delivers it, after those that wait. A run that can't be delivered now is as good as
        any: it is tried again. Raises `ExportError`, `BusyError`, `LeaseLostError`.
        """
        async with self._alone("export") as (store, lease):
            database = self.gate_now().database
            await database.fresh()
            run, sheet = await exporting.export(store, lease, database, wish, self.now())
            await asyncio.to_thread(self._make_folders, store)
            await delivering.deliver_all(store, lease, self.target)
            return await asyncio.to_thread(runs.one, store, run.num) or run, sheet

    async def deliver(self) -> list[Run]:
        """What waits; returns what still does. Raises `BusyError`."""
        async with self._alone("export") as (store, lease):
            await asyncio.to_thread(self._make_folders, store)
            return await delivering.deliver_all(store, lease, self.target)

    async def export_all(self, person: str) -> list[Run]:
        """What is due of everything: customers first, because contracts name them."""
        made = []
        for kind in (Kind.CUSTOMERS, Kind.CONTRACTS):
            run, _ = await self.export(Wish(kind, person))
            made.append(run)
        return made

    # -- in ------------------------------------------------------------------------------------

    async def take(
        self, data: bytes, name: str, person: str, *, kind: FileKind | None = None, dry_run: bool = False
    ) -> Report:
        """A file that somebody sends. Raises `BusyError`, `LeaseLostError`, `ProtocolError`."""
        if dry_run:
            store = await asyncio.to_thread(self.opened)
            return await importing.take(store, None, self.gate_now(), data, name, person, kind=kind)
        async with self._alone("import") as (store, lease):
            return await importing.take(store, lease, self.gate_now(), data, name, person, kind=kind)

    async def poll(self, person: str) -> Polled:
        """Takes the files that lie in the folder and are whole. One that can't be taken stops no other.

        Raises `InboxError`, `BusyError`, `LeaseLostError`.
        """
        if self.imports is None:
            raise InboxError("No folder is set: lexware_directory.")
        async with self._alone("import") as (store, lease):
            await asyncio.to_thread(self._make_folders, store)
            return await polling.poll(store, lease, self.gate_now(), Inbox(self.imports), person)

    async def resolve(self, num: int, resolution: Resolution, person: str) -> SyncError:
        """Somebody settles an error. Raises `ResolutionError`, `BusyError`, `LeaseLostError`."""
        async with self._alone("import") as (store, lease):
            return await resolving.resolve(store, lease, self.gate_now(), num, resolution, person)

    def _make_folders(self, store: LexwareStore) -> None:
        """Once for a directory. Later they are missed if a share isn't mounted: what was put into new ones
        then would be found by nobody.
        """
        directory = self.settings.lexware_directory
        noted = store.noted("folders")
        if directory is None or (noted is not None and noted[1]["below"] == str(directory)):
            return
        try:
            for name in (EXPORTS, IMPORTS):
                (directory / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.error("the folders for Lexware can't be made", why=str(error))  # who needs them tells it
        else:
            store.note("folders", {"below": str(directory)})

    # -- besides -------------------------------------------------------------------------------

    async def erase(self) -> bool:
        """Works off what erasures have left to do here; whether there was anything. Does nothing as long as
        nothing was exchanged. Raises `BusyError` and what `erasing.erase` does.
        """
        if not await asyncio.to_thread(self._is_used):
            return False
        gate = self.gate_now()
        tickets = await erasing.due(gate)
        if not tickets:
            return False
        inbox = None if self.imports is None else Inbox(self.imports)
        async with self._alone("export") as (store, out), self._alone("import") as (_, into):
            await asyncio.to_thread(self._make_folders, store)
            await erasing.erase(store, (out, into), gate, self.target, inbox, tickets)
        return True

    def _is_used(self) -> bool:
        """Whether anything was exchanged. Processes of a cluster have the file before that."""
        store = self.store
        return store is not None and bool(
            store.rows("SELECT 1 FROM runs UNION ALL SELECT 1 FROM arrivals LIMIT 1")
        )

    def status(self) -> dict[str, Any]:
        """See `watching.status`. Blocks."""
        return watching.status(self.store)

    def notes(self) -> list[str]:
        """What somebody should look at, without saying what it is about. Blocks."""
        count = len(self.status()["alerts"])
        return [f"{count} alerts about Lexware: kompass lexware status tells which."] if count else []

    def figures(self) -> list[str]:
        """For Prometheus. Blocks."""
        return list(watching.figures(self.status()))

    async def watch(self) -> None:
        """Looks whether somebody has to be told something."""
        store = await asyncio.to_thread(lambda: self.store)
        # Amid an import documents lag behind what Lexware says.
        if store is not None and not await asyncio.to_thread(is_held, store, "import"):
            await watching.look(store, self.settings, self.gate_now(), self.now().timestamp())

    async def reconcile(self, month: str) -> Comparison:
        """A month, as `reconciling.MONTH` has it."""
        store = await asyncio.to_thread(self.opened)
        database = self.gate_now().database
        await database.fresh()
        books = await ledger(database)
        return await asyncio.to_thread(reconciling.compare, store, books, month)

    async def tidy(self) -> None:
        """Removes what is over for long: files, and what stood in them. Raises `BusyError`, `InboxError`."""
        before = self.now().timestamp() - KEPT_DAYS * 86_400
        async with self._alone("export") as (store, lease):
            await asyncio.to_thread(runs.tidy, store, lease, before)
        async with self._alone("import") as (store, lease):
            await asyncio.to_thread(fading.fade, store, lease, before)
            await asyncio.to_thread(self._make_folders, store)
            if self.imports is not None:
                await asyncio.to_thread(Inbox(self.imports).clear, before)

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[tuple[LexwareStore, Lease]]:
        """Raises `BusyError` if another one doesn't end soon."""
        store = await asyncio.to_thread(self.opened)
        loop = asyncio.get_running_loop()
        ends = loop.time() + PATIENCE
        while True:
            async with held(store, name) as lease:
                if lease is not None:
                    yield store, lease
                    return
            if loop.time() > ends:
                raise BusyError(f"Another {name} with Lexware is under way: try again in a moment.")
            await asyncio.sleep(0.2)


def _target(settings: Settings) -> Target | None:
    if settings.lexware_sftp is not None:
        assert settings.lexware_sftp_key_file is not None
        assert settings.lexware_sftp_host_key is not None
        return Sftp(settings.lexware_sftp, settings.lexware_sftp_key_file, settings.lexware_sftp_host_key)
    if settings.lexware_directory is not None:
        return Folder(settings.lexware_directory / EXPORTS)
    return None
