"""Month's end: what Lexware's files say, what documents say, and what the read store sums up, is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from kompass.readstore.reading import ReadStore
from kompass.server import Product
from kompass.settings import Settings
from replication.protocol import jsontext
from replication.store.values import KeyRange
from tests.identity.conftest import put_user
from tests.lexware.arriving import lines, payments
from tests.lexware.world import database_of
from tests.readstore import harness
from tests.readstore.world import World

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.alone("the read store follows this process"),
]
HEAD = "Rechnungsnummer;Datum;Kunde;Nettobetrag;MwSt;Bruttobetrag;Fällig;Status"


def listed(number: int) -> str:
    """An invoice of October over its number and 33 cents."""
    net = Decimal(number) + Decimal("0.33")
    tax = (net * Decimal("0.19")).quantize(Decimal("0.01"))
    amounts = ";".join(f"{each:.2f}".replace(".", ",") for each in (net, tax, net + tax))
    return f"R-2026-{number:05};{1 + number % 28:02}.10.2026;K-00001;{amounts};15.11.2026;Offen"


@pytest_asyncio.fixture(loop_scope="module")
async def client(product: Product) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(product)
    async with httpx.AsyncClient(transport=transport, base_url="http://server", timeout=60) as client:
        await put_user(client, "gf1", "GF")
        await client.get("/kompass", auth=("gf1", "pw"))
        yield client


async def test_month_end(
    product: Product, client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = ("gf1", "pw")
    csv = {"content-type": "text/csv"}
    text = lines(HEAD, *map(listed, range(100, 150)))
    address = "/api/v1/lexware/imports"
    sent = await client.post(address, content=text.encode(), headers=csv, auth=chief)
    assert sent.json()["outcomes"] == {"new": 50}, sent.text
    paid = payments(*(f"R-2026-{n:05};K-00001;02.11.2026;{n};;" for n in range(100, 110)))
    assert (await client.post(address, content=paid, headers=csv, auth=chief)).status_code == 200
    address = "/api/v1/lexware/reconciliation?month=2026-10"
    without = (await client.get(address, auth=chief)).json()
    assert (without["readStore"], without["agrees"]) == (None, True)
    assert without["detail"]
    database = harness.make_database()
    world = World(database)
    await world.sink.open()
    try:
        found = await database_of(product).documents(KeyRange(), limit=10_000)
        bodies = [jsontext.decode(one.text) for one in found]
        await world.put(*(body for body in bodies if body.get("type") in ("customer", "invoice")))
        await world.put(*(body for body in bodies if body.get("type") == "invoice_amount"))
        store = ReadStore(Settings(data=tmp_path, readstore_dsn=database.dsn))
        # The server's own has no PostgreSQL: this one is asked in its place.
        monkeypatch.setattr(ReadStore, "report", store.report)
        told = (await client.get(address, auth=chief)).json()
        await store.close()
    finally:
        await world.sink.close()
        harness.drop_database(database)
    assert told["lexware"] == told["documents"] == told["readStore"], told
    assert (told["lexware"]["invoices"], told["agrees"], told["differences"]) == (50, True, [])
