"""Requests that are small for a device and must be so for everybody else. Times are the processor's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.attack.writes_world import Attack, attacked, following, revised, some, text
from tests.cluster import over


@pytest.fixture
async def attack(tmp_path: Path) -> AsyncIterator[Attack]:
    async with attacked(tmp_path) as attack:
        yield attack


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Over a cluster as much for each process, since all of them have to keep what was written."""
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds * over.PROCESSES


@pytest.mark.slow
async def test_many_revisions_of_one_document_of_somebody_who_owns_much(attack: Attack) -> None:
    for _ in range(4):
        body = text("customer", "innen1", owner="innen1")
        await attack.push("innen1", *[revised(some("customer"), body) for _ in range(1000)])
    docid = some("user_task")
    docs: list[dict[str, Any]] = []
    above: list[str] = []
    for number in range(300):
        body = text("user_task", "innen1", assignedTo="innen1", number=number)
        docs.append(revised(docid, body, *above))
        above = docs[-1]["_revisions"]["ids"]
    with at_most(3):
        assert await attack.push("innen1", *docs) == []
    assert (await attack.get(docid) or {})["number"] == 299


@pytest.mark.slow
async def test_a_team_of_people_that_do_not_exist(attack: Attack) -> None:
    customer, contract, docid = some("customer"), some("contract"), some("project")
    await attack.put(customer, text("customer", "adm1", owner="adm1"))
    await attack.put(contract, text("contract", "innen1", customerId=customer, status="signed"))
    body = text("project", "plan1", customerId=customer, contractId=contract, projectManagerId="plan1")
    first = revised(docid, {**body, "teamMemberIds": [f"u{number}" for number in range(60_000)]})
    await attack.push("plan1")
    with at_most(4):
        assert await attack.push("plan1", first) == []
        assert (
            await attack.push("plan1", following(docid, {**body, "teamMemberIds": []}, first["_rev"])) == []
        )


async def test_a_change_of_a_document_with_many_comments(attack: Attack) -> None:
    docid = some("customer")
    body = text("customer", "adm1", owner="adm1", status="active")
    rev = await attack.put(docid, body)
    comment = text("comment", "adm1", parentId=docid, text="x")
    for _ in range(5):
        await attack.push("adm1", *[revised(some("comment"), comment) for _ in range(1000)])
    with at_most(0.15):
        assert await attack.push("adm1", following(docid, {**body, "status": "lost"}, rev)) == []


async def test_somebody_who_gets_a_record_later_holds_what_was_said_of_him_before(attack: Attack) -> None:
    docid = some("customer")
    await attack.put(docid, text("customer", "late", owner="late"))
    await attack.login("late", "ADM")
    assert await attack.get(docid, "late") is not None
