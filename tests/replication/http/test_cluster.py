"""What clients ask of a cluster, answered by a single node; and what isn't there."""

from __future__ import annotations

import httpx
import pytest

from tests.replication.http.conftest import Serve


async def test_setup_is_done_once_the_system_databases_are_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("/_cluster_setup")).json() == {"state": "single_node_disabled"}
    response = await client.post("/_cluster_setup", json={"action": "finish_cluster"})
    assert (response.status_code, response.json()) == (201, {"ok": True})
    assert (await client.get("/_cluster_setup")).json() == {"state": "single_node_enabled"}
    assert (await client.head("/_users")).status_code == 200
    again = await client.post("/_cluster_setup", json={"action": "finish_cluster"})
    assert (again.status_code, again.json()["reason"]) == (400, "Cluster is already finished")


async def test_setup_names_databases_of_its_own(client: httpx.AsyncClient) -> None:
    wanted = {"action": "enable_single_node", "ensure_dbs_exist": ["one", "two"]}
    assert (await client.post("/_cluster_setup", json=wanted)).status_code == 201
    assert (await client.post("/_cluster_setup", json=wanted)).status_code == 201
    assert (await client.get("/_all_dbs")).json() == ["one", "two"]
    query = {"ensure_dbs_exist": '["one","three"]'}
    assert (await client.get("/_cluster_setup", params=query)).json() == {"state": "single_node_disabled"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "enable_cluster"}, 501),
        ({"action": "add_node", "host": "other"}, 501),
        ({"action": "dance"}, 400),
        ({}, 400),
        ({"action": "enable_single_node", "ensure_dbs_exist": "x"}, 400),
        ({"action": "enable_single_node", "ensure_dbs_exist": ["Illegal"]}, 400),
    ],
)
async def test_setup_refuses(client: httpx.AsyncClient, body: dict[str, object], status: int) -> None:
    assert (await client.post("/_cluster_setup", json=body)).status_code == status


async def test_setup_makes_no_administrators(serve: Serve) -> None:
    client = await serve(admins={"root": "secret"})
    body = {"action": "enable_single_node", "username": "eve", "password": "x"}
    refused = await client.post("/_cluster_setup", json=body, auth=("root", "secret"))
    assert refused.status_code == 400
    assert "--admin" in refused.json()["reason"]
    body["username"] = "root"
    assert (await client.post("/_cluster_setup", json=body, auth=("root", "secret"))).status_code == 201


async def test_a_database_has_one_shard(client: httpx.AsyncClient, db: str) -> None:
    (node,) = (await client.get("/_membership")).json()["all_nodes"]
    assert (await client.get(f"{db}/_shards")).json() == {"shards": {"00000000-ffffffff": [node]}}
    found = await client.get(f"{db}/_shards/any")
    assert found.json() == {"range": "00000000-ffffffff", "nodes": [node]}
    assert (await client.post(f"{db}/_sync_shards")).status_code == 202
    assert (await client.get("/nothing/_shards")).status_code == 404
    assert (await client.post("/nothing/_sync_shards")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_reshard"),
        ("PUT", "/_reshard/state"),
        ("POST", "/_reshard/jobs"),
        ("POST", "/_search_analyze"),
        ("POST", "/_nouveau_analyze"),
        ("POST", "/db/_search_cleanup"),
        ("POST", "/db/_nouveau_cleanup"),
        ("GET", "/db/_design/d/_search/i"),
        ("POST", "/db/_design/d/_nouveau/i"),
        ("GET", "/db/_design/d/_search_info/i"),
        ("POST", "/_node/_local/_restart"),
    ],
)
async def test_what_is_not_there_says_so(client: httpx.AsyncClient, db: str, method: str, path: str) -> None:
    response = await client.request(method, path, json={})
    assert (response.status_code, response.json()["error"]) == (501, "not_implemented")


@pytest.mark.parametrize("path", ["/_utils", "/_utils/", "/_utils/index.html"])
async def test_who_looks_for_the_administration_page_is_told_where_it_is(serve: Serve, path: str) -> None:
    client = await serve(admins={"root": "secret"})
    response = await client.get(path)
    assert response.status_code == 404
    assert "Fauxton" in response.json()["reason"]


async def test_temporary_views_are_gone(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_temp_view", json={"map": "function (doc) {}"})
    assert (response.status_code, response.json()["error"]) == (410, "gone")


async def test_purges_are_listed_up_to_a_limit(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put(f"{db}/a", json={})).json()["rev"]
    await client.post(f"{db}/_purge", json={"a": [rev], "b": ["1-" + "0" * 32]})
    assert (await client.get(f"{db}/_purged_infos")).json() == {
        "purged_infos": [{"id": "a", "revs": [rev]}, {"id": "b", "revs": ["1-" + "0" * 32]}]
    }
    assert (await client.get(f"{db}/_purged_infos_limit")).json() == 1000
    assert (await client.put(f"{db}/_purged_infos_limit", content="1")).json() == {"ok": True}
    assert (await client.get(f"{db}/_purged_infos_limit")).json() == 1
    assert len((await client.get(f"{db}/_purged_infos")).json()["purged_infos"]) == 1


@pytest.mark.parametrize("limit", ["0", "-1", "2.5", '"x"', "true", "null"])
async def test_a_bad_limit_of_purges_is_refused(client: httpx.AsyncClient, db: str, limit: str) -> None:
    response = await client.put(f"{db}/_purged_infos_limit", content=limit)
    assert response.status_code == 400
    assert response.json()["reason"] == "`purged_infos_limit` must be positive integer"
