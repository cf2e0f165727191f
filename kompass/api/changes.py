"""Writing documents as resources: one change at a time, whether it came alone or among others.

Everything passes the gate, and raises `Problem`.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

import orjson
from starlette.requests import Request

from kompass.api.once import Done, Turn, again
from kompass.api.problems import Problem, pointer
from kompass.api.refusals import problem
from kompass.api.services import services_of
from kompass.domain.stamps import timestamp
from kompass.requests import Kept
from kompass.resources import actions, writes
from kompass.resources.catalogue import Resource
from kompass.resources.writes import UnfitError
from kompass.sync.personal import PersonalDatabase
from kompass.sync.refusals import RefusedError
from replication.protocol.attachments import AttachmentWrite
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.values import Document

ABSENT = "There is no such document, or none that you may read."

T = TypeVar("T")
Members = dict[str, Any]
Attached = Mapping[str, AttachmentWrite]
"""By name."""

_TAG = re.compile(r'"[^"]*"')
"""Of an `ETag`, which is strong: `W/"…"` is one that something in between has weakened."""
_ATTEMPTS = 12
"""At a change of whatever is there, while others change it, too."""
_PAUSE = 0.02
"""Seconds, after the first of them."""


async def create(
    request: Request, view: PersonalDatabase, resource: Resource, sent: Members, turn: Turn | None
) -> Done:
    """A new document. Under a key its id follows from that: a repetition finds what was made."""
    gate = services_of(request).gate_now()
    seed = None if turn is None else turn.seed
    try:
        write = writes.created(resource, sent, view.principal.name, gate.now(), seed)
    except UnfitError as error:
        raise _unfit(error) from None
    there = await view.winner(write.id)
    if there is not None:
        if turn is not None and turn.made(orjson.loads(there.text), sent, view.principal.name):
            return Done(201, resource.name, there.id, there.rev, there)
        if there.deleted:
            raise Problem(409, f"There was a document {write.id}, which was deleted: take another id.")
        raise Problem(409, f"There is a document {write.id} already.")
    return await written(request, view, resource, write, 201)


async def replace(
    request: Request,
    view: PersonalDatabase,
    resource: Resource,
    docid: str,
    tags: Collection[str],
    sent: Members,
) -> Done:
    """The document anew. `tags`: revisions that were seen, as `If-Match` names them."""

    async def work() -> Done:
        return await _changed(request, view, resource, await seen(view, resource, docid, tags), sent)

    return await whichever(request, docid, tags, work)


async def patch(
    request: Request,
    view: PersonalDatabase,
    resource: Resource,
    docid: str,
    tags: Collection[str],
    patch: Members,
) -> Done:
    """Some of its members."""

    async def work() -> Done:
        stored = await seen(view, resource, docid, tags)
        return await _changed(request, view, resource, stored, writes.merged(stored, patch))

    return await whichever(request, docid, tags, work)


async def remove(
    request: Request, view: PersonalDatabase, resource: Resource, docid: str, tags: Collection[str]
) -> Done:
    async def work() -> Done:
        stored = await seen(view, resource, docid, tags)
        return await written(request, view, resource, writes.removed(stored), 204)

    return await whichever(request, docid, tags, work)


async def attach(
    request: Request,
    view: PersonalDatabase,
    resource: Resource,
    docid: str,
    tags: Collection[str],
    change: Callable[[Attached], Attached],
    status: int,
) -> Done:
    """Another version with the same members. `change`: what is attached to it, of what is now."""

    async def work() -> Done:
        stored = await seen(view, resource, docid, tags)
        return await _changed(request, view, resource, stored, writes.merged(stored, {}), change, status)

    return await whichever(request, docid, tags, work)


async def act(
    request: Request,
    view: PersonalDatabase,
    resource: Resource,
    docid: str,
    tags: Collection[str],
    name: str,
    sent: Members,
) -> Done:
    """Takes a step; `sent`: members that go with it. A step that was taken isn't taken again."""

    async def work() -> Done:
        stored = await seen(view, resource, docid, tags)
        if name not in actions.names(resource.type):
            known = ", ".join(actions.names(resource.type)) or "none"
            raise Problem(404, f"There is no action {name[:40]} for {resource.name}; there are: {known}.")
        taken = actions.taken(resource.type, name, orjson.loads(stored.text))
        if taken is not None:
            raise problem(request, RefusedError(taken))
        at = timestamp(services_of(request).gate_now().now())
        changed = writes.merged(stored, actions.patch(resource.type, name, sent, at))
        return await _changed(request, view, resource, stored, changed)

    return await whichever(request, docid, tags, work)


