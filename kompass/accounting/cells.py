"""Values as the texts of cells, and back.

Nothing is guessed: a text that isn't exactly a value of the column's kind is refused, with what is allowed.
Numbers have no thousands separator on the way out and may have one on the way in; `1e309`, `NaN` and
`Infinity` are no numbers.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from kompass.accounting.formulas import guarded, is_phone, unguarded
from kompass.accounting.problems import CellError
from kompass.accounting.profiles import CellKind, Column, DayFormat, Dialect

Value = None | bool | int | str | Decimal | date | datetime | tuple[str, ...] | dict[str, Any] | list[Any]
"""What a cell may hold: `Decimal` for decimals, `date` for days, `datetime` for times, a tuple for texts."""

LONGEST_CELL = 131_072
"""Characters: the standard library reads no more."""
DIGITS = 15
"""Digits before the decimal sign that a number may have."""

_INTEGER = re.compile(rf"[+-]?[0-9]{{1,{DIGITS}}}\Z")
_DIGITS = re.compile(r"[0-9]{1,40}\Z")
_BREAKS = re.compile("\r\n|[\x01-\x1f\x7f]")
_CURRENCY = re.compile(r"[ \u00a0\u202f]*(?:€|EUR|EURO)\Z", re.IGNORECASE)


def text_of(value: Value, column: Column, dialect: Dialect) -> tuple[str, CellError | None]:
    """The cell's text, without quotes, and what of the value was changed so that it fits.

    Raises `CellError` for a value that the column can't hold.
    """
    if value is None:
        return "", None
    text = _WRITERS[column.kind](value, column, dialect)
    changed = None
    longest = column.longest or LONGEST_CELL // 2  # quotes may double it
    if len(text) > longest:
        changed = _long(text, longest)
        if not column.cut:
            raise changed
        text = text[:longest].rstrip()
    if not text.isascii():
        fitting, foreign = fitted(text, dialect)
        if foreign:
            changed = _foreign(foreign, dialect)
            if dialect.foreign_signs == "refuse" or column.form is not None:
                raise changed
            text = fitting if column.longest is None else fitting[: column.longest]
    if column.form is not None and not column.form.fullmatch(text):
        raise _pattern(column)
    if (
        column.is_text
        and dialect.formulas == "guard"
        and not (column.kind is CellKind.PHONE and is_phone(text))
    ):
        return guarded(text), changed
    return text, changed


def bare_writer(column: Column, dialect: Dialect) -> Callable[[Value, Column, Dialect], str] | None:
    """What writes the column's values but None if none of them needs quotes, a guard or a look at its length:
    the same as `text_of`. Raises `CellError` for a value that the column can't hold.
    """
    plain = column.kind in (CellKind.INTEGER, CellKind.DAY, CellKind.MOMENT) or (
        column.kind is CellKind.DECIMAL and dialect.decimal != dialect.delimiter
    )
    return _WRITERS[column.kind] if plain and column.form is None and column.longest is None else None


def fitted(text: str, dialect: Dialect) -> tuple[str, str]:
    """The text in signs that the encoding has, and those that it hasn't."""
    codec = dialect.codec
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        pass
    else:
        return text, ""
    known: list[str] = []
    foreign = ""
    for sign in text:
        try:
            sign.encode(codec)
            known.append(sign)
        except UnicodeEncodeError:
            foreign += sign if sign not in foreign else ""
            base = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
            known.append(base or "?")
    return "".join(known), foreign


def _long(text: str, most: int) -> CellError:
    return CellError(
        "cell.long",
        f"has {len(text)} characters, and at most {most} are allowed",
        f"hat {len(text)} Zeichen, erlaubt sind höchstens {most}",
    )


def _foreign(signs: str, dialect: Dialect) -> CellError:
    shown = signs[:20].encode("utf-8", "replace").decode()
    return CellError(
        "cell.signs",
        f"has signs that {dialect.encoding} doesn't know: {shown}",
        f"hat Zeichen, die es in {dialect.encoding} nicht gibt: {shown}",
    )


def value_of(text: str, column: Column, dialect: Dialect) -> Value:
    """What the cell's text says; None for an empty one. Raises `CellError`."""
    if column.is_text:
        if dialect.formulas == "guard":
            text = unguarded(text)
    else:
        text = text.strip(" \u00a0\t")
    if text == "":
        return None
    if column.longest is not None and len(text) > column.longest and not column.cut:
        raise _long(text, column.longest)
    if column.form is not None and not column.form.fullmatch(text):
        raise _pattern(column)
    return _READERS[column.kind](text, column, dialect)


def _pattern(column: Column) -> CellError:
    return CellError("cell.form", f"must look like {column.pattern}", f"muss die Form {column.pattern} haben")


