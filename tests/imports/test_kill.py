"""A server that is killed in the midst of an import: the next one goes on, and no row is written twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.imports.office import customer, customers
from tests.serving import ADMIN, Serving, until

ROWS = 1_000
pytestmark = [pytest.mark.slow, pytest.mark.crash]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    one = Serving(tmp_path / "data", KOMPASS_FEED="off", KOMPASS_JOBS="false", KOMPASS_RATE_LIMIT="0")
    one.start()
    yield one
    one.stop()


def asked(client: httpx.Client, path: str) -> dict[str, Any]:
    time.sleep(0.2)
    told: dict[str, Any] = client.get(path).json()
    return told


def test_an_import_goes_on_after_the_server_was_killed(server: Serving) -> None:
    rows = [customer(f"Hof {md5(b'%d' % n).hexdigest()}", "Ulm", f"h{n}@hof.de") for n in range(ROWS)]
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for name, role in (("adm1", "ADM"), ("innen1", "INNEN")):
            user = {"name": name, "type": "user", "roles": [role], "password": "nur fuer den test"}
            made = client.put(f"/_users/org.couchdb.user:{name}", json=user, auth=ADMIN)
            assert made.status_code == 201, made.text
            client.auth = httpx.BasicAuth(name, "nur fuer den test")
            assert client.get("/kompass").status_code == 200
        headers = {"content-type": "application/octet-stream"}
        data = customers(*rows).encode()
        told = client.post("/api/v1/imports?type=customer", content=data, headers=headers).json()
        path = f"/api/v1/imports/{told['id']}"
        assert client.post(f"{path}/execute", json={}).status_code == 202
        for least in (200, 600):
            until(lambda least=least: asked(client, path)["done"] >= least, 60, server.told)  # type: ignore[misc]
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
            server.start()
        assert client.get(path).json()["state"] == "importing"
        until(lambda: asked(client, path)["state"] == "done", 60, server.told)
        assert client.get(path).json()["counts"] == {"created": ROWS}
        listed = client.get("/kompass/_all_docs?startkey=%22customer-%22&endkey=%22customer-z%22").json()
        assert len(listed["rows"]) == ROWS
