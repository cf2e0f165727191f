"""Hostile devices and pages against the gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from kompass.access import Principal, Role
from replication.protocol.documents import parse_document
from replication.store.sqlite import SqliteDatabase
from tests.attack.writes_world import Attack, attacked, following, revised, some, text

JSON = {"content-type": "application/json"}


@pytest.fixture
async def attack(tmp_path: Path) -> AsyncIterator[Attack]:
    async with attacked(tmp_path) as attack:
        yield attack


async def test_a_made_up_history_does_not_hide_the_version_it_follows(attack: Attack) -> None:
    docid = some("customer")
    body = text("customer", "adm1", owner="adm1", companyName="Hofladen", customerNumber="K-00001")
    first = await attack.put(docid, body)
    assert await attack.push("adm1", following(docid, {**body, "phone": "1"}, first)) == []
    second = (await attack.get(docid) or {})["_rev"]
    # A branch with long invented histories ends far above the winner ...
    invented = ["a" * 32, "b" * 32, "c" * 32, "d" * 32]
    above = [second.partition("-")[2], first.partition("-")[2]]
    branch = revised(docid, {**body, "phone": "1", "fax": "1", "modifiedBy": "innen1"}, *invented, *above)
    await attack.put(docid, {**body, "phone": "2"})
    winner = (await attack.get(docid) or {})["_rev"]
    assert await attack.push("innen1", branch) == []
    seen = await attack.get(docid, deleted_conflicts="true") or {}
    (closed,) = seen["_deleted_conflicts"]
    merged = seen["_rev"]
    assert merged != winner
    # ... and what follows its end claims to come from the winner, too.
    names = [closed.partition("-")[2], branch["_revisions"]["ids"][0], *invented[:2]]
    claimed = [*names, merged.partition("-")[2], *["e" * 32] * (int(merged.partition("-")[0]) - 1)]
    forged = revised(docid, {**body, "fax": "2", "modifiedBy": "innen1"}, *claimed)
    await attack.push("innen1", forged)
    after = await attack.get(docid, revs="true", conflicts="true") or {}
    assert "_conflicts" not in after
    assert merged.partition("-")[2] in after["_revisions"]["ids"]
    assert "e" * 32 not in after["_revisions"]["ids"]


async def test_a_made_up_beginning_is_not_believed(attack: Attack) -> None:
    docid = some("customer")
    body = text("customer", "adm1", owner="adm1", companyName="Hofladen", customerNumber="K-00001")
    first = await attack.put(docid, body)
    second = await attack.put(docid, {**body, "phone": "1"})
    edit = following(docid, {**body, "phone": "2"}, second, "f" * 32)
    assert await attack.push("adm1", edit) == []
    after = await attack.get(docid, revs="true") or {}
    assert after["_rev"] == edit["_rev"]
    assert after["_revisions"]["ids"][1:] == [second.partition("-")[2], first.partition("-")[2]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["\0attachment:a", "_attachment:a"])
async def test_no_member_of_a_body_passes_for_an_attachment(attack: Attack, name: str) -> None:
    docid = some("customer")
    body = text("customer", "adm1", owner="adm1", companyName="Hofladen")
    first = await attack.put(docid, body)
    push = {"docs": [following(docid, {**body, name: "md5-x"}, first)], "new_edits": False}
    await attack.ask("adm1", "POST", "/kompass/_bulk_docs", content=orjson.dumps(push), headers=JSON)
    stored = await attack.get(docid) or {}
    changed = {key: value for key, value in stored.items() if key[:1] != "_"}
    await attack.put(docid, {**changed, "phone": "1"})
    mine = {**changed, "email": "x@example.org", "modifiedBy": "innen1"}
    assert await attack.push("innen1", following(docid, mine, stored["_rev"])) == []
    merged = await attack.get(docid) or {}
    assert (merged["phone"], merged["email"]) == ("1", "x@example.org")
    assert "_attachments" not in merged


async def test_numbers_and_depth_that_a_parser_refuses_stop_nobody(attack: Attack) -> None:
    """Neither the push, nor what the server does with the document afterwards."""
    customer, docid = some("customer"), some("contact")
    owned = text("customer", "adm1", owner="adm1")
    await attack.put(customer, owned)
    assert await attack.push("adm1") == []
    body = orjson.dumps(revised(docid, text("contact", "adm1", customerId=customer)))
    deep = b"[" * 450 + b"]" * 450
    push = b'{"new_edits":false,"docs":[%b,"notes":%b,"size":1%b,"aIds":[1%b],"n":%d}]}' % (
        body[:-1],
        deep,
        b"0" * 400,
        b"0" * 400,
        2**70 + 1,
    )
    answer = await attack.ask("adm1", "POST", "/kompass/_bulk_docs", content=push, headers=JSON)
    assert (answer.status_code, answer.json()) == (201, [])
    # It is taken away and given back, so that the server has to write it again.
    assert len(await _feed(attack, "adm1", docid)) == 1
    rev = (await attack.get(docid) or {})["_rev"]
    for owner in ("adm2", "adm1"):
        await attack.put(customer, {**owned, "owner": owner})
    for _ in range(100):
        touched = await attack.ask("chef", "GET", f"/kompass/{docid}")
        if touched.json()["_rev"] != rev:
            break
        await asyncio.sleep(0.05)
    assert touched.json()["_rev"] != rev
    assert f'"n":{2**70 + 1}' in touched.text


async def _feed(attack: Attack, name: str, docid: str) -> list[object]:
    answer = await attack.ask(name, "GET", "/kompass/_changes")
    return [row for row in answer.json()["results"] if row["id"] == docid]


async def test_what_is_made_again_is_refused_and_confirms_no_text(attack: Attack) -> None:
    docid = some("user_task")
    path = f"/kompass/{docid}"
    body = text("user_task", "adm1", assignedTo="adm1", title="geheim")
    rev = (await attack.ask("adm1", "PUT", path, json=body)).raise_for_status().json()["rev"]
    guesses = [await attack.ask("adm2", "PUT", path, json={**body, "title": one}) for one in ("geheim", "x")]
    assert [one.status_code for one in guesses] == [403, 403]
    assert guesses[0].json() == guesses[1].json()
    (await attack.ask("adm1", "DELETE", path, params={"rev": rev})).raise_for_status()
    assert (await attack.ask("adm1", "PUT", path, json=body)).status_code == 403


async def test_the_desk_goes_by_the_record(attack: Attack) -> None:
    """Roles that were taken from the record are gone, whatever the login has."""
    docid = some("customer")
    body = {**text("customer", "adm2", owner="adm2"), "creditLimit": 5}
    assert len(await attack.push("adm2", revised(docid, body))) == 1
    entries = (await attack.ask("gf1", "GET", "/api/v1/quarantine")).json()["entries"]
    (entry,) = [one["id"] for one in entries if one["docId"] == docid]
    record = await attack.get("user-gf1") or {}
    for change, status in (({"roles": ["KALK"]}, 404), ({"active": False}, 403)):
        record = {**record, **change}
        await attack.put("user-gf1", {key: value for key, value in record.items() if key[:1] != "_"})
        listed = await attack.ask("gf1", "GET", "/api/v1/quarantine")
        assert listed.status_code == (200 if status == 404 else 403)
        assert entry not in listed.text
        for how in ("release", "discard"):
            answer = await attack.ask("gf1", "POST", f"/api/v1/quarantine/{entry}/{how}", json={})
            assert answer.status_code == status


async def test_roles_count_as_they_are_when_a_push_is_judged(attack: Attack) -> None:
    """A push begins with a role that is gone when its documents' turn comes."""
    docid = some("supplier")
    assert await attack.push("innen1") == []
    database = attack.product.documents.server.store.get("kompass")
    view = attack.product.sync.view.of(database, Principal("innen1", frozenset({Role.INNEN}), None))
    admitted = view._admitted()
    record = await attack.get("user-innen1") or {}
    kept = {key: value for key, value in record.items() if key[:1] != "_"}
    await attack.put("user-innen1", {**kept, "roles": ["ADM"]})
    doc = parse_document(revised(docid, text("supplier", "innen1", companyName="Holz")))
    gate = attack.product.sync._gate
    assert gate is not None
    (outcome,) = await gate.write(admitted, [doc], replicated=True)
    assert not isinstance(outcome, str)
    assert await attack.get(docid) is None


