"""The API before a gate and its small company."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

import httpx
import pytest

from kompass.api.resources import create_api
from kompass.api.services import Chain, Services
from kompass.audit.signing import SigningKeys
from kompass.identity.setup import create_identity
from kompass.settings import Settings
from kompass.texts import TextFile
from replication.http import ServerConfig, create_app
from tests.identity.conftest import ADMIN, put_user
from tests.sync.gate_world import PEOPLE, World


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await World.open(tmp_path)
    yield world
    await world.close()


@pytest.fixture
async def client(world: World, tmp_path: File) -> AsyncIterator[httpx.AsyncClient]:
    identity = create_identity(world.store, Settings())
    documents = create_app(
        world.store, ServerConfig(admins=dict([ADMIN]), password_iterations=10), identity=identity.gate
    )
    await documents.server.prepare()
    await identity.devices.prepare()
    chain = Chain(tmp_path / "kompass.sqlite", SigningKeys(TextFile(tmp_path / "keys.json")))
    api = create_api(Services(documents.server, identity, world.index, lambda: world.gate, chain))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (api if scope["path"].startswith("/api/") else documents)(scope, receive, send)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        for name, roles in PEOPLE.items():
            await put_user(client, name, *sorted(roles))
        yield client
    await identity.close()
    documents.server.feeds.close()
    documents.server.accounts.close()
