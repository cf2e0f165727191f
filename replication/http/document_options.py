"""What a reader of documents may ask for in the query, and which revision a writer means.

CouchDB ignores what it does not understand here: `revs=maybe` is no error, it is not `true`. Only
revisions are checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from replication.http.call import Call
from replication.http.params import Query, json_value
from replication.protocol import errors
from replication.protocol.revisions import Rev, parse_rev


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How documents are to be read; the names are the query parameters'."""

    rev: Rev | None = None
    open_revs: tuple[Rev, ...] | Literal["all"] = ()
    revs: bool = False
    revs_info: bool = False
    conflicts: bool = False
    deleted_conflicts: bool = False
    local_seq: bool = False
    latest: bool = False
    deleted: bool = False
    """A winner that is a tombstone is answered too."""
    attachments: bool = False
    """Attachments come as base64 inside the document."""
    att_encoding_info: bool = False
    atts_since: tuple[Rev, ...] | None = None
    """Of the attachments, only those that are newer than the nearest of these ancestors."""

    @property
    def rewrites_attachments(self) -> bool:
        """Whether the stubs in the stored text are not what the reader wants."""
        return self.attachments or self.att_encoding_info


def read_options(query: Query) -> ReadOptions:
    """Raises 400 `bad_request` for revisions that are none."""
    meta = query.get("meta") == "true"
    rev = query.get("rev")
    open_revs: tuple[Rev, ...] | Literal["all"] = ()
    if "open_revs" in query:
        open_revs = "all" if query["open_revs"] == "all" else revision_list(json_value(query, "open_revs"))
    atts_since = revision_list(json_value(query, "atts_since")) if "atts_since" in query else None
    return ReadOptions(
        rev=None if rev is None else parse_rev(rev),
        open_revs=open_revs,
        revs=query.get("revs") == "true",
        revs_info=meta or query.get("revs_info") == "true",
        conflicts=meta or query.get("conflicts") == "true",
        deleted_conflicts=meta or query.get("deleted_conflicts") == "true",
        local_seq=query.get("local_seq") == "true",
        latest=query.get("latest") == "true",
        deleted=query.get("deleted") == "true",
        attachments=query.get("attachments") == "true" or atts_since is not None,
        att_encoding_info=query.get("att_encoding_info") == "true",
        atts_since=atts_since,
    )


def revision_list(value: Any) -> tuple[Rev, ...]:
    """A JSON array of revisions. Raises 400 `bad_request` for anything else."""
    if not isinstance(value, list):
        raise errors.bad_request("Invalid list of revisions")
    return tuple([parse_rev(item) for item in value])


def if_match(call: Call) -> str | None:
    """The revision in `If-Match`, quoted or not."""
    header = call.headers.get("if-match")
    return None if header is None else header.strip().removeprefix("W/").strip('"')


def agreed_revision(call: Call, in_body: Rev | None = None) -> Rev | None:
    """The revision that a write replaces, from body, `?rev=` and `If-Match`, which must not disagree.

    Raises 400 `bad_request` if they do, or if one is no revision.
    """
    text = call.query.get("rev")
    in_query = None if text is None else parse_rev(text)
    if in_body is not None and in_query is not None and in_body != in_query:
        raise errors.bad_request("Document rev from request body and query string have different values")
    explicit = in_query if in_body is None else in_body
    text = if_match(call)
    in_header = None if text is None else parse_rev(text)
    if explicit is not None and in_header is not None and explicit != in_header:
        raise errors.bad_request("Document rev and etag have different values")
    return in_header if explicit is None else explicit
