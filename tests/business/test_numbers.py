"""Numbers: given when the server finalises, without gaps, once, and kept for good."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any

import orjson
import pytest

from kompass.audit import Actor, Door, acting
from kompass.business import BusinessRules, numbers
from kompass.domain.examples import smallest
from kompass.domain.series import SeriesTable
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from tests.audit.world import entries_of
from tests.business.documents import body, change, docid, offer, opportunity, push_new
from tests.sync.gate_world import World, customer, customer_body, new


async def has_sale(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await push_new(world, "gf1", docid("opportunity", 1), opportunity())


def listed(world: World, series: str | None = None) -> list[tuple[str, str, str | None]]:
    with world.database.reading() as reading:
        return [
            (one.number, one.state.value, one.reason)
            for one in numbers.listed(reading, series=series, limit=1_000_000)
        ]


def problems(world: World) -> list[str]:
    with world.database.reading() as reading:
        return [str(one) for one in numbers.problems(reading, SeriesTable())]


async def number(world: World, docid: str, field: str) -> Any:
    found = await world.body(docid)
    assert found is not None
    return found.get(field)


async def test_a_customer_is_numbered_when_the_server_first_has_it(world: World) -> None:
    for n in (1, 2, 3):
        await push_new(world, "gf1", customer(n), customer_body("gf1"))
    given = [await number(world, customer(n), "customerNumber") for n in (1, 2, 3)]
    assert given == ["K-00001", "K-00002", "K-00003"]
    assert problems(world) == []


async def test_what_was_pushed_is_stored_as_pushed_and_the_number_is_a_child(world: World) -> None:
    version = new(customer_body("gf1"))
    assert await world.push("gf1", (customer(1), version)) == [""]
    path = await world.path(customer(1))
    assert path.start == 2
    assert path.ids[1] == version.path.ids[0]
    stored = await world.body(customer(1))
    assert stored == {**customer_body("gf1"), "customerNumber": "K-00001"}


async def test_an_offer_is_numbered_when_it_leaves_draft(world: World) -> None:
    await has_sale(world)
    await push_new(world, "gf1", docid("offer", 1), offer())
    assert await number(world, docid("offer", 1), "offerNumber") is None
    await change(world, "gf1", docid("offer", 1), status="sent")
    assert await number(world, docid("offer", 1), "offerNumber") == "A-2026-00001"
    await change(world, "gf1", docid("offer", 1), status="viewed")
    assert await number(world, docid("offer", 1), "offerNumber") == "A-2026-00001"
    assert listed(world, "offer") == [("A-2026-00001", "used", None)]


async def test_a_draft_that_is_given_up_takes_no_number(world: World) -> None:
    await has_sale(world)
    await push_new(world, "gf1", docid("offer", 1), offer())
    await change(world, "gf1", docid("offer", 1), status="superseded")
    assert listed(world, "offer") == []


@pytest.mark.parametrize(
    ("doctype", "prefix", "members", "field", "wanted"),
    [
        ("project", "project", {"customerId": customer(1)}, "projectNumber", "P-2026-B001"),
        (
            "project",
            "project",
            {"customerId": customer(1), "projectType": "M"},
            "projectNumber",
            "P-2026-M001",
        ),
        ("material", "material", {"category": "Öle und Fette"}, "materialCode", "MAT-OLE-001"),
        ("material", "material", {}, "materialCode", "MAT-ALG-001"),
        ("expense", "expense", {"status": "submitted", "amount": 12}, "receiptNumber", "EXP-2026-001"),
        ("purchase_order", "purchase-order", {"status": "approved"}, "orderNumber", "PO-2026-00001"),
        ("supplier_contract", "supplier-contract", {"status": "active"}, "contractNumber", "SC-2026-00001"),
        ("request_for_quote", "request-for-quote", {"status": "sent"}, "rfqNumber", "RFQ-2026-00001"),
        (
            "contract",
            "contract",
            {"status": "signed", "customerId": customer(1)},
            "contractNumber",
            "C-2026-00001",
        ),
    ],
)
async def test_each_series_has_its_form(
    world: World, doctype: str, prefix: str, members: dict[str, Any], field: str, wanted: str
) -> None:
    await world.put(docid(prefix, 1), body(doctype, **members))
    assert await number(world, docid(prefix, 1), field) == wanted


async def test_the_year_begins_in_germany(world: World) -> None:
    world.clock.now = datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC)
    await world.put(docid("project", 1), body("project", customerId=customer(1)))
    world.clock.now = datetime(2026, 12, 31, 23, 0, 0, tzinfo=UTC)
    await world.put(docid("project", 2), body("project", customerId=customer(1)))
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    assert [one for one, _, _ in listed(world)] == ["K-00001", "P-2026-B001", "P-2027-B001"]


async def test_nobody_can_give_himself_a_number(world: World) -> None:
    (answer,) = await world.push("gf1", (customer(1), new(customer_body("gf1", customerNumber="K-00007"))))
    assert "customerNumber" in answer
    assert listed(world) == []


async def test_imported_numbers_count_and_what_lies_between_is_noted(world: World) -> None:
    await world.put(customer(1), customer_body("gf1", customerNumber="K-00003"))
    await push_new(world, "gf1", customer(2), customer_body("gf1"))
    await world.put(customer(3), customer_body("gf1", customerNumber="K-00001"))
    assert [one for one, _, _ in listed(world)] == ["K-00001", "K-00003", "K-00004"]
    with world.database.reading() as reading:
        assert [one[:4] for one in numbers.skipped(reading)] == [("customer", "K-", 1, 2)]
    assert problems(world) == []


async def test_other_forms_are_accepted_from_an_import(world: World) -> None:
    await world.put(docid("contract", 1), body("contract", status="signed", contractNumber="V-2024-00012"))
    await world.put(docid("contract", 2), body("contract", status="signed", contractNumber="Altbestand 7"))
    await world.put(docid("contract", 3), body("contract", status="signed"))
    assert [one for one, _, _ in listed(world)] == ["Altbestand 7", "C-2026-00001", "V-2024-00012"]
    assert problems(world) == []


async def test_a_number_that_came_twice_before_it_was_refused_is_reported(world: World) -> None:
    await world.put(customer(1), customer_body("gf1", customerNumber="K-00001"))
    await world.put(customer(2), customer_body("gf1", customerNumber="K-00001"))
    assert problems(world) == [f"another document's number: K-00001 ({customer(2)})"]
    await world.put(customer(2), customer_body("gf1", customerNumber="K-00002"))
    assert problems(world) == []


async def written(world: World, *docs: tuple[str, dict[str, Any]], replicated: bool = False) -> list[str]:
    """What an administrator or a replication is told who writes documents; empty for what is stored."""
    writes = []
    for one, members in docs:
        winner = await world.winner(one)
        above = None if winner is None or winner.deleted else await world.path(one)
        version = new(members, above)
        writes.append(
            version.write(one)
            if replicated
            else DocumentWrite(one, False, orjson.dumps(members), above and above.leaf)
        )
    results = await world.database.write(writes, replicated=replicated)
    return [result.reason if isinstance(result, ProtocolError) else "" for result in results]


IMPORTED = [
    ("customer", "customerNumber", {"companyName": "Rode"}),
    ("offer", "offerNumber", {"status": "sent"}),
    ("contract", "contractNumber", {"status": "signed"}),
    ("project", "projectNumber", {"status": "planning"}),
    ("purchase-order", "orderNumber", {"status": "approved"}),
    ("supplier-contract", "contractNumber", {"status": "active"}),
    ("request-for-quote", "rfqNumber", {"status": "sent"}),
    ("material", "materialCode", {}),
    ("expense", "receiptNumber", {"status": "paid"}),
    ("invoice", "invoiceNumber", {"status": "sent"}),
    ("supplier-invoice", "invoiceNumber", {"supplierId": "supplier-1", "status": "Paid"}),
    ("project-cost", "invoiceNumber", {"supplierName": "Holz Meier", "status": "paid"}),
]


@pytest.mark.parametrize("replicated", [False, True])
@pytest.mark.parametrize(("prefix", "field", "members"), IMPORTED)
async def test_no_number_comes_twice_past_the_gate(
    world: World, prefix: str, field: str, members: dict[str, Any], *, replicated: bool
) -> None:
    """Neither with a later document nor with another one of the same batch."""
    imported = body(prefix.replace("-", "_"), **members, **{field: "X-2024-00001"})
    first, second, third = (docid(prefix, n) for n in (1, 2, 3))
    for door in (Door.ADMIN, Door.IMPORT, Door.REPLICATOR):
        with acting(Actor("admin", door=door)):
            told = await written(world, (first, imported), (second, imported), replicated=replicated)
            if door is Door.ADMIN:
                assert told[0] == ""
            assert "ready" in told[1] or "given to another" in told[1]
            (reason,) = await written(world, (third, imported), replicated=replicated)
            assert reason == told[1]
    assert await world.winner(second) is None
    assert [entry["action"] for entry in entries_of(world, second)] == ["REJECTED"] * 3
    changed = {**(await world.live(first)), "notes": "aus dem Archiv"}
    if prefix in ("customer", "material"):
        assert await written(world, (first, changed), replicated=replicated) == [""]
    assert problems(world) == []


async def test_a_number_that_was_given_once_is_taken_for_good(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await world.put(customer(1), None)
    other = customer_body("gf1", customerNumber="k-00001")
    (reason,) = await written(world, (customer(2), other))
    assert "k-00001 was given to another document" in reason
    (reason,) = await written(world, (customer(2), {**other, "customerNumber": "K-00001 "}))
    assert "another number than it is" in reason
    (reason,) = await written(world, (customer(2), {**other, "customerNumber": "K-0000\u0661"}))
    assert "another number than it is" in reason
    again = customer_body("gf1", customerNumber="K-00001")
    assert await written(world, (customer(1), again)) == [""]
    assert listed(world) == [("K-00001", "used", None)]


async def test_a_document_that_is_changed_in_the_same_batch_frees_no_number(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    stored = await world.live(customer(1))
    taken = customer_body("gf1", customerNumber="K-00001")
    told = await written(world, (customer(1), {**stored, "customerNumber": "K-7"}), (customer(2), taken))
    assert told[0] == ""
    assert "K-00001" in told[1]
    assert await number(world, customer(1), "customerNumber") == "K-00001"
    assert problems(world) == []


@pytest.mark.parametrize(("prefix", "field"), [("customer", "customerNumber"), ("invoice", "invoiceNumber")])
async def test_no_number_comes_with_what_was_something_else_before(
    world: World, prefix: str, field: str
) -> None:
    numbered = body(prefix, **{field: "X-1"})
    assert await written(world, (docid(prefix, 1), numbered)) == [""]
    disguised = docid(prefix, 2)
    assert await written(world, (disguised, {**numbered, "type": "contact"})) == [""]
    assert await written(world, (disguised, {**numbered, "notes": "verkleidet"})) != [""]
    assert problems(world) == []


@pytest.mark.parametrize("together", [False, True])
async def test_no_number_comes_twice_through_the_gate(tmp_path: File, *, together: bool) -> None:
    """A code of material is the one number that people may bring along."""
    world = await World.open(tmp_path, follows=True, business=BusinessRules())
    try:
        one, other = docid("material", 1), docid("material", 2)
        material = smallest("material", world.clock.now) | {"createdBy": "gf1", "modifiedBy": "gf1"}
        material.pop("_id")
        given = new({**material, "materialCode": "HOLZ-1"})
        again = new({**material, "materialCode": "holz-1", "materialName": "Leiste"})
        if together:
            told = await world.push("gf1", (one, given), (other, again))
        else:
            told = await world.push("gf1", (one, given))
            stored = await world.body(one)
            await world.put(one, None)
            assert stored is not None
            told += await world.push("gf1", (other, again))
        assert told[0] == ""
        assert told[1] != ""
        assert problems(world) == []
        assert [entry["rule"] for entry in entries_of(world, other)] == [
            "unique.material_code" if together else "number.taken"
        ]
    finally:
        await world.close()


async def test_a_number_of_another_series_stops_none(world: World) -> None:
    """Somebody calls his material as the next offers will be called."""
    material = body("material", materialCode="A-2026-00002")
    assert await written(world, (docid("material", 1), material)) == [""]
    await has_sale(world)
    for n in (1, 2):
        await push_new(world, "gf1", docid("offer", n), offer())
        await change(world, "gf1", docid("offer", n), status="sent")
    assert [one for one, _, _ in listed(world, "offer")] == ["A-2026-00001", "A-2026-00003"]
    assert problems(world) == []


async def test_a_number_is_void_when_its_document_is_gone_and_never_given_again(world: World) -> None:
    for n in (1, 2):
        await push_new(world, "gf1", customer(n), customer_body("gf1"))
    await world.put(customer(1), None)
    state = await world.path(customer(2))
    await world.database.purge({customer(2): [state.leaf]})
    await push_new(world, "gf1", customer(3), customer_body("gf1"))
    assert listed(world) == [
        ("K-00001", "void", "deleted"),
        ("K-00002", "void", "purged"),
        ("K-00003", "used", None),
    ]
    assert problems(world) == []


async def test_a_terminated_contract_keeps_its_number_as_void(world: World) -> None:
    await world.put(docid("contract", 1), body("contract", status="signed"))
    stored = await world.body(docid("contract", 1))
    await world.put(docid("contract", 1), {**(stored or {}), "status": "terminated"})
    assert listed(world) == [("C-2026-00001", "void", "terminated")]
    assert await number(world, docid("contract", 1), "contractNumber") == "C-2026-00001"


async def test_a_document_gets_its_number_back(world: World) -> None:
    await push_new(world, "gf1", customer(1), customer_body("gf1"))
    await world.put(customer(1), customer_body("gf1", customerNumber="K-99999"))
    assert await number(world, customer(1), "customerNumber") == "K-00001"
    await world.put(customer(1), customer_body("gf1"))
    assert await number(world, customer(1), "customerNumber") == "K-00001"


async def test_concurrent_pushes_leave_no_gap(world: World) -> None:
    async def push(start: int) -> None:
        docs = [(customer(n), new(customer_body("gf1"))) for n in range(start, start + 10)]
        assert await world.push("gf1", *docs) == [""] * 10

    await asyncio.gather(*(push(1 + 10 * n) for n in range(8)))
    assert [one for one, _, _ in listed(world)] == [f"K-{n:05}" for n in range(1, 81)]
    assert problems(world) == []


async def test_a_transaction_that_fails_uses_up_no_number(world: World) -> None:
    def failing(writing: Any) -> None:
        world_doc = new(customer_body("gf1")).write(customer(1))
        writing.write([world_doc], replicated=True)
        writing.settle()
        raise ProtocolError(500, "internal", "on purpose")

    with pytest.raises(ProtocolError):
        await world.transact(failing)
    await push_new(world, "gf1", customer(2), customer_body("gf1"))
    assert listed(world) == [("K-00001", "used", None)]


@pytest.mark.alone("a program without these tables has written before")
async def test_a_database_from_before_counts_on(tmp_path: File) -> None:
    world = await World.open(tmp_path)
    await world.put(customer(1), customer_body("gf1", customerNumber="K-00041"))
    await world.close()
    world = await World.open(tmp_path, follows=True)
    try:
        await push_new(world, "gf1", customer(2), customer_body("gf1"))
        assert [one for one, _, _ in listed(world)] == ["K-00041", "K-00042"]
        assert problems(world) == []
    finally:
        await world.close()
