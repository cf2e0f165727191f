"""What devices push: new documents and edits, and what becomes of each."""

from __future__ import annotations

from kompass.sync.gate import records
from kompass.sync.gate.ancestry import BEGINNING_MISSING, UNCONNECTED
from kompass.sync.refusals import NO_SUCH_DOCUMENT
from replication.protocol.revisions import Path, parse_rev
from tests.sync.gate_world import World, contact, contact_body, customer, customer_body, new, uuid


async def test_new_documents_are_stored_as_they_are(world: World) -> None:
    body = customer_body(companyName="Café d'Or", number=12345678901234567890, half=0.5)
    version = new(body)
    assert await world.push("adm1", (customer(1), version)) == [""]
    stored = await world.winner(customer(1))
    assert stored is not None
    assert stored.rev == version.rev
    assert b'"number":12345678901234567890' in stored.text
    assert await world.missing("adm1", (customer(1), version)) == set()


async def test_author_device_and_time_are_kept_beside_a_revision(world: World) -> None:
    version = new(customer_body())
    await world.push("adm1", (customer(1), version))
    world.clock.advance(hours=1)
    await world.push("adm1", (customer(1), version))
    with world.database.reading() as reading:
        record = records.of_revision(reading, customer(1), version.path.leaf)
    assert record is not None
    world.clock.advance(hours=-1)
    assert (record.user, record.device, record.received, record.origin) == (
        "adm1",
        "device of adm1",
        world.clock.now,
        records.Origin.PUSHED,
    )


async def test_the_history_of_several_offline_edits_comes_at_once(world: World) -> None:
    first = new(customer_body())
    third = new(customer_body(phone="1"), new(customer_body(phone="0"), first.path).path)
    assert await world.push("adm1", (customer(1), third)) == [""]
    assert (await world.path(customer(1))) == third.path
    assert await world.missing("adm1", (customer(1), first)) == set()


async def test_a_known_revision_is_no_change(world: World) -> None:
    version = new(customer_body())
    await world.push("adm1", (customer(1), version))
    before = world.database.update_seq
    assert await world.push("adm1", (customer(1), version)) == [""]
    assert world.database.update_seq == before


async def test_whoever_never_saw_a_known_revision_is_not_told_that_it_is_one(world: World) -> None:
    version = new(customer_body("adm2"))
    await world.push("adm2", (customer(1), version))
    (there, not_there) = await world.push("adm1", (customer(1), version), (customer(2), version))
    assert there == not_there != ""


async def test_whoever_lost_a_document_is_not_asked_for_what_he_was_sent(world: World) -> None:
    first = new(customer_body())
    edit = new(customer_body(phone="0"), first.path)
    await world.push("adm1", (customer(1), first))
    await world.push("adm1", (customer(1), edit))
    await world.has_customer(1, "adm2")
    assert await world.missing("adm1", (customer(1), first), (customer(1), edit)) == set()
    later = new(customer_body("adm2", phone="1"), await world.path(customer(1)))
    await world.push("adm2", (customer(1), later))
    asked = await world.missing("adm1", (customer(1), edit), (customer(1), later))
    assert asked == {(customer(1), later.rev)}
    assert await world.push("adm1", (customer(1), edit)) == [""]


async def test_an_edit_follows_the_winner(world: World) -> None:
    await world.has_customer(1)
    edit = new(customer_body(phone="0521 1"), await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), edit)) == [""]
    assert await world.body(customer(1)) == customer_body(phone="0521 1")


async def test_who_may_not_write_is_refused_with_the_reason_and_loses_nothing(world: World) -> None:
    await world.has_customer(1)
    edit = new(customer_body(phone="1", modifiedBy="buch1"), await world.path(customer(1)))
    (reason,) = await world.push("buch1", (customer(1), edit))
    assert "customer" in reason
    assert await world.body(customer(1)) == customer_body()
    assert await world.quarantined("buch1") == [(customer(1), "quarantined")]
    (notice,) = await world.notices("buch1", "rejected_change")
    assert notice["docId"] == customer(1)
    assert notice["rev"] == edit.rev
    assert notice["document"] == edit.body
    assert notice["reason"] == reason
    assert "Berechtigung" in notice["grund"]


async def test_a_refused_revision_pushed_again_is_forbidden_again_and_kept_once(world: World) -> None:
    await world.has_customer(1)
    edit = new(customer_body(phone="1", modifiedBy="buch1"), await world.path(customer(1)))
    (reason,) = await world.push("buch1", (customer(1), edit))
    before = world.database.update_seq
    assert await world.missing("buch1", (customer(1), edit)) == set()
    assert await world.push("buch1", (customer(1), edit)) == [reason]
    assert world.database.update_seq == before
    assert len(await world.quarantined("buch1")) == 1
    assert len(await world.notices("buch1", "rejected_change")) == 1


async def test_what_one_was_refused_another_may_still_write(world: World) -> None:
    """Two devices make the same deletion: PouchDB gives both the same revision."""
    await world.has_customer(1)
    deletion = new(None, await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), deletion)) != [""]
    assert await world.missing("gf1", (customer(1), deletion)) == {(customer(1), deletion.rev)}
    assert await world.push("gf1", (customer(1), deletion)) == [""]
    assert await world.body(customer(1)) is None


