"""Whatever says 200 without being the server is taken for one that is away, and for no document's fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from kompass.feed.source import Source, SourceUnavailableError

ASKING: dict[str, Callable[[Source], Awaitable[object]]] = {
    "page": lambda source: source.page("0", 1),
    "news": lambda source: source.news("0"),
    "latest": lambda source: source.latest(),
    "access": lambda source: source.access(["a"], "0", "0", None),
    "everybody": lambda source: source.everybody(),
    "documents": lambda source: source.documents({"a": "1-a"}),
    "current": lambda source: source.current(["a"]),
    "tickets": lambda source: source.tickets("feed-search"),
}
STRANGE = [
    b"",
    b"<html>",
    b"{}",
    b"[]",
    b"null",
    b"5",
    b'{"results":',
    b'{"error": "x", "reason": "y"}',
    b'{"results": 5, "tickets": 5, "people": 5, "channels": 5, "update_seq": "x"}',
    b'{"results": [5], "tickets": [5], "people": [5], "channels": {"a": 5}}',
]


@pytest.mark.parametrize("asked", ASKING)
async def test_what_something_else_says(asked: str) -> None:
    for said in STRANGE:
        transport = httpx.MockTransport(lambda _, said=said: httpx.Response(200, content=said))
        async with Source("http://server", "x", transport=transport) as source:
            with pytest.raises(SourceUnavailableError, match="an answer is"):
                await ASKING[asked](source)


async def test_a_page_without_a_place_in_the_feed_is_no_other_database() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"results": [], "last_seq": None}))
    async with Source("http://server", "x", transport=transport) as source:
        with pytest.raises(SourceUnavailableError, match="isn't what was asked for"):
            await source.page("0-a", 1)
