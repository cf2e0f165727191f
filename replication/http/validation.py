"""What design documents say about writes: `validate_doc_update`, and design documents themselves.

Functions run before the write, outside its transaction. That is as good as inside, because what they judge
can't change: an edit is compared with the revision it continues, which is what it is for good, and if that
is no leaf any more when the write is made, the write is a conflict. An edit that looks like
a conflict now is not shown to the functions and must not succeed later, which `Judgement.check` sees to.

Local documents and purges are nobody's concern here, as in CouchDB; design documents are not shown to
validation functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from replication.http.call import Call
from replication.http.function_request import user_context
from replication.javascript import functions
from replication.javascript.functions import JavaScriptError, Thrown
from replication.protocol import errors, jsontext
from replication.protocol.attachments import AttachmentWrite, StubAttachment
from replication.protocol.design import JAVASCRIPT, DesignDocument, check_design, views_of
from replication.protocol.documents import DocumentWrite, revisions_member, with_members
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Path, format_rev
from replication.queries.designs import validating
from replication.queries.view_index import failed
from replication.store.interface import Database, WriteCheck
from replication.store.values import Document

BATCH = 200
"""Documents that a function judges in one job."""

_STATUS = {"forbidden": 403, "unauthorized": 401}


@dataclass(slots=True)
class Judgement:
    """What was found about a batch of writes."""

    refused: dict[int, ProtocolError] = field(default_factory=dict)
    """By place in the batch."""
    unjudged: set[int] = field(default_factory=set)
    """`id()` of writes that nobody has judged, for they would be conflicts."""

    def check(self, then: WriteCheck | None) -> WriteCheck | None:
        """The check for the transaction: that no unjudged write succeeds, and then what else there is."""
        if not self.unjudged:
            return then

        def checked(write: DocumentWrite, stored: Document | None) -> None:
            if id(write) in self.unjudged:
                raise errors.conflict()
            if then is not None:
                then(write, stored)

        return checked


async def judge(
    call: Call, docs: Sequence[DocumentWrite], refused: Mapping[int, ProtocolError], *, replicated: bool
) -> Judgement:
    """Asks the database's design documents about writes, but for those that are refused already."""
    judgement = Judgement(dict(refused))
    designs = [place for place, doc in enumerate(docs) if doc.id.startswith(DESIGN_PREFIX)]
    for place in designs:
        if place not in refused and not docs[place].deleted:
            try:
                await _check_design(call, docs[place])
            except ProtocolError as error:
                judgement.refused[place] = error
    validators = await validating(call.database)
    if validators and len(designs) < len(docs):
        await _validate(call, validators, docs, replicated, judgement)
    return judgement


# -- design documents --------------------------------------------------------------------------


async def _check_design(call: Call, doc: DocumentWrite) -> None:
    """Raises 400 for a design document with wrong members, or views that do not compile."""
    value = jsontext.decode(doc.body)
    check_design(value, partitioned_database=call.database.partitioned)
    for view in views_of(value):
        if view.language != JAVASCRIPT:
            continue
        sources = [("map", view.map)]
        if view.reduce is not None and not view.reduce.startswith("_"):
            sources.append(("reduce", view.reduce))
        for kind, source in sources:
            try:
                await functions.check(call.server.javascript, call.database.name, source, view.modules)
            except JavaScriptError as error:
                reason = f"Compilation of the {kind} function in the '{view.name}' view failed: {error}"
                raise ProtocolError(400, "compilation_error", reason) from error


# -- validation functions ----------------------------------------------------------------------


async def _validate(
    call: Call,
    validators: Sequence[DesignDocument],
    docs: Sequence[DocumentWrite],
    replicated: bool,
    judgement: Judgement,
) -> None:
    wanted = {
        place: doc
        for place, doc in enumerate(docs)
        if place not in judgement.refused and not doc.id.startswith(DESIGN_PREFIX)
    }
    if replicated:
        stored = await _ancestors(call.database, wanted)
    else:
        stored = await _continued(call.database, wanted, judgement)
    places = list(stored)
    user = jsontext.encode(user_context(call))
    security = await call.database.security()
    for start in range(0, len(places), BATCH):
        some = places[start : start + BATCH]
        pairs = {
            place: (_changed(wanted[place], stored[place], replicated), _old(stored[place])) for place in some
        }
        for ddoc in validators:
            some = [place for place in some if place not in judgement.refused]
            if not some:
                break
            thrown = await _ask(call, ddoc, [pairs[place] for place in some], user, security)
            judgement.refused |= {
                place: error for place, error in zip(some, thrown, strict=True) if error is not None
            }


