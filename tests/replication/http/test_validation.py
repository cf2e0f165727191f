"""`validate_doc_update` on every way a document can be written, and what design documents may hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from replication.http import validation
from replication.http.app import Application, create_app
from replication.http.server import ServerConfig
from replication.store.interface import Store
from tests.replication.http.designs import design, save

REFUSES = """function(changed, stored, user, security) {
    if (changed.bad) throw {forbidden: 'bad'};
    if (changed.login) throw {unauthorized: 'log in'};
    if (changed.fails) throw new TypeError('oops');
    if (changed.show) throw {forbidden: JSON.stringify([changed, stored, user, security])};
    if (stored && stored.fixed && changed.fixed !== stored.fixed) throw {forbidden: 'fixed'};
}"""
SHOWS_ALL = "function(n, o, u, s) { throw {forbidden: JSON.stringify([n, o])} }"


@pytest.fixture
async def guarded(client: httpx.AsyncClient, db: str) -> str:
    await design(client, validate_doc_update=REFUSES)
    return db


def refused(answer: httpx.Response, status: int = 403, reason: str = "bad") -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["reason"] == reason


def shown(answer: httpx.Response) -> Any:
    assert answer.status_code == 403, answer.text
    return json.loads(answer.json()["reason"])


# -- every way in ------------------------------------------------------------------------------


async def test_put_and_post(client: httpx.AsyncClient, guarded: str) -> None:
    refused(await client.put("/db/a", json={"bad": 1}))
    refused(await client.put("/db/a", json={"login": 1}), 401, "log in")
    refused(await client.post("/db", json={"bad": 1}))
    refused(await client.put("/db/a?new_edits=false", json={"bad": 1, "_rev": "1-a"}))
    refused(await client.put("/db/a?batch=ok", json={"bad": 1}))
    answer = await client.put("/db/a", json={"fails": 1})
    assert (answer.status_code, answer.json()) == (500, {"error": "TypeError", "reason": "oops"})
    assert (await client.get("/db/a")).status_code == 404
    assert (await client.put("/db/a", json={"good": 1})).status_code == 201


async def test_bulk_docs_with_new_edits_has_a_row_for_each(client: httpx.AsyncClient, guarded: str) -> None:
    docs = [{"_id": "a", "bad": 1}, {"_id": "b"}, {"_id": "c", "login": 1}, {"_id": "d", "fails": 1}]
    answer = await client.post("/db/_bulk_docs", json={"docs": docs})
    assert answer.status_code == 201
    rows = answer.json()
    assert rows[0] == {"id": "a", "error": "forbidden", "reason": "bad"}
    assert (rows[1]["ok"], rows[1]["id"]) == (True, "b")
    assert rows[2] == {"id": "c", "error": "unauthorized", "reason": "log in"}
    assert rows[3] == {"id": "d", "error": "TypeError", "reason": "oops"}


async def test_bulk_docs_new_edits_false_reports_what_was_refused(
    client: httpx.AsyncClient, guarded: str
) -> None:
    docs = [{"_id": "a", "bad": 1, "_rev": "1-a"}, {"_id": "b", "_rev": "1-b"}]
    answer = await client.post("/db/_bulk_docs", json={"docs": docs, "new_edits": False})
    assert answer.status_code == 201
    assert answer.json() == [{"id": "a", "rev": "1-a", "error": "forbidden", "reason": "bad"}]
    assert (await client.get("/db/b")).status_code == 200


async def test_deletions(client: httpx.AsyncClient, guarded: str) -> None:
    rev = (await client.put("/db/a", json={"fixed": 1})).json()["rev"]
    refused(await client.delete(f"/db/a?rev={rev}"), reason="fixed")
    refused(await client.put("/db/a", json={"_rev": rev, "_deleted": True, "bad": 1}))
    deleted = {"_id": "a", "_rev": rev, "_deleted": True, "fixed": 1}
    assert (await client.post("/db/_bulk_docs", json={"docs": [deleted]})).json()[0]["ok"]


async def test_copies(client: httpx.AsyncClient, db: str) -> None:
    await save(client, {"_id": "a", "bad": 1})
    await design(client, validate_doc_update=REFUSES)
    refused(await client.request("COPY", "/db/a", headers={"Destination": "b"}))


async def test_attachments(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put("/db/a", json={"bad": 1})).json()["rev"]
    rev = (await client.put(f"/db/a/t?rev={rev}", content=b"x")).json()["rev"]
    await design(client, validate_doc_update=REFUSES)
    refused(await client.put(f"/db/a/u?rev={rev}", content=b"x"))
    refused(await client.delete(f"/db/a/t?rev={rev}"))
    assert (await client.get("/db/a")).json()["_rev"] == rev


async def test_local_documents_and_purges_are_not_asked(client: httpx.AsyncClient, db: str) -> None:
    rev = (await client.put("/db/a", json={})).json()["rev"]
    await design(client, validate_doc_update="function() { throw {forbidden: 'no'} }")
    assert (await client.put("/db/_local/a", json={})).status_code == 201
    assert (await client.post("/db/_bulk_docs", json={"docs": [{"_id": "_local/b"}]})).json()[0]["ok"]
    assert (await client.post("/db/_purge", json={"a": [rev]})).status_code == 201
    refused(await client.put("/db/b", json={}), reason="no")


async def test_design_documents_are_not_asked_about(client: httpx.AsyncClient, db: str) -> None:
    await design(client, validate_doc_update="function() { throw {forbidden: 'no'} }")
    await design(client, "other")
    await design(client, validate_doc_update=REFUSES)
    refused(await client.put("/db/a", json={"bad": 1}))


# -- what functions see ------------------------------------------------------------------------


async def test_a_new_document(client: httpx.AsyncClient, guarded: str) -> None:
    changed, stored, user, security = shown(await client.put("/db/a", json={"show": 1}))
    assert (changed, stored) == ({"_id": "a", "show": 1}, None)
    assert user == {"db": "db", "name": None, "roles": ["_admin"]}
    assert security == {"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}}


async def test_an_edit_is_compared_with_what_it_continues(client: httpx.AsyncClient, guarded: str) -> None:
    rev = (await client.put("/db/a", json={"x": 1})).json()["rev"]
    revisions = {"start": 1, "ids": [rev[2:]]}
    changed, stored, *_ = shown(await client.put("/db/a", json={"_rev": rev, "show": 1, "_deleted": True}))
    assert changed == {"_id": "a", "_rev": rev, "show": 1, "_deleted": True, "_revisions": revisions}
    assert stored == {"_id": "a", "_rev": rev, "x": 1, "_revisions": revisions}


async def test_an_edit_of_a_losing_leaf_is_compared_with_that_leaf(
    client: httpx.AsyncClient, guarded: str
) -> None:
    docs = [{"_id": "a", "_rev": f"1-{name}", "at": name} for name in "xy"]
    await client.post("/db/_bulk_docs", json={"docs": docs, "new_edits": False})
    for name in "xy":
        _, stored, *_ = shown(await client.put("/db/a", json={"_rev": f"1-{name}", "show": 1}))
        assert stored["at"] == name


async def test_a_new_beginning_has_nothing_before_it(client: httpx.AsyncClient, guarded: str) -> None:
    rev = (await client.put("/db/a", json={})).json()["rev"]
    await client.delete(f"/db/a?rev={rev}")
    changed, stored, *_ = shown(await client.put("/db/a", json={"show": 1}))
    assert (changed, stored) == ({"_id": "a", "show": 1}, None)


async def test_a_revision_is_compared_with_its_nearest_stored_ancestor(
    client: httpx.AsyncClient, guarded: str
) -> None:
    rev = (await client.put("/db/a", json={"x": 1})).json()["rev"]
    second = (await client.put("/db/a", json={"x": 2, "_rev": rev})).json()["rev"]

    async def show(history: list[str]) -> Any:
        body = {"show": 1, "_revisions": {"start": len(history), "ids": history}}
        return shown(await client.put("/db/a?new_edits=false", json=body))

    changed, stored, *_ = await show(["cc", second[2:], rev[2:]])
    assert changed["_rev"] == "3-cc"
    assert changed["_revisions"] == {"start": 3, "ids": ["cc", second[2:], rev[2:]]}
    assert stored["x"] == 2
    _, stored, *_ = await show(["cc", "bb", rev[2:]])
    assert stored["x"] == 1
    _, stored, *_ = await show(["cc", "bb", "aa"])
    assert stored is None


async def test_a_known_revision_is_not_asked_about_again(client: httpx.AsyncClient, db: str) -> None:
    doc = {"_id": "a", "_rev": "1-a", "bad": 1}
    await client.post("/db/_bulk_docs", json={"docs": [doc], "new_edits": False})
    await design(client, validate_doc_update=REFUSES)
    answer = await client.post("/db/_bulk_docs", json={"docs": [doc], "new_edits": False})
    assert answer.json() == []


async def test_attachments_are_shown_as_stubs(client: httpx.AsyncClient, db: str) -> None:
    attachment = {"content_type": "image/x", "data": "aGFsbG8="}
    rev = (await client.put("/db/a", json={"_attachments": {"t": attachment}})).json()["rev"]
    await design(client, validate_doc_update=SHOWS_ALL)
    changed, stored = shown(await client.put(f"/db/a/u?rev={rev}", content=b"12345"))
    digest = {"digest": "md5-WY1MIARhuBUiozKFZcJffA=="}
    assert stored["_attachments"]["t"] == {
        "content_type": "image/x", "revpos": 1, "length": 5, "stub": True, **digest
    }  # fmt: skip
    assert changed["_attachments"]["t"] == stored["_attachments"]["t"]
    assert (changed["_attachments"]["u"]["length"], changed["_attachments"]["u"]["stub"]) == (5, True)
    changed, _ = shown(await client.put("/db/b", json={"_attachments": {"t": attachment}}))
    assert changed["_attachments"]["t"]["length"] == 5
    assert "data" not in changed["_attachments"]["t"]


@pytest.fixture
async def people(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(store, ServerConfig(admins={"admin": "secret"}, password_iterations=1))
    await app.server.prepare()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        admin = ("admin", "secret")
        await client.put("/db", auth=admin)
        await client.put("/db/_security", json={"admins": {"names": ["boss"]}, "members": {}}, auth=admin)
        for name, roles in (("ann", ["sales"]), ("boss", [])):
            user = {"name": name, "password": "p", "roles": roles, "type": "user"}
            await client.put(f"/_users/org.couchdb.user:{name}", json=user, auth=admin)
        yield client
    app.server.javascript.close()


async def test_who_writes(people: httpx.AsyncClient) -> None:
    source = "function(n, o, user, sec) { throw {forbidden: JSON.stringify([user, sec])} }"
    ddoc = {"validate_doc_update": source}
    assert (await people.put("/db/_design/d", json=ddoc, auth=("ann", "p"))).status_code == 403
    assert (await people.put("/db/_design/d", json=ddoc, auth=("boss", "p"))).status_code == 201
    security = {"admins": {"names": ["boss"]}, "members": {}}
    for auth, name, roles in (
        (("ann", "p"), "ann", ["sales"]),
        (("admin", "secret"), "admin", ["_admin"]),
        (None, None, []),
    ):
        answer = await people.put("/db/a", json={}, auth=auth or httpx.Auth())
        assert shown(answer) == [{"db": "db", "name": name, "roles": roles}, security]


# -- several functions, wrong functions --------------------------------------------------------


async def test_all_functions_are_asked_in_the_order_of_their_documents(
    client: httpx.AsyncClient, db: str
) -> None:
    for name in "ba":
        source = f"function(doc) {{ if (doc.{name} || doc.all) throw {{forbidden: 'by {name}'}} }}"
        await design(client, name, validate_doc_update=source)
    refused(await client.put("/db/x", json={"all": 1}), reason="by a")
    refused(await client.put("/db/x", json={"b": 1}), reason="by b")
    docs = [{"_id": "1", "a": 1}, {"_id": "2"}, {"_id": "3", "b": 1}]
    rows = (await client.post("/db/_bulk_docs", json={"docs": docs})).json()
    assert [row.get("reason") for row in rows] == ["by a", None, "by b"]
    rev = (await client.get("/db/_design/a")).json()["_rev"]
    await client.delete(f"/db/_design/a?rev={rev}")
    assert (await client.put("/db/x", json={"a": 1})).status_code == 201


async def test_functions_use_modules_and_their_own_document(client: httpx.AsyncClient, db: str) -> None:
    source = "function(doc) { if (require('lib/rules').isBad(doc, this.limit)) throw {forbidden: 'rule'} }"
    lib = {"rules": "exports.isBad = (doc, limit) => doc.n > limit"}
    await design(client, validate_doc_update=source, lib=lib, limit=5)
    assert (await client.put("/db/a", json={"n": 5})).status_code == 201
    refused(await client.put("/db/b", json={"n": 6}), reason="rule")


@pytest.mark.parametrize("source", ["syntax error(", "5", ""])
async def test_a_function_that_does_not_compile_refuses_everything(
    client: httpx.AsyncClient, db: str, source: str
) -> None:
    await design(client, validate_doc_update=source)
    answer = await client.put("/db/a", json={})
    assert (answer.status_code, answer.json()["error"]) == (500, "compilation_error")
    # It can be mended.
    await design(client, validate_doc_update=REFUSES)
    assert (await client.put("/db/a", json={})).status_code == 201


async def test_a_hostile_function_harms_only_its_database(
    client: httpx.AsyncClient, app: Application, db: str
) -> None:
    app.server.javascript._call_seconds = 0.3
    await client.put("/other")
    await design(client, validate_doc_update="function(doc) { for (;;); }")
    answers = await asyncio.gather(
        client.put("/db/a", json={}), client.put("/other/a", json={}), client.get("/db")
    )
    assert [answer.status_code for answer in answers] == [500, 201, 200]
    assert answers[0].json()["error"] == "os_process_error"
    await design(client)
    assert (await client.put("/db/a", json={})).status_code == 201


async def test_a_document_cannot_change_what_later_ones_are_judged_by(
    client: httpx.AsyncClient, db: str
) -> None:
    # The classic hole: a merge that follows __proto__.
    source = """function(doc) {
        function merge(to, from) {
            for (var key in from) {
                if (typeof from[key] == 'object' && to[key]) merge(to[key], from[key]);
                else to[key] = from[key];
            }
        }
        merge({}, doc.settings || {});
        if (!doc.admin) throw {forbidden: 'not an admin'};
    }"""
    await design(client, validate_doc_update=source)
    body = b'{"admin": true, "settings": {"__proto__": {"admin": true}}}'
    assert (await client.put("/db/a", content=body)).status_code == 201
    refused(await client.put("/db/b", json={}), reason="not an admin")


async def test_conflicts_come_before_functions(client: httpx.AsyncClient, guarded: str) -> None:
    rev = (await client.put("/db/a", json={})).json()["rev"]
    for body in ({"bad": 1}, {"bad": 1, "_rev": "1-aa"}, {"bad": 1, "_rev": "2-aa"}):
        assert (await client.put("/db/a", json=body)).status_code == 409
    docs = [{"_id": "a", "_rev": rev, "n": n} for n in range(2)]
    rows = (await client.post("/db/_bulk_docs", json={"docs": docs})).json()
    assert [row.get("error") for row in rows] == [None, "conflict"]


async def test_an_edit_that_was_not_judged_never_succeeds(
    client: httpx.AsyncClient, guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it continues appears between the judgement and the write."""
    real = validation._continued

    async def late(database: Any, wanted: Any, judgement: Any) -> Any:
        found = await real(database, wanted, judgement)
        doc = {"_id": "a", "_rev": "1-aa"}
        monkeypatch.setattr(validation, "_continued", real)
        await client.post("/db/_bulk_docs", json={"docs": [doc], "new_edits": False})
        return found

    monkeypatch.setattr(validation, "_continued", late)
    assert (await client.put("/db/a", json={"_rev": "1-aa", "bad": 1})).status_code == 409
    assert (await client.put("/db/a", json={"_rev": "1-aa"})).status_code == 201


