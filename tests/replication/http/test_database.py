from __future__ import annotations

import httpx
import pytest

ILLEGAL = (
    "Name: '{}'. Only lowercase characters (a-z), digits (0-9), and any of the characters"
    " _, $, (, ), +, -, and / are allowed. Must begin with a letter."
)


async def test_info_has_every_member_a_replicator_looks_for(client: httpx.AsyncClient, db: str) -> None:
    info = (await client.get(db)).json()
    assert info["db_name"] == "db"
    assert info["doc_count"] == info["doc_del_count"] == 0
    assert info["update_seq"].startswith("0-")
    assert isinstance(info["purge_seq"], str)
    assert isinstance(info["instance_start_time"], str)
    assert int(info["instance_start_time"]) > 0
    assert set(info["sizes"]) == {"file", "external", "active"}
    assert info["props"] == {}
    assert set(info["cluster"]) == {"q", "n", "w", "r"}
    assert info["compact_running"] is False
    assert isinstance(info["disk_format_version"], int)


async def test_info_counts_documents_and_deletions(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put(f"{db}/a", json={})).json()["rev"]
    await client.put(f"{db}/b", json={})
    await client.delete(f"{db}/a", params={"rev": rev})
    info = (await client.get(db)).json()
    assert (info["doc_count"], info["doc_del_count"]) == (1, 1)
    assert info["update_seq"].startswith("3-")


async def test_head_tells_whether_a_database_is_there(client: httpx.AsyncClient, db: str) -> None:
    assert (await client.head(db)).status_code == 200
    assert (await client.head("/none")).status_code == 404


async def test_a_trailing_slash_is_the_same_database(client: httpx.AsyncClient, db: str) -> None:
    assert (await client.get(f"{db}/")).json()["db_name"] == "db"


async def test_missing_database_is_404(client: httpx.AsyncClient) -> None:
    response = await client.get("/none")
    assert (response.status_code, response.json()) == (
        404,
        {"error": "not_found", "reason": "Database does not exist."},
    )


async def test_create_answers_201_with_location(client: httpx.AsyncClient) -> None:
    response = await client.put("/new%2Fname")
    assert (response.status_code, response.json()) == (201, {"ok": True})
    assert response.headers["location"] == "http://server/new%2Fname"
    assert (await client.get("/new%2Fname")).json()["db_name"] == "new/name"


async def test_create_twice_is_412(client: httpx.AsyncClient, db: str) -> None:
    response = await client.put(db)
    assert response.status_code == 412
    assert response.json() == {
        "error": "file_exists",
        "reason": "The database could not be created, the file already exists.",
    }


@pytest.mark.parametrize("name", ["Upper", "1digit", "dot.dot", "sp ace"])
async def test_create_refuses_illegal_names(client: httpx.AsyncClient, name: str) -> None:
    response = await client.put(f"/{name}")
    assert response.status_code == 400
    assert response.json() == {"error": "illegal_database_name", "reason": ILLEGAL.format(name)}
    assert (await client.get("/_all_dbs")).json() == []


async def test_create_takes_cluster_parameters(client: httpx.AsyncClient) -> None:
    response = await client.put("/x?q=8&n=1&partitioned=false&placement=az:1")
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("q=0", "The `q` value should be a positive integer."),
        ("q=-1", "The `q` value should be a positive integer."),
        ("q=", "The `q` value should be a positive integer."),
        ("n=x", "The `n` value should be a positive integer."),
        ("placement=moon", "The `placement` value should be in a format `zone:n`."),
        ("placement=moon:eagle", "The `placement` value should be in a format `zone:n`."),
        ("partitioned=maybe", "Invalid `partitioned` parameter"),
        ("engine=foo", "invalid_engine_extension"),
    ],
)
async def test_create_refuses_bad_parameters(client: httpx.AsyncClient, query: str, reason: str) -> None:
    response = await client.put(f"/x?{query}")
    assert (response.status_code, response.json()) == (400, {"error": "bad_request", "reason": reason})
    assert (await client.get("/x")).status_code == 404


async def test_delete_removes_the_database(client: httpx.AsyncClient, db: str) -> None:
    assert (await client.delete(db)).json() == {"ok": True}
    assert (await client.get(db)).status_code == 404
    assert (await client.delete(db)).status_code == 404


async def test_delete_with_a_rev_is_taken_for_a_lost_document_id(client: httpx.AsyncClient, db: str) -> None:
    response = await client.delete(f"{db}?rev=1-abc")
    assert response.status_code == 400
    assert response.json()["reason"] == (
        "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?"
    )
    assert (await client.get(db)).status_code == 200


async def test_ensure_full_commit_answers_the_start_time_of_info(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_ensure_full_commit", json={})
    info = (await client.get(db)).json()
    assert (response.status_code, response.json()) == (
        201,
        {"ok": True, "instance_start_time": info["instance_start_time"]},
    )


async def test_ensure_full_commit_wants_json_and_a_database(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_ensure_full_commit")
    assert (response.status_code, response.json()) == (
        415,
        {"error": "bad_content_type", "reason": "Content-Type must be application/json"},
    )
    assert (await client.post("/none/_ensure_full_commit", json={})).status_code == 404


async def test_a_database_made_again_has_another_sequence_epoch(client: httpx.AsyncClient, db: str) -> None:
    before = (await client.get(db)).json()["update_seq"]
    await client.delete(db)
    await client.put(db)
    assert (await client.get(db)).json()["update_seq"] != before
