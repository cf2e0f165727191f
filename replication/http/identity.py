"""What a server makes of those who ask: the part of logging in that another server may do differently.

`session` takes cookies, headers and passwords apart; an `Identity` decides what they are worth. This one
believes accounts and tokens as CouchDB does. Whoever builds on the server gives it a class of his own,
which may know of sessions, refuse accounts, take roles away, and exchange tokens for cookies.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from replication.accounts.cookies import SessionCookie
from replication.accounts.directory import Account
from replication.http.call import Call
from replication.http.principal import Principal
from replication.protocol import errors
from replication.protocol.errors import ProtocolError

if TYPE_CHECKING:
    from replication.http.server import Server

ENDED = "The session has ended: log in again."


class OpenedSession(NamedTuple):
    """What a login adds to the cookie and to its answer."""

    id: str = ""
    """Goes into the cookie: see `accounts.cookies`."""
    members: Mapping[str, Any] = {}
    """Members of the answer."""


class Identity:
    """Believes the server's accounts and tokens.

    Everything raises `ProtocolError`: 401 where the login is bad, 503 where that can't be told now.
    """

    server: Server

    def attach(self, server: Server) -> None:
        """Called once, before anything else."""
        self.server = server

    @property
    def takes_tokens(self) -> bool:
        """Whether `Authorization: Bearer` is looked at."""
        return self.server.tokens is not None

    async def by_token(self, call: Call, token: str) -> None:
        """Sets `principal` and `expires` of a call that came with a token."""
        tokens = self.server.tokens
        assert tokens is not None
        bearer = tokens.bearer(token)
        call.principal = Principal(bearer.name, bearer.roles)
        call.expires = bearer.expires

    async def account_of_token(self, call: Call, token: str) -> Account | None:
        """The account that a token may be exchanged for a cookie of; None where that isn't done."""
        return None

    async def admit(self, call: Call) -> None:
        """Has the last word about a caller whose credentials are right; may change `principal`."""

    def reads_all(self, call: Call) -> bool:
        """Whether the caller is let in as a member whatever the database's `_security` says."""
        return False

    async def refused_cookie(self, cookie: SessionCookie) -> None:
        """Sees a cookie that does not count, because it is too old or its MAC is wrong. May raise."""

    async def open_session(self, call: Call, account: Account, *, by_token: bool) -> OpenedSession:
        """A login has succeeded. May refuse it all the same."""
        return OpenedSession()

    async def close_session(self, call: Call) -> None:
        """Its caller logs out. Without sessions that are kept account of there is nothing to do."""

    async def replicating(self, call: Call) -> None:
        """The server itself is about to write what it replicates; `call` has no caller."""

    async def renew(self, call: Call) -> None:
        """Judges a caller again whose request is still being answered: sets `principal` as it is now.

        Raises 401 if what he came with doesn't count any more.
        """
        if call.expires is not None and call.expires <= time.time():
            raise errors.unauthorized(ENDED)
        name = call.principal.name
        if name is not None and call.authenticated_by in ("cookie", "default"):
            account = await self.server.accounts.find(name)
            if account is None or account.salt != call.salt:
                raise errors.unauthorized(ENDED)
            call.principal = Principal(account.name, account.roles)


async def still_admitted(call: Call) -> bool:
    """Whether the caller would be let in now as well, and as the same: other roles show other things."""
    from replication.http import access  # it needs what handlers know, and they need this

    before = call.principal
    try:
        await call.server.identity.renew(call)
        await access.check(call, call.access)
    except ProtocolError:
        return False
    return call.principal == before
