"""Every sink passes the same tests. A new one adds its line to `HARNESSES`."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.feed.conformance import SinkConformance
from tests.feed.harness import SinkHarness

HARNESSES = {
    "reference": "tests.feed.reference:harness",
    "jobs": "tests.jobs.sink:harness",
    "readstore": "tests.readstore.harness:harness",
    "search": "tests.search.embedded:harness",
    "vectors": "tests.vectors.embedded:harness",
    "vectors in Weaviate": "tests.vectors.in_weaviate:harness",
    "search in MeiliSearch": "tests.search.meili:harness",
}
"""Sink -> `module:function`; the function takes an empty directory and is an asynchronous context manager
that gives a `SinkHarness`. What is dear to start it keeps for the whole process."""


DEAR = {"readstore", "search in MeiliSearch", "vectors in Weaviate"}
"""Those whose tests wait for a server: left out of the fast ring."""


@pytest_asyncio.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in DEAR else []) for name in sorted(HARNESSES)
    ]
)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SinkHarness]:
    module, _, function = HARNESSES[request.param].partition(":")
    async with getattr(importlib.import_module(module), function)(tmp_path) as one:
        yield one


class TestSinks(SinkConformance):
    pass
