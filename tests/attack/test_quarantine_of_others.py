"""What was refused is seen by its author, and by those of the office who may read all of it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from uuid import uuid4

import pytest

from kompass.sync.opening import DATABASE
from tests.attack.world import PEOPLE, World

pytestmark = pytest.mark.slow

API = "/api/v1/quarantine"
SECRET = "MARK-99999-"


async def refused(world: World, name: str, doc: dict[str, Any]) -> str:
    """Pushes what is refused; the id of its entry."""
    client = await world.client(name)
    rev = f"1-{uuid4().hex}"
    sent = {"createdBy": name, "modifiedBy": name, **doc, "_rev": rev}
    sent["_revisions"] = {"start": 1, "ids": [rev[2:]]}
    answer = await client.post(f"/{DATABASE}/_bulk_docs", json={"docs": [sent], "new_edits": False})
    assert [row["error"] for row in answer.json()] == ["forbidden"], answer.text
    listed = (await client.get(API, params={"own": "true"})).json()["entries"]
    return next(str(entry["id"]) for entry in listed if entry["rev"] == rev)


async def seen_by(world: World, entry: str) -> set[str]:
    """Who is shown an entry or anything of it; whoever isn't gets what he gets for one that isn't there."""
    found = set()
    for name in PEOPLE:
        client = await world.client(name)
        for path in (f"{API}/{entry}", f"{API}/{entry}/attachments/secret.txt"):
            answer = await client.get(path)
            if answer.status_code == 200:
                found.add(name)
                continue
            absent = await client.get(path.replace(entry, "0" * 32))
            # Whoever sees the entry is told that it has no such attachment.
            if name not in found:
                assert (answer.status_code, answer.content) == (absent.status_code, absent.content)
        if entry in (await client.get(API, params={"limit": "200"})).text:
            found.add(name)
    return found


def attached() -> dict[str, Any]:
    data = b64encode(SECRET.encode()).decode()
    return {"secret.txt": {"content_type": "text/plain", "data": data, "revpos": 1}}


async def test_a_plain_document_is_seen_by_author_and_office(changing: World) -> None:
    doc = {"_id": f"supplier-{uuid4()}", "type": "supplier", "notes": SECRET, "_attachments": attached()}
    assert await seen_by(changing, await refused(changing, "adm1", doc)) == {"adm1", "innen1", "gf1"}


@pytest.mark.parametrize(
    ("field", "readers"),
    [
        ("creditLimit", {"adm1", "gf1"}),
        ("accountBalance", {"adm1", "gf1"}),
        ("lastVisitDate", {"adm1", "innen1", "gf1"}),
    ],
)
async def test_a_field_of_a_companion_is_shown_to_its_readers_only(
    changing: World, field: str, readers: set[str]
) -> None:
    """Refused because the field is in the wrong document, the text still says what few may read."""
    doc = {"_id": f"customer-{uuid4()}", "type": "customer", "owner": "adm1", field: SECRET}
    assert await seen_by(changing, await refused(changing, "adm1", doc)) == readers


async def test_a_private_activity_is_seen_by_its_author_only(changing: World) -> None:
    customer = changing.secret_of("adm1", "customer")
    doc = {"_id": f"activity-{uuid4()}", "type": "activity", "customerId": customer, "private": True}
    doc["changeLog"] = "x"
    assert await seen_by(changing, await refused(changing, "gf1", doc)) == {"gf1"}


async def test_another_version_of_a_private_activity_is_not_shown_because_it_says_it_is_none(
    changing: World,
) -> None:
    own = next(
        docid
        for docid, doc in changing.documents.items()
        if doc["type"] == "activity" and doc.get("private") and doc["createdBy"] == "adm1"
    )
    body = {**changing.documents[own], "private": False, "createdBy": "gf1", "notes": SECRET}
    body = {name: value for name, value in body.items() if name[:1] != "_"}
    assert await seen_by(changing, await refused(changing, "adm1", {"_id": own, **body})) == {"adm1"}


async def test_a_document_without_a_type_is_its_authors(changing: World) -> None:
    doc = {"_id": f"nonsense-{uuid4()}", "type": "nonsense", "notes": SECRET}
    assert await seen_by(changing, await refused(changing, "adm1", doc)) == {"adm1"}


async def test_notices_of_refused_work_are_their_authors(changing: World) -> None:
    doc = {"_id": f"supplier-{uuid4()}", "type": "supplier", "notes": SECRET, "_attachments": attached()}
    await refused(changing, "adm1", doc)
    for name in PEOPLE:
        client = await changing.client(name)
        for path in ("_changes", "_all_docs"):
            answer = await client.get(f"/{DATABASE}/{path}", params={"include_docs": "true"})
            assert (SECRET in answer.text) == (name == "adm1"), (name, path)


async def test_roles_taken_from_the_record_end_what_the_office_is_shown(changing: World) -> None:
    doc = {"_id": f"supplier-{uuid4()}", "type": "supplier", "notes": SECRET}
    entry = await refused(changing, "adm1", doc)
    admin = await changing.admin()
    path = f"/{DATABASE}/user-innen1"
    record = (await admin.get(path)).json()
    (await admin.put(path, json={**record, "roles": []})).raise_for_status()
    assert await seen_by(changing, entry) == {"adm1", "gf1"}
