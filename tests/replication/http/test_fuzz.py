"""Requests that nobody would think of: the server answers each of them properly, and stays whole.

Hypothesis makes requests from the parts of real ones: segments, parameters and documents, good, bad and
mangled. Whatever comes, the answer is one that the protocol knows, it comes soon, and it is no 500; in the
end the documents that were there before are there as they were, and the doctor finds nothing.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replication.http import Application, create_app
from replication.http.server import ServerConfig
from replication.store.sqlite import SqliteStore
from replication.store.sqlite.doctor import examine
from tests.examples import examples
from tests.replication.http.raw import Answer, ask

A, B = "a" * 32, "b" * 32
SECONDS = 5.0
"""That one answer may take; most take milliseconds."""

SENTINELS: list[dict[str, Any]] = [
    {"_id": "sentinel", "_rev": f"1-{A}", "text": "stays"},
    {"_id": "sentinel2", "_rev": f"1-{A}"},
    {"_id": "sentinel2", "_rev": f"1-{B}"},
    {"_id": "sentinel3", "_rev": f"1-{A}", "_attachments": {"file": {"data": "aGVsbG8=", "revpos": 1}}},
]

# -- requests ----------------------------------------------------------------------------------------

GARBAGE = st.one_of(
    st.sampled_from([
        "", ".", "..", "%2e%2e", "%00", "%ff", "%zz", "%", "+", "%2F", "_", "__", "-", "null", "undefined",
        "[]", "{}", "0", "-1", "1e9", "9" * 40, "%22", "%27", "%0d%0a", ";", "$", "~", "a" * 300, "*",
        "%F0%9F%98%80",
    ]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#"), max_size=8),
)  # fmt: skip

DOCIDS = st.sampled_from(
    ["a", "b", "c", "_design/d", "_design%2Fd", "_local/l", "_local%2Fl", "%C3%A4", "x%2Fy"]
)
BELOW = st.sampled_from([
    "_all_docs", "_all_docs/queries", "_design_docs", "_design_docs/queries", "_local_docs", "_changes",
    "_bulk_docs",
    "_bulk_get", "_revs_diff", "_missing_revs", "_ensure_full_commit", "_find", "_explain", "_index",
    "_index/_bulk_delete", "_index/_design/i/json/i", "_security", "_revs_limit", "_compact", "_view_cleanup",
    "_purge", "_design/d/_view/v", "_design/d/_info", "_design/d/_update/u", "_shards", "_purged_infos",
])  # fmt: skip
ROOTS = st.sampled_from([
    "", "_up", "_uuids", "_all_dbs", "_dbs_info", "_active_tasks", "_session", "_membership", "_utils",
    "_node/_local",
    "_scheduler/jobs", "_scheduler/docs", "_db_updates",
])  # fmt: skip
DATABASES = st.sampled_from(["db", "db", "other", "other", "Other"])

METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "COPY", "OPTIONS", "PATCH", "TRACE"])
FOR_DOCUMENTS = st.sampled_from(["GET", "GET", "PUT", "PUT", "PUT", "DELETE", "COPY", "HEAD", "POST"])
FOR_ENDPOINTS = st.sampled_from(["POST", "POST", "POST", "GET", "GET", "PUT", "DELETE"])
FILES = st.one_of(st.sampled_from(["f", "g/h"]), GARBAGE)
PARTS = st.lists(st.one_of(GARBAGE, DOCIDS, BELOW, DATABASES), max_size=5)

TARGETS = st.one_of(
    st.tuples(METHODS, ROOTS.map(lambda root: f"/{root}")),
    st.tuples(METHODS, DATABASES.map(lambda name: f"/{name}")),
    st.tuples(FOR_ENDPOINTS, BELOW.map(lambda below: f"/db/{below}")),
    st.tuples(FOR_ENDPOINTS, BELOW.map(lambda below: f"/db/{below}")),
    st.tuples(FOR_DOCUMENTS, DOCIDS.map(lambda docid: f"/db/{docid}")),
    st.tuples(FOR_DOCUMENTS, DOCIDS.map(lambda docid: f"/db/{docid}")),
    st.tuples(FOR_DOCUMENTS, st.builds(lambda docid, file: f"/db/{docid}/{file}", DOCIDS, FILES)),
    st.tuples(METHODS, PARTS.map(lambda parts: "/" + "/".join(parts))),
)

REVS = st.sampled_from([f"1-{A}", f"1-{B}", f"2-{A}", "1-x", "0-1", "1-", "x", "", "-1-a", "9" * 30 + "-a"])
PARAMETERS: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(["rev", "last-event-id", "startkey_docid", "q", "n", "w", "r", "batch", "count"], REVS),
    **dict.fromkeys(
        ["limit", "skip", "heartbeat", "seq_interval", "group_level"],
        st.sampled_from(["0", "1", "2", "-1", "", "x", "1.5", "9" * 40, "null"]),
    ),
    "timeout": st.sampled_from(["0", "1", "5", "-1", "x"]),
    "since": st.sampled_from(["0", "now", "1", "99", "1-x", "-1", "", "x", '"0"']),
    "feed": st.sampled_from(["normal", "longpoll", "continuous", "eventsource", "live", "x", ""]),
    "filter": st.sampled_from(["_doc_ids", "_selector", "_design", "_view", "d/f", "x", "", "/"]),
    "view": st.sampled_from(["d/v", "x", ""]),
    "style": st.sampled_from(["all_docs", "main_only", "x"]),
    "open_revs": st.sampled_from(["all", "[]", f'["1-{A}"]', "x", "[1]", "{}"]),
    "atts_since": st.sampled_from(["[]", f'["1-{A}"]', "x"]),
    **dict.fromkeys(
        ["key", "keys", "startkey", "endkey", "start_key", "doc_ids"],
        st.sampled_from(['"a"', "[]", '["a","b","a"]', "1", "null", "{}", "x", '"\\ud800"', "[[[[1]]]]"]),
    ),
    **dict.fromkeys(
        [
            "revs", "revs_info", "conflicts", "deleted_conflicts", "meta", "local_seq", "latest", "deleted",
            "attachments", "att_encoding_info", "include_docs", "descending", "inclusive_end", "update_seq",
            "new_edits", "reduce", "group", "sorted", "stable",
        ],
        st.sampled_from(["true", "false", "true", "", "x", "1"]),
    ),
    "update": st.sampled_from(["true", "lazy", "x"]),
    "next": st.sampled_from(["/", "//x", "x"]),
    "partitioned": st.sampled_from(["true", "false", "x"]),
    "x y": GARBAGE,
}  # fmt: skip


@st.composite
def queries(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), max_size=4))
    text = "&".join(
        f"{name}={draw(PARAMETERS[name])}".replace(" ", "%20").replace('"', "%22") for name in names
    )
    if draw(st.integers(0, 15)) == 0:
        text += "&" + draw(GARBAGE)
    # A feed waits for as long as it is told to: here that is a moment.
    return text + "&timeout=5" if "feed" in names and "timeout" not in names else text


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    REVS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)

IDS = st.one_of(
    st.sampled_from(["a", "b", "c", "_design/d", "_local/l", "ä"]), st.sampled_from(["", "_x", "a\0"])
)
REVISIONS = st.fixed_dictionaries(
    {"start": st.integers(-1, 4), "ids": st.lists(st.sampled_from([A, B, "x", "", "zz"]), max_size=4)}
)
ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {"data": st.sampled_from(["", "YQ==", "aGVsbG8=", "!", "YQ"])},
        optional={
            "content_type": st.sampled_from(["text/plain", "", "x\n"]),
            "revpos": st.integers(-1, 3),
            "encoding": st.sampled_from(["gzip", "identity", "x"]),
            "digest": st.sampled_from(["md5-XUFAKrxLKna5cZ2REBfFkg==", "x"]),
        },
    ),
    st.just({"stub": True}),
    st.just({"follows": True, "length": 3}),
    VALUES,
)
SELECTORS = st.recursive(
    st.one_of(
        st.dictionaries(st.sampled_from(["_id", "v", "a.b", "", "a..b"]), VALUES, max_size=2),
        st.builds(
            lambda field, operator, argument: {field: {operator: argument}},
            st.sampled_from(["_id", "v"]),
            st.sampled_from(
                ["$lt", "$in", "$all", "$mod", "$regex", "$type", "$size", "$exists", "$x", "$text"]
            ),
            VALUES,
        ),
    ),
    lambda inner: st.builds(
        lambda operator, parts: {operator: parts},
        st.sampled_from(["$and", "$or", "$nor", "$not", "$elemMatch"]),
        st.one_of(st.lists(inner, max_size=3), inner),
    ),
    max_leaves=4,
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "_id": IDS,
        "_rev": REVS,
        "_deleted": st.sampled_from([True, False, None, "x"]),
        "_revisions": st.one_of(REVISIONS, VALUES),
        "_attachments": st.dictionaries(st.sampled_from(["f", "g/h", "_x", ""]), ENTRIES, max_size=2),
        "_conflicts": VALUES,
        "_x": VALUES,
        "v": VALUES,
        "language": st.sampled_from(["query", "javascript", 1]),
        "views": VALUES,
    },
)
BODIES: st.SearchStrategy[Any] = st.one_of(
    DOCUMENTS,
    st.fixed_dictionaries(
        {"docs": st.lists(st.one_of(DOCUMENTS, VALUES), max_size=4)},
        optional={"new_edits": st.sampled_from([True, False, False, "x"]), "all_or_nothing": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"docs": st.lists(st.fixed_dictionaries({"id": IDS}, optional={"rev": REVS}), max_size=4)}
    ),
    st.dictionaries(IDS, st.one_of(st.lists(REVS, max_size=3), VALUES), max_size=3),
    st.fixed_dictionaries(
        {"selector": SELECTORS},
        optional={
            "limit": st.integers(-1, 5),
            "skip": st.integers(-1, 5),
            "sort": st.one_of(VALUES, st.just([{"v": "asc"}]), st.just(["_id"])),
            "fields": st.one_of(VALUES, st.just(["_id", "v"])),
            "bookmark": st.one_of(VALUES, st.just("nil")),
            "use_index": VALUES,
            "execution_stats": st.booleans(),
            "conflicts": st.booleans(),
        },
    ),
    st.fixed_dictionaries(
        {"index": st.one_of(VALUES, st.just({"fields": ["v"]}))}, optional={"name": VALUES, "ddoc": VALUES}
    ),
    st.fixed_dictionaries({"keys": st.one_of(st.lists(st.one_of(IDS, VALUES), max_size=4), VALUES)}),
    st.fixed_dictionaries({"queries": st.lists(st.one_of(VALUES, st.just({"limit": 1})), max_size=3)}),
    st.fixed_dictionaries({"doc_ids": st.lists(st.one_of(IDS, VALUES), max_size=4)}),
    st.fixed_dictionaries({"name": VALUES, "password": VALUES}),
    VALUES,
)
MANGLE: list[Callable[[bytes, int], bytes]] = [
    lambda text, _: text,
    lambda text, _: text,
    lambda text, _: text,
    lambda text, at: text[:at],
    lambda text, at: text[:at] + b"\xff" + text[at:],
    lambda text, at: text[:at] + b"\\ud800" + text[at:],
    lambda text, at: text[:at] + text[at + 1 :],
    lambda text, at: text + text[:at],
    lambda text, at: text[:at] + b"1e999" + text[at:],
    lambda text, at: b"[" * (at * 50) + text,
]
HEADER_VALUES: dict[bytes, list[bytes]] = {
    b"content-type": [b"application/json"] * 4
    + [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/related; boundary=x", b"\xff"],
    b"if-match": [f"1-{A}".encode(), b"1-x", b"", b"x"],
    b"if-none-match": [b"*", b'"x"', b'W/"1-x"', b""],
    b"destination": [b"a", b"b?rev=1-x", b"_local/c", b"_x", b"%ff", b"", b"http://x/y"],
    b"accept": [b"*/*", b"multipart/mixed", b"multipart/related", b"text/html", b"\xff;q=x"],
    b"accept-encoding": [b"gzip", b"gzip;q=0", b"*", b";;q"],
    b"content-encoding": [b"gzip", b"identity", b"x"],
    b"content-length": [b"0", b"5", b"x", b"-1"],
    b"range": [b"bytes=0-1", b"bytes=-1", b"bytes=9-", b"bytes=0-1,2-3", b"x"],
    b"x-http-method-override": [b"PUT", b"DELETE", b"COPY", b"x"],
    b"authorization": [b"Basic !", b"Basic YTpi", b"Bearer x", b"\xff"],
    b"cookie": [b"AuthSession=x", b"AuthSession=", b"=;;=", b"\xff=\xff"],
}
HEADERS = st.lists(
    st.sampled_from([(name, value) for name, values in HEADER_VALUES.items() for value in values]), max_size=3
)


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    (method, path), query = draw(TARGETS), draw(queries())
    if method != "GET" and path.rstrip("/") == "/db":
        path = "/other"  # the database is to be there in the end
    text = json.dumps(draw(BODIES)).encode()
    body = draw(st.sampled_from(MANGLE))(text, draw(st.integers(0, max(0, len(text) - 1))))
    headers = draw(HEADERS)
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/json"))
    return Request(method, f"{path}?{query}" if query else path, body, tuple(headers))


# -- answers -----------------------------------------------------------------------------------------

DESIGNED = {
    (500, "invalid_list_index_params"),
    (501, "not_implemented"),
}
"""Answers of 500 and more that are no accident: CouchDB's own, and what this server has not."""


