"""One replication from its beginning to its end.

    source feed -> page -> what the target lacks -> fetch -> store -> checkpoint

Pages are worked on side by side, but count in their order: a checkpoint never says more than that
everything up to it is at the target, on disk. Whatever breaks on the way, the next run begins at the
last checkpoint, and what is there already is not sent again.

A one-shot replication ends when it has seen as many changes as the source had when it began, or none
are left: a source that is being written to, or makes changes up, doesn't keep it going for ever.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from replication.protocol.revisions import format_rev
from replication.replicator.backoff import pause
from replication.replicator.checkpoints import (
    VERSION,
    Session,
    Start,
    Statistics,
    find_start,
    http_date,
    replication_id,
)
from replication.replicator.failures import (
    AttachmentGone,
    DatabaseMissing,
    InvalidReplication,
    PeerRefused,
    PeerUnavailable,
    ReplicationError,
    TooLarge,
)
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import Options
from replication.replicator.peer import (
    ChangedDocument,
    FeedPage,
    Peer,
    PeerInfo,
    Refusal,
    Revision,
    Seq,
    Unreadable,
    Wanted,
)

log = logging.getLogger("replication.replicator")

MAX_REPORTED = 100
"""Documents that are named one by one in a result; beyond that they are only counted."""

_LAST_WORDS_SECONDS = 5.0
"""For a checkpoint when the replication is stopped."""


@dataclass(slots=True)
class Progress:
    """How far a replication is. It changes while the replication runs."""

    statistics: Statistics = field(default_factory=Statistics)
    source_seq: Seq = None
    """Read from the feed up to here."""
    through_seq: Seq = None
    """Stored up to here."""
    checkpointed_seq: Seq = None
    pending: int | None = None
    """Changes that the source has beyond `source_seq`."""
    caught_up: bool = False
    """Whether the source had no more when it was asked last."""
    refused: list[Refusal] = field(default_factory=list)
    """The first `MAX_REPORTED` revisions that the target did not take."""
    unreadable: list[Unreadable] = field(default_factory=list)
    """The first `MAX_REPORTED` revisions that the source could not give."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """A one-shot replication's outcome."""

    id: str
    document: dict[str, Any]
    """The last checkpoint."""
    progress: Progress
    no_changes: bool
    started: float

    def members(self, *, with_times: bool = False) -> dict[str, Any]:
        """CouchDB's answer to `_replicate`. `with_times`: as it is for `doc_ids`."""
        answer: dict[str, Any] = {"ok": True}
        if self.no_changes:
            answer["no_changes"] = True
        history = self.document.get("history", [])
        answer["session_id"] = self.document["session_id"]
        answer["source_last_seq"] = self.document["source_last_seq"]
        answer["replication_id_version"] = VERSION
        if with_times:
            statistics = self.progress.statistics
            answer["start_time"] = http_date(self.started)
            answer["end_time"] = http_date(time.time())
            answer["docs_read"] = statistics.docs_read
            answer["docs_written"] = statistics.docs_written
            answer["doc_write_failures"] = statistics.doc_write_failures
        answer["history"] = history
        return answer


Notify = Callable[[Progress], None]


