"""Makes a CouchDB server ready for a store: the only thing that takes an administrator.

The databases are made, and those a document server has for itself; CouchDB's `_security` lets the service
user in and nobody else but administrators; a validation function lets nobody else write, administrators
neither, so that nothing goes round the server. Who may use a database through the server was said by its
`_security` before, and is from then on by the member `served` of it. Everything may be done again: what is as
it should be is left alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError
from replication.replicator.connection import document_path
from replication.replicator.options import Endpoint, Session
from replication.store.couchdb.client import Client, Repeat, database_path
from replication.store.couchdb.database import SERVED
from replication.store.couchdb.naming import remote_name
from replication.store.couchdb.reading import HIDDEN

OWN = ("_users", "_replicator")
"""Databases that every document server has."""

_VALIDATION = """function (newDoc, oldDoc, userCtx) {
  if (userCtx.name !== %s) {
    throw({forbidden: "This database is written by its server only."});
  }
}"""


@dataclass(frozen=True)
class Plan:
    """What is to be there afterwards."""

    service: str
    """The service user's name."""
    databases: Sequence[str]
    password: str | None = field(default=None, repr=False)
    """To make the service user, or to see that he can log in; None if he logs in some other way."""
    prefix: str = ""
    partitioned: bool = False
    """Of databases that have to be made."""
    own: Sequence[str] = OWN
    """Databases that the server has for itself."""
    indexes: Sequence[Sequence[str]] = ()
    """Fields of Mango indexes, which each of the databases gets."""


def validation(service: str) -> str:
    """The validation function of a database that only this user writes."""
    return _VALIDATION % jsontext.encode(service).decode()


def inside(service: str) -> dict[str, Any]:
    """Whom `_security` of such a database lets in."""
    return {"names": [service], "roles": ["_admin"]}


async def set_up(endpoint: Endpoint, plan: Plan) -> AsyncIterator[str]:
    """Does it as the administrator who logs in at `endpoint`, and says what was done, line by line.

    Raises `ProtocolError` for what can't be done; what was done before stays, and it may be done again.
    """
    client = Client(endpoint)
    try:
        if plan.password is not None:
            async for line in _user(client, endpoint, plan.service, plan.password):
                yield line
        for name in (*plan.own, *plan.databases):
            path = database_path(remote_name(plan.prefix, name))
            yield await _database(client, path, name, plan)
            yield await _security(client, path, name, plan.service)
            yield await _validation(client, path, name, plan.service)
        for name in plan.databases:
            path = database_path(remote_name(plan.prefix, name))
            for fields in plan.indexes:
                yield await _index(client, path, name, fields)
    finally:
        await client.close()


async def _user(client: Client, endpoint: Endpoint, name: str, password: str) -> AsyncIterator[str]:
    try:
        await client.request("PUT", "/_users")
        yield "CouchDB's database _users: made"
    except ProtocolError as error:
        if error.status != 412:
            raise
    docid = f"org.couchdb.user:{name}"
    path = "/_users" + document_path(docid)
    try:
        user = {"_id": docid, "type": "user", "name": name, "roles": [], "password": password}
        await client.request("PUT", path, json=user)
        yield f"service user {name}: made"
    except ProtocolError as error:
        if error.status != 409:
            raise
        yield f"service user {name}: was there"
    service = Client(Endpoint(endpoint.url, credentials=Session(name, password)), retries=0)
    try:
        await service.ask("GET", "/_session")
    except ProtocolError as error:
        raise ProtocolError(
            error.status,
            error.error,
            f"The service user {name} can't log in with this password: give the right one, or change it.",
        ) from error
    finally:
        await service.close()


async def _database(client: Client, path: str, name: str, plan: Plan) -> str:
    query = {"partitioned": "true"} if plan.partitioned and name not in plan.own else {}
    try:
        await client.request("PUT", path, query=query)
    except ProtocolError as error:
        if error.status != 412:
            raise
        return f"database {name}: was there"
    return f"database {name}: made"


async def _security(client: Client, path: str, name: str, service: str) -> str:
    present: dict[str, Any] = await client.ask("GET", f"{path}/_security")
    served = present.get(SERVED, {key: value for key, value in present.items() if key != SERVED})
    wanted = {"admins": inside(service), "members": inside(service), SERVED: served}
    if present == wanted:
        return f"security of {name}: was right"
    await client.request("PUT", f"{path}/_security", json=wanted, repeat=Repeat.ALWAYS)
    return f"security of {name}: lets in {service} alone"


async def _validation(client: Client, path: str, name: str, service: str) -> str:
    wanted = {"_id": HIDDEN, "language": "javascript", "validate_doc_update": validation(service)}
    try:
        present = await client.ask("GET", path + document_path(HIDDEN))
    except ProtocolError as error:
        if error.status != 404:
            raise
        present = {}
    rev = present.pop("_rev", None)
    if present == wanted:
        return f"validation of {name}: was right"
    await client.request(
        "PUT", path + document_path(HIDDEN), json={**wanted, **({"_rev": rev} if rev else {})}
    )
    return f"validation of {name}: only {service} writes"


async def _index(client: Client, path: str, name: str, fields: Sequence[str]) -> str:
    text = ",".join(fields)
    index = {"index": {"fields": list(fields)}, "type": "json", "ddoc": f"by-{text}", "name": f"by-{text}"}
    value = await client.ask("POST", f"{path}/_index", json=index, repeat=Repeat.ALWAYS)
    made = isinstance(value, dict) and value.get("result") == "created"
    return f"index of {name} by {text}: {'made' if made else 'was there'}"
