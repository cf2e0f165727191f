"""What devices push: new documents, edits and deletions, and what becomes of each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as File

import pytest

from kompass.sync.gate import records
from kompass.sync.gate.ancestry import BEGINNING_MISSING, UNCONNECTED
from kompass.sync.index import touching
from kompass.sync.refusals import DELETED, NO_SUCH_DOCUMENT
from replication.protocol.revisions import Path, parse_rev
from tests.sync.gate_world import Version, World, contact, contact_body, customer, customer_body, new, uuid


@pytest.fixture
async def world(tmp_path: File) -> AsyncIterator[World]:
    world = await World.open(tmp_path)
    yield world
    await world.close()


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


# -- what nobody may learn ---------------------------------------------------------------------


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


# -- deletions ---------------------------------------------------------------------------------


async def test_a_deletion_stores_nothing_but_itself(world: World) -> None:
    await world.has_customer(1)
    deletion = new(None, await world.path(customer(1)))
    write = deletion.write(customer(1))
    write.body = b'{"secret":1,"type":"user"}'
    assert await world.push_raw("gf1", [write]) == [deletion.rev]
    stored = await world.winner(customer(1))
    assert stored is not None
    assert stored.deleted
    assert b"secret" not in stored.text


async def test_a_deletion_is_judged_on_the_winner(world: World) -> None:
    await world.has_customer(1)
    deletion = new(None, await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), deletion)) != [""]
    assert await world.body(customer(1)) is not None
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]


async def test_a_deletion_that_missed_only_a_touch_deletes(world: World) -> None:
    await world.has_customer(1)
    old = await world.path(customer(1))
    await world.transact(lambda writing: touching.touch(writing, world.index.tombstones, customer(1)))
    assert await world.push("gf1", (customer(1), new(None, old))) == [""]
    assert await world.body(customer(1)) is None
    assert await world.live_leaves(customer(1)) == []


async def test_a_deletion_of_what_has_changed_since_leaves_the_winner_and_tells_the_author(
    world: World,
) -> None:
    await world.has_customer(1)
    old = await world.path(customer(1))
    await world.has_customer(1, phone="9")
    assert await world.push("gf1", (customer(1), new(None, old))) == [""]
    assert await world.body(customer(1)) == customer_body(phone="9")
    (conflict,) = await world.notices("gf1", "conflict")
    assert conflict["deleted"] is True
    assert conflict["localDocument"] is None
    assert [(field["path"], field["type"]) for field in conflict["fields"]] == [("", "deleted")]
    assert await world.push("gf1", (customer(1), new(None, await world.path(customer(1))))) == [""]
    assert await world.notices("gf1", "conflict") == []


async def test_devices_cannot_revive(world: World) -> None:
    await world.has_customer(1)
    await world.put(customer(1), None)
    edit = new(customer_body(phone="1"), await world.path(customer(1)))
    assert await world.push("adm1", (customer(1), edit)) == [DELETED.reason]
    assert await world.body(customer(1)) is None
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]


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
