"""Hears of every change of somebody's rights, whoever made it and by whichever door."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from kompass.revocations.log import Change, RevocationLog
from kompass.revocations.states import Kind, is_harmless, kind_of, kinds
from replication.store.sqlite import ChangedDocument, Extension, Writing


class Watch(Extension):
    """Belongs to one database. What a commit has changed is in the log before anybody is answered."""

    def __init__(self, database: str, kinds: Sequence[Kind], log: RevocationLog) -> None:
        self._database = database
        self._kinds = kinds
        self._log = log
        self._prefixes = tuple(one.prefix for one in kinds)

    def prepare(self, writing: Writing) -> None:
        return

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            if not document.id.startswith(self._prefixes):
                continue
            kind = kind_of(self._kinds, document.id)
            assert kind is not None
            state = None
            if document.seq and not document.deleted:
                state = kind.state(document.text)
            seq = document.seq or writing.update_seq
            change = Change(self._database, writing.epochs.current, seq, document.id, state)
            before = self._log.last(self._database, document.id)
            if (before.state != state) if before is not None else not is_harmless(self._database, state):
                writing.tell(change)

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        self._log.add(one for one in notes if isinstance(one, Change))

    def shared(self, notes: Sequence[object]) -> str | None:
        changes = [list(one) for one in notes if isinstance(one, Change)]
        return orjson.dumps(changes).decode() if changes else None

    def played(self, update_seq: int, shared: str | None) -> None:
        if shared is not None:
            self._log.heard(Change(*one) for one in orjson.loads(shared))


def watching(log: RevocationLog, documents: str) -> dict[str, Extension]:
    """For each database with rights in it; `documents` is the operational one."""
    return {name: Watch(name, found, log) for name, found in kinds(documents).items()}