async def test_a_refused_revision_ends_with_a_tombstone_on_its_authors_feed(world: World) -> None:
    await world.has_customer(1)
    edit = new(customer_body(phone="1", modifiedBy="buch1"), await world.path(customer(1)))
    await world.push("buch1", (customer(1), edit))
    closing = world.index.tombstone(customer(1), edit.path.leaf)
    with world.database.reading() as reading:
        row = world.index.row_of(reading, "buch1", customer(1))
    assert row is not None
    assert f"{closing[0]}-{closing[1]}" in row.tombstones
    # The device has the tombstone as its leaf and offers it.
    back = new(None)
    back.path = Path(closing[0], [closing[1], *edit.path.ids])
    assert await world.missing("buch1", (customer(1), back)) == set()
    assert await world.push("buch1", (customer(1), back)) == [""]
    assert await world.body(customer(1)) == customer_body()


async def test_a_correction_follows_the_refused_revision(world: World) -> None:
    await world.has_customer(1)
    wrong = new(customer_body(owner="adm1", createdBy="adm2"), await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), wrong)) != [""]
    right = new(customer_body(phone="2"), wrong.path)
    assert await world.push("adm1", (customer(1), right)) == [""]
    assert await world.body(customer(1)) == customer_body(phone="2")
    assert await world.database.revision(customer(1), wrong.path.leaf) == []
    assert await world.quarantined("adm1") == [(customer(1), "corrected")]
    assert await world.notices("adm1", "rejected_change") == []


async def test_a_refused_new_document_can_be_corrected(world: World) -> None:
    wrong = new(customer_body(createdBy="adm2"))
    assert await world.push("adm1", (customer(1), wrong)) != [""]
    right = new(customer_body(), wrong.path)
    assert await world.push("adm1", (customer(1), right)) == [""]
    assert await world.body(customer(1)) == customer_body()


async def test_an_edit_after_a_revocation_is_refused_and_after_a_new_grant_taken(world: World) -> None:
    await world.has_customer(1)
    seen = await world.path(customer(1))
    await world.has_customer(1, "adm2", createdBy="adm1", modifiedBy="adm1")
    closing = world.index.tombstone(customer(1), seen.leaf)
    after = new(customer_body(phone="3"), Path(closing[0], [closing[1], *seen.ids]))
    assert await world.push("adm1", (customer(1), after)) == [NO_SUCH_DOCUMENT.reason]
    await world.has_customer(1)
    again = new(customer_body(phone="4"), Path(closing[0], [closing[1], *seen.ids]))
    assert await world.push("adm1", (customer(1), again)) == [""]
    assert (await world.live(customer(1)))["phone"] == "4"
    assert len(await world.live_leaves(customer(1))) == 1


# -- histories ---------------------------------------------------------------------------------


async def test_a_new_document_without_its_beginning_is_refused(world: World) -> None:
    version = new(customer_body())
    version.path = Path(5, version.path.ids)
    assert await world.push("adm1", (customer(1), version)) == [BEGINNING_MISSING.reason]


async def test_an_edit_that_follows_nothing_known_is_refused(world: World) -> None:
    await world.has_customer(1)
    assert await world.push("adm1", (customer(1), new(customer_body(phone="1")))) == [UNCONNECTED.reason]
    jump = new(customer_body(phone="1"))
    jump.path = Path(99, jump.path.ids)
    assert await world.push("adm1", (customer(1), jump)) == [UNCONNECTED.reason]


async def test_revision_and_history_must_fit(world: World) -> None:
    write = new(customer_body()).write(customer(1))
    write.parent = parse_rev("1-" + "a" * 32)
    (answer,) = await world.push_raw("adm1", [write])
    assert not isinstance(answer, str)
    assert "contradict" in answer.reason


async def test_a_history_has_a_thousand_revisions_at_most(world: World) -> None:
    ids = [f"{number:032x}" for number in range(1001)]
    version = new(customer_body())
    version.path = Path(1001, ids)
    (reason,) = await world.push("adm1", (customer(1), version))
    assert "1000" in reason
    version.path = Path(1000, ids[:1000])
    assert await world.push("adm1", (customer(1), version)) == [""]


# -- the hook of the business ------------------------------------------------------------------


async def test_the_first_day_counts_from_when_the_server_took_the_document(world: World) -> None:
    await world.has_customer(1)
    activity = f"activity-{uuid(1)}"
    body = {
        "type": "activity",
        "customerId": customer(1),
        "createdBy": "adm1",
        "modifiedBy": "adm1",
        "subject": "Angebot",
    }
    first = new(body)
    assert await world.push("adm1", (activity, first)) == [""]
    world.clock.advance(hours=23)
    second = new({**body, "subject": "Nachfrage"}, first.path)
    assert await world.push("adm1", (activity, second)) == [""]
    world.clock.advance(hours=2)
    third = new({**body, "subject": "Absage"}, second.path)
    (reason,) = await world.push("adm1", (activity, third))
    assert "24 hours" in reason


async def test_contacts_follow_their_customer(world: World) -> None:
    await world.has_customer(1)
    moved = new(contact_body(customer(1)))
    assert await world.push("adm1", (contact(1), moved)) == [""]
    await world.has_customer(2)
    away = new(contact_body(customer(2)), moved.path)
    (reason,) = await world.push("adm1", (contact(1), away))
    assert "customerId" in reason
