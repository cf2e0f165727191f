"""Questions to a server, in somebody's name."""

from __future__ import annotations

from typing import Any

import httpx

from tests.attack.world import World


async def answer(world: World, name: str, **parameters: Any) -> httpx.Response:
    return await (await world.client(name)).get("/api/v1/search", params=parameters)


async def search(world: World, name: str, **parameters: Any) -> dict[str, Any]:
    found = await answer(world, name, **parameters)
    assert found.status_code == 200, found.text
    return dict(found.json())
