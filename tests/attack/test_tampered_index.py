"""Whoever gets a wrong row into the access index, by a defect or by hand, reads nothing by it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from kompass.sync.index import second_look, verifying
from kompass.sync.opening import DATABASE
from replication.store.sqlite import SqliteDatabase, Writing
from tests.attack.asking import Ask, Target
from tests.attack.test_every_endpoint import ALL, answer_to, comparable, neighbour, target
from tests.attack.world import World, said, whole
from tests.product import answering

pytestmark = pytest.mark.slow

NAME = "adm2"

Tamper = Callable[[Writing, World], list[str]]
"""Puts wrong rows into the index and returns which documents it shows because of them."""


def _number(writing: Writing, docid: str) -> int:
    return int(writing.connection.execute("SELECT num FROM access_docs WHERE id = ?", (docid,)).get)


def a_document_in_his_channel(writing: Writing, world: World) -> list[str]:
    execute = writing.connection.execute
    channel = execute("SELECT num FROM access_channels WHERE name = ?", (f"user:{NAME}",)).get
    shown = world.secrets_of(NAME)
    for docid in shown:
        number = _number(writing, docid)
        place = execute("SELECT place FROM access_docs WHERE num = ?", (number,)).get
        execute("INSERT INTO access_entries VALUES (?, ?, ?, ?)", (channel, place, number, place))
    return shown


def a_channel_that_he_should_not_hold(writing: Writing, world: World) -> list[str]:
    shown = world.secrets_of(NAME)
    for docid in shown:
        writing.connection.execute(
            "INSERT OR IGNORE INTO access_holdings"
            " SELECT ?, channel, since FROM access_entries WHERE doc = ?",
            (NAME, _number(writing, docid)),
        )
    return shown


def a_customer_that_is_not_his(writing: Writing, world: World) -> list[str]:
    """And what follows from it: the index contradicts itself nowhere."""
    execute = writing.connection.execute
    customer = world.secret_of(NAME, "customer", owner="adm1")
    execute(
        "INSERT INTO access_relations VALUES (?, ?, 'owns_customer', ?)",
        (_number(writing, customer), NAME, customer),
    )
    return _held(writing, f"sales:customer:{customer}")


def a_role_that_he_does_not_have(writing: Writing, world: World) -> list[str]:
    """His login has it, his user document hasn't."""
    writing.connection.execute("UPDATE access_users SET roles = 'ADM GF' WHERE name = ?", (NAME,))
    return _held(writing, "all:customer_finance") + _held(writing, "all:project_competitor")


def _held(writing: Writing, channel: str) -> list[str]:
    execute = writing.connection.execute
    number = execute("SELECT num FROM access_channels WHERE name = ?", (channel,)).get
    execute("INSERT OR IGNORE INTO access_holdings VALUES (?, ?, 1)", (NAME, number))
    rows: Any = execute(
        "SELECT d.id FROM access_entries e CROSS JOIN access_docs d ON d.num = e.doc"
        " WHERE e.channel = ? AND NOT d.deleted",
        (number,),
    )
    return [docid for (docid,) in rows]


WAYS = [
    a_document_in_his_channel,
    a_channel_that_he_should_not_hold,
    a_customer_that_is_not_his,
    a_role_that_he_does_not_have,
]


def disagreements(world: World) -> int:
    """Of all that answer."""
    return sum(product.sync.index.disagreements.count for product in answering(world.product))


async def tampered(world: World, tamper: Tamper) -> list[str]:
    database = world.product.documents.server.store.get(DATABASE)
    assert isinstance(database, SqliteDatabase)
    if tamper is a_role_that_he_does_not_have:
        admin = await world.admin()
        path = f"/_users/org.couchdb.user:{NAME}"
        login = (await admin.get(path)).json()
        (await admin.put(path, json={**login, "roles": ["ADM", "GF"]})).raise_for_status()
    shown = await database.transact(lambda writing: tamper(writing, world))
    index = world.product.sync.index
    with database.reading() as reading:
        seen = index.sees(reading, NAME, shown)
        secret = [one for one in shown if one in seen and one not in world.truths[NAME].readable]
        assert secret
        assert list(verifying.differences(reading, index)), "kompass doctor says nothing"
    return secret


async def asked(world: World, ask: Ask) -> list[str]:
    answer = await answer_to(world, NAME, ask)
    assert answer.status_code < 500 or answer.status_code in (501, 503), (str(ask), answer.text)
    found = world.leaks(NAME, whole(answer), said(answer.request))
    return [one for one in found if one.startswith(("the text", "what is attached"))]


