"""Many documents in one request: what replicators live on.

`_bulk_docs` writes a batch, `_bulk_get` reads one, `_revs_diff` and `_missing_revs` tell a peer
which revisions are worth sending. A fault of one document is a row of the answer; a body that isn't
what the endpoint takes fails the request, and nothing is changed then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from replication.http.attachment_stubs import check_stubs
from replication.http.bulk_get import bulk_get
from replication.http.call import Call
from replication.http.document_writing import NEEDS_REVISION, refuse_following
from replication.http.local_writing import check_local_id, parse_local_rev, store_local
from replication.http.responses import json_response
from replication.http.root import new_uuid
from replication.http.turns import Turns
from replication.http.writing import Outcome, write_documents
from replication.protocol import errors, jsontext
from replication.protocol.documents import MAX_DOCUMENT_SIZE, DocumentWrite, parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.names import LOCAL_PREFIX
from replication.protocol.partitions import check_asked_id, check_partitioned_id
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev
from replication.store.values import Missing

MAX_DOCUMENTS = 50_000
"""Documents of one `_bulk_docs`. CouchDB 3.5.0 has no such limit; a document of two bytes takes thousands
of bytes here while it is written."""

_LOOKED_UP = 2000
"""Revisions that are compared in one go."""

__all__ = ["bulk_docs", "bulk_get", "missing_revs", "revs_diff"]


async def bulk_docs(call: Call) -> Response:
    """`POST /{db}/_bulk_docs`: writes documents, each one judged by itself.

    With `new_edits` (the default) the answer has a row for each document, in order; without, the
    revisions are stored as they are given and the answer lists only those that were refused.
    """
    call.require_json()
    body, sound = await _bulk_body(call)
    if "docs" not in body:
        raise errors.bad_request("POST body must include `docs` parameter.")
    values = body["docs"]
    if not isinstance(values, list):
        raise errors.bad_request("`docs` parameter must be an array.")
    if len(values) > MAX_DOCUMENTS:
        raise errors.too_many_documents(MAX_DOCUMENTS)
    new_edits = body.get("new_edits", True)
    if not isinstance(new_edits, bool):
        raise errors.bad_request("`new_edits` parameter must be a boolean.")
    refused: list[dict[str, Any]] = []
    if call.database.guarded and not new_edits:
        docs, values, refused = await _parse_push(values, sound)
    else:
        docs = [_parse(value, MAX_DOCUMENT_SIZE) for value in values]
    if call.database.partitioned:
        for doc in docs:
            check_partitioned_id(doc.id)
    if new_edits:
        _as_edits(docs)
        if body.get("all_or_nothing") is True:
            return json_response([_not_atomic(doc) for doc in docs], 417)
    else:
        _as_revisions(docs)
    await check_stubs(call.database, docs, replicated=not new_edits)
    outcomes = await _write(call, docs, values, replicated=not new_edits)
    if new_edits:
        rows = [_edit_row(doc, outcome) for doc, outcome in zip(docs, outcomes, strict=True)]
    else:
        rows = refused + [
            _refusal_row(doc, outcome)
            for doc, outcome in zip(docs, outcomes, strict=True)
            if isinstance(outcome, ProtocolError)
        ]
    return json_response(rows, 201)


async def _bulk_body(call: Call) -> tuple[dict[str, Any], bool]:
    """The body, and whether all of its texts are sound: in a push each document answers for itself."""
    try:
        return await call.json_object(), True
    except ProtocolError as error:
        if not call.database.guarded or error.status == 413:
            raise
        value = jsontext.decode_unpaired(await call.body())
        if type(value) is not dict or value.get("new_edits") is not False:
            raise
        return value, False


def _parse(value: Any, most: int | None) -> DocumentWrite:
    try:
        doc = parse_document(value, most=most)
    except ProtocolError:
        if type(value) is dict and _is_local(value.get("_id")):
            return _parse_local(value)
        raise
    if not doc.id:
        if "_id" in value:
            raise errors.illegal_docid("Document id must be a string")
        doc.id = new_uuid()
    if doc.attachments:
        refuse_following(doc)
    return doc


async def _parse_push(
    values: list[Any], sound: bool
) -> tuple[list[DocumentWrite], list[Any], list[dict[str, Any]]]:
    """What a device pushes to a guarded database: documents, what they were parsed from, refused rows.

    A request that fails because of one document would stop the device's replication for good, with everything
    else that it has. What guards the database refuses what can be read of a malformed document, and keeps it;
    of what is no document at all, or has no place, only the row says so.
    """
    docs, parsed, refused = [], [], []
    turns = Turns()
    await turns.next()  # to decode them took its time
    for value in values:
        if turns.over():
            await turns.next()
        try:
            if not sound:
                jsontext.encode(value)
            doc = _as_revision(_parse(value, None))
        except ProtocolError as error:
            rest = _readable(value, error.reason)
            if rest is None:
                refused.append(_malformed_row(value, error.reason))
                continue
            doc = rest
        docs.append(doc)
        parsed.append(value)
    return docs, parsed, refused


def _readable(value: Any, why: str) -> DocumentWrite | None:
    """What can be read of a malformed document; None without an id and a revision."""
    if type(value) is not dict or _is_local(value.get("_id")):
        return None
    for names in (("_id", "_rev", "_revisions", "_deleted", "_attachments"), ("_id", "_rev", "_revisions")):
        kept = {name: member for name, member in value.items() if name[:1] != "_" or name in names}
        try:
            rest = jsontext.decode(jsontext.encode_readable(kept))
            if rest.get("_id") != value.get("_id"):
                return None
            doc = _as_revision(_parse(rest, None))
        except ProtocolError:
            continue
        doc.malformed = why
        return doc
    return None


def _malformed_row(value: Any, why: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": None, "error": "forbidden", "reason": why}
    if type(value) is dict:
        for name, member in (("id", "_id"), ("rev", "_rev")):
            if isinstance(value.get(member), str):
                row[name] = value[member].encode("utf-8", "replace").decode()
    return row


def _is_local(docid: Any) -> bool:
    return isinstance(docid, str) and docid.startswith(LOCAL_PREFIX)


def _parse_local(value: dict[str, Any]) -> DocumentWrite:
    """A local document in a batch; `parent` is its `0-N`."""
    check_local_id(value["_id"])
    bare = {name: member for name, member in value.items() if name not in ("_rev", "_revisions")}
    doc = parse_document(bare, docid=value["_id"])
    doc.attachments = {}  # a local document has none: they are left out
    if "_rev" in value:
        doc.parent = (0, str(parse_local_rev(value["_rev"])))
    return doc


def _as_edits(docs: list[DocumentWrite]) -> None:
    """What an edit continues is the newest of its `_revisions`, where it has them."""
    for doc in docs:
        if doc.path is not None:
            doc.parent, doc.path = doc.path.leaf, None


def _as_revisions(docs: list[DocumentWrite]) -> None:
    for doc in docs:
        _as_revision(doc)


def _as_revision(doc: DocumentWrite) -> DocumentWrite:
    if doc.path is None:
        if doc.parent is None:
            raise errors.bad_request(NEEDS_REVISION)
        doc.path = Path(doc.parent[0], (doc.parent[1],))
    return doc


async def _write(
    call: Call, docs: list[DocumentWrite], values: list[Any], *, replicated: bool
) -> list[Outcome]:
    local = {place for place, doc in enumerate(docs) if doc.id[:1] == "_" and _is_local(doc.id)}
    if not local:
        return await write_documents(call, docs, replicated=replicated)
    ordinary = [doc for place, doc in enumerate(docs) if place not in local]
    written = iter(await write_documents(call, ordinary, replicated=replicated))
    return [
        await _write_local(call, doc, values[place], replicated=replicated)
        if place in local
        else next(written)
        for place, doc in enumerate(docs)
    ]


async def _write_local(call: Call, doc: DocumentWrite, value: Any, *, replicated: bool) -> str:
    rev = int(doc.parent[1]) if doc.parent else None
    return (await store_local(call, doc.id, value, rev, exact=replicated)).rev


def _edit_row(doc: DocumentWrite, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, ProtocolError):
        return {"id": doc.id, "error": outcome.error, "reason": outcome.reason}
    return {"ok": True, "id": doc.id, "rev": outcome}


def _refusal_row(doc: DocumentWrite, outcome: ProtocolError) -> dict[str, Any]:
    assert doc.path is not None
    return {
        "id": doc.id,
        "rev": format_rev(doc.path.leaf),
        "error": outcome.error,
        "reason": outcome.reason,
    }


def _not_atomic(doc: DocumentWrite) -> dict[str, Any]:
    return {
        "id": doc.id,
        "rev": format_rev(doc.parent) if doc.parent else "0-",
        "error": "not_implemented",
        "reason": "all_or_nothing is not supported",
    }


async def revs_diff(call: Call) -> Response:
    """`POST /{db}/_revs_diff`: what of the asked isn't here, and the leaves it may descend from."""
    found = await _missing(call)
    return json_response(
        {
            docid: {"missing": answer.missing, "possible_ancestors": answer.possible_ancestors}
            if answer.possible_ancestors
            else {"missing": answer.missing}
            for docid, answer in found.items()
        }
    )


