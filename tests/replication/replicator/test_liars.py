"""Peers that don't do what they should: an error, bounded memory, and nothing stored that wasn't verified."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest

from replication.replicator import LocalPeer, Options, replicate
from replication.replicator.failures import (
    PeerLied,
    PeerRefused,
    TooLarge,
)
from replication.replicator.http_peer import HttpPeer
from replication.replicator.options import parse_endpoint, parse_options
from replication.store.sqlite import SqliteStore
from tests.replication.replicator.liars import (
    OPTIONS,
    REV,
    Answer,
    Liar,
    assert_nothing_stored,
    digest,
    document,
    liar,
    pull,
    store,
)

__all__ = ["liar", "store"]


async def test_an_honest_peer_is_believed(liar: Liar, store: SqliteStore) -> None:
    await pull(liar, store)
    assert (await store.get("db").info()).doc_count == 1


# -- documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        {"_id": "other"},
        {"_id": 5},
        {"_rev": "1-" + "b" * 32},
        {"_rev": "1-" + "b" * 32, "_revisions": {"start": 1, "ids": ["b" * 32]}},
        {"_rev": "2-" + "b" * 32, "_revisions": {"start": 2, "ids": ["b" * 32, "c" * 32]}},
        {"_revisions": {"start": 2, "ids": ["b" * 32, "a" * 32]}},
        {"_attachments": 5},
        {"_attachments": {"a": 5}},
        {"_attachments": {"a": {"stub": True, "content_type": "x/y"}}},
        {"_attachments": {"a": {"stub": True, "digest": "md5-x", "length": -1}}},
        {"_attachments": {"_a": {"stub": True, "digest": "md5-x", "length": 1}}},
        {"_attachments": {"a": {"stub": True, "digest": "md5-x", "length": 1, "encoding": "zip"}}},
        {"_attachments": {"a": {"content_type": "a/b\r\nx: y", "digest": "md5-x", "length": 1}}},
    ],
)
async def test_another_document_than_the_asked_one(
    liar: Liar, store: SqliteStore, lie: dict[str, Any]
) -> None:
    liar.document = {**liar.document, **lie}
    with pytest.raises(PeerLied):
        await pull(liar, store)
    await assert_nothing_stored(store)


@pytest.mark.parametrize(
    "members",
    [{"_revisions": None}, {"_unknown": 1}, {"_deleted": "yes"}, {"_revisions": {"start": 1, "ids": []}}],
)
async def test_a_document_that_is_none_is_left_out_and_reported(
    liar: Liar, store: SqliteStore, members: dict[str, Any]
) -> None:
    liar.document = {**liar.document, **members}
    result = await pull(liar, store)
    assert [each.id for each in result.progress.unreadable] == ["doc"]
    await assert_nothing_stored(store)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"results": 5},
        {"results": [5]},
        {"results": [{"id": "other", "docs": []}]},
        {"results": [{"id": "doc", "docs": 5}]},
        {"results": [{"id": "doc", "docs": [5]}]},
        {"results": [{"id": "doc", "docs": [{"ok": 5}]}]},
        {"results": [{"id": "doc", "docs": [{"ok": document("other")}]}]},
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b'{"results":[{"id":"doc","docs":[{"ok":{"_id":"doc","n":1e999}}]}]}'),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"}),
    ],
    ids=str,
)
async def test_garbage_instead_of_documents(liar: Liar, store: SqliteStore, answer: Answer) -> None:
    liar.bulk_get = lambda docs: answer
    with pytest.raises(PeerLied):
        await pull(liar, store)
    await assert_nothing_stored(store)


async def test_conflicts_in_one_row_keep_their_attachments(liar: Liar, store: SqliteStore) -> None:
    """A peer may answer rows by document instead of by request: one row then answers several requests."""
    texts = {"a": b"first", "b": b"second"}
    revs = {letter: f"1-{letter * 32}" for letter in texts}
    liar.feed = lambda request: {
        "results": [{"seq": "1-x", "id": "doc", "changes": [{"rev": rev} for rev in revs.values()]}],
        "last_seq": "1-x",
        "pending": 0,
    }
    entries = {
        letter: {"stub": True, "content_type": "image/png", "digest": digest(text), "length": len(text)}
        for letter, text in texts.items()
    }
    docs = [
        document(
            _rev=revs[letter],
            _revisions={"start": 1, "ids": [letter * 32]},
            _attachments={"note": entries[letter]},
        )
        for letter in texts
    ]
    liar.bulk_get = lambda asked: {"results": [{"id": "doc", "docs": [{"ok": each} for each in docs]}]}
    contents = iter(texts.values())
    liar.attachment = lambda: httpx.Response(200, content=next(contents))
    await pull(liar, store)
    leaves = {leaf.rev: orjson.loads(leaf.text) for leaf in await store.get("db").leaves("doc")}
    for letter, rev in revs.items():
        assert leaves[rev]["_attachments"]["note"]["digest"] == entries[letter]["digest"]


async def test_documents_nobody_asked_for_are_not_stored(liar: Liar, store: SqliteStore) -> None:
    other = {**document(n=2), "_rev": "1-" + "d" * 32, "_revisions": {"start": 1, "ids": ["d" * 32]}}
    liar.bulk_get = lambda docs: {"results": [{"id": "doc", "docs": [{"ok": liar.document}, {"ok": other}]}]}
    await pull(liar, store)
    assert [leaf.rev for leaf in await store.get("db").leaves("doc")] == [REV]


# -- the feed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"results": {}},
        {"results": [5], "last_seq": "1"},
        {"results": [{"seq": "1"}], "last_seq": "1"},
        {"results": [{"seq": "1", "id": 5, "changes": [{"rev": REV}]}], "last_seq": "1"},
        {"results": [{"seq": "1", "id": "", "changes": [{"rev": REV}]}], "last_seq": "1"},
        {"results": [{"seq": "1", "id": "_local/x", "changes": [{"rev": REV}]}], "last_seq": "1"},
        {"results": [{"seq": "1", "id": "x" * 8000, "changes": [{"rev": REV}]}], "last_seq": "1"},
        {"results": [{"seq": "1", "id": "doc", "changes": [{"rev": "nonsense"}]}], "last_seq": "1"},
        {"results": [{"seq": "1", "id": "doc", "changes": [5]}], "last_seq": "1"},
        {"results": [{"seq": "1", "id": "doc", "changes": [{"rev": REV}]}], "last_seq": 0},
        {"results": [{"seq": "1", "id": "doc", "changes": [{"rev": REV}]}], "last_seq": "x" * 100_000},
        {"results": [{"seq": "1", "id": "doc", "changes": [{"rev": REV}]}], "last_seq": {"a": 1}},
        {"results": [{"seq": 1, "id": "doc", "changes": [{"rev": REV}]}] * 101, "last_seq": 9},
        httpx.Response(200, content=b'{"results":['),
    ],
    ids=lambda answer: str(answer)[:60],
)
async def test_garbage_instead_of_changes(liar: Liar, store: SqliteStore, answer: Answer) -> None:
    liar.feed = lambda request: answer
    with pytest.raises(PeerLied):
        await pull(liar, store)
    await assert_nothing_stored(store)


async def test_a_feed_that_never_ends_ends(liar: Liar, store: SqliteStore) -> None:
    """Always one more change, and always more to come: no more are read than there were at the start."""
    pages = 0

    def endless(request: httpx.Request) -> Answer:
        nonlocal pages
        pages += 1
        row = {"seq": f"{pages}-x", "id": "doc", "changes": [{"rev": REV}]}
        return {"results": [row], "last_seq": f"{pages}-x", "pending": 5}

    liar.feed = endless
    await pull(liar, store)
    assert pages <= 7


@pytest.mark.parametrize("told", [{"update_seq": "2-x"}, {"update_seq": "opaque", "doc_count": 2}])
async def test_a_feed_that_goes_in_circles_ends(liar: Liar, store: SqliteStore, told: dict[str, Any]) -> None:
    liar.info = {"db_name": "db", "instance_start_time": "0", **told}
    pages = 0

    def circling(request: httpx.Request) -> Answer:
        nonlocal pages
        pages += 1
        seq = f"{pages % 2}-x"
        return {"results": [{"seq": seq, "id": "doc", "changes": [{"rev": REV}]}], "last_seq": seq}

    liar.feed = circling
    await pull(liar, store)
    assert pages <= 3


class Endless(httpx.AsyncByteStream):
    """Gigabytes, made as they are read."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._head = head
        self._piece = piece
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        while self.sent < 10 * 1024**3:
            self.sent += len(self._piece)
            yield self._piece


