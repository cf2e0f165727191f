"""The server as a whole: who it is, its databases, fresh ids."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors


async def welcome(call: Call) -> Response:
    raise errors.not_implemented("welcome")


async def up(call: Call) -> Response:
    raise errors.not_implemented("up")


async def uuids(call: Call) -> Response:
    raise errors.not_implemented("uuids")


async def all_dbs(call: Call) -> Response:
    raise errors.not_implemented("all_dbs")


async def dbs_info(call: Call) -> Response:
    raise errors.not_implemented("dbs_info")


async def active_tasks(call: Call) -> Response:
    raise errors.not_implemented("active_tasks")
