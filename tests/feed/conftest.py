"""The world whose changes a sink follows, one for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.feed.world import FeedWorld, feed_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[FeedWorld]:
    async with feed_world(tmp_path) as world:
        yield world
