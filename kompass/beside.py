"""What runs beside a server on the same machine: the consumer of the feed, a Redis, workers."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from kompass.feed.registry import SinkAbsentError, create, present
from kompass.jobs import redis
from kompass.jobs.sink import NAME
from kompass.settings import Settings
from kompass.settings_values import FeedMode
from kompass.supervisor import Command

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Beside:
    """What this installation runs, and by which secrets its services are let in."""

    settings: Settings
    feeds: bool
    works: bool
    feed_secret: str
    jobs_secret: str

    def commands(self, url: str) -> Iterator[Command]:
        """In the order of their start. `url`: where the server answers."""
        directory = str(self.settings.directory)
        python = (sys.executable, "-m", "kompass")
        where = ("--data", directory, "--server", url, "--child")
        if self.feeds:
            # Secrets aren't on command lines, where everybody on the machine could read them.
            yield Command("feed", (*python, "feed", *where), {"KOMPASS_FEED_SECRET": self.feed_secret})
        if not self.works:
            return
        if self.settings.redis_url is not None:
            address = self.settings.redis_url.get_secret_value()
        else:
            command, address = redis.embedded(self.settings.directory)
            yield command
        environment = {"KOMPASS_JOBS_SECRET": self.jobs_secret, "KOMPASS_REDIS_URL": address}
        for number in range(self.settings.jobs_workers):
            name = "worker" if number == 0 else f"worker {number + 1}"
            yield Command(name, (*python, "worker", *where), environment)


def found(settings: Settings) -> Beside:
    """What the settings and the libraries there are make possible. Secrets that aren't set are made."""
    runs = settings.feed is FeedMode.AUTO
    feeds = runs and bool(present(settings)[0])
    why = why_no_jobs(settings)
    works = runs and why is None
    if runs and settings.jobs and why is not None:
        log.info("jobs are not done here", why=why)
    return Beside(
        settings,
        feeds,
        works,
        given(settings.feed_secret) or (secrets.token_urlsafe(32) if feeds else ""),
        given(settings.jobs_secret) or (secrets.token_urlsafe(32) if works else ""),
    )


def why_no_jobs(settings: Settings) -> str | None:
    """Why no jobs are done beside this server; None if they are."""
    try:
        create(NAME, settings)
    except SinkAbsentError as error:
        return str(error)
    return None


def given(secret: object) -> str:
    """A secret of the settings as text, empty for none."""
    from pydantic import SecretStr

    return secret.get_secret_value() if isinstance(secret, SecretStr) else ""
