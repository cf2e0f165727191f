"""`/_node/{name}`: figures, versions, the state of the process."""

from __future__ import annotations

import json

import httpx
import pytest

from replication.http.metrics import Distribution
from tests.replication.http.conftest import Serve

ADMIN = ("root", "secret")


async def _value(client: httpx.AsyncClient, *path: str) -> object:
    return (await client.get("/_node/_local/_stats/" + "/".join(path))).json()["value"]


async def test_the_node_has_a_name_that_is_an_address_too(client: httpx.AsyncClient) -> None:
    name = (await client.get("/_node/_local")).json()["name"]
    assert (await client.get(f"/_node/{name}/_versions")).status_code == 200
    assert (await client.get("/_membership")).json() == {"all_nodes": [name], "cluster_nodes": [name]}


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/_node", 400, "Incomplete path to _node request"),
        ("/_node/", 400, "Incomplete path to _node request"),
        ("/_node/other", 404, "no such node: other"),
        ("/_node/other/_config", 404, "no such node: other"),
        ("/_node/_local/_nothing", 404, "missing"),
    ],
)
async def test_wrong_paths_below_node(client: httpx.AsyncClient, path: str, status: int, reason: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["reason"]) == (status, reason)


@pytest.mark.alone("figures are each process's own")
async def test_requests_are_counted_by_method_and_status(client: httpx.AsyncClient) -> None:
    await client.put("/db")
    await client.get("/db")
    await client.get("/db")
    await client.get("/nothing")
    await client.request("BREW", "/db")
    assert await _value(client, "couchdb", "httpd_request_methods", "GET") == 3
    assert await _value(client, "couchdb", "httpd_status_codes", "404") == 1
    assert await _value(client, "couchdb", "httpd_status_codes", "405") == 1
    assert await _value(client, "couchdb", "httpd_status_codes", "507") == 0
    assert await _value(client, "couchdb", "httpd_request_methods", "OTHER") == 1
    assert await _value(client, "couchdb", "httpd", "requests") == 10
    assert await _value(client, "couchdb", "httpd", "requests_in_progress") == 1


@pytest.mark.alone("figures are each process's own")
async def test_documents_and_databases_are_counted(client: httpx.AsyncClient, db: str) -> None:
    before = (await client.get("/_node/_local/_stats/couchdb")).json()
    await client.put(f"{db}/a", json={})
    await client.get(f"{db}/a")
    await client.post(f"{db}/_bulk_docs", json={"docs": [{}, {}]})
    after = (await client.get("/_node/_local/_stats/couchdb")).json()

    def grown(name: str) -> int:
        return int(after[name]["value"] - before[name]["value"])

    assert grown("document_writes") == 3
    assert grown("database_writes") == 2
    assert grown("database_reads") == 1
    assert after["open_databases"]["value"] >= 1


@pytest.mark.alone("figures are each process's own")
async def test_a_figure_has_couchdbs_shape(client: httpx.AsyncClient) -> None:
    figure = (await client.get("/_node/_local/_stats/couchdb/httpd/requests")).json()
    assert figure == {"value": 0, "type": "counter", "desc": "number of HTTP requests"}
    times = (await client.get("/_node/_local/_stats/couchdb/request_time")).json()
    assert times["type"] == "histogram"
    assert times["value"]["n"] == 1
    assert [rank for rank, _ in times["value"]["percentile"]] == [50, 75, 90, 95, 99, 999]
    assert times["value"]["min"] > 0


async def test_a_figure_that_is_not_counted_is_null(client: httpx.AsyncClient) -> None:
    response = await client.get("/_node/_local/_stats/couchdb/nothing/here")
    assert (response.status_code, response.json()) == (200, None)


def test_a_distribution_describes_its_numbers() -> None:
    found = Distribution.of([1.0, 2.0, 3.0, 4.0])
    assert (found.n, found.min, found.max, found.arithmetic_mean, found.median) == (4, 1, 4, 2.5, 2.5)
    assert found.harmonic_mean == pytest.approx(1.92)
    assert found.geometric_mean == pytest.approx(2.2133638)
    assert found.variance == pytest.approx(5 / 3)
    assert found.skewness == pytest.approx(0)
    assert dict(found.percentile)[75] == pytest.approx(3.25)
    assert json.dumps(Distribution.of([]).members())
    assert Distribution.of([0.0, 0.0]).kurtosis == 0


@pytest.mark.alone("figures are each process's own")
async def test_prometheus_can_read_the_figures(client: httpx.AsyncClient) -> None:
    await client.get("/_up")
    response = await client.get("/_node/_local/_prometheus")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    assert response.text.endswith("\n")
    assert 'couchdb_httpd_request_methods{method="GET"} 1' in lines
    assert 'couchdb_httpd_status_codes{code="200"} 1' in lines
    assert "couchdb_httpd_requests_total 1" in lines
    assert "# TYPE couchdb_request_time_seconds summary" in lines
    assert "couchdb_request_time_seconds_count 1" in lines
    samples = [line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")]
    typed = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(typed)) == len(typed)
    for name in samples:
        assert name in typed or name.removesuffix("_sum").removesuffix("_count") in typed


async def test_system_and_versions_tell_what_runs(client: httpx.AsyncClient) -> None:
    system = (await client.get("/_node/_local/_system")).json()
    assert system["uptime"] >= 0
    assert system["memory"]["resident"] > 1_000_000
    versions = (await client.get("/_node/_local/_versions")).json()
    assert versions["collation_driver"]["name"]
    assert versions["javascript_engine"]["name"] == "quickjs"


async def test_figures_are_for_admins_and_for_the_role_metrics(serve: Serve) -> None:
    client = await serve(admins=dict([ADMIN]))
    user = {"name": "watch", "password": "pw", "roles": ["_metrics"], "type": "user"}
    made = await client.put("/_users/org.couchdb.user:watch", json=user, auth=ADMIN)
    assert made.status_code == 201
    for name in ("_stats", "_prometheus", "_system"):
        path = f"/_node/_local/{name}"
        assert (await client.get(path, auth=ADMIN)).status_code == 200
        assert (await client.get(path, auth=("watch", "pw"))).status_code == 200
        refused = await client.get(path)
        assert refused.status_code == 401
        assert refused.json()["reason"] == "You are not a server admin or read-only metrics user"
    for path in ("/_node/_local/_versions", "/_node/_local", "/_membership", "/_cluster_setup"):
        assert (await client.get(path, auth=("watch", "pw"))).status_code == 401
