"""Does what is to be done with imports, in the background of a server: one process of several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from kompass.access.principals import Role
from kompass.audit import Door, acting_as, of_principal
from kompass.identity.records import Record
from kompass.imports.desk import ImportDesk, plan_of
from kompass.imports.erasing import erase
from kompass.imports.running import Run, principal_of
from kompass.imports.states import Import, State, Work
from kompass.imports.store import ImportStore, ImportStoreError
from kompass.imports.undoing import undo
from kompass.leases import Lease, LeaseLostError, held
from kompass.sync.gate.gate import Gate
from kompass.sync.personal import PersonalViews
from kompass.sync.refusals import NOT_A_MEMBER, ROLES_CHANGED
from replication.protocol import errors
from replication.protocol.errors import ProtocolError

LOOK_SECONDS = 5.0
"""How often is looked whether another process has left something undone."""
CLEAN_SECONDS = 3_600.0
ERASE_SECONDS = 30.0
MOST_AT_ONCE = 2

_STOPPED = {Work.CHECK: State.READ, Work.WRITE: State.FAILED, Work.UNDO: State.FAILED}
"""A dry run that stopped has done nothing: what it said of some rows must not count as written."""
_STATES = {Work.CHECK: State.CHECKED, Work.WRITE: State.DONE, Work.UNDO: State.UNDONE}

log = structlog.get_logger(__name__)


class ImportService:
    """One for a process of the server."""

    def __init__(
        self,
        desk: ImportDesk,
        views: PersonalViews,
        gate: Callable[[], Gate],
        find: Callable[[str], Awaitable[Record | None]],
    ) -> None:
        """`find`: the record of a user."""
        self._desk = desk
        self._views = views
        self._gate = gate
        self._find = find
        self._awake = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._at: dict[str, asyncio.Task[bool]] = {}
        """By type."""
        desk.wake = self._awake.set

    def start(self) -> None:
        self._looking = asyncio.get_running_loop().create_task(self._look(), name="imports")

    async def close(self) -> None:
        """What was begun is gone on with by whoever comes next."""
        tasks: list[asyncio.Task[Any]] = [
            *self._at.values(),
            *([self._looking] if self._looking is not None else []),
        ]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._desk.close()

    async def _look(self) -> None:
        cleaned, erased = -CLEAN_SECONDS, -ERASE_SECONDS
        try:
            await asyncio.to_thread(self._desk.take_over)
        except ImportStoreError as error:
            log.warning("imports can't be gone on with at once", reason=str(error))
        while True:
            self._awake.clear()
            try:
                store = await asyncio.to_thread(lambda: self._desk.store)
                if store is not None:
                    now = asyncio.get_running_loop().time()
                    if now - cleaned > CLEAN_SECONDS:
                        await asyncio.to_thread(store.clean, self._now())
                        cleaned = now
                    if now - erased > ERASE_SECONDS:
                        await self.erase()
                        erased = now
                    for doctype in await asyncio.to_thread(store.waiting_types):
                        if doctype not in self._at and len(self._at) < MOST_AT_ONCE:
                            self._begin(store, doctype)
            except (ImportStoreError, ProtocolError) as error:
                log.warning("imports can't be looked at", reason=str(error))
            except Exception:  # whoever looked no more would leave all imports undone
                log.exception("imports can't be looked at")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._awake.wait()

    async def erase(self) -> None:
        """Works off what erasures have left to do. Raises as `erasing.erase`."""
        if (store := self._desk.store) is not None:
            await erase(store, self._gate())

    def _now(self) -> float:
        return self._gate().now().timestamp()

    def _begin(self, store: ImportStore, doctype: str) -> None:
        task = asyncio.create_task(self._work_off(store, doctype), name=f"imports of {doctype}")
        self._at[doctype] = task
        task.add_done_callback(partial(self._ended, doctype))

    def _ended(self, doctype: str, task: asyncio.Task[bool]) -> None:
        del self._at[doctype]
        if task.cancelled():
            return
        if isinstance(error := task.exception(), ImportStoreError):
            log.warning("imports have to wait", type=doctype, reason=str(error))
        elif error is not None:
            log.error("imports stopped", type=doctype, exc_info=error)
        elif task.result():
            self._awake.set()

    async def _work_off(self, store: ImportStore, doctype: str) -> bool:
        """What waits of a type. Whether there may be more: not if another process is at it, nor if what there
        is has to wait.
        """
        async with held(store, f"import {doctype}") as lease:
            if lease is None:
                return False
            while (one := await asyncio.to_thread(store.waiting, doctype)) is not None:
                if not await self._work(store, one, lease):
                    return False
        return True

    async def _work(self, store: ImportStore, one: Import, lease: Lease) -> bool:
        """Whether it is finished."""
        principal = principal_of(one)
        acting_as(of_principal(principal, Door.IMPORT))
        state, reason = _STATES[one.work], ""
        try:
            await self._do(store, one, lease)
        except LeaseLostError:
            return False  # somebody else goes on with it
        except ImportStoreError:
            raise  # the file itself is away: whoever looks again goes on
        except ProtocolError as error:
            if error.status == 503:
                log.warning("an import has to wait", id=one.id, reason=error.reason)
                return False
            state, reason = _STOPPED[one.work], error.reason
        except Exception:
            log.exception("an import failed", id=one.id)
            state, reason = _STOPPED[one.work], "The server failed; its log tells more."
        try:
            await asyncio.to_thread(store.finish, one.id, lease, state, reason, self._now())
        except LeaseLostError:
            return False
        return True

    async def _do(self, store: ImportStore, one: Import, lease: Lease) -> None:
        view = self._views.of(self._gate().database, principal_of(one))

        async def ready() -> None:
            await self._check(one)
            await self._gate().database.fresh()

        if one.work is Work.UNDO:
            await undo(one, store, view, self._gate, lease, ready)
        else:
            await Run(one, plan_of(one), store, view, self._gate, lease, ready).rows()

    async def _check(self, one: Import) -> None:
        """Raises `ProtocolError` if its person has gone or has lost a role. The index hears of that when he
        asks for something the next time, which he need not.
        """
        record = await self._find(one.worker)
        if record is None or record.deleted or not record.active:
            raise errors.forbidden(NOT_A_MEMBER)
        # ADMIN may come from the settings, and lets nobody import.
        if not principal_of(one).roles - {Role.ADMIN} <= record.roles:
            raise errors.unauthorized(ROLES_CHANGED)
