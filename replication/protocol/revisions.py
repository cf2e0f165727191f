"""Revision ids: `3-0f1e…`, a generation and a hash.

Inside the package a revision is the tuple `(generation, hash)`; on the wire it is the text.
Peers never recompute an id, so any deterministic hash will do, as long as the same edit of the
same parent gives the same id on every node of ours: `new_revision_hash` is an md5 over the
deletion flag, the parent, the attachments and the body in compact JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import md5
from typing import NamedTuple

from replication.protocol import errors

Rev = tuple[int, str]
"""A revision: generation (from 1) and hash. Tuples sort as CouchDB sorts revisions."""

_USUAL_HASH = re.compile("[0-9a-f]{32}")
_HEX32 = re.compile(r"[0-9a-fA-F]{32}")
_PLAIN_HASH = re.compile(r"[!#-\[\]-~]{0,255}")
_MAX_GENERATION_DIGITS = 15
_USUAL = re.compile(r"([1-9][0-9]{0,14})-([0-9a-f]{32})", re.ASCII)
"""What nearly every revision looks like: nothing to check or to change."""


class Path(NamedTuple):
    """A revision with its ancestors, newest first: what `_revisions` says on the wire."""

    start: int
    ids: Sequence[str]

    @property
    def leaf(self) -> Rev:
        return (self.start, self.ids[0])

    def revisions(self) -> list[Rev]:
        start = self.start
        return [(start - i, h) for i, h in enumerate(self.ids)]


def normal_hash(text: object) -> str:
    """The hash part of a revision id as it is stored.

    Printable ASCII without blanks, quotes and backslashes, at most 255 characters, none as well
    (`1-` is a revision for CouchDB and PouchDB). 32 characters are hex digits and lowered, because
    CouchDB keeps those as 16 bytes and knows no others of that length.
    """
    if isinstance(text, str) and _USUAL_HASH.fullmatch(text) is not None:
        return text
    if not isinstance(text, str) or _PLAIN_HASH.fullmatch(text) is None:
        raise errors.bad_request("Invalid rev format")
    if len(text) == 32:
        if _HEX32.fullmatch(text) is None:
            raise errors.bad_request("Invalid rev format")
        return text.lower()
    return text


def parse_rev(text: object) -> Rev:
    """`"3-abc"` as `(3, "abc")`. Raises 400 `bad_request` for anything else."""
    if not isinstance(text, str):
        raise errors.bad_request("Invalid rev format")
    usual = _USUAL.fullmatch(text)
    if usual is not None:
        return int(usual[1]), usual[2]
    generation, dash, digest = text.partition("-")
    if not dash or not (generation.isascii() and generation.isdigit()):
        raise errors.bad_request("Invalid rev format")
    if len(generation) > _MAX_GENERATION_DIGITS:
        raise errors.bad_request("Invalid rev format")
    number = int(generation)
    if number < 1:
        raise errors.bad_request("Invalid rev format")
    return number, normal_hash(digest)


def format_rev(rev: Rev) -> str:
    return f"{rev[0]}-{rev[1]}"


def parse_revisions(value: object) -> Path:
    """A `_revisions` member: `{"start": N, "ids": [newest, …]}`.

    Raises 400 `doc_validation` for other shapes, for more ids than generations, and for an empty list.
    """
    if not isinstance(value, dict):
        raise errors.doc_validation("Bad special document member: _revisions")
    start, ids = value.get("start"), value.get("ids")
    if not isinstance(start, int) or isinstance(start, bool):
        raise errors.doc_validation("_revisions.start isn't an integer.")
    if not isinstance(ids, list):
        raise errors.doc_validation("_revisions.ids isn't a array.")
    if not ids:
        raise errors.doc_validation("_revisions.ids must not be empty.")
    if start < len(ids) or start >= 10**_MAX_GENERATION_DIGITS:
        raise errors.doc_validation("_revisions.start does not fit the number of _revisions.ids.")
    hashes = []
    for item in ids:
        if not isinstance(item, str):
            raise errors.doc_validation("RevId isn't a string")
        hashes.append(normal_hash(item))
    return Path(start, hashes)


def new_revision_hash(
    parent: Rev | None,
    deleted: bool,
    body: bytes,
    attachments: Iterable[tuple[str, str, str]] = (),
) -> str:
    """32 hex digits for an edit.

    `body` is the JSON object without `_` members; `attachments` are (name, content type, digest).
    """
    head = f"{1 if deleted else 0},{format_rev(parent) if parent else ''},"
    for name, content_type, digest in sorted(attachments):
        head += f"{name}\x00{content_type}\x00{digest}\x00"
    return md5(head.encode("utf-8", "surrogatepass") + body, usedforsecurity=False).hexdigest()
