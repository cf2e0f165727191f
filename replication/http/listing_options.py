"""What a listing is asked for: in the query string, in a POST body, in each of several queries.

The names and rules are those of views, whose parameters these are; a table says how each is read.
A value in a query string is text, and JSON for keys; in a body it is JSON already. Later parameters
count over earlier ones, so the query string, read last, beats the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from replication.http.document_options import ReadOptions
from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError
from replication.protocol.partitions import check_partition

_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}", re.ASCII)
LARGEST_LIMIT = 576460752303423487
_BELOW_ALL = ""
"""Keys that are no strings sort before all ids, and no id is empty."""

UNSET = object()


@dataclass(slots=True)
class ListingOptions:
    """Parameters of one listing. Keys are as given, `UNSET` when they weren't."""

    keys: list[Any] | None = None
    start_key: Any = UNSET
    end_key: Any = UNSET
    start_docid: str | None = None
    end_docid: str | None = None
    limit: int | None = None
    skip: int = 0
    descending: bool = False
    inclusive_end: bool = True
    include_docs: bool = False
    update_seq: bool = False
    reduce: bool | None = None
    grouped: bool = False
    partition: str | None = None
    documents: ReadOptions = field(default_factory=ReadOptions)

    @property
    def start(self) -> str | None:
        """The id where the listing begins. Of a partition only keys say that."""
        if self.start_key is UNSET:
            return self.start_docid if self.partition is None else None
        return _bound(self.start_key)

    @property
    def end(self) -> str | None:
        if self.end_key is UNSET:
            return self.end_docid if self.partition is None else None
        return _bound(self.end_key)

    @property
    def rewrites_documents(self) -> bool:
        """Whether the documents in the rows are not the stored texts."""
        return self.include_docs and (self.documents.conflicts or self.documents.rewrites_attachments)

    def read(self, parameters: Iterable[tuple[str, Any]], *, decoded: bool) -> None:
        """Takes over parameters; `decoded` if their values are JSON values already."""
        for name, value in parameters:
            reader = READERS.get(name)
            if reader is not None:
                reader(self, name, value, decoded)

    def check(self, *, partitioned: bool) -> None:
        """Raises the 400 of parameters that don't go together. `partitioned`: for `partition`."""
        if self.reduce:
            raise errors.query_parse_error("Reduce is invalid for map-only views.")
        if self.keys:
            single = self.keys[0] if len(self.keys) == 1 else UNSET
            for bound in (self.start_key, self.end_key):
                if bound is not UNSET and (single is UNSET or bound != single):
                    raise errors.query_parse_error(
                        "`keys` is incompatible with `key`, `start_key` and `end_key`"
                    )
        if self.grouped:
            raise errors.query_parse_error("Invalid use of grouping on a map view.")
        if self.partition is not None:
            check_partition(self.partition)
            if not partitioned:
                raise errors.query_parse_error("`partition` parameter is not supported on this db")


def _bound(key: Any) -> str:
    return key if isinstance(key, str) else _BELOW_ALL


def _invalid(what: str, value: Any) -> NoReturn:
    try:
        shown = jsontext.encode(value).decode()
    except ProtocolError:
        shown = "?"
    raise errors.query_parse_error(f"Invalid {what}: {shown}")


def boolean(value: Any) -> bool:
    """`true` or `false`, as JSON or as text in any case."""
    if isinstance(value, bool):
        return value
    text = value.lower() if isinstance(value, str) else value
    if text not in ("true", "false"):
        _invalid("boolean parameter", value)
    return bool(text == "true")


def integer(value: Any, decoded: bool) -> int:
    """A JSON integer, or one as text in a query string."""
    if type(value) is int:
        number = value
    elif not decoded and _INTEGER.fullmatch(value):
        number = int(value)
    else:
        _invalid("value for integer", value)
    if number < 0:
        _invalid("value for positive integer", value)
    return number


_Reader = Callable[[ListingOptions, str, Any, bool], None]


def _key(*fields: str) -> _Reader:
    def read(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
        key = value if decoded else jsontext.decode(value)
        for name in fields:
            setattr(options, name, key)

    return read


def _keys(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
    keys = value if decoded else jsontext.decode(value)
    if isinstance(keys, list) and len(keys) == 1:
        options.start_key = options.end_key = keys[0]
    elif isinstance(keys, list):
        options.keys = keys
    else:
        raise errors.query_parse_error("`keys` must be an array of strings.")


def _docid(field: str) -> _Reader:
    def read(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
        setattr(options, field, value if isinstance(value, str) else jsontext.encode(value).decode())

    return read


def _flag(field: str) -> _Reader:
    def read(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
        setattr(options, field, boolean(value))

    return read


def _natural(field: str) -> _Reader:
    def read(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
        number = integer(value, decoded)
        if number > LARGEST_LIMIT:
            raise errors.query_parse_error(
                f"{name.capitalize()} is too large, must not exceed {LARGEST_LIMIT}"
            )
        setattr(options, field, number)

    return read


def _document(field: str) -> _Reader:
    def read(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
        wanted: dict[str, Any] = {field: boolean(value)}
        options.documents = replace(options.documents, **wanted)

    return read


def _grouped(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
    options.grouped = boolean(value)


def _group_level(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
    options.grouped = integer(value, decoded) > 0


def _one_of(*allowed: Any) -> _Reader:
    def read(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
        if not any(value is choice or (isinstance(value, str) and value == choice) for choice in allowed):
            raise errors.query_parse_error(f"Invalid value for `{name}`.")

    return read


def _checked(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
    """`sorted`: rows always come in order here."""
    boolean(value)


def _partition(options: ListingOptions, name: str, value: Any, decoded: bool) -> None:
    options.partition = str(value)


READERS: dict[str, _Reader] = {
    "key": _key("start_key", "end_key"),
    "keys": _keys,
    "startkey": _key("start_key"),
    "start_key": _key("start_key"),
    "endkey": _key("end_key"),
    "end_key": _key("end_key"),
    "startkey_docid": _docid("start_docid"),
    "start_key_doc_id": _docid("start_docid"),
    "endkey_docid": _docid("end_docid"),
    "end_key_doc_id": _docid("end_docid"),
    "limit": _natural("limit"),
    "skip": _natural("skip"),
    "descending": _flag("descending"),
    "inclusive_end": _flag("inclusive_end"),
    "include_docs": _flag("include_docs"),
    "conflicts": _document("conflicts"),
    "attachments": _document("attachments"),
    "att_encoding_info": _document("att_encoding_info"),
    "update_seq": _flag("update_seq"),
    "sorted": _checked,
    "reduce": _flag("reduce"),
    "group": _grouped,
    "group_level": _group_level,
    "partition": _partition,
    "stale": _one_of("ok", "update_after"),
    "stable": _one_of(True, False, "true", "false"),
    "update": _one_of(True, False, "true", "false", "lazy"),
}
"""How each parameter is read, by its name."""
