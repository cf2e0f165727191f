"""The answer to "why can X see Y", and to "what if"."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path as FilePath

import orjson
import pytest

from kompass.sync import explaining
from kompass.sync.conflicts.extension import Conflicts
from kompass.sync.index import FeedIndex, listing
from kompass.sync.index.rules import MatrixRules
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import Several, SqliteDatabase, SqliteStore, Writing
from replication.store.values import KeyRange
from tests.sync.test_product_rules import CARD, CUSTOMER, Company, company

__all__ = ["company"]


async def test_an_owner_sees_through_his_customer(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    child = "location-00000000-1111-4111-8111-111111111111"
    await company.put(child, {"type": "location", "customerId": CUSTOMER})
    with company.database.reading() as reading:
        his = explaining.answer(reading, company.index, "adm1", child)
        other = explaining.answer(reading, company.index, "adm2", child)
        nobody = explaining.answer(reading, company.index, "stranger", child)
        nothing = explaining.answer(reading, company.index, "adm1", "location-of-nobody")
    assert his.visible
    assert his.agree
    assert [grant.channel for grant in his.grants] == [f"sales:customer:{CUSTOMER}"]
    assert his.grants[0].because == (CUSTOMER,)
    assert his.since == max(his.grants[0].document_since, his.grants[0].person_since)
    assert his.rules is not None
    assert his.rules.decision.rule == "location.read.ADM.own_customer"
    assert not other.visible
    assert other.agree
    assert other.lost_at is None
    assert other.rules is not None
    assert not other.rules.decision.allowed
    assert not nobody.known
    assert not nobody.visible
    assert not nothing.exists
    assert not nothing.visible


async def test_what_was_taken_says_when(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm2"})
    at = company.database.update_seq
    with company.database.reading() as reading:
        lost = explaining.answer(reading, company.index, "adm1", CUSTOMER)
    assert not lost.visible
    assert lost.lost_at == at
    assert len(lost.tombstones) == 1


async def test_another_owner_in_a_dry_run(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    children = [f"location-{number:08d}-1111-4111-8111-111111111111" for number in range(30)]
    for docid in children:
        await company.put(docid, {"type": "location", "customerId": CUSTOMER})
    before = company.database.update_seq
    effects = await explaining.dry_run(company.database, company.index, {CUSTOMER: {"owner": "adm2"}})
    assert {(one.user, one.gains, one.loses) for one in effects} == {("adm1", 0, 31), ("adm2", 31, 0)}
    assert len(effects[0].lost) == explaining.MOST_SHOWN
    assert company.database.update_seq == before, "a dry run writes nothing"
    assert company.sees("adm1", CUSTOMER, CARD) == {CUSTOMER, CARD}
    assert company.sees("adm2", CUSTOMER, CARD) == {CARD}
    body = company.body(CUSTOMER)
    assert body is not None
    assert body["owner"] == "adm1"


async def test_another_matrix_in_a_dry_run(company: Company) -> None:
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    await company.person("kalk1", "KALK")
    changes = explaining.matrix_change(
        {"matrixVersion": "2", "overrides": {"customer": {"KALK": {"read": []}}}}
    )
    effects = await explaining.dry_run(company.database, company.index, changes)
    assert [(one.user, one.gains, one.loses, one.lost) for one in effects] == [("kalk1", 0, 1, (CUSTOMER,))]
    assert company.sees("kalk1", CUSTOMER) == {CUSTOMER}


# -- nothing stays of what was undone --------------------------------------------------------------


class _UndoneError(Exception):
    pass


async def test_nothing_is_remembered_of_what_was_undone(company: Company) -> None:
    """The next change has the numbers of the one that was undone, and says something else."""
    index = company.index
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    await company.put("user-new1", {"type": "user", "name": "new1", "roles": []})

    def undone(writing: Writing) -> None:
        winner, record = writing.winner(CUSTOMER), writing.winner("user-new1")
        assert winner is not None
        assert record is not None
        text = orjson.dumps({"type": "user", "name": "new1", "roles": ["GF"]})
        (outcome,) = writing.write([DocumentWrite("user-new1", False, text, parse_rev(record.rev))])
        assert isinstance(outcome, str)
        writing.settle()
        assert index.person(writing, "new1").roles == "GF"
        assert index.counts(writing, "new1")[0] == len(listing.ids(writing, "new1", KeyRange()))
        assert CUSTOMER in {row.id for row in index.rows(writing, "new1", 0, 100) if row.visible}
        assert index.second_look(writing, "new1").allows(winner)
        raise _UndoneError

    with pytest.raises(_UndoneError):
        await company.database.transact(undone)
    await company.put("user-new1", {"type": "user", "name": "new1", "roles": ["ADM"]})
    with company.database.reading() as reading:
        winner = reading.winner(CUSTOMER)
        assert winner is not None
        assert index.person(reading, "new1").roles == "ADM"
        assert index.counts(reading, "new1")[0] == len(listing.ids(reading, "new1", KeyRange()))
        assert CUSTOMER not in {row.id for row in index.rows(reading, "new1", 0, 100) if row.visible}
        assert not index.second_look(reading, "new1").allows(winner)


async def test_the_clock_of_kept_texts_goes_on_after_a_dry_run(tmp_path: FilePath) -> None:
    """Which numbers had been used by an hour is noted by its first change that stays."""
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    index = FeedIndex("kompass", MatrixRules())
    extension = Several(index, Conflicts(index, lambda: now))
    store = await SqliteStore.open(tmp_path, extensions={"kompass": extension})
    database = await store.create("kompass")
    assert isinstance(database, SqliteDatabase)
    company = Company(database, index)

    def noted() -> list[tuple[int, int]]:
        with database.reading() as reading:
            return list(reading.connection.execute("SELECT at, seq FROM conflict_clock ORDER BY at"))

    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm1"})
    before = noted()
    now = datetime(2026, 3, 2, 10, tzinfo=UTC)
    at = database.update_seq
    await explaining.dry_run(database, index, {CUSTOMER: {"owner": "adm2"}})
    assert noted() == before
    await company.put(CUSTOMER, {"type": "customer", "companyName": "Hof", "owner": "adm3"})
    assert noted()[-1][1] == at, "all that was there before this hour"
    await store.close()
