"""A changes feed of many pages: they join, and none is large."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from replication.http import changes_pages
from replication.store.interface import Store
from tests.replication.http.batches import A, replicate, revision
from tests.replication.http.changes import changes, ids

MANY = 137


@pytest.fixture
async def many(client: httpx.AsyncClient, db: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """More rows than fit a page of any kind."""
    monkeypatch.setattr(changes_pages, "ROWS", 10)
    monkeypatch.setattr(changes_pages, "SCANNED_ROWS", 10)
    monkeypatch.setattr(changes_pages, "FIRST_ROWS_WITH_DOCS", 3)
    docs = [revision(f"d{n:03}", 1, [A], n=n, even=n % 2 == 0) for n in range(MANY)]
    docs += [revision("_design/d", 1, [A]), revision("last", 1, [A], even=True)]
    await replicate(client, db, *docs)
    return db


NAMES = [*(f"d{n:03}" for n in range(MANY)), "_design/d", "last"]


@pytest.mark.parametrize(
    "query",
    ["", "style=all_docs", "include_docs=true", "include_docs=true&conflicts=true", "filter=_doc_ids"],
)
async def test_pages_join_without_gap_or_repetition(client: httpx.AsyncClient, many: str, query: str) -> None:
    body = {"doc_ids": NAMES}
    whole = await changes(client, many, query, body)
    assert ids(whole) == NAMES
    assert whole["pending"] == 0
    assert whole["last_seq"] == whole["results"][-1]["seq"]
    assert ids(await changes(client, many, query + "&descending=true", body)) == NAMES[::-1]
    for limit in (9, 10, 11, 20, 138):
        answer = await changes(client, many, f"{query}&limit={limit}", body)
        assert ids(answer) == NAMES[:limit]
        assert answer["pending"] == len(NAMES) - limit
        assert answer["last_seq"] == answer["results"][-1]["seq"]


async def test_filtered_pages_join(client: httpx.AsyncClient, many: str) -> None:
    even = [name for name in NAMES[:MANY] if int(name[1:]) % 2 == 0] + ["last"]
    body = {"selector": {"even": True}}
    assert ids(await changes(client, many, "filter=_selector", body)) == even
    assert ids(await changes(client, many, "filter=_selector&descending=true", body)) == even[::-1]
    answer = await changes(client, many, "filter=_selector&limit=40", body)
    assert ids(answer) == even[:40]
    assert answer["pending"] == len(NAMES) - 79
    assert ids(await changes(client, many, "filter=_design")) == ["_design/d"]
    assert ids(await changes(client, many, "filter=_design&descending=true")) == ["_design/d"]


async def test_seq_interval_counts_over_pages(client: httpx.AsyncClient, many: str) -> None:
    rows = (await changes(client, many, "seq_interval=4&limit=100"))["results"]
    assert [place for place, row in enumerate(rows) if row["seq"]] == list(range(0, 100, 4))


@pytest.mark.alone("counts what one process reads from its file")
async def test_pages_with_large_documents_are_small(
    client: httpx.AsyncClient, db: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replicate(client, db, *(revision(f"d{n:03}", 1, [A], x="x" * 100_000) for n in range(100)))
    database = store.get("db")
    sizes = []
    read = database.changes

    async def watched(*args: Any, **options: Any) -> Any:
        page = await read(*args, **options)
        sizes.append(len(page.rows))
        return page

    monkeypatch.setattr(database, "changes", watched)
    assert len((await changes(client, db, "include_docs=true"))["results"]) == 100
    assert max(sizes[1:]) < 2 * changes_pages.PAGE_SIZE


async def test_a_row_is_never_split_at_a_separator_in_its_text(client: httpx.AsyncClient, db: str) -> None:
    docid = 'a,\n"changes":[{"rev":"9-f"}]'
    await client.put(f"{db}/{quote(docid, safe='')}", json={"text": ',\n{"seq":1}'})
    body = {"selector": {"text": {"$exists": True}}}
    for query in ("include_docs=true", "include_docs=true&seq_interval=2&limit=1"):
        (row,) = (await changes(client, db, query))["results"]
        assert (row["id"], row["doc"]["text"]) == (docid, ',\n{"seq":1}')
    (row,) = (await changes(client, db, "filter=_selector&style=all_docs", body))["results"]
    assert row["id"] == docid
    lines = (await client.get(f"{db}/_changes?feed=continuous&timeout=1&include_docs=true")).text
    assert json.loads(lines.splitlines()[0])["doc"]["text"] == ',\n{"seq":1}'
