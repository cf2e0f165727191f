"""What the service that does jobs may ask of the server, and write there; and what ADMIN sees of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from kompass.access.services import MAKES
from kompass.business import BusinessRules
from kompass.domain.examples import docid, smallest
from kompass.jobs.acting import _docid
from kompass.jobs.judging import DOCUMENTS, Job
from kompass.server import Product
from kompass.sync.opening import DATABASE
from kompass.sync.serving import Sync
from tests.identity.conftest import ADMIN, put_user
from tests.product import running_product

SECRET = "j" * 40
DB = f"/{DATABASE}"
API = "/api/v1/jobs"
CUSTOMER = docid("customer", 1)
AT = "2026-03-08T10:00:00.000Z"


class World:
    def __init__(self, product: Product, admin: httpx.AsyncClient, service: httpx.AsyncClient) -> None:
        self.product = product
        self.admin = admin
        self.service = service

    async def write(self, name: str, **members: Any) -> httpx.Response:
        return await self.service.put(f"{API}/service/documents/{name}", json=members)

    async def get(self, docid: str) -> dict[str, Any]:
        answer = await self.admin.get(f"{DB}/{docid}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    data = tmp_path / "data"
    sync = partial(Sync, business=BusinessRules())
    async with running_product(data, ADMIN, sync=sync, jobs_secret=SECRET) as product:
        transport = httpx.ASGITransport(product)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://server", auth=ADMIN) as admin,
            httpx.AsyncClient(
                transport=transport, base_url="http://server", headers={"authorization": f"Bearer {SECRET}"}
            ) as service,
        ):
            for name, role in (("adm1", "ADM"), ("adm2", "ADM"), ("innen1", "INNEN"), ("admin1", "ADMIN")):
                await put_user(admin, name, role)
                await admin.get(DB, auth=(name, "pw"))
            doc = {**smallest("customer"), "companyName": "Hofladen", "owner": "adm1"}
            doc = {key: value for key, value in doc.items() if key[:1] != "_"}
            answer = await admin.put(f"{DB}/{CUSTOMER}", json=doc)
            assert answer.status_code == 201, answer.text
            yield World(product, admin, service)


def notification(**more: Any) -> dict[str, Any]:
    return {
        "type": "notification",
        "recipientId": "adm1",
        "notificationType": "REMINDER",
        "isRead": False,
        "documentId": CUSTOMER,
        "documentType": "customer",
        "createdBy": "system",
        "createdAt": AT,
        "modifiedBy": "system",
        "modifiedAt": AT,
        "version": 1,
        **more,
    }


def task(**more: Any) -> dict[str, Any]:
    return {
        "type": "user_task",
        "title": "Angebot nachfassen",
        "status": "open",
        "dueDate": "2026-12-01",
        "assignedTo": "adm1",
        "relatedCustomerId": CUSTOMER,
        "createdBy": "system",
        "createdAt": AT,
        "modifiedBy": "system",
        "modifiedAt": AT,
        "version": 1,
        **more,
    }


ID = _docid("notification", "job", "adm1")
TASK = _docid("user-task", "job", "adm1")


async def test_a_notification_is_written_once_and_read_by_its_recipient(world: World) -> None:
    assert (await world.write(ID, **notification())).status_code == 201
    assert (await world.write(ID, **notification(title="anders"))).status_code == 200
    stored = await world.get(ID)
    assert stored["_rev"].startswith("1-")
    assert "title" not in stored
    assert (await world.admin.get(f"{DB}/{ID}", auth=("adm1", "pw"))).status_code == 200
    assert (await world.admin.get(f"{DB}/{ID}", auth=("adm2", "pw"))).status_code == 404


async def test_what_somebody_has_deleted_does_not_come_back(world: World) -> None:
    await world.write(ID, **notification())
    rev = (await world.get(ID))["_rev"]
    assert (await world.admin.delete(f"{DB}/{ID}", params={"rev": rev})).status_code == 200
    assert (await world.write(ID, **notification())).status_code == 200
    assert (await world.admin.get(f"{DB}/{ID}")).status_code == 404


async def test_a_task_is_written_and_his_to_whom_it_was_given(world: World) -> None:
    answer = await world.write(TASK, **task())
    assert answer.status_code == 201, answer.text
    stored = (await world.admin.get(f"{DB}/{TASK}", auth=("adm1", "pw"))).json()
    edited = {**stored, "status": "completed", "modifiedBy": "adm1", "version": 2}
    done = await world.admin.put(f"{DB}/{TASK}", json=edited, auth=("adm1", "pw"))
    assert done.status_code == 201, done.text


async def test_what_it_writes_and_may_not_write_is_in_the_chain_by_its_name(world: World) -> None:
    await put_user(world.admin, "gf1", "GF")
    await world.write(ID, **notification())
    other = _docid("notification", "other")
    await world.write(other, **notification(recipientId="adm2"))
    entries = (await world.admin.get("/api/v1/audit", auth=("gf1", "pw"))).json()["entries"]
    found = [(one["decision"], one["door"], one["type"]) for one in entries if one["who"] == "_jobs"]
    assert found == [("refused", "rest", "notification"), ("accepted", "rest", "notification")]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (ID, notification(recipientId="adm2")),
        (ID, notification(recipientId="niemand")),
        (ID, notification(recipientId=["adm1"])),
        (ID, notification(documentId=docid("customer", 99))),
        (ID, notification(documentId={"a": 1})),
        (ID, notification(message="Text eines Dokuments")),
        (ID, notification(isRead=True)),
        (ID, notification(createdBy="gf1")),
        (ID, notification(notificationType="NONSENSE")),
        (ID, notification(legalHold=True)),
        (CUSTOMER, notification()),
        ("notification-1", notification()),
        (docid("customer", 7), {**smallest("customer"), "owner": "adm1"}),
        ("user-gf2", {"type": "user", "userName": "gf2", "roles": ["GF"], "active": True}),
        ("_design/x", {"views": {}}),
        ("_local/x", {"a": 1}),
        (TASK, task(status="completed")),
        (TASK, task(assignedTo="adm2")),
        (TASK, task(relatedCustomerId=docid("customer", 99))),
        (TASK, task(title="x")),
        (TASK, {}),
    ],
)
async def test_what_it_may_not_write(world: World, name: str, body: dict[str, Any]) -> None:
    answer = await world.write(name, **{key: value for key, value in body.items() if key[:1] != "_"})
    assert answer.status_code == 403, answer.text
    if name != CUSTOMER:
        assert (await world.admin.get(f"{DB}/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"{DB}/customer-1", {}),
        ("POST", DB, {}),
        ("DELETE", f"{DB}/{CUSTOMER}", None),
        ("POST", f"{DB}/_bulk_docs", {"docs": []}),
        ("GET", f"{DB}/_changes", None),
        ("GET", f"{DB}/_all_docs", None),
        ("POST", f"{DB}/_bulk_get", {"docs": []}),
        ("POST", f"{DB}/_find", {"selector": {}}),
        ("GET", f"{DB}/_design/x", None),
        ("GET", f"{DB}/_local/x", None),
        ("GET", f"{DB}/{CUSTOMER}/plan.pdf", None),
        ("GET", "/_users/org.couchdb.user:adm1", None),
        ("GET", "/_all_dbs", None),
        ("GET", "/api/v1/jobs/webhooks", None),
        ("PUT", "/api/v1/jobs/webhooks/x", {}),
        ("GET", "/api/v1/jobs", None),
        ("GET", "/api/v1/feed/people", None),
        ("GET", "/api/v1/search", None),
        ("GET", "/api/v1/session", None),
    ],
)
async def test_what_it_may_not_ask(world: World, method: str, path: str, body: Any) -> None:
    assert (await world.service.request(method, path, json=body)).status_code == 403


@pytest.mark.parametrize("who", [("adm1", "pw"), ("admin1", "pw"), ADMIN, None])
async def test_nobody_else_asks_as_the_service(world: World, who: tuple[str, str] | None) -> None:
    for method, path in (
        ("POST", "view"),
        ("GET", "people?role=GF"),
        ("GET", "webhooks/n8n"),
        ("PUT", f"documents/{ID}"),
    ):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(world.product), base_url="http://server", auth=who
        ) as client:
            answer = await client.request(method, f"{API}/service/{path}", json=notification())
        assert answer.status_code == (401 if who is None else 403), answer.text


async def test_it_sees_through_the_eyes_of_people(world: World) -> None:
    async def view(person: str) -> Any:
        answer = await world.service.post(
            f"{API}/service/view", json={"person": person, "ids": [CUSTOMER, "x"]}
        )
        return answer.json() if answer.status_code == 200 else answer.status_code

    seen = await view("adm1")
    assert seen["documents"][CUSTOMER]["companyName"] == "Hofladen"
    assert (seen["active"], seen["email"]) == (True, ""), "nobody gets mail at example.invalid"
    assert (await view("adm2"))["documents"] == {}
    assert await view("niemand") == 404
    assert (await view("admin1"))["documents"] == {}
    assert (await world.service.get(f"{API}/service/people", params={"role": "ADM"})).json() == {
        "people": ["adm1", "adm2"]
    }
    assert (await world.service.get(f"{DB}/{CUSTOMER}")).status_code == 200


async def test_webhooks_are_the_administrators_matter(world: World) -> None:
    given = {
        "url": "https://example.com/x",
        "events": ["offer.sent"],
        "fields": ["status"],
        "person": "innen1",
    }
    path = f"{API}/webhooks/n8n"
    assert (await world.admin.put(path, json=given, auth=("innen1", "pw"))).status_code == 403
    made = await world.admin.put(path, json=given)
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    again = await world.admin.put(path, json=given)
    assert again.status_code == 200
    assert "secret" not in again.json()
    assert secret not in (await world.admin.get(f"{API}/webhooks")).text
    asked = (await world.service.get(f"{API}/service/webhooks/n8n")).json()
    assert asked == {"url": given["url"], "secret": secret, "fields": ["status"], "person": "innen1"}
    assert (await world.admin.put(path, json={**given, "events": ["offer.sold"]})).status_code == 422
    assert (await world.admin.put(path, json={**given, "active": False})).status_code == 200
    assert (await world.service.get(f"{API}/service/webhooks/n8n")).status_code == 404
    assert (await world.admin.get(f"{path}/deliveries")).json() == {"deliveries": []}
    assert (await world.admin.delete(path)).status_code == 204
    assert (await world.admin.get(f"{path}/deliveries")).status_code == 404


async def test_who_reads_no_documents_has_none_sent_to_him(world: World) -> None:
    await put_user(world.admin, "gf1", "GF")
    await world.admin.get(DB, auth=("gf1", "pw"))
    given = {"url": "https://example.com/x", "events": ["customer.updated"], "fields": ["notes"]}
    path = f"{API}/webhooks/n8n"

    async def put(who: str, person: str) -> int:
        body = {**given, "person": person}
        return (await world.admin.put(path, json=body, auth=(who, "pw"))).status_code

    assert await put("admin1", "gf1") == 403
    assert await put("gf1", "innen1") == 403
    assert await put("gf1", "gf1") == 201
    # Nor by turning somebody else's to another place.
    assert await put("admin1", "gf1") == 403
    assert await put("admin1", "admin1") == 200
    view = await world.service.post(f"{API}/service/view", json={"person": "admin1", "ids": [CUSTOMER]})
    assert view.json()["documents"] == {}
    assert (await world.admin.get(f"{API}/webhooks", auth=("gf1", "pw"))).status_code == 200
    assert (await world.admin.get(API, auth=("gf1", "pw"))).status_code == 403
    assert (await world.admin.delete(path, auth=("admin1", "pw"))).status_code == 204


async def test_jobs_are_listed_replayed_dropped_and_followed(world: World) -> None:
    store = world.product.jobs.opened()
    job = Job("job-1", "offer.sent", "notify", DOCUMENTS, "offer-1", "1-a", 5.0)
    with store.writing() as connection:
        store.add(connection, [job], 5.0)
    (listed,) = (await world.admin.get(API, params={"state": "planned"})).json()["jobs"]
    assert (listed["id"], listed["trigger"], listed["doc"]) == ("job-1", "offer.sent", "offer-1")
    assert (await world.admin.get(f"{API}/job-1")).json() == listed
    assert (await world.admin.get(API, params={"state": "nonsense"})).status_code == 400
    assert (await world.admin.delete(f"{API}/job-1")).status_code == 204
    assert (await world.admin.delete(f"{API}/job-1")).status_code == 404
    assert (await world.admin.post(f"{API}/job-1/replay")).status_code == 202
    assert (await world.admin.post(f"{API}/job-2/replay")).status_code == 404
    for auth in (("innen1", "pw"), ("adm1", "pw")):
        assert (await world.admin.get(API, auth=auth)).status_code == 403
    figures = (await world.admin.get("/metrics")).text
    assert 'kompass_jobs{queue="documents",state="planned"} 1' in figures
    assert "kompass_jobs_up 0" in figures
    stream = await world.admin.get(f"{API}/events", params={"after": "0", "seconds": "0"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.text.count("event: job") == 1
    number = int(stream.text.partition("id: ")[2].partition("\n")[0])
    later = await world.admin.get(
        f"{API}/events", params={"seconds": "0"}, headers={"last-event-id": str(number)}
    )
    assert "event: job" not in later.text


@pytest.mark.slow
async def test_who_is_let_in_no_more_follows_no_more(world: World) -> None:
    store = world.product.jobs.opened()

    async def following(name: str) -> str:
        params = {"after": "0", "seconds": "2"}
        return (await world.admin.get(f"{API}/events", params=params, auth=(name, "pw"))).text

    await put_user(world.admin, "admin2", "ADMIN")
    await world.admin.get(DB, auth=("admin2", "pw"))
    streams = [asyncio.create_task(following(name)) for name in ("admin1", "admin2")]
    await asyncio.sleep(0.5)
    record = await world.get("user-admin1")
    assert (await world.admin.put(f"{DB}/user-admin1", json={**record, "active": False})).status_code == 201
    with store.writing() as connection:
        store.add(connection, [Job("job-1", "offer.sent", "notify", DOCUMENTS, "offer-1", "1-a", 5.0)], 5.0)
    assert ["event: job" in text for text in await asyncio.gather(*streams)] == [False, True]


def test_the_table_is_of_documents_that_people_do_not_need_it_for() -> None:
    assert set(MAKES) == {"notification", "user_task"}
