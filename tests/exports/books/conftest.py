"""One server for all tests of a file."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.exports.books.company import BOOKS, DOCUMENTS, Company
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Company]:
    directory = tmp_path_factory.mktemp("books")
    (directory / "books.toml").write_text(BOOKS)
    async with (
        running_product(directory / "data", ADMIN, books_file=directory / "books.toml") as product,
        serving(product) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        for name, role in (("chef", "GF"), ("buch", "BUCH"), ("anna", "ADM")):
            await put_user(client, name, role)
            await client.get("/kompass", auth=(name, "pw"))
        company = Company(url, client)
        for body in DOCUMENTS:
            await company.put(body)
        yield company
