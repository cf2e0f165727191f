"""What CouchDB has and this server doesn't: answered as such, never as a database that doesn't exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from replication.http.call import Call
from replication.protocol import errors

SEARCH = "Full-text search is not available: use _find or a view."
RESHARDING = "A database is one file here: there are no shards to split."
BACKGROUND_COMPACTION = "Nothing is compacted in the background: there is no queue to show."
PAGE = (
    "There is no administration page on this server. Fauxton, CouchDB's own, can be run elsewhere and be"
    " given this server's address."
)
TEMPORARY_VIEWS = "Temporary views are not supported in CouchDB"


def because(reason: str) -> Callable[[Call], Awaitable[Response]]:
    """A handler that answers 501 with `reason`."""

    async def answer(call: Call) -> Response:
        raise errors.not_implemented(reason)

    return answer


async def utils(call: Call) -> Response:
    """`GET /_utils`: a CouchDB that was built without Fauxton answers 404, too."""
    raise errors.not_found(PAGE)


async def temporary_view(call: Call) -> Response:
    """`POST /{db}/_temp_view`: gone from CouchDB, too."""
    raise errors.gone(TEMPORARY_VIEWS)
