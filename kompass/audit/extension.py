"""The chain beside the documents: every change enters it in its transaction, whichever door it came by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from kompass.audit import schema, vault
from kompass.audit.checkpoints import Checkpoint, Signer
from kompass.audit.recording import Recorder, Refused
from kompass.audit.signing import KeysError
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import ChangedDocument, Extension, Writing

log = structlog.get_logger(__name__)

DOOR_RULE = "door"
"""The rule of a refusal that has no name of its own."""


class AuditExtension(Extension):
    """One for the operational database. Methods that take a `Writing` are called in its transactions."""

    def __init__(
        self, signer: Signer | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Without a `signer` there are no checkpoints."""
        self._signer = signer
        self._now = now

    def prepare(self, writing: Writing) -> None:
        if not schema.prepare(writing.connection):
            return
        rows: Any = writing.connection.execute(
            "SELECT id, rev, docs.deleted, 1, text FROM docs JOIN bodies ON bodies.seq = body"
            " UNION ALL SELECT id, revs.rev, revs.deleted, leaf, text"
            " FROM docs JOIN revs ON revs.doc = num JOIN bodies ON bodies.seq = revs.body"
        ).fetchall()
        if rows:
            recorder = Recorder(writing, self._now())
            for docid, rev, deleted, leaf, text in rows:
                recorder.adopted(docid, rev, deleted=bool(deleted), leaf=bool(leaf), text=bytes(text))
            self._finish(writing, recorder)

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        recorder = Recorder(writing, self._now())
        recorder.changed(documents)
        self._finish(writing, recorder)

    def check_refused(
        self, writing: Writing, docid: str, write: DocumentWrite | None, error: ProtocolError
    ) -> None:
        body, deleted = (b"{}", True) if write is None else (write.body, write.deleted)
        rule = "purge" if write is None else DOOR_RULE
        self.refused(writing, [Refused(docid, None, body, deleted, rule, error.reason)])

    def refused(self, writing: Writing, refusals: Iterable[Refused]) -> None:
        """Enters writes that were refused, by whoever is at work."""
        recorder = Recorder(writing, self._now())
        for one in refusals:
            recorder.refused(one)
        self._finish(writing, recorder)

    def _finish(self, writing: Writing, recorder: Recorder) -> None:
        recorder.finish()
        if self._signer is None:
            return
        try:
            self._signer.sign_if_due(writing, self._now())
        except (OSError, KeysError):  # people's work goes on; the next checkpoint signs this as well
            log.exception("the chain of writes could not be signed")

    def checkpoint(self, writing: Writing) -> None:
        """Signs where the chain is, if it has grown since the last time."""
        if self._signer is not None:
            self._signer.sign(writing, self._now())

    def shred(self, writing: Writing, subject: str) -> int:
        """Makes the values unreadable that the chain keeps about a customer, a contact or a user.

        The chain verifies as before, and says that they were shredded. Stored documents of the subject are
        entered again with their state, so that they still can be compared. Returns how many keys are gone.
        """
        connection = writing.connection
        keys = vault.shred(writing, subject)
        if not keys:
            return 0
        recorder = Recorder(writing, self._now())
        recorder.shredded(subject, keys)
        rows: Any = connection.execute(
            "SELECT DISTINCT docs.id, docs.rev, bodies.text FROM audit_entries"
            " JOIN docs ON docs.id = doc JOIN bodies ON bodies.seq = docs.body"
            f" WHERE key IN ({','.join('?' * len(keys))})",
            keys,
        ).fetchall()
        for docid, rev, text in rows:
            recorder.resealed(docid, rev, bytes(text))
        self._finish(writing, recorder)
        return len(keys)

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        for note in notes:
            if isinstance(note, Checkpoint) and self._signer is not None:
                try:
                    self._signer.publish(note)
                except OSError:
                    log.exception("a checkpoint could not be added to the file elsewhere")
