"""Nothing that a device sent is lost: how it is kept, what breaks off, and how much room there is."""

from __future__ import annotations

import asyncio
from pathlib import Path as File
from typing import Any

import pytest

from kompass.access.principals import Principal
from kompass.sync.quarantine import Quota, State
from kompass.sync.quarantine.desk import Desk
from replication.protocol.attachments import StagedAttachment
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path
from tests.sync.gate_world import World, contact, contact_body, customer, customer_body, new
from tests.sync.quarantined import only, uploads

# -- keeping -----------------------------------------------------------------------------------


async def test_an_entry_has_everything_that_was_sent(world: World) -> None:
    await world.has_customer(1)
    body = customer_body(owner="adm2", createdBy="adm1", modifiedBy="adm1", big=12345678901234567890)
    version = new(body, await world.path(customer(1)), "", photo=b"bytes")
    await world.push("adm1", (customer(1), version))
    entry = (await only(world)).entry
    assert (entry.user, entry.device, entry.docid) == ("adm1", "device of adm1", customer(1))
    assert entry.path == Path(version.path.start, list(version.path.ids))
    assert entry.document == body
    assert entry.state is State.QUARANTINED
    assert entry.received == world.clock.now
    (info,) = (await world.gate.quarantine.attachments(entry)).values()
    pieces = [piece async for piece in world.gate.quarantine.database.read_attachment(info)]
    assert b"".join(pieces) == b"bytes"


async def test_uploaded_bytes_are_copied(world: World) -> None:
    await world.has_customer(1)
    staged = await world.database.stage_attachment(uploads(b"much"), content_type="image/png")
    version = new(customer_body(owner="adm2"), await world.path(customer(1)))
    version.attachments["photo"] = staged
    assert await world.push("adm1", (customer(1), version)) != [""]
    (info,) = (await only(world)).attachments.values()
    pieces = [piece async for piece in world.gate.quarantine.database.read_attachment(info)]
    assert b"".join(pieces) == b"much"


async def test_bytes_of_waiting_and_dropped_documents_leave_the_documents_database(world: World) -> None:
    def stored(writing: Any) -> int:
        return int(writing.connection.execute("SELECT count(*) FROM attachments").get)

    staged = await world.database.stage_attachment(uploads(b"much"), content_type="image/png")
    child = new(contact_body(customer(1)))
    child.attachments["photo"] = staged
    assert await world.push("adm1", (contact(1), child)) == [""]
    assert await world.transact(stored) == 0
    await world.push("adm1", (customer(1), new(customer_body())))
    assert await world.transact(stored) == 1
    again = await world.database.stage_attachment(uploads(b"much"), content_type="image/png")
    child.attachments["photo"] = again
    assert await world.push("adm1", (contact(1), child)) == [""]
    assert await world.transact(stored) == 1
    assert isinstance(again, StagedAttachment)


