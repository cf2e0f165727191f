"""Files of documents that nobody has stored, and reading them back with other tools."""

from __future__ import annotations

import csv
import io
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl

from kompass.exports.encoding import Encoder, Told
from kompass.exports.formats import Format
from kompass.exports.making import Exports, Wish
from kompass.resources.catalogue import RESOURCES
from kompass.resources.lists import Question
from replication.protocol import jsontext
from replication.store.values import Document

PAGE = 7
HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    '<r><t>a</t></r></is></c><c r="B9"><f>1+1</f></c><c><is><r></r>',
    "a\x00b\x01\x0b\x1f",
    "_x0041_",
    "\ufffe\uffff",
    "  vorn und hinten  ",
    'Quo"te;Semikolon\r\nZeile',
    "https://example.com",
    "😀 Öl & <Co>",
    "1e309",
    "00123",
    "true",
)


def document(doctype: str, **members: Any) -> Document:
    docid = f"{doctype}-{uuid.uuid4()}"
    body = {"_id": docid, "_rev": "1-0", "type": doctype, **members}
    return Document(docid, "1-0", False, jsontext.encode(body), b"", False, 1, False)


def wish_of(name: str, form: Format, **more: Any) -> Wish:
    return Wish(Question(RESOURCES[name], "createdAt", False, (), 1), form, **more)


def made(directory: Path, wish: Wish, documents: Sequence[Document]) -> tuple[bytes, Told]:
    encoder = Exports(directory / "exports").encoder(wish, lambda docid: None)
    return filled(encoder, documents), encoder.told


def filled(encoder: Encoder, documents: Sequence[Document]) -> bytes:
    try:
        pieces = [encoder.add(documents[at : at + PAGE]) for at in range(0, len(documents), PAGE)]
        return b"".join((*pieces, *encoder.end()))
    finally:
        encoder.close()


def cells(data: bytes, sheet: int = 0) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return [[cell.value for cell in row] for row in book.worksheets[sheet].iter_rows()]


def parts(data: bytes) -> dict[str, str]:
    """The XML of a spreadsheet."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def table(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=";"))
