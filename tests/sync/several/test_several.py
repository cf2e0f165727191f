"""What one of several products has answered is true of all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path as File
from typing import Any

import httpx
import pytest

from kompass.audit.verifying import verify
from kompass.business.numbers import problems
from kompass.domain.refusals import Refusal
from kompass.domain.series import SeriesTable
from kompass.identity.devices import ID_HEADER
from kompass.privacy.accounts import Accounts
from kompass.privacy.service import Privacy
from kompass.revocations.log import FILE as REVOCATIONS
from kompass.sync.index.waiting import Wakers
from kompass.sync.quarantine.entries import State
from replication.http import live_feeds
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path, parse_rev
from replication.store.sqlite import compaction
from tests.attack.writes_world import following, revised, some, text
from tests.sync.several.products import Several, several

DEVICE = {ID_HEADER: "tablet-0001"}


@pytest.fixture
async def two(tmp_path: File) -> AsyncIterator[Several]:
    async with several(tmp_path) as made:
        yield made


async def changes(two: Several, number: int, name: str, **params: Any) -> dict[str, Any]:
    answer = await two[number].attack.ask(name, "GET", "/kompass/_changes", params=params)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def edited(found: dict[str, Any], **members: Any) -> dict[str, Any]:
    """What a device pushes that has changed what it was given."""
    body = {name: value for name, value in found.items() if name[:1] != "_"}
    return following(found["_id"], {**body, "version": body["version"] + 1, **members}, found["_rev"])


async def test_a_copy_that_is_up_to_date_is_opened_without_a_write(two: Several) -> None:
    await two[0].attack.put(some("customer"), text("customer", "adm1", owner="adm1"))
    before = {name: len(journal.entries) for name, journal in two.journals.items()}
    await two.add()
    assert {name: len(journal.entries) for name, journal in two.journals.items()} == before
    await two.same()


@pytest.mark.parametrize("here", [0, 1])
async def test_whoever_was_answered_by_one_sees_it_at_the_other(two: Several, here: int) -> None:
    a, b = two[here].attack, two[1 - here].attack
    await a.login("adm1", "ADM")
    two.silence()
    docid = some("customer")
    body = text("customer", "adm1", owner="adm1", companyName="Hofladen Rode")
    sent = revised(docid, body)
    assert await a.push("adm1", sent) == []
    found = await b.get(docid, "adm1")
    assert found is not None
    assert found["companyName"] == "Hofladen Rode"
    assert docid in {row["id"] for row in (await changes(two, 1 - here, "adm1"))["results"]}
    asked = await b.ask("adm1", "POST", "/kompass/_revs_diff", json={docid: [sent["_rev"]]})
    assert asked.json() == {}
    assert await b.push("adm1", edited(found, companyName="Rode")) == []
    back = await a.get(docid, "adm1")
    assert back is not None
    assert back["companyName"] == "Rode"
    await two.same()


@pytest.mark.slow
async def test_a_login_holds_everywhere_until_it_is_ended_anywhere(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    two.silence()
    login = {"name": "adm1", "password": "pw"}
    async with httpx.AsyncClient(base_url=two[0].url, headers=DEVICE) as one:
        answer = await one.post("/_session", json=login)
        cookie = {"cookie": f"AuthSession={answer.cookies['AuthSession']}", **DEVICE}
    async with httpx.AsyncClient(base_url=two[1].url, headers=cookie) as other:
        assert (await other.get("/kompass/_changes")).status_code == 200
        devices = (await two[1].attack.ask("chef", "GET", "/api/v1/devices?all=true")).json()["devices"]
        (device,) = [one for one in devices if not one["implicit"]]
        ended = await two[0].attack.ask("chef", "POST", f"/api/v1/devices/{device['id']}/revoke")
        assert ended.status_code == 200, ended.text
        assert (await other.get("/kompass/_changes")).status_code == 401


@pytest.mark.slow
async def test_a_live_feed_ends_when_its_device_is_revoked_at_another_process(
    two: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not at the next look at everybody."""
    monkeypatch.setattr(live_feeds, "CHECK_SECONDS", 1000.0)
    await two[0].attack.login("adm1", "ADM")
    async with httpx.AsyncClient(base_url=two[1].url, headers=DEVICE, timeout=30) as tablet:
        answer = await tablet.post("/_session", json={"name": "adm1", "password": "pw"})
        tablet.headers["cookie"] = f"AuthSession={answer.cookies['AuthSession']}"
        query = {"feed": "continuous", "since": "now", "heartbeat": "200"}
        feed = asyncio.create_task(tablet.get("/kompass/_changes", params=query))
        await asyncio.sleep(0.5)
        devices = (await two[0].attack.ask("chef", "GET", "/api/v1/devices?all=true")).json()["devices"]
        (device,) = [one for one in devices if not one["implicit"]]
        ended = await two[0].attack.ask("chef", "POST", f"/api/v1/devices/{device['id']}/revoke")
        assert ended.status_code == 200, ended.text
        await asyncio.wait_for(feed, 10)


