"""The values that fields hold: texts, numbers, dates, references. Each says itself what is allowed.

Everything is strict: a number is no text, `true` is no number, nothing is converted but dates into dates and
numbers with decimals into `Decimal`, by the shortest text that means them (12.34 is exactly 12.34). Texts are
kept as they are or refused. No text holds control characters or the marks that turn the direction of writing;
texts of several lines may have line ends and tabs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Words(NamedTuple):
    """What is allowed, to follow a field's name: in English and in German."""

    reason: str
    grund: str


FORMATS: dict[str, Words] = {}
"""Pattern -> what it allows."""


def broken(kind: str, reason: str, grund: str, *fields: str) -> PydanticCustomError:
    """A value that breaks a rule. `fields` are the names of what is wrong, relative to where it is raised."""
    return PydanticCustomError(kind, "{reason}", {"reason": reason, "grund": grund, "fields": list(fields)})


# -- texts -----------------------------------------------------------------------------------------

_MARKS = r"\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069\uFEFF"
_CONTROLS = r"\u0000-\u001F\u007F-\u009F"
_BREAKABLE = r"\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F"


def _pattern(pattern: str, reason: str, grund: str) -> str:
    FORMATS[pattern] = Words(reason, grund)
    return pattern


LINE = _pattern(
    f"^[^{_CONTROLS}{_MARKS}]*$",
    "must be one line without control characters or marks of writing direction",
    "muss eine Zeile ohne Steuerzeichen und ohne Zeichen für die Schreibrichtung sein",
)
FILLED_LINE = _pattern(
    rf"^ *[^\s{_CONTROLS}{_MARKS}][^{_CONTROLS}{_MARKS}]*$",
    "must be one line that isn't blank, without control characters or marks of writing direction",
    "muss eine nicht leere Zeile ohne Steuerzeichen und ohne Zeichen für die Schreibrichtung sein",
)
TEXT = _pattern(
    f"^[^{_BREAKABLE}{_MARKS}]*$",
    "must be a text without control characters (line ends and tabs may be) or marks of writing direction",
    "muss ein Text ohne Steuerzeichen (außer Zeilenwechseln) und ohne Zeichen für die Schreibrichtung sein",
)
COMPANY = _pattern(
    r"^(?:[\p{L}\p{N}][\p{L}\p{M}\p{N} .\-&()'’/,+]*|Gelöschter (?:Kunde|Interessent) #[0-9]+)$",
    "must be letters, digits, spaces and . - & ( ) ' / , +, a letter or digit first",
    "darf nur aus Buchstaben, Ziffern, Leerzeichen und . - & ( ) ' / , + bestehen, ohne Sonderzeichen vorn",
)
PERSON_NAME = _pattern(
    r"^(?:\p{L}[\p{L}\p{M} .\-'’]*|Kontakt #[0-9]+)$",
    "must be made of letters, spaces and . - ', a letter first",
    "darf nur Buchstaben, Leerzeichen und . - ' enthalten, am Anfang einen Buchstaben",
)
EMAIL = _pattern(
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*"
    r"@(?:[\p{L}\p{N}](?:[\p{L}\p{N}\-]{0,61}[\p{L}\p{N}])?\.)+[\p{L}\p{N}]{2,63}$",
    "must be an address such as name@example.com",
    "muss eine E-Mail-Adresse wie name@example.com sein",
)
PHONE = _pattern(
    r"^\+?[0-9 \-()]+$",
    "must be made of digits, spaces, - ( ), with or without + first",
    "darf nur Ziffern, Leerzeichen, - ( ) und am Anfang ein + enthalten",
)
VAT = _pattern("^DE[0-9]{9}$", "must be DE and nine digits", "muss aus DE und neun Ziffern bestehen")
WEBSITE = _pattern(
    rf"^https?://[^\s<>\u0022{_CONTROLS}{_MARKS}]+$",
    "must be an address that begins with https:// or http://",
    "muss eine Adresse sein, die mit https:// oder http:// beginnt",
)
LINK = _pattern(
    rf"^(?:https?://[^\s<>\u0022{_CONTROLS}{_MARKS}]+|[^\s:/\\{_CONTROLS}{_MARKS}][^:/\\{_CONTROLS}{_MARKS}]*)$",
    "must be the name of an attachment, or an address that begins with https://",
    "muss der Name eines Anhangs sein oder eine Adresse, die mit https:// beginnt",
)
ID = _pattern(
    "^[A-Za-z0-9][A-Za-z0-9_.:\\-]*$",
    "must be the id of a document",
    "muss die Kennung eines Dokuments sein",
)
CODE = _pattern(
    "^[A-Za-z0-9][A-Za-z0-9_./\\-]*$",
    "must be made of letters, digits and - . / _",
    "darf nur Buchstaben, Ziffern und - . / _ enthalten",
)
SHA256 = _pattern(
    "^[0-9a-f]{64}$",
    "must be a SHA-256 in 64 hexadecimal digits",
    "muss ein SHA-256 aus 64 hexadezimalen Ziffern sein",
)


