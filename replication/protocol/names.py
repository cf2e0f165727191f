"""What databases, documents and attachments may be called."""

from __future__ import annotations

import re

from replication.protocol import errors

_DATABASE = re.compile(r"[a-z][a-z0-9_$()+/-]*")
MAX_DATABASE_NAME = 238
SYSTEM_DATABASES = frozenset({"_users", "_replicator", "_global_changes"})

DESIGN_PREFIX = "_design/"
LOCAL_PREFIX = "_local/"
MAX_DOCUMENT_ID_BYTES = 7168


def check_database_name(name: str) -> str:
    """`name` if it may be a database's, else 400 `illegal_database_name`."""
    if name in SYSTEM_DATABASES:
        return name
    if len(name) > MAX_DATABASE_NAME:
        raise errors.database_name_too_long(name)
    if _DATABASE.fullmatch(name) is None:
        raise errors.illegal_database_name(name)
    return name


def check_document_id(docid: object) -> str:
    """`docid` if a replicated document may have it, else 400 `illegal_docid`.

    `_local/` documents have rules of their own and are refused here.
    """
    if not isinstance(docid, str):
        raise errors.illegal_docid("Document id must be a string")
    if not docid:
        raise errors.illegal_docid("Document id must not be empty")
    if docid[0] == "_":
        if docid == DESIGN_PREFIX:
            raise errors.illegal_docid("Illegal document id `_design/`")
        if not docid.startswith(DESIGN_PREFIX):
            raise errors.illegal_docid("Only reserved document ids may start with underscore.")
    # Four bytes is the longest character: only then is counting needed.
    if len(docid) * 4 > MAX_DOCUMENT_ID_BYTES or not docid.isascii():
        try:
            size = len(docid.encode("utf-8"))
        except UnicodeEncodeError:
            raise errors.illegal_docid("Document id must be valid UTF-8") from None
        if size > MAX_DOCUMENT_ID_BYTES:
            raise errors.illegal_docid("Document id is too long")
    if "\x00" in docid:
        raise errors.illegal_docid("Document id must not contain a NUL character")
    return docid


def check_attachment_name(name: str) -> str:
    """`name` if an attachment may have it, else 400 `bad_request`."""
    if not name:
        raise errors.bad_request("Attachment name must not be empty")
    if name[0] == "_":
        raise errors.bad_request(f"Attachment name '{name}' starts with prohibited character '_'")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise errors.bad_request("Attachment name is not UTF-8 encoded") from None
    return name