async def _ask(
    call: Call, ddoc: DesignDocument, pairs: Sequence[tuple[bytes, bytes]], user: bytes, security: bytes
) -> list[ProtocolError | None]:
    """Why one function refuses each document, if it does. One that can't be run refuses all."""
    assert ddoc.validation is not None
    if ddoc.language != JAVASCRIPT:
        return [ProtocolError(500, "unknown_query_language", ddoc.language)] * len(pairs)
    modules = ddoc.text.decode("utf-8")
    try:
        results = await functions.validate(
            call.server.javascript, call.database.name, ddoc.validation, modules, pairs, user, security
        )
    except JavaScriptError as error:
        return [failed(error)] * len(pairs)
    return [None if result is None else _refusal(result) for result in results]


def _refusal(thrown: Thrown) -> ProtocolError:
    return ProtocolError(_STATUS.get(thrown.error, 500), thrown.error, thrown.reason)


async def _continued(
    database: Database, wanted: Mapping[int, DocumentWrite], judgement: Judgement
) -> dict[int, Document | None]:
    """The leaf that each edit continues; None for a beginning. Edits that continue none are left out."""
    winners = await database.winners(list({doc.id for doc in wanted.values()}))
    found: dict[int, Document | None] = {}
    for place, doc in wanted.items():
        winner = winners.get(doc.id)
        if doc.parent is None and (winner is None or winner.deleted):
            found[place] = None
            continue
        if doc.parent is not None and winner is not None and not winner.deleted:
            parent = format_rev(doc.parent)
            leaves = await database.leaves(doc.id) if winner.conflicted else [winner]
            continued = next((leaf for leaf in leaves if leaf.rev == parent), None)
            if continued is not None:
                found[place] = continued
                continue
        judgement.unjudged.add(id(doc))
    return found


async def _ancestors(database: Database, wanted: Mapping[int, DocumentWrite]) -> dict[int, Document | None]:
    """The nearest stored ancestor of each revision, if there is one. Known revisions are left out."""
    asked: dict[str, list[Any]] = {}
    for doc in wanted.values():
        if doc.path is not None:
            asked.setdefault(doc.id, []).append(doc.path.leaf)
    missing = await database.missing_revisions(asked)
    winners = await database.winners(list(asked))
    found: dict[int, Document | None] = {}
    for place, doc in wanted.items():
        path = doc.path
        if path is None or doc.id not in missing or format_rev(path.leaf) not in missing[doc.id].missing:
            continue
        winner = winners.get(doc.id)
        found[place] = None if winner is None else await _nearest(database, winner, path)
    return found


async def _nearest(database: Database, winner: Document, path: Path) -> Document | None:
    history = path.revisions()[1:]
    if winner.rev in map(format_rev, history):
        return winner
    available = await database.available(winner.id)
    for rev in history:
        if rev in available:
            return next(iter(await database.revision(winner.id, rev)), None)
    return None


def _old(document: Document | None) -> bytes:
    """`oldDoc`"""
    if document is None:
        return b"null"
    return with_members(document.text, [b'"_revisions":' + document.revisions])


def _changed(doc: DocumentWrite, stored: Document | None, replicated: bool) -> bytes:
    """`newDoc`. An edit still has the revision that it continues."""
    path = doc.path if replicated else doc.parent and Path(doc.parent[0], [doc.parent[1]])
    members = [b'{"_id":' + jsontext.encode(doc.id)]
    if path is not None:
        members.append(b'"_rev":"%b"' % format_rev(path.leaf).encode("ascii"))
    if len(doc.body) > 2:
        members.append(doc.body[1:-1])
    if doc.deleted:
        members.append(b'"_deleted":true')
    if path is not None:
        members.append(b'"_revisions":' + revisions_member(path))
    if doc.attachments:
        members.append(b'"_attachments":' + _stubs(doc.attachments, stored))
    return b",".join(members) + b"}"


def _stubs(attachments: Mapping[str, AttachmentWrite], stored: Document | None) -> bytes:
    kept: dict[str, Any] = {}
    if stored is not None and stored.has_attachments:
        kept = jsontext.decode(stored.text)["_attachments"]
    stubs = {}
    for name, attachment in attachments.items():
        if isinstance(attachment, StubAttachment):
            stub = kept.get(name, {"stub": True})
        else:
            stub = {"content_type": attachment.content_type, "revpos": attachment.revpos or 0, "stub": True}
            if attachment.digest is not None:
                stub["digest"] = attachment.digest
            length = attachment.length
            data = getattr(attachment, "data", None)
            if length is None and data is not None:
                length = len(data)
            if length is not None:
                stub["length"] = length
        stubs[name] = stub
    return jsontext.encode(stubs)
