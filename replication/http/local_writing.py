"""How local documents are written: by PUT, by POST and by COPY.

A local document belongs to one database and is never replicated; replicators keep their checkpoints in
them. Its revision is `0-N`, and a write makes it `0-(N+1)` from whatever `N` the writer brings: CouchDB 3
does not compare it with what is stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from replication.accounts.users import USERS_DATABASE
from replication.http import access
from replication.http.call import Call
from replication.http.document_options import if_match
from replication.http.document_writing import NEEDS_REVISION
from replication.http.responses import etag_of
from replication.protocol import errors, jsontext
from replication.protocol.documents import parse_document, stored_text
from replication.protocol.names import LOCAL_PREFIX, MAX_DOCUMENT_ID_BYTES
from replication.replicator.documents import REPLICATOR_DATABASE

INVALID_ID = "Invalid _local document id."
NO_ATTACHMENTS = "_local documents do not accept attachments."
DELETED_REV = "0-0"

_LOCAL_REV = re.compile(r"0-([0-9]{1,15})", re.ASCII)


@dataclass(frozen=True, slots=True)
class WrittenLocal:
    rev: str
    etag: str
    deleted: bool


def check_local_id(docid: str) -> str:
    """What follows `_local/` in an id. Raises 400 `illegal_docid`."""
    name = docid.removeprefix(LOCAL_PREFIX)
    if not name:
        raise errors.illegal_docid("Illegal document id `_local/`")
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise errors.illegal_docid("Document id must be valid UTF-8") from None
    if size > MAX_DOCUMENT_ID_BYTES:
        raise errors.illegal_docid("Document id is too long")
    if "\x00" in name:
        raise errors.illegal_docid("Document id must not contain a NUL character")
    return name


def parse_local_rev(text: object) -> int:
    """`"0-7"` as 7. Raises 400 `bad_request` for anything else, revisions of other documents included."""
    match = _LOCAL_REV.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise errors.bad_request("Invalid rev format")
    return int(match[1])


def _own_revision(value: dict[str, Any]) -> int | None:
    """The revision in a body. Where `_revisions` is given, as replicators do, it counts over `_rev`."""
    revisions = value.get("_revisions")
    if isinstance(revisions, dict):
        start, ids = revisions.get("start"), revisions.get("ids")
        if type(start) is not int:
            raise errors.doc_validation("_revisions.start isn't an integer.")
        if not isinstance(ids, list):
            raise errors.doc_validation("_revisions.ids isn't a array.")
        if ids:
            return parse_local_rev(f"{start}-{ids[0]}")
    return parse_local_rev(value["_rev"]) if "_rev" in value else None


def agreed_local_revision(in_body: int | None, in_query: str | None, in_header: str | None) -> int | None:
    """As for other documents: body, `?rev=` and `If-Match` must not disagree."""
    query = None if in_query is None else parse_local_rev(in_query)
    if in_body is not None and query is not None and in_body != query:
        raise errors.bad_request("Document rev from request body and query string have different values")
    explicit = query if in_body is None else in_body
    header = None if in_header is None else parse_local_rev(in_header)
    if explicit is not None and header is not None and explicit != header:
        raise errors.bad_request("Document rev and etag have different values")
    return header if explicit is None else explicit


async def store_local(
    call: Call, docid: str, value: dict[str, Any], rev: int | None, *, exact: bool = False
) -> WrittenLocal:
    """Writes, or with `_deleted` deletes, a local document.

    `rev`: the `N` that the write continues, or with `exact` (`new_edits=false`) the one it is to have.
    Attachments are left out without a word, as in CouchDB.
    """
    name = check_local_id(docid)
    is_guarded = call.database.name in (USERS_DATABASE, REPLICATOR_DATABASE)
    if is_guarded and await access.database_admin_refusal(call) is not None:
        # Whoever may only use single documents could still name this one in a batch, or as a copy's target.
        raise errors.forbidden(access.NOT_A_MEMBER)
    bare = {key: item for key, item in value.items() if key not in ("_rev", "_revisions")}
    doc = parse_document(bare, docid=docid)
    if doc.deleted:
        await call.database.delete_local(name)
        return WrittenLocal(DELETED_REV, etag_of(b""), True)
    parent = rev or 0
    if exact:
        if rev is None:
            raise errors.bad_request(NEEDS_REVISION)
        parent -= 1
    new = await call.database.put_local(name, parent, doc.body)
    return WrittenLocal(new, etag_of(stored_text(jsontext.quote(docid), new, False, doc.body, b"")), False)


async def write_local(call: Call, docid: str, value: Any, *, exact: bool = False) -> WrittenLocal:
    """`store_local` of a request's body, with the revision that body, query and header agree on."""
    if not isinstance(value, dict):
        raise errors.bad_request("Document must be a JSON object")
    rev = agreed_local_revision(_own_revision(value), call.query.get("rev"), if_match(call))
    return await store_local(call, docid, value, rev, exact=exact)
