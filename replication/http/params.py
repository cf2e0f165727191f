"""Query parameters: one reader per type, each with CouchDB's answer to a bad value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from replication.protocol import errors, jsontext
from replication.protocol.errors import ProtocolError

Query = Mapping[str, str]

_TRUE = "true"
_FALSE = "false"


def parse_query(raw: bytes) -> dict[str, str]:
    """The query string decoded; of a repeated parameter the last one counts."""
    if not raw:
        return {}
    try:
        return dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict"))
    except ValueError:
        raise errors.bad_request("The query string is not percent-encoded UTF-8") from None


def boolean(query: Query, name: str, default: bool = False) -> bool:
    text = query.get(name)
    if text is None:
        return default
    if text == _TRUE:
        return True
    if text == _FALSE:
        return False
    raise errors.query_parse_error(f"Invalid boolean parameter: {jsontext.quote(text)}")


def integer(query: Query, name: str, default: int | None = None) -> int | None:
    text = query.get(name)
    if text is None:
        return default
    if len(text) > 18 or not text.lstrip("-").isdigit() or not text.isascii():
        raise errors.query_parse_error(f"Invalid value for integer: {jsontext.quote(text)}")
    try:
        return int(text)
    except ValueError:
        raise errors.query_parse_error(f"Invalid value for integer: {jsontext.quote(text)}") from None


def natural(query: Query, name: str, default: int | None = None) -> int | None:
    """An integer of at least 0."""
    value = integer(query, name, default)
    if value is not None and value < 0:
        raise errors.query_parse_error(f"Invalid value for positive integer: {jsontext.quote(query[name])}")
    return value


def json_value(query: Query, name: str) -> Any:
    """A parameter that holds JSON; the caller has seen that it is there."""
    try:
        return jsontext.decode(query[name])
    except ProtocolError:
        raise errors.bad_request("invalid UTF-8 JSON") from None
