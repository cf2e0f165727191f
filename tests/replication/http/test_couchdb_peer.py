"""A real CouchDB replicates with this server, in both directions, and both hold the same afterwards.

It is CouchDB's own replicator that does the work: it pulls from the server and pushes to it, with
multipart for documents with attachments. KOMPASS_TEST_COUCHDB_URL says where an administrator finds one:
`http://admin:password@127.0.0.1:5984`. It must be able to reach this machine's loopback address.
"""

from __future__ import annotations

import gzip
import random
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.needs import COUCHDB_URL
from tests.servers import running_server

pytestmark = pytest.mark.couchdb

JSON = {"Accept": "application/json"}
A, B, C, D, OLD = (letter * 32 for letter in "abcd0")
LARGE = random.Random(1).randbytes(5_000_000)
LINES = b"".join(b"%d: a line of text\n" % n for n in range(60_000))

MANY = 100
"""Documents without attachments: they travel in batches."""

ATTACHMENTS: Mapping[str, tuple[str, bytes]] = {
    "empty": ("application/octet-stream", b""),
    "empty.txt": ("text/plain", b""),
    "hundred.txt": ("text/plain; charset=utf-8", b"0123456789" * 10),
    "dir/image": ("image/png", LARGE[:3000]),
    'ä ö "q" %41;x=y&z?#+.json': ("application/json", b'{"a":1}'),
    "q": ("image/gif", b"GIF"),
    "parts": ("multipart/related; boundary=x", b"--x\r\n\r\n--x--"),
}


