"""Pages of a list: the documents of a type that somebody sees, sorted and narrowed.

For each field that anybody sorts by there is an index of its own, made when it is first asked for and kept
up to date by whoever asks; writers do nothing for it. What it lists is looked at once more before it is
shown: it must be a document that he sees now.
"""

from __future__ import annotations

import hashlib
import time
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
from kompass.sync.personal import PersonalDatabase
from replication.protocol import jsontext
from replication.protocol.collation import above, array_prefix, sort_key
from replication.store.interface import DocumentMapper, IndexBehindError
from replication.store.values import Document, IndexEntry

MOST_EXAMINED = 5000
"""Documents that are looked at for one page. With fewer hits by then the page is a short one."""
FEW = 1000
"""Documents of one value that are sorted when they are asked for, by whatever they shall be sorted by."""
MANY_SECONDS = 60.0
"""For so long a value of many documents is taken for one: finding that out means to read them."""
_MOST_KNOWN = 10_000
_many: dict[tuple[str, str, str, Any], float] = {}
"""Until when, of whose view, type, field and value. Whoever is wrong about it goes through the index."""
_AT_ONCE = 1000
_SIGNATURE = "resources/1/"
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
    low = array_prefix([question.resource.type])
    after = None if cursor is None else _opened(question, cursor, low)
    for one in question.filters:
        if one.operator != "eq" or not one.field.sortable or one.field.kind is not Kind.TEXT:
            continue
        if one.field.name == question.sort:
            low = array_prefix([question.resource.type, one.values[0]])
            break
        few = await _few(view, question.resource.type, one)
        if few is not None:
            return _sorted(question, few, after)
    return await _scanned(view, question, low, after)


def picked(document: Document, fields: Sequence[str] | None) -> bytes:
    """The document with these members, and with its id and revision; None: with all of them."""
    if fields is None:
        return document.text
    value = jsontext.decode(document.text)
    return jsontext.encode({name: value[name] for name in ("_id", "_rev", *fields) if name in value})


async def _scanned(view: PersonalDatabase, question: Question, low: bytes, after: IndexEntry | None) -> Page:
    """Goes through the index until the page is full."""
    found: list[tuple[IndexEntry, Document]] = []
    doctype, examined, size = question.resource.type, 0, question.limit + 1
    while len(found) <= question.limit:
        listed = await _listed(view, doctype, question.sort, low, after, question.descending, size)
        found += [one for one in listed if _fits(question, one[1])]
        if len(listed) < size:
            break
        after = listed[-1][0]
        examined += len(listed)
        if examined >= MOST_EXAMINED and len(found) <= question.limit:
            return Page([document for _, document in found], _closed(question, after))
        size = min(2 * size, _AT_ONCE)
    return _page(question, found)


def _sorted(question: Question, documents: Sequence[Document], after: IndexEntry | None) -> Page:
    """The same of a few documents, all of them."""
    key_of = _keys(question.sort)
    found = [
        (IndexEntry(key, document.id), document)
        for document in documents
        if _fits(question, document)
        for key in key_of(orjson.loads(document.text))
    ]
    found.sort(key=lambda one: one[0], reverse=question.descending)
    if after is not None:
        found = [one for one in found if (one[0] < after if question.descending else one[0] > after)]
    return _page(question, found[: question.limit + 1])


def _page(question: Question, found: Sequence[tuple[IndexEntry, Document]]) -> Page:
    shown = found[: question.limit]
    more = len(found) > question.limit
    return Page([document for _, document in shown], _closed(question, shown[-1][0]) if more else None)


async def _few(view: PersonalDatabase, doctype: str, wanted: Filter) -> list[Document] | None:
    """The documents with one value; None if they are many, or were a moment ago."""
    known = (view.principal.name, doctype, wanted.field.name, wanted.values[0])
    if _many.get(known, 0.0) > time.monotonic():
        return None
    low = array_prefix([doctype, wanted.values[0]])
    found = await _listed(view, doctype, wanted.field.name, low, None, False, FEW + 1)
    if len(found) <= FEW:
        return [document for _, document in found]
    while len(_many) >= _MOST_KNOWN:
        del _many[next(iter(_many))]
    _many[known] = time.monotonic() + MANY_SECONDS
    return None


async def _listed(
    view: PersonalDatabase,
    doctype: str,
    field: str,
    low: bytes,
    after: IndexEntry | None,
    descending: bool,
    limit: int,
) -> list[tuple[IndexEntry, Document]]:
    signature = _SIGNATURE + field
    upto = view.update_seq
    while True:
        await view.refresh_index(signature, _keys(field))
        try:
            span = (low, above(low))
            return await view.scan_documents(
                signature, span, seq=upto, after=after, descending=descending, limit=limit, doctype=doctype
            )
        except IndexBehindError:
            continue  # somebody has dropped it since


def _fits(question: Question, document: Document) -> bool:
    return not question.filters or question.matches(orjson.loads(document.text))


# -- indexes ---------------------------------------------------------------------------------------


@cache
def _keys(field: str) -> DocumentMapper:
    """What an index of a field lists: type and value of every document whose type may have it."""
    types = frozenset(doctype for doctype in MODELS if field in fields(doctype))

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


def _opened(question: Question, cursor: str, low: bytes) -> IndexEntry:
    try:
        packed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        digest, rest = packed[:_DIGEST], packed[_DIGEST:]
        length = int.from_bytes(rest[:4], "big")
        key, docid = rest[4 : 4 + length], rest[4 + length :].decode("utf-8")
    except ValueError:
        raise CursorError("This is no cursor: take the one that a page gave you.") from None
    if digest != question.digest:
        raise CursorError("This cursor is of a list with other filters or another order.")
    if len(key) != length or not docid or not low <= key < above(low):
        raise CursorError("This is no cursor: take the one that a page gave you.")
    return IndexEntry(key, docid)
