"""Documents as resources: lists, reading and writing, actions, attachments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from kompass.client.connection import PREFIX, Connection, new_key, told

Members = Mapping[str, Any]

Value = str | int | float | bool
Filters = Mapping[str, Value | Sequence[Value]]
"""`{"rating": "A", "modifiedAt.gt": "2026-01-01", "status.in": ["sent", "viewed"]}`"""

_PATCH = {"content-type": "application/merge-patch+json"}


class Document(dict[str, Any]):
    """What the server has of one: a dictionary of its members, with `_id` and `_rev`."""

    @property
    def id(self) -> str:
        return str(self["_id"])

    @property
    def rev(self) -> str:
        """The revision that was read: a change of the document says that it has been seen."""
        return str(self["_rev"])


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    items: Sequence[Document]
    next: str | None
    """The cursor of the next one; None at the end."""


@dataclass(frozen=True, slots=True)
class Action:
    """A step that the caller may take with a document."""

    name: str
    to: str | None
    """The status that it leads to."""
    needs: tuple[str, ...]
    """Members that the document must have then."""


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content_type: str
    length: int
    """Bytes."""
    digest: str


class Resource:
    """A type of documents. Everything raises `ProblemError` and `UnreachableError`.

    What writes has an idempotency key: `key`, or a new one. It is done once, though it may be sent again.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name

    # -- reading -----------------------------------------------------------------------------------

    def list(
        self,
        where: Filters | None = None,
        *,
        sort: str | None = None,
        fields: Iterable[str] | None = None,
        page_size: int = 200,
    ) -> Iterator[Document]:
        """All that fit, page by page as they are read. `sort`: a field, `-` in front for descending."""
        cursor = None
        while True:
            page = self.page(where, sort=sort, fields=fields, limit=page_size, cursor=cursor)
            yield from page.items
            if page.next is None:
                return
            cursor = page.next

    def page(
        self,
        where: Filters | None = None,
        *,
        sort: str | None = None,
        fields: Iterable[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """One page; it may have fewer than `limit` and not be the last."""
        params: dict[str, str] = {name: _value(value) for name, value in (where or {}).items()}
        params["limit"] = str(limit)
        if sort is not None:
            params["sort"] = sort
        if fields is not None:
            params["fields"] = ",".join(fields)
        if cursor is not None:
            params["cursor"] = cursor
        found = told(self._connection.ask("GET", self._address(), params=params))
        return Page([Document(one) for one in found["items"]], found["next"])

    def get(self, docid: str, *, fields: Iterable[str] | None = None) -> Document:
        params = None if fields is None else {"fields": ",".join(fields)}
        return Document(told(self._connection.ask("GET", self._address(docid), params=params)))

    def actions(self, docid: str) -> Sequence[Action]:
        """The next steps that the caller may take."""
        found = told(self._connection.ask("GET", self._address(docid, "actions")))
        return [Action(one["name"], one["to"], tuple(one["needs"])) for one in found["actions"]]

    def history(self, docid: str) -> Iterator[Mapping[str, Any]]:
        """Its entries in the chain of writes, the latest first."""
        before: dict[str, str] = {}
        while True:
            params = {"limit": "200", **before}
            found = told(self._connection.ask("GET", self._address(docid, "history"), params=params))
            yield from found["entries"]
            if "next" not in found:
                return
            before = {"before": str(found["next"])}

    def comments(self, docid: str) -> Iterator[Document]:
        """Those about it, the latest first."""
        params: dict[str, str] = {"limit": "200"}
        while True:
            found = told(self._connection.ask("GET", self._address(docid, "comments"), params=params))
            yield from map(Document, found["items"])
            if found["next"] is None:
                return
            params["cursor"] = found["next"]

    # -- writing -----------------------------------------------------------------------------------

    def create(self, members: Members, *, key: str | None = None) -> Document:
        """A new document, as the server has it."""
        return self._written("POST", self._address(), members, {}, key)

    def replace(self, document: Document, *, key: str | None = None) -> Document:
        """The document anew, if it is still the one that was read."""
        return self._written("PUT", self._address(document.id), document, _seen(document.rev), key)

    def update(
        self, document: Document | str, changes: Members, *, rev: str | None = None, key: str | None = None
    ) -> Document:
        """Some of its members; None takes one away. With an id alone: whatever it says now, unless `rev` is
        given.
        """
        docid, headers = _which(document, rev)
        return self._written("PATCH", self._address(docid), changes, {**headers, **_PATCH}, key)

    def delete(self, document: Document | str, *, rev: str | None = None, key: str | None = None) -> None:
        docid, headers = _which(document, rev)
        self._connection.ask("DELETE", self._address(docid), headers=headers, key=key or new_key())

    def act(
        self,
        document: Document | str,
        action: str,
        members: Members | None = None,
        *,
        rev: str | None = None,
        key: str | None = None,
    ) -> Document:
        """Takes a step, as `send` of an offer, with members that go with it."""
        docid, headers = _which(document, rev)
        return self._written("POST", self._address(docid, "actions", action), members or {}, headers, key)

    def comment(self, docid: str, content: str, *, key: str | None = None) -> Document:
        return self._written("POST", self._address(docid, "comments"), {"content": content}, {}, key)

    # -- attachments -------------------------------------------------------------------------------

    def attachments(self, docid: str) -> Sequence[Attachment]:
        found = told(self._connection.ask("GET", self._address(docid, "attachments")))
        return [
            Attachment(one["name"], one["contentType"], one["length"], one["digest"])
            for one in found["attachments"]
        ]

    def attachment(self, docid: str, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """`with resource.attachment(…) as pieces:` reads it piece by piece."""
        return self._connection.stream("GET", self._address(docid, "attachments", name))

    def attach(
        self,
        document: Document | str,
        name: str,
        content: bytes | Iterator[bytes],
        content_type: str = "application/octet-stream",
        *,
        rev: str | None = None,
    ) -> str:
        """Stores it. The document's new revision. It isn't sent a second time if the connection is lost."""
        docid, headers = _which(document, rev)
        headers["content-type"] = content_type
        address = self._address(docid, "attachments", name)
        return str(told(self._connection.ask("PUT", address, content=content, headers=headers))["rev"])

    def detach(self, document: Document | str, name: str, *, rev: str | None = None) -> str:
        """Removes it. The document's new revision."""
        docid, headers = _which(document, rev)
        address = self._address(docid, "attachments", name)
        return str(told(self._connection.ask("DELETE", address, headers=headers))["rev"])

    def _address(self, *parts: str) -> str:
        return "/".join([f"{PREFIX}/{self.name}", *(quote(part, safe="") for part in parts)])

    def _written(
        self, method: str, address: str, members: Members, headers: Mapping[str, str], key: str | None
    ) -> Document:
        answer = self._connection.ask(method, address, json=members, headers=headers, key=key or new_key())
        return Document(told(answer))


def _seen(rev: str | None) -> dict[str, str]:
    return {"if-match": "*" if rev is None else f'"{rev}"'}


def _which(document: Document | str, rev: str | None) -> tuple[str, dict[str, str]]:
    if isinstance(document, str):
        return document, _seen(rev)
    return document.id, _seen(rev or document.rev)


def _value(value: Value | Sequence[Value]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return ",".join(_value(one) for one in value)
