"""Whatever is written enters the chain, by whichever door, and who wrote it stands there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from kompass.audit import Actor, AuditExtension, Door, acting, limits, vault
from kompass.audit.reading import Query, found
from kompass.sync.index import touching
from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, parse_rev
from replication.store.sqlite import (
    ChangedDocument,
    Extension,
    Several,
    SqliteDatabase,
    SqliteStore,
    Writing,
)
from replication.store.values import Document
from tests.audit.world import entries, entries_of, look
from tests.sync.gate_world import World, contact, contact_body, customer, customer_body, new


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World.open(tmp_path)
    try:
        yield made
    finally:
        await made.close()


def whole(world: World, tmp_path: Path) -> bool:
    report = look(tmp_path / "kompass.sqlite")
    assert report.findings == []
    return report.entries == len(entries(world))


async def test_a_device_s_push_is_entered_with_its_user_device_and_rule(world: World, tmp_path: Path) -> None:
    await world.has_customer(1)
    first = new(contact_body(customer(1)))
    assert await world.push("adm1", (contact(1), first)) == [""]
    second = new(contact_body(customer(1), firstName="Wiebke"), first.path)
    assert await world.push("adm1", (contact(1), second)) == [""]
    made, changed = entries_of(world, contact(1))
    assert (made["action"], made["who"], made["roles"], made["door"]) == (
        "CREATE",
        "adm1",
        ["ADM"],
        "replication",
    )
    assert (made["device"], made["origin"], made["type"]) == ("device of adm1", "pushed", "contact")
    assert made["rule"].startswith("contact.create.ADM")
    assert made["claimed"] == "2026-03-01T08:00:00.000Z"
    assert "firstName" in made["fields"]
    assert (made["before"], made["after"]) == (None, first.rev)
    assert (changed["before"], changed["after"]) == (first.rev, second.rev)
    assert list(changed["changes"]) == ["firstName"]
    assert len(changed["changes"]["firstName"]) == 64
    assert "Wiebke" not in str(changed)
    assert whole(world, tmp_path)


async def test_what_is_refused_is_entered_with_the_rule(world: World, tmp_path: Path) -> None:
    await world.has_customer(2)
    version = new(contact_body(customer(2), authorityLevel="high"))
    (answer,) = await world.push("adm1", (contact(2), version))
    assert answer
    assert await world.push("adm1", (contact(2), version)) == [answer], "a second time says nothing new"
    refused = [entry for entry in entries(world) if entry["action"] == "REJECTED"]
    assert [(one["who"], one["document"], one["after"]) for one in refused] == [
        ("adm1", contact(2), version.rev)
    ]
    assert refused[0]["rule"] == "field.writers"
    assert len(refused[0]["reason"]) == 64, "a reason may quote what was sent"
    rejected = entries(world)[-1]
    assert (rejected["type"], rejected["origin"], rejected["who"]) == ("rejected_change", "notice", "adm1")
    assert whole(world, tmp_path)


async def test_an_online_edit_and_its_refusal_are_entered(world: World, tmp_path: Path) -> None:
    rev = await world.has_customer(1)
    body = customer_body(phone="1", modifiedBy="innen1", version=2)
    doc = new(body).write(customer(1))
    doc = DocumentWrite(customer(1), False, doc.body, parse_rev(rev))
    (result,) = await world.gate.write(world.people["innen1"], [doc], replicated=False)
    assert isinstance(result, str)
    edited = entries_of(world, customer(1))[-1]
    assert (edited["door"], edited["origin"], edited["who"], edited["after"]) == (
        "edit",
        "edited",
        "innen1",
        result,
    )
    wrong = DocumentWrite(customer(1), True, b"{}", parse_rev(result))
    (refused,) = await world.gate.write(world.people["innen1"], [wrong], replicated=False)
    assert isinstance(refused, ProtocolError)
    entry = entries_of(world, customer(1))[-1]
    assert (entry["action"], entry["deleted"], entry["before"]) == ("REJECTED", True, result)
    assert entry["rule"] == "customer.delete"
    assert entry["winner"] is not None
    assert whole(world, tmp_path)


def values_of(world: World, num: int) -> Any:
    """What is sealed beside an entry."""
    with world.database.reading() as reading:
        (found,) = [one for one in vault.readable(reading.connection) if one.num == num]
    return orjson.loads(found.opening)


async def test_conflicts_of_edits_are_entered_by_every_door(world: World, tmp_path: Path) -> None:
    first = await world.has_customer(1)
    await world.put(customer(1), customer_body(phone="1"))
    stored = await world.path(customer(1))
    late = DocumentWrite(customer(1), False, orjson.dumps(customer_body(phone="2")), parse_rev(first))
    (result,) = await world.gate.write(world.people["innen1"], [late], replicated=False)
    assert isinstance(result, ProtocolError)
    assert result.status == 409
    with acting(Actor("admin", door=Door.ADMIN)):
        (result,) = await world.database.write([late])
    assert isinstance(result, ProtocolError)
    for entry, who in zip(entries_of(world, customer(1))[-2:], ("innen1", "admin"), strict=True):
        assert (entry["action"], entry["rule"], entry["who"]) == ("REJECTED", "conflict", who)
        assert entry["before"] == f"{stored.start}-{stored.ids[0]}"
        values = values_of(world, entry["num"])
        assert first in values["reason"][1]
        assert "text" not in values  # its author has it, and sends it again
    assert whole(world, tmp_path)


async def test_nobody_fills_the_chain_with_refusals(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_ENTERED", 20)
    monkeypatch.setattr(limits, "MOST_KEPT", 2_000)
    rev = await world.has_customer(1)
    await world.put(customer(1), customer_body(phone="1"))
    late = DocumentWrite(customer(1), False, orjson.dumps(customer_body(phone="2")), parse_rev(rev))
    wrong = DocumentWrite(customer(1), False, orjson.dumps(customer_body(notes="x" * 900)), None)
    wrong = replace(wrong, parent=(await world.path(customer(1))).leaf)
    before = len(entries(world))
    for _ in range(30):
        results = await world.gate.write(world.people["adm2"], [late, wrong], replicated=False)
        assert [result.status for result in results if isinstance(result, ProtocolError)] == [409, 409]
    assert len(entries(world)) - before == 20
    await world.database.transact(world.audit.checkpoint)
    assert len(entries(world)) - before == 20
    # Others are entered as ever, and so is he when the hour is over: with what was only counted.
    await world.gate.write(world.people["innen1"], [late], replicated=False)
    world.clock.advance(hours=1)
    await world.gate.write(world.people["adm2"], [late], replicated=False)
    *_, other, counted, again = entries(world)
    assert (other["who"], again["who"]) == ("innen1", "adm2")
    assert (counted["action"], counted["rule"], counted["user"], counted["more"]) == (
        "REJECTED",
        "refusals.more",
        "adm2",
        40,
    )
    assert whole(world, tmp_path)


async def test_what_was_only_counted_is_entered_with_the_next_checkpoint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_ENTERED", 1)
    late = DocumentWrite(customer(1), False, b"{}", (1, "0" * 32))
    for _ in range(3):
        await world.gate.write(world.people["adm2"], [late], replicated=False)
    world.clock.advance(hours=-2)  # however wrong the clock is
    await world.database.transact(world.audit.checkpoint)
    assert (entries(world)[-1]["user"], entries(world)[-1]["more"]) == ("adm2", 2)
    await world.database.transact(world.audit.checkpoint)
    assert [entry.get("rule") for entry in entries(world)].count("refusals.more") == 1


async def test_texts_of_refusals_are_kept_as_long_as_they_are_few(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_KEPT", 2_500)
    rev = parse_rev(await world.has_customer(1))
    for _ in range(4):
        wrong = DocumentWrite(customer(1), False, orjson.dumps({"type": "customer", "notes": "x" * 900}), rev)
        await world.gate.write(world.people["innen1"], [wrong], replicated=False)
    refused = [entry for entry in entries_of(world, customer(1)) if entry["action"] == "REJECTED"]
    assert ["text" in values_of(world, entry["num"]) for entry in refused] == [True, True, False, False]


async def test_what_devices_push_is_entered_whatever_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them lies in quarantine, which is limited."""
    monkeypatch.setattr(limits, "MOST_ENTERED", 1)
    refused = [(f"supplier-{n}", new({"type": "supplier", "name": "Holz"})) for n in range(5)]
    assert all(await world.push("adm1", *refused))
    assert [entry["action"] for entry in entries(world)].count("REJECTED") == 5


