"""The consumer of the change feed: a follower for each sink, in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress

import structlog
from pydantic import SecretStr

from kompass.feed.follower import Follower
from kompass.feed.leader import Lead, LostLeadError, leading
from kompass.feed.ledger import Ledger
from kompass.feed.registry import Registered, present
from kompass.feed.source import Source
from kompass.settings import Settings

log = structlog.get_logger(__name__)


async def consume(
    settings: Settings,
    *,
    url: str,
    secret: str,
    registered: Mapping[str, Registered] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Follows with every sink there is, as soon as no other consumer leads. Returns when `stop` is set.

    Raises `LedgerError` if the list of dead letters can't be used.
    """
    # Some sinks ask the server themselves: for attachments, or for what else they need of a document.
    settings = settings.model_copy(update={"feed_server": url, "feed_secret": SecretStr(secret)})
    stopped = stop or asyncio.Event()
    waiting = asyncio.create_task(stopped.wait())
    following = asyncio.create_task(_follow(settings, url, secret, registered))
    try:
        await asyncio.wait({waiting, following}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            await following
    finally:
        for task in (waiting, following):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _follow(
    settings: Settings, url: str, secret: str, registered: Mapping[str, Registered] | None
) -> None:
    # Where consumers on several machines have something in common: reports, or the cluster's journal.
    dsn = settings.readstore_dsn or settings.journal_dsn
    while True:
        async with leading(settings.directory, dsn.get_secret_value() if dsn is not None else None) as lead:
            ledger = Ledger.of(settings)
            try:
                await _follow_all(settings, url, secret, registered, lead, ledger)
            except* LostLeadError as lost:
                log.warning("this consumer waits again", why=str(lost.exceptions[0]))
            finally:
                ledger.close()


async def _follow_all(
    settings: Settings,
    url: str,
    secret: str,
    registered: Mapping[str, Registered] | None,
    lead: Lead,
    ledger: Ledger,
) -> None:
    """Returns never."""
    sinks, absent = present(settings, registered)
    for name, why in absent.items():
        log.info("a sink is not there", sink=name, why=why)
    await ledger.do(ledger.keep_only, list(sinks))
    log.info("the feed is followed", server=url, sinks=sorted(sinks))
    async with asyncio.TaskGroup() as group:
        group.create_task(lead.kept(), name="feed leader")
        for sink in sinks.values():
            follower = Follower(sink, Source(url, secret), ledger, attempts=settings.feed_attempts)
            group.create_task(follower.run(), name=f"feed {sink.name}")


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGINT and SIGTERM set it."""
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(one, stop.set)
