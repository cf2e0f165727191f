"""The store that a command line names: files of its own, or the databases of a CouchDB.

Passwords and tokens come from a file or from the environment: what stands in a command can be read by
everybody on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from replication.replicator.options import Endpoint
from replication.store.couchdb.endpoint import read_endpoint, read_login
from replication.store.couchdb.store import CouchStore
from replication.store.interface import Store
from replication.store.sqlite import SqliteStore

LOGIN_VARIABLE = "REPLICATION_STORE_LOGIN"
ADMIN_VARIABLE = "REPLICATION_STORE_ADMIN"


def login_text(file: Path | None, variable: str) -> str | None:
    """A login from a file or else from the environment. Raises `OSError`."""
    return os.environ.get(variable) if file is None else file.read_text("utf-8")


def endpoint_of(url: str, file: Path | None, variable: str) -> Endpoint:
    """The server at `url` with this login. Raises `ValueError` saying what is wrong, and `OSError`."""
    if read_endpoint(url).credentials is not None:
        raise ValueError(f"the address may hold no password: give it by {variable} or a file")
    text = login_text(file, variable)
    return read_endpoint(url, None if text is None else read_login(text))


async def open_store(
    data: Path, server: Endpoint | None, *, prefix: str = "", databases: Sequence[str] = ()
) -> Store:
    """The SQLite files in `data`, or the databases of a server, with what has to be kept here in `data`."""
    if server is None:
        return await SqliteStore.open(data)
    return await CouchStore.open(server, data, prefix=prefix, databases=databases or None)