@pytest.mark.parametrize("tamper", WAYS)
async def test_no_text_gets_out(changing: World, tamper: Tamper) -> None:
    world = changing
    secret = await tampered(world, tamper)
    done: set[str] = set()
    for docid in secret[:8]:
        for asks in ALL.values():
            for ask in asks(target(world, NAME, docid)):
                if not ask.changes and str(ask) not in done:
                    done.add(str(ask))
                    assert await asked(world, ask) == [], str(ask)
    assert disagreements(world) > 0


@pytest.mark.parametrize("tamper", WAYS)
async def test_it_is_answered_like_what_is_not_there(changing: World, tamper: Tamper) -> None:
    world = changing
    secret = await tampered(world, tamper)
    for endpoint in ("{doc}", "{doc}/{attachment}", "_bulk_get", "_design/{d}/_view"):
        hidden = target(world, NAME, secret[0])
        unknown = Target(
            neighbour(world, hidden.id),
            f"{hidden.rev.partition('-')[0]}-{'a1' * 16}",
            digest="md5-BBBBBBBBBBBBBBBBBBBBBB==",
            own=hidden.own,
            user=hidden.user,
        )
        for there, not_there in zip(ALL[endpoint](hidden), ALL[endpoint](unknown), strict=True):
            if not there.changes:
                found = await answer_to(world, NAME, there)
                missing = await answer_to(world, NAME, not_there)
                assert comparable(found, hidden) == comparable(missing, unknown), str(there)


@pytest.mark.parametrize("tamper", WAYS)
async def test_doctor_puts_it_right(changing: World, tamper: Tamper) -> None:
    secret = await tampered(changing, tamper)
    database = changing.product.documents.server.store.get(DATABASE)
    assert isinstance(database, SqliteDatabase)
    index = changing.product.sync.index
    with database.reading() as reading:
        found = list(verifying.differences(reading, index))
    await verifying.repair(database, index, found)
    with database.reading() as reading:
        assert list(verifying.differences(reading, index)) == []
        assert index.sees(reading, NAME, secret) == set()


async def test_nothing_of_his_own_goes_with_it(changing: World) -> None:
    world = changing
    client = await world.client(NAME)
    paths = [
        f"/{DATABASE}/_all_docs?include_docs=true&limit=7",
        f"/{DATABASE}/_all_docs?include_docs=true",
        f"/{DATABASE}/_changes?include_docs=true",
    ]

    async def texts(path: str) -> list[Any]:
        answer = (await client.get(path)).json()
        return [row["doc"] for row in answer.get("rows", answer.get("results"))]

    before = [await texts(path) for path in paths]
    await tampered(world, a_document_in_his_channel)
    assert [await texts(path) for path in paths] == before


async def test_a_feed_with_documents_does_not_spin(changing: World) -> None:
    world = changing
    await tampered(world, a_document_in_his_channel)
    client = await world.client(NAME)
    end = (await client.get(f"/{DATABASE}/_changes")).json()["last_seq"]
    before = disagreements(world)
    parameters = {"feed": "longpoll", "since": end, "include_docs": "true", "timeout": "300"}
    answer = await client.get(f"/{DATABASE}/_changes", params=parameters)
    assert answer.json()["results"] == []
    assert disagreements(world) == before


async def test_each_document_raises_the_alarm_once_and_counts_always(changing: World) -> None:
    world = changing
    secret = await tampered(world, a_document_in_his_channel)
    client = await world.client(NAME)
    with patch.object(second_look, "log") as log:
        for _ in range(3):
            for docid in secret[:2]:
                assert (await client.get(f"/{DATABASE}/{docid}")).status_code == 404
    alarms = [call.kwargs["id"] for call in log.error.call_args_list]
    assert list(dict.fromkeys(alarms)) == secret[:2]
    processes = len(answering(world.product))
    assert max(Counter(alarms).values()) <= processes, "each process once"
    assert all(call.kwargs["user"] == NAME for call in log.error.call_args_list)
    assert (await client.get("/metrics")).status_code == 403
    figures = [await (await world.admin()).get("/metrics") for _ in range(processes)]
    line = re.compile(r"^kompass_access_disagreements_total (\d+)$", re.MULTILINE)
    assert sum(int(count) for one in figures for count in line.findall(one.text)) == 6


async def test_figures_are_for_administrators(changing: World) -> None:
    assert (await (await changing.client("")).get("/metrics")).status_code == 401
    admin = await changing.admin()
    assert (await admin.post("/metrics")).status_code == 405
    answer = await admin.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "\nkompass_access_disagreements_total 0\n" in answer.text
    assert "couchdb_httpd_requests_total" in answer.text
