"""The feed index with the product's own rules: what a sales company does all day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Any

import orjson
import pytest

from kompass.access.companions import companion_id
from kompass.sync.index import FeedIndex, touching, verifying
from kompass.sync.index.rules import MatrixRules
from kompass.sync.positions import split
from kompass.sync.toucher import Toucher
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import SqliteDatabase, SqliteStore, Writing

CUSTOMER = "customer-11111111-1111-4111-8111-111111111111"
CARD = companion_id("customer_card", CUSTOMER)


class Company:
    def __init__(self, database: SqliteDatabase, index: FeedIndex) -> None:
        self.database = database
        self.index = index

    async def put(self, docid: str, body: dict[str, Any], *, deleted: bool = False) -> str:
        def run(writing: Writing) -> str:
            winner = writing.winner(docid)
            parent = None if winner is None or winner.deleted else parse_rev(winner.rev)
            text = b"{}" if deleted else orjson.dumps(body)
            (outcome,) = writing.write([DocumentWrite(docid, deleted, text, parent)])
            assert isinstance(outcome, str), outcome
            return outcome

        return await self.database.transact(run)

    async def person(self, name: str, *roles: str) -> None:
        await self.put(f"user-{name}", {"type": "user", "name": name, "roles": list(roles)})

    def sees(self, user: str, *docids: str) -> set[str]:
        with self.database.reading() as reading:
            return self.index.sees(reading, user, docids)

    def body(self, docid: str) -> dict[str, Any] | None:
        with self.database.reading() as reading:
            winner = reading.winner(docid)
        return None if winner is None or winner.deleted else orjson.loads(winner.text)


@pytest.fixture
async def company(tmp_path: FilePath) -> AsyncIterator[Company]:
    index = FeedIndex("kompass", MatrixRules())
    store = await SqliteStore.open(tmp_path, extensions={"kompass": index})
    database = await store.create("kompass")
    assert isinstance(database, SqliteDatabase)
    made = Company(database, index)
    for name, role in (("adm1", "ADM"), ("adm2", "ADM"), ("innen1", "INNEN"), ("gf1", "GF")):
        await made.person(name, role)
    try:
        yield made
    finally:
        await store.close()


async def test_a_card_is_there_with_its_document_and_follows_what_it_shows(company: Company) -> None:
    await company.put(
        CUSTOMER, {"type": "customer", "companyName": "Hof Grün", "owner": "adm1", "rating": "A"}
    )
    assert company.sees("adm2", CUSTOMER, CARD) == {CARD}
    card = company.body(CARD)
    assert card is not None
    assert card["companyName"] == "Hof Grün"
    assert "rating" not in card
    assert "owner" not in card
    first = card["_rev"]
    await company.put(
        CUSTOMER, {"type": "customer", "companyName": "Hof Grün", "owner": "adm1", "rating": "B"}
    )
    unchanged = company.body(CARD)
    assert unchanged is not None
    assert unchanged["_rev"] == first
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof Blau", "owner": "adm1"})
    changed = company.body(CARD)
    assert changed is not None
    assert changed["companyName"] == "Hof Blau"
    await company.put(CUSTOMER, {}, deleted=True)
    assert company.body(CARD) is None
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof Rot", "owner": "adm1"})
    again = company.body(CARD)
    assert again is not None
    assert again["companyName"] == "Hof Rot"


async def test_a_customer_that_changes_hands_takes_its_children_along(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    children = [f"location-{number:08d}-1111-4111-8111-111111111111" for number in range(500)]
    await company.database.write(
        [
            DocumentWrite(docid, False, orjson.dumps({"type": "location", "customerId": CUSTOMER}))
            for docid in children
        ]
    )
    with company.database.reading() as reading:
        before = company.index.latest(reading, "adm1")
        assert len(company.index.sees(reading, "adm1", children)) == 500
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm2"})
    with company.database.reading() as reading:
        assert reading.update_seq == split(before)[0] + 1, "children are not written"
        lost = company.index.rows(reading, "adm1", before, 10_000)
        gained = company.index.rows(reading, "adm2", before, 10_000)
    assert {row.id for row in lost if not row.visible} == {CUSTOMER, *children}
    assert {row.id for row in gained if row.visible} == {CUSTOMER, *children}
    assert all(row.tombstones and row.deleted for row in lost)


async def test_what_comes_back_is_touched_in_the_background(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    child = "location-00000000-1111-4111-8111-111111111111"
    rev = await company.put(child, {"type": "location", "customerId": CUSTOMER})
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm2"})
    toucher = Toucher(company.database, company.index)
    toucher.start()
    try:
        at = company.database.update_seq
        await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
        async with asyncio.timeout(20):
            while (body := company.body(child)) is not None and body["_rev"] == rev:
                await company.database.wait_for_change(at)
                at = company.database.update_seq
    finally:
        await toucher.close()
    assert body is not None
    assert body["_rev"].startswith("2-")
    assert body["customerId"] == CUSTOMER
    while await company.database.transact(
        lambda writing: touching.touch_some(writing, company.index.tombstones, 50)
    ):
        pass
    with company.database.reading() as reading:
        assert reading.connection.execute("SELECT count(*) FROM access_touches").get == 0
    again = company.body(child)
    assert again is not None
    assert again["_rev"] == body["_rev"], "one touch is enough for everybody"


async def test_a_role_that_goes_takes_its_documents_along(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    assert company.sees("adm1", CUSTOMER, CARD) == {CUSTOMER, CARD}
    await company.person("adm1", "PLAN")
    assert company.sees("adm1", CUSTOMER, CARD) == {CUSTOMER}, "planners read all customers"
    await company.person("adm1")
    assert company.sees("adm1", CUSTOMER, CARD) == set()
    with company.database.reading() as reading:
        row = company.index.row_of(reading, "adm1", CUSTOMER)
    assert row is not None
    assert row.tombstones


async def test_a_matrix_that_comes_into_force_changes_what_people_hold(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    await company.person("kalk1", "KALK")
    assert company.sees("kalk1", CUSTOMER) == {CUSTOMER}
    matrix = {
        "type": "permission_matrix",
        "matrixVersion": "2",
        "active": True,
        "overrides": {"customer": {"KALK": {"read": []}}},
    }
    await company.put("permission-matrix-2", matrix)
    assert company.sees("kalk1", CUSTOMER) == set()
    assert company.sees("innen1", CUSTOMER) == {CUSTOMER}
    await company.put("permission-matrix-2", {**matrix, "active": False})
    assert company.sees("kalk1", CUSTOMER) == {CUSTOMER}


async def test_waiting_ends_for_those_it_concerns(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    with company.database.reading() as reading:
        since = company.index.latest(reading, "adm1")
    own = asyncio.create_task(company.index.wait(company.database, "adm1", since))
    other = asyncio.create_task(company.index.wait(company.database, "adm2", since))
    await asyncio.sleep(0.05)
    child = "location-00000000-1111-4111-8111-111111111111"
    await company.put(child, {"type": "location", "customerId": CUSTOMER})
    await asyncio.wait_for(own, 5)
    await asyncio.sleep(0.05)
    assert not other.done()
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm2"})
    await asyncio.wait_for(other, 5)


async def test_waiting_ends_with_the_database(company: Company) -> None:
    with company.database.reading() as reading:
        since = company.index.latest(reading, "adm1")
    waiting = asyncio.create_task(company.index.wait(company.database, "adm1", since))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(company.database.close)
    with pytest.raises(ProtocolError):
        await asyncio.wait_for(waiting, 5)


async def test_an_index_that_was_tampered_with_is_found_and_mended(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})

    def check() -> list[verifying.Difference]:
        with company.database.reading() as reading:
            return list(verifying.differences(reading, company.index))

    assert check() == []

    def tamper(writing: Writing) -> None:
        execute = writing.connection.execute
        red = execute("SELECT num FROM access_channels WHERE name = ?", (f"sales:customer:{CUSTOMER}",)).get
        execute("UPDATE access_holdings SET user = 'adm2' WHERE channel = ?", (red,))
        everybody = execute("SELECT num FROM access_channels WHERE name = 'all:customer'").get
        execute("DELETE FROM access_entries WHERE channel = ?", (everybody,))

    await company.database.transact(tamper)
    found = check()
    assert [(one.document, one.user) for one in found] == [(CUSTOMER, None), (None, "adm1"), (None, "adm2")]
    assert str(found[2]) == f"adm2 holds sales:customer:{CUSTOMER} and should not"
    await verifying.repair(company.database, company.index, found)
    assert check() == []
    assert company.sees("adm1", CUSTOMER) == company.sees("gf1", CUSTOMER) == {CUSTOMER}
    assert company.sees("adm2", CUSTOMER) == set()
