"""What a cell says, as a member of a document: German and English forms, of text files and of spreadsheets.

Nothing is guessed silently: what isn't exactly a value of the field is refused with what is allowed, and what
was changed so that it fits is told. Formulas are never computed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kompass.accounting.cells import value_of
from kompass.accounting.formulas import unguarded
from kompass.accounting.problems import CellError, Problem
from kompass.accounting.profiles import CellKind, Column, Dialect
from kompass.imports.targets import Field, Kind, word_key

Cell = Any
"""As `kompass.imports.tables.sheets.shown` makes them."""

_ERROR = re.compile(
    r"\s*(?:#(?:NULL|DIV/0|VALUE|WERT|REF|BEZUG|NUM|ZAHL|SPILL|ÜBERLAUF|CALC|KALK)!|#NAME\?|#N/A|#NV|Err:\d{3})\s*\Z",
    re.IGNORECASE,
)
"""What spreadsheets write of errors into text files, in English and German."""
_SPACES = re.compile(r"\s+")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("januar", "jan", "january", "jänner"),
            ("februar", "feb", "february"),
            ("märz", "mär", "mrz", "march", "mar"),
            ("april", "apr"),
            ("mai", "may"),
            ("juni", "jun", "june"),
            ("juli", "jul", "july"),
            ("august", "aug"),
            ("september", "sep", "sept"),
            ("oktober", "okt", "october", "oct"),
            ("november", "nov"),
            ("dezember", "dez", "december", "dec"),
        ),
        1,
    )
    for name in names
}
_SHORT_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{2})\Z")
_LONG_DAY = re.compile(r"(\d{1,2})\.?\s+([A-Za-zäÄ]+)\.?\s+(\d{4})\Z")
_TIMED_DAY = re.compile(r"(\S+?)(?:[ T]00:00(?::00(?:\.0+)?)?)\Z")
_SERIALS = range(20_000, 110_000)
"""Numbers that days are written as: from 1954 to 2201, counted from 1900."""
_PHONE_SIGNS = re.compile(r"[./\u2010-\u2015\u00a0]")
_EXACT = 10**15
"""From here on a number of a spreadsheet has lost digits."""
_SHORTENED = re.compile(r"\s*[0-9](?:[.,][0-9]+)?E\+[0-9]+\s*\Z", re.IGNORECASE)
"""A long number as a spreadsheet shows it in a narrow column, and writes it into text files: `4,9E+11`."""
_BETWEEN = re.compile(r"[;|\n]|,\s")


class Scale(StrEnum):
    """What the numbers of a spreadsheet's column mean if they are percent. Its format isn't known: 1 may be
    1 %, or 100 % as a cell of that format has it.
    """

    POINTS = "points"
    FRACTIONS = "fractions"
    UNCLEAR = "unclear"


def scale_of(cells: Iterable[Cell]) -> Scale:
    """By the cells of a column."""
    numbers = [abs(cell) for cell in cells if type(cell) in (int, float)]
    if any(number > 1 for number in numbers):
        return Scale.POINTS
    if any(0 < number < 1 for number in numbers):
        return Scale.FRACTIONS
    return Scale.UNCLEAR if 1 in numbers else Scale.POINTS


@dataclass(frozen=True, slots=True)
class Form:
    """How the values of a file look."""

    decimal: str = ","
    day: str = "DD.MM.YYYY"
    from_1904: bool = False
    scale: Scale = Scale.POINTS
    """Of the column."""

    @property
    def dialect(self) -> Dialect:
        return Dialect.model_validate({"decimal": self.decimal, "day": self.day, "formulas": "keep"})


@dataclass(frozen=True, slots=True)
class Read:
    """A value, and what was changed so that it fits."""

    value: Any
    note: Problem | None = None


def is_empty(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def shown(cell: Cell) -> str:
    """As people are told it."""
    if isinstance(cell, dict):
        return str(next(iter(cell.values())))
    if isinstance(cell, bool):
        return "ja" if cell else "nein"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 10**15 else repr(cell)
    return "" if cell is None else str(cell)


def value(cell: Cell, field: Field, form: Form) -> Read:
    """Of a cell that isn't empty. Raises `CellError`."""
    if isinstance(cell, dict) and "formula" in cell:
        raise CellError(
            "cell.formula",
            "has a formula without a result: open the file, and save it",
            "enthält eine Formel ohne Ergebnis: Datei öffnen und speichern",
        )
    if (isinstance(cell, dict) and "error" in cell) or (isinstance(cell, str) and _ERROR.match(cell)):
        raise CellError(
            "cell.error",
            "is an error of the spreadsheet: mend its formula, or empty the cell",
            "ist ein Fehler der Tabelle: Formel berichtigen oder Zelle leeren",
        )
    if isinstance(cell, str):
        cell = unguarded(cell)
    return _READERS[field.kind](cell, field, form)