@pytest.mark.parametrize("broken", ["keep", "tell"])
async def test_a_push_that_broke_off_is_repeated(
    world: World, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between judging and keeping, or keeping and telling: the device has no answer and sends again."""
    await world.has_customer(1)
    version = new(customer_body(owner="adm2"), await world.path(customer(1)))

    async def crash(*_: Any, **__: Any) -> Any:
        raise OSError("the machine stops")

    with monkeypatch.context() as patch:
        for gate in world.gates:
            patch.setattr(gate.quarantine if broken == "keep" else gate.telling, broken, crash)
        with pytest.raises(OSError):
            await world.push("adm1", (customer(1), version), (customer(2), new(customer_body())))
    (reason, ok) = await world.push("adm1", (customer(1), version), (customer(2), new(customer_body())))
    assert reason
    assert ok == ""
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    assert len(await world.notices("adm1", "rejected_change")) == 1
    with world.database.reading() as reading:
        row = world.index.row_of(reading, "adm1", customer(1))
    assert row is not None
    assert row.tombstones


async def test_who_hangs_up_gets_his_work_stored_all_the_same(world: World) -> None:
    await world.has_customer(1)
    version = new(customer_body(owner="adm2"), await world.path(customer(1)))
    sent = [version.write(customer(1))]
    pushing = asyncio.ensure_future(world.gate.write(world.people["adm1"], sent, replicated=True))
    await asyncio.sleep(0)
    pushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pushing
    assert await world.quarantined("adm1") == [(customer(1), "quarantined")]
    assert len(await world.notices("adm1", "rejected_change")) == 1


async def test_one_persons_work_is_kept_beside_anothers(world: World) -> None:
    await world.has_customer(1)
    version = new(customer_body(phone="1"), await world.path(customer(1)))
    await world.push("buch1", (customer(1), version))
    await world.push("plan1", (customer(1), version))
    assert await world.quarantined("buch1") == await world.quarantined("plan1")


# -- room --------------------------------------------------------------------------------------


async def test_a_full_quarantine_stops_the_push_and_loses_nothing(tmp_path: File) -> None:
    world = await World.open(tmp_path, quota=Quota(rows=2))
    try:
        for number in range(1, 5):
            await world.has_customer(number)
        edits = [
            (customer(n), new(customer_body(owner="adm2"), await world.path(customer(n))))
            for n in range(1, 5)
        ]
        good = (customer(9), new(customer_body()))
        assert all(await world.push("adm1", *edits[:2]))
        with pytest.raises(ProtocolError) as caught:
            await world.push("adm1", *edits, good)
        assert caught.value.status == 503
        assert "quarantine" in caught.value.reason
        # What could be stored is; what couldn't is still missing, so the device goes on offering it.
        assert await world.body(customer(9)) is not None
        assert await world.missing("adm1", *edits) == {(docid, version.rev) for docid, version in edits[2:]}
        assert len(await world.notices("adm1", "rejected_change")) == 2
        # Another one isn't concerned.
        assert await world.push("buch1", (customer(1), edits[0][1])) != [""]
        # Somebody deals with one of them: there is room again.
        desk = Desk(world.gate)
        ((_, entry),) = world.gate.quarantine.listed(user="adm1", state=None, limit=1)
        shown = await desk.find(world.people["adm1"], entry)
        assert shown is not None
        await desk.discard(world.people["adm1"], shown)
        assert all(await world.push("adm1", edits[2]))
        assert len(await world.quarantined("adm1")) == 2
    finally:
        await world.close()


async def test_one_device_leaves_room_to_the_others_of_its_person(tmp_path: File) -> None:
    world = await World.open(tmp_path, quota=Quota(rows=5))
    try:
        for number in range(1, 7):
            await world.has_customer(number)
        edits = [
            (customer(n), new(customer_body(owner="adm2"), await world.path(customer(n))))
            for n in range(1, 7)
        ]
        assert all(await world.push("adm1", *edits[:4]))
        with pytest.raises(ProtocolError) as caught:
            await world.push("adm1", edits[4])
        assert caught.value.status == 503
        assert "device" in caught.value.reason
        world.people["adm1"] = Principal("adm1", world.people["adm1"].roles, "another device")
        assert all(await world.push("adm1", edits[4]))
        with pytest.raises(ProtocolError):
            await world.push("adm1", edits[5])
    finally:
        await world.close()


async def test_bytes_count_with_attachments(tmp_path: File) -> None:
    world = await World.open(tmp_path, quota=Quota(bytes=100_000))
    try:
        await world.has_customer(1)
        path = await world.path(customer(1))
        small = new(customer_body(owner="adm2"), path, 1, photo=bytes(60_000))
        large = new(customer_body(owner="adm2"), path, 2, photo=bytes(60_000))
        assert all(await world.push("adm1", (customer(1), small)))
        with pytest.raises(ProtocolError):
            await world.push("adm1", (customer(1), large))
    finally:
        await world.close()
