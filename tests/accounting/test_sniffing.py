"""What a file looks like is found out, and told with how sure it is."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompass.accounting.catalogue import profile
from kompass.accounting.encodings import Sure, encoding_of
from kompass.accounting.problems import Problem, UnreadableError
from kompass.accounting.reading import read
from kompass.accounting.sniffing import sniff
from tests.examples import examples

HEAD = ["Rechnungsnummer", "Datum", "Kunde", "Nettobetrag", "MwSt", "Bruttobetrag"]
ROWS = [
    ["R-2026-00001", "{day}", "Bäckerei Größ", "{a}", "{b}", "{c}"],
    ["R-2026-00002", "{day}", "K-00456", "{d}", "{e}", "{f}"],
]
DAYS = {
    "DD.MM.YYYY": "30.11.2026",
    "YYYY-MM-DD": "2026-11-30",
    "DD/MM/YYYY": "30/11/2026",
    "MM/DD/YYYY": "11/30/2026",
}
NUMBERS = {"a": "1.234,56", "b": "234,57", "c": "1.469,13", "d": "100,00", "e": "19,00", "f": "119,00"}
SWAPPED = str.maketrans(".,", ",.")


def text(delimiter: str, decimal: str, day: str, *, end: str = "\r\n", header: bool = True) -> str:
    numbers = {key: value if decimal == "," else value.translate(SWAPPED) for key, value in NUMBERS.items()}
    lines = [HEAD] if header else []
    lines += [[cell.format(day=DAYS[day], **numbers) for cell in row] for row in ROWS]
    return "".join(
        delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in line) + end for line in lines
    )


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from([";", ",", "\t", "|"]),
    st.sampled_from([",", "."]),
    st.sampled_from(sorted(DAYS)),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"]),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.booleans(),
)
def test_an_invoice_file_reads_the_same_however_it_looks(
    delimiter: str, decimal: str, day: str, codec: str, end: str, header: bool
) -> None:
    data = text(delimiter, decimal, day, end=end, header=header).encode(codec)
    wanted = profile("lexware-invoices")
    if not header:
        wanted = wanted.model_copy(update={"columns": wanted.columns[:6]})
    found = sniff(io.BytesIO(data), wanted)
    rows = list(read(io.BytesIO(data), found.applied(wanted), skip=found.skip).rows)
    assert [row.problems for row in rows] == [(), ()]
    assert rows[0].values["Kunde"] == "Bäckerei Größ"
    assert [row.values["Bruttobetrag"] for row in rows] == [Decimal("1469.13"), Decimal(119)]
    assert [row.values["Datum"] for row in rows] == [date(2026, 11, 30)] * 2


@pytest.mark.parametrize(
    ("codec", "encoding", "sure"),
    [
        ("utf-8-sig", "utf-8", Sure.CERTAIN),
        ("utf-8", "utf-8", Sure.CERTAIN),
        ("cp1252", "windows-1252", Sure.CERTAIN),
        ("utf-16", "utf-16", Sure.CERTAIN),
        ("utf-16-le", "utf-16-le", Sure.LIKELY),
        ("utf-16-be", "utf-16-be", Sure.LIKELY),
    ],
)
def test_the_encoding_is_told_with_how_sure_it_is(codec: str, encoding: str, sure: Sure) -> None:
    found = encoding_of(io.BytesIO(text(";", ",", "DD.MM.YYYY").encode(codec)))
    assert (found.encoding, found.sure) == (encoding, sure)


def test_an_umlaut_after_much_ascii_counts() -> None:
    data = b"A;B\r\n" + b"1;plain\r\n" * 50_000 + "2;Größ\r\n".encode("cp1252")
    assert encoding_of(io.BytesIO(data)).encoding == "windows-1252"


def test_what_is_found_is_told() -> None:
    found = sniff(io.BytesIO(text(",", ".", "MM/DD/YYYY", end="\n").encode("cp1252")))
    assert all(one.reason and one.grund for one in found.findings)
    assert {one.what: (one.value, one.sure) for one in found.findings} == {
        "encoding": ("windows-1252", Sure.CERTAIN),
        "delimiter": ("comma", Sure.CERTAIN),
        "header": ("record 1", Sure.LIKELY),
        "decimal": ("point", Sure.CERTAIN),
        "day": ("MM/DD/YYYY", Sure.CERTAIN),
        "line_end": ("LF", Sure.CERTAIN),
    }


def test_what_can_not_be_known_is_told_as_a_guess() -> None:
    data = b"Nr;Betrag;Tag\r\nA;1.234;01/02/2026\r\nB;5.678;03/04/2026\r\n"
    found = {one.what: one for one in sniff(io.BytesIO(data)).findings}
    assert (found["decimal"].sure, found["day"].sure) == (Sure.GUESSED, Sure.GUESSED)
    assert "1.234 may be thousands" in found["decimal"].reason
    assert "may as well be MM/DD/YYYY" in found["day"].reason


def test_lines_before_the_headings_are_skipped() -> None:
    data = ("Offene Posten;;;;;\r\nStand 30.11.2026\r\n\r\n" + text(";", ",", "DD.MM.YYYY")).encode()
    found = sniff(io.BytesIO(data), profile("lexware-invoices"))
    assert (found.header, found.skip) == (True, 2)


def test_a_spreadsheets_line_about_what_separates_is_obeyed() -> None:
    found = sniff(io.BytesIO(b"sep=|\r\nA;a|B;b\r\n1;2|3;4\r\n"))
    assert (found.delimiter, found.skip) == ("|", 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("Müller".encode("cp850") + b"\r\n", "neither UTF-8 nor Windows-1252"),
        ("Käse;Köln".encode("cp850") + b"\r\n", "neither UTF-8 nor Windows-1252"),
        ("Müller;Straßburg".encode("mac-roman") + b"\r\n", "neither UTF-8 nor Windows-1252"),
        ("Müller;1\r\n".encode() + "Größ;2\r\n".encode("cp1252"), "isn't any more in line 2"),
        ("A;B\r\n".encode("utf-32"), "UTF-32"),
        (b"PK\x03\x04\0\0\0;;;\0\0", "workbook"),
    ],
)
def test_what_is_no_text_of_ours_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(UnreadableError, match=said) as caught:
        sniff(io.BytesIO(data))
    assert caught.value.problem.grund


def test_signs_that_dos_has_for_umlauts_are_quotes_where_they_stand_like_quotes() -> None:
    found = sniff(io.BytesIO("Hof „Käse“;a\r\nMüllers „Öl”s;b\r\n".encode("cp1252")))
    assert found.encoded.encoding == "windows-1252"


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=400) | st.text('a;,"1.\r\n\t', max_size=200).map(str.encode))
def test_any_bytes_are_told_or_refused(data: bytes) -> None:
    told: list[Problem] = []
    try:
        found = sniff(io.BytesIO(data), profile("lexware-payments"))
        rows = read(io.BytesIO(data), found.applied(profile("lexware-payments")), skip=found.skip).rows
        told = [problem for row in rows for problem in row.problems]
    except UnreadableError as error:
        told = [error.problem]
    assert all(problem.reason and problem.grund for problem in told)
