"""Which handler answers what: one table per level of the path.

A path is matched by its shape: `/`, `/_server_thing…`, `/{db}`, `/{db}/_thing…`, `/{db}/{doc}` and
`/{db}/{doc}/{attachment…}`. Each entry says which methods it has and who may call it; everything else
is 405 with `Allow`, or 404.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from starlette.responses import Response

from replication.http import (
    absent,
    admin,
    attachments,
    bulk,
    changes,
    cluster,
    database,
    db_updates,
    documents,
    listings,
    local,
    mango,
    node,
    node_config,
    partitions,
    replications,
    root,
    session,
    updates,
    views,
)
from replication.http.call import Call
from replication.protocol import errors

Handler = Callable[[Call], Awaitable[Response]]


class Access(Enum):
    """Who may call a route."""

    PUBLIC = "anybody"
    MEMBER = "members of the database"
    DATABASE_ADMIN = "administrators of the database"
    SERVER_ADMIN = "server administrators"
    METRICS = "server administrators and those with the role _metrics"


@dataclass(frozen=True, slots=True)
class Route:
    methods: Mapping[str, Handler]
    access: Access = Access.MEMBER
    write_access: Access | None = None
    """Who may call it with a method other than GET and HEAD, if that differs."""

    def handler(self, method: str) -> Handler:
        found = self.methods.get(method)
        if found is None:
            raise errors.method_not_allowed(tuple(self.methods))
        return found

    def access_for(self, method: str) -> Access:
        if self.write_access is not None and method not in ("GET", "HEAD"):
            return self.write_access
        return self.access


def _get(handler: Handler, **others: Handler) -> dict[str, Handler]:
    return {"GET": handler, "HEAD": handler, **others}


def _all(handler: Handler) -> dict[str, Handler]:
    return _get(handler, POST=handler, PUT=handler, DELETE=handler)


_search = absent.because(absent.SEARCH)

ROOT = Route(_get(root.welcome), Access.PUBLIC)

SERVER: Mapping[str, Route] = {
    "_up": Route(_get(root.up), Access.PUBLIC),
    "_uuids": Route(_get(root.uuids), Access.PUBLIC),
    "_all_dbs": Route(_get(root.all_dbs), Access.SERVER_ADMIN),
    "_dbs_info": Route(_get(root.dbs_info, POST=root.dbs_info), Access.SERVER_ADMIN),
    "_active_tasks": Route(_get(root.active_tasks), Access.SERVER_ADMIN),
    "_db_updates": Route({"GET": db_updates.db_updates}, Access.SERVER_ADMIN),
    "_replicate": Route({"POST": replications.replicate}, Access.SERVER_ADMIN),
    "_scheduler": Route(_get(replications.scheduler), Access.SERVER_ADMIN),
    "_membership": Route(_get(cluster.membership), Access.SERVER_ADMIN),
    "_cluster_setup": Route(_get(cluster.setup_state, POST=cluster.setup), Access.SERVER_ADMIN),
    "_reshard": Route(_all(absent.because(absent.RESHARDING)), Access.SERVER_ADMIN),
    "_search_analyze": Route(_all(_search), Access.SERVER_ADMIN),
    "_nouveau_analyze": Route(_all(_search), Access.SERVER_ADMIN),
    "_utils": Route(_get(absent.utils), Access.PUBLIC),
    "_session": Route(_get(session.show, POST=session.login, DELETE=session.logout), Access.PUBLIC),
}

NODE: Mapping[str, Route] = {
    "": Route(_get(node.name), Access.SERVER_ADMIN),
    "_stats": Route(_get(node.stats), Access.METRICS),
    "_prometheus": Route(_get(node.prometheus), Access.METRICS),
    "_system": Route(_get(node.system), Access.METRICS),
    "_versions": Route(_get(node.versions), Access.SERVER_ADMIN),
    "_smoosh": Route(_get(absent.because(absent.BACKGROUND_COMPACTION)), Access.SERVER_ADMIN),
    "_restart": Route({"POST": node.restart}, Access.SERVER_ADMIN),
}
"""Below `/_node/{name}`."""

NODE_CONFIG = (
    Route(_get(node_config.everything), Access.SERVER_ADMIN),
    Route(_get(node_config.section), Access.SERVER_ADMIN),
    Route(_get(node_config.get, PUT=node_config.put, DELETE=node_config.delete), Access.SERVER_ADMIN),
)
"""Below `/_node/{name}/_config`, by the number of segments."""

NODE_CONFIG_RELOAD = Route({"POST": node_config.reload}, Access.SERVER_ADMIN)
NODE_INCOMPLETE = Route(_all(node.incomplete), Access.SERVER_ADMIN)
NODE_UNKNOWN = Route(_all(node.unknown), Access.SERVER_ADMIN)
NODE_MISSING = Route(_all(node.missing), Access.SERVER_ADMIN)

DATABASE_ROOT = Route(
    {
        "GET": database.info,
        "HEAD": database.info,
        "PUT": database.create,
        "DELETE": database.delete,
        "POST": documents.post,
    }
)

DATABASE: Mapping[str, Route] = {
    "_all_docs": Route(_get(listings.all_docs, POST=listings.all_docs)),
    "_design_docs": Route(_get(listings.design_docs, POST=listings.design_docs)),
    "_local_docs": Route(_get(listings.local_docs, POST=listings.local_docs)),
    "_changes": Route({"GET": changes.changes, "POST": changes.changes, "HEAD": changes.changes}),
    "_bulk_docs": Route({"POST": bulk.bulk_docs}),
    "_bulk_get": Route({"POST": bulk.bulk_get}),
    "_revs_diff": Route({"POST": bulk.revs_diff}),
    "_missing_revs": Route({"POST": bulk.missing_revs}),
    "_ensure_full_commit": Route({"POST": database.ensure_full_commit}),
    "_find": Route({"POST": mango.find}),
    "_explain": Route({"POST": mango.explain}),
    "_index": Route(_get(mango.list_indexes, POST=mango.create_index)),
    "_security": Route(_get(admin.get_security, PUT=admin.put_security), write_access=Access.DATABASE_ADMIN),
    "_revs_limit": Route(
        _get(admin.get_revs_limit, PUT=admin.put_revs_limit), write_access=Access.DATABASE_ADMIN
    ),
    "_compact": Route({"POST": admin.compact}, Access.DATABASE_ADMIN),
    "_view_cleanup": Route({"POST": admin.view_cleanup}, Access.DATABASE_ADMIN),
    "_purged_infos": Route(_get(admin.purged_infos)),
    "_purged_infos_limit": Route(
        _get(admin.get_purged_infos_limit, PUT=admin.put_purged_infos_limit), Access.SERVER_ADMIN
    ),
    "_shards": Route(_get(cluster.shards)),
    "_sync_shards": Route({"POST": cluster.sync_shards}, Access.SERVER_ADMIN),
    "_search_cleanup": Route({"POST": _search}),
    "_nouveau_cleanup": Route({"POST": _search}),
    "_temp_view": Route(_all(absent.temporary_view)),
    "_purge": Route({"POST": admin.purge}, Access.SERVER_ADMIN),
}

DOCUMENT = Route(
    {
        "GET": documents.get,
        "HEAD": documents.get,
        "PUT": documents.put,
        "DELETE": documents.delete,
        "COPY": documents.copy,
    }
)
LOCAL_DOCUMENT = Route(
    {
        "GET": local.get,
        "HEAD": local.get,
        "PUT": local.put,
        "DELETE": local.delete,
        "COPY": local.copy,
    }
)
ATTACHMENT = Route(
    {
        "GET": attachments.get,
        "HEAD": attachments.get,
        "PUT": attachments.put,
        "DELETE": attachments.delete,
    }
)

DESIGN: Mapping[str, Route] = {
    "_view": Route(_get(views.view, POST=views.view)),
    "_info": Route(_get(views.info)),
    "_search": Route(_get(_search, POST=_search)),
    "_search_info": Route(_get(_search)),
    "_nouveau": Route(_get(_search, POST=_search)),
    "_nouveau_info": Route(_get(_search)),
    "_update": Route({"POST": updates.update, "PUT": updates.update, "DELETE": updates.update}),
    "_show": Route(_get(views.not_supported, POST=views.not_supported)),
    "_list": Route(_get(views.not_supported, POST=views.not_supported)),
    "_rewrite": Route(_get(views.not_supported, POST=views.not_supported, PUT=views.not_supported)),
}
"""Below a design document, whose attachments can't have these names."""

