"""Carries users, roles and who is disabled from Keycloak into the records.

At the start and every few minutes all users are listed; in between the realm's admin events tell who has
changed, every few seconds. A realm that records no events is listed each time. Whoever is gone from
Keycloak, disabled there or called otherwise is disabled here; local users, whom Keycloak never knew, are
left alone. A record that an administrator disabled or deleted here stays so, and whoever was erased here gets
none by any name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from kompass.identity.keycloak import MAX_EVENTS, AdminEvent, KeycloakError, KnownUser
from kompass.identity.records import Record, Records
from kompass.identity.tokens import is_user_name
from replication.protocol.errors import ProtocolError

LIST_SECONDS = 300.0
"""After how long all users are listed though nothing has been reported."""

MAX_WAIT = 30.0
"""Longest time between two attempts while Keycloak can't be asked."""

KEYCLOAK = "keycloak"

log = structlog.get_logger(__name__)


class UserDirectory(Protocol):
    """What is asked: `KeycloakDirectory`. Methods block and raise `KeycloakError`."""

    def all(self) -> list[KnownUser]: ...

    def one(self, user_id: str) -> KnownUser | None: ...

    def events(self) -> list[AdminEvent] | None: ...


@dataclass(slots=True)
class SyncOutcome:
    """What a listing came to."""

    users: int = 0
    """Users of Keycloak who have a role here."""
    changed: list[str] = field(default_factory=list)
    """Names whose record is another one now."""
    passed_over: list[str] = field(default_factory=list)
    """Why a user was left out, a sentence each."""


class KeycloakSync:
    """Keeps records as Keycloak has them. One of it for a set of records."""

    def __init__(
        self,
        directory: UserDirectory,
        records: Records,
        *,
        interval: float = 3.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`interval`: seconds between two looks at the events."""
        self._directory = directory
        self._records = records
        self._interval = interval
        self._clock = clock
        self._seen: frozenset[AdminEvent] = frozenset()
        self._passed_over: frozenset[str] = frozenset()
        self.last_success: float | None = None
        """When Keycloak was last asked with success, in seconds since 1970."""
        self.last_error: str | None = None
        """Why the latest attempt failed; None if it didn't."""
        self.failures = 0
        """Attempts that failed, since the start."""

    async def run(self) -> None:
        """Syncs until cancelled. What goes wrong is logged and tried again."""
        wait, listed_at = self._interval, None
        while True:
            try:
                now = time.monotonic()
                if listed_at is None or now - listed_at >= LIST_SECONDS:
                    await self._begin_events()
                    await self.list_all()
                    listed_at = now
                elif not await self._follow_events():
                    listed_at = now
                self.last_success, self.last_error, wait = self._clock(), None, self._interval
            except (KeycloakError, ProtocolError) as error:
                if self.last_error != str(error):
                    log.warning("Keycloak could not be followed; trying again", error=str(error))
                self.failures += 1
                self.last_error, wait = str(error), min(2 * wait, MAX_WAIT)
            except Exception as error:
                log.exception("Keycloak could not be followed; trying again")
                self.failures += 1
                self.last_error, wait = repr(error), min(2 * wait, MAX_WAIT)
            await asyncio.sleep(wait)

    async def list_all(self) -> SyncOutcome:
        """Asks for all users and brings every record up to date. Raises `KeycloakError`."""
        before = {record.name: record for record in await self._records.all()}
        as_of = self._clock()
        users = await asyncio.to_thread(self._directory.all)
        bound = [record for record in before.values() if record.subject is not None]
        if bound and not users:
            raise KeycloakError("Keycloak lists no users at all; nobody is disabled for that.")
        outcome = SyncOutcome()
        for user in users:
            outcome.users += bool(user.roles)
            why = await self._apply(user, as_of)
            if why is not None:
                outcome.passed_over.append(why)
        names = {user.subject: user.name for user in users}
        for record in bound:
            if record.subject is not None and names.get(record.subject) != record.name:
                await self._records.disable(record.name, "gone from Keycloak", by=KEYCLOAK)
        after = {record.name: record for record in await self._records.all()}
        outcome.changed = sorted(name for name, record in after.items() if _differs(before.get(name), record))
        for why in outcome.passed_over:
            if why not in self._passed_over:
                log.warning("a user of Keycloak was left out", reason=why)
        self._passed_over = frozenset(outcome.passed_over)
        return outcome

    async def _begin_events(self) -> None:
        events = await asyncio.to_thread(self._directory.events)
        self._seen = frozenset(events or ())

    async def _follow_events(self) -> bool:
        """Brings up to date whom the new events name. False if that took a listing of all."""
        as_of = self._clock()
        events = await asyncio.to_thread(self._directory.events)
        if events is None:
            await self.list_all()
            return False
        new = [event for event in events if event not in self._seen]
        missed = len(new) == len(events) >= MAX_EVENTS
        if missed or any(event.user is None for event in new):
            await self.list_all()
        else:
            for user_id in _users_of(new):
                await self._refresh(user_id, as_of)
        # Only now: what failed on the way comes again.
        self._seen = frozenset(events)
        return not missed

    async def _refresh(self, user_id: str, as_of: float) -> None:
        """Brings one user up to date."""
        bound = [record for record in await self._records.all() if record.subject == user_id]
        user = await asyncio.to_thread(self._directory.one, user_id)
        if user is not None:
            await self._apply(user, as_of)
        for record in bound:
            if user is None or user.name != record.name:
                await self._records.disable(record.name, "gone from Keycloak", by=KEYCLOAK)

    async def _apply(self, user: KnownUser, as_of: float) -> str | None:
        """Makes one record what Keycloak says. Returns why that isn't done, if it isn't."""
        record = await self._records.find(user.name)
        if record is None and self._records.is_erased(user.subject):
            return f"{user.subject} was erased here: delete the account in Keycloak"
        if record is None and not (user.enabled and user.roles):
            return None
        if not is_user_name(user.name):
            return f"{user.name[:100]!r} can't be the name of a user here"
        if record is not None:
            if record.deleted and self._records.is_erased(user.subject):
                return f"{user.subject} was erased here: delete the account in Keycloak"
            if record.deleted:
                return f"the record of {user.name} was deleted here" if user.enabled and user.roles else None
            if record.subject is None and not user.roles:
                return None  # a local user who happens to have the name
            if record.subject not in (None, user.subject):
                return f"{user.name} belongs to another identity here"
        if not user.enabled:
            await self._records.disable(user.name, "disabled in Keycloak", by=KEYCLOAK)
            return None
        await self._records.record_roles(user.name, user.roles, "Keycloak", as_of=as_of, subject=user.subject)
        await self._records.enable(user.name, "enabled in Keycloak", by=KEYCLOAK)
        await self._records.describe(user.name, user.email, user.display_name)
        return None


def _users_of(events: Sequence[AdminEvent]) -> list[str]:
    return list(dict.fromkeys(event.user for event in reversed(events) if event.user is not None))


def _differs(before: Record | None, after: Record) -> bool:
    return before is None or (before.roles, before.active) != (after.roles, after.active)
