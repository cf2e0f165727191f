"""`_all_docs`, `_design_docs`, `_local_docs` and their `queries`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from replication.http import listing_rows
from replication.protocol import jsontext
from tests.replication.http.batches import A, B, C, D, replicate, revision
from tests.replication.http.refusals import refused


def query(**parameters: Any) -> str:
    return "&".join(f"{name}={quote(jsontext.quote(value))}" for name, value in parameters.items())


async def listing(
    client: httpx.AsyncClient, db: str, text: str = "", body: Any = None, path: str = "_all_docs"
) -> Any:
    url = f"{db}/{path}?{text}"
    response = await client.get(url) if body is None else await client.post(url, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["rows"]]


DOCS = ["Z", "_design/d", "_design/e", "a", "b", "c", "d", "e", "x", "z", "ä", "€", "𝄞"]


@pytest.fixture
async def filled(client: httpx.AsyncClient, db: str) -> str:
    """`DOCS`, of which x has conflicts; `del`, deleted; the local documents l1 and l2."""
    for docid in DOCS:
        if docid != "x":
            await replicate(client, db, revision(docid, 1, [A], n=docid))
    await replicate(
        client,
        db,
        revision("x", 2, [B, A], n="b"),
        revision("x", 2, [C, A], n="c"),
        revision("x", 2, [D, A], _deleted=True),
        revision("del", 2, [B, A], _deleted=True),
    )
    for name in ("l1", "l2"):
        assert (await client.put(f"{db}/_local/{name}", json={"n": name})).status_code == 201
    return db


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
    assert ids(answer) == DOCS == sorted(DOCS, key=str.encode)
    assert (answer["total_rows"], answer["offset"]) == (13, 0)
    assert ids(await listing(client, filled, "descending=true")) == DOCS[::-1]


RANGES: list[tuple[str, list[str], int]] = [
    ("limit=2", DOCS[:2], 0),
    ("limit=0", [], 0),
    ("skip=2&limit=2", DOCS[2:4], 2),
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
    ("limit=1&limit=2", DOCS[:2], 0),
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


# -- keys --------------------------------------------------------------------------------------


async def test_keys_in_input_order_with_duplicates_missing_and_deleted(
    client: httpx.AsyncClient, filled: str
) -> None:
    keys = ["b", "nope", "del", "b", "x"]
    b = {"id": "b", "key": "b", "value": {"rev": f"1-{A}"}}
    gone = {"id": "del", "key": "del", "value": {"rev": f"2-{B}", "deleted": True}}
    missing = {"key": "nope", "error": "not_found"}
    x = {"id": "x", "key": "x", "value": {"rev": f"2-{C}"}}
    answer = await listing(client, filled, "", {"keys": keys})
    assert answer == {"total_rows": 13, "offset": None, "rows": [b, missing, gone, b, x]}
    assert await listing(client, filled, "keys=" + quote('["b","nope","del","b","x"]')) == answer
    rows = (await listing(client, filled, "include_docs=true&conflicts=true", {"keys": keys}))["rows"]
    assert rows[0]["doc"] == {"_id": "b", "_rev": f"1-{A}", "n": "b"}
    assert rows[1] == missing
    assert rows[2] == {**gone, "doc": None}
    assert rows[4]["doc"]["_conflicts"] == [f"2-{B}"]


async def test_keys_with_limit_skip_and_descending(client: httpx.AsyncClient, filled: str) -> None:
    keys = {"keys": ["b", "nope", "del", "b", "x"]}
    rows = (await listing(client, filled, "skip=1&limit=2", keys))["rows"]
    assert [row["key"] for row in rows] == ["nope", "del"]
    rows = (await listing(client, filled, "descending=true&limit=2", keys))["rows"]
    assert [row["key"] for row in rows] == ["x", "b"]
    assert (await listing(client, filled, "", {"keys": []}))["rows"] == []


async def test_keys_that_are_no_ids_are_not_found(client: httpx.AsyncClient, filled: str) -> None:
    keys = [1, None, {"a": 1}, ["x"], True, "", 1.5]
    rows = (await listing(client, filled, "", {"keys": keys}))["rows"]
    assert rows == [{"key": key, "error": "not_found"} for key in keys]


async def test_one_key_may_be_given_twice_over(client: httpx.AsyncClient, filled: str) -> None:
    for text in (query(key="a"), query(startkey="a", endkey="a")):
        answer = await listing(client, filled, text, {"keys": ["a"]})
        assert (ids(answer), answer["offset"]) == (["a"], None)


async def test_keys_of_the_query_beat_those_of_the_body(client: httpx.AsyncClient, filled: str) -> None:
    text = "keys=" + quote('["c","d"]')
    assert ids(await listing(client, filled, text, {"keys": ["a", "b"]})) == ["c", "d"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (query(startkey="a"), ["a", "b"]),
        (query(startkey="b"), ["a"]),
        (query(key="c"), ["a", "b"]),
        ("keys=" + quote('["c"]'), ["a", "b"]),
    ],
)
async def test_keys_and_ranges_exclude_each_other(
    client: httpx.AsyncClient, filled: str, text: str, keys: list[str]
) -> None:
    response = await client.post(f"{filled}/_all_docs?{text}", json={"keys": keys})
    reason = "`keys` is incompatible with `key`, `start_key` and `end_key`"
    assert refused(response) == (400, "query_parse_error", reason)


@pytest.mark.parametrize("keys", ["x", None, 1, {}])
async def test_keys_must_be_an_array(client: httpx.AsyncClient, filled: str, keys: Any) -> None:
    response = await client.post(f"{filled}/_all_docs", json={"keys": keys})
    assert refused(response) == (400, "bad_request", "`keys` body member must be an array.")
    response = await client.get(f"{filled}/_all_docs?{query(keys=keys)}")
    assert refused(response) == (400, "bad_request", "`keys` parameter must be an array.")


async def test_keys_of_local_documents(client: httpx.AsyncClient, filled: str) -> None:
    rows = (await listing(client, filled, "include_docs=true", {"keys": ["_local/l1", "_local/no"]}))["rows"]
    assert rows == [
        {
            "id": "_local/l1",
            "key": "_local/l1",
            "value": {"rev": "0-1"},
            "doc": {"_id": "_local/l1", "_rev": "0-1", "n": "l1"},
        },
        {"key": "_local/no", "error": "not_found"},
    ]


# -- POST, parameters --------------------------------------------------------------------------


async def test_post_takes_the_parameters_in_its_body(client: httpx.AsyncClient, filled: str) -> None:
    answer = await listing(client, filled, "", {"startkey": "b", "endkey": "c", "include_docs": True})
    assert ids(answer) == ["b", "c"]
    assert answer["rows"][0]["doc"]["n"] == "b"
    assert ids(await listing(client, filled, "", {"descending": True, "limit": 1})) == ["𝄞"]
    assert ids(await listing(client, filled, "", {"descending": "true", "limit": 1})) == ["𝄞"]
    assert ids(await listing(client, filled, "", {"key": "b", "unknown": {"a": [1]}})) == ["b"]


async def test_query_string_beats_body(client: httpx.AsyncClient, filled: str) -> None:
    body = {"startkey": "b", "endkey": "d", "limit": 3}
    assert ids(await listing(client, filled, query(startkey="c"), body)) == ["c", "d"]
    assert ids(await listing(client, filled, "limit=1", body)) == ["b"]


BAD_QUERIES = [
    ("limit=abc", 'Invalid value for integer: "abc"'),
    ("limit=", 'Invalid value for integer: ""'),
    ("limit=1.5", 'Invalid value for integer: "1.5"'),
    ("limit=-1", 'Invalid value for positive integer: "-1"'),
    ("limit=99999999999999999999", "Limit is too large, must not exceed 576460752303423487"),
    ("skip=abc", 'Invalid value for integer: "abc"'),
    ("skip=-1", 'Invalid value for positive integer: "-1"'),
    *((f"{name}=abc", 'Invalid boolean parameter: "abc"') for name in ("descending", "include_docs")),
    *(
        (f"{name}=abc", 'Invalid boolean parameter: "abc"')
        for name in ("inclusive_end", "conflicts", "sorted")
    ),
    *(
        (f"{name}=abc", 'Invalid boolean parameter: "abc"')
        for name in ("attachments", "update_seq", "reduce")
    ),
    ("reduce=true", "Reduce is invalid for map-only views."),
    ("group=true", "Invalid use of grouping on a map view."),
    ("group_level=1", "Invalid use of grouping on a map view."),
    ("group_level=x", 'Invalid value for integer: "x"'),
    ("stale=abc", "Invalid value for `stale`."),
    ("update=abc", "Invalid value for `update`."),
    ("stable=abc", "Invalid value for `stable`."),
    ("partition=x", "`partition` parameter is not supported on this db"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_QUERIES)
async def test_bad_values_in_the_query_are_400(
    client: httpx.AsyncClient, filled: str, text: str, reason: str
) -> None:
    assert refused(await client.get(f"{filled}/_all_docs?{text}")) == (400, "query_parse_error", reason)


@pytest.mark.parametrize("name", ["startkey", "endkey", "start_key", "end_key", "key", "keys"])
@pytest.mark.parametrize("value", ["abc", '"a', ""])
async def test_keys_in_the_query_are_json(
    client: httpx.AsyncClient, filled: str, name: str, value: str
) -> None:
    response = await client.get(f"{filled}/_all_docs?{name}={quote(value)}")
    assert refused(response) == (400, "bad_request", "invalid UTF-8 JSON")


BAD_MEMBERS: list[tuple[dict[str, Any], str]] = [
    ({"limit": "2"}, 'Invalid value for integer: "2"'),
    ({"limit": -1}, "Invalid value for positive integer: -1"),
    ({"limit": 1.5}, "Invalid value for integer: 1.5"),
    ({"limit": None}, "Invalid value for integer: null"),
    ({"limit": []}, "Invalid value for integer: []"),
    ({"limit": True}, "Invalid value for integer: true"),
    ({"skip": "x"}, 'Invalid value for integer: "x"'),
    ({"descending": 1}, "Invalid boolean parameter: 1"),
    ({"descending": None}, "Invalid boolean parameter: null"),
    ({"descending": []}, "Invalid boolean parameter: []"),
    ({"include_docs": "x"}, 'Invalid boolean parameter: "x"'),
    ({"stale": "x"}, "Invalid value for `stale`."),
    ({"update": 1}, "Invalid value for `update`."),
    ({"reduce": True}, "Reduce is invalid for map-only views."),
    ({"group": True}, "Invalid use of grouping on a map view."),
    ({"partition": "x"}, "`partition` parameter is not supported on this db"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_MEMBERS)
async def test_bad_values_in_the_body_are_400(
    client: httpx.AsyncClient, filled: str, body: dict[str, Any], reason: str
) -> None:
    expected = (400, "query_parse_error", reason)
    assert refused(await client.post(f"{filled}/_all_docs", json=body)) == expected
    assert refused(await client.post(f"{filled}/_all_docs/queries", json={"queries": [body]})) == expected


async def test_requests_as_a_whole(client: httpx.AsyncClient, filled: str) -> None:
    for path in ("_all_docs", "_design_docs", "_local_docs"):
        response = await client.post(
            f"{filled}/{path}", content=b"{}", headers={"content-type": "text/plain"}
        )
        assert response.status_code == 415
        for body in (b"", b"{", b"[]", b"1"):
            response = await client.post(
                f"{filled}/{path}", content=body, headers={"content-type": "application/json"}
            )
            assert (response.status_code, response.json()["error"]) == (400, "bad_request")
        for method in ("PUT", "DELETE"):
            response = await client.request(method, f"{filled}/{path}")
            assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD,POST")
            response = await client.request(method, f"{filled}/{path}/queries")
            assert (response.status_code, response.headers["allow"]) == (405, "POST")
        response = await client.head(f"{filled}/{path}")
        assert (response.status_code, response.content) == (200, b"")
        assert refused(await client.get(f"{filled}/{path}/x")) == (404, "not_found", "missing")
        assert (await client.get(f"/none/{path}")).json()["reason"] == "Database does not exist."


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


# -- queries -----------------------------------------------------------------------------------


async def queries(
    client: httpx.AsyncClient, db: str, *asked: Any, text: str = "", path: str = "_all_docs"
) -> Any:
    response = await client.post(f"{db}/{path}/queries?{text}", json={"queries": asked})
    assert response.status_code == 200, response.text
    assert list(response.json()) == ["results"]
    return response.json()["results"]


async def test_queries_answer_one_listing_each(client: httpx.AsyncClient, filled: str) -> None:
    results = await queries(
        client,
        filled,
        {"limit": 1},
        {"keys": ["a", "nope"]},
        {"startkey": "c", "limit": 1, "include_docs": True},
        {"keys": ["b"]},
    )
    assert [(ids({"rows": [r for r in result["rows"] if "id" in r]})) for result in results] == [
        ["Z"],
        ["a"],
        ["c"],
        ["b"],
    ]
    assert [result["offset"] for result in results] == [0, None, 5, 4]
    assert results[1]["rows"][1] == {"key": "nope", "error": "not_found"}
    assert results[2]["rows"][0]["doc"]["n"] == "c"


async def test_queries_framing_is_couchdbs(client: httpx.AsyncClient, db: str) -> None:
    response = await client.post(f"{db}/_all_docs/queries", json={"queries": []})
    assert response.text == '{"results":[\r\n]}\n'
    response = await client.post(f"{db}/_all_docs/queries", json={"queries": [{}, {}]})
    empty = '{"total_rows":0,"offset":0,"rows":[\r\n\r\n]}'
    assert response.text == f'{{"results":[\r\n{empty},\r\n{empty}\r\n]}}\n'


async def test_queries_override_the_query_string(client: httpx.AsyncClient, filled: str) -> None:
    results = await queries(client, filled, {}, {"limit": 2}, text="limit=1")
    assert [len(result["rows"]) for result in results] == [1, 2]


async def test_queries_of_design_and_local_documents(client: httpx.AsyncClient, filled: str) -> None:
    (result,) = await queries(client, filled, {"limit": 1}, path="_design_docs")
    assert ids(result) == ["_design/d"]
    (result,) = await queries(client, filled, {"descending": True}, path="_local_docs")
    assert ids(result) == ["_local/l2", "_local/l1"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "POST body must include `queries` parameter."),
        ({"queries": "x"}, "`queries` member must be an array."),
        ({"queries": [1]}, "Each of the `queries` must be an object."),
        ([], "Request body must be a JSON object"),
    ],
)
async def test_queries_that_are_wrong(client: httpx.AsyncClient, filled: str, body: Any, reason: str) -> None:
    response = await client.post(f"{filled}/_all_docs/queries", json=body)
    assert refused(response) == (400, "bad_request", reason)


async def test_queries_keys_must_be_an_array(client: httpx.AsyncClient, filled: str) -> None:
    response = await client.post(f"{filled}/_all_docs/queries", json={"queries": [{"keys": "x"}]})
    assert refused(response) == (400, "query_parse_error", "`keys` must be an array of strings.")


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
