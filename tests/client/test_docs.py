"""What docs/rest.md shows of the client can be run."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path

import httpx
import pytest

from kompass.business import BusinessRules
from kompass.sync.serving import Sync
from tests.identity.conftest import ADMIN, put_user
from tests.in_process import serving
from tests.needs import ROOT
from tests.product import running_product


@pytest.mark.slow
async def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "rest.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.pdf").write_bytes(b"%PDF-1.7")
    rules = partial(Sync, business=BusinessRules())
    async with running_product(tmp_path / "data", ADMIN, sync=rules) as product, serving(product) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            for name, role in (("gf1", "GF"), ("adm1", "ADM")):
                await put_user(client, name, role)
                await client.get("/kompass", auth=(name, "pw"))
        program = shown.replace("http://127.0.0.1:8080", url).replace("kompass-demo", "pw")
        await asyncio.to_thread(exec, compile(program, "docs/rest.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("Hofladen Müller")
    assert told[1].startswith("412 None Das Dokument hat sich inzwischen geändert")
    assert told[2].startswith("201 lead-")
    assert "Obsthof" in (tmp_path / "leads.csv").read_text("utf-8-sig")
