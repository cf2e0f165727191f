"""`Idempotency-Key`: what was asked for under one key is done once, however often it is sent.

A key is one person's. What is kept of a request is its digest and which documents it has written: no text, so
that a repetition shows nothing that its caller may no longer read. A refusal changed nothing and isn't kept:
the repetition is judged anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from starlette.requests import Request

from kompass.api.authentication import call_of
from kompass.api.endpoints import Parameter
from kompass.api.problems import Problem
from kompass.api.services import services_of
from kompass.requests import Kept, RequestsError, Standing
from kompass.resources.writes import MOST_DOCUMENT
from kompass.sync.personal import PersonalDatabase
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.values import Document

MOST_KEY = 200
KEY = Parameter(
    "Idempotency-Key",
    "Under one key it is done once within a day, however often it is sent.",
    {"type": "string", "minLength": 1, "maxLength": MOST_KEY, "pattern": r"^[\x21\x23-\x7e]+$"},
    place="header",
)
_KEY = re.compile(rf'"[\x20\x21\x23-\x7e]{{1,{MOST_KEY}}}"|[\x21\x23-\x7e]{{1,{MOST_KEY}}}')


@dataclass(frozen=True, slots=True)
class Done:
    """What was written."""

    status: int
    """201, 200, or 204 for what was deleted."""
    resource: str
    id: str
    rev: str
    document: Document | None = None
    """With what the server has added to it; None if it is deleted, or out of the caller's sight."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A key that is being worked on."""

    mark: bytes
    """Of the person and the key."""
    digest: bytes
    """Of the request."""
    outcomes: tuple[Kept | None, ...]
    """What was done of it before."""
    is_known: bool
    """Whether it was begun before with this very request, and not ended."""
    number: int = 0
    """Of the operation, if it has several."""

    def of(self, number: int) -> Turn:
        """For one of several operations."""
        return Turn(self.mark, self.digest, self.outcomes, self.is_known, number)

    @property
    def seed(self) -> bytes:
        """16 bytes that the id of a new document follows from."""
        return hashlib.sha256(self.mark + self.number.to_bytes(4, "big")).digest()[:16]

    def made(self, there: Mapping[str, Any], sent: Mapping[str, Any], who: str) -> bool:
        """Whether a document that is there is what the same request has made before: after a crash, or after
        what was kept of it is gone.
        """
        follows = str(there["_id"]).endswith(str(UUID(bytes=self.seed, version=4)))
        if there.get("createdBy") != who or not (follows or self.is_known):
            return False
        if follows and self.is_known:
            return True
        return all(there.get(name) == value for name, value in sent.items() if name[:1] != "_")


async def once(
    request: Request, view: PersonalDatabase, work: Callable[[Turn | None], Awaitable[Done]]
) -> Done:
    """What `work` has done, now or before. Raises 400, 409 and 422 for a key, and what `work` does."""
    turn = await begun(request, view.principal.name)
    if turn is None:
        return await work(None)
    if turn.outcomes and (kept := turn.outcomes[0]) is not None:
        return await again(view, kept)
    async with Working(request, turn) as working:
        done = await work(turn)
        working.outcomes = [kept_of(done)]
    return done


async def begun(request: Request, who: str) -> Turn | None:
    """A turn for the key that a request names; None without one."""
    key = _key(request)
    if key is None:
        return None
    requests = services_of(request).requests
    if requests is None:
        raise Problem(503, "This server keeps no idempotency keys.")
    mark = hashlib.sha256(f"{who}\n{key}".encode()).digest()
    digest = await _digest(request)
    standing, outcomes = await _do(requests.begin, mark, digest)
    if standing is Standing.OTHER:
        raise Problem(422, "This Idempotency-Key was used for another request: take a new one.")
    if standing is Standing.RUNNING:
        text = "The request with this Idempotency-Key is still being worked on: ask again."
        raise Problem(409, text, headers={"retry-after": "1"})
    return Turn(mark, digest, tuple(outcomes), standing is Standing.AGAIN)


class Working:
    """Ends a turn: what was done is kept; after a refusal the key is free, after a failure it is known."""

    def __init__(self, request: Request, turn: Turn) -> None:
        requests = services_of(request).requests
        assert requests is not None
        self._requests = requests
        self._turn = turn
        self.outcomes: Sequence[Kept | None] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        mark = self._turn.mark
        if error is None:
            await _do(self._requests.finish, mark, self.outcomes)
        elif isinstance(error, Problem | ProtocolError) and error.status < 500 and not self._turn.is_known:
            await _do(self._requests.forget, mark)
        else:
            await _do(self._requests.release, mark)


def kept_of(done: Done) -> Kept:
    return Kept(done.status, done.resource, done.id, done.rev)


async def again(view: PersonalDatabase, kept: Kept) -> Done:
    """What was done before, with the document as it was then if the caller may read that."""
    document = await view.winner(kept.id) if kept.status != 204 else None
    if document is not None and document.rev != kept.rev:
        found = await view.revision(kept.id, parse_rev(kept.rev))
        document = found[0] if found else None
    if document is not None and document.deleted:
        document = None
    return Done(kept.status, kept.resource, kept.id, kept.rev, document)


def _key(request: Request) -> str | None:
    given = request.headers.getlist(KEY.name)
    if not given:
        return None
    text = given[0].strip()
    if len(given) > 1 or _KEY.fullmatch(text) is None:
        raise Problem(
            400, f'Idempotency-Key is one text of up to {MOST_KEY} characters: Idempotency-Key: "…".'
        )
    return text.strip('"')


async def _digest(request: Request) -> bytes:
    """Of what makes a request another one."""
    scope = request.scope
    kind, seen = request.headers.get("content-type", ""), request.headers.get("if-match", "")
    said = [request.method.encode(), scope["raw_path"], scope["query_string"], kind.encode(), seen.encode()]
    said.append(await call_of(request).body(MOST_DOCUMENT))
    return hashlib.sha256(b"".join(len(one).to_bytes(8, "big") + one for one in said)).digest()


async def _do(work: Callable[..., Any], *values: Any) -> Any:
    try:
        return await asyncio.to_thread(work, *values)
    except RequestsError as error:
        raise Problem(
            503, f"Idempotency keys can't be looked up: {error}", headers={"retry-after": "5"}
        ) from None
