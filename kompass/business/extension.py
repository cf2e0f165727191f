"""What follows from a change by the rules of the business, written in its own transaction."""

from __future__ import annotations

from collections.abc import Sequence

from kompass.business.server_made import KeyedRevision
from kompass.domain.settings import BusinessSettings
from replication.store.sqlite import ChangedDocument, Extension, Writing


class BusinessExtension(Extension):
    """Belongs to the operational database, beside the feed index."""

    def __init__(self, keyed_revision: KeyedRevision, settings: BusinessSettings | None = None) -> None:
        """`keyed_revision` names the revisions that the server makes; called when one is written."""
        self.keyed_revision = keyed_revision
        self.settings = settings or BusinessSettings()

    def prepare(self, writing: Writing) -> None:
        pass

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        pass

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        pass
