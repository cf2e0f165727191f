"""What follows from a change by the rules of the business, written in its own transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from kompass.business import rebuilding, schema
from kompass.business.numbers import Numbers
from kompass.business.server_made import KeyedRevision
from kompass.business.step import MayRead, Step, Terms
from kompass.domain.changes import Body
from kompass.domain.series import SeriesTable
from kompass.domain.settings import BusinessSettings
from replication.store.sqlite import ChangedDocument, Extension, Reading, Writing


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

    def prepare(self, writing: Writing) -> None:
        if schema.prepare(writing.connection):
            # Nothing is written: what documents lack they get with their next change, or by `rebuild`.
            rebuilding.index(writing, Numbers(writing, self.terms.series, self.now()))

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        Step(writing, self.terms, self.now()).run(documents)

    def rebuild(self, writing: Writing) -> int:
        """Works out everything anew that follows from documents. Returns how many documents it had to
        write.
        """
        return rebuilding.rebuild(writing, self.terms, self.now())

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        pass
