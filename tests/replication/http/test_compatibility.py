"""docs/compatibility.md can't lie: a server is asked for every endpoint it lists."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import pytest

from replication.http import create_app
from replication.http.config import ServerConfig
from replication.http.config_keys import SETTABLE
from replication.http.routes import DATABASE, DESIGN, NODE, SERVER
from replication.store.interface import Store
from tests.needs import ROOT

PAGE = (ROOT / "docs" / "compatibility.md").read_text("utf-8")

NAMES = {
    "attname": "file.txt",
    "db": "db",
    "ddoc": "app",
    "design_doc": "mango",
    "docid": "doc",
    "func": "touch",
    "index": "words",
    "jobid": "1",
    "key": "origins",
    "name": "by-a",
    "node-name": "_local",
    "other-ddoc": "other",
    "partition_id": "p",
    "path": "x",
    "replicator_db": "_replicator",
    "section": "cors",
    "view": "all",
}
"""What stands for the names in braces."""

DESIGN_DOCUMENT = {
    "views": {"all": {"map": "function (doc) { emit(doc._id); }"}},
    "updates": {"touch": "function (doc, req) { return [null, 'done']; }"},
}


class Endpoint(NamedTuple):
    method: str
    path: str
    here: str
    remark: str


@dataclass(frozen=True)
class Request:
    """What an endpoint wants beside its path. `{rev}` is the revision of what the path names."""

    query: dict[str, str] = field(default_factory=dict)
    json: Any = None
    content: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


REV = Request({"rev": "{rev}"})
COPY = Request(headers={"destination": "copy"})
NEW_FILE = Request({"rev": "{rev}"}, content="text", headers={"content-type": "text/plain"})
NO_BODY = Request(headers={"content-type": "application/json"})

REQUESTS = {
    "POST /_dbs_info": Request(json={"keys": ["db"]}),
    "POST /_cluster_setup": Request(json={"action": "enable_single_node"}),
    "POST /_replicate": Request(json={"source": "db", "target": "new", "create_target": True}),
    "POST /_session": Request(json={"name": "anna", "password": "pw"}),
    "PUT /_node/{node-name}/_config/{section}/{key}": Request(json="*"),
    "PUT /{db}": Request(),
    "POST /{db}": Request(json={}),
    "POST /{db}/_all_docs": Request(json={}),
    "POST /{db}/_all_docs/queries": Request(json={"queries": [{}]}),
    "POST /{db}/_design_docs": Request(json={}),
    "POST /{db}/_design_docs/queries": Request(json={"queries": [{}]}),
    "POST /{db}/_local_docs": Request(json={}),
    "POST /{db}/_local_docs/queries": Request(json={"queries": [{}]}),
    "POST /{db}/_changes": Request(json={}),
    "POST /{db}/_bulk_docs": Request(json={"docs": []}),
    "POST /{db}/_bulk_get": Request(json={"docs": []}),
    "POST /{db}/_revs_diff": Request(json={}),
    "POST /{db}/_missing_revs": Request(json={}),
    "POST /{db}/_ensure_full_commit": NO_BODY,
    "POST /{db}/_find": Request(json={"selector": {}}),
    "POST /{db}/_explain": Request(json={"selector": {}}),
    "POST /{db}/_partition/{partition_id}/_all_docs": Request(json={}),
    "POST /{db}/_partition/{partition_id}/_find": Request(json={"selector": {}}),
    "POST /{db}/_partition/{partition_id}/_explain": Request(json={"selector": {}}),
    "POST /{db}/_partition/{partition_id}/_design/{ddoc}/_view/{view}": Request(json={}),
    "POST /{db}/_index": Request(json={"index": {"fields": ["b"]}}),
    "POST /{db}/_index/_bulk_delete": Request(json={"docids": ["_design/mango"]}),
    "PUT /{db}/_security": Request(json={}),
    "PUT /{db}/_revs_limit": Request(content="10"),
    "POST /{db}/_compact": NO_BODY,
    "POST /{db}/_compact/{ddoc}": NO_BODY,
    "POST /{db}/_view_cleanup": NO_BODY,
    "POST /{db}/_purge": Request(json={}),
    "PUT /{db}/_purged_infos_limit": Request(content="10"),
    "PUT /{db}/{docid}": Request({"rev": "{rev}"}, json={}),
    "DELETE /{db}/{docid}": REV,
    "COPY /{db}/{docid}": COPY,
    "PUT /{db}/{docid}/{attname}": NEW_FILE,
    "DELETE /{db}/{docid}/{attname}": REV,
    "PUT /{db}/_local/{docid}": Request(json={}),
    "COPY /{db}/_local/{docid}": COPY,
    "PUT /{db}/_design/{ddoc}": Request({"rev": "{rev}"}, json={}),
    "DELETE /{db}/_design/{ddoc}": REV,
    "COPY /{db}/_design/{ddoc}": COPY,
    "PUT /{db}/_design/{ddoc}/{attname}": NEW_FILE,
    "DELETE /{db}/_design/{ddoc}/{attname}": REV,
    "POST /{db}/_design/{ddoc}/_view/{view}": Request(json={}),
    "POST /{db}/_design/{ddoc}/_view/{view}/queries": Request(json={"queries": [{}]}),
}


def _endpoints() -> Iterator[Endpoint]:
    section = PAGE[PAGE.index("\n## Endpoints") : PAGE.index("\n## Operating a server")]
    for line in section.splitlines():
        row = re.fullmatch(r"\| ((?:`[A-Z]+` ?)+)\| `(/[^`]*)` \| (\w+) \|(.*)\|", line)
        if row is not None:
            for method in re.findall(r"[A-Z]+", row[1]):
                yield Endpoint(method, row[2], row[3], row[4].strip())


ENDPOINTS = tuple(_endpoints())


def _address(path: str) -> str:
    return re.sub(r"\{([^}]+)\}", lambda name: NAMES[name[1]], path)


@pytest.fixture
async def server(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A server with one of everything that an endpoint may name."""
    app = create_app(store, ServerConfig(password_iterations=10))
    await app.server.prepare()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        for method, path, body in (
            ("PUT", "/db", None),
            ("PUT", "/db/doc", {"a": 1}),
            ("PUT", "/db/_local/doc", {}),
            ("PUT", "/db/_design/app", DESIGN_DOCUMENT),
            ("PUT", "/parts?partitioned=true", None),
            ("PUT", "/parts/_design/app", DESIGN_DOCUMENT),
            ("POST", "/db/_index", {"index": {"fields": ["a"]}, "ddoc": "mango", "name": "by-a"}),
            (
                "PUT",
                "/_users/org.couchdb.user:anna",
                {"name": "anna", "type": "user", "roles": [], "password": "pw"},
            ),
            ("PUT", "/_replicator/doc", {"source": "db", "target": "nowhere"}),
        ):
            made = await client.request(method, path, json=body)
            assert made.status_code < 300, (path, made.text)
        for path in ("/db/doc", "/db/_design/app"):
            rev = (await client.get(path)).json()["_rev"]
            headers = {"content-type": "text/plain", "if-match": rev}
            assert (await client.put(f"{path}/file.txt", content="x", headers=headers)).status_code == 201
        yield client
    await app.server.replications.close()
    await app.server.jobs.close()
    app.server.javascript.close()
    app.server.accounts.close()