async def test_a_live_feed_shows_what_another_process_took_away(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    await changes(two, 1, "gf1")
    docid = some("customer")
    await two[0].attack.put(docid, text("customer", "adm1", owner="adm1"))
    since = (await changes(two, 1, "adm1"))["last_seq"]
    waiting = asyncio.create_task(changes(two, 1, "adm1", feed="longpoll", since=since, timeout=20_000))
    others = asyncio.create_task(changes(two, 1, "gf1", feed="longpoll", since="now", timeout=20_000))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await two[0].attack.put(docid, text("customer", "adm1", owner="adm2"))
    (row,) = (await asyncio.wait_for(waiting, 5))["results"]
    assert (row["id"], row.get("deleted")) == (docid, True)
    assert [row["id"] for row in (await asyncio.wait_for(others, 5))["results"]] == [docid]


@pytest.mark.slow
async def test_a_live_feed_of_somebody_who_is_not_concerned_sleeps_on(
    two: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("adm1", "gf1"):
        await changes(two, 1, name)
    woken: list[str] = []
    release = Wakers._release

    def released(waiters: Iterable[Any]) -> None:
        woken.extend(waiter.user for waiter in waiters)
        release(waiters)

    monkeypatch.setattr(Wakers, "_release", staticmethod(released))
    waiting = [
        asyncio.create_task(changes(two, 1, name, feed="longpoll", since="now", timeout=20_000))
        for name in ("adm1", "gf1")
    ]
    await asyncio.sleep(0.3)
    await two[0].attack.put(some("usertask"), text("user_task", "gf1", assignedTo="gf1"))
    await asyncio.wait_for(waiting[1], 5)
    assert set(woken) == {"gf1"}
    waiting[0].cancel()


@pytest.mark.slow
async def test_two_changes_of_one_document_in_two_processes_meet(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    docid = some("customer")
    body = text("customer", "adm1", owner="adm1", companyName="Rode", notes="old")
    await two[0].attack.put(docid, body)
    found = await two[1].attack.get(docid, "adm1")
    assert found is not None
    two.silence()
    pushes = [
        member.attack.push("adm1", edited(found, companyName=member.url, notes=member.url))
        for member in two.members
    ]
    assert await asyncio.gather(*pushes) == [[], []]
    winners = [await member.attack.get(docid, "adm1", conflicts="true") for member in two.members]
    assert winners[0] == winners[1]
    assert winners[0] is not None
    assert "_conflicts" not in winners[0], "nobody has two versions"
    for member in two.members:
        answer = await member.attack.ask("adm1", "GET", "/api/v1/conflicts")
        (conflict,) = answer.raise_for_status().json()["conflicts"]
        assert conflict["entityId"] == docid
    await two.same()


@pytest.mark.slow
async def test_what_one_refused_lies_in_the_quarantine_of_all(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    await two[0].attack.login("gf1", "GF")
    two.silence()
    docid = some("invoice")
    sent = revised(docid, text("invoice", "adm1", customerId=some("customer"), status="draft"))
    (row,) = await two[0].attack.push("adm1", sent)
    assert row["error"] == "forbidden"
    asked = await two[1].attack.ask("adm1", "POST", "/kompass/_revs_diff", json={docid: [sent["_rev"]]})
    assert asked.json() == {}, "it is known there"
    rows = {one["id"]: one for one in (await changes(two, 1, "adm1", include_docs="true"))["results"]}
    assert rows[docid]["deleted"]
    (notice,) = [one["doc"] for one in rows.values() if one["doc"].get("type") == "rejected_change"]
    listed = (await two[1].attack.ask("gf1", "GET", "/api/v1/quarantine")).json()["entries"]
    assert [one["id"] for one in listed] == [notice["quarantineId"]]
    discarded = await two[1].attack.ask("gf1", "POST", f"/api/v1/quarantine/{listed[0]['id']}/discard")
    assert discarded.status_code == 204, discarded.text
    (entry,) = (await two[0].attack.ask("gf1", "GET", "/api/v1/quarantine")).json()["entries"]
    assert entry["state"] == "discarded"
    await two.same()


@pytest.mark.slow
async def test_the_chain_of_writes_is_one_and_verifies_in_every_copy(two: Several) -> None:
    await two.add()
    bodies = [text("customer", "adm1", owner="adm1", notes=str(number)) for number in range(30)]
    await two[0].attack.login("adm1", "ADM")
    await asyncio.gather(
        *(
            two[number % 3].attack.push("adm1", revised(some("customer"), body))
            for number, body in enumerate(bodies)
        )
    )
    await two.same()
    for member in two.members:
        with member.database().reading() as reading:
            assert reading.connection.execute("SELECT entries FROM audit_head").get >= 30
            assert list(verify(reading.connection, member.sync.keys.public)) == []


@pytest.mark.slow
async def test_numbers_have_no_gaps_with_writers_everywhere(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    body = text("customer", "adm1", owner="adm1")
    pushes = [two[number % 2].attack.push("adm1", revised(some("customer"), body)) for number in range(40)]
    assert await asyncio.gather(*pushes) == [[]] * 40
    await two.same()
    with two[1].database().reading() as reading:
        rows: Any = reading.connection.execute("SELECT number FROM business_numbers ORDER BY number")
        assert [number for (number,) in rows] == [f"K-{number:05d}" for number in range(1, 41)]
        assert list(problems(reading, SeriesTable())) == []


@pytest.mark.slow
async def test_what_one_uploads_is_no_leftover_to_the_others(
    two: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"first half, "
        await arrived.wait()
        yield b"second half"

    first, second = (member.database() for member in two.members)
    upload = asyncio.create_task(second.stage_attachment(slowly(), content_type="text/plain"))
    await asyncio.sleep(0.1)
    for _ in range(3):
        await first.compact()
        await first.drop_leftovers()
    arrived.set()
    staged = await upload
    write = DocumentWrite(some("customer"), False, b"{}", attachments={"photo": staged})
    (rev,) = await second.write([write])
    assert isinstance(rev, str)
    await first.fresh()
    info = (await first.attachments(write.id, parse_rev(rev)))["photo"]
    assert b"".join([piece async for piece in first.read_attachment(info)]) == b"first half, second half"
    lost = await second.stage_attachment(slowly(), content_type="text/plain")
    monkeypatch.setattr(compaction, "UPLOAD_SECONDS", 0.0)
    second._uploads.waiting.clear()  # its process is gone
    for _ in range(2):
        await first.drop_leftovers()
    await second.fresh()
    with second.reading() as reading:
        known: Any = reading.connection.execute("SELECT num FROM attachments").fetchall()
    assert (lost.token,) not in known
    assert len(known) == 1


@pytest.mark.slow
async def test_who_leads_tells_what_a_process_that_died_had_kept(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    since = (await changes(two, 0, "adm1"))["last_seq"]
    docid = some("invoice")
    gate = two[1].sync.gate()
    await gate.quarantine.keep(
        gate.database,
        "adm1",
        None,
        DocumentWrite(docid, False, b'{"type":"invoice"}', path=Path(1, ["a" * 32])),
        State.QUARANTINED,
        Refusal("rule", "reason", "Grund"),
        now=gate.now(),
    )
    two[0].sync.gate().telling.all_told = True  # as of before
    house = asyncio.create_task(two[0].sync.gate().keep_house(0.05))
    ids: set[str] = set()
    async with asyncio.timeout(10):
        while docid not in ids:
            told = await changes(two, 1, "adm1", feed="longpoll", since=since, timeout=10_000)
            ids |= {row["id"] for row in told["results"]}
            since = told["last_seq"]
    house.cancel()


@pytest.mark.slow
async def test_an_erasure_in_one_process_misses_nothing_that_another_is_about_to_keep(
    two: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two[0].attack.login("adm1", "ADM")
    contact, docid = some("contact"), some("invoice")
    await two[0].attack.put(
        contact, text("contact", "adm1", lastName="Behn-0815", customerId=some("customer"))
    )
    sent = revised(docid, text("invoice", "adm1", contactId=contact, notes="for Behn-0815"))
    first, second = (member.sync.gate() for member in two.members)
    keep = second.quarantine.keep

    async def late(*args: Any, **more: Any) -> str:
        monkeypatch.undo()
        await Privacy(first, Accounts(two[0].store)).erase(contact, by="gf1", reason="asked for")
        return await keep(*args, **more)

    monkeypatch.setattr(second.quarantine, "keep", late)
    push = {"docs": [sent], "new_edits": False}
    answer = await two[1].attack.ask("adm1", "POST", "/kompass/_bulk_docs", json=push)
    assert answer.status_code == 503, answer.text
    assert "erased" in answer.json()["reason"]
    assert first.quarantine.count("adm1") == 0
    assert len(await two[1].attack.push("adm1", sent)) == 1, "it is judged as what comes after the erasure"
    await two.same()


@pytest.mark.slow
async def test_settings_of_a_database_and_its_functions_count_everywhere(two: Several) -> None:
    two.silence()
    design = {"validate_doc_update": "function (doc) { if (doc.bad) throw({forbidden: 'bad'}) }"}
    a, b = (member.attack for member in two.members)
    made = await a.ask("chef", "PUT", "/kompass/_design/strict", json=design)
    assert made.status_code == 201, made.text
    refused = await b.ask("chef", "PUT", f"/kompass/{some('customer')}", json={"bad": True})
    assert refused.json() == {"error": "forbidden", "reason": "bad"}
    await a.login("adm1", "ADM")
    security = {"admins": {"roles": ["_admin"]}, "members": {"roles": ["_admin"]}}
    assert (await a.ask("chef", "PUT", "/kompass/_security", json=security)).status_code == 200
    assert (await b.ask("adm1", "GET", "/kompass/_changes")).status_code == 403


@pytest.mark.slow
async def test_failed_logins_count_wherever_they_were_tried(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    for number in range(5):
        client = two[number % 2].attack.client
        answer = await client.post("/_session", json={"name": "adm1", "password": f"wrong {number}"})
        assert answer.status_code == 401
        await asyncio.sleep(0.1)
    for member in two.members:
        answer = await member.attack.client.post("/_session", json={"name": "adm1", "password": "pw"})
        assert answer.status_code == 403, answer.text


@pytest.mark.slow
async def test_what_was_taken_twice_is_in_the_log_twice(two: Several) -> None:
    """The log of revocations knows the state that another process has left."""
    await two[0].attack.login("adm1", "ADM")
    path = "/api/v1/users/adm1"
    for number, active in enumerate((False, True, False)):
        change = {"active": active, "reason": "as it is tried"}
        answer = await two[number % 2].attack.ask("chef", "PATCH", path, json=change)
        assert answer.status_code == 200, answer.text
    log = (two[0].directory / REVOCATIONS).read_text().splitlines()
    assert len([line for line in log if '"_users"' in line and '"active":false' in line]) == 2


@pytest.mark.slow
async def test_a_user_who_is_purged_at_one_is_gone_at_the_other(two: Several) -> None:
    await two[0].attack.login("adm1", "ADM")
    assert (await two[1].attack.ask("adm1", "GET", "/kompass")).status_code == 200
    two.silence()
    there = (await two[0].attack.ask("chef", "GET", "/_users/org.couchdb.user:adm1")).json()
    purged = await two[0].attack.ask("chef", "POST", "/_users/_purge", json={there["_id"]: [there["_rev"]]})
    assert purged.status_code == 201
    assert (await two[1].attack.ask("adm1", "GET", "/kompass")).status_code == 401


@pytest.mark.slow
async def test_without_its_journal_a_process_says_so_and_loses_nothing(two: Several) -> None:
    await two[1].attack.login("adm1", "ADM")
    sent = revised(some("customer"), text("customer", "adm1", owner="adm1"))
    two.cut_off()
    for answer in (
        await two[1].attack.ask("adm1", "GET", "/kompass/_changes"),
        await two[1].attack.ask(
            "adm1", "POST", "/kompass/_bulk_docs", json={"docs": [sent], "new_edits": False}
        ),
        await two[1].attack.ask("adm1", "GET", "/api/v1/conflicts"),
        await two[1].attack.client.get("/readyz"),
    ):
        assert answer.status_code == 503
        assert "journal" in answer.text
    assert (await two[1].attack.client.get("/healthz")).status_code == 200
    two.cut_off(reachable=True)
    assert (await two[1].attack.client.get("/readyz")).status_code == 200
    assert await two[1].attack.push("adm1", sent) == []
    await two.same()