async def found(view: PersonalDatabase, resource: Resource, docid: str) -> Document:
    """Raises 404."""
    document = await view.winner(docid) if not docid.startswith("_") else None
    if document is None or document.deleted or orjson.loads(document.text).get("type") != resource.type:
        raise Problem(404, ABSENT)
    return document


async def seen(view: PersonalDatabase, resource: Resource, docid: str, tags: Collection[str]) -> Document:
    """The document, if its caller has seen it as it is. Raises 404, 412 and 428."""
    document = await found(view, resource, docid)
    if not tags:
        raise Problem(428, 'Say with If-Match which revision you have seen: If-Match: "REV", or "*" for any.')
    if "*" not in tags and f'"{document.rev}"' not in tags:
        strange = next((tag for tag in tags if _TAG.fullmatch(tag) is None), None)
        if strange is not None:
            said = f'If-Match has revisions in quotes, as "3-1a2b", or * for any; not {strange[:60]}.'
            raise Problem(400, said)
        raise changed_meanwhile()
    return document


async def whichever(
    request: Request, docid: str, tags: Collection[str], work: Callable[[], Awaitable[T]]
) -> T:
    """What `work` does. Whoever has said `*` isn't told that somebody else was quicker: it is done to what
    that one has left. Those to whom that happens take turns with a document.
    """
    try:
        return await work()
    except Problem as error:
        if error.status != 412 or "*" not in tags:
            raise
    services = services_of(request)
    async with services.turns.setdefault(docid, asyncio.Lock()):
        for attempt in range(1, _ATTEMPTS):
            await services.access.database.fresh()
            try:
                return await work()
            except Problem as error:
                if error.status != 412:
                    raise
            await asyncio.sleep(_PAUSE * attempt * random.random())  # noqa: S311 - so that one is first
        return await work()


async def _changed(
    request: Request,
    view: PersonalDatabase,
    resource: Resource,
    stored: Document,
    sent: Members,
    change: Callable[[Attached], Attached] = lambda attached: attached,
    status: int = 200,
) -> Done:
    attached = await view.attachments(stored.id, parse_rev(stored.rev)) if stored.has_attachments else {}
    if stored.has_attachments and not attached:
        raise changed_meanwhile()  # nobody reads what is attached to an earlier revision
    now = services_of(request).gate_now().now()
    try:
        if sent.get("_id", stored.id) != stored.id:
            raise UnfitError(f"This is the address of {stored.id}.", "_id")
        write = writes.replaced(resource, stored, attached, sent, view.principal.name, now)
    except UnfitError as error:
        raise _unfit(error) from None
    write.attachments = change(write.attachments)
    return await written(request, view, resource, write, status)


async def written(
    request: Request, view: PersonalDatabase, resource: Resource, write: DocumentWrite, status: int
) -> Done:
    """A write, with what the server has added to it, and not what another one has made of it since: whoever
    is told a revision has seen it.
    """
    rev = await pushed(request, view, write)
    document = await view.winner(write.id)
    if document is None or document.deleted:
        return Done(status, resource.name, write.id, rev)
    if document.rev != rev and not _has_marks(document, write):
        return await again(view, Kept(status, resource.name, write.id, rev))
    return Done(status, resource.name, write.id, document.rev, document)


def _has_marks(document: Document, write: DocumentWrite) -> bool:
    """Whether it says the same of who changed it and when."""
    there, written = orjson.loads(document.text), orjson.loads(write.body)
    return all(there.get(name) == written.get(name) for name in writes.MARKS)


async def pushed(request: Request, view: PersonalDatabase, write: DocumentWrite) -> str:
    """The revision that a write has made."""
    try:
        (outcome,) = await view.write([write])
    except ProtocolError as error:
        raise problem(request, error) from None
    if isinstance(outcome, ProtocolError):
        if outcome.status == 409:
            raise changed_meanwhile()
        raise problem(request, outcome)
    return outcome


def changed_meanwhile() -> Problem:
    return Problem(412, "The document has changed meanwhile: read it again, and look at what is new.")


def _unfit(error: UnfitError) -> Problem:
    errors = [{"pointer": pointer(error.member), "detail": str(error)}]
    return Problem(422, str(error), members={"errors": errors})
