"""Single documents that bring their revision with them."""

from __future__ import annotations

import httpx

from tests.replication.http.batches import A, B, C
from tests.replication.http.documents import put
from tests.replication.http.refusals import refused

NEEDS_REVISION = "When `new_edits: false`, the document needs `_rev` or `_revisions` specified"


async def test_put_new_edits_false_stores_the_revision_given(client: httpx.AsyncClient, db: str) -> None:
    body = {"_rev": f"2-{B}", "_revisions": {"start": 2, "ids": [B, A]}, "v": 1}
    response = await client.put(f"{db}/a?new_edits=false", json=body)
    assert (response.status_code, response.json()["rev"]) == (201, f"2-{B}")
    assert response.headers["etag"] == f'"2-{B}"'
    found = (await client.get(f"{db}/a?revs=true")).json()
    assert found["_revisions"] == {"start": 2, "ids": [B, A]}


async def test_put_new_edits_false_makes_a_conflict_and_no_error(client: httpx.AsyncClient, db: str) -> None:
    for digest in (A, B):
        response = await client.put(f"{db}/a?new_edits=false", json={"_rev": f"1-{digest}"})
        assert response.status_code == 201
    found = (await client.get(f"{db}/a?conflicts=true")).json()
    assert (found["_rev"], found["_conflicts"]) == (f"1-{B}", [f"1-{A}"])


async def test_put_new_edits_false_of_a_known_revision_changes_nothing(
    client: httpx.AsyncClient, db: str
) -> None:
    body = {"_revisions": {"start": 2, "ids": [B, A]}, "v": 1}
    await client.put(f"{db}/a?new_edits=false", json=body)
    before = (await client.get(db)).json()["update_seq"]
    for again in (body, {"_rev": f"1-{A}"}):
        assert (await client.put(f"{db}/a?new_edits=false", json=again)).status_code == 201
    assert (await client.get(db)).json()["update_seq"] == before


async def test_put_new_edits_false_takes_the_rev_of_the_query(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a?new_edits=false&rev=3-{C}", json={})
    assert response.json()["rev"] == f"3-{C}"


async def test_put_new_edits_false_needs_a_revision(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a?new_edits=false", json={})
    assert refused(response) == (400, "bad_request", NEEDS_REVISION)


async def test_put_new_edits_false_of_a_deletion_answers_200(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(f"{db}/a?new_edits=false", json={"_rev": f"1-{A}", "_deleted": True})
    assert response.status_code == 200


async def test_put_with_revisions_as_an_edit_continues_the_first_of_them(
    client: httpx.AsyncClient, db: str
) -> None:
    rev = await put(client, f"{db}/a")
    revisions = {"start": 1, "ids": [rev.partition("-")[2]]}
    body = {"_rev": f"9-{A}", "_revisions": revisions}
    assert (await client.put(f"{db}/a", json=body)).json()["rev"].startswith("2-")
