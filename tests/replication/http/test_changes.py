"""The changes feed: rows, `since` and `limit`, documents, framing. Feeds that wait are in `live`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.replication.http.batches import A, B, C, D, replicate, revision
from tests.replication.http.changes import ALL, changes, ids
from tests.replication.http.refusals import refused

# -- rows and framing --------------------------------------------------------------------------


async def test_framing_is_couchdbs(client: httpx.AsyncClient, db: str) -> None:
    response = await client.get(f"{db}/_changes")
    last = response.json()["last_seq"]
    assert response.text == f'{{"results":[\n\n],\n"last_seq":"{last}","pending":0}}\n\n'
    await replicate(client, db, revision("a", 1, [A]), revision("b", 1, [B]))
    response = await client.get(f"{db}/_changes")
    first, second = (row["seq"] for row in response.json()["results"])
    assert response.text == (
        '{"results":[\n'
        f'{{"seq":"{first}","id":"a","changes":[{{"rev":"1-{A}"}}]}},\n'
        f'{{"seq":"{second}","id":"b","changes":[{{"rev":"1-{B}"}}]}}\n'
        f'],\n"last_seq":"{second}","pending":0}}\n\n'
    )
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "must-revalidate"


async def test_sequences_begin_with_an_integer(client: httpx.AsyncClient, feed: str) -> None:
    numbers = [int(row["seq"].partition("-")[0]) for row in (await changes(client, feed))["results"]]
    assert numbers == sorted(numbers)


async def test_each_document_is_listed_once_in_order_of_its_last_change(
    client: httpx.AsyncClient, feed: str
) -> None:
    assert ids(await changes(client, feed)) == ALL
    await replicate(client, feed, revision("d1", 2, [B, A]))
    assert ids(await changes(client, feed)) == ["d0", "d2", "d3", "_design/d", "d4", "x", "d1"]


async def test_deleted_describes_the_winner(client: httpx.AsyncClient, feed: str) -> None:
    rows = {row["id"]: row for row in (await changes(client, feed, "style=all_docs"))["results"]}
    assert rows["d4"]["deleted"] is True
    assert "deleted" not in rows["x"]
    assert "deleted" not in rows["d0"]


async def test_style_all_docs_lists_every_leaf_winner_first(client: httpx.AsyncClient, feed: str) -> None:
    row = (await changes(client, feed, "style=all_docs"))["results"][-1]
    assert row["changes"] == [{"rev": f"2-{C}"}, {"rev": f"2-{B}"}, {"rev": f"2-{D}"}]
    row = (await changes(client, feed, "style=main_only"))["results"][-1]
    assert row["changes"] == [{"rev": f"2-{C}"}]


async def test_local_documents_are_not_in_the_feed(client: httpx.AsyncClient, feed: str) -> None:
    await client.put(f"{feed}/_local/x", json={})
    assert ids(await changes(client, feed)) == ALL


async def test_purged_documents_vanish(client: httpx.AsyncClient, feed: str) -> None:
    await client.post(f"{feed}/_purge", json={"d2": [f"1-{A}"]})
    assert ids(await changes(client, feed)) == ["d0", "d1", "d3", "_design/d", "d4", "x"]


# -- since, limit, descending ------------------------------------------------------------------


async def test_since_goes_on_behind_a_sequence(client: httpx.AsyncClient, feed: str) -> None:
    rows = (await changes(client, feed))["results"]
    for place, row in enumerate(rows):
        assert ids(await changes(client, feed, f"since={row['seq']}")) == ALL[place + 1 :]


async def test_since_quoted_as_json(client: httpx.AsyncClient, feed: str) -> None:
    seq = (await changes(client, feed))["results"][4]["seq"]
    assert ids(await changes(client, feed, "since=" + quote(f'"{seq}"'))) == ALL[5:]


async def test_since_now_is_the_end(client: httpx.AsyncClient, feed: str) -> None:
    answer = await changes(client, feed, "since=now")
    whole = await changes(client, feed)
    assert answer == {"results": [], "last_seq": whole["last_seq"], "pending": 0}


async def test_since_beyond_the_end_finds_nothing(client: httpx.AsyncClient, feed: str) -> None:
    number, _, epoch = (await changes(client, feed))["last_seq"].partition("-")
    answer = await changes(client, feed, f"since={int(number) + 10}-{epoch}")
    assert answer == {"results": [], "last_seq": f"{number}-{epoch}", "pending": 0}


@pytest.mark.parametrize("since", ["abc", "", "-1", "null", "[]", "1-ABC", "99999-g1AAAA", '"x"'])
async def test_since_that_is_no_sequence_is_400(client: httpx.AsyncClient, feed: str, since: str) -> None:
    for name in ("since", "last-event-id"):
        assert refused(await client.get(f"{feed}/_changes?{name}={quote(since)}")) == (
            400,
            "bad_request",
            "Malformed sequence supplied in 'since' parameter.",
        )


async def test_limit_and_pending(client: httpx.AsyncClient, feed: str) -> None:
    answer = await changes(client, feed, "limit=3")
    assert ids(answer) == ALL[:3]
    assert answer["last_seq"] == answer["results"][-1]["seq"]
    assert answer["pending"] == 4
    answer = await changes(client, feed, f"limit=100&since={answer['last_seq']}")
    assert ids(answer) == ALL[3:]
    assert answer["pending"] == 0


async def test_limit_0_answers_no_rows_and_what_is_pending(client: httpx.AsyncClient, feed: str) -> None:
    answer = await changes(client, feed, "limit=0")
    assert (answer["results"], answer["pending"]) == ([], 7)
    assert ids(await changes(client, feed, f"since={answer['last_seq']}")) == ALL


@pytest.mark.parametrize("limit", ["-1", "7", "99999999999999999999"])
async def test_limit_of_all(client: httpx.AsyncClient, feed: str, limit: str) -> None:
    assert ids(await changes(client, feed, f"limit={limit}")) == ALL


async def test_descending_begins_at_the_end_whatever_since_says(client: httpx.AsyncClient, feed: str) -> None:
    for query in ("descending=true", "descending=true&since=now"):
        answer = await changes(client, feed, query)
        assert ids(answer) == ALL[::-1]
        assert answer["last_seq"] == answer["results"][-1]["seq"]
        assert answer["pending"] == 0
    answer = await changes(client, feed, "descending=true&limit=2")
    assert ids(answer) == ["x", "d4"]
    assert answer["last_seq"] == answer["results"][-1]["seq"]
    assert answer["pending"] == 5
    assert (await changes(client, feed, "descending=true&limit=0"))["pending"] == 7


async def test_seq_interval_leaves_sequences_out(client: httpx.AsyncClient, feed: str) -> None:
    async def given(query: str) -> list[bool]:
        rows = (await changes(client, feed, query))["results"]
        return [row["seq"] is not None for row in rows]

    assert await given("seq_interval=2") == [True, False, True, False, True, False, True]
    assert await given("seq_interval=2&limit=3") == [False, True, False]
    assert await given("seq_interval=3&limit=5") == [False, False, True, False, False]
    assert await given("seq_interval=1&limit=2") == [True, True]


# -- documents ---------------------------------------------------------------------------------


async def test_include_docs_adds_the_winner(client: httpx.AsyncClient, feed: str) -> None:
    rows = (await changes(client, feed, "include_docs=true&style=all_docs"))["results"]
    assert rows[0]["doc"] == {"_id": "d0", "_rev": f"1-{A}", "n": 0, "t": "even"}
    assert rows[5]["doc"] == {"_id": "d4", "_rev": f"2-{B}", "_deleted": True}
    assert rows[6]["doc"] == {"_id": "x", "_rev": f"2-{C}", "t": "even"}
    assert list(rows[5]) == ["seq", "id", "changes", "deleted", "doc"]


async def test_conflicts_are_told_with_the_document_only(client: httpx.AsyncClient, feed: str) -> None:
    rows = (await changes(client, feed, "include_docs=true&conflicts=true"))["results"]
    assert rows[6]["doc"]["_conflicts"] == [f"2-{B}"]
    assert "_conflicts" not in rows[0]["doc"]
    assert rows[6]["changes"] == [{"rev": f"2-{C}"}]
    assert "doc" not in (await changes(client, feed, "conflicts=true"))["results"][6]


async def test_attachments_are_stubs_unless_asked_for(client: httpx.AsyncClient, db: str) -> None:
    attachments = {"h.png": {"content_type": "image/png", "data": "aGVsbG8="}}
    await client.put(f"{db}/a", json={"_attachments": attachments})

    async def entry(query: str) -> Any:
        return (await changes(client, db, query))["results"][0]["doc"]["_attachments"]["h.png"]

    assert (await entry("include_docs=true"))["stub"] is True
    assert (await entry("include_docs=true&attachments=true"))["data"] == "aGVsbG8="
    assert (await entry("include_docs=true&att_encoding_info=true"))["stub"] is True


async def test_att_encoding_info_tells_of_gzip(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/a/t.txt", content=b"text " * 500, headers={"content-type": "text/plain"})
    query = "include_docs=true&att_encoding_info=true"
    entry = (await changes(client, db, query))["results"][0]["doc"]["_attachments"]["t.txt"]
    if "encoding" in entry:
        assert entry["encoding"] == "gzip"
        assert entry["encoded_length"] < entry["length"] == 2500
