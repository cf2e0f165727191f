"""How somebody asks for what isn't his at the endpoints of the document server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from kompass.sync.opening import DATABASE
from tests.attack.asking import DB, UNKNOWN_REV, Ask, Asks, Target, get, post, query_of, quoted

# -- single documents --------------------------------------------------------------------------


def document(t: Target) -> Asks:
    path = f"{DB}/{t.path}"
    yield from get(path)
    for flag in (
        "revs",
        "revs_info",
        "conflicts",
        "deleted_conflicts",
        "local_seq",
        "meta",
        "attachments",
        "att_encoding_info",
        "latest",
        "deleted",
    ):
        yield from get(path, {flag: "true"})
        yield from get(path, {flag: "true"}, rev=t.rev)
    yield from get(path, rev=t.rev)
    yield from get(path, rev=UNKNOWN_REV, latest="true")
    for accept in ("application/json", "multipart/mixed", "multipart/related"):
        accepted = {"accept": accept}
        yield from get(path, headers=accepted, open_revs="all")
        yield from get(path, headers=accepted, open_revs=f'["{t.rev}","{UNKNOWN_REV}"]')
        yield from get(path, headers=accepted, open_revs=f'["{t.rev}"]', latest="true", revs="true")
        yield from get(path, headers=accepted, attachments="true")
        yield from get(path, headers=accepted, attachments="true", atts_since=f'["{t.rev}"]')
        yield from get(path, headers=accepted, rev=t.rev, attachments="true")
    for tag in (t.rev, UNKNOWN_REV):
        yield from get(path, headers={"if-none-match": quoted(tag)})
        yield from get(path, headers={"if-none-match": "*"})
        yield from get(path, headers={"if-match": quoted(tag)})
    # The same document in other spellings.
    upper = f"/{DATABASE.upper()}"
    for before in (
        f"{DB}/%2e%2e{DB}/",
        f"/{DB}//",
        f"{DB}//",
        f"{upper}/",
        f"{DB}%2f",
        f"{DB}/./",
        f"{DB};x/",
    ):
        yield from get(before + t.path)
    yield from get(f"{DB}/_design%2f..%2f{t.path}")
    yield from get(f"{DB}/{t.path}/")
    yield Ask("POST", path, headers={"x-http-method-override": "GET"})
    yield Ask("POST", path, headers={"x-http-method-override": "HEAD"})
    yield Ask("OPTIONS", path)
    # What may go wrong must go wrong the same way.
    yield Ask("PUT", path, {"_rev": t.rev, "type": "contact"}, changes=True)
    yield Ask("DELETE", f"{path}?rev={t.rev}", changes=True)
    yield Ask("DELETE", path, changes=True)
    yield Ask("DELETE", path, headers={"if-match": quoted(t.rev)}, changes=True)
    yield Ask("POST", f"{path}?rev={t.rev}", headers={"x-http-method-override": "DELETE"}, changes=True)
    for rev in (None, t.rev):
        source = path if rev is None else f"{path}?rev={rev}"
        yield Ask("COPY", source, headers={"destination": "stolen"}, changes=True)
        yield Ask("COPY", source, headers={"destination": "_local/stolen"}, changes=True)
    yield Ask("COPY", f"{DB}/{quote(t.own)}", headers={"destination": f"{t.path}?rev={t.rev}"}, changes=True)


def attachment(t: Target) -> Asks:
    path = f"{DB}/{t.path}/{t.attachment}"
    yield from get(path)
    yield from get(path, rev=t.rev)
    yield from get(path, headers={"range": "bytes=0-4"})
    yield from get(path, headers={"range": "bytes=9999999-"})
    yield from get(path, headers={"range": "bytes=0-0,2-3"})
    yield from get(path, headers={"if-none-match": quoted(t.digest.removeprefix("md5-"))})
    yield from get(path, headers={"if-range": quoted(t.digest.removeprefix("md5-")), "range": "bytes=0-1"})
    yield from get(path, headers={"accept-encoding": "gzip"})
    yield from get(f"{DB}/{t.path}/nothing")
    yield from get(f"{DB}/{t.path}%2f{t.attachment}")
    yield from get(f"{DB}/{quote(t.own)}/..%2f{t.path}%2f{t.attachment}")
    yield Ask("PUT", f"{path}?rev={t.rev}", "text", changes=True)
    yield Ask("PUT", path, "text", {"if-match": quoted(t.rev)}, changes=True)
    yield Ask("DELETE", f"{path}?rev={t.rev}", changes=True)


def local_document(t: Target) -> Asks:
    for name in (t.path, "noted", "kompass-demo"):
        path = f"{DB}/_local/{name}"
        yield from get(path)
        yield from get(path, rev="0-1", attachments="true", revs="true", conflicts="true")
        yield from get(f"{DB}/_local%2f{name}")
        yield from get(f"{path}/{t.attachment}")
        yield Ask("COPY", path, headers={"destination": "stolen"}, changes=True)
        yield Ask("DELETE", f"{path}?rev=0-1", changes=True)
    yield Ask("COPY", f"{DB}/_local/noted", headers={"destination": "_local/stolen"}, changes=True)


# -- listings ----------------------------------------------------------------------------------


def _listing(path: str, t: Target) -> Asks:
    yield from get(path)
    for value in ("true", "false"):
        for name in ("include_docs", "descending", "conflicts", "update_seq", "attachments", "sorted"):
            yield from get(path, {name: value, "include_docs": "true"}, head=False)
    key = quoted(t.id)
    yield from get(path, key=key, include_docs="true", attachments="true")
    yield from get(path, keys=f"[{key}]", include_docs="true", conflicts="true")
    yield from get(path, startkey=key, limit="1", include_docs="true")
    yield from get(path, startkey=key, endkey=key, inclusive_end="true")
    yield from get(path, startkey=key, endkey=quoted(t.id + "￰"), update_seq="true")
    yield from get(path, endkey=key, descending="true", limit="1", skip="0")
    yield from get(path, startkey=quoted("customer-finance-"), endkey=quoted("customer-finance."))
    yield from post(path, {"keys": [t.id, "nothing", t.own]}, include_docs="true")
    yield from post(path, {"key": t.id, "include_docs": True})
    yield from post(path, {"start_key": t.id, "limit": 2, "include_docs": True})


def all_docs(t: Target) -> Asks:
    yield from _listing(f"{DB}/_all_docs", t)


def design_docs(t: Target) -> Asks:
    yield from _listing(f"{DB}/_design_docs", t)


def local_docs(t: Target) -> Asks:
    yield from _listing(f"{DB}/_local_docs", t)


def listing_queries(t: Target) -> Asks:
    for listing in ("_all_docs", "_design_docs", "_local_docs"):
        queries = [
            {"keys": [t.id], "include_docs": True},
            {"startkey": t.id, "limit": 1, "include_docs": True},
            {"include_docs": True, "conflicts": True},
        ]
        yield from post(f"{DB}/{listing}/queries", {"queries": queries})


# -- the feed ----------------------------------------------------------------------------------


def changes(t: Target) -> Asks:
    path = f"{DB}/_changes"
    yield from get(path)
    positions = ("0", "now", "5", "5:2", "1:99999999", "999999999", "9-x", "5:18446744073709551615")
    for since in positions:
        yield from get(path, head=False, since=since, include_docs="true")
        yield from get(path, head=False, since=since, descending="true", include_docs="true")
        yield from get(path, head=False, since=since, limit="1", style="all_docs", include_docs="true")
        yield from get(path, head=False, since=since, limit="0")
    for name, value in (
        ("conflicts", "true"),
        ("attachments", "true"),
        ("att_encoding_info", "true"),
        ("seq_interval", "2"),
        ("seq_interval", "1000"),
        ("style", "all_docs"),
        ("style", "main_only"),
        ("include_docs", "true"),
        ("view", "open/all"),
    ):
        yield from get(path, {"include_docs": "true", "style": "all_docs", name: value}, head=False)
    for feed in ("normal", "longpoll", "continuous", "eventsource"):
        yield from get(path, head=False, feed=feed, timeout="50", include_docs="true", limit="1000")
        yield from get(path, head=False, feed=feed, timeout="50", since="now")
        yield Ask("GET", f"{path}?feed={feed}&timeout=50&include_docs=true", headers={"last-event-id": "3"})
    for name in ("_design", "open/everything", "closed/everything", "_view", "_selector", "_doc_ids"):
        yield from get(path, head=False, filter=name, view="open/all", include_docs="true")
        yield from get(path, head=False, filter=name, view="closed/all", include_docs="true")
    yield from get(path, filter="_doc_ids", doc_ids=f'["{t.id}"]', include_docs="true", style="all_docs")
    yield from post(path, {"doc_ids": [t.id, t.own]}, filter="_doc_ids", include_docs="true")
    yield from post(path, {"doc_ids": [t.id]}, filter="_doc_ids", descending="true", style="all_docs")
    yield from post(path, {"doc_ids": [t.id]}, filter="_doc_ids", feed="longpoll", timeout="50")
    for selector in ({"_id": t.id}, {"_id": {"$gte": t.id}}, {"notes": {"$regex": "MARK"}}, {}):
        yield from post(path, {"selector": selector}, filter="_selector", include_docs="true")


# -- replication -------------------------------------------------------------------------------


def bulk_get(t: Target) -> Asks:
    docs = [
        {"id": t.id},
        {"id": t.id, "rev": t.rev},
        {"id": t.id, "rev": UNKNOWN_REV},
        {"id": t.id, "rev": t.rev, "atts_since": [UNKNOWN_REV]},
        {"id": f"_local/{t.id}"},
        {"id": "_local/noted"},
        {"id": "_design/closed"},
        {"id": t.own, "rev": t.rev},
    ]
    for parameters in ({}, {"revs": "true", "latest": "true"}, {"attachments": "true", "revs": "true"}):
        for accept in ("application/json", "multipart/mixed", "multipart/related"):
            for doc in docs:
                query = f"?{query_of(**parameters)}" if parameters else ""
                yield Ask("POST", f"{DB}/_bulk_get{query}", {"docs": [doc]}, {"accept": accept})


def bulk_docs(t: Target) -> Asks:
    doc = {"_id": t.id, "_rev": t.rev, "type": "contact"}
    for body in (
        {"docs": [doc]},
        {"docs": [{**doc, "_deleted": True}]},
        {"docs": [{**doc, "_rev": UNKNOWN_REV}]},
        {"docs": [{"_id": "_local/noted", "_rev": "0-1"}]},
    ):
        yield from post(f"{DB}/_bulk_docs", body, changes=True)


def revs_diff(t: Target) -> Asks:
    yield from post(f"{DB}/_revs_diff", {t.id: [t.rev, UNKNOWN_REV]})
    yield from post(f"{DB}/_revs_diff", {t.id: [f"9-{'0' * 32}"]})


def missing_revs(t: Target) -> Asks:
    yield from post(f"{DB}/_missing_revs", {t.id: [t.rev, UNKNOWN_REV]})


# -- queries -----------------------------------------------------------------------------------


def _selectors(t: Target) -> Iterator[dict[str, Any]]:
    yield {}
    yield {"_id": t.id}
    yield {"_id": {"$gte": t.id}}
    yield {"notes": {"$regex": "MARK"}}
    yield {"type": "customer_finance"}
    yield {"type": {"$gt": None}, "notes": {"$gt": None}}
    yield {"$not": {"_id": "nothing"}}


def find(t: Target) -> Asks:
    for selector in _selectors(t):
        body = {"selector": selector, "execution_stats": True}
        yield from post(f"{DB}/_find", {**body, "limit": 1000, "conflicts": True})
        yield from post(f"{DB}/_find", {**body, "limit": 1, "skip": 1, "fields": ["notes", "_rev"]})
        yield from post(f"{DB}/_find", {**body, "bookmark": "nil", "use_index": "hidden", "limit": 1})
        yield from post(f"{DB}/_find", {**body, "use_index": ["_design/hidden", "by-notes"]})
        yield from post(f"{DB}/_find", {**body, "use_index": "finding", "sort": ["type", "notes"]})
        yield from post(f"{DB}/_find", {**body, "sort": [{"_id": "desc"}], "stable": True, "r": 3})


def explain(t: Target) -> Asks:
    for selector in _selectors(t):
        for index in ("finding", "hidden"):
            yield from post(f"{DB}/_explain", {"selector": selector, "use_index": index})


def index(t: Target) -> Asks:
    yield from get(f"{DB}/_index")
    body = {"index": {"fields": ["notes"]}, "ddoc": "mine", "name": "mine"}
    yield from post(f"{DB}/_index", body, changes=True)


def index_below(t: Target) -> Asks:
    for ddoc in ("hidden", "closed", "nothing"):
        yield Ask("DELETE", f"{DB}/_index/{ddoc}/json/by-notes", changes=True)
        yield from post(f"{DB}/_index/_bulk_delete", {"docids": [f"_design/{ddoc}"]}, changes=True)


def view(t: Target) -> Asks:
    for ddoc in ("open", "closed"):
        for name in ("all", "linked", "counted"):
            path = f"{DB}/_design/{ddoc}/_view/{name}"
            shown = {"reduce": "false"}
            yield from get(path)
            yield from get(path, shown, include_docs="true", attachments="true", conflicts="true")
            yield from get(path, shown, update_seq="true", descending="true", include_docs="true")
            yield from get(path, shown, stale="ok")
            yield from get(path, shown, update="false", stable="true", sorted="false")
            yield from get(path, shown, startkey_docid=t.id, startkey='"contact"', limit="3")
            yield from get(path, shown, key='"customer_finance"', include_docs="true")
            yield from get(path, reduce="true", group="true")
            yield from get(path, group_level="1")
            keys = {"keys": ["customer_finance", "parentId", "customerId", t.id], "include_docs": True}
            yield from post(path, keys, shown)
            queries = {"queries": [{"include_docs": True, "reduce": False}, {"group": True}]}
            yield from post(f"{path}/queries", queries)


def update(t: Target) -> Asks:
    for ddoc in ("open", "closed"):
        path = f"{DB}/_design/{ddoc}/_update/echo"
        yield from post(path)
        yield from post(f"{path}/{t.path}")
        yield Ask("PUT", f"{path}/{t.path}", {})
        yield from post(f"{path}/_local%2fnoted")
        yield from post(f"{path}/_design%2fclosed")


def _below_design(*parts: str) -> Callable[[Target], Asks]:
    def asks(t: Target) -> Asks:
        for ddoc in ("open", "closed", "nothing"):
            for part in parts:
                yield from get(f"{DB}/_design/{ddoc}/{part}")
                yield from post(f"{DB}/_design/{ddoc}/{part}")

    return asks


# -- the rest of the database ------------------------------------------------------------------


def database(t: Target) -> Asks:
    for name in (DATABASE, "kompass-quarantine", "kompass-devices", "_users", "_replicator", "nothing"):
        yield from get(f"/{name}")
        yield Ask("PUT", f"/{name}", changes=True)
        yield Ask("DELETE", f"/{name}", changes=True)
        if name == DATABASE:
            continue
        for listing in ("_all_docs", "_design_docs", "_local_docs", "_changes"):
            yield from get(f"/{name}/{listing}", include_docs="true")
        yield from post(f"/{name}/_find", {"selector": {}})
        user = f"org.couchdb.user:{t.user}"
        yield from post(f"/{name}/_bulk_get", {"docs": [{"id": user}]})
        yield from post(f"/{name}/_revs_diff", {user: [UNKNOWN_REV]})
        yield from post(f"/{name}/_all_docs", {"keys": [user]})
        yield from get(f"/{name}/{user}")
        yield from get(f"/{name}/{user}", open_revs="all", attachments="true")
        yield from get(f"/{name}/org.couchdb.user%3A{t.user}/picture.png")
        for part in ("_security", "_index", "_purged_infos", "_design/_auth", "_design/_auth/_info", t.path):
            yield from get(f"/{name}/{part}")
        yield from get(f"/{name}/_shards/{user}")
        yield Ask("COPY", f"/{name}/{user}", headers={"destination": "x"}, changes=True)
    yield from post(DB, {"_id": t.id, "_rev": t.rev}, changes=True)


def security(t: Target) -> Asks:
    yield from get(f"{DB}/_security")
    yield Ask("PUT", f"{DB}/_security", {"admins": {"names": ["adm1"]}}, changes=True)


def _database(
    name: str, *, method: str = "GET", body: Any = None, changes: bool = False
) -> Callable[[Target], Asks]:
    def asks(t: Target) -> Asks:
        if method == "GET":
            yield from get(f"{DB}/{name}")
            yield Ask("PUT", f"{DB}/{name}", 5, changes=True)
        else:
            yield Ask(method, f"{DB}/{name}", {} if body is None else body, changes=changes)

    return asks


def purge(t: Target) -> Asks:
    yield Ask("POST", f"{DB}/_purge", {t.id: [t.rev]}, changes=True)


def shards(t: Target) -> Asks:
    yield from get(f"{DB}/_shards")
    yield from get(f"{DB}/_shards/{t.path}")


def partition(t: Target) -> Asks:
    prefix = f"{DB}/_partition/{quote(t.id.partition('-')[0])}"
    yield from get(prefix)
    for listing in ("_all_docs", "_index", "_design/open/_view/all", "_design/open/_info"):
        yield from get(f"{prefix}/{listing}", include_docs="true")
    yield from post(f"{prefix}/_find", {"selector": {}})
    yield from post(f"{prefix}/_explain", {"selector": {}})


# -- the server --------------------------------------------------------------------------------


def _server(name: str, *bodies: Any, below: tuple[str, ...] = ()) -> Callable[[Target], Asks]:
    def asks(t: Target) -> Asks:
        for path in (f"/{name}", *(f"/{name}/{one}" for one in below)):
            yield from get(path, include_docs="true")
            for body in bodies or ({},):
                yield Ask("POST", path, body, changes=name in ("_session", "_replicate"))
                yield Ask("PUT", path, body, changes=True)
            yield Ask("DELETE", path, changes=True)

    return asks


def replicate(t: Target) -> Asks:
    for source, target in ((DATABASE, "stolen"), (DATABASE, f"http://127.0.0.1:9{DB}"), ("_users", "stolen")):
        body = {"source": source, "target": target, "create_target": True}
        yield from post("/_replicate", body, changes=True)
        yield Ask("POST", "/_replicator", {"_id": "steal", **body}, changes=True)
        yield Ask("PUT", "/_replicator/steal", body, changes=True)


_NODE = (
    "",
    "/_local",
    "/_local/_stats",
    "/_local/_prometheus",
    "/_local/_system",
    "/_local/_versions",
    "/_local/_smoosh",
    "/_local/_restart",
    "/_local/_config",
    "/_local/_config/chttpd_auth",
    "/_local/_config/chttpd_auth/secret",
    "/_local/_config/_reload",
    "/elsewhere/_config",
    "/_local/nothing",
)


def node(t: Target) -> Asks:
    for path in _NODE:
        yield from get(f"/_node{path}")
        yield Ask("POST", f"/_node{path}", {}, changes=True)
        yield Ask("PUT", f"/_node{path}", "x", changes=True)


FOR: Mapping[str, Callable[[Target], Asks]] = {
    "/": lambda t: get("/"),
    "_up": _server("_up"),
    "_uuids": _server("_uuids"),
    "_all_dbs": _server("_all_dbs"),
    "_dbs_info": _server("_dbs_info", {"keys": [DATABASE, "_users"]}),
    "_active_tasks": _server("_active_tasks"),
    "_db_updates": _server("_db_updates"),
    "_replicate": replicate,
    "_scheduler": _server("_scheduler", below=("jobs", "docs", "docs/_replicator", "docs/_replicator/x")),
    "_membership": _server("_membership"),
    "_cluster_setup": _server("_cluster_setup", {"action": "enable_single_node"}),
    "_reshard": _server("_reshard", below=("jobs", "state")),
    "_search_analyze": _server("_search_analyze"),
    "_nouveau_analyze": _server("_nouveau_analyze"),
    "_utils": _server("_utils", below=("index.html",)),
    "_session": _server("_session"),
    "_node/{name}/…": node,
    "/{db}": database,
    "_all_docs": all_docs,
    "_design_docs": design_docs,
    "_local_docs": local_docs,
    "_all_docs/queries": listing_queries,
    "_changes": changes,
    "_bulk_docs": bulk_docs,
    "_bulk_get": bulk_get,
    "_revs_diff": revs_diff,
    "_missing_revs": missing_revs,
    "_ensure_full_commit": _database("_ensure_full_commit", method="POST"),
    "_find": find,
    "_explain": explain,
    "_index": index,
    "_index/…": index_below,
    "_security": security,
    "_revs_limit": _database("_revs_limit"),
    "_compact": _database("_compact", method="POST", changes=True),
    "_view_cleanup": _database("_view_cleanup", method="POST", changes=True),
    "_purged_infos": _database("_purged_infos"),
    "_purged_infos_limit": _database("_purged_infos_limit"),
    "_shards": shards,
    "_sync_shards": _database("_sync_shards", method="POST", changes=True),
    "_search_cleanup": _database("_search_cleanup", method="POST"),
    "_nouveau_cleanup": _database("_nouveau_cleanup", method="POST"),
    "_temp_view": _database("_temp_view", method="POST", body={"map": "function (doc) { emit(doc) }"}),
    "_purge": purge,
    "_partition/{p}": partition,
    "{doc}": document,
    "_local/{doc}": local_document,
    "{doc}/{attachment}": attachment,
    "_design/{d}/_view": view,
    "_design/{d}/_info": _below_design("_info"),
    "_design/{d}/_search": _below_design("_search/x"),
    "_design/{d}/_search_info": _below_design("_search_info/x"),
    "_design/{d}/_nouveau": _below_design("_nouveau/x"),
    "_design/{d}/_nouveau_info": _below_design("_nouveau_info/x"),
    "_design/{d}/_update": update,
    "_design/{d}/_show": _below_design("_show/x", "_show/x/y"),
    "_design/{d}/_list": _below_design("_list/x/all"),
    "_design/{d}/_rewrite": _below_design("_rewrite/x"),
}
"""By the names that routes have in the table of endpoints."""
