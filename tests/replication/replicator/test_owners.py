"""Who sees and writes `_replicator` documents."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.replication.replicator.host import Host


@pytest.fixture
async def people(host: Host) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Two users who may use `_replicator`."""
    for name in ("jo", "ann"):
        user = {"name": name, "password": "pw", "roles": ["mover"], "type": "user"}
        await host.client.put(f"/_users/org.couchdb.user:{name}", json=user)
    security = {"admins": {"roles": ["_admin"]}, "members": {"roles": ["mover"]}}
    assert (await host.client.put("/_replicator/_security", json=security)).status_code == 200
    async with host.client_of("jo", "pw") as jo, host.client_of("ann", "pw") as ann:
        yield jo, ann


SECRET = {
    "source": "http://me:s3cret@127.0.0.1:9/db",
    "target": {
        "url": "http://127.0.0.1:9/other",
        "auth": {"basic": {"username": "me", "password": "s3cret"}},
        "headers": {"Authorization": "Bearer s3cret"},
    },
}


async def test_credentials_are_for_owners_and_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, ann = people
    assert (await jo.put("/_replicator/mine", json=SECRET)).status_code == 201
    for reader in (jo, host.client):
        seen = (await reader.get("/_replicator/mine")).json()
        assert (seen["owner"], seen["source"], seen["target"]) == ("jo", SECRET["source"], SECRET["target"])
    for params in ({}, {"revs": "true"}, {"attachments": "true"}, {"conflicts": "true"}):
        response = await ann.get("/_replicator/mine", params=params)
        assert "s3cret" not in response.text
        assert response.json()["source"] == "http://127.0.0.1:9/db/"
        assert response.json()["target"] == {"url": "http://127.0.0.1:9/other/"}
    for path in (
        "mine?open_revs=all",
        "mine?latest=true",
        "_all_docs?include_docs=true",
        "_changes?include_docs=true",
    ):
        response = await ann.get(f"/_replicator/{path}")
        assert response.status_code in (401, 403), path
    for path, body in (
        ("_bulk_get", {"docs": [{"id": "mine"}]}),
        ("_find", {"selector": {}}),
        ("_all_docs/queries", {"queries": [{"include_docs": True}]}),
        ("_explain", {"selector": {}}),
    ):
        response = await ann.post(f"/_replicator/{path}", json=body)
        assert response.status_code in (401, 403), path
        assert "s3cret" not in response.text
    for path in ("_design_docs", "_local_docs", "_index", "_design/x/_view/y"):
        assert (await ann.get(f"/_replicator/{path}")).status_code in (401, 403), path
    copied = await ann.request("COPY", "/_replicator/mine", headers={"destination": "yours"})
    assert copied.status_code == 403


async def test_what_belongs_to_a_document_is_for_its_owner_and_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, ann = people
    attached = {"key": {"content_type": "application/octet-stream", "data": "czNjcmV0"}}
    first = (await jo.put("/_replicator/mine", json={**SECRET, "_attachments": attached})).json()["rev"]
    kept = {"key": {"stub": True}}
    body = {**SECRET, "source": "http://127.0.0.1:9/db", "_rev": first, "_attachments": kept}
    rev = (await jo.put("/_replicator/mine", json=body)).json()["rev"]
    for params in ({}, {"rev": first}, {"rev": rev}):
        for reader in (jo, host.client):
            assert (await reader.get("/_replicator/mine/key", params=params)).content == b"s3cret"
        for method in ("GET", "HEAD"):
            response = await ann.request(method, "/_replicator/mine/key", params=params)
            assert response.status_code == 403
            assert "etag" not in response.headers
        for shown in ({}, {"attachments": "true"}, {"att_encoding_info": "true"}):
            for accept in ("application/json", "multipart/related", "multipart/mixed"):
                response = await ann.get(
                    "/_replicator/mine", params={**params, **shown}, headers={"accept": accept}
                )
                assert "czNjcmV0" not in response.text
                assert "s3cret" not in response.text
                assert "_attachments" not in response.json()
    for method in ("PUT", "DELETE"):
        response = await ann.request(method, "/_replicator/mine/key", params={"rev": rev}, content=b"mine")
        assert response.status_code == 403
    # Whoever writes a deleted document anew does not get what was attached before.
    gone = (await jo.delete("/_replicator/mine", params={"rev": rev})).json()["rev"]
    history = {"start": 4, "ids": ["f" * 32, gone.partition("-")[2], rev.partition("-")[2], first[2:]]}
    taken = {**SECRET, "_id": "mine", "_rev": f"4-{'f' * 32}", "_revisions": history, "_attachments": kept}
    answer = await ann.post("/_replicator/_bulk_docs", json={"new_edits": False, "docs": [taken]})
    assert [row["error"] for row in answer.json()] == ["forbidden"]
    again = await ann.put("/_replicator/mine", json={**SECRET, "_attachments": kept})
    assert again.status_code == 403
    assert (await ann.put("/_replicator/mine", json=SECRET)).status_code == 201
    for old in (first, rev):
        assert (await ann.get("/_replicator/mine/key", params={"rev": old})).status_code == 403
        response = await ann.get("/_replicator/mine", params={"rev": old})
        assert "s3cret" not in response.text


