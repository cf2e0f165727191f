"""What keeps the register of erasures, tickets and consent right, whoever writes documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import apsw

from kompass.access.principals import Principal
from kompass.audit import Cause
from kompass.domain import anonymity
from kompass.domain.changes import Change, NoFacts
from kompass.domain.personal import ANONYMIZED, LABELS, number_in
from kompass.domain.redaction import unnumbered
from kompass.domain.settings import BusinessSettings
from kompass.privacy import consents, erasures, schema
from kompass.privacy.erasures import Erasure, Reworded
from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import ChangedDocument, Extension, Writing
from replication.store.values import Document

_NOBODY = Principal("", frozenset())
_SETTINGS = BusinessSettings()


class Register(Extension):
    """Keeps the tables; belongs to the operational database."""

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        erased: Callable[[Erasure], None] = lambda _: None,
        reworded: Callable[[Sequence[Erasure]], None] = lambda _: None,
    ) -> None:
        """`erased` hears of every erasure once it is durable, before anybody is answered; `reworded` of those
        that have another reason now.
        """
        self._now = now
        self._erased = erased
        self._reworded = reworded

    def make_tables(self, connection: apsw.Connection) -> None:
        schema.make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        return

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            if b'"type":"customer"' in document.text or document.deleted or not document.seq:
                consents.note(writing, document, self._now())
            self._note_erased_elsewhere(writing, document)

    def check(self, writing: Writing, write: DocumentWrite, winner: Document | None) -> ProtocolError | None:
        """What was erased doesn't come back by administrators, imports and replications either: whatever
        follows a version of before the erasure, unless it says what is stored.
        """
        if write.deleted or winner is None:
            return None
        clean = erasures.rewritten(writing, [write.id]).get(write.id)
        if clean is None:
            return None
        stored = {} if winner.deleted else _plain(winner.text)
        if write.path is not None and clean not in write.path.revisions():
            sent = _plain(write.body)
            if not winner.deleted and _says(sent) == _says(stored) and not write.attachments:
                return None
            return errors.forbidden(
                "Personal data was erased from this document, and this follows an earlier version: it isn't"
                " stored. Replicate the other way first, and edit what is there then."
            )
        body = _plain(write.body)
        is_named = number_in(str(body.get("type")), body) is None
        if winner.deleted and is_named and erasures.subjects_among(writing, [write.id]):
            return errors.forbidden(
                "The person in this document was erased, and it is deleted: it isn't written again. Make a"
                " new document."
            )
        refusal = anonymity.check(
            Change(body | {"_id": write.id}, stored, _NOBODY, self._now()), NoFacts(), _SETTINGS
        )
        return None if refusal is None else errors.forbidden(refusal.reason)

    def _note_erased_elsewhere(self, writing: Writing, document: ChangedDocument) -> None:
        for one in document.written:
            if one.deleted or b'"anonymized":true' not in one.text:
                continue
            if type(one.note) is Cause and one.note.origin == erasures.ORIGIN:
                continue
            body = _plain(one.text)
            if body.get(ANONYMIZED) is not True or str(body.get("type")) not in LABELS:
                continue
            if not erasures.subjects_among(writing, [document.id]):
                erasures.note_due(writing, document.id, self._now())

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        for note in notes:
            if isinstance(note, Erasure):
                self._erased(note)
            elif isinstance(note, Reworded):
                self._reworded(note.erasures)


def _plain(text: bytes) -> dict[str, Any]:
    value = jsontext.decode_request(text)
    return {name: one for name, one in value.items() if name[:1] != "_"}


def _says(body: Mapping[str, Any]) -> Any:
    """What tells two versions of an erased document apart."""
    return unnumbered({name: one for name, one in body.items() if name not in _OF_THE_ERASURE})


_OF_THE_ERASURE = frozenset({"erasures", "anonymizedAt", "dsgvoConsent"})
