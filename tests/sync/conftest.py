"""The world that devices push to, one for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as File

import pytest

from tests.sync.gate_world import World


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await World.open(tmp_path)
    yield world
    await world.close()