IBAN = _pattern(
    "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$",
    "must be an IBAN without spaces, as DE02120300000000202051",
    "muss eine IBAN ohne Leerzeichen sein, wie DE02120300000000202051",
)


def line(low: int, high: int) -> FieldInfo:
    """One line. With `low` above 0 it isn't blank."""
    info: FieldInfo = Field(min_length=low, max_length=high, pattern=FILLED_LINE if low else LINE)
    return info


def text(high: int, low: int = 0) -> FieldInfo:
    """A text of any number of lines."""
    info: FieldInfo = Field(min_length=low, max_length=high, pattern=TEXT)
    return info


def names(high: int = 100) -> FieldInfo:
    """How many entries a list may have; none is fine."""
    info: FieldInfo = Field(max_length=high)
    return info


Email = Annotated[str, Field(max_length=254, pattern=EMAIL)]
Phone = Annotated[str, Field(min_length=7, max_length=20, pattern=PHONE)]
Website = Annotated[str, Field(max_length=2048, pattern=WEBSITE)]
Link = Annotated[str, Field(max_length=2048, pattern=LINK)]
"""A file: the name of an attachment of the document, or where it lies."""
Iban = Annotated[str, Field(pattern=IBAN)]
Code = Annotated[str, Field(min_length=1, max_length=40, pattern=CODE)]
"""A number of the business, such as A-2026-00042. Which series it is of is judged elsewhere."""
DocumentId = Annotated[str, Field(min_length=1, max_length=200, pattern=ID)]
User = Annotated[str, line(1, 128)]
"""A person, by his user name."""
Tags = Annotated[list[Annotated[str, line(1, 50)]], Field(max_length=30)]
Reason = Annotated[str, text(2000, 10)]
"""Why something was done: at least 10 characters."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The id of another document. `targets` are the types it may be of; none: any."""

    targets: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(min_length=1, max_length=200, pattern=ID, strict=True)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "x-refers-to": list(self.targets)}


def ref(*targets: str) -> Ref:
    return Ref(targets)


# -- numbers ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as `Decimal`, within bounds and with so many decimals at most (None: any number)."""

    low: Decimal
    high: Decimal
    above: bool = False
    """The number must be above `low`."""
    decimals: int | None = 2

    def reader(self) -> Callable[[object], Decimal]:
        """What makes the number of a JSON value; raises what is wrong with it."""
        low, high, above, decimals = float(self.low), float(self.high), self.above, self.decimals
        range_error = self._bounds()

        def read(value: object) -> Decimal:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise broken("type", "must be a number", "muss eine Zahl sein")
            # The bounds are whole numbers, so comparing is exact. NaN lies in no range.
            if not low <= value <= high or (above and value == low):
                raise broken("range", *range_error)
            if isinstance(value, int):
                return Decimal(value)
            text = repr(value)
            number = Decimal(text)
            short = decimals is None or ("e" not in text and len(text) - text.find(".") - 1 <= decimals)
            if not short and number != round(number, decimals):
                raise broken(
                    "decimals",
                    f"may have at most {decimals} decimals",
                    f"darf höchstens {decimals} Nachkommastellen haben",
                )
            return number

        return read

    def _bounds(self) -> Words:
        low, high = f"{self.low:,f}", f"{self.high:,f}"
        deutsch = str.maketrans(",.", ".,")
        if self.above:
            return Words(
                f"must be above {low} and at most {high}",
                f"muss größer als {low.translate(deutsch)} und höchstens {high.translate(deutsch)} sein",
            )
        return Words(
            f"must be from {low} to {high}",
            f"muss zwischen {low.translate(deutsch)} und {high.translate(deutsch)} liegen",
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.reader())

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        told: JsonSchemaValue = {"type": "number", "maximum": float(self.high)}
        told["exclusiveMinimum" if self.above else "minimum"] = float(self.low)
        if self.decimals is not None:
            told["x-decimals"] = self.decimals
        return told


