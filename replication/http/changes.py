"""The changes feed: `GET` and `POST /{db}/_changes`."""

from __future__ import annotations

from starlette.responses import Response

from replication.http.call import Call
from replication.http.changes_feed import FeedResponse, complete_feed
from replication.http.changes_filters import changes_body, read_filter
from replication.http.changes_options import Feed, read_changes_options
from replication.http.changes_pages import PageReader
from replication.http.responses import CACHE_CONTROL, etag_matches, etag_of, not_modified


async def changes(call: Call) -> Response:
    """What changed after `since`, each document once, in the order of its last change.

    Parameters count in the query only; the body of a POST holds `doc_ids` or `selector` for the
    filters that take them.
    """
    if call.method == "POST":
        call.require_json()
        await changes_body(call)
    options = read_changes_options(call.query, call.headers.get("last-event-id"))
    change_filter = await read_filter(call, options)
    database = call.database
    since = database.epochs.resolve(options.since, database.update_seq)
    if options.descending:
        since = database.update_seq + 1
    reader = PageReader(database, options, change_filter)
    await reader.prepare(since, options.limit)
    if options.feed is not Feed.NORMAL:
        return FeedResponse(call, options, reader, since)
    etag = await _etag(call)
    if etag_matches(call.headers.get("if-none-match"), etag):
        return not_modified(etag)
    headers = {"etag": etag, "cache-control": CACHE_CONTROL}
    if call.method == "HEAD":
        return Response(headers=headers, media_type="application/json")
    return await complete_feed(database, options, reader, since, headers)


async def _etag(call: Call) -> str:
    """Changes with the database, and with whom it is shown to."""
    database = call.database
    reader = (call.principal.name, call.principal.roles)
    if database.guarded:  # counting what he sees would be the dearer part of the answer
        return etag_of(repr((database.epochs.format(database.update_seq), *reader)).encode())
    info = await database.info()
    return etag_of(repr((info.uuid, info.update_seq, info.purge_seq, *reader)).encode())
