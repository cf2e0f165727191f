"""The office is told of customers that may be there already."""

from __future__ import annotations

from kompass.access.principals import Role
from tests.business.documents import change, push_new
from tests.business.offers import all_of
from tests.sync.gate_world import World, customer, customer_body

ADDRESS = {"street": "Hauptstr.", "streetNumber": "5", "zipCode": "32257", "city": "Bünde"}


async def told_of_duplicates(world: World) -> list[tuple[str, str, list[str]]]:
    """(who, of which customer, with which others)."""
    return [
        (one["recipientId"], one["documentId"], one["otherDocumentIds"])
        for one in await all_of(world, "notification")
        if one["notificationType"] == "DUPLICATE"
    ]


async def test_the_office_is_told_of_possible_duplicates_once(world: World) -> None:
    one = customer_body("adm1", email="info@hof.example", companyName="Hof Eins", billingAddress=ADDRESS)
    await push_new(world, "adm1", customer(1), one)
    assert await told_of_duplicates(world) == []
    other = customer_body("adm2", email="INFO@hof.example ", companyName="Anders")
    await push_new(world, "adm2", customer(2), other)
    assert await told_of_duplicates(world) == [("innen1", customer(2), [customer(1)])]
    (told,) = await all_of(world, "notification")
    assert not {"title", "message"} & told.keys()
    assert "Hof" not in str(told)
    # What has nothing to do with it tells nobody again; another address that is nearly the same does.
    await change(world, "adm2", customer(2), phone="05223 1")
    assert len(await told_of_duplicates(world)) == 1
    near = {**ADDRESS, "street": "Hauptstraße", "city": "Buende"}
    await change(world, "adm2", customer(2), email="a@b.example", companyName="Hof Ein", billingAddress=near)
    assert await told_of_duplicates(world) == [("innen1", customer(2), [customer(1)])] * 2


async def test_the_whole_office_is_told_and_nobody_else(world: World) -> None:
    await world.set_roles("innen2", {Role.INNEN})
    await world.set_roles("innen3", {Role.INNEN})
    await world.put("user-innen3", {"type": "user", "name": "innen3", "roles": ["INNEN"], "active": False})
    for number in (1, 2):
        await push_new(world, "adm1", customer(number), customer_body("adm1", email="info@hof.example"))
    told = await told_of_duplicates(world)
    assert sorted(person for person, _, _ in told) == ["innen1", "innen2"]


async def test_whoever_is_forgotten_is_nobody_s_duplicate(world: World) -> None:
    for number in (1, 2):
        await world.has_customer(number, companyName=f"Gelöschter Kunde #{number}", anonymized=number == 1)
    await change(world, "adm1", customer(2), companyName="Gelöschter Kunde #3")
    assert await told_of_duplicates(world) == []


async def test_imports_tell_nobody_of_duplicates(world: World) -> None:
    for number in (1, 2, 3):
        await world.has_customer(number, email="info@hof.example")
    assert await told_of_duplicates(world) == []
