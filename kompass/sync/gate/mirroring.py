"""Documents that say what Lexware says: judged, and written in one transaction.

What is to be said is said again without harm: a document that says it already isn't written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kompass.access import Principal, lexware
from kompass.audit import Cause
from kompass.audit import Refused as Refusing
from kompass.business.lookups import bare
from kompass.business.server_made import server_made
from kompass.domain.changes import Body, Change
from kompass.domain.overlay import Overlay
from kompass.domain.refusals import Refusal
from kompass.domain.stamps import timestamp
from kompass.privacy import interrupting
from kompass.sync.gate import shape
from kompass.sync.gate.site import Site
from kompass.sync.refusals import of_decision
from replication.protocol import jsontext
from replication.protocol.attachments import parse_attachments
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import Writing

_WRITER = Principal(lexware.AUTHOR, frozenset())

DELETED = Refusal(
    "lexware.deleted",
    "The document was deleted here, and doesn't come back.",
    "Das Dokument wurde hier gelöscht und kommt nicht wieder.",
)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a document shall say."""

    docid: str
    type: str
    fields: Mapping[str, Any]
    """Those of the service; None: the document has it not."""


async def mirror(site: Site, groups: Sequence[Sequence[Mirrored]]) -> list[Refusal | None]:
    """Writes the documents of each group, all of them or none; per group, why none."""

    def run(writing: Writing) -> list[Refusal | None]:
        interrupting.check(writing)
        facts = Overlay(site.business.facts(writing))
        outcomes: list[Refusal | None] = []
        accepted: list[DocumentWrite] = []
        for group in groups:
            writes, refusal = _judged(site, writing, facts, group)
            outcomes.append(refusal)
            accepted += writes
        for outcome in writing.write(accepted, replicated=True) if accepted else ():
            if isinstance(outcome, ProtocolError):
                raise outcome
        return outcomes

    return await site.database.transact(run)


def _judged(
    site: Site, writing: Writing, facts: Overlay, group: Sequence[Mirrored]
) -> tuple[list[DocumentWrite], Refusal | None]:
    writes: list[DocumentWrite] = []
    before = {one.docid: _stored(writing, one.docid) for one in group}
    for one in group:
        after = _after(one, before[one.docid], site)
        if after == before[one.docid]:
            continue
        refusal = _refusal(site, writing, facts, one, before[one.docid], after)
        if refusal is not None:
            for docid, body in before.items():  # what was let in of the group isn't, either
                facts.note(docid, body)
            text = jsontext.encode({name: value for name, value in after.items() if name[:1] != "_"})
            refusing = Refusing(one.docid, None, text, False, refusal.rule, refusal.reason)
            site.audit.refused(writing, [refusing])
            return [], refusal
        facts.note(one.docid, after)
        writes.append(_write(site, writing, one.docid, after))
    return writes, None


def _stored(writing: Writing, docid: str) -> Body | None:
    winner = writing.winner(docid)
    return None if winner is None or winner.deleted else bare(winner)


def _after(one: Mirrored, before: Body | None, site: Site) -> dict[str, Any]:
    """The document as it shall be; as it is if it says all of it."""
    said = {name: value for name, value in one.fields.items() if value is not None}
    at = timestamp(site.now())
    if before is None:
        marks = {"createdBy": lexware.AUTHOR, "createdAt": at, "version": 1}
        return {
            "_id": one.docid, "type": one.type, **said, **marks,
            "modifiedBy": lexware.AUTHOR, "modifiedAt": at,
        }  # fmt: skip
    kept = {name: value for name, value in before.items() if name not in one.fields}
    if {**kept, **said} == before:
        return dict(before)
    version = before.get("version")
    marks = {"modifiedBy": lexware.AUTHOR, "modifiedAt": at}
    return {**kept, **said, **marks, "version": version + 1 if type(version) is int else 1}


def _refusal(
    site: Site, writing: Writing, facts: Overlay, one: Mirrored, before: Body | None, after: Body
) -> Refusal | None:
    decision = lexware.decide(one.type, one.fields)
    if not decision.allowed:
        return of_decision(decision)
    if before is None:
        wrong = shape.misnamed(one.docid, after)
        if wrong is not None:
            return wrong
        if writing.revisions(one.docid) is not None or site.index.knew(writing, [one.docid]):
            return DELETED
    return site.business.check_mirrored(Change(after, before, _WRITER, site.now()), facts)


def _write(site: Site, writing: Writing, docid: str, body: Body) -> DocumentWrite:
    text = jsontext.encode({name: value for name, value in body.items() if name[:1] != "_"})
    write = server_made(writing, docid, text, site.index.keyed_revision)
    assert write is not None
    winner = writing.winner(docid)
    attached = None if winner is None else jsontext.decode(winner.text).get("_attachments")
    if attached:
        write.attachments = parse_attachments(attached)
    write.note = Cause("lexware")
    return write
