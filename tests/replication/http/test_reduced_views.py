"""Reduced views over HTTP, as CouchDB 3.5 has them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from replication.http.app import Application
from tests.replication.http.designs import BY_K, BY_X, design, get, ids, pairs, save


@pytest.mark.parametrize("view", ["sum", "js"])
@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", [(None, 11)]),
        ("reduce=true", [(None, 11)]),
        ("group_level=0", [(None, 11)]),
        ("group=false", [(None, 11)]),
        (
            "group=true",
            [(None, 1), (["p", "q", 1], 1), (["p", "q", 2], 2), (["p", "r", 1], 3), (["s"], 4)],
        ),
        ("group_level=1", [(None, 1), (["p"], 6), (["s"], 4)]),
        ("group_level=2", [(None, 1), (["p", "q"], 3), (["p", "r"], 3), (["s"], 4)]),
        ("group_level=1&descending=true", [(["s"], 4), (["p"], 6), (None, 1)]),
        ("group=true&skip=1&limit=2", [(["p", "q", 1], 1), (["p", "q", 2], 2)]),
        ("group=true&group_level=0", [(None, 11)]),
        ('key=["p","q",1]', [(None, 1)]),
        ('startkey=["p"]&endkey=["p",{}]', [(None, 6)]),
        ('startkey=["p"]&endkey=["p",{}]&group_level=2', [(["p", "q"], 3), (["p", "r"], 3)]),
        ('keys=[["s"],["p","q",1],"none",["s"]]&group=true', [(["s"], 4), (["p", "q", 1], 1), (["s"], 4)]),
        ('keys=[["s"],["p","q",1]]&group=true&skip=1', [(["p", "q", 1], 1)]),
        ('keys=[["s"]]', [(None, 4)]),
        ("keys=[]&group=true", []),
        ('startkey=["z"]', []),
        ('startkey=["z"]&group=true', []),
        ("limit=0", []),
        ("limit=1", [(None, 11)]),
        ("skip=1", []),
    ],
)
async def test_reduced_rows(
    client: httpx.AsyncClient, views: str, view: str, query: str, rows: list[Any]
) -> None:
    answer = await client.get(f"{views}/{view}?{query}")
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"rows"}
    assert pairs(answer.json()) == rows


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("reduce=false&group=true", "Invalid use of grouping on a map view."),
        ("keys=[1,2]", "Multi-key fetches for reduce views must use `group=true`"),
        ("keys=[]", "Multi-key fetches for reduce views must use `group=true`"),
        ("keys=[1,2]&group_level=1", "Multi-key fetches for reduce views must use `group=true`"),
        ("include_docs=true", "`include_docs` is invalid for reduce"),
        ("conflicts=true", "`conflicts` is invalid for reduce views."),
        ("group_level=-1", 'Invalid value for positive integer: "-1"'),
        ("group_level=x", 'Invalid value for integer: "x"'),
        ("group=maybe", 'Invalid boolean parameter: "maybe"'),
        ("group_level=1&group=false", "Can't specify group=false and group_level>0 at the same time"),
    ],
)
async def test_reduced_queries_that_are_refused(
    client: httpx.AsyncClient, views: str, query: str, reason: str
) -> None:
    answer = await client.get(f"{views}/sum?{query}")
    assert answer.status_code == 400
    assert answer.json() == {"error": "query_parse_error", "reason": reason}


async def reduced(client: httpx.AsyncClient, source: str, reduce: str, **query: Any) -> list[Any]:
    path = await design(client, views={"v": {"map": source, "reduce": reduce}})
    return (await get(client, f"{path}/v", **query))["rows"]  # type: ignore[no-any-return]


async def test_a_reduce_function_that_throws_gives_null(client: httpx.AsyncClient, views: str) -> None:
    for function in (
        "function() { throw new Error() }",
        "function() {}",
        "function() { throw {forbidden: 1} }",
    ):
        assert await reduced(client, BY_X, function) == [{"key": None, "value": None}]


async def test_a_reduce_function_must_reduce(client: httpx.AsyncClient, views: str) -> None:
    source = f"function(doc) {{ emit(1, '{'x' * 2000}') }}"
    (row,) = await reduced(client, source, "function(keys, values) { return values.concat(values) }")
    assert row["error"] == "reduce_overflow_error"
    assert row["reason"].startswith("Reduce output must shrink more rapidly: input size: 1")
    (row,) = await reduced(client, source, "function(keys, values) { return values.join('').slice(0, 4000) }")
    assert len(row["value"]) == 4000


async def test_a_sum_of_what_is_no_number_is_an_error_in_the_row(
    client: httpx.AsyncClient, views: str
) -> None:
    (row,) = await reduced(client, "function(doc) { emit(1, 'x') }", "_sum")
    assert (row["value"]["error"], row["value"]["caused_by"]) == ("builtin_reduce_error", "x")


async def test_statistics_of_what_is_no_number_fail_the_query(client: httpx.AsyncClient, views: str) -> None:
    source = "function(doc) { emit(1, 'x') }"
    path = await design(client, "s", views={"v": {"map": source, "reduce": "_stats"}, "w": {"map": BY_X}})
    answer = await client.get(f"{path}/v")
    assert (answer.status_code, answer.json()["error"]) == (500, "invalid_value")
    assert ids(await get(client, f"{path}/v", reduce=False)) == "abcdef"
    assert ids(await get(client, f"{path}/w")) == "afbcd"


async def test_large_groups_are_reduced_in_chunks(
    client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication.queries.reducing.CHUNK", 7)
    monkeypatch.setattr("replication.queries.views.ROWS", 20)
    await save(client, *({"_id": f"{n:03}", "n": n} for n in range(300)))
    source = "function(doc) { emit([doc.n % 3, doc.n], doc.n) }"
    function = """function(keys, values, again) {
        if (again ? keys !== null : keys.length != values.length || keys[0].length != 2) throw 1;
        return again ? sum(values) : values.length
    }"""
    assert await reduced(client, source, function) == [{"key": None, "value": 300}]
    groups = await reduced(client, source, function, group_level=1)
    assert groups == [{"key": [n], "value": 100} for n in range(3)]
    groups = await reduced(client, source, function, group=True, skip=150, limit=100)
    assert [row["value"] for row in groups] == [1] * 100
    stats = await reduced(client, source, "_stats", group_level=1, descending=True)
    assert [row["value"]["sum"] for row in stats] == [sum(range(n, 300, 3)) for n in (2, 1, 0)]


@pytest.mark.alone("each process has its own index of a view, made when it is first asked")
async def test_what_was_reduced_is_remembered_until_rows_change(
    client: httpx.AsyncClient, app: Application, views: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = []
    run = type(app.server.javascript).run

    async def counted(engine: Any, job: Any) -> Any:
        kinds.append(job.kind)
        return await run(engine, job)

    monkeypatch.setattr(type(app.server.javascript), "run", counted)
    for _ in range(3):
        assert pairs(await get(client, f"{views}/js")) == [(None, 11)]
        assert pairs(await get(client, f"{views}/js", group_level=1, limit=1)) == [(None, 1)]
    assert kinds == ["map", "reduce", "reduce"]
    await save(client, {"_id": "z", "x": 5, "k": 0})
    assert pairs(await get(client, f"{views}/js")) == [(None, 16)]
    rev = (await client.get("/db/z")).json()["_rev"]
    await client.post("/db/_purge", json={"z": [rev]})
    assert pairs(await get(client, f"{views}/js")) == [(None, 11)]
    path = await design(client, views={"js": {"map": BY_K, "reduce": "function() { return 7 }"}})
    assert pairs(await get(client, f"{path}/js")) == [(None, 7)]