def _kind_error(column: Column) -> CellError:
    return CellError(
        "cell.kind", f"is no value for a column of kind {column.kind}", "passt nicht zur Art der Spalte"
    )


# -- texts -----------------------------------------------------------------------------------------


def _write_text(value: Value, column: Column, dialect: Dialect) -> str:
    if not isinstance(value, str):
        raise _kind_error(column)
    if "\0" in value:
        raise CellError("cell.zero", "must not have a zero byte", "darf kein Nullzeichen enthalten")
    return _BREAKS.sub(" ", value) if dialect.line_breaks == "space" else value


def _read_text(text: str, column: Column, dialect: Dialect) -> str:
    return text


def _write_texts(value: Value, column: Column, dialect: Dialect) -> str:
    """A backslash before what would separate; an empty text is `\\e`, so that it differs from none."""
    if not isinstance(value, tuple | list):
        raise _kind_error(column)
    mark = dialect.between
    parts = [str(part).replace("\\", "\\\\").replace(mark, "\\" + mark) or "\\e" for part in value]
    return mark.join(parts)


def _read_texts(text: str, column: Column, dialect: Dialect) -> tuple[str, ...]:
    parts, part, escaped = [], "", False
    for sign in text:
        if escaped:
            part += "" if sign == "e" else sign
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == dialect.between:
            parts.append(part)
            part = ""
        else:
            part += sign
    return (*parts, part)


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _write_json(value: Value, column: Column, dialect: Dialect) -> str:
    return _JSON(value)


def _read_json(text: str, column: Column, dialect: Dialect) -> Any:
    def constant(name: str) -> None:
        raise ValueError(name)

    try:
        found = json.loads(text, parse_constant=constant)
    except (ValueError, RecursionError):
        raise CellError("cell.json", "must be JSON", "muss JSON sein") from None
    return found


# -- numbers ---------------------------------------------------------------------------------------


_NUMBERS = (int, Decimal)


def _write_decimal(value: Value, column: Column, dialect: Dialect) -> str:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise _kind_error(column)
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() >= DIGITS:
        raise CellError(
            "cell.range",
            f"must be a number of at most {DIGITS} digits before the decimal sign",
            f"muss eine Zahl mit höchstens {DIGITS} Stellen vor dem Komma sein",
        )
    if column.decimals is not None:
        rounded = round(number, column.decimals)
        if rounded != number:
            raise _decimals(column.decimals)
        number = rounded
    text = format(number, "f")
    if column.decimals is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    if number == 0:
        text = text.lstrip("-")
    return text.replace(".", dialect.decimal)


def _decimals(most: int) -> CellError:
    return CellError(
        "cell.decimals", f"must have at most {most} decimals", f"darf höchstens {most} Nachkommastellen haben"
    )


@cache
def _number_form(decimal: str) -> re.Pattern[str]:
    mark, groups = re.escape(decimal), r"[.'’ \u00a0\u202f]" if decimal == "," else r"[,'’ \u00a0\u202f]"
    return re.compile(
        rf"(?P<sign>[+\-−]?)(?P<whole>[0-9]{{1,{DIGITS}}}|[0-9]{{1,3}}(?:{groups}[0-9]{{3}}){{1,4}})"
        rf"(?:{mark}(?P<part>[0-9]{{1,12}}))?(?P<after>-?)\Z"
    )


def _read_decimal(text: str, column: Column, dialect: Dialect) -> Decimal:
    found = _number_form(dialect.decimal).match(_CURRENCY.sub("", text))
    if found is None or (found["sign"] and found["after"]):
        sample = f"1234{dialect.decimal}56"
        raise CellError(
            "cell.number",
            f"must be a number such as {sample}, of at most {DIGITS} digits before the decimal sign",
            f"muss eine Zahl wie {sample} sein, mit höchstens {DIGITS} Stellen vor dem Komma",
        )
    part = found["part"] or ""
    if column.decimals is not None and len(part.rstrip("0")) > column.decimals:
        raise _decimals(column.decimals)
    whole = re.sub(r"[^0-9]", "", found["whole"])
    number = Decimal(f"{whole}.{part or 0}")
    if column.decimals is not None:
        number = round(number, column.decimals)
    return -number if found["sign"] in ("-", "−") or found["after"] else number


def _write_integer(value: Value, column: Column, dialect: Dialect) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _kind_error(column)
    text = str(value)
    if not _INTEGER.match(text):
        raise CellError(
            "cell.range", f"must be a whole number of at most {DIGITS} digits", "ist als Zahl zu groß"
        )
    return text


def _read_integer(text: str, column: Column, dialect: Dialect) -> int:
    if not _INTEGER.match(text):
        raise CellError(
            "cell.integer",
            f"must be a whole number of at most {DIGITS} digits",
            f"muss eine ganze Zahl mit höchstens {DIGITS} Stellen sein",
        )
    return int(text)


