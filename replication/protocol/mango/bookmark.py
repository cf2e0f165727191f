"""Bookmarks: where the next page of a query goes on.

A bookmark holds the place of the last row of a page, its key in the index and its document id, and
so stays right when documents come and go. To clients it is an opaque string.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, NamedTuple

from replication.protocol.mango import errors

NIL: Final = "nil"
"""The bookmark of a query that returned nothing."""

_FORMAT = b"kb1"


class Bookmark(NamedTuple):
    """The place of a row: `key` as in the index, empty when documents are scanned by id."""

    key: bytes
    id: str


def read_bookmark(value: Any) -> Bookmark | None:
    """None means the beginning: null, empty or `nil`. Raises a 400 `invalid_bookmark`."""
    if value is None or value in ("", NIL):
        return None
    if not isinstance(value, str):
        raise errors.invalid_bookmark(value)
    try:
        packed = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        if not packed.startswith(_FORMAT):
            raise ValueError("another format")
        size = int.from_bytes(packed[3:7])
        key, docid = packed[7 : 7 + size], packed[7 + size :]
        if len(packed) < 7 + size or not docid:
            raise ValueError("truncated")
        return Bookmark(key, docid.decode("utf-8"))
    except (ValueError, binascii.Error):
        raise errors.invalid_bookmark(value) from None


def write_bookmark(bookmark: Bookmark | None) -> str:
    """The string to send; reading it gives `bookmark` back."""
    if bookmark is None:
        return NIL
    packed = _FORMAT + len(bookmark.key).to_bytes(4) + bookmark.key + bookmark.id.encode("utf-8")
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")
