"""Files that are broken or meant to break something: each with its own clear report, and nothing stops."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from kompass.accounting.lines import LONGEST_LINE
from kompass.accounting.problems import UnreadableError
from kompass.accounting.profiles import CellKind, Column, Profile
from kompass.accounting.reading import read

PROFILE = Profile(
    name="made",
    title="Made",
    direction="both",
    columns=(
        Column(heading="Nummer", required=True),
        Column(heading="Betrag", kind=CellKind.DECIMAL, decimals=2),
        Column(heading="Tag", kind=CellKind.DAY),
    ),
)
HEAD = b"Nummer;Betrag;Tag\r\n"


def problems(data: bytes) -> list[tuple[int | None, str]]:
    return [(one.line, one.rule) for row in read(io.BytesIO(data), PROFILE).rows for one in row.problems]


class Endless:
    """A line that never ends, without being in memory."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.given = 0

    def read(self, size: int, /) -> bytes:
        size = min(size, self._left)
        self._left -= size
        self.given += size
        return b"x" * size


def test_a_line_of_100_megabytes_is_given_up_early() -> None:
    stream = Endless(100_000_000)
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="1,000,000 characters"):
        read(stream, PROFILE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert stream.given < 2 * LONGEST_LINE
    assert peak < 20_000_000


def test_zero_bytes_are_no_text() -> None:
    with pytest.raises(UnreadableError, match="zero byte") as caught:
        problems(HEAD + b"R-1;1,00;30.11.2026\r\nR-\0;2,00;30.11.2026\r\n")
    assert caught.value.problem.line == 3


def test_bytes_of_another_encoding_are_told_with_their_line() -> None:
    with pytest.raises(UnreadableError, match="byte 0xfc means nothing") as caught:
        problems(HEAD + b"R-1;1,00;30.11.2026\r\nM\xfcller;2,00;30.11.2026\r\n")
    assert caught.value.problem.line == 3


def test_mixed_line_ends_each_end_a_line() -> None:
    data = HEAD + b"R-1;1,00;\nR-2;2,00;\rR-3;3,00;\r\n\r\n\nR-4;x;\n"
    reading = read(io.BytesIO(data), PROFILE)
    rows = list(reading.rows)
    assert [row.values["Nummer"] for row in rows] == ["R-1", "R-2", "R-3", "R-4"]
    assert [row.line for row in rows] == [2, 3, 4, 7]
    assert reading.lines.ends == {"\r\n", "\n", "\r"}


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("R-2;2,0", [(3, "row.width")]),
        ("R-2;2,00;30.11.20", [(3, "cell.day")]),
        ('R-2;2,00;"', [(3, "row.quote")]),
    ],
)
def test_half_a_file_shows_itself(rest: str, told: list[tuple[int, str]]) -> None:
    reading = read(io.BytesIO(HEAD + b"R-1;1,00;30.11.2026\r\n" + rest.encode()), PROFILE)
    assert [(one.line, one.rule) for row in reading.rows for one in row.problems] == told
    assert not reading.whole


def test_a_quote_that_is_never_closed_costs_its_own_row() -> None:
    data = HEAD + b'R-1;1,00;\r\n"R-2;2,00;\r\nR-3;3,00;\r\nR-4;4,00;\r\n'
    rows = list(read(io.BytesIO(data), PROFILE).rows)
    assert [(row.line, row.values.get("Nummer")) for row in rows] == [
        (2, "R-1"),
        (3, None),
        (4, "R-3"),
        (5, "R-4"),
    ]
    assert [one.rule for one in rows[1].problems] == ["row.quote"]


def test_many_quotes_that_are_never_closed_take_no_time() -> None:
    data = HEAD + b'"R-1;1,00;\r\n' * 199
    assert len(problems(data)) == 199
    with pytest.raises(UnreadableError, match="more than 200 rows"):
        problems(HEAD + b'"a" b;1;\r\n' * 201)


def test_a_quote_within_a_cell_is_told() -> None:
    assert problems(HEAD + b'"R"-1;1,00;\r\nR-2;2,00;\r\n') == [(2, "row.quotes")]


def test_a_column_that_is_there_twice_refuses_the_file() -> None:
    with pytest.raises(UnreadableError, match="has the column Betrag twice"):
        problems(b"Nummer;Betrag;BETRAG\r\nR-1;1;2\r\n")


def test_a_column_that_is_missing_refuses_the_file_if_it_is_needed() -> None:
    with pytest.raises(UnreadableError, match="has no column Nummer"):
        problems(b"Betrag;Tag\r\n1;\r\n")
    reading = read(io.BytesIO(b"Nummer;Weiteres\r\nR-1;x\r\n"), PROFILE)
    assert (reading.missing, reading.unknown) == (("Betrag", "Tag"), ("Weiteres",))
    assert [row.values for row in reading.rows] == [{"Nummer": "R-1", "Betrag": None, "Tag": None}]


def test_empty_cells_behind_the_last_column_do_not_matter() -> None:
    assert problems(HEAD + b"R-1;1,00;30.11.2026;;\r\nR-2;1,00;30.11.2026;;x\r\n") == [(3, "row.width")]


def test_blanks_are_not_what_is_needed() -> None:
    assert problems(HEAD + b"   ;1,00;30.11.2026\r\n") == [(2, "cell.missing")]


def test_an_empty_file_has_no_headings() -> None:
    for data in (b"", b"\xef\xbb\xbf", b"\r\n\r\n"):
        with pytest.raises(UnreadableError, match="no line with headings"):
            problems(data)


@pytest.mark.parametrize(
    "number", ["1e309", "NaN", "Infinity", "-inf", "0x10", "1_000", "1,2,3", "٣", "9" * 16, "--1"]
)
def test_what_is_no_number_is_none(number: str) -> None:
    assert problems(HEAD + f"R-1;{number};\r\nR-2;2,00;\r\n".encode()) == [(2, "cell.number")]


@pytest.mark.parametrize(
    "number", ["1.234,50", "1234,5", "+1234,50", "1 234,50", "1'234,50 €", "1.234,50 EUR"]
)
def test_numbers_as_people_write_them(number: str) -> None:
    (row,) = read(io.BytesIO(HEAD + f"R-1;{number};\r\n".encode()), PROFILE).rows
    assert f"{row.values['Betrag']}" == "1234.50"


@pytest.mark.parametrize(
    "day", ["30.02.2026", "31.11.2026", "2026-11-30", "30.11.26", "00.01.2026", "1.1.1", "heute"]
)
def test_what_is_no_day_is_none(day: str) -> None:
    assert problems(HEAD + f"R-1;1;{day}\r\n".encode()) == [(2, "cell.day")]


@pytest.mark.parametrize("day", ["01.01.1900", "29.02.2000", "31.12.2100", "1.2.2026"])
def test_days_long_ago_and_far_off_are_days(day: str) -> None:
    (row,) = read(io.BytesIO(HEAD + f"R-1;1;{day}\r\n".encode()), PROFILE).rows
    assert row.problems == ()
    assert row.values["Tag"].year == int(day[-4:])


def test_a_problem_quotes_no_more_than_a_line_and_nothing_that_a_terminal_obeys() -> None:
    (row,) = read(io.BytesIO(HEAD + b"R-1;\x1b[2J" + b"9" * 500 + b";\r\n"), PROFILE).rows
    (problem,) = row.problems
    assert problem.value.startswith("\ufffd[2J9")
    assert len(problem.value) <= 121
