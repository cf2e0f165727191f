"""The chain beside the documents: every change enters it in its transaction, whichever door it came by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import apsw
import structlog

from kompass.audit import restored, schema, vault
from kompass.audit.checkpoints import Checkpoint, Signer
from kompass.audit.limits import Limits
from kompass.audit.recording import DATABASE, Recorder, Refused, conflicting
from kompass.audit.signing import KeysError
from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import format_rev
from replication.store.sqlite import ChangedDocument, Extension, Writing

log = structlog.get_logger(__name__)

KEPT = (
    "This database has the chain of writes, which has to be kept: it isn't deleted while it is served. To"
    " retire it, stop the server, verify and export the chain, and move the files away; see docs/audit.md."
)
"""Why the database can't be deleted."""

DOOR_RULE = "door"
"""The rule of a refusal that has no name of its own."""


class AuditExtension(Extension):
    """One for the operational database. Methods that take a `Writing` are called in its transactions."""

    def __init__(
        self,
        signer: Signer | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        disposable: bool = False,
    ) -> None:
        """Without a `signer` there are no checkpoints. `disposable`: nothing in the database has to be kept,
        so it may be deleted with its chain.
        """
        self._signer = signer
        self._now = now
        self._disposable = disposable

    def make_tables(self, connection: apsw.Connection) -> None:
        schema.make_tables(connection)

    def prepare(self, writing: Writing) -> None:
        if not schema.begin(writing.connection):
            told = restored.announced(writing.connection)
            if told is not None:
                recorder = Recorder(writing, self._now())
                recorder.restored(told)
                self._finish(writing, recorder)
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
        self,
        writing: Writing,
        docid: str,
        write: DocumentWrite | None,
        error: ProtocolError,
        by: str = DOOR_RULE,
    ) -> None:
        if write is None:
            refused = Refused(docid, None, b"{}", True, "purge", error.reason)
        elif error.status == 409:
            refused = conflicting(write, error)
        else:
            rev = None if write.path is None else format_rev(write.path.leaf)
            refused = Refused(docid, rev, write.body, write.deleted, by, error.reason)
        self.refused(writing, [refused])

    def check_drop(self) -> ProtocolError | None:
        return None if self._disposable else errors.forbidden(KEPT)

    def drop_refused(self, writing: Writing, error: ProtocolError) -> None:
        self.refused(writing, [Refused(DATABASE, None, b"{}", True, "drop", error.reason)])

    def secured(self, writing: Writing, before: bytes, after: bytes) -> None:
        recorder = Recorder(writing, self._now())
        recorder.secured(before, after)
        self._finish(writing, recorder)

    def exported(self, writing: Writing, what: str, since: str, until: str, files: Sequence[str]) -> None:
        """Enters that whoever is at work took something out; see `Recorder.exported`."""
        recorder = Recorder(writing, self._now())
        recorder.exported(what, since, until, files)
        self._finish(writing, recorder)

    def settled(self, writing: Writing, what: str, nums: Sequence[int]) -> None:
        """Enters that whoever is at work settled something; see `Recorder.settled`."""
        recorder = Recorder(writing, self._now())
        recorder.settled(what, nums)
        self._finish(writing, recorder)

    def refused(self, writing: Writing, refusals: Iterable[Refused]) -> None:
        """Enters writes that were refused, by whoever is at work; of very many some, and how many more."""
        now = self._now()
        recorder = Recorder(writing, now)
        Limits(writing, recorder, now).enter(refusals)
        self._finish(writing, recorder)

    def _finish(self, writing: Writing, recorder: Recorder) -> None:
        recorder.finish()
        self.sign_if_due(writing)

    def sign_if_due(self, writing: Writing) -> None:
        """Signs where the chain is if it has grown much since the last time."""
        if self._signer is None:
            return
        try:
            self._signer.sign_if_due(writing, self._now())
        except (OSError, KeysError):  # people's work goes on; the next checkpoint signs this as well
            log.exception("the chain of writes could not be signed")

    def checkpoint(self, writing: Writing) -> None:
        """Signs where the chain is, if it has grown since the last time. Refusals that were only counted are
        entered before.
        """
        now = self._now()
        recorder = Recorder(writing, now)
        Limits(writing, recorder, now).close()
        recorder.finish()
        if self._signer is not None:
            self._signer.sign(writing, self._now())

    def shred(self, writing: Writing, subject: str) -> int:
        """Makes the values unreadable that the chain keeps about a customer, a contact or a user.

        The chain verifies as before, and says that they were shredded. Stored documents of the subject are
        entered again with their state, so that they still can be compared. Returns how many keys are gone.
        """
        keys = vault.shred(writing, subject)
        if keys:
            recorder = Recorder(writing, self._now())
            recorder.shredded(subject, keys)
            self._reseal(writing, recorder, f"key IN ({','.join('?' * len(keys))})", keys)
            self._finish(writing, recorder)
        return len(keys)

    def erase(self, writing: Writing, subject: str, entries: Iterable[int]) -> int:
        """Takes away the values of single entries, which are sealed with others' keys and tell about this
        subject. The chain says so, and verifies. Returns how many had values.
        """
        gone = vault.erase(writing, entries)
        if gone:
            recorder = Recorder(writing, self._now())
            recorder.erased(subject, gone)
            for start in range(0, len(gone), 500):
                some = gone[start : start + 500]
                self._reseal(writing, recorder, f"audit_entries.num IN ({','.join('?' * len(some))})", some)
            self._finish(writing, recorder)
        return len(gone)

    def reseal(self, writing: Writing, docid: str, revisions: Iterable[tuple[str, bytes]]) -> None:
        """Enters the state of stored revisions, (id, text), that `Writing.forget` has emptied."""
        recorder = Recorder(writing, self._now())
        for rev, text in revisions:
            recorder.resealed(docid, rev, text)
        self._finish(writing, recorder)

    def _reseal(self, writing: Writing, recorder: Recorder, which: str, given: Sequence[int]) -> None:
        rows: Any = writing.connection.execute(
            "SELECT DISTINCT docs.id, docs.rev, bodies.text FROM audit_entries"
            f" JOIN docs ON docs.id = doc JOIN bodies ON bodies.seq = docs.body WHERE {which}",
            given,
        ).fetchall()
        for docid, rev, text in rows:
            recorder.resealed(docid, rev, bytes(text))

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        for note in notes:
            if isinstance(note, Checkpoint) and self._signer is not None:
                try:
                    self._signer.publish(note)
                except OSError:
                    log.exception("a checkpoint could not be added to the file elsewhere")
