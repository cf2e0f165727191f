"""What a profile wrote, it reads again, whatever the texts are and however the dialect looks."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.accounting.catalogue import profile
from kompass.accounting.cells import Value
from kompass.accounting.formulas import guarded, unguarded
from kompass.accounting.profiles import CellKind, Column, Dialect, Profile
from kompass.accounting.sources import body_of, values
from kompass.accounting.writing import Writer
from kompass.domain.examples import TYPES, full
from tests.accounting.files import rows_of, written
from tests.examples import examples

TEXTS = st.characters(exclude_characters="\0", codec="utf-8")
KINDS: dict[CellKind, st.SearchStrategy[Any]] = {
    CellKind.TEXT: st.text(TEXTS, min_size=1),
    CellKind.PHONE: st.from_regex(r"\+?[0-9 ()\-]{7,20}", fullmatch=True),
    CellKind.DECIMAL: st.decimals(-(10**12), 10**12, places=2, allow_nan=False),
    CellKind.INTEGER: st.integers(-(10**14), 10**14),
    CellKind.DIGITS: st.from_regex("[0-9]{1,9}", fullmatch=True),
    CellKind.BOOLEAN: st.booleans(),
    CellKind.DAY: st.dates(date(1900, 1, 1), date(2199, 12, 31)),
    CellKind.MOMENT: st.datetimes(datetime(1990, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    CellKind.TEXTS: st.lists(st.text(TEXTS), min_size=1).map(tuple),
    CellKind.JSON: st.dictionaries(st.text(max_size=5), st.integers() | st.none() | st.text('a=\n";')),
}
SIGNS = "=+-@'\t\r\n;,|\"\\ a1ßŽ0.\uff1d"
COLUMNS = tuple(Column(heading=f"column {kind}", kind=kind) for kind in KINDS)
DIALECTS = st.builds(
    Dialect,
    delimiter=st.sampled_from([";", ",", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
    bom=st.booleans(),
    line_end=st.sampled_from(["\r\n", "\n"]),
    quoting=st.sampled_from(["needed", "text", "all"]),
    decimal=st.sampled_from([",", "."]),
    day=st.sampled_from(["DD.MM.YYYY", "YYYY-MM-DD", "DD/MM/YYYY", "MM/DD/YYYY", "YYYYMMDD", "DDMMYYYY"]),
    header=st.booleans(),
)


@settings(max_examples=examples(60), deadline=None)
@given(DIALECTS, st.lists(st.tuples(*(st.none() | kind for kind in KINDS.values())), max_size=5))
def test_every_value_comes_back(dialect: Dialect, rows: list[tuple[Value, ...]]) -> None:
    made = Profile(name="made", title="Made", direction="both", dialect=dialect, columns=COLUMNS)
    found = rows_of(written(made, rows), made)
    assert [row.problems for row in found] == [()] * len(rows)
    assert [tuple(row.values.values()) for row in found] == rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252"])
def test_a_file_of_many_pieces_and_long_texts_comes_back(encoding: str) -> None:
    made = Profile(
        name="made", title="Made", direction="both", columns=(Column(heading="Notiz"),)
    ).with_dialect(encoding=encoding)
    rows = [["ß\n" * 25_000], ['"' * 60_000], *([f"Zeile {number} – ä€"] for number in range(10_000))]
    writer = Writer(made)
    pieces = list(writer.pieces(rows))
    assert len(pieces) > 3
    assert [[row.values["Notiz"]] for row in rows_of(b"".join(pieces), made)] == rows
    assert b"".join(writer.pieces([["x" * 70_000]])).count(b"x") == 0
    assert [problem.rule for problem in writer.problems] == ["cell.long"]


@settings(max_examples=examples(300), deadline=None)
@given(st.text(SIGNS, max_size=12))
def test_the_guard_is_undone(text: str) -> None:
    assert unguarded(guarded(text)) == text


@settings(max_examples=examples(300), deadline=None)
@given(st.text(SIGNS, min_size=1, max_size=12))
def test_no_cell_begins_as_a_formula(text: str) -> None:
    made = Profile(name="made", title="Made", columns=(Column(heading="Text"), Column(heading="Other")))
    lines = io.StringIO(written(made, [[text, None]]).decode("utf-8-sig"), newline="")
    cell = list(csv.reader(lines, delimiter=";", strict=True))[1][0]
    begins = cell.lstrip(" ")[:1]
    assert begins not in ("=", "+", "@", "\t", "\r", "\n", "\uff1d")
    assert begins != "-" or re.fullmatch("-[0-9.,]+", cell)  # a number, which is none of theirs


def test_a_negative_number_stays_a_number() -> None:
    columns = (Column(heading="Betrag", kind=CellKind.DECIMAL, decimals=2), Column(heading="Text"))
    made = Profile(name="made", title="Made", columns=columns)
    lines = (
        written(made, [[Decimal("-12.5"), "-12,50"], [Decimal(0), "-1+2"]]).decode("utf-8-sig").split("\r\n")
    )
    assert lines == ["Betrag;Text", "-12,50;-12,50", "0,00;'-1+2", ""]


@pytest.mark.parametrize("doctype", TYPES)
def test_a_document_of_every_type_comes_back(doctype: str) -> None:
    body = full(doctype)
    plain = profile(doctype)
    (row,) = rows_of(written(plain, [values(plain, body, lambda docid: None)]), plain)
    assert row.problems == ()
    kept = {
        name: value
        for name, value in body.items()
        if name not in ("_rev", "_attachments", "type") and value not in (None, "", [], {})
    }
    assert body_of(plain, row.values) == kept


def test_the_standard_library_reads_what_is_written() -> None:
    columns = (Column(heading="A"), Column(heading="B", kind=CellKind.INTEGER))
    made = Profile(name="made", title="Made", columns=columns)
    texts = ['a "quoted" one', "two\r\nlines", "semi;colon", " blank ", "=formula", ""]
    data = written(made, [[text or None, 1] for text in texts])
    read = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=";", strict=True))
    assert read == [["A", "B"], *([text.replace("=", "'="), "1"] for text in texts)]


def test_rows_that_do_not_fit_are_left_out_and_told() -> None:
    columns = (
        Column(heading="Nummer", required=True, longest=4),
        Column(heading="Name", longest=5, cut=True),
        Column(heading="Betrag", kind=CellKind.DECIMAL, decimals=2),
    )
    writer = Writer(Profile(name="made", title="Made", columns=columns))
    rows: list[list[Value]] = [
        ["R-1", "Müller GmbH", Decimal("1.10")],
        [None, "ohne Nummer", Decimal(5)],
        ["R-12345", "x", Decimal(5)],
        ["R-2", "x", Decimal("1.005")],
        ["R-3", None, Decimal("2.20")],
    ]
    data = b"".join(writer.pieces(rows)).decode("utf-8-sig")
    assert data == "Nummer;Name;Betrag\r\nR-1;Mülle;1,10\r\nR-3;;2,20\r\n"
    assert (writer.written, writer.left_out, writer.sums) == (2, 3, {"Betrag": Decimal("3.30")})
    assert [(one.line, one.column, one.rule) for one in writer.problems] == [
        (2, "Nummer", "cell.missing"),
        (3, "Nummer", "cell.long"),
        (4, "Betrag", "cell.decimals"),
    ]
    assert [(one.line, one.column, one.value) for one in writer.notes] == [(2, "Name", "Müller GmbH")]


@pytest.mark.parametrize(("policy", "cell"), [("refuse", None), ("replace", "Ciga ?")])
def test_signs_that_windows_does_not_know(policy: str, cell: str | None) -> None:
    made = Profile(name="made", title="Made", columns=(Column(heading="Name"),)).with_dialect(
        encoding="windows-1252", foreign_signs=policy
    )
    writer = Writer(made)
    lines = b"".join(writer.pieces([["Ćiga \u4e2d"], ["Žanna Müller €"]])).decode("cp1252").split("\r\n")
    assert lines == ["Name", *([cell] if cell else []), "Žanna Müller €", ""]
    assert len(writer.notes) == (1 if cell else 0)
    assert len(writer.problems) == (0 if cell else 1)
