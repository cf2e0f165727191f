"""`kompass print`: a PDF from a running server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from kompass.cli.app import app
from kompass.domain.examples import full
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.product import running_product


@pytest.mark.slow
async def test_an_offer_is_written_once(tmp_path: Path) -> None:
    offer = {**full("offer"), "status": "sent"}
    documents = [offer, *(full(one) for one in ("customer", "opportunity", "contact"))]

    async def run(url: str, *arguments: Any) -> Result:
        given = ["print", *map(str, arguments), "--server", url, "--user", "chef", "--password", "pw"]
        return await asyncio.to_thread(CliRunner().invoke, app, given)

    async with running_product(tmp_path / "data", ADMIN) as product, serving(product) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            await put_user(client, "chef", "GF")
            for body in documents:
                stored = {key: value for key, value in body.items() if key not in ("_rev", "_attachments")}
                made = await client.put(f"/kompass/{body['_id']}", json=stored, auth=ADMIN)
                assert made.status_code == 201, made.text
        output = tmp_path / "offer.pdf"
        told = await run(url, "offer", offer["_id"], "--output", output)
        assert told.exit_code == 0, told.output
        assert output.read_bytes().startswith(b"%PDF-")
        assert str(output.stat().st_size) in told.output
        again = await run(url, "offer", offer["_id"], "--output", output)
        assert "is there already" in str(again.exception)
        missing = await run(url, "contract", offer["_id"], "--output", tmp_path / "none.pdf")
        assert "no such document" in str(missing.exception)
        assert not (tmp_path / "none.pdf").exists()
