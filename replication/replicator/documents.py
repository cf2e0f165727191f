"""The `_replicator` database: each document in it is a replication that the server keeps running.

A document is read whenever it changes, and all of them at each start. What was completed or has failed
is written into the document, as CouchDB does, and then it is left alone until somebody edits that away.
The other states change too often to be written down; `_scheduler/docs` tells them.

Ends that are databases of this server are open to the replicator without a password, so only the
documents of server administrators may name them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from replication.protocol import jsontext
from replication.protocol.documents import parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.replicator.failures import InvalidReplication
from replication.replicator.jobs import COMPLETED, FAILED, Job, Jobs, timestamp
from replication.replicator.options import Description, Endpoint, Options, canonical, parse
from replication.store.interface import Database, Store
from replication.store.values import Change

REPLICATOR_DATABASE = "_replicator"

ADMINS_ONLY = b'{"members":{"roles":["_admin"]},"admins":{"roles":["_admin"]}}'

OWNER = "owner"
LOCAL_NEEDS_ADMIN = "only documents of server administrators may name a database of this server without a URL"

_PAGE = 100
_LOOK_AGAIN_SECONDS = 2.0

IsAdmin = Callable[[str | None], Awaitable[bool]]
"""Whether the owner of a document is a server administrator."""

log = logging.getLogger("replication.replicator")


class ReplicatorDocuments:
    """Follows the database and keeps its jobs."""

    def __init__(self, store: Store, jobs: Jobs, is_admin: IsAdmin) -> None:
        self._store = store
        self._jobs = jobs
        self._is_admin = is_admin
        self._known: dict[str, Job] = {}
        self._said: dict[str, bytes] = {}
        """What each document said when its job was begun."""
        self._task: asyncio.Task[None] | None = None

    async def prepare(self, *, follow: bool = True) -> None:
        """Makes the database if it isn't there, and begins to follow it, unless another process does."""
        if REPLICATOR_DATABASE not in await self._store.names():
            await self._store.create(REPLICATOR_DATABASE, security=ADMINS_ONLY)
        if follow and self._task is None:
            self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def jobs(self) -> list[Job]:
        """Those of all documents, by the documents' ids."""
        return [self._known[docid] for docid in sorted(self._known)]

    def find(self, docid: str) -> Job | None:
        return self._known.get(docid)

    # -- following -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            try:
                database = self._store.get(REPLICATOR_DATABASE)
                await self._read(database)
            except ProtocolError:
                # It was deleted: there are no documents any more. Somebody may make it again.
                for docid in list(self._known):
                    await self._forget(docid)
            except Exception:
                log.exception("the _replicator database could not be read")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _read(self, database: Database) -> None:
        since = 0
        while True:
            changes = await database.change_rows(since, _PAGE, include_docs=True)
            for change in changes:
                since = change.seq
                await self._changed(change)
            if len(changes) < _PAGE:
                await database.wait_for_change(since)

    async def _changed(self, change: Change) -> None:
        if change.id.startswith(DESIGN_PREFIX):
            return
        if change.deleted or change.doc is None:
            await self._forget(change.id)
            return
        value = jsontext.decode(change.doc)
        state = value.get("_replication_state")
        said = canonical({name: member for name, member in value.items() if name[:1] != "_"})
        known = self._known.get(change.id)
        if state in (COMPLETED, FAILED):
            if known is None or known.state != state or self._said.get(change.id) != said:
                await self._forget(change.id)
                self._remember(change.id, said, _past(value, state))
            return
        if known is not None and self._said.get(change.id) == said and known.state not in (COMPLETED, FAILED):
            return
        await self._forget(change.id)
        job = await self._job(value)
        self._remember(change.id, said, job)
        if job.state == FAILED:
            await self._ended(job)
        else:
            self._jobs.start(job, self._ended)

    def _remember(self, docid: str, said: bytes, job: Job) -> None:
        self._known[docid], self._said[docid] = job, said

    async def _forget(self, docid: str) -> None:
        job = self._known.pop(docid, None)
        self._said.pop(docid, None)
        if job is not None:
            await self._jobs.cancel(job)

    async def _job(self, value: Mapping[str, Any]) -> Job:
        docid, owner = str(value["_id"]), value.get(OWNER)
        user = owner if isinstance(owner, str) else None
        try:
            description = parse(value)
            ends = (description.source, description.target)
            if any(end.is_local for end in ends) and not await self._is_admin(user):
                raise InvalidReplication(LOCAL_NEEDS_ADMIN)
        except InvalidReplication as error:
            job = Job(_NOTHING, user, REPLICATOR_DATABASE, docid, state=FAILED, error=str(error))
            job.error_count = 1
            return job
        return Job(description, user, REPLICATOR_DATABASE, docid)

    # -- writing down what came of it ------------------------------------------------------------

    async def _ended(self, job: Job) -> None:
        now = timestamp(time.time())
        members: dict[str, Any] = {"_replication_state": job.state, "_replication_state_time": now}
        if job.state == FAILED:
            members["_replication_state_reason"] = job.error
        else:
            statistics = dict(job.info() or {})
            for name in ("source_seq", "through_seq"):
                statistics.pop(name, None)
            members["_replication_stats"] = {**statistics, "start_time": timestamp(job.created)}
        assert job.doc_id is not None
        await self._write(job.doc_id, members)

    async def _write(self, docid: str, members: Mapping[str, Any]) -> None:
        """Adds members to a document. Gives up if it was changed meanwhile: then it is read anew anyway."""
        try:
            database = self._store.get(REPLICATOR_DATABASE)
            document = await database.winner(docid)
            if document is None or document.deleted:
                return
            value = jsontext.decode(document.text)
            said = canonical({name: member for name, member in value.items() if name[:1] != "_"})
            if said != self._said.get(docid):
                return
            kept = {name: member for name, member in value.items() if not name.startswith("_replication_")}
            await database.write([parse_document({**kept, **members})])
        except ProtocolError as error:
            log.warning("the state of replication %s could not be written: %s", docid, error)


_NOTHING = Description(Endpoint(""), Endpoint(""), Options())
"""Stands for what could not be read."""


def _past(value: Mapping[str, Any], state: str) -> Job:
    """The job of a document whose replication is over."""
    try:
        description = parse(value)
    except InvalidReplication:
        description = _NOTHING
    job = Job(description, value.get(OWNER), REPLICATOR_DATABASE, str(value["_id"]), state=state)
    if state == FAILED:
        job.error = str(value.get("_replication_state_reason", ""))
        job.error_count = 1
    return job
