"""Whoever is erased is erased in the journal, too."""

from __future__ import annotations

import zlib
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from kompass.cluster.bases import Bases
from kompass.cluster.forgetting import forget
from kompass.cluster.process import Process
from kompass.privacy.accounts import Accounts
from kompass.privacy.service import Privacy
from kompass.settings import Settings
from tests.attack.writes_world import ADMIN, Attack, some, text
from tests.cluster.harness import cluster

NAME = b"Rike-Behn-0815"


def kept(process: Process) -> list[bytes]:
    """All that PostgreSQL has."""
    with process.member.connections.use() as connection:
        entries = connection.execute("SELECT changes, told FROM entries").fetchall()
        pieces = connection.execute("SELECT data FROM base_pieces").fetchall()
    packed = [changes for changes, _ in entries if changes] + [data for (data,) in pieces]
    return [told for _, told in entries] + [zlib.decompress(one) for one in packed]


@pytest.mark.slow
async def test_what_was_erased_is_in_no_entry_and_no_saved_file(tmp_path: Path) -> None:
    with cluster() as made:
        settings = Settings(
            journal_dsn=SecretStr(made.dsn), admin=SecretStr(":".join(ADMIN)), data=tmp_path / "copies"
        )
        process = Process(settings, "test", leads=True)
        await process.open()
        product = await process.start()
        bases = Bases(process.store, process.member.catalogue)
        try:
            transport = httpx.ASGITransport(product)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                contact = some("contact")
                members = {"lastName": NAME.decode(), "customerId": some("customer")}
                await Attack(client, product).put(contact, text("contact", "adm1", **members))
            await bases.save("kompass")
            assert any(NAME in one for one in kept(process))
            privacy = Privacy(process.sync.gate(), Accounts(process.store))
            done = await privacy.erase(contact, by="gf1", reason="asked for")
            assert done.is_clean
            assert await forget(process.store, process.member.catalogue, bases)
            assert not any(NAME in one for one in kept(process))
            assert not await forget(process.store, process.member.catalogue, bases)
        finally:
            await process.close()
