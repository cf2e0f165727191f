"""Walks one sink along the feed, a page at a time.

A page of changes is read, then who may read its documents, as of one moment; both become a batch. A document
that has changed in between is left out of it: it comes again. What moved to other channels without a change
of its own, and what was purged, is added.

A document that the sink can't store is looked for by halving. It is tried again later, beside the others, and
then left to people (`Ledger`). Until it is stored nothing of it is in the sink: an older version might show
what its readers must not see any more.

A page that is too much for the sink at once is read again with fewer changes, so that its checkpoint moves on
with each that it has.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from kompass.feed.ledger import LONGEST_POSTPONED, Ledger
from kompass.feed.sink import (
    Batch,
    Change,
    Checkpoint,
    DocumentRejectedError,
    PersonAccess,
    Revisiting,
    Sink,
    SinkUnavailableError,
    TooMuchError,
)
from kompass.feed.source import AccessAnswer, Page, Row, Source, SourceUnavailableError, epoch_of, is_asked
from replication.replicator.backoff import pause

FIRST_LIMIT = 50
MOST_ROWS = 500
PAGE_SIZE = 4 * 1024 * 1024
"""Bytes that a page should have. Their size shows in the page before."""
MOST_RETRIED = 20
FIRST_RETRY = 1.0
LONGEST_RETRY = LONGEST_POSTPONED

_BETWEEN = "~"
"""Stands in a checkpoint between the sequence and what the server said of its history."""

log = structlog.get_logger(__name__)


class AnotherDatabaseError(Exception):
    """What the sink has is of another database, or of a past that this one hasn't. The text says which."""


