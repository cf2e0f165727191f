"""Documents as resources: lists, reading and writing over REST, as the caller may."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import httpx
import pytest

from kompass.api import changes as changing
from kompass.business import BusinessRules
from kompass.domain.examples.parts import docid
from kompass.domain.registry import MODELS
from kompass.resources import lists
from kompass.resources.catalogue import RESOURCES
from kompass.server import Product
from kompass.sync.index import entries
from kompass.sync.opening import DATABASE
from kompass.sync.personal import PersonalDatabase
from kompass.sync.serving import Sync
from replication.store.interface import DocumentMapper
from replication.store.sqlite import SqliteDatabase
from tests.identity.conftest import ADMIN, client, product, put_user, store

__all__ = ["client", "product", "store"]

GF, ANNA, BERT, BUCH = (("chef", "pw"), ("anna", "pw"), ("bert", "pw"), ("buch", "pw"))
ADDRESS = {"street": "Hauptstraße", "zipCode": "53894", "city": "Rode", "country": "Deutschland"}


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"sync": partial(Sync, business=BusinessRules())}


@pytest.fixture(autouse=True)
async def company(client: httpx.AsyncClient) -> None:
    for name, role in (("anna", "ADM"), ("bert", "ADM"), ("chef", "GF"), ("buch", "BUCH"), ("kalk", "KALK")):
        await put_user(client, name, role)
        assert (await client.get("/kompass", auth=(name, "pw"))).status_code == 200


def customer(name: str, **members: Any) -> dict[str, Any]:
    return {"companyName": name, "billingAddress": ADDRESS, "owner": "anna", **members}


async def create(client: httpx.AsyncClient, name: str = "Hof", **members: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/customers", json=customer(name, **members), auth=GF)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def names(client: httpx.AsyncClient, auth: tuple[str, str] = GF, **params: Any) -> list[str]:
    """Of all pages."""
    found: list[str] = []
    while True:
        answer = await client.get("/api/v1/customers", params=params, auth=auth)
        assert answer.status_code == 200, answer.text
        found += [one["companyName"] for one in answer.json()["items"]]
        if answer.json()["next"] is None:
            assert "link" not in answer.headers
            return found
        assert f"cursor={answer.json()['next']}" in answer.headers["link"]
        params["cursor"] = answer.json()["next"]


# -- writing ---------------------------------------------------------------------------------------


async def test_a_new_document_gets_what_nobody_has_to_send(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/customers", json=customer("Hofladen"), auth=ANNA)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["createdBy"], made["modifiedBy"], made["version"], made["type"]) == (
        "anna",
        "anna",
        1,
        "customer",
    )
    assert answer.headers["location"] == f"/api/v1/customers/{made['_id']}"
    assert answer.headers["etag"] == f'"{made["_rev"]}"'
    read = await client.get(answer.headers["location"], auth=ANNA)
    assert read.json() == made
    assert read.headers["etag"] == answer.headers["etag"]
    same = await client.get(f"/kompass/{made['_id']}", auth=ANNA)
    assert same.json()["companyName"] == "Hofladen"
    unchanged = {"if-none-match": answer.headers["etag"]}
    assert (await client.get(answer.headers["location"], auth=ANNA, headers=unchanged)).status_code == 304


async def test_a_change_needs_to_have_seen_what_it_changes(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    assert (await client.patch(url, json={"phone": "02251 1"}, auth=GF)).status_code == 428
    seen = {"if-match": f'"{made["_rev"]}"'}
    changed = await client.patch(url, json={"phone": "0225112"}, auth=GF, headers=seen)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["phone"], changed.json()["version"]) == ("0225112", 2)
    assert changed.json()["companyName"] == "Hof"
    late = await client.patch(url, json={"phone": "0225113"}, auth=GF, headers=seen)
    assert late.status_code == 412
    assert late.headers["content-type"] == "application/problem+json"
    taken = await client.patch(url, json={"phone": None}, auth=GF, headers={"if-match": "*"})
    assert "phone" not in taken.json()
    whole = {**taken.json(), "industry": "Obst"}
    put = await client.put(url, json=whole, auth=GF, headers={"if-match": taken.headers["etag"]})
    assert put.status_code == 200, put.text
    assert (put.json()["industry"], put.json()["createdAt"]) == ("Obst", made["createdAt"])
    assert (await client.delete(url, auth=GF, headers={"if-match": taken.headers["etag"]})).status_code == 412
    assert (await client.delete(url, auth=GF, headers={"if-match": put.headers["etag"]})).status_code == 204
    assert (await client.get(url, auth=GF)).status_code == 404
    again = await client.post("/api/v1/customers", json=customer("Hof", _id=made["_id"]), auth=GF)
    assert (again.status_code, "was deleted" in again.json()["detail"]) == (409, True)


async def test_attachments_survive_a_change(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/kompass/{made['_id']}/plan.txt"
    image = {"content-type": "text/plain"}
    put = await client.put(url, params={"rev": made["_rev"]}, content=b"abc", headers=image, auth=GF)
    assert put.status_code == 201, put.text
    url = f"/api/v1/customers/{made['_id']}"
    stored = (await client.get(url, auth=GF)).json()
    changed = await client.put(url, json=stored | {"phone": "0225112"}, auth=GF, headers={"if-match": "*"})
    assert changed.status_code == 200, changed.text
    assert (await client.get(f"/kompass/{made['_id']}/plan.txt", auth=GF)).content == b"abc"


@pytest.mark.parametrize(
    ("sent", "status", "pointer"),
    [
        (customer("Hof", phone=7), 422, "/phone"),
        (customer("Hof", billingAddress={**ADDRESS, "zipCode": "1"}), 422, "/billingAddress/zipCode"),
        (customer("Hof", nothing=1), 422, "/nothing"),
        (customer("Hof", type="offer"), 422, "/type"),
        (customer("Hof", _deleted=True), 422, "/_deleted"),
        (customer("Hof", creditLimit=1), 422, "/creditLimit"),
        ({}, 422, "/companyName"),
    ],
)
async def test_what_is_wrong_is_named_with_its_place(
    client: httpx.AsyncClient, sent: dict[str, Any], status: int, pointer: str
) -> None:
    answer = await client.post("/api/v1/customers", json=sent, auth=GF)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert pointer in [one["pointer"] for one in answer.json()["errors"]], answer.text
    german = {"accept-language": "de-DE,de;q=0.9,en;q=0.8"}
    other = await client.post("/api/v1/customers", json=sent, auth=GF, headers=german)
    assert other.status_code == status
    assert other.json()["detail"] != answer.json()["detail"] or "rule" not in answer.json()


async def test_whoever_may_not_write_is_refused_as_a_device_would_be(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    for auth in (BUCH, ("kalk", "pw")):
        refused = await client.patch(url, json={"phone": "0225112"}, auth=auth, headers={"if-match": "*"})
        assert refused.status_code == 403, refused.text
        assert refused.json()["rule"]
    assert (await client.post("/api/v1/customer-cards", json={}, auth=GF)).status_code == 405
    assert (await client.post("/api/v1/customers", json=customer("Hof"))).status_code == 401
    assert (await client.get("/api/v1/customers")).status_code == 401


async def test_what_doesnt_go_with_what_is_stored_is_a_conflict(client: httpx.AsyncClient) -> None:
    made = await create(client)
    sent = {"customerId": made["_id"], "title": "Laden", "owner": "anna", "status": "new"}
    sent |= {"probability": 10, "estimatedValue": 1000, "expectedCloseDate": "2027-01-31"}
    answer = await client.post("/api/v1/opportunities", json=sent, auth=GF)
    assert answer.status_code == 201, answer.text
    url = answer.headers["location"]
    lost = {"status": "lost", "lostReason": "Zu teuer"}
    assert (await client.patch(url, json=lost, auth=GF, headers={"if-match": "*"})).status_code == 200
    wrong = await client.patch(url, json={"status": "new"}, auth=GF, headers={"if-match": "*"})
    assert (wrong.status_code, wrong.json()["rule"]) == (409, "status.edge")
    absent = {**sent, "customerId": docid("customer", 99)}
    answer = await client.post("/api/v1/opportunities", json=absent, auth=GF)
    assert (answer.status_code, answer.json()["rule"]) == (422, "reference.absent")
    again = customer("Hof", _id=made["_id"])
    assert (await client.post("/api/v1/customers", json=again, auth=GF)).status_code == 409


async def test_a_companion_has_the_id_that_belongs_to_its_base(client: httpx.AsyncClient) -> None:
    made = await create(client)
    sent = {"customerId": made["_id"], "creditLimit": 5000}
    answer = await client.post("/api/v1/customer-finances", json=sent, auth=BUCH)
    assert answer.status_code == 201, answer.text
    assert answer.json()["_id"] == made["_id"].replace("customer-", "customer-finance-")
    assert (await client.post("/api/v1/customer-finances", json=sent, auth=BUCH)).status_code == 409
    lacking = await client.post("/api/v1/customer-finances", json={"creditLimit": 1}, auth=BUCH)
    assert lacking.json()["errors"][0]["pointer"] == "/customerId"


# -- lists -----------------------------------------------------------------------------------------


async def test_pages_of_a_sorted_list_are_the_whole_list(client: httpx.AsyncClient) -> None:
    expected = ["Äpfel", "Birnen", "Öl", "Quitten", "Zucker"]
    berts = ["Birnen", "Öl", "Zucker"]
    for name in random.Random(0).sample(expected, 5):
        await create(client, name, owner="bert" if name in berts else "anna")
    assert await names(client, sort="companyName", limit=2) == expected
    assert await names(client, sort="-companyName", limit=1) == expected[::-1]
    assert sorted(await names(client, sort="phone", limit=2)) == sorted(expected), (
        "who has none is listed, too"
    )
    for limit in (1, 2, 50):
        assert await names(client, BERT, sort="companyName", limit=limit) == berts
        assert await names(client, BERT, sort="-companyName", limit=limit) == berts[::-1]


async def test_filters(client: httpx.AsyncClient) -> None:
    await create(client, "Apfelhof", rating="A", dataRetentionUntil="2030-01-01")
    await create(client, "Birnenhof", rating="B", billingAddress={**ADDRESS, "city": "Köln"}, owner="bert")
    await create(client, "Kirschhof", dataRetentionUntil="2031-06-30")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"rating": "A"}, ["Apfelhof"]),
        ({"rating.ne": "A"}, ["Birnenhof", "Kirschhof"]),
        ({"rating.in": "A,B"}, ["Apfelhof", "Birnenhof"]),
        ({"rating.exists": "false"}, ["Kirschhof"]),
        ({"billingAddress.city": "Köln"}, ["Birnenhof"]),
        ({"companyName.contains": "HOF"}, ["Apfelhof", "Birnenhof", "Kirschhof"]),
        ({"companyName.starts": "kirsch"}, ["Kirschhof"]),
        ({"dataRetentionUntil.gte": "2030-06-01"}, ["Kirschhof"]),
        ({"owner": "anna", "rating.exists": "true"}, ["Apfelhof"]),
        ({"version": "1"}, ["Apfelhof", "Birnenhof", "Kirschhof"]),
        ({"dataRetentionUntil": "2031-06-30"}, ["Kirschhof"]),
        ({"createdAt.gt": "2090-01-01"}, []),
        ({"companyName": "Apfelhof"}, ["Apfelhof"]),
    ]
    for params, expected in cases:
        for limit in (1, 50):
            assert await names(client, sort="companyName", limit=limit, **params) == expected, params
            assert await names(client, sort="-companyName", limit=limit, **params) == expected[::-1], params


async def test_nobody_lists_what_he_may_not_read(client: httpx.AsyncClient) -> None:
    await create(client, "Apfelhof", owner="anna")
    await create(client, "Birnenhof", owner="bert")
    assert await names(client, ANNA) == ["Apfelhof"]
    assert await names(client, BERT, sort="companyName", owner="anna") == []
    finance = {"customerId": (await create(client, "Kirschhof"))["_id"], "creditLimit": 5}
    assert (await client.post("/api/v1/customer-finances", json=finance, auth=GF)).status_code == 201
    answer = await client.get("/api/v1/customer-finances", auth=BERT)
    assert answer.json() == {"items": [], "next": None}
    assert len((await client.get("/api/v1/customer-finances", auth=BUCH)).json()["items"]) == 1


@pytest.mark.slow
async def test_what_is_his_is_found_behind_much_that_is_not(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "FIRST", 1)
    for name, owner, rating in (
        *((f"Apfelhof {number}", "bert", "B") for number in range(12)),
        *(("Quittenhof", "anna", "A"), ("Rübenhof", "anna", "B"), ("Zwetschgenhof", "anna", "A")),
    ):
        await create(client, name, owner=owner, rating=rating)
    cases: list[tuple[Any, dict[str, Any], list[str]]] = [
        (ANNA, {}, ["Quittenhof", "Rübenhof", "Zwetschgenhof"]),
        (ANNA, {"rating": "A"}, ["Quittenhof", "Zwetschgenhof"]),
        (GF, {"rating": "A"}, ["Quittenhof", "Zwetschgenhof"]),
        (GF, {"owner": "anna", "rating": "B"}, ["Rübenhof"]),
        (BERT, {"rating": "A"}, []),
    ]
    for who, params, expected in cases:
        assert await names(client, who, sort="companyName", limit=1, **params) == expected, params


async def test_a_question_has_only_a_few_indexes_made(client: httpx.AsyncClient, product: Product) -> None:
    made = await create(client, "Apfelhof", rating="A")
    fields = ("owner", "rating", "createdBy", "modifiedBy", "customerNumber", "phone")
    wanted = {name: made[name] for name in fields if name in made}
    assert len(wanted) > lists.MOST_INDEXES
    assert await names(client, sort="companyName", **wanted) == ["Apfelhof"]
    assert await names(client, sort="companyName", **{**wanted, "createdBy": "bert"}) == []
    database = product.documents.server.store.get(DATABASE)
    assert isinstance(database, SqliteDatabase)
    with database.reading() as reading:
        count = "SELECT count(*) FROM indexes WHERE signature LIKE 'resources/%'"
        assert reading.connection.execute(count).get == 1 + lists.MOST_INDEXES


async def test_a_list_shows_what_was_just_written(client: httpx.AsyncClient) -> None:
    made = await create(client, "Apfelhof")
    assert await names(client, sort="companyName") == ["Apfelhof"]
    url = f"/api/v1/customers/{made['_id']}"
    changed = {"companyName": "Zwetschgenhof"}
    await client.patch(url, json=changed, auth=GF, headers={"if-match": "*"})
    await create(client, "Birnenhof")
    assert await names(client, sort="companyName") == ["Birnenhof", "Zwetschgenhof"]
    await client.delete(url, auth=GF, headers={"if-match": "*"})
    assert await names(client, sort="companyName") == ["Birnenhof"]


async def test_some_fields_only(client: httpx.AsyncClient) -> None:
    made = await create(client, "Apfelhof")
    answer = await client.get("/api/v1/customers", params={"fields": "companyName,owner"}, auth=GF)
    (one,) = answer.json()["items"]
    assert one.keys() == {"_id", "_rev", "companyName", "owner"}
    one = (await client.get(f"/api/v1/customers/{made['_id']}", params={"fields": "owner"}, auth=GF)).json()
    assert one.keys() == {"_id", "_rev", "owner"}


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "notes"},
        {"sort": "nothing"},
        {"sort": ["companyName", "owner"]},
        {"limit": "0"},
        {"limit": "201"},
        {"cursor": "x"},
        {"cursor": "é"},
        {"cursor": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"fields": "nothing"},
        {"nothing": "1"},
        {"owner.like": "x"},
        {"rating": "Z"},
        {"version": "1e99999"},
        {"version": "NaN"},
        {"dataRetentionUntil": "31.12.2026"},
        {"anonymized.gt": "true"},
        {"anonymized": "yes"},
        {"version.contains": "1"},
        {"owner": "x" * 501},
        {"owner": "\x00"},
    ],
)
async def test_what_cant_be_asked_is_said(client: httpx.AsyncClient, params: dict[str, Any]) -> None:
    answer = await client.get("/api/v1/customers", params=params, auth=GF)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_cursor_fits_one_list(client: httpx.AsyncClient) -> None:
    for name in ("Apfelhof", "Birnenhof"):
        await create(client, name)
    first = await client.get("/api/v1/customers", params={"limit": 1, "sort": "companyName"}, auth=GF)
    cursor = first.json()["next"]
    for params in ({"sort": "-companyName"}, {"sort": "companyName", "owner": "anna"}, {}):
        answer = await client.get("/api/v1/customers", params={**params, "cursor": cursor}, auth=GF)
        assert answer.status_code == 400
    other = await client.get("/api/v1/leads", params={"sort": "companyName", "cursor": cursor}, auth=GF)
    assert other.status_code == 400


async def test_every_resource_is_listed(client: httpx.AsyncClient) -> None:
    for name in RESOURCES:
        answer = await client.get(f"/api/v1/{name}", auth=GF)
        assert answer.status_code == 200, (name, answer.text)
    assert (await client.get("/api/v1/customers/_design%2Fx", auth=ADMIN)).status_code == 404


async def test_a_list_whose_index_is_dropped_meanwhile_is_whole(
    client: httpx.AsyncClient, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(client, "Apfelhof")
    assert await names(client, sort="companyName") == ["Apfelhof"]
    database = product.documents.server.store.get(DATABASE)
    drops = [1]
    refresh = PersonalDatabase.refresh_index

    async def dropped(self: PersonalDatabase, signature: str, mapper: DocumentMapper) -> None:
        await refresh(self, signature, mapper)
        if drops:
            drops.pop()
            await database.drop_indexes([])

    monkeypatch.setattr(PersonalDatabase, "refresh_index", dropped)
    assert await names(client, sort="companyName") == ["Apfelhof"]
    assert drops == []


async def test_a_list_has_documents_of_a_type_that_got_the_field_later(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that was made before knows nothing of them."""

    def forget() -> None:
        for known in (lists._index, lists._types, lists._keys):
            known.cache_clear()

    await create(client, "Apfelhof")
    monkeypatch.setattr(
        lists, "MODELS", {name: model for name, model in MODELS.items() if name != "customer"}
    )
    forget()
    assert await names(client, sort="companyName") == []
    monkeypatch.undo()
    forget()
    assert await names(client, sort="companyName") == ["Apfelhof"]


