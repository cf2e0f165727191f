"""After an erasure nobody finds a person by any path, and everything else is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from kompass.audit import vault
from kompass.privacy import erasures
from kompass.privacy.erasing import AlreadyErasedError, HeldError
from kompass.privacy.finding import UnknownSubjectError
from kompass.privacy.journal import FILE, Journal
from kompass.sync.refusals import ERASED, NAMES_ERASED
from kompass.texts import TextFile
from replication.protocol.revisions import parse_rev
from tests.audit.world import look
from tests.business.documents import body
from tests.privacy.world import ACTIVITY, MARKS, OPPORTUNITY, erase, found_in, populated, privacy, raw, stale
from tests.sync.gate_world import World, contact, contact_body, customer, new, uuid


async def test_nothing_of_an_erased_person_is_left_in_the_files(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    assert set(found_in(raw(tmp_path))) == set(MARKS)
    before = await world.body(OPPORTUNITY)
    assert before is not None
    done = await erase(world, contact(1), "Frau Qvarnblom will es so")
    assert found_in(raw(tmp_path)) == []

    left = await world.body(contact(1))
    assert left is not None
    assert (left["firstName"], left["lastName"]) == ("Gelöschter", "Kontakt #1")
    assert left["anonymized"] is True
    assert left["customerId"] == customer(1)
    assert not {"email", "phone", "notes", "position", "_attachments"} & left.keys()
    call = await world.body(ACTIVITY)
    assert call is not None
    assert call["subject"] == "Anruf bei Frau Gelöschter Kontakt #1"
    assert call["description"] == "unter [gelöscht], [gelöscht]"
    assert call["contactId"] == contact(1)
    after = await world.body(OPPORTUNITY)
    assert after == {**before, "title": "Regale (Gelöschter Kontakt #1)"}
    note = await world.body(customer(1))
    assert note is not None
    assert note["notes"] == "Ansprechpartner: Gelöschter Kontakt #1"
    assert done.erasure.reason == "Frau Gelöschter Kontakt #1 will es so"

    report = look(tmp_path / "kompass.sqlite")
    assert report.findings == []
    with world.database.reading() as reading:
        for one in vault.readable(reading.connection):
            assert found_in(one.opening) == [], one.doc
    assert await world.notices("adm1", "conflict") == []
    await world.close()
    assert found_in(raw(tmp_path)) == []


async def test_what_only_the_chain_remembers_is_looked_for_too(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    body = await world.body(contact(1))
    assert body is not None
    await world.put(contact(1), {**body, "lastName": "Altmanova", "email": "alt@manova.example"})
    await world.put(contact(1), body)
    other = await world.live(customer(2))
    await world.put(customer(2), {**other, "notes": "früher ZYXWIKA ALTMANOVA, alt@manova.example"})
    await world.database.compact()
    await erase(world, contact(1))
    whole = raw(tmp_path).lower()
    assert b"altmanova" not in whole
    assert b"alt@manova" not in whole
    await world.close()


async def test_no_revision_has_a_text_of_before(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    tree = await world.database.tree(contact(1))
    assert tree is not None
    known = list(tree)
    await erase(world, contact(1))
    for docid in (contact(1), ACTIVITY, OPPORTUNITY):
        winner = await world.winner(docid)
        assert winner is not None
        for rev in await world.database.available(docid):
            for one in await world.database.revision(docid, rev):
                assert found_in(one.text) == []
    later = await world.database.tree(contact(1))
    assert later is not None
    assert all(rev in later for rev in known)
    left = await world.winner(contact(1))
    assert left is not None
    assert await world.database.attachments(contact(1), parse_rev(left.rev)) == {}
    await world.close()


async def test_an_old_edit_brings_nothing_back_and_is_not_kept(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    old = await world.path(contact(1))
    of_deal = await world.path(OPPORTUNITY)
    await erase(world, contact(1))
    assert await world.push("adm1", (contact(1), stale(world, old))) == [ERASED.reason]
    deal = await world.body(OPPORTUNITY)
    assert deal is not None
    edited = new({**deal, "nextStep": "Frau Qvarnblom anrufen"}, of_deal)
    assert await world.push("adm1", (OPPORTUNITY, edited)) == [ERASED.reason]
    assert await world.quarantined("adm1") == [
        (OPPORTUNITY, "quarantined"),
        (contact(1), "quarantined"),
        (OPPORTUNITY, "quarantined"),
    ]
    assert found_in(raw(tmp_path)) == []
    # Whoever has synced goes on working.
    clean = new({**deal, "nextStep": "anrufen"}, await world.path(OPPORTUNITY))
    assert await world.push("adm1", (OPPORTUNITY, clean)) == [""]
    # A new document about him waits for somebody to look at it.
    visit = body(
        "activity",
        "adm1",
        customerId=customer(1),
        contactId=contact(1),
        activityType="visit",
        date="2026-03-01T08:00:00.000Z",
        subject="Besuch",
    )
    assert await world.push("adm1", (f"activity-{uuid(9)}", new(visit))) == [NAMES_ERASED.reason]
    assert look(tmp_path / "kompass.sqlite").findings == []
    await world.close()


async def test_a_legal_hold_stops_all_of_it(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    deal = await world.body(OPPORTUNITY)
    assert deal is not None
    await world.put(OPPORTUNITY, {**deal, "legalHold": True})
    with pytest.raises(HeldError) as caught:
        await erase(world, contact(1))
    assert caught.value.docids == (OPPORTUNITY,)
    assert (await world.live(contact(1)))["lastName"] == "Qvarnblom"
    assert len(await world.quarantined("adm1")) == 2
    await world.close()


async def test_a_preview_changes_nothing(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    seq = world.database.update_seq
    preview = await privacy(world).preview(contact(1))
    assert world.database.update_seq == seq
    assert {one.docid for one in preview.rewritten} >= {contact(1), ACTIVITY, OPPORTUNITY, customer(1)}
    (own,) = [one for one in preview.rewritten if one.docid == contact(1)]
    assert {"firstName", "lastName", "email", "phone", "notes"} <= set(own.fields)
    assert set(own.files) <= {"photo"}
    assert preview.entries > 0
    with pytest.raises(UnknownSubjectError):
        await privacy(world).preview(OPPORTUNITY)
    await world.close()


async def test_what_is_somebody_else_s_as_well_stays_there(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    await world.put(contact(2), contact_body(customer(2), lastName="Anders", email="zyx@qvarnblom.example"))
    done = await erase(world, contact(1))
    assert done.found.shared == {"zyx@qvarnblom.example": contact(2)}
    assert (await world.live(contact(2)))["email"] == "zyx@qvarnblom.example"
    await world.close()


async def test_a_customer_goes_with_its_contacts_and_keeps_numbers_and_amounts(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    number = (await world.live(customer(1))).get("customerNumber")
    done = await erase(world, customer(1))
    assert [(one.doctype, one.number) for one in done.erasure.subjects] == [("customer", 1), ("contact", 1)]
    assert found_in(raw(tmp_path)) == []
    assert b"Hofladen Rode" not in raw(tmp_path)
    left = await world.live(customer(1))
    assert (left["companyName"], left.get("customerNumber")) == ("Gelöschter Kunde #1", number)
    assert left["billingAddress"]["city"] == "Gelöscht"
    assert (await world.live(OPPORTUNITY))["estimatedValue"] == 1000
    with pytest.raises(AlreadyErasedError):
        await erase(world, customer(1))
    assert look(tmp_path / "kompass.sqlite").findings == []
    await world.close()


@pytest.mark.alone("one server's directory comes back; a cluster is restored by moving in")
async def test_after_a_restore_erasures_are_done_again(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    world = await populated(data)
    await world.close()
    files = {file.name: file.read_bytes() for file in data.iterdir() if file.is_file()}
    world = await opened(data)
    done = await erase(world, contact(1))
    journal = Journal(TextFile(backup / FILE))
    backup.mkdir()
    journal.write(done.erasure)
    await world.close()
    for name, text in files.items():
        (data / name).write_bytes(text)
    world = await opened(data)
    assert found_in(raw(data)) != []
    (repeated,) = await privacy(world).replay(journal)
    assert repeated.num == done.erasure.num
    assert found_in(raw(data)) == []
    assert (await world.live(contact(1)))["lastName"] == "Kontakt #1"
    assert await privacy(world).replay(journal) == []
    with world.database.reading() as reading:
        assert [one.num for one in erasures.listed(reading)] == [1]
    await world.close()


async def opened(directory: Path) -> World:
    return await World.open(directory, follows=True)
