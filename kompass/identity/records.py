"""What this server knows of its users: the documents of `_users`.

A record's roles decide what a user gets to see; a token can only take away from them, or, newer than
their last change, change them. Every change of roles goes through `record_roles`, and whoever has to know of
it adds a hook. The member `kompass` of a document says what the roles were recorded as, as of when, and which
identity of Keycloak's the name belongs to. Roles that somebody set by hand differ from it; they count
as changed at the moment this server first saw them.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog

from kompass.access.principals import Role, known_roles
from kompass.identity.stored import Members, change_document
from replication.accounts.users import ID_PREFIX, USERS_DATABASE, user_id
from replication.protocol import jsontext
from replication.store.interface import Store
from replication.store.values import Document, KeyRange

RESERVED = ("active", "kompass", "session_salt")
"""Members of user documents that only administrators may set."""

_CAPACITY = 10_000
_PAGE = 500

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """A user as this server knows him."""

    name: str
    roles: frozenset[Role]
    active: bool
    deleted: bool
    subject: str | None
    """His `sub` in Keycloak, once that is known."""
    roles_as_of: float
    """When his roles were last changed, in seconds since 1970."""
    rev: str


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What a hook is told. Somebody who was disabled has no roles after it."""

    name: str
    before: frozenset[Role]
    after: frozenset[Role]
    recorded: frozenset[Role]
    """The roles of his record, which he keeps while he is disabled."""
    active: bool
    reason: str


RoleHook = Callable[[RoleChange], Awaitable[None]]
DescriptionHook = Callable[[str, str, str], Awaitable[None]]
"""Told a user's name, email address and display name."""


