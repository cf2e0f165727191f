"""Who comes in: the product's part in logging in.

Roles that count are those of the token and of the record here, both. What a token says is believed once
`AccessTokens` has judged it; where it knows less of a user's roles than the record, and is newer, the record
is narrowed; an older one is refused. Every session belongs to a device, and neither outlives the
record: whoever is disabled, loses his record or his device is out with his next request, and a live feed that
he holds ends within seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from kompass.access import principals
from kompass.access.principals import Role, known_roles
from kompass.access.services import AUTHOR
from kompass.audit import REPLICATOR, Actor, Door, acting_as
from kompass.identity.devices import (
    ID_HEADER,
    Device,
    Devices,
    as_text,
    check_welcome,
)
from kompass.identity.records import Record, Records
from kompass.identity.services import FEED, JOBS, knows_secret, may_ask
from kompass.identity.tokens import AccessTokens, Claims, ForgedTokenError
from replication.accounts.cookies import SessionCookie
from replication.accounts.directory import LOCKED, Account
from replication.http.call import Call
from replication.http.identity import ENDED, Identity, OpenedSession
from replication.http.principal import Principal
from replication.http.server import Server
from replication.http.session import address, cleared_cookie
from replication.protocol import errors

DISABLED = "This account is disabled."
SERVERS_OWN = f"The server writes as {AUTHOR} itself: nobody else has this name."
DELETED = "The record of this user was deleted here: an administrator has to make it anew."
ERASED = "The data of this user was erased here: he needs another account in Keycloak."
OUTDATED = "Your roles have changed since the token was issued: get a new one."
UNBOUND = "This name belongs to another identity: an administrator has to look into it."
NARROW = "The token has fewer roles than your record: it can't be exchanged for a session."
NO_RECORD = "There is no record of this user here."
NO_ROLE = "You have no role in this system."
UNKNOWN_BEARER = "The token is none of those that are taken here."
NOT_FOR_SERVICE = "This service may not ask that."

BY_TOKEN, BY_PASSWORD = "t", "p"
"""How a session began: the letter in its id."""

_ADMIN = "_admin"
_SYNCING = frozenset({"_changes", "_bulk_docs", "_bulk_get", "_revs_diff"})


@dataclass(slots=True)
class Caller:
    """What is remembered of a call: `Call.context`."""

    device: Device | None = None
    granted: tuple[str, ...] | None = None
    """The roles that a token or a proxy vouched for; None where only the record counts."""
    from_keycloak: bool = False
    service: Principal | None = None
    """It is a service of the product, and has brought its secret."""


def caller_of(call: Call) -> Caller:
    if not isinstance(call.context, Caller):
        call.context = Caller()
    return call.context


def principal_of(call: Call) -> principals.Principal | None:
    """Who makes a call, as the product's rules want it; None for nobody."""
    name = call.principal.name
    if name is None:
        return None
    roles = known_roles(call.principal.roles)
    if call.principal.is_server_admin:
        roles |= {Role.ADMIN}
    return principals.Principal(name, roles, call.principal.device)


