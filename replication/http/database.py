"""A database as a whole: facts, birth and death."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from replication.http.access import DEFAULT_SECURITY
from replication.http.addresses import location
from replication.http.call import Call
from replication.http.responses import json_response
from replication.protocol import errors
from replication.protocol.creation import is_partitioned
from replication.store.interface import Database

DISK_FORMAT_VERSION = 8


async def describe(database: Database) -> dict[str, Any]:
    """What `GET /{db}` tells.

    CouchDB's replicator refuses a peer without `update_seq` or `instance_start_time`, and wants the
    latter to be the string that `_ensure_full_commit` answers.
    """
    info = await database.info()
    epochs = database.epochs
    return {
        "instance_start_time": str(info.created),
        "db_name": info.name,
        "purge_seq": epochs.format(info.purge_seq),
        "update_seq": epochs.format(info.update_seq),
        "sizes": {
            "file": info.file_size,
            "external": info.external_size,
            "active": info.active_size,
        },
        "props": {"partitioned": True} if database.partitioned else {},
        "doc_del_count": info.deleted_count,
        "doc_count": info.doc_count,
        "disk_format_version": DISK_FORMAT_VERSION,
        "compact_running": info.compacting,
        "cluster": {"q": 1, "n": 1, "w": 1, "r": 1},
    }


async def info(call: Call) -> Response:
    """`GET` or `HEAD /{db}`."""
    return json_response(await describe(call.database))


async def create(call: Call) -> Response:
    """`PUT /{db}`"""
    partitioned = is_partitioned(call.query)
    name = call.segments[0]
    await call.server.store.create(name, security=DEFAULT_SECURITY, partitioned=partitioned)
    return json_response({"ok": True}, 201, headers={"location": location(call, name)})


async def delete(call: Call) -> Response:
    """`DELETE /{db}`. With `?rev` somebody meant a document and lost its id on the way."""
    if "rev" in call.query:
        raise errors.bad_request(
            "You tried to DELETE a database with a ?=rev parameter."
            " Did you mean to DELETE a document instead?"
        )
    await call.server.store.delete(call.segments[0])
    return json_response({"ok": True})


async def ensure_full_commit(call: Call) -> Response:
    """`POST /{db}/_ensure_full_commit`: what was answered is on disk already, so nothing is left to do."""
    call.require_json()
    info = await call.database.info()
    return json_response({"ok": True, "instance_start_time": str(info.created)}, 201)