def check(request: Request, answer: Answer) -> None:
    """Whether the answer is one that a client can do something with."""
    shown = (request, answer.status, answer.body[:300])
    assert 200 <= answer.status < 600, shown
    content_types = [value for name, value in answer.headers if name == b"content-type"]
    for name, value in answer.headers:
        assert not set(name + value) & set(b"\r\n\0"), shown
    if request.method == "HEAD" or answer.status in (204, 304):
        return  # whatever was sent as a body, the HTTP server leaves it out
    if answer.status >= 400:
        assert content_types == [b"application/json"], shown
        value = json.loads(plain(answer))
        assert {"error", "reason"} <= value.keys(), shown
        assert all(isinstance(value[name], str) and value[name] for name in ("error", "reason")), shown
        if answer.status >= 500:
            assert (answer.status, value["error"]) in DESIGNED, shown
    elif content_types == [b"application/json"] and not any(name == b"etag" for name, _ in answer.headers):
        body = plain(answer)
        if "feed=" not in request.target and body.strip():
            json.loads(body)


def plain(answer: Answer) -> bytes:
    if (b"content-encoding", b"gzip") in answer.headers:
        return zlib.decompress(answer.body, 31)
    return answer.body


@asynccontextmanager
async def server(directory: Path) -> AsyncIterator[Application]:
    store = await SqliteStore.open(directory)
    app = create_app(store, ServerConfig(access_log=False, lockout_threshold=0))
    try:
        yield app
    finally:
        await store.close()


