"""What follows from a change by the rules of the business, written in its own transaction."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import apsw

from kompass.access.principals import Principal
from kompass.audit.actors import Door, actor
from kompass.business import rebuilding, schema
from kompass.business.lookups import Lookups, bare, members
from kompass.business.numbers import Numbers
from kompass.business.server_made import KeyedRevision
from kompass.business.step import MayRead, Step, Terms
from kompass.domain import preserving, uniqueness
from kompass.domain.changes import Body, Change
from kompass.domain.keys import NUMBERED, OFFERED_UNTIL
from kompass.domain.overlay import Overlay
from kompass.domain.series import SeriesTable
from kompass.domain.settings import BusinessSettings
from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, parse_rev
from replication.store.sqlite import ChangedDocument, Extension, Reading, Writing
from replication.store.values import Document

_REPLICATIONS = frozenset({Door.REPLICATOR, Door.CLI})
"""Doors by which other servers' revisions come."""

_NUMBERS = tuple(f'"{field}"'.encode() for field in sorted({*NUMBERED.values(), "invoiceNumber"}))
"""What the text of a document has that may have a number."""

_NOBODY = Principal("", frozenset())
"""Who writes past the gate has no rights that the rules know."""

MOST_AT_ONCE = 100
"""Documents of which time makes something true in one transaction."""


def _everybody(reading: Reading, person: str, doc: Body) -> bool:
    return True


class BusinessExtension(Extension):
    """Belongs to the operational database, beside the feed index."""

    def __init__(
        self,
        keyed_revision: KeyedRevision,
        settings: BusinessSettings | None = None,
        *,
        series: SeriesTable | None = None,
        may_read: MayRead = _everybody,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`keyed_revision` names the revisions that the server makes; called when one is written. `may_read`
        says who may be told of a document.
        """
        self.keyed_revision = keyed_revision
        self.settings = settings or BusinessSettings()
        self.terms = Terms(keyed_revision, self.settings, series or SeriesTable(), may_read)
        self.now = now
        self._judged: tuple[weakref.ref[Writing], Overlay] | None = None
        """What is known in the transaction that is being judged, with what it has let in so far."""

    def make_tables(self, connection: apsw.Connection) -> None:
        schema.make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        if schema.begin(writing.connection):
            # Nothing is written: what documents lack they get with their next change, or by `rebuild`.
            rebuilding.index(writing, Numbers(writing, self.terms.series, self.now()))

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        Step(writing, self.terms, self.now()).run(documents)

    def check(self, writing: Writing, write: DocumentWrite, winner: Document | None) -> ProtocolError | None:
        """What is final stays, and no number comes twice, whoever writes past the gate. A branch may win some
        day: it is judged as if it did.
        """
        if winner is not None and winner.deleted:
            winner = None
        if winner is None:
            return None if write.deleted else self._numbered(writing, write, None)
        doc: Body | None = None
        if not write.deleted:
            doc = members(jsontext.decode_request(write.body))
            doc = {**doc, "_id": write.id, **self._attached(writing, write, winner)}
        elif write.path is not None and parse_rev(winner.rev) not in write.path.revisions():
            return None  # the end of another branch
        replicated = write.path is not None and actor().door in _REPLICATIONS
        before = bare(winner)
        error = self._kept(writing, doc, before, replicated=replicated)
        return error if error is not None or doc is None else self._numbered(writing, write, before)

    def _numbered(self, writing: Writing, write: DocumentWrite, before: Body | None) -> ProtocolError | None:
        """Why there can't be the document's number once more; documents of the same batch count."""
        if b"\\" not in write.body and not any(name in write.body for name in _NUMBERS):
            return None  # no need to read it
        if self._judged is None or self._judged[0]() is not writing:
            self._judged = (weakref.ref(writing), Overlay(Lookups(writing)))
        facts = self._judged[1]
        doc = {**members(jsontext.decode_request(write.body)), "_id": write.id}
        refusal = uniqueness.check_numbers(Change(doc, before, _NOBODY, self.now()), facts)
        if refusal is not None:
            return errors.forbidden(refusal.reason)
        facts.note(write.id, doc)
        return None

    def check_purge(self, writing: Writing, docid: str, revs: Sequence[Rev]) -> ProtocolError | None:
        """What is final isn't purged either; ends of branches may be."""
        for leaf in writing.leaves(docid):
            if not leaf.deleted and parse_rev(leaf.rev) in revs:
                error = self._kept(writing, None, bare(leaf))
                if error is not None:
                    return error
        return None

    def _attached(self, writing: Writing, write: DocumentWrite, winner: Document) -> Mapping[str, Any]:
        """Attachments of what is written, as names and digests. A stub without a digest means what its parent
        has: the winner's, or nobody knows whose.
        """
        if not write.attachments:
            return {}
        rev = parse_rev(winner.rev)
        follows = write.path is None or rev in write.path.revisions()
        stored = writing.attachments(write.id, rev) if follows else {}
        digests = {
            name: given.digest or (stored[name].digest if name in stored else "")
            for name, given in write.attachments.items()
        }
        return {"_attachments": digests}

    def _kept(
        self, writing: Writing, doc: Body | None, before: Body, *, replicated: bool = False
    ) -> ProtocolError | None:
        change = Change(doc, before, _NOBODY, self.now())
        refusal = preserving.check(change, Lookups(writing), self.settings, replicated=replicated)
        return None if refusal is None else errors.forbidden(refusal.reason)

    def pass_time(self, writing: Writing) -> bool:
        """Writes what time alone has made true, as the server, and says whether there may be more. Called
        again, it does nothing twice.
        """
        now = self.now()
        before = now.astimezone(UTC).date().isoformat()
        due = Lookups(writing).due(OFFERED_UNTIL, before, MOST_AT_ONCE)
        return Step(writing, self.terms, now).pass_time(due) > 0

    def rebuild(self, writing: Writing) -> int:
        """Works out everything anew that follows from documents. Returns how many documents it had to
        write.
        """
        return rebuilding.rebuild(writing, self.terms, self.now())

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        pass
