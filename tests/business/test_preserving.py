"""What is final stays as it is for whoever writes past the gate: administrators, imports, replications."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from kompass.audit import Actor, Door, acting
from kompass.domain.sealing import is_intact
from replication.protocol.attachments import InlineAttachment, StubAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path
from tests.audit.world import entries_of
from tests.business.documents import change, docid, offer, opportunity, push_new
from tests.sync.gate_world import Version, World, customer, customer_body, new

OFFER = docid("offer", 1)


async def has_offer(world: World, **attachments: bytes) -> Version:
    """An offer that is sent, as the device had it before it was."""
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await push_new(world, "gf1", docid("opportunity", 1), opportunity())
    draft = new(offer(), None, **attachments)
    assert await world.push("gf1", (OFFER, draft)) == [""]
    stored, path = await world.body(OFFER), await world.path(OFFER)
    assert stored is not None
    sent = new({**stored, "status": "sent", "modifiedBy": "gf1", "version": 2}, path, **attachments)
    assert await world.push("gf1", (OFFER, sent)) == [""]
    return draft


async def write(world: World, doc: DocumentWrite, *, replicated: bool = False) -> str:
    """The reason of a refusal; empty if it is stored."""
    (result,) = await world.database.write([doc], replicated=replicated)
    if isinstance(result, ProtocolError):
        assert (result.status, result.error) == (403, "forbidden")
        return result.reason
    return ""


async def edit(world: World, **members: Any) -> str:
    """What an administrator is told who changes the offer. None removes a field."""
    stored = await world.body(OFFER)
    assert stored is not None
    wanted = {name: value for name, value in {**stored, **members}.items() if value is not None}
    return await write(world, DocumentWrite(OFFER, False, orjson.dumps(wanted), await leaf(world)))


async def leaf(world: World) -> Any:
    return (await world.path(OFFER)).leaf


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"taxRate": 0.07}, "taxRate"),
        ({"offerNumber": "A-2026-99999"}, "offerNumber"),
        ({"immutableHash": "0" * 64}, "immutableHash"),
        ({"finalized": None}, "finalized"),
        ({"status": "draft"}, "status"),
        ({"status": "draft", "finalized": None, "taxRate": 0.07}, "taxRate"),
        ({"type": "contract"}, "type"),
        ({"changeLog": [{"field": "taxRate"}]}, "changeLog"),
        ({"terms": "andere", "correctionReason": "Weil ich es kann"}, "terms"),
    ],
)
async def test_administrators_change_nothing_that_is_final(
    world: World, members: dict[str, Any], named: str
) -> None:
    await has_offer(world)
    before = await world.body(OFFER)
    assert named in await edit(world, **members)
    assert await world.body(OFFER) == before


async def test_administrators_may_do_what_the_table_allows(world: World) -> None:
    await has_offer(world)
    assert await edit(world, status="viewed", notes="Kunde hat angerufen") == ""
    stored = await world.body(OFFER)
    assert stored is not None
    assert is_intact({**stored, "_id": OFFER})


async def test_what_is_final_is_neither_deleted_nor_purged(world: World) -> None:
    await has_offer(world)
    assert "has to be kept" in await write(world, DocumentWrite(OFFER, True, b"{}", await leaf(world)))
    with pytest.raises(ProtocolError, match="has to be kept"):
        await world.database.purge({OFFER: [await leaf(world)]})
    assert await world.body(OFFER) is not None


async def test_attachments_of_what_is_final_stay(world: World) -> None:
    await has_offer(world, **{"a.pdf": b"%PDF signed"})
    stored = await world.body(OFFER)
    assert stored is not None
    forged = {"a.pdf": InlineAttachment("application/pdf", b"%PDF forged", digest_of(b"%PDF forged"))}
    for given in (forged, {}):
        text = orjson.dumps(stored)
        doc = DocumentWrite(OFFER, False, text, await leaf(world), attachments=dict(given))
        assert "_attachments" in await write(world, doc)


async def test_no_history_that_is_replicated_changes_what_is_final(world: World) -> None:
    """Neither on top of what is stored nor beside it, however long it is."""
    draft = await has_offer(world)
    path = await world.path(OFFER)
    forged = {**offer(), "status": "sent", "taxRate": 0.07}
    for above in (path, draft.path, Path(9, [f"{n:032x}" for n in range(9)])):
        assert "final" in await write(world, new(forged, above).write(OFFER), replicated=True)
    assert "has to be kept" in await write(world, new(None, path).write(OFFER), replicated=True)
    assert await write(world, new(None, draft.path).write(OFFER), replicated=True) == ""
    assert await world.path(OFFER) == path


async def test_a_stub_of_a_branch_does_not_bring_an_older_file_back(world: World) -> None:
    draft = await has_offer(world, **{"a.pdf": b"%PDF draft"})
    stored = await world.body(OFFER)
    assert stored is not None
    doc = new(stored, Path(draft.path.start + 5, [*(f"{n:032x}" for n in range(5)), *draft.path.ids]))
    branch = replace(doc.write(OFFER), attachments={"a.pdf": StubAttachment()})
    assert "_attachments" in await write(world, branch, replicated=True)


async def test_a_correction_of_another_server_comes_with_its_log(world: World) -> None:
    await has_offer(world)
    path = await world.path(OFFER)
    stored = await world.body(OFFER)
    assert stored is not None
    entry = {
        "changeNumber": "CL-2026-00001",
        "field": "terms",
        "newValue": "frei Haus",
        "changedBy": "gf1",
        "changedAt": "2026-03-02T08:00:00.000Z",
        "reason": "Klausel vergessen",
        "approvedBy": "gf1",
    }
    other = {**stored, "terms": "frei Haus", "deliveryTime": "morgen", "changeLog": [entry]}
    assert "terms" in await write(world, new(other, path).write(OFFER), replicated=True)
    corrected = {**stored, "terms": "frei Haus", "changeLog": [entry]}
    assert await write(world, new(corrected, path).write(OFFER), replicated=True) == ""
    assert await edit(world, terms="ab Werk") != ""


async def test_ends_of_branches_are_purged(world: World) -> None:
    draft = await has_offer(world)
    end = new(None, draft.path)
    assert await write(world, end.write(OFFER), replicated=True) == ""
    assert await world.database.purge({OFFER: [end.path.leaf]}) == {OFFER: [end.rev]}


async def test_a_document_that_is_not_final_is_an_administrators_to_change(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await change(world, "gf1", customer(1), companyName="Hofladen Rode GmbH")
    for text in (orjson.dumps({**customer_body("gf1"), "companyName": "Andere"}), b"{}"):
        parent = (await world.path(customer(1))).leaf
        assert await write(world, DocumentWrite(customer(1), text == b"{}", text, parent)) == ""


HELD = {"legalHold": True, "legalHoldReason": "Verfahren vor dem Landgericht"}


async def has_held_customer(world: World) -> dict[str, Any]:
    """A customer that isn't final, under a legal hold."""
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await change(world, "gf1", customer(1), **HELD)
    stored = await world.body(customer(1))
    assert stored is not None
    assert stored["legalHold"] is True
    return stored