async def missing_revs(call: Call) -> Response:
    """`POST /{db}/_missing_revs`: the old form of `_revs_diff`."""
    found = await _missing(call)
    return json_response({"missing_revs": {docid: answer.missing for docid, answer in found.items()}})


async def _missing(call: Call) -> dict[str, Missing]:
    """The answer for all documents, looked up some at a time, so that others have their turn."""
    database = call.database
    found: dict[str, Missing] = {}
    pieces = list(_pieces(await _asked_revisions(call)))
    for some in pieces:
        for docid, answer in (await database.missing_revisions(some)).items():
            before = found.get(docid)
            if before is not None:
                # Ancestors are those below the highest missing one, so each piece has a part of them.
                ancestors = dict.fromkeys((*before.possible_ancestors, *answer.possible_ancestors))
                answer = Missing([*before.missing, *answer.missing], list(ancestors))
            found[docid] = answer
        if len(pieces) > 1:
            await asyncio.sleep(0)
    return found


def _pieces(asked: Mapping[str, Sequence[Rev]]) -> Iterator[dict[str, Sequence[Rev]]]:
    """The same, at most `_LOOKED_UP` revisions at a time."""
    piece: dict[str, Sequence[Rev]] = {}
    room = _LOOKED_UP
    for docid, revs in asked.items():
        for start in range(0, len(revs), _LOOKED_UP):
            some = revs[start : start + _LOOKED_UP]
            if len(some) > room:
                yield piece
                piece, room = {}, _LOOKED_UP
            piece[docid] = some
            room -= len(some)
    if piece:
        yield piece


async def _asked_revisions(call: Call) -> dict[str, list[Rev]]:
    call.require_json()
    asked: dict[str, list[Rev]] = {}
    turns = Turns()
    for docid, revs in (await call.json_object(exact=False)).items():
        if type(revs) is not list:
            raise errors.bad_request(f"The revisions of `{docid}` must be an array of strings.")
        if revs:
            asked[docid] = []
        for rev in revs:
            if turns.over():
                await turns.next()
            asked[docid].append(parse_rev(rev))
    if call.database.partitioned:
        for docid in asked:
            check_asked_id(docid)
    return asked
