"""`_all_docs`, `_design_docs`, `_local_docs`."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from replication.http import listing_rows
from tests.replication.http.batches import A, B, C, replicate, revision
from tests.replication.http.listings import LISTED, ids, listing, queries, query


async def test_framing_is_couchdbs(client: httpx.AsyncClient, db: str) -> None:
    response = await client.get(f"{db}/_all_docs")
    assert response.text == '{"total_rows":0,"offset":0,"rows":[\r\n\r\n]}\n'
    await replicate(client, db, revision("a", 1, [A]), revision("b", 1, [B]))
    response = await client.get(f"{db}/_all_docs")
    assert response.text == (
        '{"total_rows":2,"offset":0,"rows":[\r\n'
        f'{{"id":"a","key":"a","value":{{"rev":"1-{A}"}}}},\r\n'
        f'{{"id":"b","key":"b","value":{{"rev":"1-{B}"}}}}\r\n'
        "]}\n"
    )
    assert response.headers["content-type"] == "application/json"


async def test_order_is_that_of_utf8_bytes(client: httpx.AsyncClient, filled: str) -> None:
    answer = await listing(client, filled)
    assert ids(answer) == LISTED == sorted(LISTED, key=str.encode)
    assert (answer["total_rows"], answer["offset"]) == (13, 0)
    assert ids(await listing(client, filled, "descending=true")) == LISTED[::-1]


RANGES: list[tuple[str, list[str], int]] = [
    ("limit=2", LISTED[:2], 0),
    ("limit=0", [], 0),
    ("skip=2&limit=2", LISTED[2:4], 2),
    ("skip=99", [], 13),
    ("descending=true&limit=3", ["𝄞", "€", "ä"], 0),
    ("descending=true&skip=3&limit=2", ["z", "x"], 3),
    (query(startkey="b", endkey="d"), ["b", "c", "d"], 4),
    (query(start_key="b", end_key="d"), ["b", "c", "d"], 4),
    ("inclusive_end=false&" + query(startkey="b", endkey="d"), ["b", "c"], 4),
    ("skip=1&limit=1&" + query(startkey="b", endkey="d"), ["c"], 5),
    (query(startkey="bb", endkey="bc"), [], 5),
    (query(startkey="d", endkey="b"), [], 6),
    ("descending=true&" + query(startkey="d", endkey="b"), ["d", "c", "b"], 6),
    ("descending=true&inclusive_end=false&" + query(startkey="d", endkey="b"), ["d", "c"], 6),
    ("startkey_docid=b&endkey_docid=d", ["b", "c", "d"], 4),
    ("start_key_doc_id=b&end_key_doc_id=d&limit=1", ["b"], 4),
    ("startkey_docid=d&limit=1&" + query(startkey="b"), ["b"], 4),
    (query(key="b"), ["b"], 4),
    ("descending=true&" + query(key="b"), ["b"], 8),
    ("skip=1&" + query(key="b"), [], 5),
    ("inclusive_end=false&" + query(key="b"), [], 4),
    (query(key="del"), [], 7),
    (query(key="nope"), [], 8),
    (query(key="a", startkey="b", endkey="c"), ["b", "c"], 4),
    ("key=1", [], 0),
    ("startkey=[]&limit=1", ["Z"], 0),
    ("endkey={}", [], 0),
    ("endkey=null", [], 0),
    ("descending=true&startkey=1", [], 13),
    ("descending=true&limit=1&skip=1&endkey=1", ["€"], 1),
    ("limit=1&limit=2", LISTED[:2], 0),
    ("descending=TRUE&limit=1", ["𝄞"], 0),
    ("sorted=false&limit=1&stable=true&update=lazy&stale=ok", ["Z"], 0),
    ("unknown=1&limit=1&=x&callback=x&group_level=0&reduce=false", ["Z"], 0),
]


@pytest.mark.parametrize(("text", "expected", "offset"), RANGES)
async def test_ranges(
    client: httpx.AsyncClient, filled: str, text: str, expected: list[str], offset: int
) -> None:
    answer = await listing(client, filled, text)
    assert ids(answer) == expected
    assert (answer["total_rows"], answer["offset"]) == (13, offset)


async def test_include_docs_and_conflicts(client: httpx.AsyncClient, filled: str) -> None:
    (row,) = (await listing(client, filled, "include_docs=true&" + query(key="x")))["rows"]
    assert row["doc"] == {"_id": "x", "_rev": f"2-{C}", "n": "c"}
    (row,) = (await listing(client, filled, "include_docs=true&conflicts=true&" + query(key="x")))["rows"]
    assert row["doc"]["_conflicts"] == [f"2-{B}"]
    (row,) = (await listing(client, filled, "conflicts=true&" + query(key="x")))["rows"]
    assert row == {"id": "x", "key": "x", "value": {"rev": f"2-{C}"}}


async def test_attachments(client: httpx.AsyncClient, db: str) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": "aGVsbG8="}}
    await client.put(f"{db}/a", json={"_attachments": attachments})
    for body in (None, {"keys": ["a"]}):
        (row,) = (await listing(client, db, "include_docs=true", body))["rows"]
        assert row["doc"]["_attachments"]["h.png"]["stub"] is True
        (row,) = (await listing(client, db, "include_docs=true&attachments=true", body))["rows"]
        assert row["doc"]["_attachments"]["h.png"]["data"] == "aGVsbG8="
        (row,) = (await listing(client, db, "attachments=true", body))["rows"]
        assert "doc" not in row


async def test_update_seq(client: httpx.AsyncClient, filled: str) -> None:
    answer = await listing(client, filled, "update_seq=true&limit=1")
    assert list(answer) == ["total_rows", "offset", "update_seq", "rows"]
    assert answer["update_seq"] == (await client.get(filled)).json()["update_seq"]
    assert (await listing(client, filled, "update_seq=true", {"keys": ["a"]}))["update_seq"] is None


# -- _design_docs, _local_docs -----------------------------------------------------------------


async def test_design_docs(client: httpx.AsyncClient, filled: str) -> None:
    async def design(text: str = "", body: Any = None) -> tuple[list[str], Any]:
        answer = await listing(client, filled, text, body, "_design_docs")
        assert answer["total_rows"] == 2
        return [row.get("id", row["key"]) for row in answer["rows"]], answer["offset"]

    both = ["_design/d", "_design/e"]
    assert await design() == (both, 1)
    assert await design("descending=true") == (both[::-1], 2)
    assert await design("skip=1") == (both[1:], 2)
    assert await design(query(startkey="_design/e")) == (both[1:], 2)
    assert await design(query(endkey="_design/d")) == (both[:1], 1)
    assert await design(query(startkey="b")) == ([], 2)
    assert await design(query(endkey="b")) == (both, 1)
    assert await design(query(startkey="A")) == (both, 1)
    assert await design(query(key="a")) == ([], 2)
    assert await design("descending=true&" + query(startkey="b", endkey="_design/e")) == (both[1:], 2)
    keys = {"keys": ["_design/e", "a", "_local/l1", "_design/zz", 1]}
    assert await design("", keys) == (["_design/e", "_design/zz"], None)
    (row,) = (await listing(client, filled, "include_docs=true&limit=1", path="_design_docs"))["rows"]
    assert row["doc"]["n"] == "_design/d"


async def test_local_docs(client: httpx.AsyncClient, filled: str) -> None:
    async def local(text: str = "", body: Any = None) -> list[str]:
        answer = await listing(client, filled, text, body, "_local_docs")
        assert (answer["total_rows"], answer["offset"]) == (None, None)
        return [row.get("id", row["key"]) for row in answer["rows"]]

    both = ["_local/l1", "_local/l2"]
    assert await local() == both
    assert await local("descending=true") == both[::-1]
    assert await local("skip=1") == both[1:]
    assert await local("limit=1") == both[:1]
    assert await local("limit=0") == []
    assert await local(query(startkey="_local/l2")) == both[1:]
    assert await local(query(endkey="_local/l1")) == both[:1]
    assert await local("inclusive_end=false&" + query(endkey="_local/l2")) == both[:1]
    assert await local("descending=true&" + query(startkey="_local/l1")) == both[:1]
    assert await local(query(key="_local/l2")) == both[1:]
    for outside in (query(startkey="b"), query(endkey="_design/d"), query(key="a"), "endkey=1"):
        assert await local(outside) == []
    for around in (query(startkey="_design/e"), query(endkey="b"), query(startkey="_local")):
        assert await local(around) == both
    assert await local("", {"keys": ["_local/l2", "a", "_local/no"]}) == ["_local/l2", "_local/no"]
    answer = await listing(client, filled, "include_docs=true&update_seq=true&limit=1", path="_local_docs")
    assert answer["update_seq"] is None
    assert answer["rows"] == [
        {
            "id": "_local/l1",
            "key": "_local/l1",
            "value": {"rev": "0-1"},
            "doc": {"_id": "_local/l1", "_rev": "0-1", "n": "l1"},
        }
    ]


# -- many pages --------------------------------------------------------------------------------


@pytest.fixture
async def many(client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(listing_rows, "ROWS", 7)
    monkeypatch.setattr(listing_rows, "KEYS", 7)
    monkeypatch.setattr(listing_rows, "FIRST_ROWS_WITH_DOCS", 3)
    await replicate(client, db, *(revision(docid, 1, [A], n=docid) for docid in MANY))
    for name in MANY:
        await client.put(f"{db}/_local/{name}", json={})
    return db


MANY = [f"d{n:03}" for n in range(50)]


@pytest.mark.parametrize("text", ["", "include_docs=true", "include_docs=true&conflicts=true"])
async def test_pages_join_without_gap_or_repetition(client: httpx.AsyncClient, many: str, text: str) -> None:
    assert ids(await listing(client, many, text)) == MANY
    assert ids(await listing(client, many, text + "&descending=true")) == MANY[::-1]
    assert ids(await listing(client, many, text, {"keys": MANY[::-1]})) == MANY[::-1]
    local = [f"_local/{name}" for name in MANY]
    assert ids(await listing(client, many, text, path="_local_docs")) == local
    assert ids(await listing(client, many, text + "&descending=true", path="_local_docs")) == local[::-1]
    for limit in (6, 7, 8, 49, 50, 51):
        limited = f"{text}&skip=2&limit={limit}"
        assert ids(await listing(client, many, limited)) == MANY[2 : 2 + limit]
        assert ids(await listing(client, many, limited, path="_local_docs")) == local[2 : 2 + limit]


async def test_pages_of_queries_join(client: httpx.AsyncClient, many: str) -> None:
    first, second = await queries(client, many, {}, {"descending": True})
    assert (ids(first), ids(second)) == (MANY, MANY[::-1])
