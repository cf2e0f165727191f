"""Design documents: which ones may be stored, and what their views are.

A design document with a wrong member is refused when it is written, with CouchDB's `invalid_design_doc`; the
functions themselves are compiled elsewhere. A view is identified by a signature made of everything that its
rows depend on: views with equal signatures share an index, whatever they are called, and a
change of the reduce function or of another view builds nothing anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import md5
from typing import Any, Final

from replication.protocol import errors, jsontext
from replication.protocol.collation import COLLATION
from replication.protocol.errors import ProtocolError

JAVASCRIPT = "javascript"
QUERY = "query"
"""The language of Mango's indexes."""

LIBRARY = "lib"
"""The member of `views` that is no view but modules for the others."""

_ROW_FORMAT = 1
"""Part of the signature: raise it when rows are stored in another way."""

_RANKED = re.compile(r"_(top|bottom)_(.*)", re.ASCII | re.DOTALL)
_RANK = re.compile(r"-?[0-9]{1,9}", re.ASCII)
MOST_RANKED = 100
_BUILTIN = ("_sum", "_count", "_stats", "_approx_count_distinct", "_first", "_last")

_FIELDS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "language": (str, "string"),
    "options": (dict, "object"),
    "views": (dict, "object"),
    "filters": (dict, "object"),
    "updates": (dict, "object"),
    "shows": (dict, "object"),
    "lists": (dict, "object"),
    "rewrites": ((list, str), "array or string"),
    "validate_doc_update": (str, "string"),
}
_OPTIONS = ("include_design", "local_seq", "partitioned")
_FUNCTION_TABLES = ("filters", "updates", "shows", "lists")


@dataclass(frozen=True)
class View:
    """One view of a design document."""

    name: str
    map: Any
    """A function's source, or in a design document of Mango's the definition of an index."""
    reduce: str | None = None
    language: str = JAVASCRIPT
    raw_collation: bool = False
    local_seq: bool = False
    include_design: bool = False
    library: bytes = b""
    """`views.lib` as JSON, if the functions may ask for it."""
    partitioned: bool = False
    """Whether it is asked for the rows of one partition, and for no others."""

    @cached_property
    def signature(self) -> str:
        """Identifies the rows of the index."""
        scope = ["partitioned"] if self.partitioned else []
        return digest(
            [
                "view",
                _ROW_FORMAT,
                self.language,
                self.map,
                "raw" if self.raw_collation else COLLATION,
                self.local_seq,
                self.include_design,
                self.library.decode("utf-8"),
                *scope,
            ]
        )

    @property
    def modules(self) -> str:
        """What its functions may `require`, as JSON."""
        return f'{{"views":{{"lib":{self.library.decode("utf-8")}}}}}' if self.library else ""


@dataclass(frozen=True)
class DesignDocument:
    """A stored design document."""

    id: str
    rev: str
    text: bytes
    value: Mapping[str, Any]
    partitioned_database: bool = False

    @property
    def language(self) -> str:
        return _language(self.value)

    @cached_property
    def views(self) -> Mapping[str, View]:
        views = views_of(self.value, partitioned_database=self.partitioned_database)
        return {view.name: view for view in views}

    @cached_property
    def signature(self) -> str:
        """Identifies all its views together."""
        return digest([[name, view.signature, view.reduce] for name, view in sorted(self.views.items())])

    def function(self, kind: str, name: str) -> str:
        """A function of `filters`, `updates` or the like, in JavaScript.

        Raises 404 with the part that is missing, 500 `unknown_query_language` for another language.
        """
        member: Any = self.value
        for key in (kind, name):
            member = member.get(key) if isinstance(member, Mapping) else None
            if member is None:
                raise errors.not_found(f"missing json key: {key}")
        if self.language != JAVASCRIPT:
            raise ProtocolError(500, "unknown_query_language", self.language)
        return member if isinstance(member, str) else jsontext.encode(member).decode("utf-8")

    @property
    def validation(self) -> str | None:
        """The source of `validate_doc_update`, in whatever language it is."""
        source = self.value.get("validate_doc_update")
        return source if isinstance(source, str) else None


