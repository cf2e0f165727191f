"""Offline work comes in any order: what belongs to something that isn't there yet waits for it."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.sync.gate.references import MOST_LEVELS, levels
from replication.protocol.revisions import Path
from tests.sync.gate_world import World, contact, contact_body, customer, customer_body, new, uuid


async def test_children_before_their_parents_in_one_batch(world: World) -> None:
    answers = await world.push(
        "adm1", (contact(1), new(contact_body(customer(1)))), (customer(1), new(customer_body()))
    )
    assert answers == ["", ""]
    assert await world.body(contact(1)) is not None
    assert await world.quarantined("adm1") == []


async def test_a_document_waits_for_its_parent(world: World) -> None:
    child = new(contact_body(customer(1)), None, "", photo=b"bytes")
    assert await world.push("adm1", (contact(1), child)) == [""]
    assert await world.winner(contact(1)) is None
    assert await world.missing("adm1", (contact(1), child)) == set()
    assert await world.missing("adm2", (contact(1), child)) == {(contact(1), child.rev)}
    assert await world.push("adm1", (contact(1), child)) == [""]
    assert await world.quarantined("adm1") == [(contact(1), "waiting")]
    assert await world.notices("adm1", "rejected_change") == []

    assert await world.push("adm1", (customer(1), new(customer_body()))) == [""]
    stored = await world.winner(contact(1))
    assert stored is not None
    assert stored.rev == child.rev
    (info,) = (await world.database.attachments(contact(1), child.path.leaf)).values()
    assert b"".join([piece async for piece in world.database.read_attachment(info)]) == b"bytes"
    assert await world.quarantined("adm1") == []


async def test_invisible_is_the_same_as_absent(world: World) -> None:
    await world.has_customer(1, "adm2")
    child = new(contact_body(customer(1)))
    assert await world.push("adm1", (contact(1), child), (contact(2), new(contact_body(customer(2))))) == [
        "",
        "",
    ]
    assert {state for _, state in await world.quarantined("adm1")} == {"waiting"}


async def test_what_becomes_visible_lets_in_what_waits_for_it(world: World) -> None:
    await world.has_customer(1, "adm2")
    await world.push("adm1", (contact(1), new(contact_body(customer(1)))))
    await world.has_customer(1, "adm1")
    assert await world.winner(contact(1)) is None
    await world.gate.housekeep()
    assert await world.winner(contact(1)) is not None
    assert await world.quarantined("adm1") == []


async def test_chains_of_waiting_documents_follow_one_another(world: World) -> None:
    """A comment on a contact of a customer, all in separate batches, the last one first."""
    comment = f"comment-{uuid(1)}"
    body = {
        "type": "comment",
        "parentId": contact(1),
        "createdBy": "adm1",
        "modifiedBy": "adm1",
        "content": "Hm",
    }
    assert await world.push("adm1", (comment, new(body))) == [""]
    assert await world.push("adm1", (contact(1), new(contact_body(customer(1))))) == [""]
    assert await world.push("adm1", (customer(1), new(customer_body()))) == [""]
    assert await world.body(contact(1)) is not None
    assert await world.body(comment) == body
    assert await world.quarantined("adm1") == []


async def test_after_seven_days_it_is_refused_and_its_author_is_told(world: World) -> None:
    child = new(contact_body(customer(1)))
    await world.push("adm1", (contact(1), child))
    world.clock.advance(days=6, hours=23)
    await world.gate.housekeep()
    assert await world.quarantined("adm1") == [(contact(1), "waiting")]
    world.clock.advance(hours=2)
    await world.gate.housekeep()
    assert await world.quarantined("adm1") == [(contact(1), "quarantined")]
    (notice,) = await world.notices("adm1", "rejected_change")
    assert notice["document"] == child.body
    assert notice["rule"] == "reference.absent"
    with world.database.reading() as reading:
        row = world.index.row_of(reading, "adm1", contact(1))
    assert row is not None
    assert row.tombstones
    assert await world.missing("adm1", (contact(1), child)) == set()


async def test_a_later_version_takes_the_place_of_the_one_that_waits(world: World) -> None:
    first = new(contact_body(customer(1)))
    await world.push("adm1", (contact(1), first))
    second = new(contact_body(customer(1), firstName="Ute"), first.path)
    assert await world.push("adm1", (contact(1), second)) == [""]
    assert await world.quarantined("adm1") == [(contact(1), "waiting")]
    await world.push("adm1", (customer(1), new(customer_body())))
    assert (await world.live(contact(1)))["firstName"] == "Ute"
    assert await world.quarantined("adm1") == []


async def test_what_is_deleted_on_the_device_waits_no_more(world: World) -> None:
    first = new(contact_body(customer(1)))
    await world.push("adm1", (contact(1), first))
    assert await world.push("adm1", (contact(1), new(None, first.path))) == [""]
    assert await world.quarantined("adm1") == []
    await world.push("adm1", (customer(1), new(customer_body())))
    assert await world.winner(contact(1)) is None


async def test_what_waits_is_judged_as_its_author_is_when_the_parent_comes(world: World) -> None:
    await world.push("adm1", (contact(1), new(contact_body(customer(1)))))
    await world.set_roles("adm1", set())
    await world.has_customer(1, "adm1")
    await world.gate.housekeep()
    assert await world.quarantined("adm1") == [(contact(1), "quarantined")]
    assert await world.winner(contact(1)) is None


async def test_waiting_documents_survive_a_restart(tmp_path: File) -> None:
    world = await World.open(tmp_path)
    child = new(contact_body(customer(1)), None, "", photo=b"bytes")
    await world.push("adm1", (contact(1), child))
    await world.close()
    world = await World.open(tmp_path)
    try:
        assert await world.missing("adm1", (contact(1), child)) == set()
        await world.database.compact()
        await world.push("adm1", (customer(1), new(customer_body())))
        stored = await world.winner(contact(1))
        assert stored is not None
        assert stored.has_attachments
    finally:
        await world.close()


async def test_large_batches_are_taken_in_parts_with_parents_first(world: World) -> None:
    docs = [(contact(n), new(contact_body(customer(n % 7)))) for n in range(700)]
    docs += [(customer(n), new(customer_body())) for n in range(7)]
    assert await world.push("adm1", *docs) == [""] * 707
    assert await world.quarantined("adm1") == []
    for n in (0, 699):
        assert await world.body(contact(n)) is not None


@pytest.mark.slow
async def test_a_thousand_revisions_of_one_document_in_a_batch_are_judged_in_order(world: World) -> None:
    version = new(customer_body())
    docs = [(customer(1), version)]
    for n in range(999):
        version = new(customer_body(phone=str(n)), Path(version.path.start, version.path.ids))
        docs.append((customer(1), version))
    assert await world.push("adm1", *docs) == [""] * 1000
    assert (await world.winner(customer(1)) or pytest.fail("no winner")).rev == version.rev


# -- the order by itself -----------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(0, 9), max_size=3)), max_size=12))
def test_parents_come_first_and_no_document_twice(batch: list[tuple[int, set[int]]]) -> None:
    docs: list[tuple[str, dict[str, Any]]] = [
        (f"d{own}", {f"to{other}Id": f"d{other}" for other in others}) for own, others in batch
    ]
    groups = levels(docs)
    places = [place for group in groups for place in group]
    assert sorted(places) == list(range(len(docs)))
    group_of = {place: number for number, group in enumerate(groups) for place in group}
    for group in groups:
        ids = [docs[place][0] for place in group]
        assert len(ids) == len(set(ids))
    acyclic = all(other < own for own, others in batch for other in others)
    for place, (docid, body) in enumerate(docs):
        for other_place, (other, _) in enumerate(docs):
            if other == docid:
                if other_place < place:
                    assert group_of[other_place] < group_of[place]
            elif acyclic and other in body.values():
                assert group_of[other_place] < group_of[place]


@pytest.mark.parametrize("deep", [0, MOST_LEVELS + 3])
def test_accepted_offers_of_one_opportunity_come_one_after_the_other(deep: int) -> None:
    """However long the chain of documents is that stands before them."""
    docs: list[tuple[str, dict[str, Any]]] = [(f"d{n}", {"parentId": f"d{n - 1}"}) for n in range(deep)]
    won = {"type": "offer", "status": "accepted", "opportunityId": "o", "lastId": f"d{deep - 1}"}
    docs += [("a", won), ("b", won), ("b", {**won, "notes": "x"}), ("c", {**won, "opportunityId": "p"})]
    places = [deep, deep + 1, deep + 2]
    at = [next(n for n, group in enumerate(levels(docs)) if place in group) for place in places]
    assert at == sorted(set(at))