async def write_customer(world: World, body: dict[str, Any], *, replicated: bool = False) -> str:
    path = await world.path(customer(1))
    if replicated:
        return await write(world, new(body, path, "elsewhere").write(customer(1)), replicated=True)
    return await write(world, DocumentWrite(customer(1), False, orjson.dumps(body), path.leaf))


@pytest.mark.parametrize("lifted", [False, None, "true", 1, "absent"])
async def test_nobody_past_the_gate_lifts_a_legal_hold(world: World, lifted: Any) -> None:
    """What isn't true keeps nothing, whatever it looks like."""
    stored = await has_held_customer(world)
    doc = {**stored, "legalHold": lifted, "legalHoldReason": "Das Verfahren ist beendet"}
    if lifted == "absent":
        doc = {name: value for name, value in stored.items() if name != "legalHold"}
    for door in (Door.ADMIN, Door.IMPORT, Door.REPLICATOR, Door.CLI, Door.SERVER):
        with acting(Actor("admin", door=door)):
            assert "legalHold" in await write_customer(world, doc)
            assert "legalHold" in await write_customer(world, doc, replicated=True)
    gone = DocumentWrite(customer(1), True, b"{}", (await world.path(customer(1))).leaf)
    assert "legal hold" in await write(world, gone)
    with pytest.raises(ProtocolError, match="legal hold"):
        await world.database.purge({customer(1): [(await world.path(customer(1))).leaf]})
    assert await world.body(customer(1)) == stored
    refused = [entry for entry in entries_of(world, customer(1)) if entry["action"] == "REJECTED"]
    assert len(refused) == 12


async def test_an_administrator_changes_the_rest_of_a_held_document(world: World) -> None:
    stored = await has_held_customer(world)
    assert await write_customer(world, {**stored, "companyName": "Hofladen Rode GmbH"}) == ""


async def test_a_hold_is_set_by_management_or_on_another_server(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    stored = await world.body(customer(1))
    assert stored is not None
    with acting(Actor("admin", door=Door.ADMIN)):
        assert "legalHold" in await write_customer(world, stored | HELD)
        assert "legalHold" in await write_customer(world, stored | HELD, replicated=True)
    with acting(Actor("replicator", door=Door.REPLICATOR)):
        assert await write_customer(world, stored | HELD, replicated=True) == ""


async def test_management_lifts_a_hold_and_the_chain_says_so(world: World) -> None:
    await has_held_customer(world)
    await change(world, "gf1", customer(1), legalHold=False, legalHoldReason="Das Verfahren ist beendet")
    entry = [entry for entry in entries_of(world, customer(1)) if entry["who"] == "gf1"][-1]
    assert {"legalHold", "legalHoldReason"} <= entry["changes"].keys()