def _language(value: Mapping[str, Any]) -> str:
    """The language of a design document. `JavaScript` is `javascript`, as for CouchDB."""
    language = value.get("language", JAVASCRIPT)
    if not isinstance(language, str) or language.lower() == JAVASCRIPT:
        return JAVASCRIPT
    return language


def digest(value: Any) -> str:
    return md5(jsontext.encode(value), usedforsecurity=False).hexdigest()


def views_of(value: Mapping[str, Any], *, partitioned_database: bool = False) -> Iterator[View]:
    """The views of a design document's value, those left out that can't be any."""
    views, options = value.get("views"), value.get("options")
    if not isinstance(views, dict):
        return
    options = options if isinstance(options, dict) else {}
    language = _language(value)
    library = views.get(LIBRARY)
    library_text = jsontext.encode(library) if isinstance(library, dict) else b""
    for name, view in views.items():
        if not isinstance(view, dict) or "map" not in view or (name == LIBRARY and "map" not in view):
            continue
        source, reduce = view["map"], view.get("reduce")
        yield View(
            name=name,
            map=source,
            reduce=reduce if isinstance(reduce, str) and reduce.strip() else None,
            language=language,
            raw_collation=options.get("collation") == "raw",
            local_seq=options.get("local_seq") is True,
            include_design=options.get("include_design") is True,
            library=library_text if "require" in f"{source}{reduce}" else b"",
            partitioned=partitioned_database and options.get("partitioned") is not False,
        )


def check_design(value: Mapping[str, Any], *, partitioned_database: bool = False) -> None:
    """Raises the 400 `invalid_design_doc` of a wrong type, or of partitions where there are none."""
    for name, (kind, described) in _FIELDS.items():
        if name in value and not isinstance(value[name], kind):
            raise _invalid(f"`{name}` field must have {described} type")
    options = value.get("options", {})
    for name in _OPTIONS:
        if name in options and not isinstance(options[name], bool):
            raise _invalid(f"`options.{name}` field must have boolean type")
    if options.get("partitioned") and not partitioned_database:
        raise _invalid("partitioned option cannot be true in a non-partitioned database.")
    for table in _FUNCTION_TABLES:
        for name, function in value.get(table, {}).items():
            if not isinstance(function, str | dict):
                raise _invalid(f"`{table}.{name}` field must have string or object type")
    language = value.get("language", JAVASCRIPT)
    for name, view in value.get("views", {}).items():
        if not isinstance(view, dict):
            raise _invalid(f"`views.{name}` field must have object type")
        if name != LIBRARY or "map" in view:
            _check_view(name, view, language)


def _check_view(name: str, view: Mapping[str, Any], language: str) -> None:
    if "map" not in view:
        raise _invalid(f"View `{name}` must contain map function")
    kind, described = (dict, "object") if language == QUERY else (str, "string")
    if not isinstance(view["map"], kind):
        raise _invalid(f"`views.{name}.map` field must have {described} type")
    reduce = view.get("reduce", "_count")
    if not isinstance(reduce, str):
        raise _invalid(f"`views.{name}.reduce` field must have string type")
    if reduce.startswith("_"):
        builtin_name(reduce)


def builtin_name(source: str) -> str:
    """The built-in reducer that a `reduce` with an underscore names; what follows the name does not count.

    Raises 400 if there is none of that name.
    """
    ranked = _RANKED.fullmatch(source)
    if ranked is not None:
        if _RANK.fullmatch(ranked[2]) is None:
            raise _invalid("invalid rank reducer")
        if not 1 <= int(ranked[2]) <= MOST_RANKED:
            raise _invalid(f"rank value must be between 1 and {MOST_RANKED}")
        return source
    for name in _BUILTIN:
        if source.startswith(name):
            return name
    raise _invalid(f"`{source}` is not a supported reduce function.")


def _invalid(reason: str) -> ProtocolError:
    return ProtocolError(400, "invalid_design_doc", reason)
