"""The index of a data-carrier exchange, and whether it says what the files are."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from kompass.accounting.catalogue import PACKAGED, profile
from kompass.accounting.gobd.index import Supplier, Table, auditable, dtd, index_xml
from kompass.accounting.sources import values
from kompass.audit.table import COLUMNS
from kompass.domain.examples import full
from kompass.domain.registry import MODELS
from tests.accounting.definitions import errors, models
from tests.accounting.files import written

SUPPLIER = Supplier("Mühle & Söhne <GmbH>", "Schwäbisch Hall", "Prüfung 2026")


def tables(*names: str) -> list[Table]:
    year = (date(2026, 1, 1), date(2026, 12, 31))
    return [Table(f"{name}.csv", auditable(profile(name)), "", *year) for name in names]


@pytest.mark.slow
def test_the_index_of_everything_is_valid() -> None:
    names = [*MODELS, *PACKAGED]
    found = index_xml(SUPPLIER, tables(*names))
    assert errors(found, dtd()) == []
    assert len(fromstring(found).findall("Media/Table")) == len(names)
    assert b'<!DOCTYPE DataSet SYSTEM "gdpdu-01-09-2004.dtd">' in found


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ((b"<URL>customer.csv</URL>", b""), "Table has Name,Validity"),
        ((b"<UTF8 />", b"<UTF8>x</UTF8>"), "UTF8 has text"),
        ((b"<Version>1.0</Version>", b"<Command>x</Command>"), "DataSet has Command"),
        ((b"<DecimalSymbol>,</DecimalSymbol>", b""), "Table has URL"),
    ],
)
def test_the_check_finds_what_is_invalid(broken: tuple[bytes, bytes], said: str) -> None:
    found = errors(index_xml(SUPPLIER, tables("customer")).replace(*broken, 1), dtd())
    assert any(one.startswith(said) for one in found)


def test_every_element_that_is_defined_is_reached() -> None:
    known = models(dtd())
    named = {name for model in known.values() for name in _names(model)}
    assert named | {"DataSet"} == set(known)


def _names(model: tuple[Any, ...]) -> set[str]:
    own = {model[2]} if model[2] else set()
    return own.union(*(_names(child) for child in model[3]))


def text(element: Element, path: str) -> str:
    found = element.findtext(path)
    assert found is not None
    return found


def test_an_auditor_reads_the_files_by_their_index() -> None:
    """As his program does: by nothing but what the index says."""
    contract, customer = full("contract"), full("customer")
    customer["notes"] = 'Zeile 1\nZeile 2; "Zitat"'
    data = {}
    for name, body in (("contract", contract), ("customer", customer)):
        wanted = auditable(profile(name))
        data[f"{name}.csv"] = written(wanted, [values(wanted, body, lambda docid: None)])
    found = fromstring(index_xml(SUPPLIER, tables("contract", "customer")))
    assert text(found, "DataSupplier/Name") == SUPPLIER.name
    rows: dict[str, dict[str, object]] = {}
    for table in found.findall("Media/Table"):
        assert table.find("UTF8") is not None
        layout = table.find("VariableLength")
        assert layout is not None
        records = data[text(table, "URL")].decode().split(text(layout, "RecordDelimiter"))
        records = records[int(text(table, "Range/From")) - 1 :]
        reader = csv.reader(
            io.StringIO(records[0]),
            delimiter=text(layout, "ColumnDelimiter"),
            quotechar=text(layout, "TextEncapsulator"),
        )
        columns = [*layout.findall("VariablePrimaryKey"), *layout.findall("VariableColumn")]
        cells = next(reader)
        assert len(cells) == len(columns)
        rows[text(table, "Name")] = {
            text(column, "Name"): _value(cell, column, text(table, "DecimalSymbol"))
            for column, cell in zip(columns, cells, strict=True)
        }
        for key in layout.findall("ForeignKey"):
            assert text(key, "References") in ("Vertrag", "Kunde")
    assert rows["Vertrag"]["customerId"] == rows["Kunde"]["_id"] == customer["_id"]
    assert rows["Vertrag"]["contractValueEur"] == Decimal(str(contract["contractValueEur"]))
    assert rows["Vertrag"]["contractDate"] == date.fromisoformat(contract["contractDate"])
    assert rows["Kunde"]["notes"] == 'Zeile 1 Zeile 2; "Zitat"'


def _value(cell: str, column: Element, decimal: str) -> object:
    if column.find("Numeric") is not None and cell:
        number = Decimal(cell.replace(decimal, "."))
        assert -number.as_tuple().exponent <= int(text(column, "Numeric/Accuracy"))  # type: ignore[operator]
        return number
    if column.find("Date") is not None and cell:
        assert text(column, "Date/Format") == "DD.MM.YYYY"
        return date(int(cell[6:]), int(cell[3:5]), int(cell[:2]))
    return cell


def test_the_profile_of_the_audit_log_has_the_columns_of_its_export() -> None:
    assert tuple(column.heading for column in profile("audit").columns) == COLUMNS


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (Table("../customer.csv", auditable(profile("customer"))), "no name for a file"),
        (Table("/customer.csv", auditable(profile("customer"))), "no name for a file"),
        (Table("index.xml", auditable(profile("customer"))), "no name for a file"),
        (Table("customer.csv", profile("customer")), "so that each record is a line"),
    ],
)
def test_a_file_that_no_index_can_describe_is_refused(table: Table, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        index_xml(SUPPLIER, [table])


def test_a_file_is_in_the_index_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        index_xml(SUPPLIER, tables("customer", "customer"))
    with pytest.raises(ValueError, match="needs a file"):
        index_xml(SUPPLIER, [])
