"""One server for all tests of a file; the exchange is each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from kompass.business import BusinessRules
from kompass.lexware.exchange import Exchange
from kompass.server import Product
from kompass.sync.serving import Sync
from tests.identity.conftest import ADMIN
from tests.lexware.world import company, exchange, put
from tests.product import running_product


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    directory = tmp_path_factory.mktemp("lexware") / "data"
    async with running_product(directory, ADMIN, sync=partial(Sync, business=BusinessRules())) as product:
        await put(product, *company())
        yield product


@pytest_asyncio.fixture(loop_scope="module")
async def one(product: Product, tmp_path: Path) -> AsyncIterator[Exchange]:
    exchanging = exchange(product, tmp_path)
    yield exchanging
    exchanging.close()
