"""What a replication does, over all pairs of peers."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from replication.replicator import Options, Progress, ReplicationError, Result, replicate
from replication.replicator.checkpoints import MAX_HISTORY
from replication.replicator.failures import DatabaseMissing, InvalidReplication
from replication.replicator.options import parse_options
from tests.needs import COUCHDB_URL
from tests.replication.replicator.conftest import Open, Side

PAIRS = [("local", "local"), ("local", "server"), ("server", "local"), ("server", "server")]
if COUCHDB_URL:
    PAIRS += [("couchdb", "local"), ("local", "couchdb"), ("couchdb", "server"), ("server", "couchdb")]


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
async def ends(pair: tuple[str, str], side: Open) -> tuple[Side, Side]:
    return await side(pair[0]), await side(pair[1])


async def run(source: Side, target: Side, **members: Any) -> Result:
    options = parse_options(members)
    return await replicate(source.peer(options), target.peer(options), options)


def history(rev: int, *ids: str) -> dict[str, Any]:
    return {"_rev": f"{rev}-{ids[0]}", "_revisions": {"start": rev, "ids": list(ids)}}


async def test_documents_conflicts_deletions_and_histories(ends: tuple[Side, Side]) -> None:
    source, target = ends
    await source.put("plain", a=1)
    rev = await source.put("edited", n=1)
    await source.put("edited", n=2, _rev=rev)
    rev = await source.put("gone", n=1)
    await source.client.delete(source.path("gone"), params={"rev": rev})
    await source.store(
        {"_id": "split", **history(3, "c" * 32, "b" * 32, "a" * 32), "side": "left"},
        {"_id": "split", **history(3, "d" * 32, "b" * 32, "a" * 32), "side": "right"},
        {"_id": "split", **history(2, "e" * 32, "a" * 32), "_deleted": True},
        {"_id": "_design/x", **history(1, "f" * 32), "language": "query", "views": {}},
    )
    result = await run(source, target)
    assert await target.state() == await source.state()
    statistics = result.progress.statistics
    assert (statistics.docs_written, statistics.doc_write_failures) == (7, 0)
    assert not result.no_changes


async def test_a_second_run_does_nothing_and_a_third_only_what_is_new(ends: tuple[Side, Side]) -> None:
    source, target = ends
    for number in range(25):
        await source.put(f"doc{number}", n=number)
    first = await run(source, target, worker_batch_size=10)
    second = await run(source, target, worker_batch_size=10)
    assert second.no_changes
    assert second.document == first.document or second.members()["history"] == first.members()["history"]
    await source.put("new", n=1)
    third = await run(source, target)
    assert third.progress.statistics.missing_checked == 1
    assert third.progress.statistics.docs_written == 1
    assert await target.state() == await source.state()


async def test_awkward_ids_and_numbers(ends: tuple[Side, Side]) -> None:
    source, target = ends
    for docid in ("a/b", "ü%2F+ &?#", "_design/a/b", "x" * 500, "a b", "ä", ":", "\U0001f600"):
        await source.put(
            docid, big=2**80, negative=-(2**63), float=1.5e300, text="\u0000\u2028ß", nested=[[{}]]
        )
    await run(source, target)
    assert await target.state() == await source.state()


async def test_another_attachment_of_an_old_name(ends: tuple[Side, Side]) -> None:
    """A document made again on a deleted one: CouchDB says that its attachments are of generation 1."""
    source, target = ends
    old, new = os.urandom(100_000), os.urandom(100_000)
    rev = await source.attach("doc", "note", old, "text/plain")
    await run(source, target)
    await source.client.delete(source.path("doc"), params={"rev": rev})
    await run(source, target)
    await source.attach("doc", "note", new, "text/plain")
    await source.attach("other", "note", new, "image/png")
    await run(source, target)
    assert await target.attachment("doc", "note") == new
    assert await target.state() == await source.state()
    # The same after an edit: what is there is not sent again, and is what it was.
    doc = await source.get("doc")
    await source.put("doc", **{**doc, "n": 1})
    await run(source, target)
    assert await target.attachment("doc", "note") == new
    assert await target.state() == await source.state()


async def test_ids_and_names_that_a_path_would_swallow(ends: tuple[Side, Side]) -> None:
    """An HTTP library takes `/db/..` for `/`: what is meant for a document would reach something else."""
    source, target = ends
    name, data = "../../_all_dbs", os.urandom(100_000)
    entry = {"content_type": "image/png", "data": b64encode(data).decode("ascii")}
    for docid in (".", "..", "...", "plain"):
        await source.put(docid, _attachments={name: entry})
    result = await run(source, target)
    assert (result.progress.refused, result.progress.unreadable) == ([], [])
    for docid in (".", "..", "...", "plain"):
        found = await target.get(docid, attachments="true")
        assert found["_attachments"][name]["data"] == entry["data"]


async def test_attachments_small_large_and_compressible(ends: tuple[Side, Side]) -> None:
    source, target = ends
    large = os.urandom(300_000)
    text = b"the same line again and again\n" * 10_000
    rev = await source.put("doc", n=1)
    rev = await source.attach("doc", "small.bin", b"tiny", "application/octet-stream", rev)
    rev = await source.attach("doc", "large file/ü.bin", large, "image/png", rev)
    rev = await source.attach("doc", "text.txt", text, "text/plain", rev)
    await source.attach("doc", "empty", b"", "application/octet-stream", rev)
    await run(source, target)
    assert await target.state() == await source.state()
    assert await target.attachment("doc", "large file/ü.bin") == large
    assert await target.attachment("doc", "text.txt") == text
    doc = await source.get("doc")
    del doc["_attachments"]["small.bin"]
    doc["n"] = 2
    rev = await source.put("doc", **doc)
    await source.attach("doc", "later", b"more" * 50_000, "image/png", rev)
    await run(source, target)
    assert await target.state() == await source.state()


async def test_by_ids_selector_and_builtin_filter(
    ends: tuple[Side, Side], side: Open, pair: tuple[str, str]
) -> None:
    source, first = ends
    second, third = await side(pair[1]), await side(pair[1])
    for number in range(30):
        await source.put(f"doc{number:02}", n=number)
    await source.put("_design/x", views={})
    await run(source, first, doc_ids=["doc03", "doc07", "nowhere"])
    assert sorted(await first.state()) == ["doc03", "doc07"]
    await run(source, second, selector={"n": {"$gte": 25}}, worker_batch_size=4)
    assert sorted(await second.state()) == [f"doc{number}" for number in range(25, 30)]
    await run(source, third, filter="_design")
    assert sorted(await third.state()) == ["_design/x"]
    # Another filter is another replication: it does not go on from the first one's checkpoint.
    await run(source, first)
    assert await first.state() == await source.state()


async def test_winning_revisions_only(ends: tuple[Side, Side]) -> None:
    source, target = ends
    await source.store(
        {"_id": "split", **history(2, "b" * 32, "a" * 32), "side": "wins"},
        {"_id": "split", **history(2, "a1" * 16, "a" * 32), "side": "loses"},
    )
    await run(source, target, winning_revs_only=True)
    state = await target.state()
    assert list(state["split"]["leaves"]) == [state["split"]["winner"]]
    assert state["split"]["winner"] == (await source.state())["split"]["winner"]


async def test_missing_databases(pair: tuple[str, str], side: Open) -> None:
    source, target = await side(pair[0], create=False), await side(pair[1], create=False)
    with pytest.raises(DatabaseMissing, match=source.name):
        await run(source, target)
    await source.create()
    await source.put("doc", a=1)
    with pytest.raises(DatabaseMissing, match=target.name):
        await run(source, target)
    await run(source, target, create_target=True)
    await run(source, target, create_target=True)
    assert await target.state() == await source.state()


async def test_a_target_is_made_as_the_parameters_say(pair: tuple[str, str], side: Open) -> None:
    source, target = await side(pair[0]), await side(pair[1], create=False)
    await source.put("part:doc", a=1)
    await run(
        source, target, create_target=True, create_target_params={"partitioned": "true", "q": "1", "n": "1"}
    )
    facts = (await target.client.get(target.path())).json()
    assert facts["props"] == {"partitioned": True}
    assert await target.state() == await source.state()
    # It is there, so the parameters ask for nothing any more.
    await run(source, target, create_target=True, create_target_params={"partitioned": "false"})


async def test_parameters_that_no_database_has(pair: tuple[str, str], side: Open) -> None:
    source, target = await side(pair[0]), await side(pair[1], create=False)
    with pytest.raises(ReplicationError, match="`q` value should be a positive integer"):
        await run(source, target, create_target=True, create_target_params={"q": "0"})
    with pytest.raises(DatabaseMissing):
        await run(source, target)


async def test_both_ends_keep_the_same_checkpoint(ends: tuple[Side, Side]) -> None:
    source, target = ends
    result = None
    for number in range(3):
        await source.put(f"doc{number}", n=number)
        result = await run(source, target)
    assert result is not None
    ours, theirs = [await each.get(f"_local/{result.id}") for each in ends]
    for document in (ours, theirs):
        assert document.pop("_id") == f"_local/{result.id}"
        assert document.pop("_rev").startswith("0-")
    assert ours == theirs == result.document
    assert list(ours) == ["session_id", "source_last_seq", "replication_id_version", "history"]
    assert len(ours["history"]) == 3 <= MAX_HISTORY
    assert ours["history"][0]["session_id"] == ours["session_id"]
    assert list(ours["history"][0]) == [
        "session_id", "start_time", "end_time", "start_last_seq", "end_last_seq", "recorded_seq",
        "missing_checked", "missing_found", "docs_read", "docs_written", "doc_write_failures",
        "bulk_get_docs", "bulk_get_attempts",
    ]  # fmt: skip


async def test_without_checkpoints_nothing_is_left_behind(ends: tuple[Side, Side]) -> None:
    source, target = ends
    await source.put("doc", n=1)
    for _ in range(2):
        result = await run(source, target, use_checkpoints=False)
        assert result.progress.statistics.missing_checked == 1
        assert await source.get(f"_local/{result.id}") is None
        assert await target.get(f"_local/{result.id}") is None


async def test_since_seq_leaves_out_what_was_before(ends: tuple[Side, Side]) -> None:
    source, target = ends
    await source.put("before", n=1)
    info = (await source.client.get(source.path())).json()
    await source.put("behind", n=1)
    await run(source, target, since_seq=info["update_seq"])
    assert list(await target.state()) == ["behind"]


async def test_a_target_made_again_gets_everything_again(ends: tuple[Side, Side]) -> None:
    source, target = ends
    await source.put("doc", n=1)
    await run(source, target)
    await target.client.delete(target.path())
    await target.create()
    await run(source, target)
    assert await target.state() == await source.state()


async def until(condition: Callable[[], Awaitable[Any]], task: asyncio.Task[Result]) -> None:
    """Waits for something that a running replication brings about."""
    async with asyncio.timeout(20):
        while not await condition():
            if task.done():
                task.result()
            await asyncio.sleep(0.05)


async def is_checkpointed(progress: Progress) -> bool:
    return bool(progress.checkpointed_seq == progress.through_seq)


@pytest.mark.slow
async def test_a_continuous_replication_goes_on_with_new_changes(ends: tuple[Side, Side]) -> None:
    source, target = ends
    await source.put("first", n=1)
    options = Options(continuous=True, checkpoint_interval=0.2)
    progresses: list[Progress] = []
    task = asyncio.create_task(
        replicate(source.peer(options), target.peer(options), options, notify=progresses.append)
    )
    try:
        for docid in ("first", "second", "third"):
            if docid != "first":
                await source.put(docid, n=1)
            await until(partial(target.get, docid), task)
        await until(lambda: is_checkpointed(progresses[-1]), task)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    again = await run(source, target)
    assert again.no_changes


async def test_a_filter_function_that_is_not_there(ends: tuple[Side, Side]) -> None:
    with pytest.raises(InvalidReplication, match="no filter function"):
        await run(*ends, filter="nowhere/nothing")


async def test_nothing_is_written_twice(ends: tuple[Side, Side]) -> None:
    """What the target has already, from wherever, is not fetched."""
    source, target = ends
    for end in ends:
        await end.store({"_id": "same", **history(1, "a" * 32), "n": 1})
    result = await run(source, target)
    statistics = result.progress.statistics
    assert (statistics.missing_checked, statistics.missing_found, statistics.docs_read) == (1, 0, 0)
