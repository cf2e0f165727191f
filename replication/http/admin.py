"""Upkeep of one database: security, limits, compaction, purging."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from replication.accounts.users import USERS_DATABASE
from replication.http.call import Call
from replication.http.responses import json_response, text_response
from replication.protocol import errors, jsontext
from replication.protocol.partitions import check_asked_id
from replication.protocol.revisions import Rev, parse_rev
from replication.queries.indexes import drop_unused

MAX_PURGED_DOCUMENTS = 100
MAX_PURGED_REVISIONS = 1000

COMPACT_SECONDS = 1.0
"""How long the answer waits for compaction to finish; a longer one goes on behind it."""

_compacting: set[asyncio.Task[None]] = set()

log = logging.getLogger("replication.http")


async def get_security(call: Call) -> Response:
    return text_response(await call.database.security())


async def put_security(call: Call) -> Response:
    if call.segments[0] == "_users":
        raise errors.forbidden("You can't edit the security object of the user database.")
    value = await call.json()
    check_security(value)
    await call.database.set_security(jsontext.encode(value))
    return json_response({"ok": True})


def check_security(value: Any) -> None:
    """Raises 400 for what isn't a security object. Members beside `admins` and `members` are kept."""
    if not isinstance(value, dict):
        raise errors.bad_request("Request body must be a JSON object")
    for circle in (value.get("admins", {}), value.get("members", value.get("readers", {}))):
        if not isinstance(circle, dict):
            raise errors.bad_request("admins or members must be a JSON list of strings")
        for kind in ("names", "roles"):
            listed = circle.get(kind, [])
            if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
                raise errors.bad_request(f"{kind} must be a JSON list of strings")


async def get_revs_limit(call: Call) -> Response:
    return json_response(await call.database.revs_limit())


async def put_revs_limit(call: Call) -> Response:
    limit = await call.json()
    if type(limit) is not int or not 0 < limit < 2**31:
        raise errors.bad_request("`revs_limit` must be positive integer")
    await call.database.set_revs_limit(limit)
    return json_response({"ok": True})


async def compact(call: Call) -> Response:
    """Starts compacting and answers; `/{db}/_compact/{ddoc}` needs the design document."""
    call.require_json()
    if call.rest:
        design = await call.database.winner(f"_design/{call.rest[0]}")
        if design is None or design.deleted:
            raise errors.missing()
        return json_response({"ok": True}, 202)
    task = asyncio.create_task(call.database.compact())
    _compacting.add(task)
    task.add_done_callback(_compacting.discard)
    await asyncio.wait({task}, timeout=COMPACT_SECONDS)
    if task.done():
        task.result()
    else:
        task.add_done_callback(_log_failure)
    return json_response({"ok": True}, 202)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("Compaction failed: %s", task.exception())


async def view_cleanup(call: Call) -> Response:
    """Drops the entries of indexes that no design document defines any more."""
    await drop_unused(call.database)
    return json_response({"ok": True}, 202)


async def purge(call: Call) -> Response:
    call.require_json()
    asked = parse_purge(await call.json_object())
    if call.database.partitioned:
        for docid in asked:
            check_asked_id(docid)
    purged = await call.database.purge(asked)
    if call.database.name == USERS_DATABASE:
        call.server.accounts.forget()
    answer = {docid: purged.get(docid, []) for docid in asked}
    return json_response({"purge_seq": None, "purged": answer}, 201)


async def purged_infos(call: Call) -> Response:
    """`GET /{db}/_purged_infos`: what was asked to be purged, as far as it is remembered."""
    requests = await call.database.purge_requests()
    return json_response({"purged_infos": [{"id": each.id, "revs": each.revs} for each in requests]})


async def get_purged_infos_limit(call: Call) -> Response:
    return json_response(await call.database.purge_requests_limit())


async def put_purged_infos_limit(call: Call) -> Response:
    limit = await call.json()
    if type(limit) is not int or not 0 < limit < 2**31:
        raise errors.bad_request("`purged_infos_limit` must be positive integer")
    await call.database.set_purge_requests_limit(limit)
    return json_response({"ok": True})


def parse_purge(value: Mapping[str, Any]) -> dict[str, Sequence[Rev]]:
    """The body `{id: [rev, …]}`. Raises 400, also for more than one request may purge."""
    if len(value) > MAX_PURGED_DOCUMENTS:
        raise errors.bad_request("Exceeded maximum number of documents.")
    asked: dict[str, Sequence[Rev]] = {}
    count = 0
    for docid, revs in value.items():
        if not isinstance(revs, list):
            raise errors.bad_request("Invalid list of revisions")
        count += len(revs)
        if count > MAX_PURGED_REVISIONS:
            raise errors.bad_request("Exceeded maximum number of revisions.")
        asked[docid] = [parse_rev(rev) for rev in revs]
    return asked
