"""JSON as the wire needs it: what went in comes out, and nothing that JSON does not know.

Decoding uses the standard library, because it keeps integers of any size (CouchDB does too);
it is told to refuse NaN, infinities and numbers that overflow a double. Encoding uses orjson
for speed and falls back to the standard library for integers beyond 64 bits and for nesting
that orjson does not take. A lone surrogate has no UTF-8 and is refused on the way in.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import orjson

from replication.protocol import errors

MAX_DEPTH = 500
"""Levels of nesting in a stored value; every decoder in use takes that many."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} does not fit a double")
    return value


_decode = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).decode
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def decode(data: bytes | str) -> Any:
    """The value of a JSON text in UTF-8. Duplicate keys: the last one counts.

    Raises a 400 `bad_request` for anything that is not JSON, not UTF-8 or nested too deep.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = _decode(text)
        if "\\ud" in text or "\\uD" in text:
            # Half a pair shows when the value is written down again. Few texts escape any pairs at all.
            _encode(value).encode("utf-8")
        return value
    except RecursionError:
        raise errors.invalid_json(f"JSON is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError:
        raise errors.invalid_json() from None


def decode_unpaired(data: bytes | str) -> Any:
    """As `decode`, but lone surrogates are let through: `encode` must be asked before any text is used."""
    try:
        return _decode(data if isinstance(data, str) else data.decode("utf-8"))
    except RecursionError:
        raise errors.invalid_json(f"JSON is nested more than {MAX_DEPTH} levels deep") from None
    except ValueError:
        raise errors.invalid_json() from None


def decode_request(data: bytes) -> Any:
    """Like `decode`, faster, for requests in which no number matters: large integers become floats."""
    try:
        return orjson.loads(data)
    except ValueError:
        return decode(data)


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8. Raises a 400 `bad_request` for a lone surrogate or too deep nesting."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # A large integer, deep nesting or a surrogate: rare enough to take the slow way.
        pass
    if _is_deeper_than(value, MAX_DEPTH):
        raise errors.invalid_json(f"JSON is nested more than {MAX_DEPTH} levels deep")
    try:
        return _encode(value).encode("utf-8")
    except (UnicodeEncodeError, ValueError):
        raise errors.invalid_json() from None


def encode_readable(value: Any) -> bytes:
    """As `encode`, with a question mark for each lone surrogate. Raises for too deep nesting."""
    if _is_deeper_than(value, MAX_DEPTH):
        raise errors.invalid_json(f"JSON is nested more than {MAX_DEPTH} levels deep")
    return _encode(value).encode("utf-8", "replace")


def _is_deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return any(isinstance(inner, dict | list) for inner in level)


def quote(text: str) -> str:
    """`text` as a JSON string, quotes included."""
    return encode(text).decode("utf-8")
