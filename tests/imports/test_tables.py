"""Tables of other tools are read as they are meant, and hostile ones are refused with a reason each."""

from __future__ import annotations

import asyncio
import datetime
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from kompass.accounting.problems import UnreadableError
from kompass.imports.tables import limits
from kompass.imports.tables.reader import Reader, Table
from tests.imports import files
from tests.needs import require

pytestmark = pytest.mark.asyncio(loop_scope="module")

COLUMNS = [
    ("companyName", ["Firma"], "text"),
    ("city", ["Ort"], "text"),
    ("amount", ["Limit"], "decimal"),
    ("day", ["Tag"], "day"),
]
HEAD = ["Firma", "Ort", "Limit", "Tag", "Aktiv"]
DAY = datetime.date(2026, 3, 9)
ROWS: list[list[Any]] = [HEAD, ["Hof Käse", "Köln", 1234.5, DAY, True], ["Hof Öl", None, 7, None, False]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[Reader]:
    one = Reader()
    yield one
    await one.close()


async def read(reader: Reader, data: bytes, **said: Any) -> Table:
    return await reader.read(data, COLUMNS, said)


async def refused(reader: Reader, data: bytes) -> str:
    with pytest.raises(UnreadableError) as error:
        await read(reader, data)
    assert error.value.problem.grund
    return error.value.problem.rule


@pytest.mark.parametrize(
    ("data", "kind"),
    [(files.as_xlsx(ROWS), "xlsx"), (files.as_xls(ROWS), "xls"), (files.as_ods(ROWS), "ods")],
    ids=["xlsx", "xls", "ods"],
)
async def test_sheets_have_their_values(reader: Reader, data: bytes, kind: str) -> None:
    table = await read(reader, data)
    assert table.kind == kind
    assert list(table.rows[0]) == HEAD
    first = list(table.rows[1])
    assert first[:4] == ["Hof Käse", "Köln", 1234.5, {"day": "2026-03-09"}]
    assert first[4] in (True, 1)
    assert list(table.rows[2])[:3] == ["Hof Öl", None, 7]
    assert list(table.lines) == [1, 2, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
async def test_texts_of_the_csv_module(reader: Reader, encoding: str, delimiter: str) -> None:
    rows = [HEAD, ["Hof Käse", 'Köln "Süd"', "1.234,50", "09.03.2026", "ja"]]
    table = await read(reader, files.as_csv(rows, encoding, delimiter))
    assert [list(row) for row in table.rows] == rows
    assert (table.decimal, table.day) == (",", "DD.MM.YYYY")
    assert {one["what"] for one in table.findings} >= {"encoding", "delimiter", "decimal", "day"}


async def test_days_from_1904(reader: Reader) -> None:
    data = files.as_xlsx(ROWS, epoch_1904=True)
    table = await read(reader, data)
    assert table.from_1904
    assert table.rows[1][3] == {"day": "2026-03-09"}


async def test_a_person_knows_better(reader: Reader) -> None:
    text = "Firma,Ort\r\nHof;Köln,x\r\n".encode("cp1252")
    assert list((await read(reader, text)).rows[1]) == ["Hof;Köln", "x"]
    assert list((await read(reader, text, delimiter=";")).rows[1]) == ["Hof", "Köln,x"]


async def test_formulas_have_the_value_that_was_stored_or_are_told(reader: Reader) -> None:
    data = files.as_xlsx([HEAD, ["=1+1", "Köln"], ["Hof", "=A1"]])
    table = await read(reader, data)
    assert [list(row) for row in table.rows[1:]] == [[{"formula": ""}, "Köln"], ["Hof", {"formula": ""}]]
    computed = files.replaced(data, files.SHEET, "<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>")
    assert (await read(reader, computed)).rows[1][0] == 2


async def test_a_formula_of_which_nothing_is_the_result_is_an_empty_cell(reader: Reader) -> None:
    """As `=IF(A1="";"";A1)`: there is nothing that opening and saving would compute."""
    data = files.as_xlsx([HEAD, ["=A2", "Köln"]])
    data = files.replaced(data, files.SHEET, '<c r="A2"><f>A2</f>', '<c r="A2" t="str"><f>A2</f>')
    assert list((await read(reader, data)).rows[1]) == [None, "Köln"]


async def test_every_formula_without_a_result_is_told(reader: Reader) -> None:
    table = await read(reader, files.as_xlsx([HEAD, *[["Hof", "=A1"]] * 1_500]))
    assert table.rows[-1][1] == {"formula": ""}


ERROR = "<table:table-cell"
CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
ODS_ERROR = f"""{ERROR} office:value-type="string" office:string-value="" table:formula="of:=1/0"
 calcext:value-type="error" xmlns:calcext="{CALC}"><text:p>Err:502</text:p></table:table-cell>{ERROR}"""


@pytest.mark.parametrize(
    ("data", "place", "said"),
    [
        (files.as_xlsx([HEAD, ["Hof", "#N/A"]]), (1, 1), "#N/A"),
        (files.as_xls([HEAD, ["Hof", files.XlsError(7)]]), (1, 1), "#DIV/0!"),
        (files.replaced(files.as_ods([HEAD]), "content.xml", ERROR, ODS_ERROR), (0, 0), "Err:502"),
    ],
    ids=["xlsx", "xls", "ods"],
)
async def test_cells_with_errors_are_not_empty(
    reader: Reader, data: bytes, place: tuple[int, int], said: str
) -> None:
    row, column = place
    assert (await read(reader, data)).rows[row][column] == {"error": said}


ZERO = files.as_xlsx(ROWS)
DOCTYPE = '<!DOCTYPE x [<!ENTITY a "b">]><worksheet xmlns'
BOOK = "xl/workbook.xml"


def far(reference: str, row: str) -> bytes:
    cell = f'<row r="{row}"><c r="{reference}" t="n"><v>1</v></c></row></sheetData>'
    return files.replaced(ZERO, files.SHEET, "</sheetData>", cell)


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ODS = files.as_ods(ROWS)
ROW = "<table:table-row>"
END = "</manifest:manifest>"


def stream(name: str) -> bytes:
    """A name as the directory of an old workbook has it."""
    return name.encode("utf-16-le").ljust(64, b"\0")


def typed(kind: str) -> bytes:
    """With a part of that type, by any name."""
    return files.replaced(
        ZERO, "[Content_Types].xml", "</Types>", f'<Override PartName="/x" ContentType="x.{kind}"/></Types>'
    )


def in_ods(old: str, new: str, part: str = "content.xml") -> bytes:
    return files.replaced(ODS, part, old, new)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "file.empty"),
    "pdf": (b"%PDF-1.7 ...", "file.kind"),
    "picture": (b"\x89PNG\r\n", "file.kind"),
    "page": (b"\xef\xbb\xbf <html><table><tr><td>Firma", "file.markup"),
    "zip": (files.changed(ODS, {"content.xml": lambda _: b""}, x=b"y")[:60], "file.broken"),
    "half of a workbook": (ZERO[: len(ZERO) // 2], "file.broken"),
    "macros": (files.changed(ZERO, {}, xl__vbaProject_DOT_bin=b"x"), "file.macros"),
    "macros in its types": (
        files.replaced(ZERO, "[Content_Types].xml", "spreadsheetml.sheet.main", "sheet.macroEnabled.main"),
        "file.macros",
    ),
    "links": (files.changed(ZERO, {}, xl__externalLinks__externalLink1_DOT_xml=b"<x/>"), "file.links"),
    "links elsewhere": (typed("externalLink+xml"), "file.links"),
    "macros elsewhere": (typed("vbaProject"), "file.macros"),
    "queries": (files.changed(ZERO, {}, xl__connections_DOT_xml=b"<x/>"), "file.links"),
    "bomb": (files.changed(ZERO, {}, xl__media__a_DOT_bin=bytes(30_000_000)), "file.bomb"),
    "entities": (files.replaced(ZERO, files.SHEET, "<worksheet xmlns", DOCTYPE), "file.doctype"),
    "entities in names": (
        files.replaced(ZERO, BOOK, "<workbook xmlns", "<!DOCTYPE x []><workbook xmlns"),
        "file.doctype",
    ),
    "the last cell there can be": (far("XFD1048576", "1048576"), "file.columns"),
    "the last row": (far("A1048576", "1048576"), "file.rows"),
    "a column nobody has": (far("ZZZZZZZ1", "9"), "file.broken"),
    "16 million columns": (far("ZZZZ9", "9"), "file.columns"),
    "binary workbook": (
        files.changed(ZERO, {}, xl__x=b"").replace(b"xl/workbook.xml", b"xl/workbook.bin"),
        "file.xlsb",
    ),
    "old links": (files.as_xls(ROWS, (0x01AE, b"\1\0\5\0\0\1b.xl")), "file.links"),
    "old queries": (files.as_xls(ROWS, (0x01AD, bytes(20))), "file.links"),
    "old password": (files.as_xls(ROWS, (0x002F, bytes(54))), "file.password"),
    "old rows": (files.as_xls([*[[]] * 60_000, ["Hof"]]), "file.rows"),
    "old macros": (files.as_xls(ROWS) + stream("_VBA_PROJECT_CUR"), "file.macros"),
    "password": (OLE + stream("EncryptedPackage"), "file.password"),
    "half of an old workbook": (files.as_xls(ROWS)[:1000], "file.broken"),
    "an old workbook without its end": (files.as_xls(ROWS)[:5_400], "file.broken"),
    "XML in no encoding": (
        files.changed(ZERO, {BOOK: lambda text: b'<?xml version="1.0" encoding="UTF-1"?>' + text}),
        "file.broken",
    ),
    "ods macros": (files.changed(ODS, {}, Basic__Standard__Module1_DOT_xml=b"<x/>"), "file.macros"),
    "ods password": (
        in_ods(END, f"<manifest:encryption-data/>{END}", "META-INF/manifest.xml"),
        "file.password",
    ),
    "ods links": (
        in_ods(ROW, f'<table:table-source xlink:href="x" xmlns:xlink="y"/>{ROW}'),
        "file.links",
    ),
    "ods formula of another file": (
        in_ods('office:value="7"', 'office:value="7" table:formula="of:=[\'file:///a.ods\'#$T.A1]"'),
        "file.links",
    ),
    "ods rows without end": (
        in_ods(ROW, '<table:table-row table:number-rows-repeated="1048576">'),
        "file.rows",
    ),
    "ods columns without end": (
        in_ods('office:value="7"', 'office:value="7" table:number-columns-repeated="16384"'),
        "file.columns",
    ),
    "zero bytes": (b"Firma;Ort\r\nHof\0;K\r\n", "file.encoding"),
    "two encodings": ("Firma;Ort\r\nKäse;ü\r\n".encode() + "Öl;ß\r\n".encode("cp1252"), "file.encoding"),
    "too many rows": (b"Firma;Ort\r\n" + b"a;b\r\n" * 10_200, "file.rows"),
    "too many columns": (b";".join(b"c%d" % n for n in range(600)) + b"\r\n", "file.columns"),
    "a line without end": (b"Firma;Ort\r\n" + b"x" * 2_000_000, "file.line"),
    "more than may be": (b"x" * (limits.MOST_BYTES + 1), "file.large"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_files_are_refused(reader: Reader, name: str) -> None:
    data, rule = HOSTILE[name]
    assert await refused(reader, data) == rule


async def test_a_directory_that_lies_costs_little(reader: Reader) -> None:
    """Sizes are claimed small; what unpacks to more is noticed."""
    data = bytearray(files.changed(ZERO, {files.SHEET: lambda text: text + b" " * 20_000_000}))
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(files.SHEET.encode()))
    data[at + 24 : at + 28] = (2000).to_bytes(4, "little")
    assert await refused(reader, bytes(data)) in ("file.broken", "file.bomb")


async def test_empty_styled_cells_far_away_cost_nothing(reader: Reader) -> None:
    cell = '<row r="1048576"><c r="XFD1048576" s="1"/></row></sheetData>'
    table = await read(reader, files.replaced(ZERO, files.SHEET, "</sheetData>", cell))
    assert len(table.rows) == len(ROWS)


@pytest.mark.slow
async def test_the_server_s_memory_stays_as_it_is(reader: Reader) -> None:
    wide = files.as_xls([["Firma", "Ort"], *[["x" * 200] * 60] * 2_000])
    process = psutil.Process(os.getpid())
    await read(reader, ZERO)
    before, began = process.memory_info().rss, time.monotonic()
    for name in ("bomb", "the last cell there can be", "ods rows without end"):
        await refused(reader, HOSTILE[name][0])
    assert len((await read(reader, wide)).rows) > 2_000
    assert time.monotonic() - began < 30
    assert process.memory_info().rss - before < 150 * 1024 * 1024


async def test_mixed_line_ends_each_count(reader: Reader) -> None:
    table = await read(reader, b"Firma;Ort\r\nA;B\nC;D\rE;F\r\n")
    assert [list(row) for row in table.rows[1:]] == [["A", "B"], ["C", "D"], ["E", "F"]]
    assert next(one["value"] for one in table.findings if one["what"] == "line_end") == "mixed"


async def test_half_a_text_is_told(reader: Reader) -> None:
    table = await read(reader, b"Firma;Ort\r\nA;B\r\nC;")
    assert not table.whole


@pytest.mark.slow
async def test_libreoffice_in_german(reader: Reader, tmp_path: Path) -> None:
    """What it saves as CSV, ODS, XLS and XLSX is what was in the file that it opened."""
    soffice = require("libreoffice")
    formulas = ["=1/0", '=IF(1=1,"","")', "=6*7"]
    (tmp_path / "in.xlsx").write_bytes(files.as_xlsx([*ROWS, formulas]))
    csv = "csv:Text - txt - csv (StarCalc):59,34,ANSI,1,,1031,false,true"
    filters = {"csv": csv, "ods": "ods", "xls": "xls"}
    for kind, one in filters.items():
        profile = f"-env:UserInstallation=file://{tmp_path}/profile"
        command = [soffice, profile, "--headless", "--convert-to", one, "--outdir", str(tmp_path)]
        done = await asyncio.create_subprocess_exec(
            *command, str(tmp_path / "in.xlsx"), env={**os.environ, "LANG": "de_DE.UTF-8"}
        )
        assert await asyncio.wait_for(done.wait(), 120) == 0
        table = await read(reader, (tmp_path / f"in.{kind}").read_bytes())
        first = list(table.rows[1])
        assert first[:2] == ["Hof Käse", "Köln"], kind
        assert first[2] in (1234.5, "1234,5"), kind
        assert [*table.rows[3], None][:3] in (["#DIV/0!", None, "42"], [{"error": "#DIV/0!"}, None, 42]), kind
        assert first[3] in ({"day": "2026-03-09"}, "09.03.2026", "2026-03-09", "09.03.26"), kind
