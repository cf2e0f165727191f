"""Update functions: `_design/{d}/_update/{f}[/{id}]` makes a document of a request.

The function gets the stored document or null, and the request; it returns the document to write, or null,
and the answer: a text, or an object with `code`, `headers` and one of `body`, `json`, `base64`.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.responses import Response

from replication.http.call import Call
from replication.http.document_writing import refuse_following, write_one
from replication.http.function_request import request_object
from replication.http.local_writing import write_local
from replication.javascript import functions
from replication.javascript.functions import JavaScriptError, Thrown
from replication.protocol import jsontext
from replication.protocol.documents import parse_document, with_members
from replication.protocol.errors import ProtocolError
from replication.protocol.names import LOCAL_PREFIX, check_document_id
from replication.queries.designs import design_document
from replication.queries.view_index import failed

NEW_REVISION = "x-couch-update-newrev"
DOCUMENT_ID = "x-couch-id"
NO_ANSWER = "undefined response from update function"

_HTML = "text/html; charset=utf-8"
_JSON = "application/json"

_OURS = frozenset(
    {"connection", "content-length", "date", "server", "transfer-encoding", "x-couch-request-id"}
)
"""Headers that a function has no say in."""

_WITHOUT_BODY = (204, 205, 304)

_SAFE = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
"""What a function answers must not act in our origin on behalf of whoever looks at it."""


class Answer(NamedTuple):
    """What a function wants to be answered."""

    code: int | None
    headers: dict[str, str]
    body: bytes


async def update(call: Call) -> Response:
    """`POST`, `PUT` and others; `GET` is not allowed, for reading changes nothing."""
    name = "".join(call.rest[1:2])
    if not name:
        raise ProtocolError(404, "update_error", "Invalid path.")
    docid = "/".join(call.rest[2:]) or None
    ddoc = await design_document(call.database, call.docid)
    source = ddoc.function("updates", name)
    body = (await call.body()).decode("utf-8", "replace")
    request = await request_object(call, docid, body)
    try:
        result = await functions.update(
            call.server.javascript,
            call.database.name,
            source,
            ddoc.text.decode("utf-8"),
            await _stored(call, docid),
            request,
        )
    except JavaScriptError as error:
        raise failed(error) from error
    if isinstance(result, Thrown):
        raise _render_error(f"function raised error: {result.error}: {result.reason}")
    document, wanted = result
    answer = read_answer(wanted)
    headers = {**_SAFE, **answer.headers}
    code = 200
    if isinstance(document, dict):
        headers[NEW_REVISION] = await _write(call, document)
        headers[DOCUMENT_ID] = quote(document["_id"], safe="")
        code = 201
    code = code if answer.code is None else answer.code
    return Response(b"" if code in _WITHOUT_BODY else answer.body, code, headers)


async def _stored(call: Call, docid: str | None) -> bytes:
    winner = None if docid is None else await call.database.winner(docid)
    if winner is None or winner.deleted:
        return b"null"
    return with_members(winner.text, [b'"_revisions":' + winner.revisions])


async def _write(call: Call, value: dict[str, Any]) -> str:
    """The new revision. Raises why the document can't be written."""
    docid = value.get("_id", "")
    if isinstance(docid, str) and docid.startswith(LOCAL_PREFIX):
        return (await write_local(call, docid, value)).rev
    doc = parse_document(value, docid=check_document_id(docid))
    if doc.path is not None:
        doc.parent, doc.path = doc.path.leaf, None
    refuse_following(doc)
    return await write_one(call, doc)


def read_answer(wanted: Any) -> Answer:
    """A function's answer, read. Raises 500 `render_error` for what can't be sent."""
    if isinstance(wanted, str):
        wanted = {"body": wanted}
    if not isinstance(wanted, dict):
        raise _render_error(NO_ANSWER)
    code = wanted.get("code")
    if code is not None and (type(code) is not int or not 200 <= code <= 599):
        raise _render_error("the code must be a number from 200 to 599")
    media_type, body = _body(wanted)
    headers = {"content-type": media_type}
    given = wanted.get("headers", {})
    if not isinstance(given, dict):
        raise _render_error("the headers must be an object")
    for name, value in given.items():
        if not isinstance(value, str) or not _is_header(name, value):
            raise _render_error(f"header {jsontext.quote(name[:100])} can't be sent")
        if name.lower() not in _OURS:
            headers[name.lower()] = value
    return Answer(code, headers, body)


def _body(wanted: dict[str, Any]) -> tuple[str, bytes]:
    """The media type unless the headers say another, and the bytes."""
    if "json" in wanted:
        return _JSON, jsontext.encode(wanted["json"])
    if "base64" in wanted:
        try:
            return _HTML, b64decode(wanted["base64"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise _render_error("`base64` does not hold base64") from None
    if "body" not in wanted:
        return _JSON, b""
    if not isinstance(wanted["body"], str):
        raise _render_error("the body must be a text")
    return _HTML, wanted["body"].encode("utf-8", "replace")


def _is_header(name: str, value: str) -> bool:
    token = name.replace("-", "").replace("_", "")
    if not token.isascii() or not token.isalnum():
        return False
    return all(" " <= char <= "\xff" and char != "\x7f" for char in value)


def _render_error(reason: str) -> ProtocolError:
    return ProtocolError(500, "render_error", reason)