async def test_large_batches_are_judged(client: httpx.AsyncClient, guarded: str) -> None:
    docs = [{"_id": f"{n:04}", **({"bad": 1} if n % 7 == 0 else {})} for n in range(1000)]
    rows = (await client.post("/db/_bulk_docs", json={"docs": docs})).json()
    assert [at for at, row in enumerate(rows) if "error" in row] == list(range(0, 1000, 7))


async def test_databases_without_functions_start_no_process(
    client: httpx.AsyncClient, app: Application, db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(app.server.javascript), "run", None)
    await save(client, {"_id": "a"}, {"_id": "_design/d", "filters": {"f": "function() {}"}})
    await save(client, {"_id": "b"})


# -- design documents --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        ({"views": 5}, "invalid_design_doc", "`views` field must have object type"),
        ({"views": {"v": {"map": 5}}}, "invalid_design_doc", "`views.v.map` field must have string type"),
        (
            {"views": {"v": {"map": "function(doc {"}}},
            "compilation_error",
            "Compilation of the map function in the 'v' view failed: SyntaxError: ",
        ),
        (
            {"views": {"v": {"map": "5"}}},
            "compilation_error",
            "Compilation of the map function in the 'v' view failed: Expression does not eval to a function.",
        ),
        (
            {"views": {"v": {"map": "function() {}", "reduce": "function("}}},
            "compilation_error",
            "Compilation of the reduce function in the 'v' view failed: SyntaxError: ",
        ),
    ],
)
async def test_design_documents_that_may_not_be_stored(
    client: httpx.AsyncClient, db: str, value: dict[str, Any], error: str, reason: str
) -> None:
    answer = await client.put("/db/_design/d", json=value)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["reason"].startswith(reason)
    docs = [{"_id": "_design/d", "_rev": "1-a", **value}, {"_id": "a", "_rev": "1-a"}]
    (row,) = (await client.post("/db/_bulk_docs", json={"docs": docs, "new_edits": False})).json()
    assert (row["id"], row["error"]) == ("_design/d", error)
    assert (await client.get("/db/_design/d")).status_code == 404