def _write_digits(value: Value, column: Column, dialect: Dialect) -> str:
    if not isinstance(value, str) or not _DIGITS.match(value):
        raise _kind_error(column)
    return value


def _read_digits(text: str, column: Column, dialect: Dialect) -> str:
    if not _DIGITS.match(text):
        raise CellError("cell.digits", "must be made of digits", "darf nur aus Ziffern bestehen")
    return text


def _write_boolean(value: Value, column: Column, dialect: Dialect) -> str:
    if not isinstance(value, bool):
        raise _kind_error(column)
    return dialect.yes if value else dialect.no


_WORDS: Mapping[str, bool] = {
    **dict.fromkeys(("ja", "j", "wahr", "yes", "y", "true", "1", "x"), True),
    **dict.fromkeys(("nein", "n", "falsch", "no", "false", "0"), False),
}


def _read_boolean(text: str, column: Column, dialect: Dialect) -> bool:
    found = {dialect.yes.casefold(): True, dialect.no.casefold(): False}.get(text.casefold())
    if found is None:
        found = _WORDS.get(text.casefold())
    if found is None:
        raise CellError(
            "cell.boolean",
            f"must be {dialect.yes} or {dialect.no}",
            f"muss {dialect.yes} oder {dialect.no} sein",
        )
    return found


# -- time ------------------------------------------------------------------------------------------


def _write_day(value: Value, column: Column, dialect: Dialect) -> str:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise _kind_error(column)
    return _day_template(column.day or dialect.day).format(value.year, value.month, value.day)


@cache
def _day_template(form: DayFormat) -> str:
    return form.replace("YYYY", "{0:04}").replace("MM", "{1:02}").replace("DD", "{2:02}")


@cache
def _day_form(form: DayFormat) -> re.Pattern[str]:
    """With separators a day or month may have one digit."""
    digits = "{1,2}" if not form.isalpha() and not form.startswith("Y") else "{2}"
    pattern = re.escape(form).replace("YYYY", "(?P<year>[0-9]{4})")
    pattern = pattern.replace("MM", f"(?P<month>[0-9]{digits})").replace("DD", f"(?P<day>[0-9]{digits})")
    return re.compile(pattern + r"\Z")


def _read_day(text: str, column: Column, dialect: Dialect) -> date:
    form = column.day or dialect.day
    found = _day_form(form).match(text) if "YYYY" in form else None  # a day without a year is for writing
    if found is not None:
        try:
            return date(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            pass
    sample = form.replace("YYYY", "2026").replace("MM", "11").replace("DD", "30")
    raise CellError(
        "cell.day", f"must be a day such as {sample} ({form})", f"muss ein Tag wie {sample} sein ({form})"
    )


_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


def _write_moment(value: Value, column: Column, dialect: Dialect) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _kind_error(column)
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return utc.isoformat(timespec="microseconds").removesuffix("+00:00").removesuffix("000") + "Z"


def _read_moment(text: str, column: Column, dialect: Dialect) -> datetime:
    try:
        if len(text) in (20, 24, 27) and text.isascii():
            return datetime.strptime(text, _MOMENT if "." in text else "%Y-%m-%dT%H:%M:%SZ").replace(
                tzinfo=UTC
            )
    except ValueError:
        pass
    raise CellError(
        "cell.moment",
        "must be a time in UTC such as 2026-11-30T08:15:00.000Z",
        "muss ein Zeitpunkt in UTC wie 2026-11-30T08:15:00.000Z sein",
    )


_WRITERS: Mapping[CellKind, Callable[[Value, Column, Dialect], str]] = {
    CellKind.TEXT: _write_text,
    CellKind.PHONE: _write_text,
    CellKind.DECIMAL: _write_decimal,
    CellKind.INTEGER: _write_integer,
    CellKind.DIGITS: _write_digits,
    CellKind.BOOLEAN: _write_boolean,
    CellKind.DAY: _write_day,
    CellKind.MOMENT: _write_moment,
    CellKind.TEXTS: _write_texts,
    CellKind.JSON: _write_json,
}
_READERS: Mapping[CellKind, Callable[[str, Column, Dialect], Value]] = {
    CellKind.TEXT: _read_text,
    CellKind.PHONE: _read_text,
    CellKind.DECIMAL: _read_decimal,
    CellKind.INTEGER: _read_integer,
    CellKind.DIGITS: _read_digits,
    CellKind.BOOLEAN: _read_boolean,
    CellKind.DAY: _read_day,
    CellKind.MOMENT: _read_moment,
    CellKind.TEXTS: _read_texts,
    CellKind.JSON: _read_json,
}
