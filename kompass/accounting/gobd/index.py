"""`index.xml` by the description standard of the GDPdU: which files there are, and how each is to be read.

A file is a table, written by its profile in the dialect of `auditable`. The index says its columns, their
kinds and which of them lead to other tables. Primary keys come first in the standard, and columns in the
order of the file; so a key is only told as one where it is the file's first column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kompass.accounting.profiles import CellKind, Column, Profile
from kompass.domain.registry import MODELS, references

DTD_NAME = "gdpdu-01-09-2004.dtd"
"""The definition has to lie beside the index, under this name."""
INDEX_NAME = "index.xml"
KEY = "_id"
"""The column of plain profiles that names the document."""
_DECIMALS = 10
"""Of a number that has no limit of its own."""
_URL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*(?:/[A-Za-z0-9][A-Za-z0-9_.\-]*)*\Z")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Supplier:
    """Who gives the data: the company that is audited."""

    name: str
    location: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A file of the exchange."""

    url: str
    """Where it lies, relative to the index: `contracts.csv`."""
    profile: Profile
    """By which it was written."""
    description: str = ""
    first: date | None = None
    last: date | None = None
    """Which days it is about, if both are known."""


def auditable(profile: Profile) -> Profile:
    """The profile in a dialect that an auditor's program reads: a record is a line, no mark comes first."""
    return profile.with_dialect(
        encoding="utf-8",
        bom=False,
        line_end="\r\n",
        line_breaks="space",
        foreign_signs="replace",
        header=True,
    )


def dtd() -> bytes:
    """The definition that lies beside the index."""
    return files("kompass.accounting").joinpath("packaged", DTD_NAME).read_bytes()


def index_xml(supplier: Supplier, tables: Sequence[Table], *, medium: str = "KOMPASS") -> bytes:
    """The index. Raises `ValueError` for a file that no index can describe."""
    _check(tables)
    root = Element("DataSet")
    _text(root, "Version", "1.0")
    said = SubElement(root, "DataSupplier")
    _text(said, "Name", supplier.name)
    _text(said, "Location", supplier.location)
    _text(said, "Comment", supplier.comment)
    media = SubElement(root, "Media")
    _text(media, "Name", medium)
    keys: dict[str | None, Table] = {
        table.profile.type: table
        for table in tables
        if table.profile.type is not None and table.profile.columns[0].heading == KEY
    }
    for table in tables:
        _table(media, table, keys)
    indent(root)
    body: bytes = tostring(root, encoding="utf-8")
    # A parser makes a line feed of any line end, so that of records is told by the numbers of its signs.
    for raw, told in ((b"\r\n", b"&#13;&#10;"), (b"\n", b"&#10;")):
        body = body.replace(b"<RecordDelimiter>%b<" % raw, b"<RecordDelimiter>%b<" % told)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE DataSet SYSTEM "{DTD_NAME}">\n'.encode()
        + body
        + b"\n"
    )


def _check(tables: Sequence[Table]) -> None:
    if not tables:
        raise ValueError("an exchange needs a file")
    seen: set[str] = set()
    for table in tables:
        if not _URL.match(table.url) or table.url in seen or table.url in (INDEX_NAME, DTD_NAME):
            raise ValueError(f"{table.url!r} is no name for a file beside the index, or is there twice")
        seen.add(table.url)
        dialect = table.profile.dialect
        if not dialect.header or dialect.line_breaks == "keep":
            raise ValueError(f"{table.url}: write it by auditable(profile), so that each record is a line")


def _table(media: Element, table: Table, keys: Mapping[str | None, Table]) -> None:
    dialect = table.profile.dialect
    found = SubElement(media, "Table")
    _text(found, "URL", table.url)
    _text(found, "Name", _name(table))
    if table.description:
        _text(found, "Description", table.description)
    if table.first is not None and table.last is not None:
        validity = SubElement(found, "Validity")
        _range(validity, f"{table.first:%d.%m.%Y}", f"{table.last:%d.%m.%Y}")
        _text(validity, "Format", "DD.MM.YYYY")
    SubElement(found, {"utf-8": "UTF8", "windows-1252": "ANSI"}.get(dialect.encoding, "UTF16"))
    _text(found, "DecimalSymbol", dialect.decimal)
    _text(found, "DigitGroupingSymbol", "." if dialect.decimal == "," else ",")
    _range(found, "2")  # after the headings
    layout = SubElement(found, "VariableLength")
    _text(layout, "ColumnDelimiter", dialect.delimiter)
    _text(layout, "RecordDelimiter", dialect.line_end)
    _text(layout, "TextEncapsulator", '"')
    for place, column in enumerate(table.profile.columns):
        is_key = place == 0 and column.heading == KEY
        _column(
            SubElement(layout, "VariablePrimaryKey" if is_key else "VariableColumn"), column, table.profile
        )
    for heading, target in _foreign(table.profile, keys):
        key = SubElement(layout, "ForeignKey")
        _text(key, "Name", heading)
        _text(key, "References", _name(target))


def _column(found: Element, column: Column, profile: Profile) -> None:
    _text(found, "Name", column.heading)
    if column.aliases:
        _text(found, "Description", column.aliases[0])
    if column.kind in (CellKind.DECIMAL, CellKind.INTEGER):
        decimals = 0 if column.kind is CellKind.INTEGER else column.decimals
        _text(SubElement(found, "Numeric"), "Accuracy", str(_DECIMALS if decimals is None else decimals))
    elif column.kind is CellKind.DAY:
        _text(SubElement(found, "Date"), "Format", column.day or profile.dialect.day)
    else:
        SubElement(found, "AlphaNumeric")
        if column.longest is not None:
            _text(found, "MaxLength", str(column.longest))


def _foreign(profile: Profile, keys: Mapping[str | None, Table]) -> list[tuple[str, Table]]:
    """Columns that hold the id of a document of exactly one other table."""
    if profile.type not in MODELS:
        return []
    known = references(profile.type)
    found = []
    for column in profile.columns:
        targets = known.get(column.source[0], ()) if len(column.source) == 1 else ()
        if len(targets) == 1 and targets[0] in keys:
            found.append((column.heading, keys[targets[0]]))
    return found


def _range(outer: Element, first: str, last: str | None = None) -> None:
    found = SubElement(outer, "Range")
    _text(found, "From", first)
    if last is not None:
        _text(found, "To", last)


def _name(table: Table) -> str:
    return table.profile.title


def _text(outer: Element, name: str, text: str) -> None:
    SubElement(outer, name).text = _NO_XML.sub("\ufffd", text)
