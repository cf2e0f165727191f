"""Who may call what: `_security` of a database, server administrators, logins that are required.

The rules are CouchDB 3's. A server administrator may do everything. A database's `_security` names
its admins and members by name and role; a database whose members are empty is open to everybody.
Somebody who has not logged in is answered 401, somebody who has and still may not 403; only what is
for server administrators is 401 to both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from replication.accounts.users import USERS_DATABASE, user_id
from replication.http.call import Call
from replication.http.principal import Principal
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX, LOCAL_PREFIX

DEFAULT_SECURITY = b'{"members":{"roles":["_admin"]},"admins":{"roles":["_admin"]}}'
"""What a new database gets: nobody but server administrators, until somebody says otherwise."""

NOT_SERVER_ADMIN = "You are not a server admin."
NOT_FOR_METRICS = "You are not a server admin or read-only metrics user"
NOT_DATABASE_ADMIN = "You are not a db or server admin."
NOT_UPKEEP_ADMIN = "You are not a server or db admin."
NOT_A_MEMBER_ANONYMOUS = "You are not authorized to access this db."
NOT_A_MEMBER = "You are not allowed to access this db."
LOGIN_REQUIRED = "Authentication required."

METRICS_ROLE = "_metrics"
"""Who may read figures without administrating the server."""

_SERVER_ADMIN_ONLY = frozenset({"_all_docs", "_changes"})
"""Listings of the system databases, which show everybody's documents at once."""

_UPKEEP = frozenset({"_compact", "_view_cleanup"})
"""Endpoints that answer 401 even to somebody who has logged in, as what is for server admins does."""


@dataclass(frozen=True, slots=True)
class Circle:
    """Names and roles that belong to admins or members."""

    names: frozenset[str]
    roles: frozenset[str]

    def holds(self, principal: Principal) -> bool:
        return principal.name in self.names or not self.roles.isdisjoint(principal.roles)

    @property
    def empty(self) -> bool:
        return not self.names and not self.roles


@dataclass(frozen=True, slots=True)
class Security:
    """A parsed `_security` object."""

    admins: Circle
    members: Circle

    def is_admin(self, principal: Principal) -> bool:
        return self.admins.holds(principal)

    def is_member(self, principal: Principal) -> bool:
        return self.members.empty or self.members.holds(principal) or self.admins.holds(principal)


def _circle(value: Any) -> Circle:
    if not isinstance(value, dict):
        return Circle(frozenset(), frozenset())
    names, roles = value.get("names") or (), value.get("roles") or ()
    return Circle(
        frozenset(name for name in names if isinstance(name, str)),
        frozenset(role for role in roles if isinstance(role, str)),
    )


@lru_cache(maxsize=1024)
def parse_security(text: bytes) -> Security:
    """The meaning of a stored security object. `readers` is the old name of `members`."""
    value = jsontext.decode(text)
    return Security(_circle(value.get("admins")), _circle(value.get("members", value.get("readers"))))


async def security(call: Call) -> Security:
    """The security of the call's database. Raises `database_missing`."""
    # Of the database itself: what its guarded view shows of it is no ground for a decision.
    return parse_security(await call.server.store.get(call.segments[0]).security())


def _refusal(principal: Principal, anonymous: str, known: str) -> ProtocolError:
    return errors.unauthorized(anonymous) if principal.name is None else errors.forbidden(known)


async def database_admin_refusal(call: Call) -> ProtocolError | None:
    """None if the caller administrates the call's database, else what to answer."""
    principal = call.principal
    if principal.is_server_admin or (await security(call)).is_admin(principal):
        return None
    return _refusal(principal, NOT_DATABASE_ADMIN, NOT_DATABASE_ADMIN)


async def check(call: Call, access_name: str) -> None:
    """Raises 401 or 403 unless the caller may do what the route does.

    `access_name` is the name of a member of `routes.Access`.
    """
    principal = call.principal
    if "_admin" in principal.roles:
        return
    if call.server.config.require_valid_user and principal.name is None and not _always_open(call):
        raise errors.unauthorized(LOGIN_REQUIRED, headers={"WWW-Authenticate": 'Basic realm="server"'})
    if access_name == "PUBLIC":
        return
    if access_name == "METRICS":
        if METRICS_ROLE not in principal.roles:
            raise errors.unauthorized(NOT_FOR_METRICS)
        return
    if access_name == "SERVER_ADMIN" or _needs_server_admin(call):
        raise errors.unauthorized(NOT_SERVER_ADMIN)
    if access_name == "MEMBER" and call.server.identity.reads_all(call):
        return
    rules = await security(call)
    if rules.is_admin(principal):
        return
    if access_name == "DATABASE_ADMIN":
        if call.segments[1] in _UPKEEP:
            raise errors.unauthorized(NOT_UPKEEP_ADMIN)
        raise _refusal(principal, NOT_DATABASE_ADMIN, NOT_DATABASE_ADMIN)
    if call.segments[0] == USERS_DATABASE:
        _check_own_document(call)
    elif not rules.is_member(principal):
        raise _refusal(principal, NOT_A_MEMBER_ANONYMOUS, NOT_A_MEMBER)
    elif call.segments[0] == "_replicator":
        _check_single_document(call)


def _check_own_document(call: Call) -> None:
    """`_users` for those who don't administrate it: everybody his own document, and nothing else."""
    name, docid = call.principal.name, call.docid
    if name is None:
        raise errors.unauthorized(NOT_A_MEMBER_ANONYMOUS)
    if docid.startswith(DESIGN_PREFIX):
        raise errors.forbidden("Only administrators can view design docs in the users database.")
    if not docid or docid.startswith(LOCAL_PREFIX):
        raise errors.forbidden(NOT_A_MEMBER)
    if docid != user_id(name):
        raise errors.missing()


def _check_single_document(call: Call) -> None:
    """`_replicator` for those who don't administrate it: documents by their ids, nothing that shows many."""
    segment = call.segments[1] if len(call.segments) > 1 else ""
    if segment in ("", "_bulk_docs", "_ensure_full_commit", "_revs_diff", "_security"):
        return
    if not call.docid or call.docid.startswith(DESIGN_PREFIX) or call.method == "COPY":
        raise errors.forbidden("Only administrators can list, search or copy replication documents.")
    if call.docid.startswith(LOCAL_PREFIX):
        raise errors.forbidden(NOT_A_MEMBER)


def _always_open(call: Call) -> bool:
    return not call.segments or call.segments[0] in ("_up", "_session")


def _needs_server_admin(call: Call) -> bool:
    """Making and dropping databases, and listing the system databases."""
    segments = call.segments
    if len(segments) == 1:
        return call.method in ("PUT", "DELETE")
    return segments[0] in ("_users", "_replicator") and segments[1] in _SERVER_ADMIN_ONLY