def euro(high: int = 100_000_000, low: int = 0) -> Number:
    """Euros and cents from `low` to `high`."""
    return Number(Decimal(low), Decimal(high))


def euro_above_0(high: int) -> Number:
    return Number(Decimal(0), Decimal(high), above=True)


Euro = Annotated[Decimal, euro()]
"""From 0 to 100,000,000."""
Balance = Annotated[Decimal, euro(low=-100_000_000)]
"""Either way."""
Quantity = Annotated[Decimal, Number(Decimal(0), Decimal(1_000_000), above=True, decimals=3)]
Percent = Annotated[Decimal, Number(Decimal(0), Decimal(100))]
Margin = Annotated[Decimal, Number(Decimal(-1000), Decimal(100))]
"""Percent of the price; a loss is negative."""
TaxRate = Annotated[Decimal, Number(Decimal(0), Decimal(1), decimals=4)]
"""A fraction: 0.19 is 19 %."""
Kilometres = Annotated[Decimal, Number(Decimal(0), Decimal(10_000), decimals=3)]
Latitude = Annotated[Decimal, Number(Decimal(-90), Decimal(90), decimals=None)]
Longitude = Annotated[Decimal, Number(Decimal(-180), Decimal(180), decimals=None)]
Stars = Annotated[int, Field(ge=1, le=5)]
Share = Annotated[int, Field(ge=0, le=100)]
"""Whole percent."""
DaysToPay = Annotated[int, Field(ge=0, le=120)]


# -- time ------------------------------------------------------------------------------------------

_FIRST, _LAST = date(1990, 1, 1), date(2199, 12, 31)


def _day(value: object) -> date:
    if type(value) is str and len(value) == 10:
        try:
            day = date.fromisoformat(value)
        except ValueError:
            pass
        else:
            if value[4] == value[7] == "-" and _FIRST <= day <= _LAST:
                return day
    raise broken(
        "date",
        "must be a day such as 2026-11-30, from 1990 to 2199",
        "muss ein Tag wie 2026-11-30 sein, von 1990 bis 2199",
    )


def _moment(value: object) -> datetime:
    if type(value) is str and 20 <= len(value) <= 27 and value[-1] == "Z" and value[10] == "T":
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            plain = value[4] == value[7] == "-" and value[13] == value[16] == ":"
            if plain and _FIRST.year <= moment.year <= _LAST.year:
                return moment
    raise broken(
        "date",
        "must be a time in UTC such as 2026-11-30T08:15:00.000Z, from 1990 to 2199",
        "muss ein Zeitpunkt in UTC wie 2026-11-30T08:15:00.000Z sein, von 1990 bis 2199",
    )


def _time(value: object) -> time:
    if type(value) is str and len(value) == 5 and value[2] == ":":
        try:
            return time.fromisoformat(value)
        except ValueError:
            pass
    raise broken("date", "must be a time of day such as 08:15", "muss eine Uhrzeit wie 08:15 sein")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that stands for something else."""

    parse: Callable[[object], object]
    keyword: str
    value: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", self.keyword: self.value}


Day = Annotated[date, _Text(_day, "format", "date")]
Moment = Annotated[datetime, _Text(_moment, "format", "date-time")]
TimeOfDay = Annotated[time, _Text(_time, "pattern", "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
