"""Actions, history, comments and attachments of documents over REST."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from kompass.api import changes
from kompass.server import Product
from kompass.sync.personal import PersonalDatabase
from replication.store.values import Document
from tests.api.test_documents import (
    ANNA,
    BERT,
    GF,
    client,
    company,
    create,
    product,
    settings,
    store,
)
from tests.lexware.world import edit

__all__ = ["client", "company", "product", "settings", "store"]

ANY = {"if-match": "*"}


async def opportunity(client: httpx.AsyncClient) -> str:
    """Its address; it is Anna's."""
    made = await create(client)
    sent: dict[str, Any] = {"customerId": made["_id"], "title": "Laden", "owner": "anna", "status": "new"}
    sent |= {"probability": 10, "estimatedValue": 1000, "expectedCloseDate": "2027-01-31"}
    answer = await client.post("/api/v1/opportunities", json=sent, auth=ANNA)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def next_steps(client: httpx.AsyncClient, url: str, auth: tuple[str, str]) -> list[str]:
    answer = await client.get(f"{url}/actions", auth=auth)
    return [one["name"] for one in answer.json()["actions"]]


async def test_actions_follow_the_graph(client: httpx.AsyncClient) -> None:
    url = await opportunity(client)
    assert await next_steps(client, url, GF) == ["qualify", "lose"]
    assert (await client.post(f"{url}/actions/qualify", auth=GF)).status_code == 428
    answer = await client.post(f"{url}/actions/qualify", auth=ANNA, headers=ANY)
    assert (answer.status_code, answer.json()["status"]) == (200, "qualifying")
    late = {"if-match": '"1-0000"'}
    assert (await client.post(f"{url}/actions/propose", auth=ANNA, headers=late)).status_code == 412
    lacking = await client.post(f"{url}/actions/lose", auth=GF, headers=ANY)
    assert (lacking.status_code, lacking.json()["errors"][0]["pointer"]) == (422, "/lostReason")
    lost = {"lostReason": "Zu teuer", "status": "won"}
    answer = await client.post(f"{url}/actions/lose", json=lost, auth=GF, headers=ANY)
    assert (answer.json()["status"], answer.json()["lostReason"]) == ("lost", "Zu teuer")
    assert await next_steps(client, url, GF) == []
    refused = await client.post(f"{url}/actions/qualify", auth=GF, headers=ANY)
    assert (refused.status_code, refused.json()["rule"]) == (409, "status.edge")
    unknown = await client.post(f"{url}/actions/sing", auth=GF, headers=ANY)
    assert unknown.status_code == 404
    assert "qualify" in unknown.json()["detail"]
    assert (await client.post(f"{url}/actions/qualify", auth=BERT, headers=ANY)).status_code == 404


async def test_the_history_is_the_chains(client: httpx.AsyncClient) -> None:
    url = await opportunity(client)
    await client.post(f"{url}/actions/qualify", auth=ANNA, headers=ANY)
    answer = await client.get(f"{url}/history", auth=GF)
    entries = answer.json()["entries"]
    assert [one["who"] for one in entries][:2] == ["anna", "anna"]
    assert len((await client.get(f"{url}/history", params={"limit": 1}, auth=GF)).json()["entries"]) == 1
    assert (await client.get(f"{url}/history", params={"document": "x"}, auth=GF)).status_code == 400
    assert (await client.get(f"{url}/history", auth=BERT)).status_code == 404


async def test_comments_belong_to_their_document(client: httpx.AsyncClient) -> None:
    url, other = await opportunity(client), await opportunity(client)
    answer = await client.post(f"{url}/comments", json={"content": "Rückruf?"}, auth=ANNA)
    assert answer.status_code == 201, answer.text
    assert answer.json()["parentId"] == url.rpartition("/")[2]
    await client.post(f"{other}/comments", json={"content": "Anderes"}, auth=GF)
    listed = (await client.get(f"{url}/comments", auth=GF)).json()["items"]
    assert [one["content"] for one in listed] == ["Rückruf?"]
    strange = {"parentId": other.rpartition("/")[2]}
    listed = (await client.get(f"{url}/comments", params=strange, auth=GF)).json()["items"]
    assert [one["content"] for one in listed] == ["Rückruf?"]
    assert (await client.get(f"{url}/comments", auth=BERT)).status_code == 404


async def test_attachments_come_and_go(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}/attachments"
    image = {"content-type": "image/png"}
    assert (await client.put(f"{url}/a/b.png", content=b"abc", auth=GF, headers=image)).status_code == 428
    put = await client.put(f"{url}/a/b.png", content=b"abc", auth=GF, headers={**image, **ANY})
    assert put.status_code == 201, put.text
    listed = await client.get(url, auth=GF)
    (one,) = listed.json()["attachments"]
    assert (one["name"], one["contentType"], one["length"]) == ("a/b.png", "image/png", 3)
    read = await client.get(f"{url}/a/b.png", auth=ANNA)
    assert (read.content, read.headers["content-type"]) == (b"abc", "image/png")
    assert read.headers["x-content-type-options"] == "nosniff"
    assert (await client.get(f"{url}/a/b.png", auth=BERT)).status_code == 404
    late = {"if-match": f'"{made["_rev"]}"'}
    assert (await client.delete(f"{url}/a/b.png", auth=GF, headers=late)).status_code == 412
    gone = await client.delete(f"{url}/a/b.png", auth=GF, headers={"if-match": listed.headers["etag"]})
    assert gone.status_code == 200, gone.text
    assert (await client.get(url, auth=GF)).json() == {"attachments": []}
    missing = await client.get(f"{url}/a/b.png", auth=GF)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


