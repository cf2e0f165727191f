"""Conflicts in the transaction of what makes, changes or settles them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from kompass.business.server_made import raise_refusals
from kompass.domain.merge_results import FieldConflict
from kompass.sync.conflicts import shown, store
from kompass.sync.conflicts.record import MANAGEMENT, Conflict, notice_id
from kompass.sync.gate import attachments
from kompass.sync.gate.ports import Index
from kompass.sync.notices import NOTICE
from replication.protocol.attachments import AttachmentWrite
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path, Rev, parse_rev, parse_revisions
from replication.store.sqlite import Writing


class Keeping:
    """In one transaction. What is to be written is collected in `writes`, for one call with the rest."""

    def __init__(self, writing: Writing, index: Index) -> None:
        self._writing = writing
        self._index = index
        self._rights = shown.Rights(writing, index)
        self.writes: list[DocumentWrite] = []

    def open(
        self, conflict: Conflict, winner: Mapping[str, Any], lost: Mapping[str, AttachmentWrite]
    ) -> None:
        """Keeps a new one and tells those concerned. `lost`: bytes of the branch that are nowhere else."""
        store.add(self._writing, conflict)
        if not conflict.fields:
            return
        for reader in shown.concerned(self._rights, conflict, winner):
            told = shown.notice(self._rights, conflict, reader)
            if told is not None:
                body, whole = told
                store.tell(self._writing, conflict.id, reader, whole=whole)
                self._write(notice_id(conflict.id, reader), body, lost if reader == conflict.author else {})

    def settle(
        self,
        conflict: Conflict,
        *,
        by: str,
        at: datetime,
        strategy: str,
        choices: Any = None,
        rev: str | None,
    ) -> None:
        """Somebody has decided: nobody is told of it any more."""
        store.settle(self._writing, conflict, by=by, at=at, strategy=strategy, choices=choices, rev=rev)
        for reader in store.readers(self._writing, conflict.id):
            self._end(conflict.id, reader)

    def narrow(self, conflict: Conflict, fields: Sequence[FieldConflict]) -> None:
        """Some of it is decided; the rest is shown from now on."""
        conflict = store.change_fields(self._writing, conflict, fields)
        for reader in store.readers(self._writing, conflict.id):
            self._rewrite(conflict, reader)

    def withdraw(self, conflict: Conflict, reader: str) -> None:
        """A reader has lost the document: he keeps his own text, or nothing."""
        self._rewrite(conflict, reader)

    def regard_management(self, conflict: Conflict) -> None:
        """Other permissions are in force: whether management decides about an open one is found anew."""
        told = store.readers(self._writing, conflict.id)
        if shown.managed(self._rights, conflict) is (MANAGEMENT in told):
            return
        self._rewrite(conflict, MANAGEMENT)
        for reader in told:
            if reader != MANAGEMENT:
                self._rewrite(conflict, reader)

    def write(self) -> None:
        """Writes what was collected by itself."""
        writes, self.writes = self.writes, []
        if writes:
            raise_refusals(self._writing.write(writes, replicated=True))

    def _rewrite(self, conflict: Conflict, reader: str) -> None:
        told = shown.notice(self._rights, conflict, reader)
        if told is None:
            self._end(conflict.id, reader)
            return
        body, whole = told
        docid = notice_id(conflict.id, reader)
        winner = self._writing.winner(docid)
        stored = {} if winner is None else self._writing.attachments(docid, parse_rev(winner.rev))
        store.tell(self._writing, conflict.id, reader, whole=whole)
        self._write(docid, body, {name: attachments.stub(info) for name, info in stored.items()})

    def _end(self, conflict: str, reader: str) -> None:
        store.forget(self._writing, conflict, reader)
        docid = notice_id(conflict, reader)
        winner = self._writing.winner(docid)
        if winner is not None and not winner.deleted:
            self._write(docid, None, {})

    def _write(self, docid: str, body: bytes | None, attached: Mapping[str, AttachmentWrite]) -> None:
        """A child of the notice's winner; its end if `body` is None."""
        winner = self._writing.winner(docid)
        above = None if winner is None else parse_revisions(orjson.loads(winner.revisions))
        path = next_path(self._index, docid, above, body or b"", attached)
        gone, text = body is None, body or b"{}"
        self.writes.append(DocumentWrite(docid, gone, text, path=path, attachments=attached, note=NOTICE))


def next_path(
    index: Index, docid: str, path: Path | None, body: bytes, kept: Mapping[str, AttachmentWrite]
) -> Path:
    """The history of a revision that the server makes, a child of `path`'s leaf or a first one."""
    names = orjson.dumps(sorted(attachments.digests(kept).items())) if kept else b""
    above: Rev | None = None if path is None else path.leaf
    name = index.keyed_revision(docid, above, body + names)
    return Path(1, [name]) if path is None else Path(path.start + 1, [name, *path.ids])
