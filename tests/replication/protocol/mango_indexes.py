"""Index definitions for tests of the planner and of what it explains."""

from __future__ import annotations

from typing import Any

from replication.protocol.mango.index import IndexDefinition, read_index_request


def index(
    ddoc: str, *fields: str, partial: Any = None, partitioned: bool = False, name: str = ""
) -> IndexDefinition:
    source: dict[str, Any] = {"fields": list(fields)}
    if partial is not None:
        source["partial_filter_selector"] = partial
    body = {"index": source, "ddoc": ddoc, "name": name or ddoc, "partitioned": partitioned}
    return read_index_request(body).definition


USERS = [
    index("user_id", "user_id"),
    index("name", "name.last", "name.first"),
    index("age", "age"),
    index("company_and_manager", "company", "manager"),
    index("manager", "manager"),
    index("favorites", "favorites"),
]
"""As in CouchDB's own Mango tests."""
