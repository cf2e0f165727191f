"""Requests of somebody who wants what isn't his, for every endpoint there is.

`FOR` has an entry for each route of the document server and of the API; a test compares it with the tables of
routes, so that a new endpoint is attacked too, or somebody has to say why not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from kompass.sync.opening import DATABASE

UNKNOWN_REV = "1-" + "0" * 32
DB = f"/{DATABASE}"


@dataclass(frozen=True)
class Ask:
    method: str
    path: str
    """As it goes over the wire: escaped already."""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False
    """Whether it may change something: a test that shares its world leaves it out."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.body or ''} {dict(self.headers) or ''}"


@dataclass(frozen=True)
class Target:
    """A document that the one who asks may not read, or one that isn't there."""

    id: str
    rev: str = UNKNOWN_REV
    attachment: str = "secret.txt"
    digest: str = "md5-AAAAAAAAAAAAAAAAAAAAAA=="
    own: str = "contact-none"
    """A document that he may read."""
    user: str = "niemand"
    """Somebody else."""

    @property
    def path(self) -> str:
        return quote(self.id, safe="")


Asks = Iterator[Ask]


def _query(**parameters: str) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())


def get(
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    head: bool = True,
    headers: Mapping[str, str] | None = None,
    **parameters: str,
) -> Asks:
    given = {**(query or {}), **parameters}
    full = f"{path}?{_query(**given)}" if given else path
    yield Ask("GET", full, headers=headers or {})
    if head:
        yield Ask("HEAD", full, headers=headers or {})


def post(
    path: str,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    *,
    changes: bool = False,
    **parameters: str,
) -> Asks:
    given = {**(query or {}), **parameters}
    full = f"{path}?{_query(**given)}" if given else path
    yield Ask("POST", full, {} if body is None else body, changes=changes)


def _quoted(text: str) -> str:
    return f'"{text}"'


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
        yield from get(path, headers={"if-none-match": _quoted(tag)})
        yield from get(path, headers={"if-none-match": "*"})
        yield from get(path, headers={"if-match": _quoted(tag)})
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
    yield Ask("DELETE", path, headers={"if-match": _quoted(t.rev)}, changes=True)
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
    yield from get(path, headers={"if-none-match": _quoted(t.digest.removeprefix("md5-"))})
    yield from get(path, headers={"if-range": _quoted(t.digest.removeprefix("md5-")), "range": "bytes=0-1"})
    yield from get(path, headers={"accept-encoding": "gzip"})
    yield from get(f"{DB}/{t.path}/nothing")
    yield from get(f"{DB}/{t.path}%2f{t.attachment}")
    yield from get(f"{DB}/{quote(t.own)}/..%2f{t.path}%2f{t.attachment}")
    yield Ask("PUT", f"{path}?rev={t.rev}", "text", changes=True)
    yield Ask("PUT", path, "text", {"if-match": _quoted(t.rev)}, changes=True)
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
    key = _quoted(t.id)
    yield from get(path, key=key, include_docs="true", attachments="true")
    yield from get(path, keys=f"[{key}]", include_docs="true", conflicts="true")
    yield from get(path, startkey=key, limit="1", include_docs="true")
    yield from get(path, startkey=key, endkey=key, inclusive_end="true")
    yield from get(path, startkey=key, endkey=_quoted(t.id + "￰"), update_seq="true")
    yield from get(path, endkey=key, descending="true", limit="1", skip="0")
    yield from get(path, startkey=_quoted("customer-finance-"), endkey=_quoted("customer-finance."))
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
                query = f"?{_query(**parameters)}" if parameters else ""
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


# -- the product -------------------------------------------------------------------------------


def own_paths(t: Target) -> Asks:
    for path in ("/healthz", "/readyz", "/metrics", "/app", "/app/", "/api", "/api/", "/api/v1", "/api/v1/"):
        yield from get(path)
    for path in ("..%2f..%2fpyproject.toml", "../server.py", "%2e%2e/server.py", "..\\server.py", "%00"):
        yield from get(f"/app/{path}")
    yield from get(f"/app/..%2f{DATABASE}/{t.path}")
    yield from get(f"/%61pi/v1/..%2f..%2f{DATABASE}/{t.path}")
    yield from get("/api/v1/openapi.json")


