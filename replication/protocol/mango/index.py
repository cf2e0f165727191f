"""Index definitions, and the design documents they live in.

As in CouchDB an index is a design document of the language `query`; each of its views is one
index:

    {"_id": "_design/orders", "language": "query", "views": {"by-city": {
        "map": {"fields": {"city": "asc"}, "partial_filter_selector": {}},
        "reduce": "_count",
        "options": {"def": {"fields": ["city"]}}}}}

`POST _index` edits such documents (`with_index`, `without_index`), and whoever writes one by hand
or by replication makes an index, too (`definitions_of`).

A document is in an index if it has every one of its fields, and matches the partial filter. Its
key there is the array of the fields' values. Design documents are in none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from replication.protocol.collation import COLLATION, sort_key
from replication.protocol.errors import ProtocolError, illegal_docid
from replication.protocol.mango import errors, options
from replication.protocol.mango.fields import BAD_PATH, MISSING, find, parse_path
from replication.protocol.mango.options import Option
from replication.protocol.mango.selector import Selector, compile_selector
from replication.protocol.mango.sorting import SortField, read_sort
from replication.protocol.partitions import key_prefix_of

DESIGN_PREFIX: Final = "_design/"
LANGUAGE: Final = "query"

_KEY_FORMAT = 1
"""Part of the signature: raise it when keys are built in another way."""


@dataclass(frozen=True)
class PrimaryIndex:
    """`_all_docs`: every document by its id."""

    columns: tuple[str, ...] = ("_id",)

    def as_json(self) -> dict[str, Any]:
        return {"ddoc": None, "name": "_all_docs", "type": "special", "def": {"fields": [{"_id": "asc"}]}}


@dataclass(frozen=True)
class IndexDefinition:
    """One JSON index. Two with the same `signature` have the same entries."""

    ddoc: str
    """Id of the design document, with `_design/`."""
    name: str
    fields: tuple[SortField, ...]
    partial_filter: Selector | None = None
    partitioned: bool | None = False
    """None in a request: as the database is."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @cached_property
    def signature(self) -> str:
        """Identifies what the index contains, whatever it is called."""
        partial_filter = self.partial_filter.node if self.partial_filter else {}
        scope = ["partitioned"] if self.partitioned else []
        return _digest(["mango", _KEY_FORMAT, COLLATION, self.columns, partial_filter, *scope])

    @cached_property
    def _values(self) -> Callable[[Any], list[Any] | None]:
        paths = [parse_path(name) for name in self.columns]

        def values(doc: Any) -> list[Any] | None:
            found = [find(doc, path) for path in paths]
            return None if MISSING in found or BAD_PATH in found else found

        return values

    def key_of(self, doc: Mapping[str, Any]) -> list[Any] | None:
        """The document's key in this index, or None if it isn't in it."""
        if doc["_id"].startswith(DESIGN_PREFIX):
            return None
        if self.partial_filter is not None:
            try:
                if not self.partial_filter.matches(doc):
                    return None
            except ProtocolError:
                # A regex that takes too long on this document. It must not keep the others from
                # being indexed; CouchDB, too, takes it for no match.
                return None
        return self._values(doc)

    def sort_keys(self, doc: Mapping[str, Any]) -> list[bytes]:
        """`key_of` for the store: the keys under which it lists the document, none or one.

        Those of an index of partitions begin with the document's.
        """
        prefix = key_prefix_of(doc["_id"]) if self.partitioned else b""
        key = None if prefix is None else self.key_of(doc)
        return [] if prefix is None or key is None else [prefix + sort_key(key)]

    def as_json(self) -> dict[str, Any]:
        """The index as `GET _index` and `_explain` show it."""
        definition: dict[str, Any] = {"fields": [{name: direction} for name, direction in self.fields]}
        if self.partial_filter is not None:
            definition["partial_filter_selector"] = self.partial_filter.node
        return {
            "ddoc": self.ddoc,
            "name": self.name,
            "type": "json",
            "partitioned": bool(self.partitioned),
            "def": definition,
        }


Index = IndexDefinition | PrimaryIndex


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """A checked body of `POST _index`."""

    definition: IndexDefinition
    source: Any
    """The `index` member as it came; the design document keeps it."""


def _partial_filter(value: Any) -> Selector | None:
    selector = compile_selector(value)
    return selector if selector.node else None


def _partitioned(value: Any) -> bool:
    if not isinstance(value, bool):
        raise errors.rejected(
            "invalid_partitioned_value", f"Invalid partitioned value: {errors.shown(value)}"
        )
    return value


