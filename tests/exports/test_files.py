"""Every kind of file, read back by somebody else's library: what was in the document is in the file."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from kompass.accounting.formulas import unguarded
from kompass.accounting.plain import plain_profile
from kompass.accounting.profiles import heading_key
from kompass.accounting.reading import read
from kompass.accounting.sources import body_of
from kompass.domain.examples import full
from kompass.domain.registry import MODELS
from kompass.exports import spreadsheet
from kompass.exports.encoding import Told
from kompass.exports.formats import Format, accepted
from kompass.exports.making import Exports, OneAtATime
from kompass.exports.spreadsheet import CUT, LONGEST, Spreadsheet
from kompass.exports.tables import Headings, rows_of, table
from kompass.resources.catalogue import RESOURCES
from replication.protocol import jsontext
from replication.store.values import Document
from tests.examples import examples
from tests.exports import made as making
from tests.exports.made import HOSTILE, cells, document, filled, made, parts, wish_of

CONTRACT = {"contractDate": "2026-11-02", "contractValueEur": 63046.5, "paymentTermsDays": 30}
CONTRACT |= {"signedAt": "2026-11-02T08:15:30.250Z", "status": "signed", "finalized": True}


def test_a_spreadsheet_has_typed_cells(tmp_path: Path) -> None:
    data, told = made(
        tmp_path, wish_of("contracts", Format.XLSX, german=True), [document("contract", **CONTRACT)]
    )
    assert (told.rows, told.changed) == (1, 0)
    sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    assert (sheet.title, sheet.freeze_panes) == ("Vertrag", "A2")
    assert sheet.auto_filter.ref == sheet.dimensions
    found = {head.value: cell for head, cell in zip(sheet[1], sheet[2], strict=True)}
    assert found["Auftragswert (EUR)"].value == 63046.5
    assert found["Auftragswert (EUR)"].number_format == "#,##0.00"
    assert found["Vertragsdatum"].value == datetime(2026, 11, 2)  # noqa: DTZ001 - as openpyxl has it
    assert found["Vertragsdatum"].number_format == "dd.mm.yyyy"
    assert found["Unterschrieben am"].value == datetime(2026, 11, 2, 8, 15, 30, 250000)  # noqa: DTZ001
    assert found["Unterschrieben am"].number_format == 'dd.mm.yyyy hh:mm:ss "UTC"'
    assert found["Zahlungsziel (Tage)"].value == 30
    assert found["Abgeschlossen"].value is True
    assert sheet.column_dimensions["A"].width > 40
    assert list((tmp_path / "exports").iterdir()) == [], "nothing is left"


@pytest.mark.parametrize("form", [Format.XLSX, Format.PARQUET])
def test_what_a_full_disk_did_not_take_keeps_nothing_from_going(
    tmp_path: Path, full_disk: Path, form: Format
) -> None:
    encoder = Exports(tmp_path / "exports").encoder(wish_of("customers", form), lambda docid: None)
    encoder.add([document("customer", companyName="x")])
    with full_disk.open("w") as device:
        held = encoder._sheet.row_data_fh if isinstance(encoder, Spreadsheet) else encoder._file  # type: ignore[attr-defined]
        held.flush()
        os.dup2(device.fileno(), held.fileno())
    encoder.add([document("customer", companyName="y")])
    encoder.close()
    assert list((tmp_path / "exports").iterdir()) == []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_stay_texts(tmp_path: Path, text: str) -> None:
    customer = document("customer", companyName=text, notes="danach")
    data, _ = made(tmp_path, wish_of("customers", Format.XLSX, fields=("companyName", "notes")), [customer])
    sheet = parts(data)["xl/worksheets/sheet1.xml"]
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    head, row = cells(data)
    assert head == ["ID", "Company name", "Notes"]
    expected = text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    assert unescape(row[1]) == expected.replace("\r\n", "\n")
    assert row[2] == "danach"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_spreadsheet_runs_a_text_of_a_csv(tmp_path: Path, text: str) -> None:
    wish = wish_of("customers", Format.CSV, fields=("companyName",))
    data, told = made(tmp_path, wish, [document("customer", companyName=text)])
    assert told.rows == 1
    found = making.table(data)[1][1]
    assert found.lstrip()[:1] not in tuple("=+-@|%")
    assert unguarded(found) == text.replace("\0", "\ufffd")
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.endswith(b"\r\n")


def test_a_long_text_is_cut_and_told_and_many_rows_go_on_in_another_sheet(tmp_path: Path) -> None:
    shown = table("customer", ("companyName",), Headings.GERMAN)
    encoder = Spreadsheet(shown, rows_of(shown), tmp_path, german=True, most_rows=2)
    long = "ä" * LONGEST + "ü"
    names = [long, "b", "c", "d", "e"]
    data = filled(encoder, [document("customer", companyName=name) for name in names])
    assert [cells(data, sheet)[0] for sheet in range(3)] == [["ID", "Firma"]] * 3
    found = [row[1] for sheet in range(3) for row in cells(data, sheet)[1:]]
    assert found[1:] == names[1:]
    assert len(found[0]) == LONGEST
    assert found[0] == long[: LONGEST - len(CUT)] + CUT
    assert [(note.line, note.column) for note in encoder.told.notes] == [(1, "Firma")]
    assert encoder.told.changed == 1


def test_days_and_numbers_that_a_spreadsheet_has_not_are_texts(tmp_path: Path) -> None:
    made_of: list[dict[str, Any]] = [
        {"contractDate": day} for day in ("1900-01-01", "1899-12-31", "1900-03-01", "2100-12-31")
    ]
    made_of += [{"contractValueEur": number} for number in (12345678901234567890, 0.1, -0.0, 1e300)]
    made_of += [{"contractDate": "gestern", "contractValueEur": "viel"}]
    documents = [document("contract", **one) for one in made_of]
    wish = wish_of("contracts", Format.XLSX, fields=("contractDate", "contractValueEur"))
    data, _ = made(tmp_path, wish, documents)
    found = cells(data)[1:]
    assert [row[1] for row in found[:4]] == [
        *("1900-01-01", "1899-12-31"),
        *(datetime(1900, 3, 1), datetime(2100, 12, 31)),  # noqa: DTZ001
    ]
    assert [row[2] for row in found[4:8]] == ["12345678901234567890", 0.1, 0, "1e+300"]
    assert found[8][1:] == ["gestern", "viel"]


def test_parquet_has_the_types_of_the_model(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    documents = [
        document("contract", **CONTRACT),
        document("contract", contractValueEur="viel", contractDate="?"),
    ]
    data, told = made(tmp_path, wish_of("contracts", Format.PARQUET), documents)
    found = parquet.read_table(io.BytesIO(data))
    types = {field.name: str(field.type) for field in found.schema}
    assert types["contractValueEur"] == "decimal128(18, 2)"
    assert types["contractDate"] == "date32[day]"
    assert types["signedAt"] == "timestamp[us, tz=UTC]"
    assert types["paymentTermsDays"] == "int64"
    assert types["finalized"] == "bool"
    assert types["paymentSchedule"] == "string"
    first, second = found.to_pylist()
    assert first["contractValueEur"] == Decimal("63046.50")
    assert first["contractDate"] == date(2026, 11, 2)
    assert first["signedAt"] == datetime(2026, 11, 2, 8, 15, 30, 250000, tzinfo=UTC)
    assert (second["contractValueEur"], second["contractDate"]) == (None, None)
    assert [(note.line, note.column) for note in told.notes] == [(2, "contractDate"), (2, "contractValueEur")]


def test_parquet_has_lists_and_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("kompass.exports.parquet.GROUP", 10)
    field = next(
        (name, column.heading)
        for name, resource in RESOURCES.items()
        for column in table(resource.type).columns
        if column.kind == "texts" and "." not in column.heading
    )
    documents = [document(RESOURCES[field[0]].type, **{field[1]: ["a|b", ""]}) for _ in range(25)]
    data, _ = made(tmp_path, wish_of(field[0], Format.PARQUET), documents)
    file = parquet.ParquetFile(io.BytesIO(data))
    assert [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)] == [10, 4, 10, 1]
    assert file.read().to_pylist()[0][field[1]] == ["a|b", ""]


def test_json_is_what_lists_show(tmp_path: Path) -> None:
    documents = [document("customer", companyName=text, n=2**70) for text in HOSTILE]
    texts = [jsontext.decode(one.text) for one in documents]
    data, told = made(tmp_path, wish_of("customers", Format.JSON), documents)
    assert json.loads(data) == texts
    lines, _ = made(tmp_path, wish_of("customers", Format.NDJSON), documents)
    assert [json.loads(line) for line in lines.splitlines()] == texts
    assert told.rows == len(HOSTILE)
    some, _ = made(tmp_path, wish_of("customers", Format.NDJSON, fields=("companyName",)), documents[:1])
    assert json.loads(some).keys() == {"_id", "_rev", "companyName"}


@pytest.mark.parametrize("form", Format)
def test_a_list_without_documents_is_a_file(tmp_path: Path, form: Format) -> None:
    data, told = made(tmp_path, wish_of("customers", form), [])
    assert told.rows == 0
    if form is Format.JSON:
        assert json.loads(data) == []
    elif form is Format.NDJSON:
        assert data == b""
    elif form is Format.CSV:
        assert len(making.table(data)) == 1
    elif form is Format.XLSX:
        assert len(cells(data)) == 1


@pytest.mark.parametrize("doctype", sorted(resource.type for resource in RESOURCES.values()))
@pytest.mark.parametrize("headings", Headings)
def test_what_was_exported_can_be_imported(tmp_path: Path, doctype: str, headings: Headings) -> None:
    """By names, German and English headings alike, whichever columns there are."""
    body = {name: value for name, value in full(doctype).items() if name not in ("_rev", "_attachments")}
    written = table(doctype, None, headings)
    assert len({column.heading for column in written.columns}) == len(written.columns)
    imported = plain_profile(doctype).columns
    known = {heading_key(told): one.heading for one in imported for told in (one.heading, *one.aliases)}
    assert [known.get(heading_key(one.heading)) for one in written.columns] == [
        one.source[0] for one in written.columns
    ]
    assert len(written.columns) == len(imported)
    if headings is Headings.NAMES:
        wish = wish_of(next(n for n, r in RESOURCES.items() if r.type == doctype), Format.CSV)
        data, told = made(tmp_path, wish, [document(doctype, **body)])
        assert told.changed == 0
        (row,) = list(read(io.BytesIO(data), written).rows)
        found = body_of(written, row.values)
        held = {name: value for name, value in body.items() if value not in (None, "", [], {})}
        assert {**found, "type": doctype} == held


@pytest.mark.slow
@settings(
    max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), min_size=1, max_size=8))
def test_any_text_is_in_every_file(tmp_path: Path, texts: list[str]) -> None:
    documents = [document("customer", companyName=text) for text in texts]
    fields = ("companyName",)
    rows = making.table(made(tmp_path, wish_of("customers", Format.CSV, fields=fields), documents)[0])
    assert [unguarded(row[1]) for row in rows[1:]] == [text.replace("\0", "\ufffd") for text in texts]
    data, _ = made(tmp_path, wish_of("customers", Format.XLSX, fields=fields), documents)
    assert len(cells(data)) == len(texts) + 1
    lines, _ = made(tmp_path, wish_of("customers", Format.NDJSON, fields=fields), documents)
    assert [json.loads(line)["companyName"] for line in lines.split(b"\n")[:-1]] == texts


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("*/*", Format.CSV),
        ("text/*", Format.CSV),
        ("application/json", Format.JSON),
        ("application/x-ndjson;q=0.5, text/csv;q=0.4", Format.NDJSON),
        ("application/vnd.apache.parquet, */*;q=0.1", Format.PARQUET),
        ("text/html", None),
        ("text/csv;q=0", None),
        ("text/csv;q=x", None),
    ],
)
def test_what_is_accepted(header: str, form: Format | None) -> None:
    assert accepted(header) is form


def test_an_encoder_is_not_closed_while_it_works() -> None:
    """Its file would go while a library writes it; a client that leaves doesn't stop the thread."""
    works, goes_on, done = threading.Event(), threading.Event(), list[str]()

    class Slow:
        told = Told()

        def add(self, documents: Sequence[Document]) -> bytes:
            works.set()
            goes_on.wait(10)
            done.append("added")
            return b""

        def end(self) -> Iterator[bytes]:
            yield b""

        def close(self) -> None:
            done.append("closed")

    encoder = OneAtATime(Slow())
    threads = [threading.Thread(target=encoder.add, args=([],)), threading.Thread(target=encoder.close)]
    threads[0].start()
    assert works.wait(10)
    threads[1].start()
    goes_on.set()
    for thread in threads:
        thread.join(10)
    assert done == ["added", "closed"]


def test_the_largest_sheet_is_a_sheet_of_excel() -> None:
    assert spreadsheet.MOST_ROWS + 1 == 2**20
    assert MODELS.keys() >= {resource.type for resource in RESOURCES.values()}
