"""Edits of people who see the answer: the server makes their revisions, and answers conflicts at once."""

from __future__ import annotations

from dataclasses import replace

from kompass.domain.server_fields import left_out
from kompass.sync.gate import attachments
from kompass.sync.gate.batch import NOTHING, Batch
from kompass.sync.gate.pushed import Pushed
from kompass.sync.gate.stored import Stored, bare
from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX


class Edits:
    """Those of one batch."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def make_revision(self, pushed: Pushed, stored: Stored | None) -> ProtocolError | None:
        """Gives an online edit its history. What can't be seen answers as what isn't there does."""
        doc = pushed.sent
        if doc.id.startswith(DESIGN_PREFIX):
            return errors.forbidden("Design documents are written by administrators.")
        may_follow = pushed.restores and not doc.deleted
        live = stored is not None and stored.visible and (may_follow or not stored.document.deleted)
        if doc.parent is None:
            if live:
                return errors.conflict()
            if doc.deleted:
                return errors.missing()
        elif not live or stored is None or doc.parent != stored.winner:
            return errors.conflict()
        given = attachments.unnumbered(doc.attachments)
        if stored is not None and live and not doc.deleted and not stored.document.deleted:
            doc = self._with_what_it_leaves_out(pushed, stored)
        above = None
        if stored is not None and live:
            above = stored.path
            winner = self._batch.writing.attachments(doc.id, stored.winner) if given else NOTHING
            given = attachments.pinned(doc.id, given, winner, {})
        elif given:
            given = attachments.pinned(doc.id, given, NOTHING, {})
        path = self._batch.next(doc.id, above, b"" if doc.deleted else doc.body, given)
        pushed.doc = DocumentWrite(doc.id, doc.deleted, doc.body, None, path, given)
        return None

    def _with_what_it_leaves_out(self, pushed: Pushed, stored: Stored) -> DocumentWrite:
        """Nobody online has to send back what the server has written into the document."""
        if pushed.unfit is not None:
            return pushed.sent
        sent = jsontext.decode(pushed.sent.body)
        added = left_out(sent, bare(stored.document, exact=True))
        if not added:
            return pushed.sent
        pushed.body |= added
        return replace(pushed.sent, body=jsontext.encode(sent | added))
