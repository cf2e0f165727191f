"""A document as a row: its columns where its values fit them, and all of it as JSON that PostgreSQL takes.

Nothing in a document can make this fail but an id that no index takes. A value that doesn't fit its column
is null there and named in the row's note; the document itself has it. What JSON in PostgreSQL can't hold is
written in a way that shows what it was: `\\u0000` as ␀ (U+2400), half a character as U+FFFD, an infinite
number as the text "Infinity", a number of thousands of digits as hexadecimal text, what is nested deeper than
200 levels as a text that says so. The note tells of that, too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from kompass.feed.sink import Change, DocumentRejectedError
from kompass.readstore.columns import OTHER, Column, Kind, columns

MAX_ID = 1000
"""Bytes of an id."""

MAX_REFERENCE = 512
MAX_TEXT = 2000
MAX_ITEMS = 1000
MAX_DEPTH = 200
_MAX_NUMBER = 1e15
_MAX_INTEGER = 2**63
_MAX_DIGITS = 10**1000
_MOST_NAMED = 20
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Row:
    """What is stored of a document."""

    id: str
    table: str
    position: int
    rev: str
    for_all: bool
    """Whether it has the channel `all:<type>`."""

    channels: tuple[str, ...]
    """All of its channels, sorted."""

    doc: str
    fields: str | None
    """The members that fill columns; None: those of `doc`, as they are."""

    note: str | None
    """What of it could not be stored as it is."""


def storable_id(docid: str) -> bool:
    """Whether a document with this id can be stored at all."""
    try:
        return len(docid.encode()) <= MAX_ID and "\0" not in docid
    except UnicodeEncodeError:
        return False


def row(change: Change) -> Row:
    """The row of a document that isn't deleted. Raises `DocumentRejectedError`."""
    assert change.doc is not None
    if not storable_id(change.id):
        reason = f"its id is longer than {MAX_ID} bytes, or has a character that no text may have"
        raise DocumentRejectedError(change.id, reason)
    doc = change.doc
    doctype = doc.get("type")
    table = doctype if isinstance(doctype, str) and doctype in columns() else OTHER
    notes: list[str] = []
    text = _text(doc)
    clean: Mapping[str, Any] = doc
    if text is None:
        clean = _cleaned(doc, notes)
        text = _encode(clean)
    fields, unfit = _fields(columns()[table], clean)
    if unfit:
        more = f" and {len(unfit) - _MOST_NAMED} more" if len(unfit) > _MOST_NAMED else ""
        notes.append(f"doesn't fit its column: {', '.join(unfit[:_MOST_NAMED])}{more}")
    return Row(
        change.id,
        table,
        change.position,
        change.rev,
        f"all:{table}" in change.channels,
        tuple(sorted(change.channels)),
        text,
        _encode(fields) if unfit else None,
        "; ".join(notes) or None,
    )


def _text(doc: Mapping[str, Any]) -> str | None:
    """The document as JSON; None if PostgreSQL wouldn't take it."""
    if _deep(doc):
        return None
    try:
        text = _encode(doc)
        text.encode()
    except (ValueError, RecursionError, TypeError):  # UnicodeEncodeError is a ValueError
        return None
    # JSON escapes NUL. A backslash before it makes it six harmless characters; cleaning finds nothing then.
    return None if "\\u0000" in text else text


def _deep(value: Any, depth: int = 0) -> bool:
    if depth > MAX_DEPTH:
        return True
    if isinstance(value, Mapping):
        return any(_deep(one, depth + 1) for one in value.values() if isinstance(one, dict | list))
    if isinstance(value, list | tuple):
        return any(_deep(one, depth + 1) for one in value if isinstance(one, dict | list))
    return False


def _cleaned(doc: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    found: dict[str, None] = {}

    def clean_text(text: str) -> str:
        if "\0" in text:
            found["NUL is written as ␀"] = None
            text = text.replace("\0", "␀")
        try:
            text.encode()
        except UnicodeEncodeError:
            found["half characters are written as U+FFFD"] = None
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def clean(value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return clean_text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if abs(value) < _MAX_DIGITS:
                return value
            found["a number with too many digits is hexadecimal text"] = None
            return hex(value)
        if isinstance(value, float):
            if math.isfinite(value):
                return value
            found["an infinite number is a text"] = None
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if depth >= MAX_DEPTH:
            found[f"what is nested deeper than {MAX_DEPTH} levels is left out"] = None
            return f"(nested deeper than {MAX_DEPTH} levels)"
        if isinstance(value, Mapping):
            return {clean_text(str(name)): clean(one, depth + 1) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [clean(one, depth + 1) for one in value]
        found["what is no JSON is written as text"] = None
        return clean_text(str(value))

    cleaned = {clean_text(str(name)): clean(value, 1) for name, value in doc.items()}
    notes.extend(found)
    return cleaned


def _fields(wanted: tuple[Column, ...], doc: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values that fit their columns, in their places, and the names of those that don't."""
    fields: dict[str, Any] = {}
    unfit: list[str] = []
    for column in wanted:
        name = column.path[0]
        value = doc.get(name)
        if value is None:
            continue
        if len(column.path) > 1:
            if not isinstance(value, Mapping):
                if name not in unfit:
                    unfit.append(name)
                continue
            part = value.get(column.path[1])
            if part is None:
                continue
            if _fits_text(part):
                fields.setdefault(name, {})[column.path[1]] = part
            else:
                unfit.append(".".join(column.path))
        elif _FITS[column.kind](value) and not (column.refers and len(value) > MAX_REFERENCE):
            fields[name] = value
        else:
            unfit.append(name)
    return fields, unfit


def fitting(wanted: tuple[Column, ...], doc: Mapping[str, Any]) -> str:
    """The members of a document that fit these columns, as JSON."""
    return _encode(_fields(wanted, doc)[0])


def _fits_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _fits_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_ITEMS and all(_fits_text(one) for one in value)


def _fits_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER


def _fits_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_MAX_INTEGER <= value < _MAX_INTEGER


def _fits_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _fits_day(value: object) -> bool:
    if not isinstance(value, str) or len(value) != 10 or value[4] != "-" or value[7] != "-":
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return value.isascii()


def _fits_moment(value: object) -> bool:
    if not isinstance(value, str) or not value.isascii() or _MOMENT.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True


_FITS: Mapping[Kind, Callable[[Any], bool]] = {
    Kind.TEXT: _fits_text,
    Kind.TEXTS: _fits_texts,
    Kind.NUMBER: _fits_number,
    Kind.INTEGER: _fits_integer,
    Kind.BOOLEAN: _fits_boolean,
    Kind.DAY: _fits_day,
    Kind.MOMENT: _fits_moment,
}