PARTITION = Route(_get(partitions.info))
IN_PARTITION = ("_all_docs", "_find", "_explain", "_index")
"""What a partition has of what a database has. Of a design document it has `IN_PARTITION_OF_DESIGN`."""
IN_PARTITION_OF_DESIGN: Mapping[str, int] = {"_view": 2, "_info": 1}
"""With the segments that belong to each."""

LISTING_QUERIES = Route({"POST": listings.queries})
INDEX_BELOW = Route({"POST": mango.bulk_delete_indexes, "DELETE": mango.delete_index})


def match(call: Call) -> Route:
    """The route of a call; sets `docid` and `rest` for paths below a document."""
    segments = call.segments
    if not segments:
        return ROOT
    first = segments[0]
    if first[:1] == "_" and first not in ("_users", "_replicator", "_global_changes"):
        if first == "_node":
            return _below_node(call)
        route = SERVER.get(first)
        if route is None:
            raise (errors.illegal_database_name(first) if call.method == "PUT" else errors.database_missing())
        return route
    if len(segments) == 1:
        return DATABASE_ROOT
    second = segments[1]
    if second[:1] != "_":
        call.docid = second
        call.rest = tuple(segments[2:])
        return ATTACHMENT if call.rest else DOCUMENT
    if second == "_partition":
        return _below_partition(call)
    if second in ("_design", "_local"):
        if len(segments) == 2:
            call.docid = second
            return DOCUMENT
        call.docid = f"{second}/{segments[2]}"
        call.rest = tuple(segments[3:])
        if second == "_local":
            return LOCAL_DOCUMENT
        return _below_design(call)
    for prefix in ("_design/", "_local/"):
        if second.startswith(prefix):
            call.docid = second
            call.rest = tuple(segments[2:])
            if prefix == "_design/":
                return _below_design(call)
            return ATTACHMENT if call.rest else LOCAL_DOCUMENT
    if second in ("_all_docs", "_design_docs", "_local_docs") and len(segments) > 2:
        if segments[2:] != ["queries"]:
            raise errors.missing()
        return LISTING_QUERIES
    if second == "_index" and len(segments) > 2:
        return INDEX_BELOW
    route = DATABASE.get(second)
    if route is None:
        call.docid = second
        return DOCUMENT
    call.rest = tuple(segments[2:])
    return route


