"""What every part of a gate works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kompass.access import Principal
from kompass.sync.gate.ports import Audit, Business, Index
from kompass.sync.quarantine.store import Quarantine
from replication.protocol.attachments import StagedAttachment
from replication.protocol.documents import DocumentWrite
from replication.store.sqlite import SqliteDatabase


@dataclass(frozen=True, slots=True)
class Site:
    """The database whose gate it is, and what stands beside it."""

    database: SqliteDatabase
    index: Index
    quarantine: Quarantine
    business: Business
    audit: Audit
    now: Callable[[], datetime]

    def principal(self, user: str) -> Principal:
        """Somebody as his record has him."""
        with self.database.reading() as reading:
            return Principal(user, self.index.roles(reading, user) or frozenset())

    async def discard_staged(self, docs: Sequence[DocumentWrite]) -> None:
        """Bytes that were uploaded for documents that aren't stored."""
        staged = [
            one for doc in docs for one in doc.attachments.values() if isinstance(one, StagedAttachment)
        ]
        if staged:
            await self.database.discard_attachments(staged)