class Gate(Identity):
    """Accounts, tokens, records and devices together."""

    def __init__(
        self,
        records: Records,
        devices: Devices,
        *,
        tokens: AccessTokens | None = None,
        trust_roles: bool = True,
        feed_secret: str = "",
        jobs_secret: str = "",
        database: str = "",
    ) -> None:
        """`tokens`: those of Keycloak, if they are believed; `trust_roles`: whether newer ones add roles.
        Whoever brings `feed_secret` is the service that follows the feed of `database`, with `jobs_secret` it
        is the one that does jobs.
        """
        self.records = records
        self.devices = devices
        self._tokens = tokens
        self._trust_roles = trust_roles
        self._services = {one: secret for one, secret in ((FEED, feed_secret), (JOBS, jobs_secret)) if secret}
        self._database = database
        self.met: list[Callable[[Record], Awaitable[None]]] = []
        """Called with the active record of whoever asks, before his request goes on."""

    def attach(self, server: Server) -> None:
        super().attach(server)
        self.devices.on_ended.append(server.feeds.check_now)

    # -- tokens ------------------------------------------------------------------------------------

    @property
    def takes_tokens(self) -> bool:
        return self._tokens is not None or bool(self._services) or super().takes_tokens

    async def by_token(self, call: Call, token: str) -> None:
        lockout, source = self.server.lockout, address(call)
        if lockout.is_address_locked(source):
            raise errors.forbidden(LOCKED)
        for service, secret in self._services.items():
            if knows_secret(token, secret):
                call.principal = service
                call.context = Caller(service=service)
                return
        try:
            if self._tokens is None and not super().takes_tokens:
                raise ForgedTokenError(UNKNOWN_BEARER)
            if self._tokens is not None and (not super().takes_tokens or self._tokens.issued(token)):
                claims = await self._tokens.read(token)
                roles = await self._settle(claims)
                call.principal = Principal(claims.name, tuple(sorted(roles)))
                call.expires = claims.expires
                call.context = Caller(granted=tuple(sorted(claims.roles)), from_keycloak=True)
            else:
                await super().by_token(call, token)
                call.context = Caller(granted=call.principal.roles)
        except ForgedTokenError:
            lockout.address_failed(source)
            raise

    async def account_of_token(self, call: Call, token: str) -> Account | None:
        await self.by_token(call, token)
        await self._judge(call, by="jwt")
        assert call.principal.name is not None
        account = await self.server.accounts.find(call.principal.name)
        if account is None:
            raise errors.unauthorized(NO_RECORD)
        if not known_roles(account.roles) <= known_roles(call.principal.roles):
            # A cookie counts as far as the record, so it must not be had for less.
            raise errors.unauthorized(NARROW)
        return replace(account, roles=call.principal.roles)

    async def _settle(self, claims: Claims) -> frozenset[Role]:
        """The roles that count for the bearer of a good token; changes the record where that is due."""
        record = await self.records.find(claims.name)
        if record is not None and record.deleted:
            raise errors.unauthorized(DELETED)
        if record is None:
            if self.records.is_erased(claims.subject):
                raise errors.unauthorized(ERASED)
            if not claims.roles:
                raise errors.unauthorized(NO_ROLE)
            if not self._trust_roles:
                raise errors.unauthorized(NO_RECORD)
            record = await self._record(claims, claims.roles, "first login")
        if not record.active:
            raise errors.unauthorized(DISABLED)
        if record.subject not in (None, claims.subject):
            raise errors.unauthorized(UNBOUND)
        if record.subject is None and not claims.roles:
            # Somebody of the realm who happens to have a local user's name, and nothing to do with this.
            raise errors.unauthorized(NO_ROLE)
        lacking, more = record.roles - claims.roles, claims.roles - record.roles
        newer = claims.issued > record.roles_as_of
        if lacking and not newer:
            raise errors.unauthorized(OUTDATED)
        if lacking or (more and newer and self._trust_roles):
            wanted = claims.roles if self._trust_roles else claims.roles & record.roles
            record = await self._record(claims, wanted, "a newer token")
        elif record.subject is None:
            record = await self._record(claims, record.roles, "identity known")
        return claims.roles & record.roles

    async def _record(self, claims: Claims, roles: frozenset[Role], reason: str) -> Record:
        return await self.records.record_roles(
            claims.name, roles, reason, as_of=min(claims.issued, time.time()), subject=claims.subject
        )

    # -- sessions ----------------------------------------------------------------------------------

    async def open_session(self, call: Call, account: Account, *, by_token: bool) -> OpenedSession:
        if account.name == AUTHOR:
            raise errors.unauthorized(SERVERS_OWN)
        record = await self.records.find(account.name)
        if record is not None and not record.active and not await self._is_server_admin(account.name):
            raise errors.unauthorized(DISABLED)
        chance = secrets.token_hex(16)
        device = await self.devices.arrive(account.name, call.headers, session=chance)
        session = f"{device.key}.{BY_TOKEN if by_token else BY_PASSWORD}{chance}.{device.ended}"
        members = {
            "device": {"id": device.key, "name": device.name},
            "lease_until": as_text(device.lease_until),
        }
        return OpenedSession(session, members)

    async def close_session(self, call: Call) -> None:
        device = caller_of(call).device
        if call.authenticated_by == "cookie" and device is not None:
            await self.devices.end_sessions(device.key)

    async def refused_cookie(self, cookie: SessionCookie) -> None:
        # Whoever reports a device lost often changes the password as well: the device must hear of it still.
        device = await self.devices.find(cookie.session.partition(".")[0])
        if device is not None and device.lost:
            check_welcome(device)

    async def admit(self, call: Call) -> None:
        await self._judge(call, by=call.authenticated_by)
        device = caller_of(call).device
        if device is not None:
            syncing = len(call.segments) > 1 and call.segments[1] in _SYNCING
            self.devices.touch(device, syncing=syncing)
        _say_who(call)

    def reads_all(self, call: Call) -> bool:
        return caller_of(call).service is not None  # and `may_ask` has let the request through

    async def replicating(self, call: Call) -> None:
        acting_as(REPLICATOR)

    async def renew(self, call: Call) -> None:
        await super().renew(call)
        await self._judge(call, by=call.authenticated_by)

    async def _judge(self, call: Call, *, by: str) -> None:
        """Sets the roles that count now and the device. Raises 401 for who may not come in."""
        name = call.principal.name
        if name is None:
            return
        caller = caller_of(call)
        if caller.service is not None:
            if not may_ask(caller.service, call, self._database):
                raise errors.forbidden(NOT_FOR_SERVICE)
            return
        if name == AUTHOR:
            raise errors.unauthorized(SERVERS_OWN)
        record = await self.records.find(name)
        if by in ("jwt", "proxy"):
            call.principal = await self._vouched(call, caller, record)
        elif record is not None and not record.active:
            if not await self._is_server_admin(name):
                raise errors.unauthorized(DISABLED, headers=_clearing(call, by))
            call.principal = Principal(name, (_ADMIN,))
        if by == "cookie":
            caller.device = await self._device_of_session(call, name)
        elif ID_HEADER in call.headers:
            caller.device = await self.devices.arrive(name, call.headers, session="")
        if by == "cookie" and call.session.partition(".")[2][:1] == BY_TOKEN:
            call.principal = Principal(name, tuple(r for r in call.principal.roles if r != _ADMIN))
        if caller.device is not None:
            call.principal = replace(call.principal, device=caller.device.key)
        record = await self.records.find(name)  # a token may have changed it
        if record is not None and record.active and not record.deleted:
            for hook in self.met:
                await hook(record)

    async def _vouched(self, call: Call, caller: Caller, record: Record | None) -> Principal:
        """Somebody else says who it is and with which roles: those count that the record has as well."""
        name = call.principal.name
        assert name is not None
        if caller.granted is None:
            caller.granted = call.principal.roles
        if caller.from_keycloak:
            if record is None or record.deleted:
                raise errors.unauthorized(DELETED)
            own: frozenset[str] = frozenset(record.roles)
        else:
            account = await self.server.accounts.find(name)
            if account is None:
                raise errors.unauthorized(NO_RECORD)
            own = frozenset(account.roles)
        if record is not None and not record.active:
            raise errors.unauthorized(DISABLED)
        return Principal(name, tuple(role for role in caller.granted if role in own))

    async def _device_of_session(self, call: Call, name: str) -> Device:
        device = await self.devices.find(call.session.partition(".")[0])
        clearing = {"Set-Cookie": cleared_cookie(call)}
        if device is None or device.user != name:
            raise errors.unauthorized(ENDED, headers=clearing)
        check_welcome(device, headers=clearing)
        if _began_before(call.session) != device.ended:
            raise errors.unauthorized(ENDED, headers=clearing)
        return device

    async def _is_server_admin(self, name: str) -> bool:
        accounts = self.server.accounts
        return accounts.has_admins and await accounts.is_admin(name)


def _began_before(session: str) -> int:
    """How often its device had been revoked or logged out when a session began."""
    count = session.split(".")[2:]
    return int(count[0]) if count and count[0].isdecimal() else 0


def _say_who(call: Call) -> None:
    """What this request writes is written by its caller."""
    principal = call.principal
    if principal.name is None:
        return
    door = Door.EDIT
    if call.segments[:1] == ["api"]:
        door = Door.REST
    elif principal.is_server_admin:
        door = Door.ADMIN
    roles = tuple(sorted(principal.roles))
    acting_as(Actor(principal.name, roles, principal.device, address(call), door))


def _clearing(call: Call, by: str) -> dict[str, str]:
    """A browser can't log in again with a cookie that is refused: it is taken back."""
    return {"Set-Cookie": cleared_cookie(call)} if by == "cookie" else {}
