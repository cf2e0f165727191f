"""One partition of a database: `/{db}/_partition/{p}`, and what is asked below it.

A listing, a query or a view of a partition is that of the database with the parameter `partition`, and
that is what the path becomes here.
"""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.http.responses import json_response
from replication.protocol import errors
from replication.protocol.partitions import check_asked_id, check_partition

PARAMETER = "partition"


def check(call: Call) -> None:
    """What a path must be for the database to be asked: raises 400, or sets the query's `partition`."""
    if call.partition is not None:
        check_partition(call.partition)
        if not call.database.partitioned:
            raise errors.not_partitioned()
        if call.query.setdefault(PARAMETER, call.partition) != call.partition:
            raise errors.bad_request("Conflicting value for `partition` in query string")
    elif call.docid and call.database.partitioned:
        check_asked_id(call.docid)


async def info(call: Call) -> Response:
    """`GET /{db}/_partition/{p}`"""
    assert call.partition is not None
    facts = await call.database.partition_info(call.partition)
    return json_response(
        {
            "db_name": call.database.name,
            "sizes": {"active": facts.active_size, "external": facts.external_size},
            "partition": call.partition,
            "doc_count": facts.doc_count,
            "doc_del_count": facts.deleted_count,
        }
    )
