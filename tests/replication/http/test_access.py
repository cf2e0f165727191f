"""Who may call what, with CouchDB 3.5's answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from replication.http.access import parse_security
from replication.http.principal import Principal

Serve = Callable[..., Awaitable[httpx.AsyncClient]]

ADMIN = ("root", "relax")
ANNA = ("anna", "x")
"""Has the role `sales`."""
BERTA = ("berta", "x")
"""Has no role."""

SERVER = "You are not a server admin."
DATABASE = "You are not a db or server admin."
UPKEEP = "You are not a server or db admin."
ANONYMOUS = "You are not authorized to access this db."
KNOWN = "You are not allowed to access this db."


@pytest.fixture
async def client(serve: Serve) -> httpx.AsyncClient:
    client = await serve(admins=dict([ADMIN]))
    for name, roles in (("anna", ["sales"]), ("berta", [])):
        user = {"name": name, "password": "x", "roles": roles, "type": "user"}
        await client.put(f"/_users/org.couchdb.user:{name}", json=user, auth=ADMIN)
    assert (await client.put("/db", auth=ADMIN)).status_code == 201
    await client.put("/db/doc", json={}, auth=ADMIN)
    return client


async def secure(client: httpx.AsyncClient, **security: Any) -> None:
    response = await client.put("/db/_security", json=security, auth=ADMIN)
    assert response.json() == {"ok": True}


def answer(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


async def test_a_new_database_is_for_administrators(client: httpx.AsyncClient) -> None:
    assert (await client.get("/db/doc", auth=ADMIN)).status_code == 200
    assert answer(await client.get("/db/doc")) == (401, ANONYMOUS)
    assert answer(await client.get("/db/doc", auth=ANNA)) == (403, KNOWN)
    assert answer(await client.get("/db", auth=ANNA)) == (403, KNOWN)
    assert (await client.get("/db/_security", auth=ADMIN)).json() == {
        "members": {"roles": ["_admin"]},
        "admins": {"roles": ["_admin"]},
    }


async def test_without_administrators_a_new_database_is_for_everybody(serve: Serve) -> None:
    client = await serve()
    assert (await client.put("/db")).status_code == 201
    assert (await client.put("/db/doc", json={})).status_code == 201
    assert (await client.put("/db/_design/d", json={})).status_code == 201
    assert (await client.put("/db/_security", json={})).status_code == 200


async def test_empty_members_are_everybody(client: httpx.AsyncClient) -> None:
    await secure(client, members={"names": [], "roles": []})
    assert (await client.get("/db/doc")).status_code == 200
    assert (await client.put("/db/other", json={})).status_code == 201
    await secure(client)
    assert (await client.get("/db/doc", auth=BERTA)).status_code == 200


@pytest.mark.parametrize("member", ["members", "readers"])
async def test_members_by_name_and_by_role(client: httpx.AsyncClient, member: str) -> None:
    await secure(client, **{member: {"names": ["berta"], "roles": []}})
    assert (await client.get("/db/doc", auth=BERTA)).status_code == 200
    assert answer(await client.get("/db/doc", auth=ANNA)) == (403, KNOWN)
    await secure(client, **{member: {"roles": ["sales"]}})
    assert (await client.get("/db/doc", auth=ANNA)).status_code == 200
    assert answer(await client.get("/db/doc", auth=BERTA)) == (403, KNOWN)


async def test_admins_of_a_database_are_members_too(client: httpx.AsyncClient) -> None:
    await secure(client, admins={"names": ["anna"]}, members={"names": ["nobody"]})
    assert (await client.get("/db/doc", auth=ANNA)).status_code == 200
    assert (await client.put("/db/_design/d", json={}, auth=ANNA)).status_code == 201
    assert (await client.put("/db/_revs_limit", json=5, auth=ANNA)).status_code == 200


async def test_design_documents_are_for_admins_of_the_database(client: httpx.AsyncClient) -> None:
    await secure(client)
    assert answer(await client.put("/db/_design/d", json={})) == (401, DATABASE)
    assert answer(await client.put("/db/_design/d", json={}, auth=ANNA)) == (403, DATABASE)
    docs = [{"_id": "_design/d"}, {"_id": "a"}]
    rows = (await client.post("/db/_bulk_docs", json={"docs": docs}, auth=ANNA)).json()
    assert rows[0] == {"id": "_design/d", "error": "forbidden", "reason": DATABASE}
    assert rows[1]["ok"] is True
    docs = [{"_id": "_design/d", "_rev": "1-a"}, {"_id": "b", "_rev": "1-a"}]
    body = {"docs": docs, "new_edits": False}
    rows = (await client.post("/db/_bulk_docs", json=body)).json()
    assert rows == [{"id": "_design/d", "rev": "1-a", "error": "unauthorized", "reason": DATABASE}]
    assert (await client.get("/db/b")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/other"),
        ("DELETE", "/db"),
        ("GET", "/_all_dbs"),
        ("POST", "/_dbs_info"),
        ("GET", "/_active_tasks"),
        ("POST", "/db/_purge"),
    ],
)
async def test_what_is_for_server_administrators_is_401_to_others(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    await secure(client, admins={"names": ["anna"]})
    assert answer(await client.request(method, path)) == (401, SERVER)
    assert answer(await client.request(method, path, auth=ANNA)) == (401, SERVER)


@pytest.mark.parametrize("path", ["/db/_security", "/db/_revs_limit"])
async def test_settings_of_a_database_are_for_its_admins(client: httpx.AsyncClient, path: str) -> None:
    await secure(client)
    assert answer(await client.put(path, json={})) == (401, DATABASE)
    assert answer(await client.put(path, json={}, auth=ANNA)) == (403, DATABASE)
    assert (await client.get(path, auth=ANNA)).status_code == 200


@pytest.mark.parametrize("path", ["/db/_compact", "/db/_view_cleanup"])
async def test_upkeep_of_a_database_is_401_to_others(client: httpx.AsyncClient, path: str) -> None:
    await secure(client)
    assert answer(await client.post(path, json={})) == (401, UPKEEP)
    assert answer(await client.post(path, json={}, auth=ANNA)) == (401, UPKEEP)
    await secure(client, admins={"roles": ["sales"]})
    assert (await client.post(path, json={}, auth=ANNA)).status_code == 202


async def test_a_database_that_is_not_there_is_404_to_everybody(client: httpx.AsyncClient) -> None:
    for auth in (None, ANNA, ADMIN):
        assert answer(await client.get("/none/doc", auth=auth)) == (404, "Database does not exist.")


async def test_changed_security_counts_at_once(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await secure(client)
        assert (await client.get("/db/doc")).status_code == 200
        await secure(client, members={"roles": ["sales"]})
        assert (await client.get("/db/doc")).status_code == 401


async def test_a_database_made_again_does_not_inherit(client: httpx.AsyncClient) -> None:
    await secure(client)
    assert (await client.get("/db")).status_code == 200
    await client.delete("/db", auth=ADMIN)
    await client.put("/db", auth=ADMIN)
    assert (await client.get("/db")).status_code == 401


async def test_a_login_may_be_required_for_everything(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]), require_valid_user=True)
    await client.put("/db", auth=ADMIN)
    await client.put("/db/_security", json={}, auth=ADMIN)
    for path in ("/db", "/_uuids", "/_all_dbs", "/none"):
        response = await client.get(path)
        assert answer(response) == (401, "Authentication required.")
        assert response.headers["www-authenticate"] == 'Basic realm="server"'
        assert (await client.get(path, auth=ADMIN)).status_code in (200, 404)
    for path in ("/", "/_up", "/_session"):
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"members":{"names":null}}',
        b'{"members":[]}',
        b'{"members":{"names":[5,null,["a"]]},"admins":{"roles":[{}]}}',
    ],
)
def test_odd_security_objects_name_nobody(text: bytes) -> None:
    rules = parse_security(text)
    assert rules.is_member(Principal("anna", ("sales",)))
    assert not rules.is_admin(Principal("anna", ("sales",)))
    assert not rules.is_admin(Principal())


def test_nobody_has_no_name() -> None:
    rules = parse_security(b'{"admins":{"names":["None",""]},"members":{"names":["x"]}}')
    assert not rules.is_admin(Principal())
    assert not rules.is_member(Principal())
