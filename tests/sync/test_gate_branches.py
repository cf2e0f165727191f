"""Two people change one document: what goes together is put together, and what doesn't is lost by nobody."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import pytest

from kompass.domain.changes import Change, Facts
from kompass.domain.refusals import Refusal
from kompass.sync.gate import records
from kompass.sync.gate.ports import NoBusiness
from replication.protocol.attachments import StubAttachment
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path, parse_rev
from tests.sync.gate_world import World, customer, customer_body, new, uuid


async def meanwhile(world: World, **more: Any) -> Path:
    """The office changes customer 1 behind the back of a device; returns what the device knows."""
    await world.has_customer(1)
    known = await world.path(customer(1))
    await world.has_customer(1, modifiedBy="innen1", version=2, **more)
    return known


async def test_changes_of_different_fields_go_together(world: World) -> None:
    known = await meanwhile(world, email="a@b.example")
    mine = new(customer_body(phone="0521", modifiedAt="later", version=2), known)
    assert await world.push("adm1", (customer(1), mine)) == [""]
    body = await world.body(customer(1))
    assert body == customer_body(email="a@b.example", phone="0521", modifiedAt="later", version=3)
    assert len(await world.live_leaves(customer(1))) == 1
    assert await world.notices("adm1", "conflict") == []
    # The device has the closed branch and the merge, a child of what it hasn't seen.
    found = await world.database.tree(customer(1))
    assert found is not None
    assert mine.path.leaf in found
    assert found.winner() not in found.leaves_below(mine.path.leaf)


async def test_the_same_change_on_both_sides_is_none(world: World) -> None:
    known = await meanwhile(world, phone="0521")
    before = (await world.winner(customer(1)) or pytest.fail("no winner")).rev
    mine = new(customer_body(phone="0521"), known)
    assert await world.push("adm1", (customer(1), mine)) == [""]
    after = await world.winner(customer(1))
    assert after is not None
    assert after.rev == before
    assert await world.live_leaves(customer(1)) == [before]
    assert await world.notices("adm1", "conflict") == []


async def test_a_field_changed_on_both_sides_leaves_the_winner_and_makes_a_conflict(world: World) -> None:
    known = await meanwhile(world, phone="office")
    mine = new(customer_body(phone="device", email="x"), known)
    assert await world.push("adm1", (customer(1), mine)) == [""]
    body = await world.body(customer(1))
    assert body == customer_body(phone="office", email="x", version=3)
    assert len(await world.live_leaves(customer(1))) == 1
    (conflict,) = await world.notices("adm1", "conflict")
    (field,) = conflict["fields"]
    assert (field["path"], field["label"]) == ("phone", "Telefon")
    assert (field["base"], field["local"], field["server"]) == (None, "device", "office")
    assert (conflict["entityId"], conflict["entityName"]) == (customer(1), "Hofladen Rode")
    assert conflict["localVersion"] == mine.rev
    assert (conflict["localUser"], conflict["serverUser"]) == ("adm1", "innen1")
    assert conflict["localDocument"] == mine.body
    assert not conflict["restricted"]
    assert await world.push("adm1", (customer(1), mine)) == [""]
    assert len(await world.notices("adm1", "conflict")) == 1


async def test_a_conflict_settled_by_a_new_edit_is_written(world: World) -> None:
    known = await meanwhile(world, phone="office")
    await world.push("adm1", (customer(1), new(customer_body(phone="device"), known)))
    elsewhere = new(customer_body(phone="gf", modifiedBy="gf1", version=3), await world.path(customer(1)))
    assert await world.push("gf1", (customer(1), elsewhere)) == [""]
    assert len(await world.notices("adm1", "conflict")) == 1
    chosen = new(customer_body(phone="both", version=3), await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), chosen)) == [""]
    assert (await world.live(customer(1)))["phone"] == "both"
    assert await world.notices("adm1", "conflict") == []


async def test_without_a_base_a_person_decides(world: World) -> None:
    known = await meanwhile(world, email="a@b.example")
    world.clock.advance(days=91)
    await world.has_customer(2)
    await world.database.compact()
    assert await world.database.revision(customer(1), known.leaf) == []
    mine = new(customer_body(phone="0521"), known)
    assert await world.push("adm1", (customer(1), mine)) == [""]
    assert (await world.live(customer(1))).get("phone") is None
    (conflict,) = await world.notices("adm1", "conflict")
    assert conflict["baseVersion"] is None
    assert {field["path"] for field in conflict["fields"]} == {"phone", "email"}
    assert conflict["localDocument"]["phone"] == "0521"


async def test_a_branch_continued_on_the_device_is_compared_with_what_it_comes_from(world: World) -> None:
    """Its first part is in the winner already; only what was changed since counts."""
    known = await meanwhile(world, email="a@b.example")
    first = new(customer_body(phone="1"), known)
    assert await world.push("adm1", (customer(1), first)) == [""]
    second = new(customer_body(phone="2"), first.path)
    assert await world.push("adm1", (customer(1), second)) == [""]
    body = await world.body(customer(1))
    assert body is not None
    assert (body["phone"], body["email"]) == ("2", "a@b.example")
    assert await world.notices("adm1", "conflict") == []
    assert len(await world.live_leaves(customer(1))) == 1


async def test_a_branch_is_refused_if_its_changes_are_not_allowed(world: World) -> None:
    known = await meanwhile(world, email="a@b.example")
    mine = new(customer_body(owner="adm2"), known)
    assert await world.push("adm1", (customer(1), mine)) != [""]
    tree = await world.database.tree(customer(1))
    assert tree is not None
    assert mine.path.leaf not in tree
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    # A change of the office is not held against him, whatever rights it takes.
    known = await world.path(customer(1))
    await world.has_customer(1, anonymized=True, modifiedBy="gf1")
    fine = new(customer_body(email="a@b.example", phone="1"), known)
    assert await world.push("adm1", (customer(1), fine)) == [""]
    assert await world.body(customer(1)) is not None


async def test_what_is_right_by_itself_but_not_together_is_asked(tmp_path: File) -> None:
    class OneOfBoth(NoBusiness):
        def check(self, change: Change, facts: Facts) -> Refusal | None:
            both = change.doc is not None and change.doc.get("phone") and change.doc.get("email")
            return Refusal("both", "One of phone and email.", "Eines von beiden.") if both else None

    world = await World.open(tmp_path, business=OneOfBoth())
    try:
        known = await meanwhile(world, email="a@b.example")
        mine = new(customer_body(phone="0521"), known)
        assert await world.push("adm1", (customer(1), mine)) == [""]
        assert "phone" not in (await world.live(customer(1)))
        (conflict,) = await world.notices("adm1", "conflict")
        assert [(field["path"], field["type"]) for field in conflict["fields"]] == [("phone", "together")]
        wrong = new(customer_body(phone="0521", email="x"), known)
        assert await world.push("adm1", (customer(1), wrong)) == ["One of phone and email."]
        tree = await world.database.tree(customer(1))
        assert tree is not None
        assert wrong.path.leaf not in tree
    finally:
        await world.close()


async def test_nobody_sees_a_branch_win_in_between(world: World) -> None:
    """The index is told of the outcome alone: else who may read the branch counts as having seen it."""
    known = await meanwhile(world, email="a@b.example")
    deep = new(customer_body(phone="3"), new(None, new(None, known).path).path)
    before = world.database.update_seq
    assert await world.push("adm1", (customer(1), deep)) == [""]
    with world.database.reading() as reading:
        rows: Any = reading.connection.execute(
            "SELECT since, revs FROM access_leaves JOIN docs ON docs.num = doc"
            " WHERE docs.id = ? AND since > ?",
            (customer(1), before),
        ).fetchall()
    assert rows
    for _, revs in rows:
        assert deep.rev not in revs.split()


async def test_attachments_of_both_sides_go_together(world: World) -> None:
    first = new(customer_body(), None, "", logo=b"logo")
    await world.push("adm1", (customer(1), first))
    office = new(customer_body(email="a@b.example", modifiedBy="innen1"), first.path, "", map=b"a map")
    office.attachments["logo"] = StubAttachment(first.attachments["logo"].digest)
    assert await world.push("innen1", (customer(1), office)) == [""]
    mine = new(customer_body(phone="1"), first.path, "", photo=b"a photo")
    mine.attachments["logo"] = StubAttachment(first.attachments["logo"].digest)
    assert await world.push("adm1", (customer(1), mine)) == [""]
    winner = await world.winner(customer(1))
    assert winner is not None
    infos = await world.database.attachments(customer(1), parse_rev(winner.rev))
    texts = {
        name: b"".join([piece async for piece in world.database.read_attachment(info)])
        for name, info in infos.items()
    }
    assert texts == {"logo": b"logo", "map": b"a map", "photo": b"a photo"}
    await world.database.compact()
    assert await world.notices("adm1", "conflict") == []


async def test_an_attachment_that_both_changed_is_kept_with_the_conflict(world: World) -> None:
    first = new(customer_body(), None, "", logo=b"logo")
    await world.push("adm1", (customer(1), first))
    office = new(customer_body(modifiedBy="innen1"), first.path, "o", logo=b"the office's")
    assert await world.push("innen1", (customer(1), office)) == [""]
    mine = new(customer_body(), first.path, "m", logo=b"the salesman's")
    assert await world.push("adm1", (customer(1), mine)) == [""]
    (conflict,) = await world.notices("adm1", "conflict")
    assert [field["path"] for field in conflict["fields"]] == ["_attachments/logo"]
    await world.database.compact()
    infos = await world.database.attachments(conflict["_id"], parse_rev(conflict["_rev"]))
    pieces = [piece async for piece in world.database.read_attachment(infos["logo"])]
    assert b"".join(pieces) == b"the salesman's"


async def test_a_stub_stands_for_nothing_its_sender_could_not_read(world: World) -> None:
    """He names an attachment of a version from before the customer was his."""
    first = new(customer_body("adm2"), None, "", secret=b"secret")
    await world.push("adm2", (customer(1), first))
    bare = new(customer_body("adm1", createdBy="adm2", modifiedBy="innen1"), first.path)
    assert await world.push("innen1", (customer(1), bare)) == [""]
    mine = new(customer_body("adm1", createdBy="adm2", phone="1"), bare.path)
    mine.attachments["secret"] = StubAttachment()
    with pytest.raises(ProtocolError) as caught:
        await world.push("adm1", (customer(1), mine))
    assert (caught.value.status, caught.value.error) == (412, "missing_stub")
    tree = await world.database.tree(customer(1))
    assert tree is not None
    assert mine.path.leaf not in tree


async def test_server_made_revisions_have_their_author(world: World) -> None:
    known = await meanwhile(world, email="a@b.example")
    await world.push("adm1", (customer(1), new(customer_body(phone="1"), known)))
    winner = await world.winner(customer(1))
    assert winner is not None
    with world.database.reading() as reading:
        record = records.of_revision(reading, customer(1), parse_rev(winner.rev))
    assert record is not None
    assert (record.user, record.origin) == ("adm1", records.Origin.MERGED)


async def test_two_leaves_of_one_document_in_a_batch_are_judged_one_after_the_other(world: World) -> None:
    await world.has_customer(1)
    known = await world.path(customer(1))
    one, other = new(customer_body(phone="1"), known), new(customer_body(email="2"), known)
    assert await world.push("adm1", (customer(1), one), (customer(1), other)) == ["", ""]
    body = await world.body(customer(1))
    assert body is not None
    assert (body["phone"], body["email"]) == ("1", "2")
    assert len(await world.live_leaves(customer(1))) == 1


async def test_a_branch_that_goes_on_carries_what_is_open_along(world: World) -> None:
    known = await meanwhile(world, phone="office", website="office")
    first = new(customer_body(phone="device", website="device"), known)
    assert await world.push("adm1", (customer(1), first)) == [""]
    second = new(customer_body(phone="device", website="office", email="x"), first.path)
    assert await world.push("adm1", (customer(1), second)) == [""]
    body = await world.live(customer(1))
    assert (body["phone"], body["website"], body["email"]) == ("office", "office", "x")
    (conflict,) = await world.notices("adm1", "conflict")
    assert [(field["path"], field["local"]) for field in conflict["fields"]] == [("phone", "device")]
    assert conflict["localVersion"] == second.rev


async def test_two_devices_bring_branches_one_after_the_other(world: World) -> None:
    known = await meanwhile(world, phone="office")
    one = new(customer_body(phone="1", fax="1"), known, "one")
    other = new(customer_body(phone="2", website="2"), known, "other")
    assert await world.push("adm1", (customer(1), one)) == [""]
    assert await world.push("adm1", (customer(1), other)) == [""]
    body = await world.live(customer(1))
    assert (body["phone"], body["fax"], body["website"]) == ("office", "1", "2")
    conflicts = await world.notices("adm1", "conflict")
    assert {field["local"] for each in conflicts for field in each["fields"]} == {"1", "2"}
    assert len(await world.live_leaves(customer(1))) == 1


async def test_an_edit_of_something_else_decides_nothing(world: World) -> None:
    known = await meanwhile(world, phone="office")
    await world.push("adm1", (customer(1), new(customer_body(phone="device"), known)))
    now = await world.live(customer(1))
    other = new({**now, "email": "x", "modifiedBy": "adm1"}, await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), other)) == [""]
    assert len(await world.notices("adm1", "conflict")) == 1
    # To say what stayed again is a decision.
    again = new({**now, "email": "x", "modifiedBy": "adm1"}, await world.path(customer(1)), "again")
    assert await world.push("adm1", (customer(1), again)) == [""]
    assert await world.notices("adm1", "conflict") == []


async def test_whoever_loses_the_document_keeps_his_own_text_alone(world: World) -> None:
    known = await meanwhile(world, phone="the office's secret", notes="from the office")
    await world.push("adm1", (customer(1), new(customer_body(phone="device"), known)))
    (before,) = await world.notices("adm1", "conflict")
    assert "the office's secret" in str(before)
    await world.put(customer(1), {**(await world.live(customer(1))), "owner": "adm2"})
    (after,) = await world.notices("adm1", "conflict")
    assert after["restricted"]
    assert "the office's secret" not in str(after)
    assert "innen1" not in str(after)
    assert after["localDocument"] == before["localDocument"]
    assert [(field["path"], field["local"]) for field in after["fields"]] == [("phone", "device")]
    # The same for somebody whose role is taken.
    await world.put(customer(1), {**(await world.live(customer(1))), "owner": "adm1"})
    known = await world.path(customer(1))
    await world.put(customer(1), {**(await world.live(customer(1))), "email": "the office's other secret"})
    mine = {**customer_body(phone="the office's secret", notes="from the office"), "email": "device"}
    assert await world.push("adm1", (customer(1), new(mine, known))) == [""]
    assert any("other secret" in str(one) for one in await world.notices("adm1", "conflict"))
    await world.set_roles("adm1", set())
    assert not any("other secret" in str(one) for one in await world.notices("adm1", "conflict"))


async def test_a_document_that_is_deleted_leaves_nothing_to_decide(world: World) -> None:
    known = await meanwhile(world, phone="office")
    await world.push("adm1", (customer(1), new(customer_body(phone="device"), known)))
    assert len(await world.notices("adm1", "conflict")) == 1
    await world.put(customer(1), None)
    assert await world.notices("adm1", "conflict") == []


async def test_the_owner_is_told_of_what_others_clash_about(world: World) -> None:
    known = await meanwhile(world, phone="office")
    mine = new(customer_body(phone="gf", modifiedBy="gf1"), known)
    assert await world.push("gf1", (customer(1), mine)) == [""]
    assert len(await world.notices("gf1", "conflict")) == 1
    assert len(await world.notices("adm1", "conflict")) == 1
    await world.put(customer(1), {**(await world.live(customer(1))), "owner": "adm2"})
    assert await world.notices("adm1", "conflict") == []
    assert len(await world.notices("gf1", "conflict")) == 1


async def test_texts_that_merging_may_need_survive_compaction(world: World) -> None:
    known = await meanwhile(world, email="a@b.example")
    world.clock.advance(days=89)
    await world.has_customer(2)
    await world.database.compact()
    assert await world.push("adm1", (customer(1), new(customer_body(phone="0521"), known))) == [""]
    assert (await world.live(customer(1)))["phone"] == "0521"
    assert await world.notices("adm1", "conflict") == []


async def test_the_later_change_of_a_field_counts_not_the_later_version(world: World) -> None:
    """The office changed the field in the morning and something else in the evening."""
    entry = f"time-entry-{uuid(1)}"
    body = {
        "type": "time_entry",
        "userId": "innen1",
        "projectId": "p",
        "createdBy": "innen1",
        "status": "in_progress",
    }

    def at(hour: int, **more: Any) -> dict[str, Any]:
        return {**body, "modifiedBy": "innen1", "modifiedAt": f"2026-03-01T{hour:02}:00:00.000Z", **more}

    await world.put(entry, at(7, taskDescription="base"))
    known = await world.path(entry)
    await world.put(entry, at(8, taskDescription="morning"))
    await world.put(entry, at(18, taskDescription="morning", taskId="t"))
    noon = new(at(12, taskDescription="noon"), known)
    assert await world.push("innen1", (entry, noon)) == [""]
    assert (await world.live(entry))["taskDescription"] == "noon"


async def test_a_clock_that_is_years_ahead_wins_nothing(world: World) -> None:
    entry = f"time-entry-{uuid(1)}"
    body = {
        "type": "time_entry",
        "userId": "innen1",
        "projectId": "p",
        "createdBy": "innen1",
        "modifiedBy": "innen1",
    }
    await world.put(entry, {**body, "modifiedAt": "2026-03-01T07:00:00.000Z", "taskDescription": "base"})
    known = await world.path(entry)
    ahead = new({**body, "modifiedAt": "2036-01-01T00:00:00.000Z", "taskDescription": "ahead"}, known)
    assert await world.push("innen1", (entry, ahead)) == [""]
    world.clock.advance(hours=1)
    later = new({**body, "modifiedAt": "2026-03-02T08:30:00.000Z", "taskDescription": "later"}, known)
    assert await world.push("innen1", (entry, later)) == [""]
    assert (await world.live(entry))["taskDescription"] == "later"


async def test_the_same_conflict_makes_the_same_revision_on_two_servers(tmp_path: File) -> None:
    """With the same key, which two servers of one company have."""
    revs = []
    mine = None
    for number in (1, 2):
        there = await World.open(tmp_path / str(number))
        try:
            await there.transact(
                lambda writing: writing.connection.execute(
                    "UPDATE access_meta SET value = zeroblob(32) WHERE name = 'key'"
                )
            )
            await there.close()
            there = await World.open(tmp_path / str(number))
            first = new(customer_body(tags=["a"]))
            assert await there.push("adm1", (customer(1), first)) == [""]
            office = new(customer_body(tags=["a", "c"], phone="1", modifiedBy="innen1"), first.path)
            assert await there.push("innen1", (customer(1), office)) == [""]
            there.clock.advance(hours=number)
            mine = new(customer_body(tags=["a", "b"], email="x"), first.path)
            assert await there.push("adm1", (customer(1), mine)) == [""]
            winner = await there.winner(customer(1))
            assert winner is not None
            revs.append(winner.rev)
        finally:
            await there.close()
    assert revs[0] == revs[1]
    assert revs[0] != (mine or pytest.fail("nothing")).rev


async def test_an_app_one_version_behind_changes_what_a_newer_one_has_changed(world: World) -> None:
    """Its tax rates are in percent, and its `stage` is the `status` of today."""
    docid = f"offer-{uuid(1)}"
    item = {"position": 1, "description": "Tresen", "quantity": 1, "unitPriceEur": 10}
    old = {
        "type": "offer",
        "owner": "innen1",
        "customerId": customer(1),
        "createdBy": "innen1",
        "modifiedBy": "innen1",
        "status": "draft",
        "taxRate": 7,
        "lineItems": [{**item, "taxRate": 7}],
    }
    await world.has_customer(1)
    await world.put(docid, old)
    known = await world.path(docid)
    today = {"taxRate": 0.07, "lineItems": [{**item, "taxRate": 0.07, "quantity": 2}], "schemaVersion": 2}
    await world.put(docid, {**old, **today, "modifiedBy": "gf1"})
    mine = new({**old, "taxRate": 19, "notes": "eilt"}, known)
    assert await world.push("innen1", (docid, mine)) == [""]
    body = await world.live(docid)
    assert (body["taxRate"], body["notes"], body["schemaVersion"]) == (0.19, "eilt", 2)
    assert body["lineItems"] == today["lineItems"]
    assert await world.notices("innen1", "conflict") == []

    # The other way round: what is stored is old, and who comes has the newer app.
    other = f"opportunity-{uuid(2)}"
    lead = {
        "type": "opportunity",
        "owner": "adm1",
        "createdBy": "adm1",
        "modifiedBy": "adm1",
        "stage": "lead",
    }
    await world.put(other, lead)
    known = await world.path(other)
    await world.put(other, {**lead, "stage": "qualified", "modifiedBy": "innen1"})
    newer = {name: value for name, value in lead.items() if name != "stage"}
    mine = new({**newer, "status": "new", "schemaVersion": 2, "title": "Tresen"}, known)
    assert await world.push("adm1", (other, mine)) == [""]
    body = await world.live(other)
    assert (body.get("status"), body.get("title"), body.get("stage")) == ("qualifying", "Tresen", None)
    assert await world.notices("adm1", "conflict") == []

    # What is left to a person is said, and settled, in today's form.
    await world.put(other, {**lead, "stage": "proposal", "modifiedBy": "innen1"})
    known = await world.path(other)
    await world.put(other, {**lead, "stage": "negotiation", "modifiedBy": "innen1"})
    mine = new({**newer, "status": "qualifying", "schemaVersion": 2}, known)
    assert await world.push("adm1", (other, mine)) == [""]
    (conflict,) = await world.notices("adm1", "conflict")
    (field,) = conflict["fields"]
    assert (field["path"], field["base"], field["local"], field["server"]) == (
        "status",
        "proposal",
        "qualifying",
        "negotiation",
    )
    decided = new({**lead, "stage": "won", "lostReason": None}, await world.path(other))
    assert await world.push("adm1", (other, decided)) == [""]
    assert await world.notices("adm1", "conflict") == []
