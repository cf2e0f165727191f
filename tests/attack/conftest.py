from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.attack.world import World, open_world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all tests that change nothing."""
    async with AsyncExitStack() as stack:
        yield await open_world(tmp_path_factory.mktemp("attack") / "data", stack)


@pytest.fixture
async def changing(tmp_path: Path) -> AsyncIterator[World]:
    """One for a test that changes something."""
    async with AsyncExitStack() as stack:
        yield await open_world(tmp_path / "data", stack)
