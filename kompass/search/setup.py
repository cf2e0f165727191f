"""Which index of the full text there is: MeiliSearch where an address is set, else the embedded one."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from kompass.feed.registry import SinkAbsentError
from kompass.feed.sink import Sink
from kompass.settings import Settings

if TYPE_CHECKING:
    from kompass.search.service import Search

NOT_INSTALLED = "tantivy is not installed: pip install 'kompass[search]'"


def create_sink(settings: Settings) -> Sink:
    """For the registry. Raises `SinkAbsentError`."""
    if settings.meilisearch_url is not None:
        from kompass.search.meilisearch.sink import MeiliSink

        return MeiliSink(*_address(settings))
    why = _no_embedded(settings)
    if why is not None:
        raise SinkAbsentError(why)
    from kompass.search.embedded.sink import EmbeddedSink

    return EmbeddedSink(settings.directory / "search")


def create_search(settings: Settings) -> Search:
    """For a server."""
    # Imported here: the consumer needs nothing of what answers people (35 MB).
    from kompass.search.service import Search

    if settings.meilisearch_url is not None:
        from kompass.search.meilisearch.reader import MeiliIndex

        return Search(MeiliIndex(*_address(settings)))
    why = _no_embedded(settings)
    if why is not None:
        return Search(None, f"This server has no search: {why}")
    from kompass.search.embedded.reader import EmbeddedIndex

    return Search(EmbeddedIndex(settings.directory / "search"))


def _address(settings: Settings) -> tuple[str, str, str]:
    secret = settings.meilisearch_key
    key = secret.get_secret_value() if secret else ""
    return settings.meilisearch_url or "", key, settings.meilisearch_index


def _no_embedded(settings: Settings) -> str | None:
    """Why there is no embedded index; None if there is one."""
    why = settings.needs_service("meilisearch_url")
    if why is None and importlib.util.find_spec("tantivy") is None:
        return NOT_INSTALLED
    return why