async def _ask(client: httpx.AsyncClient, endpoint: Endpoint) -> httpx.Response:
    request = REQUESTS.get(f"{endpoint.method} {endpoint.path}", Request())
    path = _address(endpoint.path)
    if "/_partition/" in path:
        path = path.replace("/db/", "/parts/", 1)
    if (endpoint.method, path) == ("PUT", "/db"):
        path = "/another"
    query = dict(request.query)
    if "rev" in query:
        query["rev"] = (await client.get(path.removesuffix("/file.txt"))).json()["_rev"]
    headers = dict(request.headers)
    if endpoint.method == "COPY" and "/_design/" in path:
        headers["destination"] = "_design/copy"
    if endpoint.method == "COPY" and "/_local/" in path:
        headers["destination"] = "_local/copy"
    return await client.request(
        endpoint.method, path, params=query, json=request.json, content=request.content, headers=headers
    )


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: f"{each.method} {each.path}")
async def test_the_page_says_what_the_server_does(server: httpx.AsyncClient, endpoint: Endpoint) -> None:
    response = await _ask(server, endpoint)
    if endpoint.here in ("yes", "differs"):
        assert response.status_code < 400, response.text
        assert endpoint.here == "yes" or endpoint.remark, "the page says how it differs"
    else:
        assert endpoint.here == "no"
        status = re.match(r"[0-9]{3}\b", endpoint.remark)
        assert status is not None, "the page says what is answered instead"
        assert response.status_code == int(status[0]), response.text
        assert response.status_code != 501 or response.json()["error"] == "not_implemented"


def test_the_page_lists_every_endpoint_there_is() -> None:
    listed = {endpoint.path for endpoint in ENDPOINTS}
    there = [f"/{name}" for name in SERVER]
    there += [f"/_node/{{node-name}}/{name}" if name else "/_node/{node-name}" for name in NODE]
    there += [f"/{{db}}/{name}" for name in DATABASE]
    there += [f"/{{db}}/_design/{{ddoc}}/{name}" for name in DESIGN]
    for path in there:
        assert any(each == path or each.startswith(f"{path}/") for each in listed), path


def test_the_page_lists_endpoints_once() -> None:
    asked = [(endpoint.method, endpoint.path) for endpoint in ENDPOINTS]
    assert len(set(asked)) == len(asked) > 120


def test_no_request_is_for_an_endpoint_that_is_not_listed() -> None:
    assert set(REQUESTS) <= {f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS}


def test_the_page_lists_what_can_be_set() -> None:
    section = PAGE[PAGE.index("\n### Settings") : PAGE.index("\n### `_db_updates`")]
    assert set(re.findall(r"^\| `([a-z_]+/[a-z_]+)` \|", section, re.MULTILINE)) == set(SETTABLE)