def _api(*asks: tuple[str, str, Any]) -> Callable[[Target], Asks]:
    def ask(t: Target) -> Asks:
        for method, path, body in asks:
            for one in (t.path, "0" * 32, "..%2fsession", "%2e%2e"):
                yield Ask(method, f"/api/v1/{path.format(id=one)}", body, changes=method != "GET")

    return ask


def _explained(t: Target) -> Asks:
    for user in (t.user, "nobody"):
        yield Ask("GET", f"/api/v1/access/explain?user={user}&doc={t.path}")


def _tried(t: Target) -> Asks:
    for change in ({"owner": t.user}, {"type": "role"}, {"private": None, "createdBy": t.user}):
        yield Ask("POST", "/api/v1/access/dry-run", {"changes": {t.id: change}})


def _others(t: Target) -> Asks:
    for name in (t.user, "nobody"):
        yield from get(f"/api/v1/users/{name}")
        body = {"roles": ["GF"], "reason": "because I can"}
        yield Ask("PATCH", f"/api/v1/users/{name}", body, changes=True)


def _conflicting(t: Target) -> Asks:
    for query in ("", "?state=open,resolved,merged&limit=200", f"?entityId={t.path}", "?escalated=true"):
        yield Ask("GET", f"/api/v1/conflicts{query}")


def _quarantined(t: Target) -> Asks:
    for query in ("", "?own=false", "?own=true", "?state=waiting", "?limit=200", "?before=999999"):
        yield Ask("GET", f"/api/v1/quarantine{query}")


def _audited(path: str) -> Callable[[Target], Asks]:
    def ask(t: Target) -> Asks:
        yield from get(f"/api/v1/{path}")
        for query in ("limit=200", f"document={t.path}", f"user={t.user}", f"user=nobody&document={t.path}"):
            yield Ask("GET", f"/api/v1/{path}?{query}")

    return ask


def _erased(t: Target) -> Asks:
    wish = {"reason": "Antrag nach Art. 17", "dryRun": True}
    yield Ask("POST", f"/api/v1/privacy/subjects/{t.path}/erasure", wish)


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


def _followed(t: Target) -> Asks:
    for interval in ({"since": "0", "until": "now"}, {"since": "now", "until": "now"}):
        yield Ask("POST", "/api/v1/feed/access", {"ids": [t.id], **interval})


def _searched(t: Target) -> Asks:
    for text in ("", "MARK", "MRAK", "MAR", t.id, t.rev, "geheim", t.user):
        for more in (
            {},
            {"limit": "50", "sort": "-modifiedAt"},
            {"limit": "50", "offset": "50", "sort": "value"},
            {"customerId": t.id, "limit": "50"},
            {"projectId": t.id},
            {"owner": t.user, "type": "customer,project,expense"},
        ):
            yield from get("/api/v1/search", {"q": text, **more}, head=False)


def _reported(t: Target) -> Asks:
    for name in ("pipeline", "forecast", "margins", "aging", "workload", "capacity", t.path):
        yield from get(f"/api/v1/reports/{name}")


def _hooked(t: Target) -> Asks:
    """Somebody who would have the document sent to him."""
    body = {
        "url": "http://127.0.0.1:9/",
        "events": ["customer.updated"],
        "fields": ["notes"],
        "person": t.user,
    }
    yield Ask("PUT", "/api/v1/jobs/webhooks/n8n", body)
    yield Ask("DELETE", "/api/v1/jobs/webhooks/n8n")


def _viewed(t: Target) -> Asks:
    """Through somebody else's eyes."""
    for person in (t.user, "gf1", "_jobs"):
        yield Ask("POST", "/api/v1/jobs/service/view", {"person": person, "ids": [t.id]})


def _made_by_service(t: Target) -> Asks:
    body = {"type": "notification", "recipientId": t.user, "documentId": t.id, "isRead": False}
    yield Ask("PUT", f"/api/v1/jobs/service/documents/{t.path}", body)


