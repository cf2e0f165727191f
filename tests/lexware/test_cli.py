"""`kompass lexware`: what it does, tells, and ends with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from typer.testing import CliRunner, Result

from kompass.business import BusinessRules
from kompass.cli.app import app
from kompass.lexware import inbox
from kompass.sync.serving import Sync
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.lexware.arriving import payments, row
from tests.lexware.world import company, invoice, put
from tests.product import running_product

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
LOOK = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("cli")
    settings: dict[str, Any] = {"lexware_directory": directory / "lexware"}
    sync = partial(Sync, business=BusinessRules())
    async with running_product(directory / "data", ADMIN, sync=sync, **settings) as product:
        await put(product, *company(), *invoice(1), *invoice(2))
        async with serving(product) as url:
            async with httpx.AsyncClient(base_url=url) as client:
                await put_user(client, "buch1", "BUCH")
                await client.get("/kompass", auth=("buch1", "pw"))
            yield url, directory / "lexware"


async def run(served: tuple[str, Path], *arguments: Any) -> Result:
    given = ["lexware", *map(str, arguments), "--server", served[0], "--user", "buch1", "--password", "pw"]
    return await asyncio.to_thread(CliRunner().invoke, app, given)


async def test_export_to_and_fro(served: tuple[str, Path], tmp_path: Path) -> None:
    would = await run(served, "export", "--dry-run")
    assert (would.exit_code, "contracts: 3 rows would go out" in would.output) == (0, True), would.output
    assert not (served[1] / "exports").exists()
    made = await run(served, "export", "contracts", "--output", tmp_path / "c.csv", "--json")
    assert made.exit_code == 0, made.output
    (told,) = json.loads(made.output)
    assert (tmp_path / "c.csv").read_bytes() == (served[1] / "exports" / told["run"]["file"]).read_bytes()
    assert "contracts: nothing is due" in (await run(served, "export", "contracts")).output
    again = await run(served, "export", "contracts", "--again", told["run"]["num"])
    assert "contracts: 3 rows in kompass_contracts_" in again.output
    wrong = await run(served, "export", "--again", 1)
    assert "say contracts or customers" in str(wrong.exception)


async def test_import_errors_and_their_resolution(
    served: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "z.csv"
    file.write_bytes(payments(row(1, "119,00", "Paid"), "RE-9;K-1;02.11.2026;7,00;;"))
    would = await run(served, "import", file, "--dry-run")
    assert (would.exit_code, "1 exact" in would.output) == (LOOK, True), would.output
    taken = await run(served, "import", file)
    assert taken.exit_code == LOOK
    assert (await run(served, "import", file)).exit_code == 0, "it came before"
    (tmp_path / "n.csv").write_bytes(b"Name\n")
    (tmp_path / "m.csv").write_bytes(payments("RE-9;K-1;02.11.2026;8,00;;"))
    refused = await run(served, "import", tmp_path / "n.csv", tmp_path / "m.csv")
    assert (refused.exit_code, "n.csv: The file is neither payments" in refused.output) == (1, True)
    assert "m.csv: 1 rows of payments: 1 unknown" in refused.output, "it keeps no other from being sent"
    monkeypatch.setattr(inbox, "RESTS", 0.0)
    (served[1] / "imports").mkdir(parents=True, exist_ok=True)
    (served[1] / "imports" / "p.csv").write_bytes(payments(row(2, "19,00")))
    polled = await run(served, "import")
    assert (polled.exit_code, "p.csv: 1 rows of payments: 1 partial" in polled.output) == (0, True)
    (served[1] / "imports" / "link.csv").symlink_to(file)
    assert (await run(served, "import")).exit_code == LOOK, "it isn't taken"
    (served[1] / "imports" / "link.csv").unlink()
    listed = await run(served, "errors", "--entity", "payment", "--json")
    error, *_ = [one for one in json.loads(listed.output) if one["errorType"] == "NotFoundError"]
    nothing = await run(served, "resolve", error["id"], "--assign", "")
    assert "assign needs invoice" in str(nothing.exception)
    assert "NotFoundError" in (await run(served, "errors")).output
    done = await run(served, "resolve", error["id"], "--assign", "R-2026-00002", "--reason", "Kontoauszug")
    assert "assigned to R-2026-00002: Kontoauszug" in done.output
    assert "settled it already" in str((await run(served, "resolve", error["id"], "--retry")).exception)
    assert "say one of" in str((await run(served, "resolve", 1)).exception)


async def test_status_and_a_month(served: tuple[str, Path]) -> None:
    told = await run(served, "status")
    assert (told.exit_code, "lexware: " in told.output) == (0, True), told.output
    month = await run(served, "reconcile", "2026-10")
    assert month.exit_code == LOOK, "Lexware has sent no invoices"
    assert "missing in Lexware" in month.output
    assert "month is written" in str((await run(served, "reconcile", "Oktober")).exception)
