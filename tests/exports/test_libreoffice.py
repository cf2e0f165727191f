"""What a German LibreOffice makes of our files: numbers are numbers, days are days, formulas stay texts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree

from kompass.exports.formats import Format
from tests.exports.made import HOSTILE, document, made, wish_of
from tests.needs import require

SECONDS = 120
GERMAN = "CSV:59,34,76,1,,1031,false,true,false,false,false,0,true"
"""`;`, quotes, UTF-8, German, numbers and days are looked for, and so are formulas."""
TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
FIELDS = (
    "contractNumber",
    "contractDate",
    "contractValueEur",
    "paymentTermsDays",
    "signedAt",
    "finalized",
    "notes",
)
CONTRACT = {
    "contractNumber": "V-2026-00042",
    "contractDate": "2026-11-02",
    "contractValueEur": 1234567.5,
    "paymentTermsDays": 30,
    "signedAt": "2026-11-02T08:15:30.250Z",
    "finalized": True,
    "notes": "Süß & Söhne",
}


class Cell(NamedTuple):
    kind: str
    value: str
    formula: str | None


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    profile = tmp_path_factory.mktemp("libreoffice").as_uri()
    return [require("libreoffice"), "--headless", "--norestore", f"-env:UserInstallation={profile}"]


def opened(office: list[str], file: Path, *options: str) -> list[list[Cell]]:
    """The first sheet, as LibreOffice has understood it."""
    command = [*office, *options, "--convert-to", "fods", "--outdir", str(file.parent), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    flat = file.with_suffix(".fods")
    assert flat.exists(), (done.stdout, done.stderr)
    sheet = etree.parse(flat, etree.XMLParser(huge_tree=True)).getroot().find(f".//{{{TABLE}}}table")
    assert sheet is not None
    return [[*cells(row)] for row in sheet.iter(f"{{{TABLE}}}table-row")]


def cells(row: etree._Element) -> list[Cell]:
    found: list[Cell] = []
    for cell in row:
        kind = cell.get(f"{{{OFFICE}}}value-type", "")
        names = {"date": "date-value", "boolean": "boolean-value"}
        value = cell.get(f"{{{OFFICE}}}{names.get(kind, 'value')}")
        if value is None:
            value = "\n".join("".join(part.itertext()) for part in cell.iterfind(f"{{{TEXT}}}p"))
        times = int(cell.get(f"{{{TABLE}}}number-columns-repeated", "1"))
        found += [Cell(kind, value, cell.get(f"{{{TABLE}}}formula"))] * min(times, 20)
    return found


@pytest.mark.slow
def test_a_spreadsheet_is_opened_with_its_types(office: list[str], tmp_path: Path) -> None:
    texts = [document("contract", notes=text) for text in HOSTILE]
    wish = wish_of("contracts", Format.XLSX, fields=FIELDS, german=True)
    file = tmp_path / "contracts.xlsx"
    file.write_bytes(made(tmp_path, wish, [document("contract", **CONTRACT), *texts])[0])
    rows = opened(office, file)
    assert [cell.value for cell in rows[0][1:4]] == ["Vertragsnummer", "Vertragsdatum", "Auftragswert (EUR)"]
    assert [(cell.kind, cell.value) for cell in rows[1][1:8]] == [
        ("string", "V-2026-00042"),
        ("date", "2026-11-02"),
        ("float", "1234567.5"),
        ("float", "30"),
        ("date", "2026-11-02T08:15:30.25"),
        ("float", "1"),
        ("string", "Süß & Söhne"),
    ]
    # It has no truth values of its own: of one in a file it makes the function that gives it.
    assert {cell.formula for row in rows for cell in row} == {None, "of:=TRUE()"}
    notes = [row[7] for row in rows[2 : 2 + len(HOSTILE)]]
    assert {cell.kind for cell in notes} == {"string"}
    assert notes[0].value == HOSTILE[0]


@pytest.mark.slow
def test_a_csv_is_opened_by_a_german_and_runs_nothing(office: list[str], tmp_path: Path) -> None:
    texts = [document("contract", notes=text) for text in HOSTILE if "\n" not in text and "\x01" not in text]
    wish = wish_of("contracts", Format.CSV, fields=FIELDS)
    file = tmp_path / "contracts.csv"
    file.write_bytes(made(tmp_path, wish, [document("contract", **CONTRACT), *texts])[0])
    rows = opened(office, file, f"--infilter={GERMAN}")
    assert [cell.value for cell in rows[0][:3]] == ["_id", "contractNumber", "contractDate"]
    assert [(cell.kind, cell.value) for cell in rows[1][1:5]] == [
        ("string", "V-2026-00042"),
        ("date", "2026-11-02"),
        ("float", "1234567.5"),
        ("float", "30"),
    ]
    assert [cell for row in rows for cell in row if cell.formula] == []
    assert rows[2][7].value.endswith(HOSTILE[0])