FOR_API: Mapping[str, Callable[[Target], Asks]] = {
    "/access/explain": _explained,
    "/access/dry-run": _tried,
    "/devices": _api(("GET", "devices", None), ("GET", "devices?all=true", None)),
    "/devices/{id}": _api(("GET", "devices/{id}", None), ("PATCH", "devices/{id}", {"name": "x"})),
    "/devices/{id}/revoke": _api(("POST", "devices/{id}/revoke", None)),
    "/devices/{id}/lost": _api(("POST", "devices/{id}/lost", None)),
    "/devices/{id}/restore": _api(("POST", "devices/{id}/restore", None)),
    "/audit": _audited("audit"),
    "/audit/export": _audited("audit/export"),
    "/audit/verification": lambda t: get("/api/v1/audit/verification"),
    "/audit/keys": lambda t: get("/api/v1/audit/keys"),
    "/privacy/subjects/{id}/export": lambda t: get(f"/api/v1/privacy/subjects/{t.path}/export"),
    "/privacy/subjects/{id}/erasure": _erased,
    "/privacy/subjects/{id}/consents": lambda t: get(f"/api/v1/privacy/subjects/{t.path}/consents"),
    "/privacy/tickets": lambda t: get("/api/v1/privacy/tickets"),
    "/privacy/tickets/{num:int}/acknowledge": _api(("POST", "privacy/tickets/1/acknowledge", {})),
    "/privacy/consumers": _api(("GET", "privacy/consumers", None)),
    "/privacy/consumers/{name}": _api(
        ("PUT", "privacy/consumers/search", {}), ("DELETE", "privacy/consumers/other", None)
    ),
    "/privacy/consumers/{name}/tickets": _api(
        ("GET", "privacy/consumers/search/tickets", None),
        ("POST", "privacy/consumers/search/tickets", {"tickets": [1]}),
    ),
    "/feed/access": _followed,
    "/feed/status": lambda t: get("/api/v1/feed/status"),
    "/feed/dead": lambda t: get("/api/v1/feed/dead"),
    "/feed/dead/{num:int}": _api(("GET", "feed/dead/1", None), ("DELETE", "feed/dead/1", None)),
    "/feed/dead/{num:int}/replay": _api(("POST", "feed/dead/1/replay", None)),
    "/feed/rebuilds/{sink}": _api(("POST", "feed/rebuilds/search", None)),
    "/jobs": lambda t: get("/api/v1/jobs"),
    "/jobs/status": lambda t: get("/api/v1/jobs/status"),
    "/jobs/events": lambda t: get("/api/v1/jobs/events", head=False, seconds="0", after="0"),
    "/jobs/{id}": _api(("GET", "jobs/1", None), ("DELETE", "jobs/1", None)),
    "/jobs/{id}/replay": _api(("POST", "jobs/1/replay", None)),
    "/jobs/webhooks": lambda t: get("/api/v1/jobs/webhooks"),
    "/jobs/webhooks/{name}": _hooked,
    "/jobs/webhooks/{name}/deliveries": lambda t: get("/api/v1/jobs/webhooks/n8n/deliveries"),
    "/jobs/service/view": _viewed,
    "/jobs/service/people": lambda t: get("/api/v1/jobs/service/people", role="GF"),
    "/jobs/service/webhooks/{name}": lambda t: get("/api/v1/jobs/service/webhooks/n8n"),
    "/jobs/service/documents/{id:path}": _made_by_service,
    "/feed/people": lambda t: get("/api/v1/feed/people"),
    "/search": _searched,
    "/reports": lambda t: get("/api/v1/reports"),
    "/reports/{name}": _reported,
    "/users": _api(("GET", "users", None)),
    "/users/{name}": _others,
    "/login": _api(("GET", "login", None)),
    "/session": _api(("GET", "session", None), ("DELETE", "session", None)),
    "/conflicts": _conflicting,
    "/conflicts/resolve": _api(("POST", "conflicts/resolve", {"ids": ["0" * 32], "strategy": "local"})),
    "/conflicts/{id}": _api(("GET", "conflicts/{id}", None)),
    "/conflicts/{id}/resolve": _api(("POST", "conflicts/{id}/resolve", {"strategy": "local"})),
    "/quarantine": _quarantined,
    "/quarantine/{id}": _api(("GET", "quarantine/{id}", None)),
    "/quarantine/{id}/attachments/{name:path}": _api(("GET", "quarantine/{id}/attachments/secret.txt", None)),
    "/quarantine/{id}/release": _api(("POST", "quarantine/{id}/release", {"overwrite": True})),
    "/quarantine/{id}/correct": _api(
        ("POST", "quarantine/{id}/correct", {"document": {"type": "contact"}, "rev": None})
    ),
    "/quarantine/{id}/discard": _api(("POST", "quarantine/{id}/discard", None)),
}
"""By the paths that routes have in the API."""

OWN: Mapping[str, Callable[[Target], Asks]] = {"own": own_paths}
