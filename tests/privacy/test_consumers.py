"""Consumers of the feed: enrolled once, told what to remove since a number, and believed the first time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from kompass.privacy import tickets
from kompass.privacy.consumers import Consumers, UnknownConsumerError
from tests.feed.asking import Feed, contact, feed
from tests.feed.world import customer
from tests.identity.conftest import put_user
from tests.privacy.world import erase, populated
from tests.sync.gate_world import World
from tests.sync.gate_world import contact as person
from tests.sync.gate_world import customer as company

__all__ = ["feed"]

PATH = "/api/v1/privacy"


async def withdrawn(world: World) -> None:
    """Leaves a ticket."""
    body = await world.body(company(1))
    assert body is not None
    for marketing in (True, False):
        await world.put(company(1), {**body, "dsgvoConsent": {"marketing": marketing}})


async def test_what_is_confirmed_stays_so_after_a_restart_and_twice(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    consumers = Consumers(world.gate)
    since = (await consumers.enrol("search")).since
    done = await erase(world, person(1))
    (ticket,) = consumers.tickets("search")
    assert (ticket.num, ticket.subject) == (done.ticket, person(1))
    winner = await world.winner(person(1))
    assert winner is not None
    assert ticket.documents[person(1)] == winner.rev
    assert ticket.seq == world.database.update_seq
    await world.close()

    world = await World.open(tmp_path, follows=True)
    consumers = Consumers(world.gate)
    world.clock.advance(hours=1)
    assert (await consumers.enrol("search", after=1)).since == since
    assert [one.num for one in consumers.tickets("search")] == [ticket.num]
    assert await consumers.confirm("search", [ticket.num]) == []
    first = acknowledged(world, ticket.num)
    world.clock.advance(hours=1)
    assert await consumers.confirm("search", [ticket.num, ticket.num]) == []
    await asyncio.gather(*(consumers.confirm("search", [ticket.num]) for _ in range(5)))
    assert acknowledged(world, ticket.num) == first
    await world.close()

    world = await World.open(tmp_path, follows=True)
    consumers = Consumers(world.gate)
    assert consumers.tickets("search") == []
    assert acknowledged(world, ticket.num) == first
    await withdrawn(world)
    (later,) = consumers.tickets("search", after=ticket.num)
    assert (later.num, later.purpose, dict(later.documents)) == (ticket.num + 1, "marketing", {})
    assert consumers.tickets("search", after=later.num) == []
    standing = consumers.find("search")
    assert standing is not None
    assert (standing.open, standing.oldest) == (1, later.at)
    await world.close()


def acknowledged(world: World, ticket: int) -> object:
    with world.database.reading() as reading:
        return tickets.acknowledged(reading, ticket)


async def test_who_begins_empty_has_nothing_to_remove(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    consumers = Consumers(world.gate)
    done = await erase(world, person(1))
    await consumers.enrol("vectors", after=done.ticket)
    assert consumers.tickets("vectors") == []
    await consumers.enrol("warehouse")
    assert [one.num for one in consumers.tickets("warehouse")] == [done.ticket]
    with pytest.raises(ValueError, match="no ticket 7"):
        await consumers.enrol("jobs", after=7)
    with pytest.raises(ValueError, match="lower-case"):
        await consumers.enrol("Jobs")
    with pytest.raises(UnknownConsumerError):
        consumers.tickets("jobs")
    with pytest.raises(UnknownConsumerError):
        await consumers.confirm("jobs", [1])
    assert await consumers.confirm("warehouse", [done.ticket, 99]) == [99]
    assert [(one.name, one.open) for one in consumers.all()] == [("vectors", 0), ("warehouse", 0)]
    assert await consumers.dismiss("warehouse")
    assert not await consumers.dismiss("warehouse")
    await world.close()


async def test_tables_of_an_earlier_version_are_brought_up_to_date(tmp_path: Path) -> None:
    world = await populated(tmp_path)

    def older(writing: object) -> None:
        execute = writing.connection.execute  # type: ignore[attr-defined]
        execute("ALTER TABLE privacy_consumers DROP COLUMN after")
        execute("ALTER TABLE privacy_tickets DROP COLUMN seq")
        execute("INSERT INTO privacy_consumers VALUES ('search', 0)")

    await world.transact(older)
    await world.close()
    world = await World.open(tmp_path, follows=True)
    done = await erase(world, person(1))
    assert [one.num for one in Consumers(world.gate).tickets("search")] == [done.ticket]
    await world.close()


async def test_a_service_enrols_reads_and_confirms_over_http(feed: Feed) -> None:
    await put_user(feed.admin, "gf1", "GF")
    gf = httpx.BasicAuth("gf1", "pw")
    await feed.admin.get("/kompass", auth=gf)
    await feed.customer(1, "adm1")
    await feed.contact(1, of=1)
    url = f"{PATH}/consumers/search"
    assert (await feed.service.get(f"{url}/tickets")).status_code == 404
    for _ in range(2):
        answer = await feed.service.put(url)
        assert (answer.status_code, answer.json()["open"]) == (200, 0)
    wish = {"reason": "Antrag nach Art. 17"}
    erased = await feed.admin.post(f"{PATH}/subjects/{contact(1)}/erasure", json=wish, auth=gf)
    assert erased.status_code == 200, erased.text
    (ticket,) = (await feed.service.get(f"{url}/tickets")).json()["tickets"]
    assert contact(1) in {one["id"] for one in ticket["documents"]}
    # Up to there the feed gives it nothing but clean versions.
    page = (await feed.service.get("/kompass/_changes", params={"include_docs": "true"})).json()
    assert "Öztürk" not in str(page)
    assert int(ticket["seq"].partition("-")[0]) <= int(page["last_seq"].partition("-")[0])

    for _ in range(2):
        answer = await feed.service.post(f"{url}/tickets", json={"tickets": [ticket["ticket"], 99]})
        assert (answer.status_code, answer.json()) == (200, {"unknown": [99]})
    assert (await feed.service.get(f"{url}/tickets")).json() == {"tickets": []}
    assert (await feed.service.get(f"{url}/tickets", params={"after": "x"})).status_code == 400
    listed = (await feed.service.get(f"{PATH}/consumers")).json()["consumers"]
    assert [(one["name"], one["open"]) for one in listed] == [("search", 0)]
    told = (await feed.admin.get(f"{PATH}/tickets", auth=gf)).json()["tickets"][0]
    assert told["waitingFor"] == []
    assert "search" in told["acknowledged"]


async def test_only_the_service_gf_and_admin_ask_for_consumers(feed: Feed) -> None:
    adm = httpx.BasicAuth("adm1", "pw")
    url = f"{PATH}/consumers/search"
    for method, path, body in (
        ("GET", f"{PATH}/consumers", None),
        ("PUT", url, {}),
        ("DELETE", url, None),
        ("GET", f"{url}/tickets", None),
        ("POST", f"{url}/tickets", {"tickets": [1]}),
    ):
        assert (await feed.admin.request(method, path, json=body, auth=adm)).status_code == 403
        assert (
            await feed.service.request(method, path, json=body, headers={"authorization": ""})
        ).status_code == 401
    await feed.service.put(url)
    assert (await feed.service.delete(url)).status_code == 403
    assert (await feed.admin.delete(url)).status_code == 204
    for path in (f"{PATH}/tickets", f"{PATH}/subjects/{customer(1)}/export"):
        assert (await feed.service.get(path)).status_code == 403
    assert (await feed.admin.put(f"{PATH}/consumers/No", json={})).status_code == 422