@pytest.mark.parametrize("language", ["erlang", "query", "other", ""])
async def test_a_validation_function_in_another_language_refuses_everything(
    client: httpx.AsyncClient, db: str, language: str
) -> None:
    await design(client, "v", language=language, validate_doc_update="function() {}")
    error = {"error": "unknown_query_language", "reason": language}
    answer = await client.put("/db/a", json={})
    assert (answer.status_code, answer.json()) == (500, error)
    for new_edits in (True, False):
        body = {"docs": [{"_id": "a", **({} if new_edits else {"_rev": "1-a"})}], "new_edits": new_edits}
        (row,) = (await client.post("/db/_bulk_docs", json=body)).json()
        assert row["error"] == "unknown_query_language"
    assert (await client.get("/db/a")).status_code == 404


async def test_the_name_of_a_language_is_read_as_couchdb_reads_it(client: httpx.AsyncClient, db: str) -> None:
    views = {"v": {"map": "function(doc) { emit(doc.n) }"}}
    await design(client, "v", language="JavaScript", validate_doc_update=REFUSES, views=views)
    refused(await client.put("/db/a", json={"bad": 1}))
    assert (await client.put("/db/a", json={"n": 1})).status_code == 201
    assert (await client.get("/db/_design/v/_view/v")).json()["rows"] == [
        {"id": "a", "key": 1, "value": None}
    ]


async def test_other_functions_are_compiled_when_they_are_used(client: httpx.AsyncClient, db: str) -> None:
    value: dict[str, Any] = {"filters": {"f": "("}, "updates": {"u": "("}, "shows": {"s": "("}}
    assert (await client.put("/db/_design/d", json=value)).status_code == 201
    value = {"language": "other", "views": {"v": {"map": "("}}}
    assert (await client.put("/db/_design/e", json=value)).status_code == 201


async def test_a_wrong_design_document_can_be_deleted(
    client: httpx.AsyncClient, store: Store, db: str
) -> None:
    rev = (await client.put("/db/_design/d", json={})).json()["rev"]
    body = {"_rev": rev, "_deleted": True, "views": 5}
    assert (await client.put("/db/_design/d", json=body)).status_code == 200
