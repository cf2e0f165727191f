"""Entries as a table that accountants open in a spreadsheet.

Semicolons, a byte-order mark and CRLF, as a German Excel wants it. One line for each field that was changed.
A text that a spreadsheet would take for a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apsw

from kompass.accounting.formulas import guarded
from kompass.audit.reading import Reader, Shown, Sight
from kompass.audit.verifying import rows

COLUMNS = ("Timestamp", "User", "Role", "Action", "Field", "Old Value", "New Value", "Reason", "IP", "Hash")

HIDDEN, SHREDDED = "[not shown]", "[shredded]"


def lines(entries: Iterable[Shown], *, head: bool = True) -> Iterator[str]:
    """The table's text, entry by entry."""
    if head:
        yield "\ufeff" + _line(COLUMNS)
    for shown in entries:
        yield "".join(_line(row) for row in rows_of(shown))


def rows_of(shown: Shown) -> Iterator[tuple[str, ...]]:
    """An entry's lines, in the order of `COLUMNS`."""
    entry = shown.entry
    document = entry.get("document") or f"[{entry.get('type') or 'document'}]"
    reason = " – ".join(filter(None, (entry.get("rule"), shown.reason, _source(entry))))
    first = (entry["received"], entry["who"], ", ".join(entry["roles"]), entry["action"])
    last = (reason, entry.get("address") or "", shown.hash)
    if not shown.changes:
        value = HIDDEN if shown.values == "hidden" else SHREDDED if shown.values == "shredded" else ""
        yield (*first, document, value, value, *last)
    for change in shown.changes:
        if shown.values == "shredded":
            yield (*first, f"{document} {change.field}", SHREDDED, SHREDDED, *last)
        else:
            yield (*first, f"{document} {change.field}", _plain(change.old), _plain(change.new), *last)


def _source(entry: Mapping[str, Any]) -> str | None:
    """What a write of the server follows from."""
    cause = entry.get("cause")
    if cause is None:
        return None
    return f"{entry.get('origin')}: {cause['document']} {cause['revision']} ({cause['person']})"


def _plain(text: str | None) -> str:
    """A value as people write it: strings without quotes."""
    if text is None:
        return ""
    value = json.loads(text)
    return value if isinstance(value, str) else text


def _line(row: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";", lineterminator="\r\n").writerow([guarded(text) for text in row])
    return buffer.getvalue()


def table(
    connection: apsw.Connection, *, first: int = 1, last: int | None = None, values: bool = True
) -> Iterator[str]:
    """The whole chain, or a stretch of it, for whoever may read all of it."""
    reader = Reader(connection)
    sight = Sight.ALL if values else Sight.NAMES

    def shown() -> Iterator[Shown]:
        for row in rows(connection, first):
            if last is not None and row.num > last:
                return
            yield reader.shown(row, sight)

    return lines(shown())
