"""A document costs the same whether there are ten beside it or hundreds: what rules look at doesn't grow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any

import pytest

from kompass.business import lookups
from kompass.business.rules import BusinessRules
from tests.business.documents import body, docid, push_new
from tests.sync.gate_world import World, customer, customer_body, new

BESIDE = 150
"""More than rules compare with."""


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await World.open(tmp_path, follows=True, business=BusinessRules())
    yield world
    await world.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the documents that rules and effects have read, in their order."""
    found: list[str] = []
    real = lookups.bare

    def counting(document: Any) -> dict[str, Any]:
        found.append(document.id)
        return real(document)

    monkeypatch.setattr(lookups, "bare", counting)
    return found


def location(number: int, **members: Any) -> dict[str, Any]:
    address = {"street": "Weg", "zipCode": "95028", "city": "Hof", "country": "Deutschland"}
    members = {"locationName": f"Markt {number}", "locationType": "branch", "isActive": True, **members}
    return body("location", "adm1", customerId=customer(1), deliveryAddress=address, **members)


async def push_many(world: World, author: str, bodies: dict[str, dict[str, Any]]) -> list[Any]:
    writes = [new(one).write(docid) for docid, one in bodies.items()]
    return await world.gate.write(world.people[author], writes, replicated=True)


async def test_locations_of_a_customer(world: World, read: list[str]) -> None:
    await world.put(customer(1), customer_body("adm1"))
    many = {docid("location", n): location(n) for n in range(BESIDE)}
    assert all(isinstance(one, str) for one in await push_many(world, "adm1", many))
    read.clear()
    await push_new(world, "adm1", docid("location", 900), location(900))
    assert len(read) < 10
    answer = await push_many(world, "adm1", {docid("location", 901): location(3)})
    assert "location of this name" in str(answer[0])


async def test_customers_of_a_town(world: World, read: list[str]) -> None:
    def shop(number: int) -> dict[str, Any]:
        trades = ("Laden", "Bäckerei", "Metzgerei", "Optik", "Autohaus", "Blumen", "Schuhe", "Möbel", "Uhren")
        street = {"street": f"{trades[number % 7]}gasse", "streetNumber": str(number)}
        address = {**street, "zipCode": "95028", "city": "Hof", "country": "Deutschland"}
        name = f"{trades[number % 9]} {number * 7919 % 1000:03d} und Töchter"
        return body("customer", "adm1", owner="adm1", companyName=name, billingAddress=address)

    for number in range(BESIDE):
        await world.put(customer(number), shop(number))
    read.clear()
    await push_new(world, "adm1", customer(900), shop(900))
    assert len(read) < 30


async def test_costs_of_a_project(world: World, read: list[str]) -> None:
    project = docid("project", 1)
    await world.put(customer(1), customer_body("adm1"))
    await world.put(project, body("project", customerId=customer(1)))

    def cost(number: int) -> dict[str, Any]:
        paid = {"costType": "material", "supplierName": "Holz Meier", "invoiceNumber": f"R {number}"}
        return body("project_cost", projectId=project, quantity=1, unitPriceEur=2, status="received", **paid)

    for number in range(BESIDE):
        await world.put(docid("project-cost", number), cost(number))
    read.clear()
    await world.put(docid("project-cost", 900), cost(900))
    assert len(read) < 10


async def test_a_customer_with_many_locations_is_kept(world: World, read: list[str]) -> None:
    """To say that something is in the way one document is enough."""
    await world.put(customer(1), customer_body("adm1"))
    for number in range(BESIDE):
        await world.put(docid("location", number), location(number))
    read.clear()
    path = await world.path(customer(1))
    (answer,) = await world.push("gf1", (customer(1), new(None, path)))
    assert "is not deleted while others belong to it" in answer
    assert len(read) < 20