class Replication:
    """From one peer to another. `run` once."""

    def __init__(self, source: Peer, target: Peer, options: Options, *, notify: Notify | None = None) -> None:
        """`notify` is called with the progress after each step."""
        self.source = source
        self.target = target
        self.options = options
        self.progress = Progress()
        self.id = ""
        """Known once the run has begun."""
        self._notify = notify or (lambda progress: None)
        self._keeps_checkpoints = options.use_checkpoints
        self._page_size = options.batch_size
        self._target_created = ""
        self._source_created = ""
        if isinstance(source, HttpPeer):
            source.count_in(self.progress.statistics)

    async def find_id(self) -> str:
        """The replication's id; reads the filter's code from the source. Raises `ReplicationError`."""
        feed = self.options.feed
        code: str | None = None
        if feed.filter is not None and not feed.filter.startswith("_"):
            design, _, name = feed.filter.partition("/")
            document = await self.source.document(f"_design/{design}")
            filters = document.get("filters") if document else None
            code = filters.get(name) if isinstance(filters, dict) else None
            if not isinstance(code, str):
                raise InvalidReplication(f"{self.source.shown} has no filter function {feed.filter}")
        self.id = replication_id(self.source.identity, self.target.identity, feed, code)
        return self.id

    async def run(self) -> Result:
        """Replicates until all is done; a continuous one until it fails or is cancelled.

        Raises `ReplicationError`. What was done by then is checkpointed if that is possible.
        """
        started = time.time()
        source_info = await self.source.info()
        target_info = await self._open_target()
        self._source_created, self._target_created = source_info.created, target_info.created
        if not self.id:
            await self.find_id()
        before = await self._checkpoints()
        start = find_start(*before)
        if self.options.since_seq is not None:
            start = Start(self.options.since_seq, start.history)
        progress = self.progress
        progress.source_seq = progress.through_seq = progress.checkpointed_seq = start.since
        session = Session(secrets.token_hex(16), started, start, progress.statistics)
        try:
            await self._replicate(session, source_info)
        except BaseException:
            await self._last_words(session)
            raise
        document = await self._checkpoint(session)
        if document is None:
            unchanged = before[1] if before[0] is not None else None
            if unchanged is not None and "session_id" in unchanged and "source_last_seq" in unchanged:
                return Result(self.id, unchanged, progress, True, started)
            document = session.document(progress.through_seq)
        return Result(self.id, document, progress, False, started)

    async def _open_target(self) -> PeerInfo:
        try:
            return await self.target.info()
        except DatabaseMissing:
            if not self.options.create_target:
                raise
        await self.target.create(self.options.create_target_params)
        return await self.target.info()

    # -- the pipeline ----------------------------------------------------------------------------

    async def _replicate(self, session: Session, info: PeerInfo) -> None:
        running: deque[tuple[Seq, asyncio.Task[None]]] = deque()
        once = not self.options.continuous
        left = _most_changes(info) if once else None
        checkpointed_at = time.monotonic()
        try:
            while True:
                page = await self._next_page(wait=self.progress.caught_up)
                if page is not None:
                    if once:
                        left = self._count_down(left, page)
                    for item in page.unusable:
                        self._note_unreadable(item)
                    if page.last_seq != self.progress.source_seq or page.changes:
                        running.append((page.last_seq, asyncio.create_task(self._work(page.rows))))
                    self.progress.source_seq = page.last_seq
                    self.progress.pending = page.pending
                    self.progress.caught_up = not page.changes
                over = once and (self.progress.caught_up or (left is not None and left <= 0))
                while running and (
                    len(running) >= self.options.workers or self.progress.caught_up or over or page is None
                ):
                    seq, task = running[0]
                    await task
                    running.popleft()
                    self.progress.through_seq = seq
                    self._notify(self.progress)
                if over:
                    return
                if time.monotonic() - checkpointed_at >= self.options.checkpoint_interval:
                    await self._checkpoint(session)
                    checkpointed_at = time.monotonic()
        finally:
            for _, task in running:
                task.cancel()
            await asyncio.gather(*[task for _, task in running], return_exceptions=True)

    async def _next_page(self, *, wait: bool) -> FeedPage | None:
        """The feed's next page; None after a time without one in which there is a checkpoint to make."""
        while True:
            try:
                reading = self.source.changes(
                    self.options.feed, self.progress.source_seq, self._page_size, wait=wait
                )
                if not wait or self.progress.through_seq == self.progress.checkpointed_seq:
                    return await reading
                async with asyncio.timeout(self.options.checkpoint_interval):
                    return await reading
            except TimeoutError:
                return None
            except TooLarge:
                if self._page_size == 1:
                    raise
                self._page_size = max(1, self._page_size // 4)

    def _count_down(self, left: int | None, page: FeedPage) -> int | None:
        """How many changes a one-shot replication still reads after `page`; None while nobody knows."""
        if self.progress.pending is None and page.pending is not None:
            # The first page tells exactly how many there are behind it.
            return page.pending
        return None if left is None else left - page.changes

    async def _work(self, rows: Sequence[ChangedDocument]) -> None:
        """Brings to the target what it lacks of a page."""
        wanted = await self._lacking(rows)
        if not wanted:
            return
        statistics = self.progress.statistics
        async for batch in self.source.fetch(wanted):
            revisions = [item for item in batch if isinstance(item, Revision)]
            for item in batch:
                if isinstance(item, Unreadable):
                    self._note_unreadable(item)
            statistics.docs_read += len(revisions)
            if not revisions:
                continue
            await self._store(revisions)
            self._notify(self.progress)

    async def _store(self, revisions: Sequence[Revision], *, again: bool = True) -> None:
        """Stores what was fetched. What changes at the source meanwhile is fetched once more."""
        try:
            refused = await self.target.store(revisions)
        except AttachmentGone as error:
            if len(revisions) > 1:
                for each in revisions:
                    await self._store([each])
                return
            (revision,) = revisions
            path = revision.write.path
            assert path is not None
            if not again:
                self._note_unreadable(Unreadable(revision.write.id, format_rev(path.leaf), str(error)))
                return
            want = Wanted(revision.write.id, (path.leaf,), revision.ancestors)
            async for batch in self.source.fetch([want]):
                for item in batch:
                    if isinstance(item, Revision):
                        await self._store([item], again=False)
                    else:
                        self._note_unreadable(item)
            return
        statistics = self.progress.statistics
        statistics.docs_written += len(revisions) - len(refused)
        statistics.doc_write_failures += len(refused)
        self.progress.refused += refused[: MAX_REPORTED - len(self.progress.refused)]

    def _note_unreadable(self, item: Unreadable) -> None:
        if len(self.progress.unreadable) < MAX_REPORTED:
            self.progress.unreadable.append(item)

    async def _lacking(self, rows: Sequence[ChangedDocument]) -> list[Wanted]:
        asked: dict[str, list[tuple[int, str]]] = {}
        for row in rows:
            asked.setdefault(row.id, []).extend(row.revs)
        if not asked:
            return []
        try:
            found = await self.target.lacking(asked)
        except TooLarge:
            if len(rows) == 1:
                raise
            middle = len(rows) // 2
            return await self._lacking(rows[:middle]) + await self._lacking(rows[middle:])
        statistics = self.progress.statistics
        statistics.missing_checked += sum(map(len, asked.values()))
        statistics.missing_found += sum(len(lacking.missing) for lacking in found.values())
        return [Wanted(docid, lacking.missing, lacking.ancestors) for docid, lacking in found.items()]

    # -- checkpoints -----------------------------------------------------------------------------

    async def _checkpoints(self) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        if not self._keeps_checkpoints:
            return None, None
        return await self.source.local(self.id), await self.target.local(self.id)

    async def _checkpoint(self, session: Session) -> dict[str, Any] | None:
        """Records how far all is stored. None if that has been recorded before."""
        through = self.progress.through_seq
        if not self._keeps_checkpoints or through == self.progress.checkpointed_seq:
            return None
        await self._check_same_databases()
        document = session.document(through)
        for peer in (self.source, self.target):
            try:
                await peer.put_local(self.id, document)
            except PeerRefused as error:
                # A source that may be read only is no reason not to replicate from it.
                self._keeps_checkpoints = False
                told = f"no checkpoints are kept, the next run begins where this one did: {error}"
                self.progress.warnings.append(told)
                log.warning("%s", told)
                return None
        self.progress.checkpointed_seq = through
        self._notify(self.progress)
        return document

    async def _check_same_databases(self) -> None:
        """What was stored into a database that is gone counts for nothing."""
        for peer, before in ((self.target, self._target_created), (self.source, self._source_created)):
            now = await peer.commit()
            if "0" not in (now, before) and now != before:
                raise PeerUnavailable(f"{peer.shown} was deleted and made again meanwhile")

    async def _last_words(self, session: Session) -> None:
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._checkpoint(session)
        except (TimeoutError, ReplicationError):
            pass


def _most_changes(info: PeerInfo) -> int | None:
    """How many changes a source can have, if its sequences begin with a number. For feeds that don't say."""
    number = info.update_seq
    if isinstance(number, str):
        digits = number.partition("-")[0]
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 18 else 0
    most = max(number, info.documents) if type(number) is int else info.documents
    return most if most > 0 else None


async def run_for_ever(replication: Callable[[], Replication]) -> None:
    """A continuous replication that begins again, after a pause, whenever a peer goes away.

    Ends with the `ReplicationError` that no waiting helps against.
    """
    failures = 0
    while True:
        current = replication()
        try:
            await current.run()
        except PeerUnavailable as error:
            if current.progress.statistics.docs_written:
                failures = 0
            log.info("%s; trying again", error)
            await asyncio.sleep(pause(failures, error.wait, first=1.0))
            failures += 1
