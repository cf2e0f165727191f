"""A server is made ready once, and then served by a user without rights beyond its databases."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from replication.protocol.errors import ProtocolError
from replication.replicator.options import Basic, Bearer, BearerFile, Session
from replication.store.couchdb import CouchStore
from replication.store.couchdb.endpoint import read_endpoint, read_login
from replication.store.couchdb.setup import Plan, set_up
from tests.replication.store.writes import doc, edit, status
from tests.servers import running_server

PASSWORD = "geheim-123"


class Prepared:
    """A server, the prefix of a store there, and its service user."""

    def __init__(self, remote: str) -> None:
        self.remote = remote
        parts = urlsplit(remote)
        self.address = f"http://{parts.hostname}:{parts.port}"
        self.prefix = f"t{secrets.token_hex(4)}-"
        self.service = f"svc{secrets.token_hex(4)}"

    @property
    def admin(self) -> str:
        parts = urlsplit(self.remote)
        return f"{parts.username}:{parts.password}"

    @property
    def login(self) -> str:
        return f"{self.service}:{PASSWORD}"

    async def set_up(self, *databases: str, **options: object) -> list[str]:
        plan = Plan(self.service, databases, PASSWORD, self.prefix, **options)  # type: ignore[arg-type]
        return [line async for line in set_up(read_endpoint(self.remote), plan)]


@pytest.fixture
def prepared(remote: str) -> Iterator[Prepared]:
    made = Prepared(remote)
    yield made
    with httpx.Client(base_url=remote, timeout=30) as client:
        for name in client.get("/_all_dbs").json():
            if name.startswith(made.prefix):
                client.delete("/" + quote(name, safe=""))
        user = f"/_users/org.couchdb.user:{made.service}"
        if (found := client.get(user)).status_code == 200:
            client.delete(user, params={"rev": found.json()["_rev"]})


@pytest.mark.slow
async def test_a_server_is_made_ready_once(prepared: Prepared, tmp_path: Path) -> None:
    first = await prepared.set_up("shop", indexes=[["type", "name"]])
    assert "database shop: made" in first
    again = await prepared.set_up("shop", indexes=[["type", "name"]])
    assert all(line.endswith(("was there", "was right")) for line in again)
    # The service user needs to be no administrator for what he does from now on.
    store = await CouchStore.open(
        read_endpoint(prepared.address, read_login(prepared.login)),
        tmp_path / "ledgers",
        prefix=prepared.prefix,
        databases=["shop", "none"],
    )
    try:
        assert await store.names() == ["shop"]
        db = store.get("shop")
        rev = await edit(db, "a", _attachments={"t": {"data": "aGVsbG8=", "content_type": "image/png"}})
        await db.put_local("x", 0, b"{}")
        await db.set_security(b'{"members":{"names":["somebody"]}}')
        assert await db.security() == b'{"members":{"names":["somebody"]}}'
        await edit(db, "a", rev, n=1)
        await db.set_revs_limit(7)
        # Neither in the feed nor by its name is there anything of what keeps others out.
        assert {change.id for change in await db.change_rows(0, 10)} == {"_design/by-type,name", "a"}
        assert await db.winner("_design/gate") is None
        [refused] = await db.write([doc("_design/gate", validate_doc_update="function () {}")])
        assert status(refused) == (403, "forbidden")
    finally:
        await store.close()
    # And nobody goes round him.
    path = f"/{prepared.prefix}shop"
    async with httpx.AsyncClient(base_url=prepared.remote, timeout=30) as client:
        assert (await client.put(f"{path}/b", json={})).status_code == 403
        assert (await client.get(f"{prepared.address}{path}/a", auth=("x", "y"))).status_code == 401
    async with httpx.AsyncClient(base_url=prepared.address, timeout=30) as anonymous:
        assert (await anonymous.get(f"{path}/a")).status_code in (401, 403)


@pytest.mark.slow
async def test_a_wrong_password_of_the_service_user_is_told(prepared: Prepared) -> None:
    await prepared.set_up("shop")
    plan = Plan(prepared.service, ["shop"], "another", prepared.prefix)
    with pytest.raises(ProtocolError, match="can't log in") as caught:
        [line async for line in set_up(read_endpoint(prepared.remote), plan)]
    assert "another" not in str(caught.value)


@pytest.mark.slow
async def test_a_couchdb_behind_our_server(prepared: Prepared, tmp_path: Path) -> None:
    """Both commands, as somebody types them; no password among what he types."""
    environment = {
        "REPLICATION_STORE_ADMIN": prepared.admin,
        "REPLICATION_STORE_LOGIN": prepared.login,
        "PATH": "/usr/bin:/bin",
    }
    options = ["--store", prepared.address, "--store-prefix", prepared.prefix]
    command = [sys.executable, "-m", "replication", "init", *options, "--database", "shop"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "validation of shop: only" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    login = tmp_path / "login"
    login.write_text(prepared.login)
    options += ["--store-login-file", str(login), "--store-database", "shop"]
    with running_server(tmp_path / "data", options=options) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            assert (await client.get("/_all_dbs")).json() == ["_replicator", "_users", "shop"]
            made = await client.put("/shop/a", json={"kind": "x", "n": 1})
            assert made.status_code == 201
            feed = (await client.get("/shop/_changes", params={"include_docs": "true"})).json()
            assert [row["doc"]["n"] for row in feed["results"]] == [1]
            view = {
                "views": {"by_n": {"map": "function (doc) { emit(doc.n, doc.kind); }", "reduce": "_count"}}
            }
            assert (await client.put("/shop/_design/d", json=view)).status_code == 201
            rows = (await client.get("/shop/_design/d/_view/by_n", params={"reduce": "false"})).json()
            assert rows["rows"] == [{"id": "a", "key": 1, "value": "x"}]
            assert (await client.get("/shop/_design/d/_view/by_n")).json()["rows"][0]["value"] == 1
            found = await client.post("/shop/_find", json={"selector": {"kind": "x"}})
            assert [each["_id"] for each in found.json()["docs"]] == ["a"]
            text = b"hello " * 1000
            headers = {"content-type": "text/plain", "if-match": made.json()["rev"]}
            attached = await client.put("/shop/a/t", content=text, headers=headers)
            assert attached.status_code == 201
            assert (await client.get("/shop/a/t")).content == text
            refused = await client.put("/neu")
            assert refused.status_code == 403
            assert "init" in refused.json()["reason"]
        assert PASSWORD not in server.log.read_text()


def test_logins() -> None:
    assert read_login("me:a:b\n") == Session("me", "a:b")
    assert read_login("basic me:x") == Basic("me", "x")
    assert read_login("bearer abc") == Bearer("abc")
    assert read_login("bearer @/run/token") == BearerFile(Path("/run/token"))
    for bad in ("", "me", "me:", ":secret", "bearer ", "bearer secretä", "me:secret\ny:z"):
        with pytest.raises(ValueError, match=r"login|token") as caught:
            read_login(bad)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", ["couch", "ftp://x", "http://", "http://a b", "http://x?y", "http://x:99999999"]
)
def test_addresses(bad: str) -> None:
    with pytest.raises(ValueError, match="address"):
        read_endpoint(bad)
    assert read_endpoint("http://me:x@couch:5984").url == "http://couch:5984/"
    assert read_endpoint("http://me:x@couch:5984").credentials == Session("me", "x")