async def test_a_step_is_not_taken_twice(client: httpx.AsyncClient) -> None:
    url = await opportunity(client)
    assert (await client.post(f"{url}/actions/qualify", auth=ANNA, headers=ANY)).status_code == 200
    again = await client.post(f"{url}/actions/qualify", auth=GF, headers=ANY)
    assert (again.status_code, again.json()["rule"]) == (409, "status.edge")
    assert (await client.get(url, auth=GF)).json()["modifiedBy"] == "anna"


async def test_the_head_of_an_attachment(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}/attachments/plan.bin"
    sent = {"content-type": "application/octet-stream", **ANY}
    assert (await client.put(url, content=b"abc", auth=GF, headers=sent)).status_code == 201
    for headers in ({}, ANY):
        answer = await client.head(url, auth=GF, headers=headers)
        assert (answer.status_code, answer.headers["content-length"]) == (200, "3")


async def test_whoever_attaches_something_has_changed_the_document(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    put = await client.put(f"{url}/attachments/plan.txt", content=b"abc", auth=ANNA, headers=ANY)
    assert put.status_code == 201, put.text
    there = await client.get(url, auth=GF)
    assert (there.json()["modifiedBy"], there.json()["version"]) == ("anna", 2)
    assert there.headers["etag"] == put.headers["etag"] == f'"{put.json()["rev"]}"'
    gone = await client.delete(f"{url}/attachments/plan.txt", auth=GF, headers=ANY)
    assert gone.status_code == 200, gone.text
    assert (await client.get(url, auth=GF)).json()["modifiedBy"] == "chef"


async def test_whoever_may_not_change_a_document_attaches_nothing(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}/attachments/plan.txt"
    refused = await client.put(
        url, content=b"abc", auth=("buch", "pw"), headers={**ANY, "accept-language": "de"}
    )
    assert (refused.status_code, refused.json()["rule"]) == (403, "customer.update")
    assert (await client.get(url, auth=GF)).status_code == 404


async def test_whichever_is_there_gets_an_attachment_though_others_change_it_too(
    client: httpx.AsyncClient,
) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    names = [f"{number}.txt" for number in range(4)]
    puts = [client.put(f"{url}/attachments/{one}", content=b"abc", auth=GF, headers=ANY) for one in names]
    answers = await asyncio.gather(*puts, client.patch(url, json={"phone": "02251 1"}, auth=GF, headers=ANY))
    assert [one.status_code for one in answers] == [201, 201, 201, 201, 200]
    there = (await client.get(url, auth=GF)).json()
    assert (sorted(there["_attachments"]), there["phone"]) == (names, "02251 1")
    gone = [client.delete(f"{url}/attachments/{one}", auth=GF, headers=ANY) for one in names]
    assert [one.status_code for one in await asyncio.gather(*gone)] == [200] * 4


async def test_an_attachment_is_there_though_its_document_is_changed_just_then(
    client: httpx.AsyncClient, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the document's being read and its attachments' being looked for."""
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    await client.put(f"{url}/attachments/a.txt", content=b"abc", auth=GF, headers=ANY)
    await edit(product, made["_id"], phone="02251 2")  # what he has written himself he may read later, too
    read, changes_left = PersonalDatabase.winner, [False]

    async def changed_then(view: PersonalDatabase, docid: str) -> Document | None:
        found = await read(view, docid)
        if changes_left.pop():
            await edit(product, docid, phone=f"02251 {len(changes_left)}")
        return found

    monkeypatch.setattr(PersonalDatabase, "winner", changed_then)

    async def racing(method: str, address: str, changes: list[bool], **named: Any) -> httpx.Response:
        changes_left[:] = [*[False] * 20, *reversed(changes)]
        return await client.request(method, address, auth=GF, **named)

    listed = await racing("GET", f"{url}/attachments", [True])
    assert [one["name"] for one in listed.json()["attachments"]] == ["a.txt"]
    for changes_then in ([True], [False, True], [False, True, True]):
        shown = await racing("GET", f"{url}/attachments/a.txt", changes_then)
        assert (shown.status_code, shown.content) == (200, b"abc")
    gone = await racing("DELETE", f"{url}/attachments/a.txt", [True], headers=ANY)
    assert gone.status_code == 200, gone.text


async def test_nobody_is_told_a_revision_that_he_has_not_seen(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told only that would write over what another one has written in that moment."""
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    pushed = changes.pushed

    async def overtaken(*given: Any) -> str:
        rev = await pushed(*given)
        monkeypatch.setattr(changes, "pushed", pushed)
        assert (await client.patch(url, json={"phone": "02251 1"}, auth=ANNA, headers=ANY)).status_code == 200
        return rev

    monkeypatch.setattr(changes, "pushed", overtaken)
    put = await client.put(f"{url}/attachments/a.txt", content=b"abc", auth=GF, headers=ANY)
    late = await client.patch(
        url, json={"phone": "02251 2"}, auth=GF, headers={"if-match": put.headers["etag"]}
    )
    assert (put.status_code, late.status_code) == (201, 412)

    monkeypatch.setattr(changes, "pushed", overtaken)
    update = {"op": "update", "resource": "customers", "id": made["_id"], "rev": "*"}
    asked = {"operations": [{**update, "document": {"industry": "Obst"}}]}
    (done,) = (await client.post("/api/v1/bulk", json=asked, auth=GF)).json()["results"]
    late = await client.patch(
        url, json={"phone": "02251 2"}, auth=GF, headers={"if-match": f'"{done["rev"]}"'}
    )
    assert (done["status"], late.status_code) == (200, 412)
