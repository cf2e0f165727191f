"""Which field a column is, and what its cells say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.accounting.problems import CellError
from kompass.domain import models
from kompass.imports.desk import ImportDesk
from kompass.imports.drafts import Plan, check_shape, drafts, members_of
from kompass.imports.mapping import How, guess, header_place, source_of
from kompass.imports.synonyms import SYNONYMS, WORDS
from kompass.imports.targets import Field, Kind, name_key, targets
from kompass.imports.values import Form, scale_of, value
from replication.protocol import jsontext
from tests.needs import ROOT

CUSTOMER = targets()["customer"]
DOC = ROOT / "docs" / "imports.md"


def field(path: str, doctype: str = "customer") -> Field:
    return targets()[doctype].fields[path]


DISCOUNT = field("paymentTerms.discountPercentage", "supplier")


def of_kind(kind: Kind) -> Field:
    return next(one for target in targets().values() for one in target.fields.values() if one.kind is kind)


@pytest.mark.parametrize("doctype", targets())
def test_no_name_means_two_fields(doctype: str) -> None:
    known: dict[str, str] = {}
    for one in targets()[doctype].fields.values():
        for name in {name_key(each) for each in (one.path, one.label, *one.names)}:
            assert known.setdefault(name, one.path) == one.path, name


def test_words_are_of_values_that_there_are() -> None:
    used = {word for one in WORDS.values() for word in one}
    known = {
        word for target in targets().values() for one in target.fields.values() for word in one.words.values()
    }
    assert used <= known


@pytest.mark.parametrize("doctype", targets())
async def test_the_names_help_to_find_out_what_a_file_looks_like(doctype: str, tmp_path: Path) -> None:
    desk = ImportDesk(tmp_path)
    heading = ",".join(f'"{one.names[0]}"' for one in targets()[doctype].fields.values())
    table = await desk.read(doctype, f"{heading}\r\n".encode(), {})
    assert table.findings[1]["value"] == "comma"
    await desk.close()


@pytest.mark.parametrize("doctype", targets())
def test_each_field_is_found_by_each_of_its_names(doctype: str) -> None:
    target = targets()[doctype]
    for one in target.fields.values():
        for name in (one.path, one.label, *one.names):
            (match,) = guess([name.upper()], target, None)
            assert match.field == one.path, name
            assert match.how in (How.EXACT, How.SYNONYM)


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("Telefonnumer", "phone"),
        ("Kreditlimitt", "creditLimit"),
        ("Firmen-Name:", "companyName"),
        ("Umsatz", None),
        ("x", None),
        ("", None),
    ],
)
def test_headings_that_nearly_say_it(heading: str, wanted: str | None) -> None:
    (match,) = guess([heading], CUSTOMER, None)
    assert match.field == wanted
    assert (match.confidence > 0.8) == (wanted is not None)


def test_what_somebody_has_said_counts_more() -> None:
    headings = ["Firma", "Firmenname", "Ort"]
    assert [one.field for one in guess(headings, CUSTOMER, None)] == [
        "companyName",
        None,
        "billingAddress.city",
    ]
    said = {"firma": None, "firmenname": "companyName"}
    found = guess(headings, CUSTOMER, said)
    assert [one.field for one in found] == [None, "companyName", "billingAddress.city"]
    assert found[1].how is How.REMEMBERED
    assert source_of("customer", headings) == source_of("customer", ["ORT", "Firma ", "Firmenname"])
    assert source_of("customer", headings) != source_of("supplier", headings)


def test_headings_below_other_lines() -> None:
    rows: list[list[object]] = [
        ["Kundenliste"],
        [],
        ["Stand", 2026.0],
        ["Firma", "Ort", "PLZ"],
        ["Hof", "Köln", 1067.0],
    ]
    assert header_place(rows, CUSTOMER) == 3
    assert header_place([["A 1", "B 2"], ["1", "2"]], CUSTOMER) is None
    assert header_place([["Apfel", "Birne"], ["1", "2"]], CUSTOMER) == 0


VALUES: list[tuple[Kind, Any, Any]] = [
    (Kind.LINE, "  Hof\n Müller ", "Hof Müller"),
    (Kind.LINE, 12345.0, "12345"),
    (Kind.LINE, "'=SUMME(A1)", "=SUMME(A1)"),
    (Kind.TEXT, "eins\r\nzwei", "eins\nzwei"),
    (Kind.PHONE, "030/12.34-56", "030 12 34-56"),
    (Kind.PHONE, "'+49 30 123456", "+49 30 123456"),
    (Kind.VAT, "de 123 456 789", "DE123456789"),
    (Kind.WEBSITE, "www.hof.de", "https://www.hof.de"),
    (Kind.WEBSITE, "http://hof.de", "http://hof.de"),
    (Kind.NUMBER, "1.234,50 €", 1234.5),
    (Kind.NUMBER, "€ 12", 12),
    (Kind.NUMBER, 19.989999999999998, 19.99),
    (Kind.PERCENT, "50 %", 50),
    (Kind.PERCENT, 75, 75),
    (Kind.BOOLEAN, "Ja", True),
    (Kind.BOOLEAN, "nein", False),
    (Kind.BOOLEAN, True, True),
    (Kind.DAY, "9.3.2026", "2026-03-09"),
    (Kind.DAY, "09.03.26", "2026-03-09"),
    (Kind.DAY, "9. März 2026", "2026-03-09"),
    (Kind.DAY, "2026-03-09 00:00:00", "2026-03-09"),
    (Kind.DAY, {"day": "2026-03-09"}, "2026-03-09"),
    (Kind.DAY, {"moment": "2026-03-09T08:00:00"}, "2026-03-09"),
    (Kind.DAY, 46090.0, "2026-03-09"),
    (Kind.DAY, "46090", "2026-03-09"),
    (Kind.DAY, "01.01.2100", "2100-01-01"),
    (Kind.TEXTS, "Holz; Metall|Glas", ["Holz", "Metall", "Glas"]),
]


@pytest.mark.parametrize(("kind", "cell", "wanted"), VALUES)
def test_what_cells_say(kind: Kind, cell: Any, wanted: Any) -> None:
    found = value(cell, of_kind(kind), Form()).value
    assert found == wanted
    assert type(found) is type(wanted)


def test_days_of_both_calendars() -> None:
    day = field("expectedCloseDate", "opportunity")
    assert value(44628, day, Form(from_1904=True)).value == "2026-03-09"
    assert value(46090, day, Form()).note is not None
    assert value("03/09/2026", day, Form(day="MM/DD/YYYY")).value == "2026-03-09"
    assert value("1234.5", field("creditLimit"), Form(decimal=".")).value == 1234.5


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        *(
            (Kind.NUMBER, one)
            for one in ("1e309", "NaN", "inf", "1.5", "zwölf", True, {"text": "inf"}, {"day": "2026-01-01"})
        ),
        *(
            (Kind.DAY, one)
            for one in ("30.02.2026", "01.13.2026", 1.0, 60, 1e300, True, "morgen", {"text": "12:00:00"})
        ),
        *((Kind.BOOLEAN, one) for one in ("vielleicht", 2.5)),
        *((Kind.INTEGER, one) for one in ("1,5", "x")),
        (Kind.WORD, "Quatsch"),
        *((kind, {"day": "2026-05-03"}) for kind in (Kind.LINE, Kind.ZIP, Kind.CODE, Kind.PHONE)),
        *((kind, "4,9E+11") for kind in (Kind.LINE, Kind.PHONE, Kind.CODE, Kind.VAT)),
        *((kind, 1.2345678901234568e18) for kind in (Kind.LINE, Kind.CODE)),
        (Kind.LINE, True),
    ],
)
def test_what_cells_cannot_say(kind: Kind, cell: Any) -> None:
    with pytest.raises(CellError) as error:
        value(cell, of_kind(kind), Form())
    assert error.value.problem.grund


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([0.25, 1.0, 0.0, None], [25, 100, 0]),
        ([50, 1, 0], [50, 1, 0]),
        ([2, 0.5, "3 %"], [2, 0.5, 3]),
        ([1.0, 0.0], ["cell.percent", 0]),
    ],
)
def test_percent_are_meant_as_the_whole_column_has_them(cells: list[Any], wanted: list[Any]) -> None:
    """100 % in a cell of that format is stored as 1."""
    form = Form(scale=scale_of(cells))
    found: list[Any] = []
    for cell in cells:
        try:
            found += [] if cell is None else [value(cell, DISCOUNT, form).value]
        except CellError as error:
            found.append(error.problem.rule)
    assert found == wanted


def test_a_number_in_place_of_a_telephone_number_is_told() -> None:
    found = value(221123456.0, field("phone"), Form())
    assert (found.value, found.note is not None) == ("221123456", True)


@pytest.mark.parametrize(
    ("word", "wanted"), [("Einzelhandel", "retail"), ("RETAIL", "retail"), ("eG", "cooperative")]
)
def test_german_words_for_few_values(word: str, wanted: str) -> None:
    assert value(word, field("customerType"), Form()).value == wanted


def test_what_may_be_said_is_told_in_german() -> None:
    with pytest.raises(CellError) as error:
        value("Quatsch", field("preferredVisitTime"), Form())
    assert error.value.problem.grund == "muss eines sein von: vormittags, nachmittags, egal"


def plan(*headings: str, **values: str) -> Plan:
    columns = {one.field: at for at, one in enumerate(guess(headings, CUSTOMER, None)) if one.field}
    return Plan(CUSTOMER, columns, headings, Form(), values, {}, strict=True)


def test_a_zero_that_a_spreadsheet_took_comes_back_in_germany_alone() -> None:
    one = plan("Firma", "PLZ", "Land")
    found = list(drafts(one, [(2, ["Hof", 1067.0, None]), (3, ["Hof", "1010", "Österreich"])]))
    assert [draft.said["billingAddress.zipCode"] for draft in found] == ["01067", "1010"]
    assert [len(draft.notes) for draft in found] == [1, 0]


def test_problems_have_their_cell() -> None:
    one = plan("Firma", "PLZ", "E-Mail", "Kreditlimit")
    (draft,) = drafts(one, [(7, ["Hof", "5066", "x@y", "1e309"])])
    check_shape(draft, one, "customer", members_of(draft, CUSTOMER, "customer", new=True))
    told = {problem.column: (problem.line, problem.value) for problem in draft.problems}
    assert told["E-Mail"] == (7, "x@y")
    assert told["Kreditlimit"] == (7, "1e309")
    assert told["Rechnungsadresse › Straße"] == (7, "")


def test_rows_of_other_lengths_and_formulas_without_result() -> None:
    one = plan("Firma", "Ort")
    found = list(
        drafts(one, [(2, ["Hof"]), (3, ["Hof", "Köln", "mehr"]), (4, ["Hof", "Köln", ""]), (5, ["", None])])
    )
    assert [[problem.rule for problem in draft.problems] for draft in found] == [
        ["row.width"],
        ["row.width"],
        [],
    ]
    for cell, rule in (
        ({"formula": ""}, "cell.formula"),
        ({"error": "#N/A"}, "cell.error"),
        ("#BEZUG!", "cell.error"),
        ("Err:508", "cell.error"),
    ):
        (draft,) = drafts(one, [(2, ["Hof", cell])])
        assert [problem.rule for problem in draft.problems] == [rule]


CELLS = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["01.01.2026", "1.234,56", "Ja", "=1+1", "\0", "\u202e", "1e309"]),
    st.dictionaries(
        st.sampled_from(["day", "moment", "text", "error", "formula"]),
        st.just("2026-01-01T00:00:00"),
        min_size=1,
        max_size=1,
    ),
)


@pytest.mark.slow
@given(doctype=st.sampled_from(sorted(targets())), data=st.data())
def test_whatever_stands_in_cells_a_sound_row_is_a_document(doctype: str, data: st.DataObject) -> None:
    target = targets()[doctype]
    fields = list(target.fields)
    cells = data.draw(st.lists(CELLS, min_size=len(fields), max_size=len(fields)))
    one = Plan(target, {path: at for at, path in enumerate(fields)}, fields, Form(), {}, {}, strict=True)
    for draft in drafts(one, [(2, cells)]):
        members = members_of(draft, target, doctype, new=True)
        check_shape(draft, one, doctype, members)
        jsontext.encode(members)
        if draft.sound:
            marks = dict.fromkeys(("createdAt", "modifiedAt"), "2026-01-01T00:00:00.000Z")
            body = {**members, **marks, "createdBy": "a", "modifiedBy": "a", "version": 1, "type": doctype}
            assert models.validate({**body, "_id": "x-1"}) is None
        assert all(problem.grund and problem.line == 2 for problem in draft.problems)


def test_the_page_has_every_name() -> None:
    """docs/imports.md lists what columns may be called."""
    text = DOC.read_text("utf-8")
    for doctype, names in SYNONYMS.items():
        part = re.split(r"^### ", text, flags=re.MULTILINE)
        section = next(one for one in part if one.startswith(f"`{doctype}`"))
        for path, known in names.items():
            (row,) = (one for one in section.splitlines() if one.startswith(f"| `{path}` |"))
            assert row.split("|")[3].strip() == ", ".join(known), path
    for name, words in WORDS.items():
        for word, german in words.items():
            assert f"| `{name}` | `{word}` | {', '.join(german)} |" in text, (name, word)
