"""Local documents: a replicator's notes, never replicated themselves."""

from __future__ import annotations

import re

from starlette.responses import Response

from replication.http import copying
from replication.http.call import Call
from replication.http.document_options import if_match
from replication.http.document_writing import accepted, written
from replication.http.local_writing import (
    DELETED_REV,
    INVALID_ID,
    NO_ATTACHMENTS,
    check_local_id,
    write_local,
)
from replication.http.responses import etag_matches, etag_of, not_modified, text_response
from replication.protocol import errors
from replication.protocol.documents import with_members
from replication.protocol.names import LOCAL_PREFIX
from replication.store.values import LocalDocument

_ANY_REV = re.compile(r"[0-9]+-.*", re.ASCII)


def _name(call: Call) -> str:
    """The id without `_local/`. Raises 400 for an address that is no local document's."""
    if call.rest:
        raise errors.bad_request(NO_ATTACHMENTS)
    if call.docid == LOCAL_PREFIX:
        raise errors.bad_request(INVALID_ID)
    return check_local_id(call.docid)


async def _open(call: Call, name: str) -> LocalDocument:
    document = await call.database.local(name)
    if document is None:
        raise errors.missing()
    return document


async def get(call: Call) -> Response:
    """`GET` or `HEAD /{db}/_local/{id}`."""
    name = _name(call)
    if "rev" in call.query or "open_revs" in call.query:
        # There is no history: a revision that is asked for by name is one that is not there.
        raise errors.missing()
    document = await _open(call, name)
    etag = etag_of(document.text)
    if etag_matches(call.headers.get("if-none-match"), etag):
        return not_modified(etag)
    text = document.text
    if call.query.get("revs") == "true":
        number = document.rev.partition("-")[2].encode("ascii")
        text = with_members(text, (b'"_revisions":{"start":0,"ids":["%s"]}' % number,))
    return text_response(text, headers={"etag": etag})


async def put(call: Call) -> Response:
    """`PUT /{db}/_local/{id}`."""
    _name(call)
    value = await call.json()
    done = await write_local(call, call.docid, value, exact=call.query.get("new_edits") == "false")
    if call.query.get("batch") == "ok":
        return accepted(call.docid)
    status = 200 if done.deleted else 201
    return written(call, call.docid, done.rev, status, etag=done.etag, at=(call.docid,))


async def delete(call: Call) -> Response:
    """`DELETE /{db}/_local/{id}`, whatever revision the caller thinks it has."""
    name = _name(call)
    await _open(call, name)
    for text in (call.query.get("rev"), if_match(call)):
        if text is not None and _ANY_REV.fullmatch(text) is None:
            raise errors.bad_request("Invalid rev format")
    if not await call.database.delete_local(name):
        raise errors.missing()
    return written(call, call.docid, DELETED_REV, 200, etag=etag_of(b""))


async def copy(call: Call) -> Response:
    """`COPY /{db}/_local/{id}` to a local document or another one."""
    name = _name(call)
    target = copying.destination(call)
    return await copying.copy_text(call, (await _open(call, name)).text, target)
