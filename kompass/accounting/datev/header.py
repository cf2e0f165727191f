"""The first line of a file in DATEV's format: whose books, which year and period, and whether it is final."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FORMAT = 700
"""Version of the header."""


class Category(NamedTuple):
    number: int
    name: str
    version: int


class Format(Enum):
    BOOKINGS = Category(21, "Buchungsstapel", 13)
    PARTIES = Category(16, "Debitoren/Kreditoren", 5)


class Header(BaseModel):
    """What the tax consultant has to say once, and what a file says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adviser: Annotated[int, Field(ge=1001, le=9_999_999)]
    """Beraternummer."""
    client: Annotated[int, Field(ge=1, le=99_999)]
    """Mandantennummer."""
    fiscal_year: date
    """Its first day."""
    account_length: Annotated[int, Field(ge=4, le=8)] = 4
    """Digits of a ledger account; debtors and creditors have one more."""
    chart: Literal["03", "04"]
    first: date
    """The period's first and last day; bookings of other days don't belong in the file."""
    last: date
    created: datetime
    label: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-/ ]{0,30}$")] = ""
    initials: Annotated[str, Field(pattern=r"^(?:[A-Z]{2})?$")] = ""
    origin: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "KO"
    exported_by: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{0,25}$")] = "KOMPASS"
    final: bool = False
    """Festschreibung: whether the bookings can't be changed after their import."""
    information: Annotated[str, Field(max_length=16, pattern=r"^[ -~]*$")] = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not date(2000, 1, 1) <= self.fiscal_year <= date(2099, 12, 31):
            raise ValueError("fiscal_year must be from 2000 to 2099")
        if not self.fiscal_year <= self.first <= self.last < self.year_after:
            raise ValueError("first and last must lie in the fiscal year, in this order")
        return self

    @property
    def year_after(self) -> date:
        """The first day of the next fiscal year."""
        begins = self.fiscal_year
        # A year that begins on the 29th of February ends with the next February.
        leap = (begins.month, begins.day) == (2, 29)
        return date(begins.year + 1, 3, 1) if leap else begins.replace(year=begins.year + 1)


def line(header: Header, form: Format) -> str:
    """The line, without its end: 31 fields, texts in quotes also where they are empty."""
    bookings = form is Format.BOOKINGS
    number, name, version = form.value
    created = header.created
    fields = (
        _text("EXTF"),
        str(FORMAT),
        str(number),
        _text(name),
        str(version),
        f"{created:%Y%m%d%H%M%S}{created.microsecond // 1000:03}",
        "",  # imported: DATEV's own
        _text(header.origin),
        _text(header.exported_by),
        _text(""),  # imported by
        str(header.adviser),
        str(header.client),
        f"{header.fiscal_year:%Y%m%d}",
        str(header.account_length),
        f"{header.first:%Y%m%d}" if bookings else "",
        f"{header.last:%Y%m%d}" if bookings else "",
        _text(header.label if bookings else ""),
        _text(header.initials),
        "1" if bookings else "",  # the books, not the annual accounts
        "0" if bookings else "",  # for all purposes of accounting
        ("1" if header.final else "0") if bookings else "",
        _text("EUR" if bookings else ""),
        "",
        _text(""),
        "",
        "",
        _text(header.chart),
        "",
        "",
        _text(""),
        _text(header.information),
    )
    return ";".join(fields)


def _text(value: str) -> str:
    return f'"{value}"'