async def test_roles_and_the_matrix_are_changes_of_rights(world: World) -> None:
    with acting(Actor("admin", ("_admin",), None, "10.0.0.7", Door.ADMIN)):
        await world.put(
            "user-adm1", {"type": "user", "name": "adm1", "roles": ["ADM", "PLAN"], "active": True}
        )
    entry = entries_of(world, "user-adm1")[-1]
    assert (entry["action"], entry["who"], entry["address"], entry["door"]) == (
        "ROLES",
        "admin",
        "10.0.0.7",
        "admin",
    )
    assert list(entry["changes"]) == ["roles"]


async def test_purges_deletions_and_touches_are_entered(world: World, tmp_path: Path) -> None:
    rev = await world.has_customer(1)
    await world.put(contact(1), contact_body(customer(1)))
    await world.database.transact(
        lambda writing: touching.touch(writing, world.index.tombstones, customer(1))
    )
    touched = entries_of(world, customer(1))[-1]
    assert (touched["action"], touched["origin"], touched["changes"]) == ("UPDATE", "touch", {})
    gone = await world.put(contact(1), None)
    assert entries_of(world, contact(1))[-1]["action"] == "DELETE"
    await world.database.purge({contact(1): [parse_rev(gone)]})
    purged = entries_of(world, contact(1))[-1]
    assert (purged["action"], purged["purged"]) == ("PURGE", [gone])
    assert rev
    assert whole(world, tmp_path)


