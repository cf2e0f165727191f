"""Requests of somebody who wants what isn't his, for every endpoint there is.

`couchdb_asks` and `api_asks` have an entry for each route; a test compares them with the tables of routes, so
that a new endpoint is attacked too, or somebody has to say why not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from kompass.sync.opening import DATABASE

UNKNOWN_REV = "1-" + "0" * 32
DB = f"/{DATABASE}"


@dataclass(frozen=True)
class Ask:
    method: str
    path: str
    """As it goes over the wire: escaped already."""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False
    """Whether it may change something: a test that shares its world leaves it out."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.body or ''} {dict(self.headers) or ''}"


@dataclass(frozen=True)
class Target:
    """A document that the one who asks may not read, or one that isn't there."""

    id: str
    rev: str = UNKNOWN_REV
    attachment: str = "secret.txt"
    digest: str = "md5-AAAAAAAAAAAAAAAAAAAAAA=="
    own: str = "contact-none"
    """A document that he may read."""
    user: str = "niemand"
    """Somebody else."""

    @property
    def path(self) -> str:
        return quote(self.id, safe="")


Asks = Iterator[Ask]


def query_of(**parameters: str) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())


def get(
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    head: bool = True,
    headers: Mapping[str, str] | None = None,
    **parameters: str,
) -> Asks:
    given = {**(query or {}), **parameters}
    full = f"{path}?{query_of(**given)}" if given else path
    yield Ask("GET", full, headers=headers or {})
    if head:
        yield Ask("HEAD", full, headers=headers or {})


def post(
    path: str,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    *,
    changes: bool = False,
    **parameters: str,
) -> Asks:
    given = {**(query or {}), **parameters}
    full = f"{path}?{query_of(**given)}" if given else path
    yield Ask("POST", full, {} if body is None else body, changes=changes)


def quoted(text: str) -> str:
    return f'"{text}"'
