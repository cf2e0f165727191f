"""Documents that the service makes which does jobs: judged, and written in one transaction.

Asked again it writes nothing: there is, or was, such a document already, and one that somebody has deleted
doesn't come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kompass.access import Principal, services
from kompass.audit import Cause
from kompass.audit import Refused as Refusing
from kompass.business.server_made import raise_refusals, server_made
from kompass.domain.changes import Change
from kompass.domain.refusals import Refusal
from kompass.sync.gate import shape
from kompass.sync.gate.site import Site
from kompass.sync.refusals import of_decision
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import Writing

UNREADABLE = Refusal(
    "service.recipient",
    "Whom it is for may not read what it names, or isn't here any more.",
    "Der Empfänger darf nicht lesen, worum es geht, oder ist nicht mehr hier.",
)

_WRITER = Principal(services.AUTHOR, frozenset())


async def create(site: Site, docid: str, body: Mapping[str, Any]) -> bool:
    """Whether it was written; if not, it was there already. Raises `forbidden`."""
    doc = {**body, "_id": docid}
    text = jsontext.encode({name: value for name, value in body.items() if name[:1] != "_"})

    def run(writing: Writing) -> bool | ProtocolError:
        refusal = _judge(site, writing, doc)
        if refusal is not None:
            refusing = Refusing(docid, None, text, False, refusal.rule, refusal.reason)
            site.audit.refused(writing, [refusing])
            return errors.forbidden(refusal.reason)
        if writing.revisions(docid) is not None or site.index.knew(writing, [docid]):
            return False
        write = server_made(writing, docid, text, site.index.keyed_revision)
        assert write is not None
        write.note = Cause("job")
        raise_refusals(writing.write([write], replicated=True))
        return True

    outcome = await site.database.transact(run)
    if isinstance(outcome, ProtocolError):
        raise outcome
    return outcome


def _judge(site: Site, writing: Writing, doc: Mapping[str, Any]) -> Refusal | None:
    decision = services.decide(doc)
    if not decision.allowed:
        return of_decision(decision)
    wrong = shape.misnamed(doc["_id"], doc)
    if wrong is not None:
        return wrong
    person, named = services.recipient(doc), services.named(doc)
    if site.index.roles(writing, person) is None:
        return UNREADABLE
    found = site.index.readable(writing, person, named)
    if any(one not in found or found[one].deleted for one in named):
        return UNREADABLE
    return site.business.check(Change(doc, None, _WRITER, site.now()), site.business.facts(writing))