def _text(cell: Cell) -> str:
    return shown(cell).strip()


def _exact(cell: Cell) -> str:
    """A name, number or address as it was written. Raises `CellError` for what a spreadsheet has made of
    it.
    """
    if isinstance(cell, dict) and ("day" in cell or "moment" in cell):
        raise _made_into("a day", "einem Tag")
    if isinstance(cell, bool):
        raise _made_into("yes or no", "ja oder nein")
    if (isinstance(cell, float) and abs(cell) >= _EXACT) or (
        isinstance(cell, str) and _SHORTENED.match(cell)
    ):
        raise _made_into("a number that has lost digits", "einer Zahl, der Ziffern fehlen")
    return _text(cell)


def _made_into(what: str, was: str) -> CellError:
    return CellError(
        "cell.text",
        f"was made into {what} by the spreadsheet: give the cell the format text, and write it anew",
        f"hat die Tabelle zu {was} gemacht: Zelle als Text formatieren und neu schreiben",
    )


def _line(cell: Cell, field: Field, form: Form) -> Read:
    return Read(_SPACES.sub(" ", _exact(cell)))


def _lines(cell: Cell, field: Field, form: Form) -> Read:
    return Read(_text(cell).replace("\r\n", "\n").replace("\r", "\n"))


_LOST_SIGN = Problem(
    "note.phone",
    "is a number in the spreadsheet: a zero or + in front may be missing",
    "steht als Zahl in der Tabelle: eine führende Null oder ein + kann fehlen",
)


def _phone(cell: Cell, field: Field, form: Form) -> Read:
    note = _LOST_SIGN if isinstance(cell, int | float) else None
    return Read(_SPACES.sub(" ", _PHONE_SIGNS.sub(" ", _exact(cell))).strip(), note)


def _vat(cell: Cell, field: Field, form: Form) -> Read:
    return Read(re.sub(r"[\s.\-]", "", _exact(cell)).upper())


def _website(cell: Cell, field: Field, form: Form) -> Read:
    text = _exact(cell)
    return Read(text if re.match(r"[A-Za-z][A-Za-z+.-]*:", text) else f"https://{text}")


def with_zero(zip_code: str) -> Read:
    """A German code whose zero was lost."""
    whole = zip_code.zfill(5)
    return Read(
        whole,
        Problem(
            "note.zip",
            f"was written without its zero, and is taken as {whole}",
            f"hatte keine führende Null und wird als {whole} übernommen",
        ),
    )


def _code(cell: Cell, field: Field, form: Form) -> Read:
    return Read(_exact(cell))


def _number(cell: Cell, field: Field, form: Form) -> Read:
    number = _decimal(cell, field, form)
    return Read(int(number) if number == int(number) else float(number))


def _decimal(cell: Cell, field: Field, form: Form) -> Decimal:
    column = Column(heading=field.path, kind=CellKind.DECIMAL, decimals=field.decimals)
    if isinstance(cell, bool | dict):
        raise CellError("cell.number", "must be a number", "muss eine Zahl sein")
    if isinstance(cell, int | float):
        # Of sums in binary the last digits are noise: 19.99 is stored as 19.989999999999998.
        number = Decimal(format(cell, ".12g"))
        found = value_of(format(number, "f"), column, Dialect(decimal="."))
    else:
        text = re.sub(r"^(?:€|EUR)\s*", "", _text(cell), flags=re.IGNORECASE)
        found = value_of(text, column, form.dialect)
    assert isinstance(found, Decimal)
    return found


def _integer(cell: Cell, field: Field, form: Form) -> Read:
    number = _decimal(cell, field, form)
    if number != int(number):
        raise CellError("cell.integer", "must be a whole number", "muss eine ganze Zahl sein")
    return Read(int(number))


