"""Whose document was deleted is erased like anybody else, and the deletion stays one."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import orjson
import pytest

from kompass.privacy.accounts import Accounts
from kompass.privacy.erasing import AlreadyErasedError
from kompass.privacy.exporting import export
from kompass.privacy.finding import UnknownSubjectError
from kompass.privacy.journal import FILE, Journal
from kompass.sync.conflicts import store as conflicts
from kompass.sync.conflicts.desk import Answer, ConflictDesk, ConflictError
from kompass.sync.refusals import ERASED
from kompass.texts import TextFile
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from tests.audit.world import look
from tests.privacy.world import MARKS, OPPORTUNITY, erase, found_in, person, populated, privacy, raw, stale
from tests.sync.gate_world import World, contact, customer, new


async def deleted(directory: Path) -> World:
    """His document is gone; somebody who didn't know has changed it since, and is asked."""
    world = await populated(directory)
    known = await world.path(contact(1))
    await world.put(contact(1), None)
    late = new(person(modifiedBy="adm1", notes="mag die Hundestaffel immer noch"), known, "late")
    assert await world.push("adm1", (contact(1), late)) == [""]
    return world


async def test_nothing_is_left_of_whose_document_was_deleted(tmp_path: Path) -> None:
    world = await deleted(tmp_path)
    with world.database.reading() as reading:
        (asked,) = conflicts.open_about(reading, [contact(1)])[contact(1)]
    assert asked.was_gone
    assert set(found_in(raw(tmp_path))) == set(MARKS)
    preview = await privacy(world).preview(contact(1))
    assert contact(1) in preview.subjects
    assert contact(1) not in {one.docid for one in preview.rewritten}
    assert OPPORTUNITY in {one.docid for one in preview.rewritten}

    await erase(world, contact(1), "Frau Qvarnblom will es so")
    assert found_in(raw(tmp_path)) == []
    winner = await world.winner(contact(1))
    assert winner is not None
    assert winner.deleted
    assert await world.live_leaves(contact(1)) == []
    assert (await world.live(OPPORTUNITY))["title"] == "Regale (Gelöschter Kontakt #1)"
    assert look(tmp_path / "kompass.sqlite").findings == []

    assert await world.notices("adm1", "conflict") == []
    desk = ConflictDesk(world.gate)
    with pytest.raises(ConflictError, match="settled already"):
        await desk.resolve(world.people["adm1"], asked.id, Answer("local", {}, {}))
    with pytest.raises(AlreadyErasedError):
        await erase(world, contact(1))
    await world.close()
    assert found_in(raw(tmp_path)) == []


async def test_what_only_the_chain_remembers_is_enough(tmp_path: Path) -> None:
    world = await deleted(tmp_path)
    await world.database.compact()
    await erase(world, contact(1))
    assert found_in(raw(tmp_path)) == []
    await world.close()


async def test_he_does_not_come_back(tmp_path: Path) -> None:
    world = await deleted(tmp_path)
    old = await world.path(OPPORTUNITY)
    await erase(world, contact(1))
    winner = await world.path(contact(1))
    refused = [ERASED.reason]
    kept = await world.quarantined("adm1")
    assert await world.push("adm1", (contact(1), stale(world, None))) != [""]
    assert await world.push("adm1", (contact(1), stale(world, winner))) == refused
    assert len(await world.quarantined("adm1")) == len(kept) + 2
    assert await world.push("adm1", (OPPORTUNITY, stale(world, old))) == refused
    text = orjson.dumps(person())
    (result,) = await world.database.write([DocumentWrite(contact(1), False, text)])
    assert isinstance(result, ProtocolError)
    assert result.status == 403
    winner_now = await world.winner(contact(1))
    assert winner_now is not None
    assert (winner_now.deleted, parse_rev(winner_now.rev)) == (True, winner.leaf)
    assert found_in(raw(tmp_path)) == []
    await world.close()


async def test_a_deleted_customer_goes_with_its_deleted_contacts(tmp_path: Path) -> None:
    world = await deleted(tmp_path)
    await world.put(customer(1), None)
    done = await erase(world, customer(1))
    assert {one.id for one in done.erasure.subjects} >= {customer(1), contact(1)}
    assert found_in(raw(tmp_path)) == []
    assert await world.body(customer(1)) is None
    await world.close()


async def test_a_copy_has_the_versions_of_before_the_deletion(tmp_path: Path) -> None:
    world = await deleted(tmp_path)
    pieces = [one async for one in export(world.gate, Accounts(world.store), contact(1))]
    with zipfile.ZipFile(BytesIO(b"".join(pieces))) as archive:
        manifest = orjson.loads(archive.read("manifest.json"))
        assert (manifest["type"], manifest["deleted"]) == ("contact", True)
        names = [name for name in archive.namelist() if name.startswith("documents/")]
        assert len(names) == manifest["documents"]
        assert f"documents/{contact(1)}.json" not in names
        history = orjson.loads(archive.read(f"history/{contact(1)}.json"))
        assert any(one.get("lastName") == "Qvarnblom" for one in history)
    await world.close()


@pytest.mark.alone("one server's directory comes back; a cluster is restored by moving in")
async def test_after_a_restore_he_is_erased_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    world = await deleted(data)
    await world.close()
    files = {file.name: file.read_bytes() for file in data.iterdir() if file.is_file()}
    world = await World.open(data, follows=True)
    done = await erase(world, contact(1))
    (tmp_path / "log").mkdir()
    journal = Journal(TextFile(tmp_path / "log" / FILE))
    journal.write(done.erasure)
    await world.close()
    for name, text in files.items():
        (data / name).write_bytes(text)
    world = await World.open(data, follows=True)
    assert [one.num for one in await privacy(world).replay(journal)] == [1]
    assert found_in(raw(data)) == []
    await world.close()


async def test_of_whom_nothing_was_ever_stored_is_unknown(tmp_path: Path) -> None:
    world = await deleted(tmp_path)
    with pytest.raises(UnknownSubjectError):
        await erase(world, contact(99))
    await world.close()
