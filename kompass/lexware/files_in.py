"""A file of Lexware's, taken apart: what it looks like, which kind it is, its rows. Without I/O: it has come.

A file that can't be read to its end, or was cut off, or isn't what its manifest says, is refused as a whole:
nothing of it is taken.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson

from kompass.accounting.catalogue import profile
from kompass.accounting.problems import UnreadableError, unreadable
from kompass.accounting.profiles import CellKind, Profile
from kompass.accounting.reading import Reading, Row, read
from kompass.accounting.sniffing import Finding, sniff

MOST_BYTES = 50_000_000
MOST_ROWS = 200_000
MOST_LINES = 1_000_000
"""Empty ones and those within cells included."""
_WITH_CENTS = re.compile(r"[.,][0-9]{2}[^0-9]*\Z")


class FileKind(StrEnum):
    PAYMENTS = "payments"
    INVOICES = "invoices"

    @property
    def profile(self) -> str:
        return f"lexware-{self.value}"

    @property
    def entity(self) -> str:
        """What one row is called."""
        return self.value[:-1]


@dataclass(frozen=True, slots=True)
class FileIn:
    """One that could be read."""

    kind: FileKind
    sha256: str
    rows: Sequence[Row]
    findings: Sequence[Finding]
    """What it looks like."""
    unknown: Sequence[str]
    """Headings that weren't read."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes, kind: FileKind | None = None, manifest: bytes | None = None) -> FileIn:
    """`kind`: if it is known. `manifest`: what lay beside it. Raises `UnreadableError`."""
    if len(data) > MOST_BYTES:
        raise unreadable(
            "file.size",
            f"has {len(data):,} bytes, and at most {MOST_BYTES:,} are read",
            f"ist mit {len(data)} Byte zu groß (höchstens {MOST_BYTES})",
        )
    if not data.strip():
        raise unreadable("file.empty", "is empty", "ist leer")
    if max(data.count(b"\n"), data.count(b"\r")) > MOST_LINES:
        raise unreadable(
            "file.lines", f"has more than {MOST_LINES:,} lines", f"hat mehr als {MOST_LINES} Zeilen"
        )
    if kind is not None:
        found = _parsed(data, kind)
    else:
        try:
            found = _parsed(data, FileKind.PAYMENTS)
        except UnreadableError as error:
            if error.problem.rule != "file.columns":
                raise
            found = _as_invoices(data, error)
    if manifest is not None:
        _check(found, data, manifest)
    return found


def _as_invoices(data: bytes, first: UnreadableError) -> FileIn:
    try:
        return _parsed(data, FileKind.INVOICES)
    except UnreadableError as error:
        if error.problem.rule != "file.columns":
            raise
        payments, invoices = first.problem, error.problem
        raise unreadable(
            "file.columns",
            f"is neither payments (it {payments.reason}) nor invoices (it {invoices.reason})",
            f"enthält weder Zahlungen (sie {payments.grund}) noch Rechnungen (sie {invoices.grund})",
            payments.line,
        ) from None


def _parsed(data: bytes, kind: FileKind) -> FileIn:
    sniffed = sniff(io.BytesIO(data), profile(kind.profile))
    wanted = sniffed.applied(profile(kind.profile))
    reading = read(io.BytesIO(data), wanted, skip=sniffed.skip)
    rows: list[Row] = []
    for row in reading.rows:
        if len(rows) >= MOST_ROWS:
            raise unreadable(
                "file.rows", f"has more than {MOST_ROWS:,} rows", f"hat mehr als {MOST_ROWS} Zeilen", row.line
            )
        rows.append(row)
    end = data[-40:].decode(wanted.dialect.reading_codec, "ignore")
    if rows and not reading.whole and _may_be_cut(rows[-1], reading, wanted, end):
        raise unreadable(
            "file.cut",
            "breaks off in its last line: it is only a part, so nothing of it was taken",
            "bricht in der letzten Zeile ab: es ist nur ein Teil, deshalb wurde nichts übernommen",
            rows[-1].line,
        )
    return FileIn(kind, digest(data), rows, sniffed.findings, reading.unknown)


def _may_be_cut(row: Row, reading: Reading, wanted: Profile, end: str) -> bool:
    """Of the last line of a file, which has no end; `end`: its last characters. Many programs write none; but
    `11` may be a part of `119,00`, and `R-2026-0045` of another number.
    """
    if any(one.rule in ("row.width", "row.quote") for one in row.problems):
        return True
    last = max(reading.columns.values())
    if last < reading.width - 1:
        return False  # what it may lack isn't read
    (column,) = (one for one in wanted.columns if reading.columns.get(one.heading) == last)
    if any(one.column == column.heading for one in row.problems):
        return True
    if column.kind is CellKind.DECIMAL:
        return row.values.get(column.heading) is not None and _WITH_CENTS.search(end) is None
    return column.required and column.kind is CellKind.TEXT


def _check(found: FileIn, data: bytes, manifest: bytes) -> None:
    """Raises `UnreadableError` if the manifest says something else."""
    try:
        said: Any = orjson.loads(manifest)
    except orjson.JSONDecodeError:
        raise _other("its manifest is no JSON", "ihr Manifest ist kein JSON") from None
    if not isinstance(said, dict):
        raise _other("its manifest is no object", "ihr Manifest ist kein Objekt")
    facts: Mapping[str, Any] = {
        "sha256": found.sha256,
        "bytes": len(data),
        "rows": len(found.rows),
    }
    for name, value in facts.items():
        if name in said and said[name] != value:
            raise _other(
                f"its manifest says {name} {str(said[name])[:64]}, and it is {value}",
                f"laut Manifest ist {name} {str(said[name])[:64]}, tatsächlich {value}",
            )
    sums = said.get("sums", {})
    for heading, value in sums.items() if isinstance(sums, dict) else ():
        there = _sum(found, heading)
        if there is not None and _decimal(value) != there:
            raise _other(
                f"its manifest says that {heading[:64]} sums up to {str(value)[:40]}, and it is {there}",
                f"laut Manifest ist die Summe von {heading[:64]} {str(value)[:40]}, tatsächlich {there}",
            )


def _sum(found: FileIn, heading: str) -> Decimal | None:
    columns = {one.heading for one in profile(found.kind.profile).columns if one.kind is CellKind.DECIMAL}
    if heading not in columns:
        return None
    return sum((row.values.get(heading) or Decimal(0) for row in found.rows), Decimal(0))


def _decimal(value: object) -> Decimal | None:
    try:
        found = Decimal(str(value)[:40])
    except ArithmeticError:
        return None
    return found if found.is_finite() else None  # an sNaN can't even be compared


def _other(reason: str, grund: str) -> UnreadableError:
    return unreadable("file.manifest", f"isn't what came with it: {reason}", f"stimmt nicht: {grund}")
