"""What the databases of a store are called in its CouchDB.

All of them begin with the store's prefix, so several stores can share a server, and other databases of it are
no business of the store's. A name that begins with an underscore gets `own$` instead: CouchDB's `_users` and
`_replicator` are its own, it logs people in by one and replicates what is in the other.
"""

from __future__ import annotations

from replication.protocol import errors
from replication.protocol.names import MAX_DATABASE_NAME, SYSTEM_DATABASES, check_database_name

_OWN = "own$"


def remote_name(prefix: str, name: str) -> str:
    """Raises `illegal_database_name`, `database_name_too_long`."""
    check_database_name(name)
    remote = prefix + (_OWN + name[1:] if name.startswith("_") else name)
    if len(remote) > MAX_DATABASE_NAME:
        raise errors.database_name_too_long(name)
    return remote


def local_name(prefix: str, remote: str) -> str | None:
    """What the store calls a database of the server; None if it isn't one of the store's."""
    if not remote.startswith(prefix) or remote.startswith("_"):
        return None
    name = remote[len(prefix) :]
    if name.startswith(_OWN):
        name = "_" + name.removeprefix(_OWN)
        return name if name in SYSTEM_DATABASES else None
    try:
        return check_database_name(name)
    except errors.ProtocolError:
        return None


def check_prefix(prefix: str) -> str:
    """`prefix` if databases may begin with it. Raises `illegal_database_name`."""
    if prefix:
        check_database_name(prefix)
    return prefix
