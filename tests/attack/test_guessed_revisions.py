"""A device makes a revision's id from its text: nobody may find out whether the one he guesses is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from kompass.sync.opening import DATABASE
from replication.protocol.revisions import Rev
from replication.store.sqlite import Reading
from replication.store.values import Missing
from tests.attack.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG = "c0ffee" * 5 + "00"
FRESH = "abad1dea" * 4


async def test_asking_for_a_revision_does_not_tell_that_it_is_there(world: World) -> None:
    client = await world.client("adm1")
    secret = world.secret_of("adm1", "customer_finance")
    asked = [world.documents[secret]["_rev"], f"1-{WRONG}"]
    answer = await client.post(f"/{DATABASE}/_revs_diff", json={secret: asked})
    assert answer.json() == {secret: {"missing": asked}}
    answer = await client.post(f"/{DATABASE}/_missing_revs", json={secret: asked})
    assert answer.json() == {"missing_revs": {secret: asked}}


async def test_nor_how_long_the_answer_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is stored isn't even looked up: that took a fifth longer where it was."""
    looked_up: set[str] = set()
    missing_revisions = Reading.missing_revisions

    def noting(reading: Reading, asked: Mapping[str, Sequence[Rev]]) -> dict[str, Missing]:
        looked_up.update(asked)
        return missing_revisions(reading, asked)

    monkeypatch.setattr(Reading, "missing_revisions", noting)
    client = await world.client("adm1")
    secret = world.secret_of("adm1", "customer_finance")
    own = world.readable_by("adm1", "contact")
    assert own is not None
    asked = {secret: [world.documents[secret]["_rev"]], own: [f"1-{WRONG}"]}
    answer = await client.post(f"/{DATABASE}/_revs_diff", json=asked)
    assert answer.json()[secret] == {"missing": asked[secret]}
    assert looked_up == {own}


async def push(world: World, name: str, doc: dict[str, Any]) -> list[dict[str, Any]]:
    client = await world.client(name)
    answer = await client.post(f"/{DATABASE}/_bulk_docs", json={"docs": [doc], "new_edits": False})
    assert answer.status_code == 201, answer.text
    return [{key: row[key] for key in ("error", "reason")} for row in answer.json()]


@pytest.mark.parametrize("deleted", [False, True])
async def test_pushing_a_child_of_a_guess_does_not_tell_that_it_is_there(world: World, deleted: bool) -> None:
    secret = world.secret_of("adm1", "customer_finance")
    right = world.documents[secret]["_rev"].partition("-")[2]
    outcomes = []
    for place, parent in enumerate((right, WRONG)):
        ids = [f"{FRESH[:-1]}{place}", parent]
        doc = {"_id": secret, "_revisions": {"start": 2, "ids": ids}, "_rev": f"2-{ids[0]}"}
        body = {"_deleted": True} if deleted else {"type": "customer_finance"}
        outcomes.append(await push(world, "adm1", {**doc, **body}))
    assert outcomes[0] == outcomes[1]


async def test_pushing_a_guess_does_not_tell_that_it_is_there(world: World) -> None:
    secret = world.secret_of("adm2", "project_competitor")
    right = world.documents[secret]["_rev"].partition("-")[2]
    outcomes = []
    for name in (right, WRONG):
        doc = {"_id": secret, "_revisions": {"start": 1, "ids": [name]}, "_rev": f"1-{name}"}
        outcomes.append(await push(world, "adm2", {**doc, "type": "project_competitor"}))
    assert outcomes[0] == outcomes[1]


async def test_what_was_written_after_a_loss_is_not_confirmed(world: World) -> None:
    """Of a document that he has lost, somebody is told how the revisions end that he may hold."""
    admin, client = await world.admin(), await world.client("adm1")
    path = f"/{DATABASE}/contact-5b0f3a52-95a1-4c0c-8a06-5a1f8d3b8f11"
    docid = path.rpartition("/")[2]
    customers = [world.readable_by("adm1", "customer"), world.secret_of("adm1", "customer")]
    body = {"type": "contact", "customerId": customers[0], "createdBy": "gf1"}
    first = (await admin.put(path, json=body)).json()["rev"]
    assert (await client.get(path)).status_code == 200
    body = {**body, "customerId": customers[1]}
    lost = (await admin.put(path, json={**body, "_rev": first})).json()["rev"]
    later = (await admin.put(path, json={**body, "_rev": lost, "lastName": "Behn"})).json()["rev"]
    assert (await client.get(path)).status_code == 404
    for parameters in ({}, {"latest": "true"}, {"attachments": "true"}):
        asked = {"docs": [{"id": docid, "rev": first}, {"id": docid, "rev": later}]}
        answer = await client.post(f"/{DATABASE}/_bulk_get", json=asked, params=parameters)
        held, guessed = answer.json()["results"]
        assert held["docs"][0]["ok"]["revoked"] is True
        assert guessed == {"id": docid, "docs": []}
    answer = await client.post(f"/{DATABASE}/_revs_diff", json={docid: [first, later]})
    assert answer.json() == {docid: {"missing": [later]}}
    await admin.delete(path, params={"rev": later})
