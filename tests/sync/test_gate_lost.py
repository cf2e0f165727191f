"""A restored server takes back what it made itself and lost, from whoever has it; nobody can make that up."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from kompass.business import numbers
from kompass.domain.series import SeriesTable
from replication.protocol.revisions import Path as History
from replication.store.sqlite.restored import come_back
from tests.cluster import over
from tests.sync.gate_world import Version, World, customer, customer_body, new

NEW = customer(9)


async def lost(tmp_path: Path, *, restored: bool = True) -> tuple[World, Version]:
    """A server from before it gave a number to a customer, and what a device has of that."""
    world = await World.open(tmp_path / "data", follows=True)
    await world.close()
    over.copied(tmp_path / "data", tmp_path / "backup")
    world = await World.open(tmp_path / "data", follows=True)
    body = customer_body("adm1", createdBy="innen1", modifiedBy="innen1")
    assert await world.push("innen1", (NEW, new(body))) == [""]
    version = Version(await world.path(NEW), await world.live(NEW))
    await world.close()
    assert version.body is not None
    assert version.body["customerNumber"]
    assert version.path.start == 2, "the server has given the number"
    if restored:
        connection = apsw.Connection(str(tmp_path / "backup" / "kompass.sqlite"))
        come_back(connection)
        connection.close()
    return await World.open(tmp_path / "backup", follows=True), version


@pytest.mark.parametrize("who", ["innen1", "adm1"])
async def test_a_number_that_the_server_gave_and_lost_comes_back_with_its_document(
    tmp_path: Path, who: str
) -> None:
    world, version = await lost(tmp_path)
    assert await world.push(who, (NEW, version)) == [""]
    assert await world.live(NEW) == version.body
    assert (await world.path(NEW)).ids == version.path.ids, "the same revision"
    # The next one gets another number.
    await world.has_customer(10)
    assert (await world.live(customer(10)))["customerNumber"] != version.body["customerNumber"]
    await world.close()


async def test_what_was_changed_on_the_way_proves_nothing(tmp_path: Path) -> None:
    world, version = await lost(tmp_path)
    assert version.body is not None
    ids = version.path.ids
    for forged in (
        Version(version.path, {**version.body, "customerNumber": "K-99999"}),
        Version(version.path, {**version.body, "companyName": "Ein anderer"}),
        Version(History(2, ["0" * 32, ids[1]]), version.body),
        Version(History(2, [ids[0], "0" * 32]), version.body),
        Version(History(1, [ids[0]]), version.body),
    ):
        assert "customerNumber" in (await world.push("innen1", (NEW, forged)))[0]
    assert await world.winner(NEW) is None
    await world.close()


@pytest.mark.slow
async def test_a_server_that_was_never_restored_has_lost_nothing(tmp_path: Path) -> None:
    world, version = await lost(tmp_path, restored=False)
    assert await world.push("innen1", (NEW, version)) != [""]
    await world.close()


@pytest.mark.slow
async def test_who_may_not_write_such_a_document_brings_none_back(tmp_path: Path) -> None:
    world, version = await lost(tmp_path)
    assert await world.push("plan1", (NEW, version)) != [""]
    assert await world.winner(NEW) is None
    await world.close()


@pytest.mark.slow
async def test_a_number_that_another_document_has_meanwhile_is_noted(tmp_path: Path) -> None:
    world, version = await lost(tmp_path)
    await world.has_customer(10)
    assert version.body is not None
    assert (await world.live(customer(10)))["customerNumber"] == version.body["customerNumber"]
    await world.push("innen1", (NEW, version))
    with world.database.reading() as reading:
        found = list(numbers.problems(reading, SeriesTable()))
    assert [(one.what, one.doc) for one in found] == [("another document's number", NEW)]
    await world.close()


async def test_what_was_taken_after_the_backup_and_is_his_again_comes_back_on_his_device(
    tmp_path: Path,
) -> None:
    world, _ = await lost(tmp_path)
    await world.has_customer(20)
    body, path = await world.live(customer(20)), await world.path(customer(20))
    tombstone = world.index.tombstones.of(customer(20), path.leaf)
    # adm1's device was sent it in what is lost, and offers it once more.
    closed = Version(History(tombstone[0], [tombstone[1], *path.ids]), None)
    assert await world.missing("adm2", (customer(20), closed)) == set()
    assert await world.path(customer(20)) == path, "it isn't adm2's"
    for _ in range(2):
        assert await world.missing("adm1", (customer(20), closed)) == set()
        touched = await world.path(customer(20))
        assert touched.ids[1:] == path.ids, "a child that his device takes, and one only"
    assert await world.live(customer(20)) == body
    await world.close()
