"""What nobody learns from an answer to a write, and what is refused of everybody."""

from __future__ import annotations

import pytest

from kompass.sync.refusals import NO_SUCH_DOCUMENT
from replication.protocol.revisions import parse_rev
from tests.sync.gate_world import Version, World, customer, customer_body, new, uuid


async def test_invisible_deleted_and_purged_ids_are_refused_alike(world: World) -> None:
    for number in (1, 2, 3):
        await world.has_customer(number, "adm2")
    await world.put(customer(2), None)
    found = await world.winner(customer(3))
    assert found is not None
    await world.database.purge({customer(3): [parse_rev(found.rev)]})
    answers = await world.push("adm1", *((customer(n), new(customer_body())) for n in (1, 2, 3, 4)))
    assert answers == [NO_SUCH_DOCUMENT.reason] * 3 + [""]


async def test_purged_revisions_come_back_from_nobody(world: World) -> None:
    mine = new(customer_body())
    assert await world.push("adm1", (customer(1), mine)) == [""]
    first = await world.put(customer(1), {**customer_body(), "companyName": "Changed"})
    theirs = Version(await world.path(customer(1)), customer_body(companyName="Changed"))
    await world.database.purge({customer(1): [parse_rev(first)]})
    # Whoever held them: the author, and the office that saw it.
    for user in ("adm1", "innen1", "gf1"):
        held = [(customer(1), mine), (customer(1), theirs)]
        assert await world.missing(user, *held) == set()
        assert await world.push(user, *held) == ["", ""]
        assert await world.quarantined(user) == []
    assert await world.body(customer(1)) is None
    # The same with something else in its place.
    await world.put(customer(1), customer_body())
    for user in ("adm1", "innen1"):
        assert await world.missing(user, (customer(1), mine)) == set()
        assert await world.push(user, (customer(1), mine)) == [""]
        assert await world.quarantined(user) == []


async def test_nobody_learns_from_a_purged_revision_that_it_was_there(world: World) -> None:
    await world.has_customer(1, "adm1")
    held = Version(await world.path(customer(1)), customer_body())
    await world.database.purge({customer(1): [held.path.leaf]})
    there, not_there = (customer(1), held), (customer(2), held)
    assert await world.missing("adm1", there) == set()
    for user in ("adm2", "admin"):
        assert await world.missing(user, there, not_there) == {
            (docid, held.rev) for docid, _ in (there, not_there)
        }
        (answer,) = await world.push(user, there)
        assert answer != ""
        assert len(await world.quarantined(user)) == 1
    # Nor does he who sees what has the id now, and didn't then.
    await world.put(customer(1), customer_body("adm2"))
    other = new(customer_body(phone="1"))
    assert await world.missing("adm2", (customer(1), other)) == {(customer(1), other.rev)}
    await world.put(customer(3), customer_body("adm1"))
    path = await world.path(customer(3))
    await world.database.purge({customer(3): [path.leaf]})
    await world.put(customer(3), customer_body("adm2"))
    old = Version(path, customer_body())
    assert await world.missing("adm2", (customer(3), old)) == {(customer(3), old.rev)}


async def test_an_edit_of_what_was_purged_meanwhile_is_kept(world: World) -> None:
    await world.has_customer(1, "adm1")
    held = Version(await world.path(customer(1)), customer_body())
    await world.database.purge({customer(1): [held.path.leaf]})
    edit = new(customer_body(phone="1"), held.path)
    assert await world.missing("adm1", (customer(1), edit)) == {(customer(1), edit.rev)}
    assert await world.push("adm1", (customer(1), edit)) != [""]
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]


async def test_who_may_not_create_learns_nothing_by_trying(world: World) -> None:
    await world.has_customer(1, "adm2")
    body = customer_body(createdBy="plan1", modifiedBy="plan1")
    taken, free = await world.push("adm1", (customer(1), new(body)), (customer(2), new(body)))
    assert taken == free != ""
    # The id of a companion follows from its base's, so it can be guessed.
    await world.has_customer(3, "adm1")
    await world.put(f"customer-finance-{uuid(3)}", {"type": "customer_finance", "customerId": customer(3)})
    await world.has_customer(4, "adm1")
    bodies = [
        {
            "type": "customer_finance",
            "customerId": customer(n),
            "createdBy": "innen1",
            "modifiedBy": "innen1",
        }
        for n in (3, 4)
    ]
    one, other = await world.push(
        "innen1",
        (f"customer-finance-{uuid(3)}", new(bodies[0])),
        (f"customer-finance-{uuid(4)}", new(bodies[1])),
    )
    assert one == other != ""


async def test_deletions_of_what_was_never_here_tell_nothing(world: World) -> None:
    """A document made and deleted on the device comes as a deletion with its whole history."""
    await world.has_customer(1, "adm2")
    deletion = new(None, new(customer_body()).path)
    assert await world.push("adm1", (customer(1), deletion), (customer(2), deletion)) == ["", ""]
    assert await world.body(customer(1)) is not None
    assert await world.winner(customer(2)) is None
    assert await world.quarantined("adm1") == []


async def test_possible_ancestors_are_told_of_visible_documents_only(world: World) -> None:
    await world.has_customer(1)
    edit = new(customer_body(), await world.path(customer(1)))
    for user, told in (("adm1", 1), ("adm2", 0)):
        found = await world.gate.missing_revisions(world.people[user], {customer(1): [edit.path.leaf]})
        assert len(found[customer(1)].possible_ancestors) == told


@pytest.mark.parametrize("doctype", ["user", "user_card", "conflict", "rejected_change", "invoice", "role"])
async def test_types_of_the_server_are_refused(world: World, doctype: str) -> None:
    body = {"type": doctype, "createdBy": "gf1", "modifiedBy": "gf1", "user": "gf1"}
    docid = f"{doctype.replace('_', '-')}-{uuid(1)}"
    (reason,) = await world.push("gf1", (docid, new(body)))
    assert "server" in reason
    assert await world.winner(docid) is None


@pytest.mark.parametrize(
    ("docid", "body", "word"),
    [
        (customer(1), {}, "type"),
        (customer(1), {"type": "castle"}, "type"),
        (customer(1), {"type": ["customer"]}, "type"),
        (f"user-{uuid(1)}", customer_body(), "customer-"),
        ("customer-1", customer_body(), "customer-"),
        ("user-adm2", customer_body(), "customer-"),
        (customer(1), customer_body(_access=["x"]), "underscore"),
        (customer(1), customer_body(text="x" * 1_000_001), "bytes"),
    ],
)
async def test_misshapen_documents_are_refused_with_a_reason(
    world: World, docid: str, body: dict[str, object], word: str
) -> None:
    (reason,) = await world.push("adm1", (docid, new(body)))
    assert word in reason
    assert await world.quarantined("adm1") == [(docid, "quarantined")]


async def test_design_documents_of_devices_are_dropped(world: World) -> None:
    design = new({"language": "query", "views": {}})
    assert await world.missing("adm1", ("_design/idx-1", design)) == set()
    assert await world.push("adm1", ("_design/idx-1", design)) == [""]
    assert await world.winner("_design/idx-1") is None
    assert await world.quarantined("adm1") == []
