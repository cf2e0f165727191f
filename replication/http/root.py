"""The server as a whole: who it is, its databases, fresh ids."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from replication.http import params
from replication.http.call import Call
from replication.http.database import describe
from replication.http.responses import etag_matches, etag_of, json_response, not_modified
from replication.protocol import errors
from replication.protocol.errors import ProtocolError

COMPATIBLE_VERSION = "3.5.0"
"""The CouchDB whose protocol is spoken; clients choose features by it."""

VENDOR = "replication (Python)"
MAX_UUIDS = 1000
MAX_INFO_KEYS = 100


async def welcome(call: Call) -> Response:
    """`GET /`. Clients build checkpoint ids from `uuid`, so it stays the same for good."""
    return json_response(
        {
            "couchdb": "Welcome",
            "version": COMPATIBLE_VERSION,
            "git_sha": "",
            "uuid": call.server.store.uuid,
            "features": [],
            "vendor": {"name": VENDOR},
        }
    )


async def up(call: Call) -> Response:
    """`GET /_up`: whoever gets an answer knows that requests are served."""
    return json_response({"status": "ok", "seeds": {}})


def new_uuid() -> str:
    """An id for a document that came without: 32 random hex digits."""
    return secrets.token_hex(16)


async def uuids(call: Call) -> Response:
    """`GET /_uuids?count=N`: ids for clients that want theirs from the server. No cache may keep them."""
    count = 1
    if "count" in call.query:
        try:
            value = params.integer(call.query, "count")
        except ProtocolError:
            value = None
        if value is None or value < 0:
            raise errors.bad_request("count must be a positive integer")
        count = value
    if count > MAX_UUIDS:
        raise errors.bad_request("count parameter too large")
    fresh = [new_uuid() for _ in range(count)]
    return json_response(
        {"uuids": fresh},
        headers={
            "cache-control": "no-cache",
            "expires": "Mon, 01 Jan 1990 00:00:00 GMT",
            "pragma": "no-cache",
            "etag": etag_of("".join(fresh).encode("ascii")),
        },
    )


async def all_dbs(call: Call) -> Response:
    """`GET /_all_dbs`: names in the order of their bytes, with the range parameters of a listing."""
    names = _in_range(await call.server.store.names(), call.query)
    return _cacheable(call, names)


async def dbs_info(call: Call) -> Response:
    """`GET /_dbs_info`: facts about all databases; `POST {"keys": […]}`: about up to 100 named ones."""
    if call.method != "POST":
        rows = []
        for name in _in_range(await call.server.store.names(), call.query):
            row = await _info_row(call, name)
            await asyncio.sleep(0)  # each may have to open a file
            if "info" in row:
                rows.append(row)
        return _cacheable(call, rows)
    call.require_json()
    body = await call.json_object()
    if "keys" not in body:
        raise errors.bad_request("`keys` member must exist.")
    keys = body["keys"]
    if not isinstance(keys, list):
        raise errors.bad_request("`keys` member must be an array.")
    if len(keys) > MAX_INFO_KEYS:
        raise errors.bad_request("too_many_keys")
    return json_response([await _info_row(call, key) for key in keys])


async def active_tasks(call: Call) -> Response:
    """`GET /_active_tasks`: the compactions and replications that are running."""
    tasks = [job.as_task() for job in call.server.jobs.running()]
    for name in await call.server.store.names():
        try:
            info = await call.server.database(call.principal, name).info()
        except ProtocolError:
            continue
        if info.compacting:
            tasks.append({"type": "database_compaction", "database": name, "node": "local"})
    return json_response(tasks)


async def _info_row(call: Call, name: Any) -> dict[str, Any]:
    try:
        if isinstance(name, str):
            return {"key": name, "info": await describe(call.server.database(call.principal, name))}
    except ProtocolError as error:
        if error.status != 404:
            raise
    return {"key": name, "error": "not_found"}


def _cacheable(call: Call, value: Any) -> Response:
    response = json_response(value)
    etag = etag_of(bytes(response.body))
    if etag_matches(call.headers.get("if-none-match"), etag):
        return not_modified(etag)
    response.headers["etag"] = etag
    return response


def _bound(query: params.Query, *spellings: str) -> tuple[bool, Any]:
    for name in spellings:
        if name in query:
            return True, params.json_value(query, name)
    return False, None


def _in_range(names: Sequence[str], query: params.Query) -> list[str]:
    """`names` as the query wants them. JSON values that aren't strings sort before every name."""
    if not query:
        return list(names)
    descending = params.boolean(query, "descending")
    inclusive = params.boolean(query, "inclusive_end", True)
    limit = params.natural(query, "limit")
    skip = params.natural(query, "skip", 0) or 0
    has_key, key = _bound(query, "key")
    has_start, start = (True, key) if has_key else _bound(query, "startkey", "start_key")
    has_end, end = (True, key) if has_key else _bound(query, "endkey", "end_key")
    chosen = sorted(names, key=str.encode, reverse=descending)
    if has_start:
        chosen = [name for name in chosen if _is_past(name, start, descending)]
    if has_end:
        chosen = [
            name for name in chosen if _is_past(name, end, not descending) and (inclusive or name != end)
        ]
    return chosen[skip:] if limit is None else chosen[skip : skip + limit]


def _is_past(name: str, bound: Any, descending: bool) -> bool:
    """Whether `name` is at `bound` or beyond it in the given direction."""
    if not isinstance(bound, str):
        return not descending
    here, there = name.encode(), bound.encode("utf-8", "surrogatepass")
    return here <= there if descending else here >= there