async def test_a_document_too_large_for_anything_does_not_stop_its_device(attack: Attack) -> None:
    large, small = some("customer"), some("customer")
    body = text("customer", "adm1", owner="adm1")
    rows = await attack.push("adm1", revised(large, {**body, "notes": "x" * 8_100_000}), revised(small, body))
    assert [(row["id"], row["error"]) for row in rows] == [(large, "forbidden")]
    assert await attack.get(small, "adm1") is not None
    entries = (await attack.ask("adm1", "GET", "/api/v1/quarantine")).json()["entries"]
    (entry,) = [one for one in entries if one["docId"] == large]
    kept = (await attack.ask("adm1", "GET", f"/api/v1/quarantine/{entry['id']}")).json()
    assert len(kept["document"]["notes"]) == 8_100_000


@pytest.mark.slow
async def test_local_documents_of_one_person_take_little_room(attack: Attack) -> None:
    checkpoint = {"session_id": "x"}
    answer = await attack.ask("adm1", "PUT", "/kompass/_local/first", json=checkpoint)
    assert answer.status_code == 201
    await attack.ask("innen1", "PUT", "/kompass/_local/first", json=checkpoint)
    for number in range(4):
        answer = await attack.ask("adm1", "PUT", f"/kompass/_local/{number}", json={"x": "y" * 7_000_000})
        assert answer.status_code == 201
        assert (await attack.ask("adm1", "GET", f"/kompass/_local/{number}")).status_code == 200
    listed = (await attack.ask("adm1", "GET", "/kompass/_local_docs")).json()["rows"]
    assert len(listed) == 2
    assert (await attack.ask("innen1", "GET", "/kompass/_local/first")).status_code == 200