async def test_whichever_is_there_is_changed_though_others_change_it_too(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changing, "_ATTEMPTS", 2)  # each has his turn: more is for other doors and processes
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    changes = [
        {"phone": "02251 1"},
        {"industry": "Obst"},
        {"website": "https://hof.example"},
        {"rating": "A"},
    ]
    answers = await asyncio.gather(
        *(client.patch(url, json=one, auth=GF, headers={"if-match": "*"}) for one in changes * 3)
    )
    assert [one.status_code for one in answers] == [200] * 12
    there = (await client.get(url, auth=GF)).json()
    assert {name: there[name] for one in changes for name in one} == {
        k: v for one in changes for k, v in one.items()
    }


async def test_what_is_no_revision_is_not_taken_for_an_old_one(client: httpx.AsyncClient) -> None:
    made = await create(client)
    url = f"/api/v1/customers/{made['_id']}"
    rev = made["_rev"]
    for tags, status in (
        (rev, 400),
        (f'"{rev}', 400),
        (f'W/"{rev}"', 400),
        ('"1-0"', 412),
        ('"1-0", "2-0"', 412),
        (", ,", 428),
        ('"1,0"', 412),
        (f'"1-0", "{rev}"', 200),
    ):
        answer = await client.patch(url, json={"phone": "02251 1"}, auth=GF, headers={"if-match": tags})
        assert answer.status_code == status, (tags, answer.text)
