"""The `_users` database over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from replication.accounts.passwords import from_document
from replication.store.interface import Store

Serve = Callable[..., Awaitable[httpx.AsyncClient]]

ADMIN = ("root", "relax")
ANNA = ("anna", "secret")
ANNA_PATH = "/_users/org.couchdb.user:anna"
NOT_MEMBER = "You are not allowed to access this db."


@pytest.fixture
async def client(serve: Serve) -> httpx.AsyncClient:
    """A server with one administrator and the users `anna` and `berta`."""
    client = await serve(admins=dict([ADMIN]))
    for name in ("anna", "berta"):
        user = {"name": name, "password": "secret", "roles": ["sales"], "type": "user"}
        assert (
            await client.put(f"/_users/org.couchdb.user:{name}", json=user, auth=ADMIN)
        ).status_code == 201
    return client


async def anna(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get(ANNA_PATH, auth=ADMIN)
    document: dict[str, Any] = response.json()
    return document


def answer(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


async def test_the_database_is_there_from_the_first_start(client: httpx.AsyncClient) -> None:
    security = (await client.get("/_users/_security", auth=ADMIN)).json()
    assert security == {"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}}
    assert answer(await client.put("/_users/_security", json={}, auth=ADMIN)) == (
        403,
        "You can't edit the security object of the user database.",
    )


async def test_the_password_is_stored_as_couchdb_stores_it(client: httpx.AsyncClient) -> None:
    document = await anna(client)
    assert list(document) == [
        "_id", "_rev", "password_scheme", "pbkdf2_prf", "salt", "iterations", "derived_key",
        "name", "roles", "type",
    ]  # fmt: skip
    stored = from_document(document)
    assert stored is not None
    assert stored.matches("secret")


def _ways(password: str) -> list[tuple[str, str, dict[str, Any]]]:
    user = {"name": "carl", "password": password, "roles": [], "type": "user"}
    docid = "org.couchdb.user:carl"
    replicated = {**user, "_id": docid, "_rev": "1-0123456789abcdef0123456789abcdef"}
    return [
        ("PUT", f"/_users/{docid}", user),
        ("PUT", f"/_users/{docid}?new_edits=false", replicated),
        ("POST", "/_users", {**user, "_id": docid}),
        ("POST", "/_users/_bulk_docs", {"docs": [{**user, "_id": docid}]}),
        ("POST", "/_users/_bulk_docs", {"docs": [replicated], "new_edits": False}),
        ("PUT", f"/_users/{docid}", {**user, "_deleted": True}),
    ]


@pytest.mark.parametrize("way", range(6))
async def test_no_way_of_writing_stores_a_plain_password(
    client: httpx.AsyncClient, store: Store, way: int
) -> None:
    method, path, body = _ways("plain-text-password")[way]
    response = await client.request(method, path, json=body, auth=ADMIN)
    assert response.status_code in (200, 201), response.text
    stored = await store.get("_users").winner("org.couchdb.user:carl")
    assert stored is not None
    assert b"plain-text-password" not in stored.text
    assert b"derived_key" in stored.text


async def test_a_document_from_couchdb_logs_in_here(client: httpx.AsyncClient) -> None:
    document = {
        "password_scheme": "pbkdf2",
        "pbkdf2_prf": "sha256",
        "salt": "f47fc2d0fce1908a181751f0805fdb47",
        "iterations": 600000,
        "derived_key": "4cc9135de9a388090c37c2a46d7c12843ab86ccaffa47cbfabc03861a7682826",
        "name": "accp",
        "roles": [],
        "type": "user",
        "_id": "org.couchdb.user:accp",
        "_rev": "1-e06b8b3c5cb120d6f81d78fe37d58616",
    }
    await client.post("/_users/_bulk_docs", json={"docs": [document], "new_edits": False}, auth=ADMIN)
    assert (await client.get("/_users/org.couchdb.user:accp", auth=("accp", "pw"))).json() == document


async def test_users_read_their_own_document_and_no_other(client: httpx.AsyncClient) -> None:
    assert (await client.get(ANNA_PATH, auth=ANNA)).json()["name"] == "anna"
    for path in ("/_users/org.couchdb.user:berta", "/_users/org.couchdb.user:nobody", "/_users/other"):
        assert answer(await client.get(path, auth=ANNA)) == (404, "missing")
        assert answer(await client.put(path, json={}, auth=ANNA)) == (404, "missing")
        assert answer(await client.delete(path, auth=ANNA)) == (404, "missing")
        assert answer(await client.get(f"{path}/attachment", auth=ANNA)) == (404, "missing")
        assert answer(await client.get(path)) == (401, "You are not authorized to access this db.")
    assert answer(await client.get("/_users/_design/_auth", auth=ANNA)) == (
        403,
        "Only administrators can view design docs in the users database.",
    )


LISTINGS: list[tuple[str, str, Any]] = [
    ("GET", "/_users", None),
    ("POST", "/_users/_find", {"selector": {}}),
    ("POST", "/_users/_explain", {"selector": {}}),
    ("GET", "/_users/_index", None),
    ("POST", "/_users/_bulk_get", {"docs": [{"id": "org.couchdb.user:berta"}]}),
    ("POST", "/_users/_revs_diff", {"org.couchdb.user:berta": ["1-a"]}),
    ("POST", "/_users/_missing_revs", {"org.couchdb.user:berta": ["1-a"]}),
    ("POST", "/_users/_bulk_docs", {"docs": []}),
    ("POST", "/_users", {"_id": "org.couchdb.user:carl"}),
    ("GET", "/_users/_design_docs", None),
    ("GET", "/_users/_local_docs", None),
    ("GET", "/_users/_local/x", None),
    ("GET", "/_users/_security", None),
]


@pytest.mark.parametrize(("method", "path", "body"), LISTINGS)
async def test_nothing_that_shows_several_users_is_for_users(
    client: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    response = await client.request(method, path, json=body, auth=ANNA)
    assert answer(response) == (403, NOT_MEMBER)
    assert (await client.request(method, path, json=body)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_users/_all_docs"),
        ("POST", "/_users/_all_docs"),
        ("POST", "/_users/_all_docs/queries"),
        ("GET", "/_users/_changes"),
        ("POST", "/_users/_changes"),
        ("PUT", "/_users"),
        ("DELETE", "/_users"),
    ],
)
async def test_listings_of_all_users_are_for_server_administrators(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    assert answer(await client.request(method, path, auth=ANNA)) == (401, "You are not a server admin.")
    assert answer(await client.request(method, path)) == (401, "You are not a server admin.")


async def test_users_change_their_password_but_not_their_roles(client: httpx.AsyncClient) -> None:
    document = (await client.get(ANNA_PATH, auth=ANNA)).json()
    more = await client.put(ANNA_PATH, json={**document, "roles": ["sales", "boss"]}, auth=ANNA)
    assert answer(more) == (403, "Only _admin may edit roles")
    renamed = await client.put(ANNA_PATH, json={**document, "name": "berta"}, auth=ANNA)
    assert answer(renamed) == (403, "Doc ID must be of the form org.couchdb.user:name")
    changed = await client.put(ANNA_PATH, json={**document, "password": "new"}, auth=ANNA)
    assert changed.status_code == 201
    assert (await client.get("/", auth=ANNA)).status_code == 401
    assert (await client.get("/", auth=("anna", "new"))).status_code == 200


async def test_replicated_branches_give_no_roles_either(client: httpx.AsyncClient) -> None:
    document = (await client.get(ANNA_PATH, auth=ANNA)).json()
    rival = {**document, "_rev": "2-ffffffffffffffffffffffffffffffff", "roles": ["boss"]}
    response = await client.put(f"{ANNA_PATH}?new_edits=false", json=rival, auth=ANNA)
    assert answer(response) == (403, "Only _admin may edit roles")


async def test_users_copy_nothing_into_local_documents(client: httpx.AsyncClient) -> None:
    copy = {"destination": "_local/checkpoint"}
    assert answer(await client.request("COPY", ANNA_PATH, headers=copy, auth=ANNA)) == (403, NOT_MEMBER)
    assert (await client.request("COPY", ANNA_PATH, headers=copy, auth=ADMIN)).status_code == 201


async def test_users_may_delete_themselves(client: httpx.AsyncClient) -> None:
    rev = (await anna(client))["_rev"]
    assert (await client.delete(f"{ANNA_PATH}?rev={rev}", auth=ANNA)).status_code == 200
    assert (await client.get("/", auth=ANNA)).status_code == 401
    user = {"name": "anna", "password": "again", "roles": [], "type": "user"}
    assert (await client.put(ANNA_PATH, json=user, auth=ADMIN)).status_code == 201
    assert (await client.get("/", auth=("anna", "again"))).status_code == 200


async def test_bad_documents_in_a_batch_have_a_row_each(client: httpx.AsyncClient) -> None:
    docs = [
        {"_id": "org.couchdb.user:carl", "name": "carl", "roles": [], "type": "user", "password": 5},
        {"_id": "org.couchdb.user:dora", "name": "dora", "roles": [], "type": "user", "password": "x"},
        {"_id": "something"},
        {"_id": "org.couchdb.user:emil", "name": "emil", "roles": ["_admin"], "type": "user"},
    ]
    rows = (await client.post("/_users/_bulk_docs", json={"docs": docs}, auth=ADMIN)).json()
    assert [row.get("error") for row in rows] == ["forbidden", None, "forbidden", "forbidden"]
    assert rows[2]["reason"] == "doc.type must be user"
    assert rows[3]["reason"] == "No system roles (starting with underscore) in users db."


async def test_design_documents_of_users_are_no_users(client: httpx.AsyncClient) -> None:
    response = await client.put("/_users/_design/x", json={"views": {}}, auth=ADMIN)
    assert response.status_code == 201
