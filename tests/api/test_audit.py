"""The chain of writes over REST: everybody gets his own, and values of what he may read."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from kompass.server import Product
from tests.identity.conftest import ADMIN, client, product, put_user, store

__all__ = ["client", "product", "store"]

CUSTOMER = "customer-11111111-1111-4111-8111-111111111111"
OTHER = "customer-22222222-2222-4222-8222-222222222222"
NAMES = {"anna": "ADM", "bert": "ADM", "chef": "GF", "buch": "BUCH", "plan": "PLAN", "it": "ADMIN"}


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture(autouse=True)
async def company(client: httpx.AsyncClient) -> None:
    for name, role in NAMES.items():
        await put_user(client, name, role)
        assert (await client.get("/kompass", auth=(name, "pw"))).status_code == 200
    for docid, owner in ((CUSTOMER, "anna"), (OTHER, "bert")):
        customer = {"type": "customer", "companyName": f"Hof {owner}", "owner": owner}
        answer = await client.put(f"/kompass/{docid}", json=customer, auth=ADMIN)
        assert answer.status_code == 201, answer.text


async def edit(client: httpx.AsyncClient, name: str, docid: str = CUSTOMER, **members: Any) -> httpx.Response:
    found = (await client.get(f"/kompass/{docid}", auth=ADMIN)).json()
    return await client.put(
        f"/kompass/{docid}", json={**found, "modifiedBy": name, **members}, auth=(name, "pw")
    )


async def asked(client: httpx.AsyncClient, name: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/audit", params=query, auth=(name, "pw"))
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


async def test_an_edit_is_told_with_its_values_and_who_made_it(client: httpx.AsyncClient) -> None:
    assert (await edit(client, "anna", phone="0921 1")).status_code == 201
    assert (await edit(client, "anna", phone="0921 2")).status_code == 201
    entry = (await asked(client, "anna", document=CUSTOMER))[0]
    assert (entry["who"], entry["roles"], entry["door"], entry["action"]) == (
        "anna",
        ["ADM"],
        "edit",
        "UPDATE",
    )
    assert entry["address"] == "127.0.0.1"
    assert entry["changes"] == [{"field": "phone", "old": "0921 1", "new": "0921 2"}]
    assert (entry["values"], entry["decision"], len(entry["hash"])) == ("shown", "accepted", 64)
    assert entry["rule"] == "customer.update.ADM.own"


async def test_everybody_sees_his_own_and_accounting_and_management_all(client: httpx.AsyncClient) -> None:
    assert (await edit(client, "anna", phone="1")).status_code == 201
    assert (await edit(client, "bert", OTHER, phone="2")).status_code == 201
    assert {entry["who"] for entry in await asked(client, "anna")} == {"anna"}
    assert await asked(client, "anna", user="bert") == []
    assert await asked(client, "anna", document=OTHER) == []
    assert await asked(client, "plan") == []
    for name in ("chef", "buch"):
        everybody = {entry["who"] for entry in await asked(client, name, limit=200)}
        assert {"anna", "bert", "root"} <= everybody
    assert [entry["document"] for entry in await asked(client, "chef", user="bert")] == [OTHER]


async def test_an_administrator_gets_outlines_and_no_business(client: httpx.AsyncClient) -> None:
    assert (await edit(client, "anna", phone="0921 77")).status_code == 201
    entries = await asked(client, "it", limit=200)
    (entry,) = [one for one in entries if one["who"] == "anna" and one["type"] == "customer"]
    assert entry["values"] == "hidden"
    assert "document" not in entry
    assert entry["changes"] == []
    told = json.dumps(entries)
    assert "0921 77" not in told
    assert CUSTOMER not in told
    assert await asked(client, "it", document=CUSTOMER) == []


async def test_what_was_refused_is_told_to_who_sent_it_and_to_management(client: httpx.AsyncClient) -> None:
    answer = await edit(client, "anna", owner="bert")
    assert answer.status_code == 403
    entry = (await asked(client, "anna"))[0]
    assert (entry["action"], entry["decision"], entry["rule"]) == ("REJECTED", "refused", "escape.owner")
    assert "owner" in entry["reason"]
    assert {"field": "owner", "old": None, "new": "bert"} in entry["changes"]
    (seen,) = [one for one in await asked(client, "chef", user="anna") if one["action"] == "REJECTED"]
    assert seen["hash"] == entry["hash"]
    gone = await client.put(f"/kompass/{OTHER}", json={"type": "customer"}, auth=("anna", "pw"))
    assert gone.status_code >= 400
    hidden = (await asked(client, "anna"))[0]
    assert "before" not in hidden, "whether there is such a document isn't his to know"


async def test_pages_follow_one_another_and_times_narrow_them(client: httpx.AsyncClient) -> None:
    for number in range(5):
        assert (await edit(client, "anna", phone=str(number))).status_code == 201
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "document": CUSTOMER}
    while True:
        answer = (await client.get("/api/v1/audit", params=query, auth=("anna", "pw"))).json()
        changes = [one for entry in answer["entries"] for one in entry["changes"]]
        seen += [one["new"] for one in changes if one["field"] == "phone"]
        if "next" not in answer:
            break
        query["before"] = answer["next"]
    assert seen == ["4", "3", "2", "1", "0"]
    assert await asked(client, "chef", **{"from": "2100-01-01"}) == []
    assert len(await asked(client, "chef", to="2100-01-01")) > 5


@pytest.mark.parametrize(
    "query", ["from=yesterday", "limit=0", "limit=201", "before=-1", "colour=red", "to=99999-01-01"]
)
async def test_a_wrong_question_is_answered_with_what_is_allowed(
    client: httpx.AsyncClient, query: str
) -> None:
    answer = await client.get(f"/api/v1/audit?{query}", auth=("chef", "pw"))
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["detail"]


async def test_the_table_has_its_columns_and_no_formulas(client: httpx.AsyncClient) -> None:
    assert (await edit(client, "anna", notes="=HYPERLINK(1)", phone="+49 921 1")).status_code == 201
    answer = await client.get("/api/v1/audit/export", params={"user": "anna"}, auth=("chef", "pw"))
    assert answer.headers["content-type"].startswith("text/csv")
    name = answer.headers["content-disposition"].partition('filename="audit_export_')[2].partition('"')[0]
    told = datetime.strptime(name, "%Y-%m-%d_%H%M.csv").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=2)
    text = answer.content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))
    assert list(rows[0]) == [
        "Timestamp", "User", "Role", "Action", "Field", "Old Value", "New Value", "Reason", "IP", "Hash"
    ]  # fmt: skip
    found = {row["Field"]: row for row in rows}
    assert found[f"{CUSTOMER} notes"]["New Value"] == "'=HYPERLINK(1)"
    assert found[f"{CUSTOMER} phone"]["New Value"] == "'+49 921 1"
    assert found[f"{CUSTOMER} phone"]["IP"] == "127.0.0.1"
    assert "\r\n" in answer.text
    own = await client.get("/api/v1/audit/export", auth=("bert", "pw"))
    assert "anna" not in own.text


async def test_the_server_verifies_its_chain_and_shows_its_keys(
    client: httpx.AsyncClient, product: Product
) -> None:
    answer = await client.get("/api/v1/audit/verification", auth=("buch", "pw"))
    assert answer.status_code == 200
    assert answer.json()["ok"], answer.text
    assert (await client.get("/api/v1/audit/verification", auth=("anna", "pw"))).status_code == 403
    assert (await client.get("/api/v1/audit/verification")).status_code == 401
    database = product.sync.gate().database
    await database.transact(product.sync.audit.checkpoint)
    keys = (await client.get("/api/v1/audit/keys", auth=("anna", "pw"))).json()["keys"]
    assert [key["id"] for key in keys] == [product.sync.keys.public[0].id]
    await database.transact(
        lambda writing: writing.connection.execute("UPDATE audit_entries SET user = 'x' WHERE num = 3").get
    )
    told = (await client.get("/api/v1/audit/verification", auth=("it", "pw"))).json()
    assert not told["ok"]
    assert told["findings"][0]["entry"] == 3


async def test_what_a_planner_manages_is_his_to_follow(client: httpx.AsyncClient) -> None:
    project = "project-11111111-1111-4111-8111-111111111111"
    body = {"type": "project", "name": "Umbau", "projectManagerId": "plan", "customerId": CUSTOMER}
    assert (await client.put(f"/kompass/{project}", json=body, auth=ADMIN)).status_code == 201
    entries = {entry["document"]: entry for entry in await asked(client, "plan")}
    assert (entries[project]["who"], entries[project]["values"]) == ("root", "shown")
    assert {str(entry["type"]).partition("_")[0] for entry in entries.values()} == {"project"}


async def test_what_was_private_stays_its_authors(client: httpx.AsyncClient) -> None:
    docid = "activity-33333333-3333-4333-8333-333333333333"
    body = {
        "type": "activity",
        "activityType": "note",
        "customerId": CUSTOMER,
        "subject": "Gespräch",
        "date": "2026-03-01T08:00:00.000Z",
        "description": "nur für mich",
        "private": True,
        "createdBy": "anna",
        "modifiedBy": "anna",
    }
    answer = await client.put(f"/kompass/{docid}", json=body, auth=("anna", "pw"))
    assert answer.status_code == 201, answer.text
    opened = {**body, "_rev": answer.json()["rev"], "description": "für alle", "private": False}
    answer = await client.put(f"/kompass/{docid}", json=opened, auth=("anna", "pw"))
    assert answer.status_code == 201, answer.text
    later = {**opened, "_rev": answer.json()["rev"], "description": "für alle, zweimal"}
    answer = await client.put(f"/kompass/{docid}", json=later, auth=("anna", "pw"))
    assert answer.status_code == 201, answer.text
    assert "nur für mich" in json.dumps(await asked(client, "anna", document=docid), ensure_ascii=False)
    for compacted in (False, True):
        if compacted:
            answer = await client.post("/kompass/_compact", json={}, auth=ADMIN)
            assert answer.status_code == 202, answer.text
        for name in ("chef", "buch"):
            assert (await client.get(f"/kompass/{docid}", auth=(name, "pw"))).status_code == 200
            entries = await asked(client, name, document=docid)
            assert "nur für mich" not in json.dumps(entries, ensure_ascii=False)
            assert [one["values"] for one in entries][1:] == ["hidden", "hidden"]
            table = await client.get("/api/v1/audit/export", auth=(name, "pw"))
            assert "nur für mich" not in table.text
            # What was written when everybody could read it is everybody's.
            assert entries[0]["changes"] == [
                {"field": "description", "old": "für alle", "new": "für alle, zweimal"}
            ]


async def test_a_field_in_the_wrong_document_is_not_told_to_who_may_not_read_it(
    client: httpx.AsyncClient,
) -> None:
    docid = "project-44444444-4444-4444-8444-444444444444"
    project = {"type": "project", "customerId": CUSTOMER, "status": "planning", "projectManagerId": "plan"}
    answer = await client.put(f"/kompass/{docid}", json=project, auth=ADMIN)
    assert answer.status_code == 201, answer.text
    answer = await edit(client, "chef", docid, competitorInfo="Rivale")
    assert (answer.status_code, "competitorInfo" in answer.text) == (403, True)
    for name, told in (("buch", []), ("plan", []), ("chef", ["Rivale"])):
        (entry,) = [one for one in await asked(client, name, document=docid) if one["action"] == "REJECTED"]
        assert [one["new"] for one in entry["changes"] if one["field"] == "competitorInfo"] == told
        assert entry["values"] == ("shown" if told else "hidden")


async def test_what_the_server_tells_others_of_ones_write_is_not_ones_own(client: httpx.AsyncClient) -> None:
    docid = "opportunity-55555555-5555-4555-8555-555555555555"
    body = {
        "type": "opportunity",
        "customerId": CUSTOMER,
        "owner": "anna",
        "title": "Regale",
        "status": "new",
    }
    answer = await client.put(f"/kompass/{docid}", json=body | {"estimatedValue": 90_000}, auth=ADMIN)
    assert answer.status_code == 201, answer.text
    above = (await client.get(f"/kompass/{docid}", auth=ADMIN)).json()
    for name, value in (("chef", 99_000), ("anna", 120_000)):
        rev = f"{int(above['_rev'].split('-')[0]) + 1}-{value:032x}"
        start, parent = above["_rev"].split("-")
        history = {"start": int(start) + 1, "ids": [rev.split("-")[1], parent]}
        sent = {**above, "_rev": rev, "_revisions": history, "estimatedValue": value, "modifiedBy": name}
        pushed = {"new_edits": False, "docs": [sent]}
        answer = await client.post("/kompass/_bulk_docs", json=pushed, auth=(name, "pw"))
        assert (answer.status_code, answer.json()) == (201, [])
    (told,) = (await client.get("/api/v1/conflicts", auth=("anna", "pw"))).json()["conflicts"]
    assert told["escalated"]
    assert "99000" in json.dumps(told)
    taken = await client.get(f"/kompass/{CUSTOMER}", auth=ADMIN)
    answer = await client.put(f"/kompass/{CUSTOMER}", json={**taken.json(), "owner": "bert"}, auth=ADMIN)
    assert answer.status_code == 201, answer.text
    now = (await client.get(f"/kompass/{docid}", auth=ADMIN)).json()
    answer = await client.put(f"/kompass/{docid}", json={**now, "owner": "bert"}, auth=ADMIN)
    assert answer.status_code == 201, answer.text
    entries = await asked(client, "anna", limit=200)
    (notice,) = [one for one in entries if one["origin"] == "notice"]
    ids = [row["id"] for row in (await client.get("/kompass/_all_docs", auth=("anna", "pw"))).json()["rows"]]
    assert notice["document"] in ids, "management's isn't hers"
    assert "99000" not in json.dumps(entries)


async def test_what_the_server_replicates_by_itself_comes_by_a_door_of_its_own(
    client: httpx.AsyncClient,
) -> None:
    docid = "supplier-11111111-1111-4111-8111-111111111111"
    assert (await client.put("/other", auth=ADMIN)).status_code == 201
    assert (await client.put(f"/other/{docid}", json={"type": "supplier"}, auth=ADMIN)).status_code == 201
    job = {"source": "other", "target": "kompass"}
    answer = await client.post("/_replicate", json=job, auth=ADMIN)
    assert answer.json()["ok"], answer.text
    entry = (await asked(client, "chef", document=docid))[-1]
    assert (entry["who"], entry["door"], entry["action"]) == ("replicator", "replicator", "CREATE")
    assert (await edit(client, "anna", phone="9")).status_code == 201
    assert (await asked(client, "anna"))[0]["door"] == "edit", "and the next request is somebody's again"
