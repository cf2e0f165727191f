"""What was taken from people after a backup is taken from them again before anybody is served."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kompass.backup import sealing
from kompass.backup.directory import DataDirectory
from kompass.backup.making import make
from kompass.backup.repository import Repository
from kompass.backup.restoring import chosen, restore
from kompass.backup.target import DirectoryTarget
from kompass.identity.devices import device_key
from kompass.revocations.log import FILE
from tests.in_process import serving
from tests.product import running_product

pytestmark = pytest.mark.alone("backups of one server's directory")

ADMIN = ("root", "geheim-genug")
SECRET = b"korrekt pferd batterie"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 1024)


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running_product(directory, ADMIN) as product,
        serving(product) as url,
        httpx.AsyncClient(base_url=url, auth=ADMIN, timeout=30) as client,
    ):
        yield client


async def put_user(client: httpx.AsyncClient, name: str, *roles: str, **members: Any) -> None:
    place = f"/_users/org.couchdb.user:{name}"
    found = await client.get(place)
    before = found.json() if found.status_code == 200 else {"password": f"{name}-geheim"}
    doc = {**before, "name": name, "type": "user", "roles": list(roles), **members}
    (await client.put(place, json=doc)).raise_for_status()


async def roles_of(client: httpx.AsyncClient, name: str, password: str | None = None) -> list[str] | None:
    answer = await client.get("/_session", auth=(name, password or f"{name}-geheim"))
    if answer.status_code == 401:
        return None
    roles: list[str] = answer.json()["userCtx"]["roles"]
    return sorted(roles)


def backed_up(directory: Path, tmp_path: Path) -> None:
    make(DataDirectory(directory), DirectoryTarget(tmp_path / "repository"), SECRET)


def restored(tmp_path: Path, into: Path, survivors: Path | None = None) -> Path:
    repository = Repository.open(DirectoryTarget(tmp_path / "repository"), SECRET)
    restore(repository, chosen(repository, None, None), into, survivors=survivors)
    return into


async def device_of(client: httpx.AsyncClient, name: str, device: str) -> str:
    answer = await client.get(
        "/_session", auth=(name, f"{name}-geheim"), headers={"X-Kompass-Device": device}
    )
    answer.raise_for_status()
    return device_key(name, f"id:{device}")


async def test_whatever_was_taken_after_the_backup_is_taken_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running(data) as client:
        for name in ("anna", "berta", "carla", "dora", "emma", "fritz"):
            await put_user(client, name, "ADM", "INNEN")
        known = await device_of(client, "fritz", "tablet-of-fritz")
        backed_up(data, tmp_path)
        await put_user(client, "anna", "INNEN")
        await put_user(client, "berta", "ADM", "INNEN", active=False)
        doc = (await client.get("/_users/org.couchdb.user:carla")).json()
        await client.delete("/_users/org.couchdb.user:carla", params={"rev": doc["_rev"]})
        await put_user(client, "dora", "ADM", "INNEN", password="ein neues Passwort")
        await put_user(client, "emma", "ADM")
        await put_user(client, "emma", "ADM", "INNEN")  # taken, and given back
        new = await device_of(client, "emma", "tablet-of-emma")
        for device in (known, new):
            (await client.post(f"/api/v1/devices/{device}/lost")).raise_for_status()

    new_place = restored(tmp_path, tmp_path / "new", survivors=data)
    async with running(new_place) as client:
        assert await roles_of(client, "anna") == ["INNEN"]
        assert await roles_of(client, "berta") is None
        assert await roles_of(client, "carla") is None
        assert await roles_of(client, "dora") is None
        assert await roles_of(client, "dora", "ein neues Passwort") == ["ADM", "INNEN"]
        assert await roles_of(client, "emma") == ["ADM", "INNEN"]
        for name, device in (("fritz", "tablet-of-fritz"), ("emma", "tablet-of-emma")):
            answer = await client.get(
                "/_session", auth=(name, f"{name}-geheim"), headers={"X-Kompass-Device": device}
            )
            assert (answer.status_code, answer.json().get("wipe")) == (401, True)
        # What is given from now on stays.
        await put_user(client, "anna", "ADM", "INNEN", "PLAN")
    async with running(new_place) as client:
        assert await roles_of(client, "anna") == ["ADM", "INNEN", "PLAN"]

    # Without the log nobody can know, and the backup's is no obstacle.
    blind = restored(tmp_path, tmp_path / "blind")
    async with running(blind) as client:
        assert await roles_of(client, "anna") == ["ADM", "INNEN"]
        assert await roles_of(client, "dora") == ["ADM", "INNEN"]


@pytest.mark.slow
async def test_what_was_given_back_before_the_backup_is_not_taken_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running(data) as client:
        await put_user(client, "anna", "ADM", "INNEN")
        await put_user(client, "anna", "ADM")
        await put_user(client, "anna", "ADM", "INNEN", "PLAN")
        backed_up(data, tmp_path)
    async with running(restored(tmp_path, tmp_path / "new", survivors=data)) as client:
        assert await roles_of(client, "anna") == ["ADM", "INNEN", "PLAN"]


@pytest.mark.slow
async def test_a_directory_that_was_copied_back_by_hand_is_noticed_as_well(tmp_path: Path) -> None:
    data, old = tmp_path / "data", tmp_path / "old"
    async with running(data) as client:
        await put_user(client, "anna", "ADM", "INNEN")
    shutil.copytree(data, old)
    async with running(data) as client:
        await put_user(client, "anna", "INNEN")
    shutil.copy(data / FILE, old / FILE)
    async with running(old) as client:
        assert await roles_of(client, "anna") == ["INNEN"]


@pytest.mark.slow
async def test_the_matrix_that_was_last_in_force_is_in_force(tmp_path: Path) -> None:
    data = tmp_path / "data"
    matrix = {"type": "permission_matrix", "matrixVersion": "2", "active": True}
    closed: dict[str, Any] = {"lead": {"ADM": {"read": [], "create": [], "update": [], "delete": []}}}
    async with running(data) as client:
        backed_up(data, tmp_path)
        answer = await client.put("/kompass/permission-matrix-2", json={**matrix, "overrides": closed})
        assert answer.status_code == 201, answer.text
    async with running(restored(tmp_path, tmp_path / "new", survivors=data)) as client:
        found = (await client.get("/kompass/permission-matrix-2")).json()
        assert found["overrides"] == closed


@pytest.mark.slow
async def test_who_lost_a_role_by_his_document_alone_loses_it_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running(data) as client:
        await put_user(client, "anna", "ADM", "INNEN")
        assert await roles_of(client, "anna")
        assert (await client.get("/kompass/_changes", auth=("anna", "anna-geheim"))).status_code == 200
        backed_up(data, tmp_path)
        doc = (await client.get("/kompass/user-anna")).json()
        answer = await client.put("/kompass/user-anna", json={**doc, "roles": ["INNEN"], "version": 99})
        assert answer.status_code == 201, answer.text
    async with running(restored(tmp_path, tmp_path / "new", survivors=data)) as client:
        assert (await client.get("/kompass/user-anna")).json()["roles"] == ["INNEN"]