@dataclass(frozen=True)
class Place:
    """A database on one of the two servers."""

    client: httpx.Client
    url: str

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] = JSON, **more: Any
    ) -> httpx.Response:
        response = self.client.request(method, self.url + path, headers={**JSON, **headers}, **more)
        response.raise_for_status()
        return response

    def attach(self, docid: str, name: str, data: bytes, **headers: str) -> None:
        rev = self.client.get(f"{self.url}/{docid}", headers=JSON).json().get("_rev")
        query = f"?rev={rev}" if rev else ""
        self.send("PUT", f"/{docid}/{name}{query}", content=data, headers=headers)

    def leaves(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every leaf of every document, with its history, its attachments' bytes and how they are stored."""
        found = {}
        for row in self.send("GET", "/_changes?style=all_docs").json()["results"]:
            assert {change["rev"] for change in row["changes"]} == {
                rev for rev, _ in self._leaves_of(row["id"], "")
            }
            stubs = dict(self._leaves_of(row["id"], "&att_encoding_info=true"))
            for rev, document in self._leaves_of(row["id"], "&attachments=true"):
                for name, entry in document.get("_attachments", {}).items():
                    entry["stub"] = stubs[rev]["_attachments"][name]
                found[row["id"], rev] = document
        return found

    def _leaves_of(self, docid: str, query: str) -> list[tuple[str, dict[str, Any]]]:
        path = "/".join(quote(part, safe="") for part in docid.split("/", 1 if docid[0] == "_" else 0))
        rows = self.send("GET", f"/{path}?open_revs=all&revs=true{query}").json()
        return [(row["ok"]["_rev"], row["ok"]) for row in rows]


@dataclass(frozen=True)
class Pair:
    ours: Place
    theirs: Place

    def replicate(self, source: Place, target: Place) -> dict[str, Any]:
        """One run of CouchDB's replicator, from where the one before ended."""
        body = {"source": source.url, "target": target.url}
        response = self.theirs.client.post(f"{COUCHDB_URL}/_replicate", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        assert answer["history"][0]["doc_write_failures"] == 0
        return answer

    def in_direction(self, direction: str) -> tuple[Place, Place]:
        return (self.ours, self.theirs) if direction == "pull" else (self.theirs, self.ours)


@pytest.fixture(scope="module")
def pair_of_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    data: Path = tmp_path_factory.mktemp("peer") / "data"
    with (
        running_server(data, admin=("admin", "geheim")) as server,
        httpx.Client(timeout=60, follow_redirects=True) as client,
    ):
        yield client, server.url


@pytest.fixture
def pair(pair_of_servers: tuple[httpx.Client, str]) -> Iterator[Pair]:
    """An empty database on each side."""
    client, url = pair_of_servers
    name = f"kompass_peer_{token_hex(6)}"
    pair = Pair(Place(client, f"{url}/{name}"), Place(client, f"{COUCHDB_URL}/{name}"))
    for place in (pair.ours, pair.theirs):
        place.send("PUT", "")
    yield pair
    for place in (pair.ours, pair.theirs):
        place.send("DELETE", "")


def fill(place: Place) -> None:
    entries = {
        name: {"content_type": content_type, "data": b64encode(data).decode()}
        for name, (content_type, data) in ATTACHMENTS.items()
    }
    place.send("PUT", "/doc", json={"v": 1, "_attachments": entries})
    place.attach("doc", "large", LARGE, **{"Content-Type": "application/octet-stream"})
    place.attach("text", "lines.txt", LINES, **{"Content-Type": "text/plain"})
    docs: list[dict[str, Any]] = [
        {
            "_id": "conflicts",
            "_rev": f"2-{rev}",
            "_revisions": {"start": 2, "ids": [rev, OLD]},
            "v": rev,
            "_attachments": {
                "own": {"content_type": "text/plain", "data": b64encode(rev.encode()).decode(), "revpos": 2},
                "same": {"content_type": "image/gif", "data": "R0lG", "revpos": 1},
            },
        }
        for rev in (A, B, C)
    ]
    docs += [
        {
            "_id": "conflicts",
            "_revisions": {"start": 3, "ids": [D, C, OLD]},
            "_rev": f"3-{D}",
            "_deleted": True,
        },
        {"_id": "_design/plain", "_rev": f"1-{A}", "views": {}},
        {
            "_id": "_design/app",
            "_rev": f"1-{A}",
            "_attachments": {"index.html": {"content_type": "text/html", "data": "PGgxPg==", "revpos": 1}},
        },
        {"_id": "gone", "_rev": f"2-{A}", "_deleted": True},
        {"_id": "ünïcode/ %2F id", "_rev": f"1-{A}", "v": [1.5, 10**30, "\u2028", None, {"": []}]},
        *({"_id": f"many{n}", "_rev": f"1-{A}", "n": n} for n in range(MANY)),
    ]
    assert place.send("POST", "/_bulk_docs", json={"new_edits": False, "docs": docs}).json() == []


def change(place: Place) -> None:
    """One attachment is replaced, one removed, the others stay; a document goes; a conflict ends."""
    document = place.send("GET", "/doc").json()
    document["_attachments"]["hundred.txt"] = {"content_type": "text/plain", "data": "bmV3"}
    del document["_attachments"]["dir/image"]
    place.send("PUT", "/doc", json=document)
    for docid in ("many1", "conflicts"):
        rev = place.send("GET", f"/{docid}").json()["_rev"]
        place.send("DELETE", f"/{docid}?rev={rev}")


@pytest.mark.parametrize("direction", ["pull", "push"])
def test_both_hold_the_same_after_replicating(pair: Pair, direction: str) -> None:
    source, target = pair.in_direction(direction)
    fill(source)
    session = pair.replicate(source, target)["history"][0]
    assert session["docs_written"] == session["missing_found"] > MANY
    expected = source.leaves()
    assert target.leaves() == expected
    assert len([docid for docid, _ in expected if docid == "conflicts"]) == 3
    stored = expected["doc", next(rev for docid, rev in expected if docid == "doc")]["_attachments"]
    assert stored["large"]["stub"]["length"] == len(LARGE)
    assert stored["hundred.txt"]["stub"]["encoding"] == "gzip"

    change(source)
    pair.replicate(source, target)
    changed = source.leaves()
    assert changed != expected
    assert target.leaves() == changed

    assert pair.replicate(source, target)["no_changes"] is True


def test_changes_on_both_sides_meet(pair: Pair) -> None:
    fill(pair.ours)
    pair.replicate(pair.ours, pair.theirs)
    for place, text in ((pair.ours, b"ours"), (pair.theirs, b"theirs")):
        place.attach("doc", "hundred.txt", text * 1000, **{"Content-Type": "text/plain"})
        place.attach("_design/app", "own", text)
    pair.replicate(pair.ours, pair.theirs)
    pair.replicate(pair.theirs, pair.ours)
    leaves = pair.ours.leaves()
    assert pair.theirs.leaves() == leaves
    assert len([docid for docid, _ in leaves if docid == "doc"]) == 2


@pytest.mark.parametrize("direction", ["pull", "push"])
def test_attachments_that_were_uploaded_packed_stay_as_they_are(pair: Pair, direction: str) -> None:
    """CouchDB doesn't know what they unpack to and gives their packed size; we count."""
    source, target = pair.in_direction(direction)
    packed = gzip.compress(LINES, 1)
    source.attach("doc", "f", packed, **{"Content-Type": "text/plain", "Content-Encoding": "gzip"})
    pair.replicate(source, target)
    for place in (source, target):
        entry = place.send("GET", "/doc?att_encoding_info=true").json()["_attachments"]["f"]
        assert (entry["encoding"], entry["encoded_length"]) == ("gzip", len(packed))
        assert place.send("GET", "/doc/f").content == LINES
        assert place.send("GET", "/doc?attachments=true").json()["_attachments"]["f"]["data"]


def test_the_same_text_has_the_same_digest_on_both(pair: Pair) -> None:
    for data in (b"", b"x", LINES, LARGE[:100_000]):
        digests = set()
        for place in (pair.ours, pair.theirs):
            place.attach("doc", "f", data, **{"Content-Type": "application/json"})
            digests.add(place.send("GET", "/doc").json()["_attachments"]["f"]["digest"])
        assert len(digests) == 1


def test_replicating_continuously(pair: Pair) -> None:
    """Attachments arrive while the replication runs, and it stops when it is told to."""
    body = {"source": pair.ours.url, "target": pair.theirs.url, "continuous": True}
    client = pair.theirs.client
    started = client.post(f"{COUCHDB_URL}/_replicate", json=body)
    assert started.status_code == 202, started.text
    try:
        for n in range(3):
            pair.ours.attach("doc", f"f{n}", LINES * (n + 1), **{"Content-Type": "text/plain"})
            expected = pair.ours.send("GET", "/doc").json()
            deadline = time.monotonic() + 30
            while client.get(f"{pair.theirs.url}/doc", headers=JSON).json() != expected:
                assert time.monotonic() < deadline, "the change did not arrive"
                time.sleep(0.2)
    finally:
        client.post(f"{COUCHDB_URL}/_replicate", json={**body, "cancel": True})
    assert pair.theirs.leaves() == pair.ours.leaves()