def _design_ids(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise errors.rejected(
            "invalid_bulk_docs",
            f"Bulk Delete requires an array of non-null docids. Docids: {errors.shown(value)}",
        )
    for item in value:
        if not isinstance(item, str):
            raise errors.rejected("invalid_index_name", f"Invalid index name: {errors.shown(item)}")
        options.use_index(item)
    return [DESIGN_PREFIX + item.removeprefix(DESIGN_PREFIX) for item in value]


_BODY: Final = {
    "index": Option(options.anything),
    "type": Option(options.string, "json"),
    "name": Option(options.non_empty_string, None),
    "ddoc": Option(options.non_empty_string, None),
    "w": Option(options.positive_integer, 2),
    "partitioned": Option(_partitioned, None),
}

_DEFINITION: Final = {
    "fields": Option(read_sort),
    "partial_filter_selector": Option(_partial_filter, None),
}

_BULK_DELETE: Final = {
    "docids": Option(_design_ids),
    "w": Option(options.positive_integer, 2),
}


def read_index_request(body: Any) -> IndexRequest:
    """The index that a body of `POST _index` asks for. Raises CouchDB's 400s; 503 for text indexes.

    Names not given are hashes of the body, so that the same request means the same index.
    """
    values = options.read(body, _BODY)
    kind = values["type"]
    if kind in ("text", "nouveau"):
        raise errors.index_service_unavailable(kind)
    if kind != "json":
        raise errors.rejected("invalid_index", f"Invalid type for index: {kind}")
    source = values["index"]
    if not isinstance(source, dict):
        raise errors.rejected("invalid_index", f"JSON indexes must be an object, not: {errors.shown(source)}")
    definition = options.read(source, _DEFINITION)
    generated = _digest(values)
    name: str = values["name"] or generated
    ddoc: str = (values["ddoc"] or generated).removeprefix(DESIGN_PREFIX)
    if not ddoc:
        raise illegal_docid("Illegal document id `_design/`")
    return IndexRequest(
        IndexDefinition(
            ddoc=DESIGN_PREFIX + ddoc,
            name=name,
            fields=definition["fields"],
            partial_filter=definition["partial_filter_selector"],
            partitioned=values["partitioned"],
        ),
        source,
    )


def read_bulk_delete(body: Any) -> list[str]:
    """The ids of design documents, with `_design/`, that a body of `_index/_bulk_delete` names."""
    ids: list[str] = options.read(body, _BULK_DELETE)["docids"]
    return ids


def with_index(ddoc: Mapping[str, Any] | None, request: IndexRequest) -> dict[str, Any] | None:
    """The design document with the index in it, or None if it is there already.

    `ddoc` is the present document, with or without `_id` and `_rev`, which are kept; None if there
    is none. Raises a 400 if the document belongs to another language or scope.
    """
    definition = request.definition
    changed: dict[str, Any] = dict(ddoc) if ddoc is not None else {"language": LANGUAGE}
    if changed.get("language") != LANGUAGE:
        raise errors.rejected(
            "invalid_ddoc_lang",
            f"Existing design doc has an invalid language: {errors.shown(changed.get('language'))}",
        )
    partial_filter = definition.partial_filter
    view: dict[str, Any] = {
        "map": {
            "fields": dict(definition.fields),
            "partial_filter_selector": partial_filter.node if partial_filter else {},
        },
        "reduce": "_count",
        "options": {"def": request.source},
    }
    scope = _scope(changed)
    if scope != definition.partitioned:
        if ddoc is not None:
            raise errors.rejected(
                "invalid_partitioned_option",
                "Requested partitioned option does not match existing value on"
                f" design document {definition.ddoc}",
            )
        changed["options"] = {"partitioned": definition.partitioned}
    views = changed.get("views")
    views = dict(views) if isinstance(views, dict) else {}
    if _same_json(views.get(definition.name), view):
        return None
    views[definition.name] = view
    changed["views"] = views
    return changed


def without_index(ddoc: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The design document without the index, or None if nothing is left and it can be deleted."""
    changed = dict(ddoc)
    views = {key: view for key, view in changed.pop("views", {}).items() if key != name}
    if views:
        changed["views"] = views
    members = {key: value for key, value in changed.items() if not key.startswith("_")}
    return None if members == {"language": LANGUAGE} else changed


def definitions_of(ddoc: Mapping[str, Any], *, partitioned_database: bool = False) -> list[IndexDefinition]:
    """The indexes that a design document defines. What isn't a valid index is passed over."""
    views = ddoc.get("views")
    if ddoc.get("language") != LANGUAGE or not isinstance(views, dict):
        return []
    scope = _scope(ddoc)
    if scope is None:
        scope = partitioned_database
    found = []
    for name, view in views.items():
        definition = _read_view(ddoc["_id"], name, view, scope)
        if definition is not None:
            found.append(definition)
    return found


def _read_view(ddoc: str, name: str, view: Any, partitioned: bool) -> IndexDefinition | None:
    if not isinstance(view, dict) or not isinstance(view.get("options"), dict):
        return None
    source = view.get("map")
    if not isinstance(source, dict) or not isinstance(source.get("fields"), dict):
        return None
    try:
        fields = read_sort([{field: direction} for field, direction in source["fields"].items()])
        partial_filter = _partial_filter(source.get("partial_filter_selector", {}))
    except ProtocolError:
        return None
    return IndexDefinition(ddoc, name, fields, partial_filter, partitioned)


def _scope(ddoc: Mapping[str, Any]) -> bool | None:
    design_options = ddoc.get("options")
    partitioned = design_options.get("partitioned") if isinstance(design_options, dict) else None
    return partitioned if isinstance(partitioned, bool) else None


def _same_json(left: Any, right: Any) -> bool:
    return json.dumps(left) == json.dumps(right)


def _digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha1(text.encode("ascii"), usedforsecurity=False).hexdigest()