async def test_query_params_do_not_change_what_the_feed_is(liar: Liar, store: SqliteStore) -> None:
    """They belong to a filter's function: without one they count for nothing, as in CouchDB."""
    asked: list[httpx.QueryParams] = []
    honest = liar.feed

    def feed(request: httpx.Request) -> Answer:
        asked.append(request.url.params)
        return honest(request)

    liar.feed = feed
    params = {"filter": "other/one", "feed": "continuous", "descending": "true", "x": "1"}
    for filtered in (False, True):
        chosen = parse_options({"query_params": params, **({"filter": "_design"} if filtered else {})})
        await replicate(liar.peer(), LocalPeer(store, "db"), replace(OPTIONS, feed=chosen.feed))
    unfiltered, filtered_by = asked[0], asked[-1]
    assert set(unfiltered) == {"style", "since", "limit"}
    assert set(filtered_by) == {"style", "since", "limit", "filter", "x"}
    assert filtered_by["filter"] == "_design"


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """The most memory that was in use, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("where", ["info", "feed", "bulk_get", "attachment"])
async def test_answers_of_ten_gigabytes(
    liar: Liar, store: SqliteStore, where: str, traced: Callable[[], int]
) -> None:
    stream = Endless(b'{"results":[', b" " * 65536)
    endless = httpx.Response(200, stream=stream)
    if where == "info":
        liar.info = endless
    elif where == "feed":
        liar.feed = lambda request: httpx.Response(200, stream=stream)
    elif where == "bulk_get":
        liar.bulk_get = lambda docs: httpx.Response(200, stream=stream)
    else:
        entry = {"stub": True, "content_type": "x/y", "digest": digest(b"x"), "length": 100_000, "revpos": 1}
        liar.document["_attachments"] = {"a": entry}
        liar.attachment = lambda: httpx.Response(200, stream=stream)
    if where == "bulk_get":
        # One document of that size may be an accident: the others are worth having.
        result = await pull(liar, store)
        assert "larger than" in result.progress.unreadable[0].reason
    else:
        with pytest.raises((TooLarge, PeerLied)):
            await pull(liar, store)
    await assert_nothing_stored(store)
    assert stream.sent < 100 * 1024**2
    assert traced() < 100 * 1024**2


async def test_an_endless_error_is_not_read(liar: Liar, store: SqliteStore) -> None:
    stream = Endless(b"", b"x" * 65536)
    liar.info = httpx.Response(400, stream=stream)
    with pytest.raises(PeerRefused):
        await pull(liar, store)
    assert stream.sent < 1024**2


# -- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/_revs_diff", []),
        ("/_revs_diff", {"never heard of": {"missing": [REV]}}),
        ("/_revs_diff", {"doc": {"missing": ["9-" + "f" * 32]}}),
        ("/_revs_diff", {"doc": {"missing": ["nonsense"]}}),
        ("/_revs_diff", {"doc": {"missing": 5}}),
        ("/_revs_diff", {"doc": 5}),
        ("/_revs_diff", {"doc": {"missing": [REV], "possible_ancestors": [5]}}),
        ("/_bulk_docs", {}),
        ("/_bulk_docs", [5]),
        ("/_bulk_docs", [{"id": "other", "error": "forbidden"}]),
        ("/_bulk_docs", httpx.Response(412, json={"error": "missing_stub", "reason": "which"})),
        ("/_bulk_docs", [{"id": "doc", "error": "missing_stub"}]),
    ],
    ids=str,
)
async def test_targets_that_answer_nonsense(
    liar: Liar, store: SqliteStore, path: str, answer: Answer
) -> None:
    def target(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/db" + path:
            return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)
        if request.url.path == "/db/_revs_diff":
            return httpx.Response(200, json={"doc": {"missing": [REV]}})
        return httpx.Response(200, json={"update_seq": "0", "instance_start_time": "0"})

    peer = HttpPeer(parse_endpoint("http://target/db"), transport=httpx.MockTransport(target), retries=0)
    with pytest.raises(PeerLied):
        await replicate(liar.peer(), peer, OPTIONS)


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"session_id": 5, "source_last_seq": "9-x", "history": "none"},
        {"session_id": "s", "history": [5, {"session_id": 5}, {}]},
        {"history": [{"session_id": "s", "recorded_seq": None}]},
        {},
    ],
)
async def test_checkpoints_that_are_none_count_for_nothing(
    liar: Liar, store: SqliteStore, checkpoint: dict[str, Any]
) -> None:
    answered = liar.__call__

    def with_checkpoint(request: httpx.Request) -> httpx.Response:
        if "/_local/" in request.url.path:
            return httpx.Response(200, json={"_id": "x", "_rev": "0-1", **checkpoint})
        return answered(request)

    peer = HttpPeer(
        parse_endpoint("http://liar/db"), transport=httpx.MockTransport(with_checkpoint), retries=0
    )
    await replicate(peer, LocalPeer(store, "db"), Options(retries=0))
    assert (await store.get("db").info()).doc_count == 1


# -- what a peer may have and we can't ------------------------------------------------------------


@pytest.mark.parametrize("docid", ["x\0y", "i" * 10_000])
async def test_an_id_that_no_document_of_ours_has_stops_no_other(
    liar: Liar, store: SqliteStore, docid: str
) -> None:
    liar.feed = lambda request: {
        "results": [
            {"seq": "1-x", "id": docid, "changes": [{"rev": REV}]},
            {"seq": "2-x", "id": "doc", "changes": [{"rev": REV}]},
        ],
        "last_seq": "2-x",
        "pending": 0,
    }
    with pytest.raises(PeerLied):
        await pull(liar, store)
    result = await pull(liar, store, lenient=True)
    assert [(one.id, one.rev) for one in result.progress.unreadable] == [(docid, REV)]
    assert await store.get("db").winner("doc") is not None


async def test_a_text_that_is_nested_too_deep_stops_no_other(liar: Liar, store: SqliteStore) -> None:
    rows = [{"seq": "1-x", "id": docid, "changes": [{"rev": REV}]} for docid in ("deep", "doc")]
    liar.feed = lambda request: {"results": rows, "last_seq": "1-x", "pending": 0}
    deep = b"[" * 2000 + b"]" * 2000

    def bulk_get(docs: list[Any]) -> Answer:
        texts = [
            b'{"id":"deep","docs":[{"ok":{"_id":"deep","x":%b}}]}' % deep
            if one["id"] == "deep"
            else orjson.dumps({"id": "doc", "docs": [{"ok": liar.document}]})
            for one in docs
        ]
        return httpx.Response(200, content=b'{"results":[%b]}' % b",".join(texts))

    liar.bulk_get = bulk_get
    with pytest.raises(PeerLied):
        await pull(liar, store)
    result = await pull(liar, store, lenient=True)
    (left,) = result.progress.unreadable
    assert left.id == "deep"
    assert "nested" in left.reason
    assert await store.get("db").winner("doc") is not None


@pytest.mark.parametrize("answer", [b"<html>", b"\xff\xfe", b'{"results":'])
async def test_what_is_no_answer_at_all_is_never_passed_over(
    liar: Liar, store: SqliteStore, answer: bytes
) -> None:
    liar.bulk_get = lambda docs: httpx.Response(200, content=answer)
    with pytest.raises(PeerLied):
        await pull(liar, store, lenient=True)
    await assert_nothing_stored(store)


async def test_odd_attachments_are_passed_over_with_their_document(liar: Liar, store: SqliteStore) -> None:
    liar.document["_attachments"] = {"a": {"content_type": "a/b\r\nx: y", "digest": "md5-x", "length": 1}}
    result = await pull(liar, store, lenient=True)
    assert [one.id for one in result.progress.unreadable] == ["doc"]
    await assert_nothing_stored(store)