async def sentinels(app: Application) -> list[Any]:
    seen: list[Any] = []
    for path in ("/db/sentinel", "/db/sentinel2?conflicts=true", "/db/sentinel3?attachments=true"):
        answer = await ask(app, "GET", path, b"", (b"accept", b"application/json"))
        seen.append((answer.status, answer.json()))
    return seen


async def play(directory: Path, played: list[Request]) -> None:
    async with server(directory) as app:
        await ask(app, "PUT", "/db")
        body = json.dumps({"new_edits": False, "docs": SENTINELS}).encode()
        answer = await ask(app, "POST", "/db/_bulk_docs", body, (b"content-type", b"application/json"))
        assert answer.body == b"[]\n"
        before = await sentinels(app)
        for request in played:
            async with asyncio.timeout(SECONDS):
                answer = await ask(app, request.method, request.target, request.body, *request.headers)
            check(request, answer)
        assert await sentinels(app) == before
        after = (await ask(app, "GET", "/db/_all_docs?include_docs=true")).json()
        info = (await ask(app, "GET", "/db")).json()
        assert len(after["rows"]) == info["doc_count"]
    # An upload that nothing came of may be left behind until the next compaction.
    assert [found for found in examine(directory) if "belong to no document" not in found.what] == []


def run(played: list[Request]) -> None:
    with TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory), played))


MANY = st.lists(requests(), min_size=20, max_size=60)
"""About 15 seconds for a hundred of them."""
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@settings(max_examples=examples(6), deadline=None, suppress_health_check=CHECKS)
@given(MANY)
def test_no_request_breaks_the_server(played: list[Request]) -> None:
    run(played)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=examples(100), deadline=None, suppress_health_check=CHECKS)
@given(MANY)
def test_no_request_breaks_the_server_for_long(played: list[Request]) -> None:
    run(played)
