"""Documents in parts: with their attachments, several in one answer, and who gets them so."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from typing import Any

import httpx
import pytest

from replication.http.multipart_responses import accepts
from replication.protocol.multipart import (
    Parser,
    PartData,
    PartStarted,
    boundary_of,
    filename_of,
    parse_value,
)

A, B, C = "a" * 32, "b" * 32, "c" * 32
DATA = bytes(range(256)) * 2000
"""Half a megabyte: more than a stored chunk."""

JSON = {"Accept": "application/json"}
MIXED = {"Accept": "multipart/mixed"}

TEXT = b"hello" * 100


class Part:
    """A part of an answer; `parts` if it is a multipart again."""

    def __init__(self, started: PartStarted) -> None:
        self.headers = started.headers
        self.data = b""
        self.parts: list[Part] = []

    @property
    def value(self) -> Any:
        assert self.headers["content-type"].startswith("application/json")
        return json.loads(self.data)


def parts_of(response: httpx.Response) -> list[Part]:
    assert response.status_code == 200
    parser = Parser(boundary_of(response.headers["content-type"]), depth=2)
    found: list[Part] = []
    for event in parser.feed(response.content):
        if isinstance(event, PartStarted):
            (found if event.depth == 1 else found[-1].parts).append(Part(event))
        elif isinstance(event, PartData):
            part = found[-1].parts[-1] if found[-1].parts else found[-1]
            part.data += event.data
    parser.close()
    return found


def is_json(response: httpx.Response) -> bool:
    return response.headers["content-type"] == "application/json"


@pytest.fixture
async def attached(client: httpx.AsyncClient, db: str) -> str:
    """A document with a text, an image, something empty, and something long added later."""
    entries = {
        "t": {"content_type": "text/plain", "data": b64encode(TEXT).decode()},
        'ä "ö': {"content_type": "image/png", "data": "AQI="},
        "empty": {"content_type": "image/png", "data": ""},
    }
    rev = (await client.put(f"{db}/a", json={"v": 1, "_attachments": entries})).json()["rev"]
    await client.put(f"{db}/a/long?rev={rev}", content=DATA)
    return f"{db}/a"


@pytest.fixture
async def conflicted(client: httpx.AsyncClient, db: str) -> str:
    """Leaves with and without attachments, one of them deleted."""
    docs = [
        {"_id": "c", "_rev": f"2-{C}", "v": 3, "_attachments": {"f": {"data": "AQI="}}},
        {"_id": "c", "_rev": f"2-{B}", "v": 2},
        {"_id": "c", "_rev": f"2-{A}", "_deleted": True},
    ]
    response = await client.post(f"{db}/_bulk_docs", json={"new_edits": False, "docs": docs})
    assert response.json() == []
    return f"{db}/c"


# -- one document ------------------------------------------------------------------------------


async def test_attachments_true_answers_multipart_related(client: httpx.AsyncClient, attached: str) -> None:
    response = await client.get(f"{attached}?attachments=true", headers={"Accept": "multipart/related"})
    assert parse_value(response.headers["content-type"])[0] == "multipart/related"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["vary"] == "Accept"
    document, *attachments = parts_of(response)
    assert response.headers["etag"] == f'"{document.value["_rev"]}"'
    assert document.headers == {"content-type": "application/json"}
    entries = document.value["_attachments"]
    assert [filename_of(part.headers) for part in attachments] == list(entries)
    assert entries['ä "ö'] == {
        "content_type": "image/png",
        "revpos": 1,
        "digest": "md5-DLmI0EKn8o3V/itVs/Wseg==",
        "length": 2,
        "follows": True,
    }
    by_name = {filename_of(part.headers): part for part in attachments}
    assert by_name["long"].data == DATA
    assert by_name["empty"].data == b""
    assert by_name['ä "ö'].headers == {
        "content-disposition": 'attachment; filename="ä %22ö"',
        "content-type": "image/png",
        "content-length": "2",
    }


async def test_packed_attachments_go_out_packed_and_say_so(client: httpx.AsyncClient, attached: str) -> None:
    document, *attachments = parts_of(await client.get(f"{attached}?attachments=true"))
    (part,) = [part for part in attachments if filename_of(part.headers) == "t"]
    assert gzip.decompress(part.data) == TEXT
    assert part.headers["content-encoding"] == "gzip"
    assert int(part.headers["content-length"]) == len(part.data)
    entry = document.value["_attachments"]["t"]
    assert (entry["length"], entry["encoding"], entry["encoded_length"]) == (
        len(TEXT),
        "gzip",
        len(part.data),
    )


async def test_what_is_read_as_multipart_can_be_written(client: httpx.AsyncClient, attached: str) -> None:
    source = await client.get(f"{attached}?attachments=true&revs=true")
    headers = {"Content-Type": source.headers["content-type"]}
    response = await client.put("/db/copy?new_edits=false", content=source.content, headers=headers)
    assert response.status_code == 201
    copy = (await client.get("/db/copy?att_encoding_info=true")).json()
    original = (await client.get(f"{attached}?att_encoding_info=true")).json()
    assert copy == {**original, "_id": "copy"}
    assert (await client.get("/db/copy/long")).content == DATA


@pytest.mark.parametrize("query", ["", "?revs=true", "?att_encoding_info=true"])
async def test_without_attachments_true_a_document_is_json(
    client: httpx.AsyncClient, attached: str, query: str
) -> None:
    assert is_json(await client.get(attached + query, headers={"Accept": "multipart/related"}))


async def test_a_document_without_attachments_is_json(client: httpx.AsyncClient, db: str) -> None:
    await client.put(f"{db}/plain", json={"v": 1})
    response = await client.get(f"{db}/plain?attachments=true", headers={"Accept": "multipart/related"})
    assert is_json(response)
    assert response.json()["v"] == 1


ACCEPT_RELATED = [
    (None, True),
    ("*/*", True),
    ("multipart/*", True),
    ("multipart/related", True),
    ("Multipart/Related", True),
    ("application/json, multipart/related", True),
    ("application/json;q=0.9, multipart/related;q=0.1", True),
    ("text/html, */*;q=0.1", True),
    ("application/json", False),
    ("application/json, text/plain", False),
    ("multipart/mixed", False),
    ("multipart/related;q=0", False),
    ("multipart/related; q=0.00, */*", False),
    ("", False),
]


@pytest.mark.parametrize(("accept", "expected"), ACCEPT_RELATED)
async def test_accept_decides_between_multipart_and_json(
    client: httpx.AsyncClient, attached: str, accept: str | None, expected: bool
) -> None:
    request = client.build_request("GET", f"{attached}?attachments=true")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    response = await client.send(request)
    assert is_json(response) != expected
    assert accepts(accept, "multipart/related") == expected


async def test_atts_since_leaves_older_attachments_stubs(client: httpx.AsyncClient, attached: str) -> None:
    first, second = (await client.get(f"{attached}?revs=true")).json()["_revisions"]["ids"][::-1]
    document, *attachments = parts_of(await client.get(f'{attached}?atts_since=["1-{first}"]'))
    assert [filename_of(part.headers) for part in attachments] == ["long"]
    entries = document.value["_attachments"]
    assert entries["t"]["stub"] is True
    assert entries["t"]["encoding"] == "gzip"
    assert "follows" not in entries["t"]
    assert is_json(await client.get(f'{attached}?atts_since=["2-{second}"]'))
    assert len(parts_of(await client.get(f'{attached}?atts_since=["1-{A}"]'))) == 5


async def test_meta_members_are_in_the_json_part_and_cost_the_etag(
    client: httpx.AsyncClient, attached: str
) -> None:
    response = await client.get(f"{attached}?attachments=true&revs=true&revs_info=true")
    document = parts_of(response)[0].value
    assert document["_revisions"]["start"] == 2
    assert len(document["_revs_info"]) == 2
    assert "etag" not in response.headers


async def test_not_modified_and_head(client: httpx.AsyncClient, attached: str) -> None:
    path = f"{attached}?attachments=true"
    whole = await client.get(path)
    head = await client.head(path)
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))
    unchanged = await client.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_json_with_long_attachments_comes_in_pieces(client: httpx.AsyncClient, db: str) -> None:
    long = DATA * 5 + b"x"
    await client.put(f"{db}/a/one", content=long)
    rev = (await client.get(f"{db}/a")).json()["_rev"]
    await client.put(f"{db}/a/two.txt?rev={rev}", content=long, headers={"Content-Type": "text/plain"})
    for query in ("attachments=true&revs=true&local_seq=true", "open_revs=all&attachments=true&revs=true"):
        response = await client.get(f"{db}/a?{query}", headers=JSON)
        assert "content-length" not in response.headers
        value = response.json()[0]["ok"] if "open" in query else response.json()
        assert value["_revisions"]["start"] == 2
        for name in ("one", "two.txt"):
            assert b64decode(value["_attachments"][name]["data"], validate=True) == long
    body = {
        "docs": [
            {"id": "a"},
            {"id": "none"},
            {"id": "a", "rev": f"1-{A}"},
            {},
            {"id": "a", "atts_since": [rev]},
        ]
    }
    response = await client.post(f"{db}/_bulk_get?attachments=true", json=body)
    rows = response.json()["results"]
    assert b64decode(rows[0]["docs"][0]["ok"]["_attachments"]["one"]["data"]) == long
    assert [row["docs"][0]["error"]["reason"] for row in rows[1:3]] == ["missing", "missing"]
    assert rows[3]["docs"][0]["error"]["error"] == "bad_request"
    assert rows[4]["docs"][0]["ok"]["_attachments"]["one"]["stub"] is True


# -- open_revs ---------------------------------------------------------------------------------


async def test_open_revs_answers_multipart_mixed(client: httpx.AsyncClient, conflicted: str) -> None:
    response = await client.get(f"{conflicted}?open_revs=all&revs=true", headers=MIXED)
    assert parse_value(response.headers["content-type"])[0] == "multipart/mixed"
    first, second, third = parts_of(response)
    assert parse_value(first.headers["content-type"])[0] == "multipart/related"
    document, attachment = first.parts
    assert document.value["_rev"] == f"2-{C}"
    assert document.value["_revisions"] == {"start": 2, "ids": [C]}
    assert document.value["_attachments"]["f"]["follows"] is True
    assert attachment.data == b"\x01\x02"
    assert second.value == {"_id": "c", "_rev": f"2-{B}", "v": 2, "_revisions": {"start": 2, "ids": [B]}}
    assert third.value["_deleted"] is True


async def test_open_revs_marks_missing_revisions_as_errors(
    client: httpx.AsyncClient, conflicted: str
) -> None:
    found, missing = parts_of(await client.get(f'{conflicted}?open_revs=["2-{B}","7-{A}"]', headers=MIXED))
    assert found.value["v"] == 2
    assert missing.headers["content-type"] == 'application/json; error="true"'
    assert missing.value == {"missing": f"7-{A}"}
    (part,) = parts_of(await client.get(f'/db/none?open_revs=["7-{A}"]', headers=MIXED))
    assert part.value == {"missing": f"7-{A}"}


async def test_open_revs_all_of_an_unknown_document_is_404(client: httpx.AsyncClient, db: str) -> None:
    response = await client.get(f"{db}/none?open_revs=all", headers=MIXED)
    assert (response.status_code, response.json()["reason"]) == (404, "missing")


async def test_open_revs_with_atts_since(client: httpx.AsyncClient, conflicted: str) -> None:
    parts = parts_of(await client.get(f'{conflicted}?open_revs=all&atts_since=["2-{C}"]', headers=MIXED))
    assert [bool(part.parts) for part in parts] == [False, False, False]
    assert parts[0].value["_attachments"]["f"]["stub"] is True


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, True),
        ("*/*", True),
        ("multipart/mixed", True),
        ("application/json, multipart/mixed", True),
        ("multipart/mixed;q=0.1, application/json", True),
        ("multipart/related", False),
        ("application/json", False),
        ("text/html", False),
    ],
)
async def test_accept_decides_the_form_of_open_revs(
    client: httpx.AsyncClient, conflicted: str, accept: str | None, expected: bool
) -> None:
    request = client.build_request("GET", f"{conflicted}?open_revs=all")
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    response = await client.send(request)
    assert is_json(response) != expected


# -- _bulk_get ---------------------------------------------------------------------------------

ASKED = {
    "docs": [
        {"id": "c", "rev": f"2-{C}"},
        {"id": "c", "rev": f"2-{B}"},
        {"id": "none"},
        {"id": "c", "rev": f"7-{A}"},
        {"id": "c", "rev": "zz"},
        {"id": "c", "rev": f"2-{C}", "atts_since": [f"2-{C}"]},
        {"rev": "1-a"},
    ]
}


@pytest.mark.parametrize("media_type", ["multipart/mixed", "multipart/related"])
async def test_bulk_get_answers_multipart_to_who_takes_no_json(
    client: httpx.AsyncClient, conflicted: str, media_type: str
) -> None:
    response = await client.post("/db/_bulk_get?revs=true", json=ASKED, headers={"Accept": media_type})
    assert parse_value(response.headers["content-type"])[0] == media_type
    attached, plain, unknown, missing, invalid, older, nameless = parts_of(response)
    assert attached.headers["x-doc-id"] == "c"
    assert attached.headers["x-rev-id"] == f"2-{C}"
    assert attached.parts[0].value["_revisions"] == {"start": 2, "ids": [C]}
    assert attached.parts[1].data == b"\x01\x02"
    assert plain.value["v"] == 2
    for part in (unknown, missing, invalid, nameless):
        assert part.headers["content-type"] == 'application/json; error="true"'
    assert unknown.value == {"id": "none", "rev": "undefined", "error": "not_found", "reason": "missing"}
    assert missing.value == {"id": "c", "rev": f"7-{A}", "error": "not_found", "reason": "missing"}
    assert invalid.value["reason"] == "Invalid rev format"
    assert nameless.value["reason"] == "document id missed"
    assert older.value["_attachments"]["f"]["stub"] is True


async def test_bulk_get_of_all_leaves_has_a_part_for_each(client: httpx.AsyncClient, conflicted: str) -> None:
    response = await client.post("/db/_bulk_get", json={"docs": [{"id": "c"}]}, headers=MIXED)
    assert len(parts_of(response)) == 3


async def test_bulk_get_of_nothing_is_a_whole_multipart(client: httpx.AsyncClient, db: str) -> None:
    assert parts_of(await client.post(f"{db}/_bulk_get", json={"docs": []}, headers=MIXED)) == []


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, None),
        ("*/*", None),
        ("application/json", None),
        ("multipart/mixed, application/json", None),
        ("multipart/mixed, */*;q=0.1", None),
        ("text/html", None),
        ("multipart/*", "multipart/mixed"),
        ("multipart/related, multipart/mixed", "multipart/mixed"),
        ("multipart/related", "multipart/related"),
    ],
)
async def test_accept_decides_the_form_of_bulk_get(
    client: httpx.AsyncClient, conflicted: str, accept: str | None, expected: str | None
) -> None:
    request = client.build_request("POST", "/db/_bulk_get", json=ASKED)
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    response = await client.send(request)
    found = parse_value(response.headers["content-type"])[0]
    assert found == (expected or "application/json")


async def test_ids_cannot_break_the_headers_of_their_parts(client: httpx.AsyncClient, db: str) -> None:
    docid = "a\r\nX-Evil: 1\r\n\r\nbody"
    doc = {"_id": docid, "_attachments": {"f\r\nX-Evil: 1": {"data": "AQI=", "content_type": "image/png"}}}
    await client.post(f"{db}/_bulk_docs", json={"docs": [doc]})
    body = {"docs": [{"id": docid}]}
    (part,) = parts_of(await client.post(f"{db}/_bulk_get", json=body, headers=MIXED))
    assert part.parts[0].value["_id"] == docid
    assert part.parts[1].data == b"\x01\x02"
    assert filename_of(part.parts[1].headers) == "f\r\nX-Evil: 1"
    assert not any("evil" in name for part in (part, *part.parts) for name in part.headers)