class Walker:
    """See the module. One for a generation of a sink; calls come one after the other."""

    def __init__(self, sink: Sink, source: Source, ledger: Ledger, *, key: str, attempts: int) -> None:
        """`key`: under which name its dead letters are kept."""
        self.sink = sink
        self.key = key
        self._source = source
        self._ledger = ledger
        self._attempts = attempts
        self._limit = FIRST_LIMIT
        self._at: Checkpoint | None = None
        self._failed: set[str] = set()
        self._aside: dict[str, tuple[str, int]] = {}
        """What could not be stored beyond the checkpoint: a page that comes again tries none twice."""
        self.position = 0
        self.target = 0
        self.applied = 0
        self.near = False
        """Whether the latest page was not full: the rest is what was written meanwhile."""
        self.errors = 0
        self.last_error = ""
        self.busy = ""
        """What takes the sink so long that it does the page in parts; empty if nothing does."""

    async def begin(self) -> None:
        """Finds out where the sink is; makes the first checkpoint of an empty one, with all people.

        Raises `AnotherDatabaseError`.
        """
        self._failed = await self._ledger.do(self._ledger.known, self.key)
        self._at = await self.sink.checkpoint()
        if self._at is None:
            everybody = await self._source.everybody()
            self._at = _checkpoint(everybody.epoch, f"0-{everybody.epoch}", everybody.history, 0)
            self.target = everybody.update_seq
            await self.sink.apply(Batch((), self._at, everybody.people, everybody.update_seq))
        self.position = self._at.position

    @property
    def since(self) -> str:
        """The sequence up to which the sink is."""
        assert self._at is not None, "`begin` first"
        return self._at.since.partition(_BETWEEN)[0]

    async def step(self) -> bool:
        """Applies the next page. True if that was the end of the feed.

        Raises what `Source` and sinks raise when they can't be reached, and `AnotherDatabaseError`; then
        nothing has happened, or it happens again.
        """
        assert self._at is not None, "`begin` first"
        at = self._at
        page = await self._source.page(self.since, self._limit)
        if epoch_of(page.last_seq) != at.epoch:
            raise AnotherDatabaseError(
                f"the sink is of the epoch {at.epoch}, the database of {epoch_of(page.last_seq)}"
            )
        history = at.since.partition(_BETWEEN)[2]
        access = await self._source.access([row.id for row in page.rows], self.since, page.last_seq, history)
        if not access.continues or access.epoch != at.epoch or access.update_seq < at.position:
            raise AnotherDatabaseError("the database was restored from a copy that is older than the sink")
        if not _of_one_past(page, access):
            raise SourceUnavailableError("the page and who may read it are of two pasts: it is asked again")
        self._adapt(page)
        changes = await self._changes(page, access)
        after = _checkpoint(at.epoch, access.until, access.history, access.position)
        self.target = access.update_seq
        if changes or access.people or access.position != at.position:
            untried = [one for one in changes if self._aside.get(one.id) != (one.rev, one.position)]
            try:
                await self._deliver(untried, after, access.people)
            except TooMuchError as error:
                self.busy = str(error)
                self._limit = max(1, len(page.rows) // 2)
                return False
        self.busy = ""
        self._aside = {docid: one for docid, one in self._aside.items() if one[1] > access.position}
        self._at = after
        self.position = access.position
        self.applied += len(changes)
        self.near = len(page.rows) < MOST_ROWS // 5 and page.pending < MOST_ROWS
        return not page.pending and access.until == page.last_seq and access.position >= access.update_seq

    # -- a batch -------------------------------------------------------------------------------

    async def _changes(self, page: Page, access: AccessAnswer) -> list[Change]:
        found: dict[str, Change] = {}
        missing: dict[str, str] = {}
        for row in page.rows:
            if row.number <= access.position and not row.id.startswith("_design/"):
                change = _change(row, access)
                if change is not None:
                    found[row.id] = change
        for docid in access.moved:
            rev = access.revs[docid]
            if docid.startswith("_design/") or docid in found:
                continue
            if rev is None:
                found[docid] = Change(docid, access.positions[docid], "", None)
            else:
                missing[docid] = rev
        for docid, doc in (await self._source.documents(missing)).items():
            found[docid] = _stated(docid, missing[docid], doc, access)
        return sorted(found.values(), key=lambda one: one.position)

    async def _deliver(
        self, changes: Sequence[Change], after: Checkpoint, people: Sequence[PersonAccess]
    ) -> None:
        """Applies them, whatever is in them, and then `after`."""
        assert self._at is not None
        try:
            await self.sink.apply(Batch(changes, after, people, self.target))
        except (SinkUnavailableError, TooMuchError):
            raise
        except DocumentRejectedError as error:
            bad = next((one for one in changes if one.id == error.docid), None)
            if bad is None:
                raise SinkUnavailableError(f"it rejects a document that it wasn't given: {error}") from error
            await self._put_aside(bad, error.reason, for_good=True)
            await self._deliver(_without(changes, bad), after, people)
            return
        except Exception as error:
            if not changes:
                raise SinkUnavailableError(outline(error)) from error
            if len(changes) == 1:
                reason = outline(error)
                log.warning("a sink can't store a document", sink=self.key, id=changes[0].id, why=reason)
                await self._put_aside(changes[0], reason)
                await self._deliver(_without(changes, changes[0]), after, people)
                return
            half = len(changes) // 2
            await self._deliver(changes[:half], self._at, ())
            await self._deliver(changes[half:], after, people)
            return
        await self._stored(one.id for one in changes)

    async def _put_aside(self, change: Change, reason: str, *, for_good: bool = False) -> None:
        """It couldn't be stored: that is written down, and then what the sink had of it goes."""
        assert self._at is not None
        self.errors += 1
        self.last_error = f"{change.id}: {reason}"[:300]
        attempts = await self._ledger.do(
            self._ledger.bury, self.key, change.id, change.rev, change.position, reason, None
        )
        if not for_good and attempts < self._attempts:
            due = time.time() + pause(attempts - 1, first=FIRST_RETRY, longest=LONGEST_RETRY)
            await self._ledger.do(self._ledger.postpone, self.key, change.id, due)
        self._failed.add(change.id)
        self._aside[change.id] = change.rev, change.position
        try:
            gone = replace(change, doc=None, channels=frozenset())
            await self.sink.apply(Batch([gone], self._at, latest=self.target))
        except SinkUnavailableError:
            raise
        except Exception as error:
            # It has nothing of it either, or there is nothing that anybody here could do.
            log.error("a sink can't remove a document", sink=self.key, id=change.id, why=outline(error))

    async def _stored(self, docids: Iterable[str]) -> None:
        mended = self._failed.intersection(docids)
        if mended:
            await self._ledger.do(self._ledger.resolve, self.key, mended)
            self._failed -= mended
            for docid in mended:
                self._aside.pop(docid, None)

    def _adapt(self, page: Page) -> None:
        if page.rows:
            fitting = PAGE_SIZE * len(page.rows) // max(page.size, 1)
            self._limit = max(1, min(fitting, 2 * self._limit, MOST_ROWS))

    # -- documents that come again without having changed ----------------------------------------

    async def retry(self) -> None:
        """Tries those again that could not be stored and are due, and those that the sink wants again, all as
        they are now.
        """
        letters = await self._ledger.do(self._ledger.due, self.key, MOST_RETRIED)
        positions = {one.id: one.position for one in letters}
        self._failed.update(positions)
        if isinstance(self.sink, Revisiting):
            positions |= {docid: 0 for docid in await self.sink.due() if docid not in positions}
        if not positions:
            return
        since = self.since
        access = await self._source.access(list(positions), since, since, None)
        wanted = {docid: rev for docid in positions if (rev := access.revs.get(docid)) is not None}
        documents = await self._source.documents(wanted)
        try:
            for docid, position in positions.items():
                await self._retry(docid, position, access, documents.get(docid))
        except TooMuchError:
            return  # the page goes first; the rest is still due

    async def _retry(self, docid: str, position: int, access: AccessAnswer, doc: object) -> None:
        assert self._at is not None
        rev = access.revs.get(docid)
        if rev is None:
            change = Change(docid, max(position, access.positions.get(docid, 0)), "", None)
        elif isinstance(doc, dict):
            change = _stated(docid, rev, doc, access)
        else:
            return  # it has just changed, and is on its way
        await self._deliver([change], self._at, ())


def _of_one_past(page: Page, access: AccessAnswer) -> bool:
    """Whether who told of the documents' readers has the changes of the page. No document is before its
    latest change; but of two processes one may still have what the journal has lost.
    """
    return all(
        access.positions.get(row.id, 0) >= row.number
        for row in page.rows
        if row.number <= access.position and is_asked(row.id) and not row.id.startswith("_design/")
    )


def outline(error: BaseException) -> str:
    """What went wrong and where, without the error's own text: those of databases quote the document."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    own = next((one for one in reversed(frames) if f"{os.sep}kompass{os.sep}" in one.filename), None)
    through = f", called from {Path(own.filename).name}:{own.lineno}" if own and own is not frames[-1] else ""
    return f"{type(error).__module__}.{type(error).__qualname__}{place}{through}"


def _change(row: Row, access: AccessAnswer) -> Change | None:
    """What a row says; None if its document has changed again."""
    position = access.positions.get(row.id)
    if position is None:  # the index has never heard of it: nobody may read it
        return Change(row.id, row.number, row.rev, row.doc)
    rev = access.revs[row.id]
    if rev is None:
        return Change(row.id, position, row.rev, None)
    if rev != row.rev:
        return None
    return Change(row.id, position, rev, row.doc, access.channels[row.id] if row.doc else frozenset())


def _stated(docid: str, rev: str, doc: object, access: AccessAnswer) -> Change:
    """A document that was asked for by its revision."""
    assert isinstance(doc, dict)
    gone = doc.get("_deleted") is True
    channels = frozenset[str]() if gone else access.channels[docid]
    return Change(docid, access.positions[docid], rev, None if gone else doc, channels)


def _checkpoint(epoch: str, since: str, history: str, position: int) -> Checkpoint:
    return Checkpoint(epoch, f"{since}{_BETWEEN}{history}", position)


def _without(changes: Sequence[Change], one: Change) -> list[Change]:
    return [each for each in changes if each is not one]
