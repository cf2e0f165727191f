"""Pages of a list: the documents of a type that somebody sees, sorted and narrowed.

For each field that anybody sorts by there is an index of its own, made when it is first asked for and kept
up to date by whoever asks; writers do nothing for it. What it lists is looked at once more before it is
shown: it must be a document that he sees now.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from kompass.domain.kinds import Kind
from kompass.domain.registry import MODELS
from kompass.resources.catalogue import Resource
from kompass.resources.fields import fields
from kompass.resources.filters import Filter
from kompass.resources.spans import bounds
from kompass.sync.index.entries import Listing, Span
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext
from replication.protocol.collation import COLLATION, above, array_prefix, sort_key
from replication.store.interface import DocumentMapper, IndexBehindError
from replication.store.values import Document, IndexEntry

MOST_EXAMINED = 5000
"""Documents that are looked at for one page. With fewer hits by then the page is a short one."""
MOST_INDEXES = 3
"""Filters for which an index is made, beside that of the order: making one takes its time."""
_AT_ONCE = 1000
_DIGEST = 9


class CursorError(ValueError):
    """What was given as a cursor is none of this list."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a list."""

    resource: Resource
    sort: str
    descending: bool
    filters: tuple[Filter, ...]
    limit: int

    @property
    def digest(self) -> bytes:
        """Tells one list from another: a cursor fits one."""
        told = [self.resource.name, self.sort, self.descending]
        told += [[one.field.name, one.operator, one.given] for one in self.filters]
        return hashlib.sha256(orjson.dumps(told)).digest()[:_DIGEST]

    def matches(self, document: Mapping[str, Any]) -> bool:
        return all(one.matches(document) for one in self.filters)


@dataclass(frozen=True, slots=True)
class Page:
    items: Sequence[Document]
    following: str | None
    """Where to go on; None at the end. There may be more though the page isn't full."""


async def page(view: PersonalDatabase, question: Question, cursor: str | None = None) -> Page:
    """The next documents. Raises `CursorError`."""
    listing = _listing(question)
    after = None if cursor is None else _opened(question, cursor, listing.span)
    found: list[tuple[IndexEntry, Document]] = []
    examined, size = 0, question.limit + 1
    while True:
        listed = await _listed(view, listing, after, size)
        found += [one for one in listed if _fits(question, one[1])]
        if len(listed) < size or len(found) > question.limit:
            break
        after = listed[-1][0]
        examined += len(listed)
        if examined >= MOST_EXAMINED:
            return Page([document for _, document in found], _closed(question, after))
        size = min(2 * size, _AT_ONCE)
    shown = found[: question.limit]
    more = len(found) > question.limit
    return Page([document for _, document in shown], _closed(question, shown[-1][0]) if more else None)


def picked(document: Document, fields: Sequence[str] | None) -> bytes:
    """The document with these members, and with its id and revision; None: with all of them."""
    if fields is None:
        return document.text
    value = jsontext.decode(document.text)
    return jsontext.encode({name: value[name] for name in ("_id", "_rev", *fields) if name in value})


def _listing(question: Question) -> Listing:
    """What is left to indexes: the order, and filters by the values of texts and of what it is sorted by."""
    doctype = question.resource.type
    also: list[Span] = []
    low = array_prefix([doctype])
    high = above(low)
    for one in question.filters:
        found = bounds(doctype, one)
        if found is None:
            continue
        if one.field.name == question.sort:
            low, high = max(low, found[0]), min(high, found[1])
        elif one.field.kind is Kind.TEXT and len(also) < MOST_INDEXES:
            also.append(Span(_index(one.field.name), *found))
    return Listing(Span(_index(question.sort), low, high), question.descending, tuple(also), doctype)


async def _listed(
    view: PersonalDatabase, listing: Listing, after: IndexEntry | None, limit: int
) -> list[tuple[IndexEntry, Document]]:
    upto = view.update_seq
    while True:
        for span in (listing.span, *listing.also):
            await view.refresh_index(span.signature, _keys(span.signature.rpartition("/")[2]))
        try:
            return await view.scan_documents(listing, seq=upto, after=after, limit=limit)
        except IndexBehindError:
            continue  # somebody has dropped it since


def _fits(question: Question, document: Document) -> bool:
    return not question.filters or question.matches(orjson.loads(document.text))


# -- indexes ---------------------------------------------------------------------------------------


@cache
def _index(field: str) -> str:
    """The signature of a field's index: a new one when other types have it, or texts sort otherwise."""
    made_of = orjson.dumps([COLLATION, sorted(_types(field))])
    return f"resources/{hashlib.sha256(made_of).hexdigest()[:16]}/{field}"


@cache
def _types(field: str) -> frozenset[str]:
    return frozenset(doctype for doctype in MODELS if field in fields(doctype))


@cache
def _keys(field: str) -> DocumentMapper:
    """What an index of a field lists: type and value of every document whose type may have it."""
    types = _types(field)

    def keys(document: Mapping[str, Any]) -> list[bytes]:
        doctype = document.get("type")
        if not isinstance(doctype, str) or doctype not in types:
            return []
        return [sort_key([doctype, document.get(field)])]

    return keys


# -- cursors ---------------------------------------------------------------------------------------


def _closed(question: Question, entry: IndexEntry) -> str:
    packed = question.digest + len(entry.key).to_bytes(4, "big") + entry.key + entry.id.encode()
    return urlsafe_b64encode(packed).decode("ascii").rstrip("=")


def _opened(question: Question, cursor: str, span: Span) -> IndexEntry:
    try:
        packed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        digest, rest = packed[:_DIGEST], packed[_DIGEST:]
        length = int.from_bytes(rest[:4], "big")
        key, docid = rest[4 : 4 + length], rest[4 + length :].decode("utf-8")
    except ValueError:
        raise CursorError("This is no cursor: take the one that a page gave you.") from None
    if digest != question.digest:
        raise CursorError("This cursor is of a list with other filters or another order.")
    if len(key) != length or not docid or not span.low <= key < span.high:
        raise CursorError("This is no cursor: take the one that a page gave you.")
    return IndexEntry(key, docid)
