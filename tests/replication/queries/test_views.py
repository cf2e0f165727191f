"""A view answers what a naive evaluation of its functions does, for random documents and queries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from replication.javascript import functions
from replication.javascript.engine import Engine, Job
from replication.protocol.design import DesignDocument, View
from replication.protocol.revisions import parse_rev
from replication.queries import partials, reducing, view_index, views
from replication.queries.reducing import reduction
from replication.queries.views import EXACT, ViewQuery, ViewRows
from replication.store.interface import Database, RowMapper
from replication.store.values import RowSpan
from tests.replication.queries.naive import COUNT, MAP, REDUCERS, Naive, Row, random_query, random_rows
from tests.replication.store.writes import doc, edit

DDOC = DesignDocument("_design/d", "1-a", b"", {})


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(1)
    yield engine
    engine.close()


async def answered(source: ViewRows, query: ViewQuery) -> list[Row]:
    return [
        (json.loads(row.shown), row.id, json.loads(row.value))
        async for page in views.pages(source, query)
        for row in page
    ]


async def answered_reduced(engine: Engine, source: ViewRows, query: ViewQuery) -> list[tuple[Any, Any]]:
    rows = [json.loads(row) async for page in reduction(engine, source, query).pages() for row in page]
    return [(row["key"], row["value"]) for row in rows]


def keep_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "WORTHWHILE", 0)
    monkeypatch.setattr(partials, "BLOCK", 4)
    monkeypatch.setattr(partials, "LEAST", 2)
    monkeypatch.setattr(partials, "_A_TIME", 3)
    monkeypatch.setattr(partials, "_KEPT_TOGETHER", 2)


@pytest.mark.parametrize("kept", [False, True], ids=["read", "kept"])
@pytest.mark.parametrize("raw", [False, True], ids=["icu", "raw"])
@pytest.mark.parametrize("seed", range(2))
async def test_views_answer_what_a_naive_evaluation_does(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch, seed: int, raw: bool, kept: bool
) -> None:
    monkeypatch.setattr(views, "ROWS", 7)
    monkeypatch.setattr(reducing, "CHUNK", 5)
    monkeypatch.setattr(functions, "JOB_SIZE", 200)
    if kept:
        keep_small_blocks(monkeypatch)
    random = Random(seed)
    documents: dict[str, list[list[Any]]] = {}
    revs: dict[str, str] = {}
    for _ in range(6 if kept else 3):
        # Some are new, some change, some go.
        for _ in range(12):
            docid = f"d{random.randrange(25):02}"
            deleted = docid in documents and random.random() < 0.3
            rows = random_rows(random)
            rev = revs.pop(docid, None)
            if deleted:
                await edit(db, docid, rev, _deleted=True)
                del documents[docid]
            else:
                revs[docid] = await edit(db, docid, rev, rows=rows)
                documents[docid] = rows
        naive = Naive(documents, raw)
        for source in (*REDUCERS, "_approx_count_distinct"):
            view = View("v", MAP, reduce=source, raw_collation=raw)
            listed = await view_index.rows_of(db, engine, DDOC, view)
            state = await db.index_state(view.signature)
            assert state is not None
            assert state.entries == len(naive.rows)
            for _ in range(12):
                query = random_query(random, sorted(documents))
                assert await answered(listed, query) == naive.map(query), query
                if query.keys is None or query.group_level == EXACT:
                    found = await answered_reduced(engine, listed, query)
                    assert found == naive.reduce(query, source), (query, source)


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        "function(doc) { const until = Date.now() + 50; while (Date.now() < until); emit(doc._id) }",
        "function(doc) { emit(doc._id, 'x'.repeat(1 << 20)) }",
    ],
    ids=["slow", "large"],
)
async def test_a_map_function_is_given_the_documents_in_turns(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    done = []
    run = engine.run

    async def counted(job: Job) -> list[Any]:
        results = await run(job)
        done.append(len(results))
        return results

    monkeypatch.setattr(engine, "run", counted)
    names = [f"{n:03}" for n in range(60)]
    await db.write([doc(name) for name in names])
    found = await db.winner("030")
    assert found is not None
    await db.write([doc("030", found.rev, _deleted=True)])
    view = View("v", source)
    await view_index.refresh(db, engine, DesignDocument("_design/d", "1-a", b"", {}), view)
    assert len(done) > 2
    assert sum(done) == 59
    ids = []
    span = RowSpan()
    while rows := await db.scan_rows(view.signature, span):
        ids += [row.id for row in rows]
        span = RowSpan((rows[-1].key, rows[-1].id, rows[-1].place + 1))
    assert ids == [name for name in names if name != "030"]


@pytest.mark.parametrize("new", [True, False], ids=["new", "stale"])
@pytest.mark.parametrize("descending", [False, True])
async def test_an_answer_is_whole_though_its_index_is_dropped_meanwhile(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch, descending: bool, new: bool
) -> None:
    monkeypatch.setattr(views, "ROWS", 7)
    names = [f"{n:03}" for n in range(60)]
    await db.write([doc(name, rows=[[name, 1]]) for name in names])
    view = View("v", MAP, reduce="_sum")
    await view_index.refresh(db, engine, DDOC, view)
    source = await view_index.rows_of(db, engine, DDOC, view, new=new)
    query = ViewQuery(descending=descending)
    found: list[str] = []
    async for page in views.pages(source, query):
        found += [row.id for row in page]
        if len(found) in (7, 28):
            await db.drop_indexes([])
    assert found == names[:: -1 if descending else 1]
    groups = ViewQuery(descending=descending, group_level=EXACT)
    reduced = 0
    async for texts in reduction(engine, source, groups).pages():
        reduced += len(texts)
        if reduced < 40:
            await db.drop_indexes([])
    assert reduced == 60


@pytest.mark.parametrize("reduce", ["_count", "_sum", COUNT])
async def test_facts_of_an_answer_survive_dropped_indexes(db: Database, engine: Engine, reduce: str) -> None:
    await db.write([doc(f"{n:03}", rows=[[n, 1]]) for n in range(20)])
    source = await view_index.rows_of(db, engine, DDOC, View("v", MAP, reduce=reduce))
    await db.drop_indexes([])
    assert await answered_reduced(engine, source, ViewQuery()) == [(None, 20)]
    await db.drop_indexes([])
    assert await partials.offset(source, ViewQuery(start_key=5), 20) == 5
    await db.drop_indexes([])
    state = await source.state()
    assert state is not None
    assert state.entries == 20
    assert len(await answered(source, ViewQuery(skip=8))) == 12


def count_rows_read(monkeypatch: pytest.MonkeyPatch, db: Database) -> list[int]:
    """A list to which every read of rows adds their number."""
    read: list[int] = []
    scan = db.scan_rows

    async def counted(*given: Any, **options: Any) -> Any:
        rows = await scan(*given, **options)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(db, "scan_rows", counted)
    return read


@pytest.mark.parametrize("reduce", ["_sum", "_count", "_stats", COUNT])
async def test_rows_that_were_reduced_are_not_read_again(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch, reduce: str
) -> None:
    keep_small_blocks(monkeypatch)
    monkeypatch.setattr(partials, "BLOCK", 10)
    monkeypatch.setattr(reducing, "CHUNK", 10)
    monkeypatch.setattr(views, "ROWS", 20)
    revs = [await edit(db, f"{n:03}", rows=[[["ab"[n // 150], n], 1]]) for n in range(300)]
    view = View("v", MAP, reduce=reduce)
    read = count_rows_read(monkeypatch, db)

    async def asked(query: ViewQuery) -> tuple[list[tuple[Any, Any]], int]:
        source = await view_index.rows_of(db, engine, DDOC, view)
        read.clear()
        return await answered_reduced(engine, source, query), sum(read)

    for query in (ViewQuery(), ViewQuery(group_level=1), ViewQuery(start_key=["a", 33], end_key=["b", 222])):
        await asked(query)
        first = await answered_reduced(engine, await view_index.rows_of(db, engine, DDOC, view), query)
        again, rows = await asked(query)
        assert again == first
        assert rows < 40, query
    assert (await asked(ViewQuery(group_level=1, descending=True)))[1] < 40
    # One row changes: its block is read again, and no other.
    await edit(db, "100", revs[100], rows=[[["a", 100], 5]])
    whole, rows = await asked(ViewQuery())
    assert rows < 60
    assert rows or reduce == "_count"
    assert whole[0][1] == {"_sum": 304, "_stats": whole[0][1], "_count": 300, COUNT: 300}[reduce]
    assert reduce != "_stats" or whole[0][1]["sum"] == 304
    found = await db.winner("200")
    assert found is not None
    await db.purge({"200": [parse_rev(found.rev)]})
    whole, _ = await asked(ViewQuery())
    assert whole[0][1] == {"_sum": 303, "_stats": whole[0][1], "_count": 299, COUNT: 299}[reduce]
    assert reduce != "_stats" or (whole[0][1]["sum"], whole[0][1]["count"]) == (303, 299)


@pytest.mark.parametrize("reduce", ["_sum", "_count", COUNT])
async def test_what_was_reduced_while_rows_changed_is_not_kept(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch, reduce: str
) -> None:
    keep_small_blocks(monkeypatch)
    monkeypatch.setattr(views, "ROWS", 7)
    monkeypatch.setattr(reducing, "CHUNK", 4)
    revs = [await edit(db, f"{n:03}", rows=[[n, 1]]) for n in range(80)]
    view = View("v", MAP, reduce=reduce)
    source = await view_index.rows_of(db, engine, DDOC, view)
    scan = db.scan_rows
    reads = 0

    async def changing(*given: Any, **options: Any) -> Any:
        nonlocal reads
        rows = await scan(*given, **options)
        reads += 1
        if reads % 3 == 0 and reads < 12:
            revs[reads] = await edit(db, f"{reads:03}", revs[reads], rows=[])
            await view_index.refresh(db, engine, DDOC, view)
        return rows

    monkeypatch.setattr(db, "scan_rows", changing)
    # With a bound, for all rows of a view are not counted: their number is known.
    await answered_reduced(engine, source, ViewQuery(start_key=None))
    monkeypatch.setattr(db, "scan_rows", scan)
    assert reads > 9
    for level in (0, 1):
        source = await view_index.rows_of(db, engine, DDOC, view)
        found = await answered_reduced(engine, source, ViewQuery(start_key=None, group_level=level))
        assert sum(value for _, value in found) == 77


@pytest.mark.parametrize("seed", range(3))
async def test_sums_of_odd_values_are_the_same_with_kept_blocks(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Numbers, lists and objects add up as they do one by one, and what does not is told as before."""
    random = Random(seed)
    kinds: list[Callable[[], Any]] = [
        lambda: random.randrange(-5, 2**40),
        lambda: random.randrange(8) / 4,
        lambda: [random.randrange(3) for _ in range(random.randrange(4))],
        lambda: {random.choice("ab"): random.choice((1, [1, 2], {"c": 1}))},
        lambda: "no number",
    ]
    for name, chosen in (
        ("numbers", kinds[:2]),
        ("lists", kinds[:3]),
        ("objects", kinds[3:4]),
        ("all", kinds),
    ):
        rows = [[n, random.choice(chosen)()] for n in range(60)]
        view = View("v", MAP + f"// {name}", reduce="_sum")
        await edit(db, f"{name}", rows=rows)
        answers = []
        for kept in (False, True, True):
            with monkeypatch.context() as patched:
                if kept:
                    keep_small_blocks(patched)
                source = await view_index.rows_of(db, engine, DDOC, view)
                answers.append(await answered_reduced(engine, source, ViewQuery()))
        assert answers[0] == answers[1] == answers[2]
        tombstone = await db.winner(name)
        assert tombstone is not None
        await edit(db, name, tombstone.rev, _deleted=True)