class Records:
    """The user documents of one store. `_users` has to be there."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._cache: OrderedDict[str, tuple[int, Record | None]] = OrderedDict()
        self._first_seen: dict[tuple[str, str], float] = {}
        """When roles that nobody recorded were first seen, by name and revision."""
        self.hooks: list[RoleHook] = []
        """Called in order after a change is stored, whoever made it through this class."""
        self.is_erased: Callable[[str], bool] = lambda subject: False
        """Whether the account of this identity of Keycloak's was erased here: it gets no record again, by
        whatever name."""
        self.description_hooks: list[DescriptionHook] = []
        """Called when a directory says something of a user that it hasn't said since the start."""
        self._described: dict[str, int] = {}

    async def find(self, name: str) -> Record | None:
        """The record of `name`, a deleted one included. Costs a dictionary access while nothing changes."""
        database = self._store.get(USERS_DATABASE)
        seq = database.update_seq
        entry = self._cache.get(name)
        if entry is not None and entry[0] == seq:
            return entry[1]
        document = await database.winner(user_id(name))
        record = None if document is None else self._read(document)
        self._cache[name] = (seq, record)
        self._cache.move_to_end(name)
        while len(self._cache) > _CAPACITY:
            self._cache.popitem(last=False)
        return record

    async def all(self) -> list[Record]:
        """All records that aren't deleted."""
        database = self._store.get(USERS_DATABASE)
        found: list[Record] = []
        start, inclusive = ID_PREFIX, True
        while True:
            span = KeyRange(start, ID_PREFIX + "\U0010ffff", inclusive_start=inclusive)
            page = await database.documents(span, limit=_PAGE)
            found += [self._read(document) for document in page]
            if len(page) < _PAGE:
                return found
            start, inclusive = page[-1].id, False

    async def record_roles(
        self,
        name: str,
        roles: Iterable[Role],
        reason: str,
        *,
        as_of: float | None = None,
        subject: str | None = None,
    ) -> Record:
        """Gives `name` these roles of the business and no others, and makes the record if there is none.

        `as_of`: when that was so, in seconds since 1970, now if not given; older news than the record's
        changes no roles. `subject`: binds the record to this identity unless it is bound already. Returns
        the record as it is then. Nobody's own request may lead here with roles of his choosing.
        """
        wanted = frozenset(roles)
        when = self._clock() if as_of is None else as_of

        def change(members: Members | None) -> Members | None:
            known = _told(members)
            if members is None:
                members = {"name": name, "type": "user", "roles": [], "session_salt": secrets.token_hex(16)}
            if subject is not None and "subject" not in known:
                known["subject"] = subject
            present = known_roles(_texts(members.get("roles")))
            # What is so now is newer than any record, one that is seen for the first time just now, too.
            if wanted != present and (as_of is None or when >= self._as_of(members)):
                others = [role for role in _texts(members.get("roles")) if not known_roles([role])]
                members["roles"] = [*others, *sorted(wanted)]
                known |= {"roles": sorted(wanted), "roles_as_of": when, "reason": reason}
            elif "roles_as_of" not in known and wanted == present:
                known |= {"roles": sorted(present), "roles_as_of": when, "reason": reason}
            members["kompass"] = known
            return members

        return await self._change(name, change, reason)

    async def describe(self, name: str, email: str, display_name: str) -> None:
        """What a directory says of a user, empty for what it doesn't know. It isn't kept here: who wants to
        keep it adds a hook, which is told once.
        """
        said = hash((email, display_name))
        if self._described.get(name) == said:
            return
        for hook in self.description_hooks:
            await hook(name, email, display_name)
        self._described[name] = said

    async def disable(self, name: str, reason: str, *, by: str = "administrator") -> Record:
        """Lets `name` in no more and ends his sessions. His roles stay written, for when he comes back."""

        def change(members: Members | None) -> Members | None:
            if members is None or members.get("active") is False:
                return None
            told = {**_told(members), "disabled_by": by}
            return {**members, "active": False, "session_salt": secrets.token_hex(16), "kompass": told}

        return await self._change(name, change, reason)

    async def enable(self, name: str, reason: str, *, by: str = "administrator") -> Record:
        """Takes a `disable` by the same hand back; the sessions of before stay ended."""

        def change(members: Members | None) -> Members | None:
            told = _told(members)
            if members is None or members.get("active") is not False or told.pop("disabled_by", "") != by:
                return None
            return {key: value for key, value in members.items() if key != "active"} | {"kompass": told}

        return await self._change(name, change, reason)

    async def _change(
        self, name: str, change: Callable[[Members | None], Members | None], reason: str
    ) -> Record:
        database = self._store.get(USERS_DATABASE)
        before, after = await change_document(database, user_id(name), change)
        then, now = _effective(before), _effective(after)
        if then != now:
            log.info(
                "roles changed",
                user=name,
                before=",".join(sorted(then)),
                after=",".join(sorted(now)),
                why=reason,
            )
            for hook in self.hooks:
                await hook(RoleChange(name, then, now, _recorded(after), _is_active(after), reason))
        record = await self.find(name)
        if record is None:
            return Record(name, frozenset(), False, True, None, self._clock(), "")
        return record

    def _read(self, document: Document) -> Record:
        members: dict[str, Any] = jsontext.decode(document.text)
        known = _told(members)
        subject = known.get("subject")
        return Record(
            name=document.id.removeprefix(ID_PREFIX),
            roles=known_roles(_texts(members.get("roles"))),
            active=members.get("active") is not False,
            deleted=document.deleted,
            subject=subject if isinstance(subject, str) else None,
            roles_as_of=self._as_of(members),
            rev=document.rev,
        )

    def _as_of(self, members: Members) -> float:
        """When the roles of a document were last changed."""
        known = _told(members)
        when = known.get("roles_as_of")
        recorded = known_roles(_texts(known.get("roles")))
        if isinstance(when, int | float) and recorded == known_roles(_texts(members.get("roles"))):
            return float(when)
        if "_rev" not in members:
            return 0.0
        place = (str(members.get("_id")), str(members["_rev"]))
        if len(self._first_seen) > _CAPACITY:
            self._first_seen.clear()
        return self._first_seen.setdefault(place, self._clock())


def _told(members: Members | None) -> dict[str, Any]:
    """A copy of the member that is this module's."""
    told = (members or {}).get("kompass")
    return dict(told) if isinstance(told, dict) else {}


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _effective(members: Members | None) -> frozenset[Role]:
    return _recorded(members) if _is_active(members) else frozenset()


def _recorded(members: Members | None) -> frozenset[Role]:
    return known_roles(_texts((members or {}).get("roles")))


def _is_active(members: Members | None) -> bool:
    return members is not None and members.get("active") is not False
