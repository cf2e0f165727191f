"""What people do with what was refused: they see it, release it, correct it, and have done with it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from kompass.sync.quarantine import State
from kompass.sync.quarantine.desk import ClashError, Desk, DeskError, SettledError
from replication.protocol import errors
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from tests.sync.gate_world import World, contact, contact_body, customer, customer_body, new, uuid
from tests.sync.quarantined import notice_of, only, refused_edit


async def test_who_sees_an_entry(world: World) -> None:
    """Its author, and of the office those who may read the text and the document."""
    await refused_edit(world)
    ((_, number),) = world.gate.quarantine.listed(user="adm1", state=None, limit=9)
    desk = Desk(world.gate)
    seen = {name for name, one in world.people.items() if await desk.find(one, number) is not None}
    assert seen == {"adm1", "innen1", "gf1"}
    pages = {
        name: len((await desk.page(one, everybody=True, state=None, limit=10, before=None))[0])
        for name, one in world.people.items()
    }
    assert pages == {
        "adm1": 1,
        "innen1": 1,
        "gf1": 1,
        **dict.fromkeys(("adm2", "plan1", "buch1", "admin"), 0),
    }


async def test_the_office_sees_no_private_text(world: World) -> None:
    """Costs of a project are for others, refused or not."""
    docid = f"project-competitor-{uuid(1)}"
    body = {"type": "project_competitor", "projectId": f"project-{uuid(1)}", "createdBy": "gf1"}
    assert await world.push("gf1", (docid, new(body))) == [""]
    assert await world.quarantined("gf1") == [(docid, "waiting")]
    ((_, number),) = world.gate.quarantine.listed(user="gf1", state=None, limit=9)
    desk = Desk(world.gate)
    assert await desk.find(world.people["innen1"], number) is None
    assert await desk.find(world.people["gf1"], number) is not None


async def test_pages_go_on_where_they_ended(world: World) -> None:
    for number in range(1, 6):
        await refused_edit(world, number=number)
    desk, seen, before = Desk(world.gate), [], None
    while True:
        entries, before = await desk.page(
            world.people["gf1"], everybody=True, state=State.QUARANTINED, limit=2, before=before
        )
        seen += [entry.docid for entry in entries]
        if before is None:
            break
    assert seen == [customer(n) for n in (5, 4, 3, 2, 1)]


async def test_release_writes_a_new_revision_on_the_winner(world: World) -> None:
    version = await refused_edit(world, phone="0521")
    await world.has_customer(1, email="a@b.example")
    desk, office = Desk(world.gate), world.people["innen1"]
    shown = await only(world, viewer="innen1")
    rev = await desk.release(office, shown)
    body = await world.body(customer(1))
    assert body is not None
    assert (body["owner"], body["phone"], body["email"]) == ("adm2", "0521", "a@b.example")
    assert body["modifiedBy"] == "innen1"
    assert rev == (await world.winner(customer(1)) or pytest.fail("no winner")).rev
    tree = await world.database.tree(customer(1))
    assert tree is not None
    assert version.path.leaf not in tree
    assert len(await world.live_leaves(customer(1))) == 1
    assert await world.quarantined("adm1") == [(customer(1), "released")]
    assert await world.notices("adm1", "rejected_change") == []
    with pytest.raises(SettledError):
        await desk.release(office, await only(world, viewer="innen1"))


async def test_a_release_that_would_undo_others_work_asks_first(world: World) -> None:
    await refused_edit(world, phone="device")
    await world.has_customer(1, phone="office")
    desk, office = Desk(world.gate), world.people["gf1"]
    with pytest.raises(ClashError) as caught:
        await desk.release(office, await only(world, viewer="gf1"))
    assert caught.value.fields == ("phone",)
    assert await world.body(customer(1)) == customer_body(phone="office")
    await desk.release(office, await only(world, viewer="gf1"), overwrite=True)
    assert (await world.live(customer(1)))["phone"] == "device"


async def test_release_is_judged_as_any_write_of_the_one_who_releases(world: World) -> None:
    await world.has_customer(1)
    version = new(None, await world.path(customer(1)))
    await world.push("adm1", (customer(1), version))
    shown = await only(world, viewer="innen1")
    with pytest.raises(ProtocolError) as caught:
        await Desk(world.gate).release(world.people["innen1"], shown)
    assert caught.value.error == "forbidden"
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    await Desk(world.gate).release(world.people["gf1"], await only(world, viewer="gf1"))
    assert await world.body(customer(1)) is None


async def test_a_released_new_document_stays_its_authors(world: World) -> None:
    await world.set_roles("adm1", set())
    world.people["adm1"] = type(world.people["adm1"])("adm1", frozenset(), "d")
    version = new(customer_body(), None, "", photo=b"bytes")
    await world.push("adm1", (customer(1), version))
    await Desk(world.gate).release(world.people["gf1"], await only(world, viewer="gf1"))
    stored = await world.winner(customer(1))
    assert stored is not None
    value = orjson.loads(stored.text)
    assert (value["createdBy"], value["modifiedBy"]) == ("adm1", "gf1")
    (info,) = (await world.database.attachments(customer(1), parse_rev(stored.rev))).values()
    assert b"".join([piece async for piece in world.database.read_attachment(info)]) == b"bytes"


async def test_a_forged_author_is_not_released(world: World) -> None:
    version = new(customer_body(createdBy="adm2"))
    await world.push("adm1", (customer(1), version))
    await Desk(world.gate).release(world.people["gf1"], await only(world, viewer="gf1"))
    assert (await world.live(customer(1)))["createdBy"] == "adm1"


async def test_its_author_corrects_an_entry(world: World) -> None:
    await refused_edit(world, phone="0521")
    desk, author = Desk(world.gate), world.people["adm1"]
    rev = (await world.winner(customer(1)) or pytest.fail("no winner")).rev
    better = customer_body(phone="0521")
    with pytest.raises(ClashError):
        await desk.correct(author, await only(world), better, None)
    with pytest.raises(ProtocolError):
        await desk.correct(author, await only(world), customer_body(owner="adm2"), rev)
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    with pytest.raises(DeskError):
        await desk.correct(world.people["gf1"], await only(world, viewer="gf1"), better, rev)
    await desk.correct(author, await only(world), better, rev)
    assert await world.body(customer(1)) == better
    assert await world.quarantined("adm1") == [(customer(1), "corrected")]
    assert await world.notices("adm1", "rejected_change") == []


async def test_discarding_ends_it(world: World) -> None:
    version = await refused_edit(world)
    desk = Desk(world.gate)
    await desk.discard(world.people["adm1"], await only(world))
    assert await world.quarantined("adm1") == [(customer(1), "discarded")]
    assert await world.notices("adm1", "rejected_change") == []
    with pytest.raises(SettledError):
        await desk.discard(world.people["adm1"], await only(world))
    assert await world.push("adm1", (customer(1), version)) != [""]
    assert await world.notices("adm1", "rejected_change") == []


async def test_its_author_has_done_with_it_when_he_deletes_what_told_him(world: World) -> None:
    version = await refused_edit(world)
    assert await world.push("adm1", await notice_of(world)) == [""]
    assert await world.quarantined("adm1") == [(customer(1), "discarded")]
    assert await world.notices("adm1", "rejected_change") == []
    assert await world.push("adm1", (customer(1), version)) != [""]
    assert await world.notices("adm1", "rejected_change") == []


async def test_it_is_corrected_if_he_has_written_the_document_since(world: World) -> None:
    await refused_edit(world, phone="0521")
    world.clock.advance(hours=4)
    dismissed = await notice_of(world)
    better = new(customer_body(phone="0521"), await world.path(customer(1)))
    # PouchDB sends what was written first; the rule must not depend on it.
    assert await world.push("adm1", dismissed, (customer(1), better)) == ["", ""]
    assert (await world.live(customer(1)))["phone"] == "0521"
    assert await world.quarantined("adm1") == [(customer(1), "corrected")]


async def test_a_correction_that_is_refused_again_is_told_anew(world: World) -> None:
    await refused_edit(world, phone="0521")
    dismissed = await notice_of(world)
    again = new(customer_body(owner="gf1", phone="0522"), await world.path(customer(1)))
    answers = await world.push("adm1", (customer(1), again), dismissed)
    assert answers[0]
    assert not answers[1]
    states = [state for _, state in await world.quarantined("adm1")]
    assert states == ["discarded", "quarantined"]
    (notice,) = await world.notices("adm1", "rejected_change")
    assert notice["document"]["phone"] == "0522"


async def test_nobody_else_has_done_with_it(world: World) -> None:
    await refused_edit(world)
    docid, version = await notice_of(world)
    for user in ("adm2", "innen1", "gf1", "admin"):
        await world.push(user, (docid, version))
        assert (await world.winner(docid) or pytest.fail("gone")).deleted is False
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    above = await world.path(docid)
    assert await world.push("adm1", (docid, new({"type": "rejected_change", "user": "adm1"}, above))) != [""]


async def test_nothing_is_settled_twice(world: World) -> None:
    """The office was quicker."""
    await refused_edit(world)
    dismissed = await notice_of(world)
    await Desk(world.gate).release(world.people["gf1"], await only(world, viewer="gf1"))
    assert await world.push("adm1", dismissed) == [""]
    assert await world.quarantined("adm1") == [(customer(1), "released")]


async def test_what_broke_off_after_he_had_done_with_it_is_settled_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await refused_edit(world)
    dismissed = await notice_of(world)

    async def crash(*_: Any, **__: Any) -> Any:
        raise OSError("the machine stops")

    with monkeypatch.context() as patch:
        for gate in world.gates:
            patch.setattr(gate.quarantine, "change", crash)
        with pytest.raises(OSError):
            await world.push("adm1", dismissed)
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    assert await world.push("adm1", dismissed) == [""]
    await world.gate.tell_the_rest()
    assert await world.quarantined("adm1") == [(customer(1), "discarded")]
    assert await world.notices("adm1", "rejected_change") == []


async def test_discarding_what_waits_takes_it_from_the_device(world: World) -> None:
    child = new(contact_body(customer(1)))
    await world.push("adm1", (contact(1), child))
    await Desk(world.gate).discard(world.people["adm1"], await only(world))
    with world.database.reading() as reading:
        row = world.index.row_of(reading, "adm1", contact(1))
    assert row is not None
    assert row.tombstones
    await world.push("adm1", (customer(1), new(customer_body())))
    assert await world.winner(contact(1)) is None


async def test_trouble_of_the_disk_is_no_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.has_customer(1)

    async def full(*_: Any, **__: Any) -> Any:
        raise errors.insufficient_storage("The disk is full")

    for gate in world.gates:
        monkeypatch.setattr(gate.quarantine.database, "transact", full)
    version = new(customer_body(owner="adm2"), await world.path(customer(1)))
    with pytest.raises(ProtocolError) as caught:
        await world.push("adm1", (customer(1), version))
    assert caught.value.status == 507
    assert await world.missing("adm1", (customer(1), version)) == {(customer(1), version.rev)}


async def test_texts_that_are_nested_as_deep_as_can_be_are_kept_and_told(world: World) -> None:
    """The notice would be one level deeper than a document may be."""
    deep: Any = 1
    for _ in range(499):
        deep = [deep]
    text = b'{"type":"customer","notes":' + b"[" * 499 + b"1" + b"]" * 499 + b"}"
    version = new(customer_body())
    write = version.write(customer(1))
    write.body = text
    (answer,) = await world.push_raw("adm1", [write])
    assert isinstance(answer, ProtocolError)
    assert answer.error == "forbidden"
    assert (await only(world)).entry.document == {"type": "customer", "notes": deep}
    (notice,) = await world.notices("adm1", "rejected_change")
    assert notice["document"] is None
    assert notice["omitted"] == ["document"]
    await Desk(world.gate).discard(world.people["adm1"], await only(world))
    assert await world.quarantined("adm1") == [(customer(1), "discarded")]


async def test_two_who_settle_an_entry_at_once_do_not_get_in_each_others_way(world: World) -> None:
    await refused_edit(world)
    entry = (await only(world)).entry
    states = (State.DISCARDED, State.RELEASED, State.CORRECTED)
    await asyncio.gather(
        *(world.gate.quarantine.change(entry.id, state, by="gf1", now=world.clock.now) for state in states)
    )
    assert (await only(world)).entry.state in states