def _below_node(call: Call) -> Route:
    segments = call.segments
    if len(segments) == 1:
        return NODE_INCOMPLETE
    if segments[1] not in node.NAMES:
        return NODE_UNKNOWN
    call.rest = tuple(segments[3:])
    if segments[2:3] == ["_config"] and len(call.rest) < len(NODE_CONFIG):
        return NODE_CONFIG_RELOAD if call.rest == ("_reload",) else NODE_CONFIG[len(call.rest)]
    return NODE.get(segments[2] if len(segments) > 2 else "", NODE_MISSING)


def _below_partition(call: Call) -> Route:
    """What the path is in the partition, as if it were in the database; sets `partition`."""
    database, _, *names = call.segments
    if not names:
        raise errors.bad_request("invalid_partition_req")
    call.partition, *below = names
    if not below:
        return PARTITION
    if below[0] == "_design" and len(below) > 2:
        if len(below) - 2 < IN_PARTITION_OF_DESIGN.get(below[2], len(below)):
            raise errors.missing()
    elif below[0] not in IN_PARTITION:
        raise errors.missing()
    call.segments = [database, *below]
    return match(call)


def _below_design(call: Call) -> Route:
    return DESIGN.get(call.rest[0], ATTACHMENT) if call.rest else DOCUMENT