async def test_local_documents_of_the_replicator_are_for_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    _, ann = people
    path = "/_replicator/_local/note"
    assert (await host.client.put(path, json={"key": "s3cret"})).status_code == 201
    for method, body in (("GET", None), ("HEAD", None), ("PUT", {"a": 1}), ("DELETE", None), ("COPY", None)):
        headers = {"destination": "_local/copy"}
        assert (await ann.request(method, path, json=body, headers=headers)).status_code == 403, method
    assert (await ann.post("/_replicator", json={"_id": "_local/note", "a": 1})).status_code == 403
    answer = await ann.post("/_replicator/_bulk_docs", json={"docs": [{"_id": "_local/note", "a": 1}]})
    assert "forbidden" in answer.text
    assert (await host.client.get(path)).json()["key"] == "s3cret"


async def test_nobody_changes_what_another_wrote(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, ann = people
    rev = (await jo.put("/_replicator/mine", json=SECRET)).json()["rev"]
    for body in ({**SECRET, "_rev": rev}, {**SECRET, "_rev": rev, "owner": "jo"}):
        assert (await ann.put("/_replicator/mine", json=body)).status_code == 403
    assert (await ann.delete("/_replicator/mine", params={"rev": rev})).status_code == 403
    forged = {**SECRET, "_id": "mine", "_rev": f"9-{'f' * 32}", "owner": "ann"}
    answer = await ann.post("/_replicator/_bulk_docs", json={"new_edits": False, "docs": [forged]})
    assert [row["error"] for row in answer.json()] == ["forbidden"]
    assert (await jo.delete("/_replicator/mine", params={"rev": rev})).status_code == 200


async def test_administrators_of_the_database_speak_for_nobody_else(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    """Whoever could write an administrator's name into a document could use his rights."""
    _, ann = people
    security = {"admins": {"names": ["ann"]}, "members": {"roles": ["mover"]}}
    assert (await host.client.put("/_replicator/_security", json=security)).status_code == 200
    theirs = (await host.client.put("/_replicator/theirs", json=SECRET)).json()["rev"]
    assert (await ann.get("/_replicator/theirs")).json()["source"] == SECRET["source"]
    for body in ({**SECRET, "_rev": theirs}, {**SECRET, "_rev": theirs, "owner": "admin"}):
        assert (await ann.put("/_replicator/theirs", json=body)).status_code == 403
    assert (await ann.put("/_replicator/forged", json={**SECRET, "owner": "admin"})).status_code == 403
    assert (await ann.put("/_replicator/own", json=SECRET)).status_code == 201


async def test_databases_of_this_server_are_for_administrators(
    host: Host, people: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    jo, _ = people
    await host.fill("secret", 1)
    await jo.put("/_replicator/grab", json={"source": "secret", "target": "mine", "create_target": True})
    row = await host.scheduled("grab", "failed")
    assert "administrators" in row["info"]["error"]
    assert await host.count("mine") == -1