async def test_a_branch_its_end_and_the_merge_are_entries_of_their_own(world: World, tmp_path: Path) -> None:
    await world.has_customer(1)
    base = await world.path(customer(1))
    await world.put(customer(1), customer_body(website="https://a.example", version=2))
    mine = new(customer_body(phone="123", version=2), base)
    assert await world.push("adm1", (customer(1), mine)) == [""]
    last = entries_of(world, customer(1))[-3:]
    assert [entry.get("origin") for entry in last] == ["pushed", "closed", "merged"]
    assert [entry["action"] for entry in last] == ["UPDATE", "DELETE", "UPDATE"]
    assert sorted(last[-1]["changes"]) == ["phone", "version"]
    assert whole(world, tmp_path)


@pytest.mark.alone("its file is changed behind its back: a copy of a cluster is fetched anew then")
async def test_a_database_that_is_older_than_its_chain_is_entered_as_it_is(tmp_path: Path) -> None:
    world = await World.open(tmp_path)
    await world.has_customer(1)
    await world.put(customer(1), customer_body(phone="1"))

    def forget(writing: object) -> None:
        connection = writing.connection  # type: ignore[attr-defined]
        for name in ("entries", "keys", "head", "checkpoints"):
            connection.execute(f"DROP TABLE audit_{name}")

    await world.transact(forget)
    await world.close()
    world = await World.open(tmp_path)
    try:
        assert {entry["action"] for entry in entries(world)} == {"ADOPT"}
        await world.put(customer(1), customer_body(phone="2"))
        assert whole(world, tmp_path)
    finally:
        await world.close()


class Keeper(Extension):
    """Lets nobody past the gate write `kept`, or purge it."""

    def prepare(self, writing: Writing) -> None:
        pass

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        pass

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        pass

    def check(self, writing: Writing, write: DocumentWrite, winner: Document | None) -> ProtocolError | None:
        return errors.forbidden("it is kept") if winner is not None and write.id == "kept" else None

    def check_purge(self, writing: Writing, docid: str, revs: Sequence[Rev]) -> ProtocolError | None:
        return errors.forbidden("it is kept") if docid == "kept" else None


async def test_what_is_refused_at_a_door_past_the_gate_is_entered(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path, extensions={"kompass": Several(Keeper(), AuditExtension())})
    database = await store.create("kompass")
    assert isinstance(database, SqliteDatabase)
    (rev,) = await database.write([DocumentWrite("kept", False, b'{"n":1}')])
    with acting(Actor("admin", ("_admin",), None, "10.0.0.7", Door.ADMIN)):
        (refused,) = await database.write([DocumentWrite("kept", False, b'{"n":2}', parse_rev(str(rev)))])
        assert isinstance(refused, ProtocolError)
        with pytest.raises(ProtocolError, match="kept"):
            await database.purge({"kept": [parse_rev(str(rev))]})
    with database.reading() as reading:
        rows: Any = reading.connection.execute("SELECT text FROM audit_entries ORDER BY num").fetchall()
    told = [orjson.loads(text) for (text,) in rows]
    assert [(one["action"], one["who"], one.get("rule")) for one in told] == [
        ("CREATE", "system", None),
        ("REJECTED", "admin", "door"),
        ("REJECTED", "admin", "purge"),
    ]
    await store.close()
    assert look(tmp_path / "kompass.sqlite").findings == []


async def test_an_emptied_version_is_entered_anew(world: World, tmp_path: Path) -> None:
    await world.has_customer(1)
    await world.put(contact(1), contact_body(customer(1)))
    await world.put(contact(1), None)
    base = await world.path(contact(1))
    assert base

    def erase(writing: Writing) -> None:
        emptied = writing.forget(contact(1))
        assert emptied is not None
        world.audit.reseal(writing, contact(1), [(one.rev, one.text) for one in emptied])
        assert world.audit.shred(writing, contact(1)) == 1

    await world.transact(erase)
    assert whole(world, tmp_path)
    rows = [entry["action"] for entry in entries_of(world, contact(1))]
    assert rows[:2] == ["CREATE", "DELETE"]
    assert "SHRED" in rows


@pytest.mark.alone("an older file is a directory's; a cluster's tables are changed by kompass upgrade")
async def test_documents_whose_ids_end_alike_are_told_apart(tmp_path: Path) -> None:
    """Also in a file from before they were found by that."""
    world = await World.open(tmp_path)
    await world.has_customer(1)
    await world.put(contact(1), contact_body(customer(1)))
    assert contact(1)[-12:] == customer(1)[-12:]
    await world.close()
    with apsw.Connection(str(tmp_path / "kompass.sqlite")) as file:
        file.execute("DROP INDEX audit_entries_by_end_of_doc")
        file.execute("CREATE INDEX audit_entries_by_doc ON audit_entries (doc)")
    world = await World.open(tmp_path)
    try:
        with world.database.reading() as reading:
            rows = found(reading, Query(document=contact(1)), 10)
            names: Any = reading.connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
            assert {"audit_entries_by_end_of_doc"} == {
                name for (name,) in names if name.startswith("audit_entries_by") and "doc" in name
            }
        assert [row.doc for row in rows] == [contact(1)]
        assert whole(world, tmp_path)
    finally:
        await world.close()
