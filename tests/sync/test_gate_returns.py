"""A document is deleted while somebody changes it: he is asked, and it comes back if he may and wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as File
from typing import Any, NamedTuple

import pytest

from kompass.access import Principal, Role
from kompass.sync.conflicts.desk import Answer, ChoiceError, ConflictDesk, ConflictError
from kompass.sync.quarantine.desk import Desk
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path, parse_rev
from tests.sync.gate_world import Version, World, customer, customer_body, new, uuid
from tests.sync.test_gate_business import Rules, body, docid


@pytest.fixture(params=["no rules", "rules"])
async def world(tmp_path: File, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    more: dict[str, Any] = {"follows": True, "business": Rules()} if request.param == "rules" else {}
    world = await World.open(tmp_path, **more)
    yield world
    await world.close()


def answer(strategy: str = "local", **fields: Any) -> Answer:
    return Answer(strategy, fields, {})


class Known(NamedTuple):
    """What a device has of customer 1."""

    path: Path
    body: dict[str, Any]


async def known_now(world: World) -> Known:
    return Known(await world.path(customer(1)), await world.live(customer(1)))


async def deleted_meanwhile(world: World, **more: Any) -> tuple[Known, Path]:
    """The office changes customer 1, and GF deletes it; returns what a device of adm1 knows, and the end."""
    await world.has_customer(1, phone="1")
    known = await known_now(world)
    await world.put(customer(1), {**known.body, "website": "office", "modifiedBy": "innen1", **more})
    assert await world.push("gf1", (customer(1), new(None, await world.path(customer(1))))) == [""]
    return known, await world.path(customer(1))


def edit(known: Known, **members: Any) -> Version:
    return new({**known.body, "version": 2, **members}, known.path)


async def asked(world: World, user: str = "adm1") -> dict[str, Any]:
    (found,) = await world.notices(user, "conflict")
    return found


async def settle(world: World, user: str, conflict: str, how: Answer) -> str | None:
    return await ConflictDesk(world.gate).resolve(world.people[user], conflict, how)


async def test_its_sender_is_asked_and_it_stays_deleted_meanwhile(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    mine = edit(known, email="a@b.example")
    assert await world.push("adm1", (customer(1), mine)) == [""]
    assert await world.body(customer(1)) is None
    assert await world.live_leaves(customer(1)) == []
    assert await world.quarantined("adm1") == []
    one = await asked(world)
    (field,) = one["fields"]
    assert (field["path"], field["type"], field["recommendation"]) == ("", "deleted", "theirs")
    assert (field["base"]["phone"], field["server"]) == ("1", None)
    assert (one["serverDeleted"], one["deleted"], one["restricted"]) == (True, False, False)
    assert (one["localDocument"], one["serverUser"]) == (mine.body, "gf1")
    # Sent again, and asked for, it is known.
    assert await world.missing("adm1", (customer(1), mine)) == set()
    assert await world.push("adm1", (customer(1), mine)) == [""]
    assert len(await world.notices("adm1", "conflict")) == 1


async def test_he_keeps_it_deleted(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    await world.push("adm1", (customer(1), edit(known, email="a@b.example")))
    before = await world.path(customer(1))
    assert await settle(world, "adm1", (await asked(world))["id"], answer("server")) is None
    assert await world.path(customer(1)) == before
    assert await world.body(customer(1)) is None
    assert await world.notices("adm1", "conflict") == []


async def test_he_restores_it_with_what_others_had_changed(world: World) -> None:
    known, end = await deleted_meanwhile(world)
    mine = edit(known, email="a@b.example")
    await world.push("adm1", (customer(1), mine))
    one = (await asked(world))["id"]
    with pytest.raises(ChoiceError):
        await settle(world, "adm1", one, Answer("manual", {"": "merge"}, {}))
    rev = await settle(world, "adm1", one, Answer("manual", {"": "mine"}, {}))
    stored = await world.live(customer(1))
    assert (stored["email"], stored["website"], stored["modifiedBy"]) == ("a@b.example", "office", "adm1")
    winner = await world.winner(customer(1))
    assert winner is not None
    assert winner.rev == rev
    assert len(await world.live_leaves(customer(1))) == 1
    tree = await world.database.tree(customer(1))
    assert tree is not None
    assert tree.ancestors((await world.path(customer(1))).leaf) & {end.leaf, mine.path.leaf}
    assert await world.notices("adm1", "conflict") == []
    with pytest.raises(ConflictError):
        await settle(world, "adm1", one, answer())
    # It is an ordinary document again.
    assert await world.push(
        "adm1", (customer(1), new({**stored, "phone": "2"}, await world.path(customer(1))))
    ) == [""]
    assert (await world.live(customer(1)))["phone"] == "2"


async def test_files_come_back_with_it(world: World) -> None:
    await world.has_customer(1, phone="1")
    first = new((await known_now(world)).body, await world.path(customer(1)), plan=b"plan")
    assert await world.push("adm1", (customer(1), first)) == [""]
    known = await known_now(world)
    await world.push("gf1", (customer(1), new(None, known.path)))
    mine = new({**known.body, "phone": "2"}, known.path, photo=b"photo")
    assert await world.push("adm1", (customer(1), mine)) == [""]
    await world.database.compact()
    await settle(world, "adm1", (await asked(world))["id"], answer())
    found = await world.database.attachments(customer(1), (await world.path(customer(1))).leaf)
    assert set(found) == {"photo"}, "he had taken the plan away"
    pieces = [piece async for piece in world.database.read_attachment(found["photo"])]
    assert b"".join(pieces) == b"photo"


async def test_two_devices_are_asked_each_for_itself(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    await world.push("adm1", (customer(1), edit(known, email="one")))
    assert await world.push("adm1", (customer(1), edit(known, vatNumber="DE123456789"))) == [""]
    first, second = sorted(await world.notices("adm1", "conflict"), key=lambda one: one["localTimestamp"])
    if "email" not in first["localDocument"]:
        first, second = second, first
    # The second one is compared with what was deleted, not with the first one's branch.
    assert "email" not in second["fields"][0]["base"]
    await settle(world, "adm1", first["id"], answer())
    assert [one["id"] for one in await world.notices("adm1", "conflict")] == [second["id"]]
    assert "vatNumber" not in (await world.live(customer(1)))
    await settle(world, "adm1", second["id"], answer())
    stored = await world.live(customer(1))
    assert (stored["email"], stored["vatNumber"], stored["website"]) == ("one", "DE123456789", "office")
    assert await world.notices("adm1", "conflict") == []


async def test_a_branch_that_goes_on_is_one_question(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    first = edit(known, email="one")
    await world.push("adm1", (customer(1), first))
    second = new({**known.body, "version": 3, "email": "two"}, first.path)
    assert await world.push("adm1", (customer(1), second)) == [""]
    assert (await asked(world))["localDocument"]["email"] == "two"


async def test_who_knew_of_the_deletion_brings_nothing_back(world: World) -> None:
    known, end = await deleted_meanwhile(world)
    assert await world.push("adm1", (customer(1), new(known.body, end))) != [""]
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    assert await world.body(customer(1)) is None
    assert await world.notices("adm1", "conflict") == []
    # The office may write it again.
    desk, office = Desk(world.gate), world.people["innen1"]
    (entry,), _ = await desk.page(office, everybody=True, state=None, limit=9, before=None)
    shown = await desk.find(office, entry.id)
    assert shown is not None
    await desk.release(office, shown)
    stored = await world.live(customer(1))
    assert (stored["phone"], stored["createdBy"], stored["modifiedBy"]) == ("1", "adm1", "innen1")
    assert await world.quarantined("adm1") == [(customer(1), "released")]


async def test_what_he_may_not_change_is_refused_as_ever(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    assert await world.push("adm1", (customer(1), edit(known, owner="adm2"))) != [""]
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    assert await world.notices("adm1", "conflict") == []


async def test_nobody_else_learns_of_it(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    await world.push("adm1", (customer(1), edit(known, email="a@b.example")))
    one = (await asked(world))["id"]
    desk = ConflictDesk(world.gate)
    for user in ("adm2", "plan1", "admin"):
        assert desk.find(world.people[user], one) is None
        with pytest.raises(ProtocolError):
            await settle(world, user, one, answer())
    # Somebody who never held the document is told what he is told of any other.
    assert await world.push("adm2", (customer(1), edit(known, email="x"))) != [""]
    assert await world.notices("adm2", "conflict") == []


async def test_who_may_not_make_such_a_document_brings_none_back(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    await world.push("adm1", (customer(1), edit(known, email="a@b.example")))
    one = (await asked(world))["id"]
    await world.set_roles("adm1", {Role.PLAN})
    world.people["adm1"] = Principal("adm1", frozenset({Role.PLAN}))
    with pytest.raises((ProtocolError, ConflictError)):
        await settle(world, "adm1", one, answer())
    assert await world.body(customer(1)) is None


async def test_a_purge_leaves_nothing_to_decide(world: World) -> None:
    known, _ = await deleted_meanwhile(world)
    await world.push("adm1", (customer(1), edit(known, email="a@b.example")))
    leaves = [leaf.rev for leaf in await world.database.leaves(customer(1))]
    await world.database.purge({customer(1): [parse_rev(rev) for rev in leaves]})
    assert await world.notices("adm1", "conflict") == []


async def test_after_ninety_days_its_text_is_refused_and_kept(world: World) -> None:
    """What was deleted is no longer there: nobody could say what may become of it."""
    known, _ = await deleted_meanwhile(world)
    world.clock.advance(days=91)
    await world.has_customer(2)
    await world.database.compact()
    assert await world.push("adm1", (customer(1), edit(known, email="a@b.example"))) != [""]
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]


async def test_who_deletes_what_others_changed_is_asked_the_same_way(world: World) -> None:
    await world.has_customer(1, phone="1")
    known = await world.path(customer(1))
    await world.has_customer(1, phone="office", modifiedBy="innen1", version=2)
    assert await world.push("gf1", (customer(1), new(None, known))) == [""]
    (one,) = [found for found in await world.notices("gf1", "conflict") if "user" in found]
    assert (one["deleted"], one["serverDeleted"]) == (True, False)
    assert (await world.live(customer(1)))["phone"] == "office"
    await settle(world, "gf1", one["id"], answer())
    assert await world.body(customer(1)) is None
    assert await world.notices("gf1", "conflict") == []


# -- with the rules of the business ----------------------------------------------------------------


@pytest.mark.parametrize("world", ["rules"], indirect=True)
async def test_what_it_names_must_be_there_still(world: World) -> None:
    await world.has_customer(1)
    place = docid("location", 1)
    location = body("location", "adm1", customerId=customer(1), locationName="Laden")
    assert await world.push("adm1", (place, new(location))) == [""]
    chance = docid("opportunity", 1)
    deal = body("opportunity", "adm1", customerId=customer(1), owner="adm1", status="new", title="Theke")
    assert await world.push("adm1", (chance, new({**deal, "locationId": place}))) == [""]
    stored, known = await world.live(chance), await world.path(chance)
    assert await world.push("gf1", (chance, new(None, known))) == [""]
    assert await world.push("adm1", (chance, new({**stored, "title": "Tresen"}, known))) == [""]
    assert await world.push("gf1", (place, new(None, await world.path(place)))) == [""]
    with pytest.raises(ProtocolError, match="locationId"):
        await settle(world, "adm1", (await asked(world))["id"], answer())
    assert await world.body(chance) is None
    assert len(await world.notices("adm1", "conflict")) == 1


@pytest.mark.parametrize("world", ["rules"], indirect=True)
async def test_what_is_there_once_is_not_there_twice(world: World) -> None:
    known, _ = await deleted_meanwhile(world, vatNumber="DE123456789")
    await world.push("adm1", (customer(1), edit(known, email="a@b.example")))
    other = customer_body("adm2", vatNumber="DE123456789", companyName="Neu")
    assert await world.push("adm2", (f"customer-{uuid(2)}", new(other))) == [""]
    with pytest.raises(ProtocolError):
        await settle(world, "adm1", (await asked(world))["id"], answer())
    assert await world.body(customer(1)) is None
