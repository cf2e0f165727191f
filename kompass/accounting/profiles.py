"""A CSV dialect is data: what separates, how numbers and days look, which columns there are and from where.

Profiles are files of the package (`catalogue`), or derived from the models (`plain`). A profile says the same
for both ways: what was written by it can be read by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

DayFormat = Literal["DD.MM.YYYY", "YYYY-MM-DD", "DD/MM/YYYY", "MM/DD/YYYY", "YYYYMMDD", "DDMMYYYY", "DDMM"]
Encoding = Literal["utf-8", "windows-1252", "utf-16", "utf-16-le", "utf-16-be"]
"""`utf-16` has a mark; those that name the order of their bytes have none, and are for reading."""
Delimiter = Literal[";", ",", "\t", "|"]


class CellKind(StrEnum):
    """What a column holds, and with it how its cells look."""

    TEXT = "text"
    PHONE = "phone"
    """A text that may begin with + without being a formula."""
    DECIMAL = "decimal"
    INTEGER = "integer"
    DIGITS = "digits"
    """A number whose zeros count, such as an account's; a text of digits."""
    BOOLEAN = "boolean"
    DAY = "day"
    MOMENT = "moment"
    """A time in UTC as documents have it."""
    TEXTS = "texts"
    """Several texts in one cell."""
    JSON = "json"
    """Whatever a document has in it, as JSON."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)


class Dialect(_Data):
    """How a file looks, whatever is in it."""

    delimiter: Delimiter = ";"
    encoding: Encoding = "utf-8"
    bom: bool = True
    """Whether the file begins with the mark of its encoding; UTF-16 always does."""
    line_end: Literal["\r\n", "\n"] = "\r\n"
    quoting: Literal["needed", "text", "all"] = "needed"
    """Which cells stand in quotes: those that have to, all texts even if empty, or all."""
    decimal: Literal[",", "."] = ","
    day: DayFormat = "DD.MM.YYYY"
    yes: str = "ja"
    no: str = "nein"
    between: str = "|"
    """What separates several texts in one cell."""
    line_breaks: Literal["keep", "space"] = "keep"
    """What becomes of line ends within a text; `space` makes blanks of all control characters."""
    formulas: Literal["guard", "keep"] = "guard"
    """`guard` wherever a person may open the file with a spreadsheet; see `formulas`."""
    foreign_signs: Literal["refuse", "replace"] = "refuse"
    """What becomes of signs that the encoding hasn't."""
    header: bool = True
    """Whether the first line has the headings."""

    @property
    def codec(self) -> str:
        """The name of Python's codec that writes it."""
        if self.encoding == "utf-8":
            return "utf-8-sig" if self.bom else "utf-8"
        return "cp1252" if self.encoding == "windows-1252" else self.encoding

    @property
    def reading_codec(self) -> str:
        """The name of the codec that reads it, whether a mark is there or not."""
        return "utf-8-sig" if self.encoding == "utf-8" else self.codec


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Column(_Data):
    """One column."""

    heading: Annotated[str, Field(min_length=1, max_length=200)]
    kind: CellKind = CellKind.TEXT
    source: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = ()
    """Dotted paths into the document, of which the first with a value counts; see `sources`."""
    aliases: tuple[str, ...] = ()
    """Other headings that mean this column on import."""
    required: bool = False
    """A row without it is left out, and told."""
    longest: Annotated[int, Field(ge=1)] | None = None
    """Characters."""
    cut: bool = False
    """Whether a longer text is cut rather than refused."""
    decimals: Annotated[int, Field(ge=0, le=6)] | None = None
    """How many a number has; None: as many as it needs."""
    pattern: str | None = None
    """A regular expression that the whole cell has to match."""
    day: DayFormat | None = None
    """If its days look different from the others."""

    @cached_property
    def form(self) -> re.Pattern[str] | None:
        return None if self.pattern is None else re.compile(self.pattern)

    @property
    def is_text(self) -> bool:
        """Whether its cells are texts as people write them, which could be formulas."""
        return self.kind in (CellKind.TEXT, CellKind.PHONE, CellKind.TEXTS, CellKind.JSON)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cut and self.longest is None:
            raise ValueError(f"{self.heading}: cut says nothing without longest")
        if self.form is not None and self.kind in (CellKind.TEXTS, CellKind.JSON):
            raise ValueError(f"{self.heading}: a pattern is for single values")
        return self


class Profile(_Data):
    """A kind of file."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$")]
    title: str
    """What people call it, in German."""
    type: str | None = None
    """The type of documents that its rows are made from; None: rows come from elsewhere."""
    where: Mapping[str, tuple[str, ...]] = {}
    """Members of the documents -> values, of which a document has to have one to be a row."""
    direction: Literal["out", "in", "both"] = "out"
    file_name: str = "{name}_{time}.csv"
    """`{name}` and `{time}`, the latter as 20261130T081500Z."""
    dialect: Dialect = Dialect()
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.direction == "out":
            return self
        taken: set[str] = set()
        for column in self.columns:
            for heading in (column.heading, *column.aliases):
                key = heading_key(heading)
                if key in taken:
                    raise ValueError(f"{self.name}: {heading!r} means two columns")
                taken.add(key)
        return self

    def with_dialect(self, **changes: Any) -> Profile:
        """The same file in another dialect, as one that was found in a file."""
        dialect = Dialect.model_validate({**self.dialect.model_dump(), **changes})
        return self.model_copy(update={"dialect": dialect})


def heading_key(heading: str) -> str:
    """What headings are compared by: case, blanks and signs don't count."""
    return re.sub(r"[^\w]|_", "", heading.casefold())