def _percent(cell: Cell, field: Field, form: Form) -> Read:
    """`50 %`, `50`, or in a spreadsheet 0.5, which it shows as 50 %: see `Scale`."""
    if isinstance(cell, str):
        bare = cell.strip().removesuffix("%").rstrip()
        number = _decimal(bare, field, form)
    else:
        is_number = type(cell) in (int, float)
        if is_number and form.scale is Scale.UNCLEAR and cell == 1:
            raise CellError(
                "cell.percent",
                "may be 1 % or 100 %: write it as a text, with the %",
                "kann 1 % oder 100 % sein: bitte als Text mit % schreiben",
            )
        number = _decimal(100 * cell if is_number and form.scale is Scale.FRACTIONS else cell, field, form)
    if number == int(number):
        return Read(int(number))
    if field.decimals is None:
        raise CellError("cell.integer", "must be whole percent", "muss eine ganze Prozentzahl sein")
    return Read(float(number))


def _boolean(cell: Cell, field: Field, form: Form) -> Read:
    if isinstance(cell, bool):
        return Read(cell)
    return Read(value_of(_text(cell), Column(heading=field.path, kind=CellKind.BOOLEAN), form.dialect))


def _day(cell: Cell, field: Field, form: Form) -> Read:
    if isinstance(cell, dict) and "day" in cell:
        return Read(cell["day"])
    if isinstance(cell, dict) and "moment" in cell:
        return Read(cell["moment"][:10])
    if isinstance(cell, bool | dict):
        raise _no_day(form)
    if isinstance(cell, int | float):
        return _serial(cell, form)
    text = _text(cell)
    timed = _TIMED_DAY.match(text)
    text = timed[1] if timed else text
    if text.isdigit() and len(text) == 5 and int(text) in _SERIALS:
        return _serial(int(text), form)
    for day in dict.fromkeys((form.day, "DD.MM.YYYY", "YYYY-MM-DD")):
        try:
            found = value_of(text, Column(heading=field.path, kind=CellKind.DAY), Form(day=day).dialect)
        except CellError:
            continue
        assert isinstance(found, date)
        return Read(found.isoformat())
    if short := _SHORT_DAY.match(text):
        return Read(_made(2000 + int(short[3]), int(short[2]), int(short[1]), form))
    if (long := _LONG_DAY.match(text)) and long[2].casefold() in _MONTHS:
        return Read(_made(int(long[3]), _MONTHS[long[2].casefold()], int(long[1]), form))
    raise _no_day(form)


def _made(year: int, month: int, day: int, form: Form) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        raise _no_day(form) from None


def _serial(number: float, form: Form) -> Read:
    """A day as spreadsheets count them. The 29th of February 1900, which there wasn't, comes before all that
    are taken.
    """
    days = int(number)
    if days not in _SERIALS:
        raise _no_day(form)
    found = (date(1904, 1, 1) if form.from_1904 else date(1899, 12, 30)) + timedelta(days)
    return Read(
        found.isoformat(),
        Problem("note.serial", f"is the day {found.isoformat()}", f"ist der Tag {found:%d.%m.%Y}"),
    )


def _no_day(form: Form) -> CellError:
    sample = form.day.replace("YYYY", "2026").replace("MM", "11").replace("DD", "30")
    return CellError("cell.day", f"must be a day such as {sample}", f"muss ein Tag wie {sample} sein")


def _word(cell: Cell, field: Field, form: Form) -> Read:
    found = field.words.get(word_key(_text(cell)))
    if found is None:
        allowed = ", ".join(field.allowed)
        raise CellError("cell.word", f"must be one of: {allowed}", f"muss eines sein von: {allowed}")
    return Read(found)


def _words(cell: Cell, field: Field, form: Form) -> Read:
    return Read([_word(part, field, form).value for part in _parts(cell)])


def _texts(cell: Cell, field: Field, form: Form) -> Read:
    return Read(_parts(cell))


def _parts(cell: Cell) -> list[str]:
    return [part.strip() for part in _BETWEEN.split(_text(cell)) if part.strip()]


_READERS: Mapping[Kind, Callable[[Cell, Field, Form], Read]] = {
    Kind.LINE: _line,
    Kind.TEXT: _lines,
    Kind.PHONE: _phone,
    Kind.VAT: _vat,
    Kind.ZIP: _line,
    Kind.WEBSITE: _website,
    Kind.EMAIL: _code,
    Kind.CODE: _code,
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.PERCENT: _percent,
    Kind.BOOLEAN: _boolean,
    Kind.DAY: _day,
    Kind.WORD: _word,
    Kind.WORDS: _words,
    Kind.TEXTS: _texts,
    Kind.PERSON: _line,
    Kind.CUSTOMER: _line,
    Kind.CONTACT: _line,
    Kind.SUPPLIER: _line,
    Kind.KEY: _code,
}
