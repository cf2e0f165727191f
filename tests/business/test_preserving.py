"""What is final stays as it is for whoever writes past the gate: administrators, imports, replications."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from kompass.domain.sealing import is_intact
from replication.protocol.attachments import InlineAttachment, StubAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path
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
