"""What has to be asked of the server beside the feed: documents that come into the index without having
changed, and customers for their consent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from kompass.feed.source import Source

AT_ONCE = 200
"""Documents asked for in one request."""

Document = Mapping[str, Any]


class Originals(Protocol):
    """Everything raises `kompass.feed.source.SourceUnavailableError`."""

    async def documents(self, ids: Collection[str]) -> Mapping[str, Document]:
        """As they are now; those that aren't there any more are left out."""

    async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
        """None if it isn't there any more. Raises `kompass.feed.source.SourceRefusedError`, too."""

    async def close(self) -> None: ...


class ServerOriginals:
    """Those of the server whose feed is followed."""

    def __init__(self, url: str, secret: str) -> None:
        self._address = (url, secret)
        self._source: Source | None = None

    async def documents(self, ids: Collection[str]) -> Mapping[str, Document]:
        listed, found = sorted(ids), dict[str, Document]()
        for at in range(0, len(listed), AT_ONCE):
            found |= await self._opened().current(listed[at : at + AT_ONCE])
        return found

    async def attachment(self, docid: str, rev: str, name: str) -> bytes | None:
        return await self._opened().attachment(docid, rev, name)

    async def close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            await source.__aexit__(None, None, None)

    def _opened(self) -> Source:
        if self._source is None:
            self._source = Source(*self._address)
        return self._source
