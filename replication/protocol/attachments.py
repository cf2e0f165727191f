"""Attachments as documents mention them, and what each form must hold.

An entry of `_attachments` comes as data (`{"data": base64}`), as a stub (`{"stub": true}`: keep
what the parent revision has under that name) or as `{"follows": true}` (the bytes come in another
part of a multipart request). Digests are md5 of the stored bytes, as CouchDB writes them:
`md5-` and base64.

Text is stored compressed, by CouchDB's rules: which types, how hard, and a gzip header without a date.
The same bytes then have the same digest in every CouchDB and here, and data that comes a second time is
recognised.
"""

from __future__ import annotations

import binascii
import re
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from hashlib import md5
from typing import TYPE_CHECKING, Any

from replication.protocol import errors
from replication.protocol.names import check_attachment_name

if TYPE_CHECKING:
    from zlib import _Compress

DEFAULT_CONTENT_TYPE = "application/octet-stream"

GZIP_WINDOW = 31
"""`wbits` for data with gzip's own header."""

_GZIP_LEVEL = 8
"""CouchDB's `compression_level`."""

_COMPRESSIBLE = re.compile(
    r"\s*(?:text/.*|application/(?:javascript|json|xml)\s*(?:;.*)?)", re.DOTALL | re.IGNORECASE
)
"""CouchDB's `compressible_types`."""

MAX_REVPOS = 10**15
"""No revision has a higher generation."""


@dataclass(frozen=True, slots=True)
class InlineAttachment:
    """Bytes that came inside the document. `revpos` as given, else the new revision's generation."""

    content_type: str
    data: bytes
    digest: str
    revpos: int | None = None
    encoding: str | None = None
    """`gzip` when `data` is compressed; `length` is then the size before."""
    length: int | None = None


@dataclass(frozen=True, slots=True)
class StubAttachment:
    """What the parent revision has under this name stays. Given members must fit it."""

    digest: str | None = None
    revpos: int | None = None


@dataclass(frozen=True, slots=True)
class FollowingAttachment:
    """The bytes come apart from the document: in a multipart request's later part."""

    content_type: str
    length: int | None
    digest: str | None
    revpos: int | None
    encoding: str | None = None
    encoded_length: int | None = None


@dataclass(frozen=True, slots=True)
class StagedAttachment:
    """Bytes the store has taken already (`Database.stage_attachment`) and not yet tied to a document."""

    token: int
    content_type: str
    digest: str
    length: int
    """Size before encoding, in bytes. Whoever stages encoded bytes sets it: the store does not unpack."""
    stored_length: int
    """Size as stored, in bytes."""
    encoding: str | None = None
    revpos: int | None = None


AttachmentWrite = InlineAttachment | StubAttachment | FollowingAttachment | StagedAttachment


def digest_of(data: bytes) -> str:
    """`md5-` and the base64 of the md5 of `data`."""
    return "md5-" + b64encode(md5(data, usedforsecurity=False).digest()).decode("ascii")


def is_compressible(content_type: str) -> bool:
    """Whether attachments of this type are stored as gzip."""
    return _COMPRESSIBLE.fullmatch(content_type) is not None


def gzip_packer() -> _Compress:
    """Compresses as CouchDB does. The result does not depend on how the data is cut."""
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)


def as_stored(attachment: InlineAttachment) -> InlineAttachment:
    """The attachment, compressed if its type asks for it and it isn't yet."""
    if attachment.encoding is not None or not is_compressible(attachment.content_type):
        return attachment
    packer = gzip_packer()
    packed = packer.compress(attachment.data) + packer.flush()
    return replace(
        attachment, data=packed, digest=digest_of(packed), encoding="gzip", length=len(attachment.data)
    )


def parse_attachments(value: Any) -> dict[str, AttachmentWrite]:
    """An `_attachments` member. Raises 400 for what CouchDB refuses, and for entries it would drop."""
    if not isinstance(value, dict):
        raise errors.doc_validation("Bad special document member: _attachments")
    return {check_attachment_name(name): _parse_entry(name, entry) for name, entry in value.items()}


def _parse_entry(name: str, entry: Any) -> AttachmentWrite:
    if not isinstance(entry, dict):
        raise errors.bad_request(f"Attachment '{name}' must be an object")
    revpos = entry.get("revpos")
    if revpos is not None and (type(revpos) is not int or not 0 <= revpos <= MAX_REVPOS):
        raise errors.doc_validation(f"Invalid revpos of attachment '{name}'")
    digest = entry.get("digest")
    if digest is not None and not isinstance(digest, str):
        raise errors.doc_validation(f"Invalid digest of attachment '{name}'")
    if entry.get("stub") is True:
        return StubAttachment(digest=digest, revpos=revpos)
    content_type = entry.get("content_type", DEFAULT_CONTENT_TYPE)
    if not isinstance(content_type, str) or not content_type.isprintable():
        raise errors.bad_request(f"Invalid content_type of attachment '{name}'")
    if entry.get("follows") is True:
        encoding = entry.get("encoding")
        if encoding not in (None, "gzip", "identity"):
            raise errors.bad_request(f"Unknown encoding of attachment '{name}': only gzip is supported")
        return FollowingAttachment(
            content_type=content_type,
            length=_length(name, entry.get("length")),
            digest=digest,
            revpos=revpos,
            encoding=None if encoding == "identity" else encoding,
            encoded_length=_length(name, entry.get("encoded_length")),
        )
    if "data" not in entry:
        raise errors.bad_request(f"Invalid attachment data for {name}")
    data = _decode_data(name, entry["data"])
    # Digest, length and encoding beside the data are those of the bytes as the peer stores them,
    # and the data comes unpacked. CouchDB ignores them as well.
    return InlineAttachment(content_type=content_type, data=data, digest=digest_of(data), revpos=revpos)


def _length(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise errors.doc_validation(f"Invalid length of attachment '{name}'")
    return value


def _decode_data(name: str, text: Any) -> bytes:
    if not isinstance(text, str):
        raise errors.bad_request(f"Invalid attachment data for {name}")
    try:
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise errors.bad_request(f"Invalid attachment data for {name}") from None
