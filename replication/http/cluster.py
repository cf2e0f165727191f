"""A cluster of one node with one shard per database: what clients and setup scripts ask of a cluster."""

from __future__ import annotations

from starlette.responses import Response

from replication.http import params
from replication.http.access import DEFAULT_SECURITY
from replication.http.call import Call
from replication.http.responses import json_response
from replication.protocol import errors
from replication.replicator.jobs import NODE

SYSTEM_DATABASES = ("_users", "_replicator")
"""What a finished setup has; both are there from the first start."""

WHOLE_RANGE = "00000000-ffffffff"


async def membership(call: Call) -> Response:
    return json_response({"all_nodes": [NODE], "cluster_nodes": [NODE]})


async def setup_state(call: Call) -> Response:
    """`GET /_cluster_setup`: a single node, with or without the databases it should have."""
    wanted = (
        _names(params.json_value(call.query, "ensure_dbs_exist"))
        if "ensure_dbs_exist" in call.query
        else None
    )
    missing = await _missing(call, wanted)
    return json_response({"state": "single_node_disabled" if missing else "single_node_enabled"})


async def setup(call: Call) -> Response:
    """`POST /_cluster_setup`: makes missing databases. Who administrates is said at the start."""
    call.require_json()
    body = await call.json_object()
    action = body.get("action", "missing")
    if action in ("enable_cluster", "add_node", "remove_node", "receive_cookie"):
        raise errors.not_implemented("This server is a single node: use the action enable_single_node.")
    if action not in ("enable_single_node", "finish_cluster"):
        raise errors.bad_request("Invalid Action'")
    missing = await _missing(call, _names(body["ensure_dbs_exist"]) if "ensure_dbs_exist" in body else None)
    if action == "finish_cluster" and not missing:
        raise errors.bad_request("Cluster is already finished")
    user = body.get("username")
    if user is not None and user not in call.server.config.admins:
        raise errors.bad_request(
            "Administrators are named when the server is started, with --admin NAME:PASSWORD;"
            " this one is not among them."
        )
    for name in missing:
        await call.server.store.create(name, security=DEFAULT_SECURITY)
    return json_response({"ok": True}, 201)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise errors.bad_request("ensure_dbs_exist must be a list of names of databases")
    return tuple(value)


async def _missing(call: Call, wanted: tuple[str, ...] | None) -> list[str]:
    present = await call.server.store.names()
    return [name for name in (SYSTEM_DATABASES if wanted is None else wanted) if name not in present]


async def shards(call: Call) -> Response:
    """`GET /{db}/_shards[/{doc}]`: all documents are in the same one."""
    await call.database.info()
    if call.rest:
        return json_response({"range": WHOLE_RANGE, "nodes": [NODE]})
    return json_response({"shards": {WHOLE_RANGE: [NODE]}})


async def sync_shards(call: Call) -> Response:
    """`POST /{db}/_sync_shards`: the only copy is always in step with itself."""
    await call.database.info()
    return json_response({"ok": True}, 202)
