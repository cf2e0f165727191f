"""What a device sent and was refused, as tests make it and find it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from kompass.sync.notices import rejected_id
from kompass.sync.quarantine.desk import Desk, Shown
from tests.sync.gate_world import Version, World, customer, customer_body, new


async def refused_edit(world: World, user: str = "adm1", number: int = 1, **more: Any) -> Version:
    """Somebody hands a customer to somebody else, which he may not."""
    if await world.winner(customer(number)) is None:
        await world.has_customer(number)
    body = customer_body(owner="adm2", createdBy="adm1", modifiedBy=user, **more)
    version = new(body, await world.path(customer(number)))
    assert await world.push(user, (customer(number), version)) != [""]
    return version


async def only(world: World, user: str = "adm1", viewer: str | None = None) -> Shown:
    """The one entry of somebody."""
    ((_, number),) = world.gate.quarantine.listed(user=user, state=None, limit=9)
    shown = await Desk(world.gate).find(world.people[viewer or user], number)
    assert shown is not None
    return shown


async def uploads(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def notice_of(world: World, user: str = "adm1") -> tuple[str, Version]:
    """The one notice of somebody, and the deletion of it that his device makes."""
    (shown,) = await world.notices(user, "rejected_change")
    docid = rejected_id(user, shown["docId"], shown["rev"])
    return docid, new(None, await world.path(docid))
