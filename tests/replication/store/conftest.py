"""The drivers that every test of this folder runs over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from replication.store.interface import Database, Store
from replication.store.sqlite import SqliteStore
from tests.cluster.harness import cluster
from tests.replication.store.journals import MemoryJournal


@pytest.fixture(params=["sqlite", "copy", pytest.param("cluster", marks=[pytest.mark.slow])])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """`copy`: each database follows a journal in memory; `cluster`: one in PostgreSQL."""
    if request.param == "cluster":
        with cluster() as made:
            shared = await made.open(tmp_path / "data")
            yield shared
            await shared.close()
        return
    journals: defaultdict[str, MemoryJournal] = defaultdict(MemoryJournal)
    store = await SqliteStore.open(
        tmp_path / "data", journals=journals.__getitem__ if request.param == "copy" else None
    )
    yield store
    await store.close()


@pytest.fixture
async def db(store: Store) -> Database:
    return await store.create("test")