async def test_a_view_that_was_never_asked_has_no_rows_to_lose(db: Database, engine: Engine) -> None:
    await db.write([doc("a", rows=[[1, 1]])])
    source = await view_index.rows_of(db, engine, DDOC, View("v", MAP), new=False)
    assert await source.state() is None
    assert await answered(source, ViewQuery()) == []


@pytest.mark.timeout(30)
async def test_whoever_comes_between_the_end_of_a_refresh_and_its_clearing_away_starts_another(
    db: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for the one that had ended, for ever and without letting anything else run."""
    view = View("v", "function(doc) { emit(doc._id) }")
    await edit(db, "first")
    late: list[asyncio.Task[None]] = []
    refresh_rows = db.refresh_rows

    async def and_one_comes_at_the_end(signature: str, mapper: RowMapper) -> None:
        await refresh_rows(signature, mapper)
        if not late:
            await edit(db, "second")
            late.append(asyncio.create_task(view_index.refresh(db, engine, DDOC, view)))

    monkeypatch.setattr(db, "refresh_rows", and_one_comes_at_the_end)
    await view_index.start_refresh(db, engine, DDOC, view)
    await late[0]
    state = await db.index_state(view.signature)
    assert state is not None
    assert (state.seq, state.entries) == (db.update_seq, 2)
    assert not view_index.is_refreshing(db, view)
