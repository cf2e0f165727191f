"""schemathesis over the description of the API, before a real server. Few examples of each; by hand as many
as one likes: tests/api/schemathesis.toml says how.
"""

from __future__ import annotations

import asyncio
import sys
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

CONFIG = ROOT / "tests" / "api" / "schemathesis.toml"
EXAMPLES = 2
ASKED = (
    "/(customers|customer-finances|access|audit|bulk|calendars|conflicts|datev|devices|gobd|jobs|lexware"
    "|privacy|quarantine|reports|search|users)(/|$)"
)
"""Resources of documents have one description: some stand for all of them."""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_api_is_as_it_is_described(tmp_path: Path) -> None:
    rules = partial(Sync, business=BusinessRules())
    async with running_product(tmp_path / "data", ADMIN, sync=rules) as product, serving(product) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            await put_user(client, "chef", "GF")
            assert (await client.get("/kompass", auth=("chef", "pw"))).status_code == 200
        command = [
            *("-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{url}/api/v1/openapi.json"),
            *("--auth", "chef:pw", "--checks", "all", "--phases", "fuzzing", "--seed", "1"),
            *("--max-examples", str(EXAMPLES), "--include-path-regex", f"^{ASKED}"),
            *("--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure"),
        ]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
    text = told.decode(errors="replace")
    assert process.returncode == 0, text[-8000:]
    assert "passed" in text
