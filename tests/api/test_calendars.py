"""Subscriptions over REST: secret addresses, what is in them now, and what ends them."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from icalendar import Calendar

from kompass.calendars import gathering
from kompass.calendars import store as stored
from kompass.server import Product
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
from tests.api.test_printing import made
from tests.identity.conftest import ADMIN
from tests.product import answering

__all__ = ["client", "company", "product", "settings", "store"]

pytestmark = pytest.mark.slow


async def subscribed(client: httpx.AsyncClient, auth: Any = ANNA, **sent: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/calendars", json=sent, auth=auth)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def shown(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    answer = await client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    calendar = Calendar.from_ical(answer.content)
    assert isinstance(calendar, Calendar)
    return {str(one["SUMMARY"]): one for one in calendar.walk("VEVENT")}


async def busy(client: httpx.AsyncClient) -> dict[str, str]:
    """A tour of Anna's with a meeting, a task of hers, and the same of Bert's."""
    customer = await create(client, "Hof Süß")
    day = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    deliver = {"street": "Hofweg", "zipCode": "53894", "city": "Rode", "country": "Deutschland"}
    location = await made(
        client,
        "locations",
        customerId=customer["_id"],
        locationName="Hof",
        locationType="branch",
        isActive=True,
        deliveryAddress=deliver,
    )
    span = {"startDate": day, "endDate": day, "status": "planned"}
    tour = await made(client, "tours", ANNA, title="Eifel", ownerId="anna", **span)
    await made(client, "tours", BERT, title="Rhein", ownerId="bert", **span)
    await made(
        client,
        "meetings",
        ANNA,
        tourId=tour["_id"],
        customerId=customer["_id"],
        locationId=location["_id"],
        scheduledAt=f"{day}T09:00:00.000Z",
        duration=60,
        meetingType="closing",
    )
    await made(
        client, "user-tasks", ANNA, title="Angebot nachfassen", assignedTo="anna", status="open", dueDate=day
    )
    await made(
        client, "user-tasks", BERT, title="Geheimes von Bert", assignedTo="bert", status="open", dueDate=day
    )
    return {"customer": customer["_id"], "tour": tour["_id"]}


async def test_a_calendar_has_what_is_ones_own_and_no_more(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await busy(client)
    one = await subscribed(client, name="Anna; unterwegs")
    assert re.fullmatch(r"http://[^/]+/api/v1/calendars/[0-9a-f]{64}\.ics", one["url"])
    found = await shown(client, one["url"])
    assert {*found} == {"Tour: Eifel", "Abschluss: Hof Süß", "Fällig: Angebot nachfassen"}
    assert str(found["Abschluss: Hof Süß"]["LOCATION"]) == "Hofweg, 53894 Rode"
    assert found["Tour: Eifel"]["UID"] == f"{ids['tour']}@kompass"
    tasks = await subscribed(client, kinds=["tasks"])
    far = (datetime.now(UTC) + timedelta(days=500)).date().isoformat()
    await made(
        client, "user-tasks", ANNA, title="In ferner Zeit", assignedTo="anna", status="open", dueDate=far
    )
    monkeypatch.setattr(gathering, "MOST", 1)  # what isn't shown doesn't count
    assert {*await shown(client, tasks["url"])} == {"Fällig: Angebot nachfassen"}
    monkeypatch.undo()
    # A customer who is another's now is read no more: the meeting stays Anna's, without his name.
    moved = {"owner": "bert"}
    url = f"/api/v1/customers/{ids['customer']}"
    changed = await client.patch(url, json=moved, auth=GF, headers={"if-match": "*"})
    assert changed.status_code == 200, changed.text
    assert "Abschluss" in await shown(client, one["url"])


async def test_an_unchanged_calendar_is_not_sent_again(client: httpx.AsyncClient) -> None:
    ids = await busy(client)
    url = (await subscribed(client))["url"]
    first = await client.get(url)
    seen = {"if-none-match": f'W/{first.headers["etag"]}, "x"'}
    again = await client.get(url, headers=seen)
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get(f"{url}?nocache=1")).status_code == 200, (
        "people add it, to have it fetched again"
    )
    tour = f"/api/v1/tours/{ids['tour']}"
    before = (await shown(client, url))["Tour: Eifel"]["SEQUENCE"]
    await client.patch(tour, json={"title": "Hohe Eifel"}, auth=ANNA, headers={"if-match": "*"})
    assert (await client.get(url, headers=seen)).status_code == 200
    assert (await shown(client, url))["Tour: Hohe Eifel"]["SEQUENCE"] > before


async def test_addresses_are_secret_few_and_can_be_revoked(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/calendars", json={})).status_code == 401
    first = await subscribed(client)
    assert (first["lastUsedAt"], first["kinds"]) == (None, ["meetings", "milestones", "tasks", "tours"])
    await shown(client, first["url"])
    listed = (await client.get("/api/v1/calendars", auth=ANNA)).json()["calendars"]
    assert [one["id"] for one in listed] == [first["id"]]
    assert listed[0]["lastUsedAt"] is not None
    assert first["url"].rpartition("/")[2][:64] not in str(listed)
    assert (await client.get("/api/v1/calendars", auth=BERT)).json() == {"calendars": []}
    for _ in range(stored.MOST - 1):
        await subscribed(client)
    assert (await client.post("/api/v1/calendars", json={}, auth=ANNA)).status_code == 409
    assert (await client.delete(f"/api/v1/calendars/{first['id']}", auth=BERT)).status_code == 404
    assert (await client.delete(f"/api/v1/calendars/{first['id']}", auth=ANNA)).status_code == 204
    assert (await client.get(first["url"])).status_code == 404
    assert (await client.get(f"/api/v1/calendars/{'0' * 64}.ics")).status_code == 404
    unfit: list[dict[str, Any]] = [{"name": "x\ny"}, {"kinds": []}, {"kinds": ["salaries"]}, {"user": "bert"}]
    for wrong in unfit:
        assert (await client.post("/api/v1/calendars", json=wrong, auth=ANNA)).status_code == 422, wrong


async def test_a_calendar_is_fetched_so_often_in_an_hour(
    client: httpx.AsyncClient, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_clock(seconds: float) -> None:
        for one in answering(product):
            one.calendars.clock = lambda: seconds

    monkeypatch.setattr(stored, "AN_HOUR", 2)
    one, other = await subscribed(client), await subscribed(client)
    clock = datetime.now(UTC).replace(minute=30).timestamp()
    set_clock(clock)
    for _ in range(2):
        assert (await client.get(one["url"])).status_code == 200
    late = await client.get(one["url"])
    assert (late.status_code, 0 < int(late.headers["retry-after"]) <= 3600) == (429, True)
    assert (await client.get(other["url"])).status_code == 200
    set_clock(clock + 3600)
    assert (await client.get(one["url"])).status_code == 200


async def test_who_may_read_nothing_has_no_calendar(client: httpx.AsyncClient, product: Product) -> None:
    await busy(client)
    url = (await subscribed(client))["url"]
    off = {"active": False, "reason": "Ausgeschieden"}
    assert (await client.patch("/api/v1/users/anna", json=off, auth=GF)).status_code == 200
    assert (await client.get(url)).status_code == 410
    on = {"active": True, "reason": "Wieder da"}
    assert (await client.patch("/api/v1/users/anna", json=on, auth=GF)).status_code == 200
    assert await shown(client, url)
    user = (await client.get("/_users/org.couchdb.user:anna", auth=ADMIN)).json()
    gone = await client.delete(f"/_users/{user['_id']}", params={"rev": user["_rev"]}, auth=ADMIN)
    assert gone.status_code == 200, gone.text
    assert (await client.get(url)).status_code == 410
    assert (await client.get(url)).status_code == 404
    for one in answering(product):
        assert one.calendars.people() == []


async def test_an_erasure_takes_the_calendars_along_and_a_copy_has_them(
    client: httpx.AsyncClient, product: Product
) -> None:
    calendar = (await subscribed(client, name="Annas"))["url"]
    await subscribed(client, BERT)
    off = {"active": False, "reason": "Ausgeschieden"}
    assert (await client.patch("/api/v1/users/anna", json=off, auth=GF)).status_code == 200
    cards = await client.get("/api/v1/user-cards", params={"userName": "anna"}, auth=GF)
    (card,) = cards.json()["items"]
    copy = await client.get(f"/api/v1/privacy/subjects/{card['userId']}/export", auth=GF)
    with zipfile.ZipFile(io.BytesIO(copy.content)) as archive:
        account = json.loads(archive.read("account.json"))
    assert [one["name"] for one in account["calendars"]] == ["Annas"], "and not Bert's"
    wish = {"reason": "Antrag nach Art. 17 DSGVO"}
    url = f"/api/v1/privacy/subjects/{card['userId']}/erasure"
    done = await client.post(url, json=wish, auth=GF)
    assert done.status_code == 200, done.text
    for one in answering(product):
        assert one.calendars.people() == ["bert"]
    assert (await client.get(calendar)).status_code == 404