async def test_bytes_of_what_waits_are_not_copied_again_and_again(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer, docid = some("customer"), some("contact")
    doc = revised(docid, text("contact", "adm1", customerId=customer))
    doc["_attachments"] = {"a": {"data": "aGVsbG8=", "content_type": "image/png"}}
    assert await attack.push("adm1", doc) == []
    gate = attack.product.sync._gate
    assert gate is not None
    copies = 0
    stage = SqliteDatabase.stage_attachment

    async def counted(*args: Any, **options: Any) -> Any:
        nonlocal copies
        copies += 1
        return await stage(*args, **options)

    monkeypatch.setattr(SqliteDatabase, "stage_attachment", counted)
    for _ in range(3):
        await gate.housekeep()
    assert copies == 0
    assert await attack.push("adm1", revised(customer, text("customer", "adm1", owner="adm1"))) == []
    assert copies == 1
    attached = await attack.ask("adm1", "GET", f"/kompass/{docid}/a")
    assert attached.content == b"hello"


@pytest.mark.slow
async def test_a_flood_of_refusals_keeps_what_was_refused_and_stops_nobody_else(
    attack: Attack, capfd: pytest.CaptureFixture[str]
) -> None:
    sent, statuses = [], []
    for _ in range(5):
        docs = [revised(some("nonsense"), {"type": "nonsense"}) for _ in range(250)]
        push = {"docs": docs, "new_edits": False}
        answer = await attack.ask("plan1", "POST", "/kompass/_bulk_docs", json=push)
        statuses.append(answer.status_code)
        if answer.status_code == 201:
            sent += docs
    assert statuses[0] == 201
    assert statuses[-1] == 503
    written = capfd.readouterr()
    lines = (written.out + written.err).splitlines()
    assert sum("quarantine full" in line for line in lines) == statuses.count(503)
    gate = attack.product.sync._gate
    assert gate is not None
    known = gate.quarantine.known("plan1", [doc["_id"] for doc in sent])
    assert {(doc["_id"], doc["_rev"]) for doc in sent} == known.keys()
    assert len(await attack.push("adm1", revised(some("supplier"), text("supplier", "adm1")))) == 1


@pytest.mark.slow
async def test_devices_that_push_at_once_lose_nothing(attack: Attack) -> None:
    docid = some("customer")
    body = text("customer", "adm1", owner="adm1")
    rev = await attack.put(docid, body)
    await attack.push("adm1")
    await attack.push("innen1")

    async def edit(name: str, number: int) -> None:
        doc = following(docid, {**body, f"{name}-{number}": number, "modifiedBy": name}, rev)
        assert await attack.push(name, doc) == []

    await asyncio.gather(*(edit(name, number) for number in range(10) for name in ("adm1", "innen1")))
    merged = await attack.get(docid, conflicts="true") or {}
    assert "_conflicts" not in merged
    for number in range(10):
        assert merged[f"adm1-{number}"] == merged[f"innen1-{number}"] == number


async def test_a_long_chain_of_what_waits_gets_in_by_and_by(attack: Attack) -> None:
    parent = some("customer")
    await attack.put(parent, text("customer", "adm1", owner="adm1"))
    docs = []
    for _ in range(90):
        docs.append(revised(some("comment"), text("comment", "adm1", parentId=parent)))
        parent = docs[-1]["_id"]
    assert await attack.push("adm1", *docs[::-1]) == []
    gate = attack.product.sync._gate
    assert gate is not None
    for _ in range(4):
        await gate.housekeep()
    assert gate.quarantine.waiting(1) == []
    assert await attack.get(parent, "adm1") is not None
