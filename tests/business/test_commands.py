"""`kompass numbers`, `kompass rebuild` and `kompass doctor`, as a person at the command line meets them."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import pytest

from kompass.access.companions import companion_id
from tests.business.documents import body, docid
from tests.cli.test_cli import run
from tests.sync.gate_world import World, customer, customer_body

pytestmark = [pytest.mark.slow, pytest.mark.alone("commands for one server's directory")]

PROJECT = docid("project", 1)


@pytest.fixture
async def data(tmp_path: File) -> File:
    """A directory that nobody serves any more."""
    world = await World.open(tmp_path / "data", follows=True)
    await world.put(customer(1), customer_body("gf1"))
    await world.put(customer(2), customer_body("gf1", customerNumber="K-00004"))
    await world.put(customer(1), None)
    await world.put(PROJECT, body("project", customerId=customer(2)))
    await world.close()
    return tmp_path / "data"


async def damage(data: File, sql: str) -> None:
    world = await World.open(data)

    def run(writing: Any) -> None:
        writing.connection.execute(sql)

    await world.transact(run)
    await world.close()


async def test_numbers_are_listed_with_what_became_of_them(data: File) -> None:
    answer = run("numbers", "list", "--data", str(data), cwd=data)
    assert answer.returncode == 0, answer.stderr
    lines = [line.split("\t") for line in answer.stdout.splitlines()]
    assert [line[:5] for line in lines[:2]] == [
        ["K-00001", "customer", customer(1), "void", "deleted"],
        ["K-00004", "customer", customer(2), "used", ""],
    ]
    assert lines[-1] == ["K-00002 to K-00003", "customer", customer(2), "skipped", "by an import"]
    answer = run("numbers", "list", "--series", "project", "--data", str(data), cwd=data)
    assert [line.split("\t")[0] for line in answer.stdout.splitlines()] == ["P-2026-B001"]
    answer = run("numbers", "list", "--series", "offers", "--data", str(data), cwd=data)
    assert answer.returncode == 1
    assert "there is no series offers" in answer.stderr
    assert "Traceback" not in answer.stderr


async def test_a_missing_number_is_found(data: File) -> None:
    answer = run("numbers", "check", "--data", str(data), cwd=data)
    assert (answer.returncode, answer.stdout) == (0, "5 numbers, none is missing without a reason\n")
    await damage(data, "DELETE FROM business_numbers WHERE number = 'K-00001'")
    answer = run("numbers", "check", "--data", str(data), cwd=data)
    assert (answer.returncode, answer.stdout) == (1, "missing without a reason: K-00001\n")
    answer = run("doctor", "--data", str(data), cwd=data)
    assert answer.returncode == 1
    assert "number missing without a reason: K-00001" in answer.stdout


async def test_the_doctor_finds_what_does_not_follow_and_rebuilding_puts_it_right(data: File) -> None:
    assert run("doctor", "--data", str(data), cwd=data).returncode == 0
    await damage(data, "DELETE FROM business_refs")
    answer = run("doctor", "--data", str(data), cwd=data)
    assert answer.returncode == 1
    assert f"{PROJECT}: the tables lack what it names or shares – run with --repair" in answer.stdout
    answer = run("rebuild", "derived", "--data", str(data), cwd=data)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.endswith("0 documents written, all that is derived is in order\n")
    assert run("doctor", "--data", str(data), cwd=data).returncode == 0


@pytest.mark.parametrize("stored", [None, {"type": "customer_card", "customerId": customer(2)}])
async def test_the_doctor_finds_cards_that_are_missing_or_out_of_date(data: File, stored: Any) -> None:
    card = companion_id("customer_card", customer(2))
    world = await World.open(data, follows=True)
    before = await world.body(card)
    assert before is not None
    await world.put(card, stored)
    await world.close()
    answer = run("doctor", "--data", str(data), cwd=data)
    assert answer.returncode == 1
    assert f"{customer(2)} has a card, {card}, that is missing or out of date – run with" in answer.stdout
    answer = run("doctor", "--repair", "--data", str(data), cwd=data)
    assert answer.returncode == 0, answer.stdout
    assert run("doctor", "--data", str(data), cwd=data).returncode == 0
    world = await World.open(data, follows=True)
    found = await world.body(card)
    await world.close()
    assert found == before


async def test_the_doctor_finds_users_whose_documents_lack_something(data: File) -> None:
    world = await World.open(data)  # a server of before
    await world.put("user-wiebke", {"type": "user", "name": "wiebke", "roles": ["ADM", "GF"], "active": True})
    await world.put("user-x", {"type": "user", "userName": "x", "roles": [], "active": "no", "email": "x"})
    await world.close()
    answer = run("doctor", "--repair", "--data", str(data), cwd=data)
    assert answer.returncode == 1
    assert "user-wiebke: primaryRole isn't what it is worked out to be – repaired" in answer.stdout
    (left,) = [line for line in answer.stdout.splitlines() if line.endswith("can't be repaired")]
    assert left.startswith("kompass: user-x: user: ")
    assert "active" in left
    assert "email" in left
    world = await World.open(data, follows=True)
    found = await world.body("user-wiebke")
    await world.close()
    assert found == {
        "type": "user",
        "name": "wiebke",
        "userName": "wiebke",
        "displayName": "wiebke",
        "email": "wiebke@example.invalid",
        "roles": ["ADM", "GF"],
        "primaryRole": "GF",
        "active": True,
    }


async def test_another_pattern_is_a_setting(data: File) -> None:
    (data / "kompass.toml").write_text('numbers = ["project=PRO{year}/{number:04}"]\n')
    world = await World.open(data)
    await world.put(docid("project", 2), body("project", customerId=customer(2)))
    await world.close()
    assert run("rebuild", "derived", "--data", str(data), cwd=data).returncode == 0
    answer = run("numbers", "list", "--series", "project", "--data", str(data), cwd=data)
    numbers = [line.split("\t")[0] for line in answer.stdout.splitlines()]
    assert numbers[0] == "P-2026-B001"
    assert numbers[1].startswith("PRO20")
    assert numbers[1].endswith("/0001")
    answer = run("numbers", "check", "--data", str(data), cwd=data, KOMPASS_NUMBERS="offer=A-{number}")
    assert answer.returncode == 1
    assert "must end with the number" in answer.stderr
