"""Many writes in one request: each is judged as if it had come alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest

from kompass.business import BusinessRules
from kompass.requests import Requests
from kompass.server import Product
from kompass.sync.personal import PersonalDatabase
from kompass.sync.serving import Sync
from replication.protocol import errors
from tests.api.test_documents import ANNA, BERT, GF, company, create, customer, names
from tests.identity.conftest import client, product, store

__all__ = ["client", "company", "product", "store"]

pytestmark = pytest.mark.slow


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"sync": partial(Sync, business=BusinessRules())}


async def bulk(
    client: httpx.AsyncClient, *operations: Any, auth: tuple[str, str] = GF, key: str | None = None
) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": f'"{key}"'}
    return await client.post("/api/v1/bulk", json={"operations": operations}, headers=headers, auth=auth)


def new(name: str) -> dict[str, Any]:
    return {"op": "create", "resource": "customers", "document": customer(name)}


def statuses(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["status"] for one in answer.json()["results"]]


async def test_each_operation_has_its_own_outcome_in_their_order(client: httpx.AsyncClient) -> None:
    made = await create(client)
    lead = {"companyName": "Hof", "status": "NEW", "owner": "anna"}
    lead = (await client.post("/api/v1/leads", json=lead, auth=GF)).json()
    at = {"resource": "customers", "id": made["_id"]}
    answer = await bulk(
        client,
        new("Laden"),
        new(""),
        {"op": "update", **at, "rev": made["_rev"], "document": {"phone": "02251 1"}},
        {"op": "update", **at, "rev": made["_rev"], "document": {"phone": "02251 2"}},
        {"op": "update", **at, "document": {"phone": "02251 3"}},
        {"op": "action", "resource": "leads", "id": lead["_id"], "rev": lead["_rev"], "action": "qualify"},
        {"op": "action", "resource": "leads", "id": lead["_id"], "rev": "*", "action": "fly"},
        {"op": "replace", **at, "rev": "*", "document": customer("Hof", industry="Obst")},
        {"op": "delete", **at, "rev": "*"},
        {"op": "delete", **at, "rev": "*"},
        {"op": "create", "resource": "nothing", "document": {}},
    )
    assert statuses(answer) == [201, 422, 200, 412, 428, 200, 404, 200, 204, 404, 404]
    results = answer.json()["results"]
    assert results[1]["problem"]["rule"] == "model.length"
    assert results[2]["id"] == made["_id"]
    assert results[2]["rev"] != made["_rev"]
    assert results[3]["problem"]["status"] == 412
    there = await client.get(f"/api/v1/customers/{results[0]['id']}", auth=GF)
    assert there.json()["_rev"] == results[0]["rev"]
    assert (await client.get(f"/api/v1/leads/{lead['_id']}", auth=GF)).json()["status"] == "QUALIFIED"


async def test_the_gate_is_the_same(client: httpx.AsyncClient) -> None:
    made = await create(client)
    at = {"resource": "customers", "id": made["_id"], "rev": "*"}
    alone = await client.delete(f"/api/v1/customers/{made['_id']}", headers={"if-match": "*"}, auth=BERT)
    answer = await bulk(client, {"op": "delete", **at}, auth=BERT)
    assert statuses(answer) == [alone.status_code]
    assert answer.json()["results"][0]["problem"] == alone.json()
    assert (await client.post("/api/v1/bulk", json={"operations": [new("Hof")]})).status_code == 401


async def test_the_same_again_does_only_what_was_not_done(client: httpx.AsyncClient) -> None:
    made = await create(client)
    at = {"resource": "contacts", "id": "contact-none", "rev": "*"}
    update = {"op": "update", "resource": "customers", "id": made["_id"], "rev": made["_rev"]}
    asked = [new("Hof A"), {"op": "delete", **at}, new("Hof B"), {**update, "document": {"phone": "02251 1"}}]
    first = await bulk(client, *asked, key="k")
    assert statuses(first) == [201, 404, 201, 200]
    again = await bulk(client, *asked, key="k")
    assert again.json() == first.json()
    assert sorted(await names(client)) == ["Hof", "Hof A", "Hof B"]
    assert (await bulk(client, new("Hof A"), key="k")).status_code == 422
    done = [new("Hof C"), new("Hof D")]
    assert (await bulk(client, *done, key="l")).json() == (await bulk(client, *done, key="l")).json()


async def test_after_a_crash_nothing_is_made_twice(
    client: httpx.AsyncClient, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> None:
        raise SystemError

    with monkeypatch.context() as patched:
        patched.setattr(Requests, "finish", dies)
        patched.setattr(Requests, "release", dies)
        with pytest.raises(SystemError):
            await bulk(client, new("Hof A"), new("Hof B"), key="m")
    waiting = await bulk(client, new("Hof A"), new("Hof B"), key="m")
    assert waiting.status_code == 409
    monkeypatch.setattr("kompass.requests.LEASE_SECONDS", -1000)  # it is long over
    assert statuses(await bulk(client, new("Hof A"), new("Hof B"), key="m")) == [201, 201]
    assert sorted(await names(client)) == ["Hof A", "Hof B"]


async def test_what_the_server_cannot_do_now_ends_it(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, count = PersonalDatabase.write, [0]

    async def failing(self: PersonalDatabase, *given: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] == 2:
            raise errors.unavailable("Not now.")
        return await write(self, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(PersonalDatabase, "write", failing)
        answer = await bulk(client, new("Hof A"), new("Hof B"), new("Hof C"), key="n")
    assert statuses(answer) == [201, 503, 503]
    assert count[0] == 2
    assert statuses(await bulk(client, new("Hof A"), new("Hof B"), new("Hof C"), key="n")) == [201, 201, 201]
    assert sorted(await names(client)) == ["Hof A", "Hof B", "Hof C"]


OPERATIONS = b'{"operations": [%b]}'
DELETE = b'{"op":"delete","resource":"leads","id":"a"}'


HOSTILE: list[tuple[bytes, int, str | None]] = [
    (b"", 400, None),
    (b"[]", 400, None),
    (b"{", 400, None),
    (b"[" * 5000, 400, None),
    (b'{"operations": []}', 422, "/operations"),
    (b'{"operations": [], "atomic": true}', 422, "/operations"),
    (b'{"operations": [1]}', 422, "/operations/0"),
    (b'{"operations": [{"op": "purge"}]}', 422, "/operations/0"),
    (b'{"operations": [{"op": "delete", "resource": "leads", "id": ""}]}', 422, "/operations/0/id"),
    (b'{"operations": [{"op": "delete", "resource": "leads", "id": 5}]}', 422, "/operations/0/id"),
    (
        OPERATIONS % b'{"op": "create", "resource": "leads", "document": []}',
        422,
        "/operations/0/document",
    ),
    (OPERATIONS % b",".join([DELETE] * 101), 422, "/operations"),
    (b'{"operations": "' + b"x" * (9 * 1024 * 1024) + b'"}', 413, None),
]


async def test_hostile_bodies(client: httpx.AsyncClient) -> None:
    for body, status, pointer in HOSTILE:
        headers = {"content-type": "application/json"}
        answer = await client.post("/api/v1/bulk", content=body, headers=headers, auth=ANNA)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        if pointer is not None:
            assert pointer in [one["pointer"] for one in answer.json()["errors"]]


async def test_documents_of_the_server_and_odd_ids_are_refused(client: httpx.AsyncClient) -> None:
    card = {"resource": "customer-cards", "id": "customer-card-1", "rev": "*"}
    design = {"resource": "customers", "id": "_design/x", "rev": "*"}
    answer = await bulk(
        client,
        {"op": "delete", **card},
        {"op": "delete", **design},
        {"op": "update", **design, "document": {}},
    )
    assert statuses(answer) == [403, 404, 404]
