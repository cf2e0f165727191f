"""Filters of the changes feed that are JavaScript functions of design documents."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_bytes

from replication.http.call import Call
from replication.http.change_filter import ChangeFilter
from replication.http.changes_options import ChangesOptions
from replication.http.function_request import request_object
from replication.javascript import functions
from replication.javascript.engine import Engine
from replication.javascript.functions import JavaScriptError, Thrown
from replication.protocol import errors
from replication.protocol.documents import with_members
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.queries.designs import design_document
from replication.queries.view_index import failed
from replication.store.interface import Database
from replication.store.values import Change

BATCH = 200
"""Changes whose documents are judged in one job."""

_NO_BODY = "undefined"
"""What functions see as the body of a request without one."""


class FunctionFilter(ChangeFilter):
    """A filter function, or a map function that lets pass whatever it emits something for."""

    needs_docs = True
    may_fail = True

    def __init__(
        self,
        database: Database,
        engine: Engine,
        source: str,
        modules: str,
        request: bytes,
        *,
        view: bool,
        all_leaves: bool,
    ) -> None:
        self._database = database
        self._engine = engine
        self._source = source
        self._modules = modules
        self._request = request
        self._view = view
        self._all_leaves = all_leaves
        self._guarded = database.guarded
        self._needs_history = "_revisions" in source or "_revisions" in modules
        # Its answers depend on who asks and how, so no other feed shares them.
        self.key = b"function" + token_bytes(16)

    async def check(self) -> None:
        """Raises 500 `compilation_error` for what is no function."""
        try:
            await functions.check(self._engine, self._database.name, self._source, self._modules)
        except JavaScriptError as error:
            raise failed(error) from error

    async def select_page(self, changes: Sequence[Change], room: int | None) -> list[Sequence[str]]:
        selected: list[Sequence[str]] = []
        passing = 0
        for start in range(0, len(changes), BATCH):
            for revs in await self._judge(changes[start : start + BATCH]):
                selected.append(revs)
                passing += bool(revs)
                if passing == room:
                    return selected
        return selected

    async def _judge(self, changes: Sequence[Change]) -> list[Sequence[str]]:
        """The passing revisions of each change, found in one job."""
        texts: list[bytes] = []
        owners: list[tuple[int, Sequence[str]]] = []
        selected: list[list[str]] = [[] for _ in changes]
        for at, change in enumerate(changes):
            revs: Sequence[str] = change.revs
            if change.unfiltered:
                selected[at] = [*revs]
                continue
            if self._guarded:
                # Leaves beside the winner have no bodies to be judged by: they go with it.
                texts += await self._winner(change)
                owners += [(at, revs)] * (len(texts) - len(owners))
                continue
            if change.doc is not None and not self._needs_history and len(revs) == 1:
                texts.append(change.doc)
                owners.append((at, revs))
                continue
            leaves = await self._database.leaves(change.id)
            for leaf in leaves if self._all_leaves else leaves[:1]:
                texts.append(with_members(leaf.text, [b'"_revisions":' + leaf.revisions]))
                owners.append((at, (leaf.rev,)))
        for (at, revs), passes in zip(owners, await self._call(texts), strict=True):
            if isinstance(passes, Thrown):
                raise ProtocolError(500, passes.error, passes.reason)
            if passes:
                selected[at] += revs
        return [*selected]

    async def _winner(self, change: Change) -> list[bytes]:
        """What the function sees of a change in a guarded database: nothing if that was lost meanwhile."""
        if not self._needs_history:
            return [] if change.doc is None else [change.doc]
        winner = await self._database.winner(change.id)
        return [] if winner is None else [with_members(winner.text, [b'"_revisions":' + winner.revisions])]

    async def _call(self, texts: Sequence[bytes]) -> list[bool | Thrown]:
        try:
            return await functions.filter_documents(
                self._engine,
                self._database.name,
                self._source,
                self._modules,
                self._request,
                texts,
                view=self._view,
            )
        except JavaScriptError as error:
            raise failed(error) from error


async def filter_function(call: Call, options: ChangesOptions, design: str, name: str) -> FunctionFilter:
    """`filter=design/name`. Raises 404 for what isn't there."""
    ddoc = await design_document(call.database, DESIGN_PREFIX + design)
    source = ddoc.function("filters", name)
    return await _made(call, options, source, ddoc.text.decode("utf-8"), view=False)


async def view_function(call: Call, options: ChangesOptions, design: str, name: str) -> FunctionFilter:
    """`filter=_view&view=design/name`. Raises 404 for what isn't there."""
    ddoc = await design_document(call.database, DESIGN_PREFIX + design)
    ddoc.function("views", name)
    view = ddoc.views.get(name)
    if view is None or not isinstance(view.map, str):
        raise errors.not_found("missing json key: map")
    return await _made(call, options, view.map, view.modules, view=True)


async def _made(
    call: Call, options: ChangesOptions, source: str, modules: str, *, view: bool
) -> FunctionFilter:
    body = await call.json() if call.method == "POST" and await call.body() else _NO_BODY
    made = FunctionFilter(
        call.database,
        call.server.javascript,
        source,
        modules,
        await request_object(call, None, body),
        view=view,
        all_leaves=options.all_leaves,
    )
    await made.check()
    return made
