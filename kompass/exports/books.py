"""Whose books it is that files for tax consultants and auditors are about: a file of the administrator's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kompass.accounting.catalogue import packaged
from kompass.accounting.datev.charts import Chart


class BooksError(Exception):
    """There is no such file, or it says nothing that can be. The text is for whoever administrates."""


class Books(BaseModel):
    """The file's content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    company: Annotated[str, Field(min_length=1, max_length=200)]
    location: Annotated[str, Field(min_length=1, max_length=200)]
    adviser: Annotated[int, Field(ge=1001, le=9_999_999)]
    """Beraternummer."""
    client: Annotated[int, Field(ge=1, le=99_999)]
    """Mandantennummer."""
    year_begins: Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-01$")] = "01-01"
    """The fiscal year's first day, as `07-01`; a month lies in one year."""
    account_length: Annotated[int, Field(ge=4, le=8)] = 4
    """Digits of a ledger account."""
    chart: Literal["03", "04"] = "03"
    """The standard chart that the accounts are those of, but for `accounts`."""
    accounts: Mapping[str, Any] = {}
    """What differs from it, member by member, as in the packaged charts."""

    @cached_property
    def standard(self) -> Chart:
        return self.chart_of(self.chart)

    def chart_of(self, code: Literal["03", "04"]) -> Chart:
        """A standard chart with this company's accounts, if these are of that chart, as long as its books
        have them. Raises `ValueError` if an account can't be there.
        """
        found = packaged(f"skr{code}")
        chart = Chart.model_validate(_merged(found, self.accounts) if code == self.chart else found)
        return chart.of_length(self.account_length)

    def name(self, chart: Chart) -> str:
        """By which is remembered what went into them."""
        return f"{self.adviser}/{self.client}/SKR{chart.code}"

    def year_of(self, day: date) -> date:
        """The first day of the fiscal year that a day lies in."""
        month, first = map(int, self.year_begins.split("-"))
        begins = date(day.year, month, first)
        return begins if begins <= day else begins.replace(year=day.year - 1)


def read_books(file: Path | None) -> Books:
    """Raises `BooksError`."""
    if file is None:
        raise BooksError("Nobody has said whose books it is: an administrator sets books_file.")
    try:
        found = Books.model_validate(tomllib.loads(file.read_text("utf-8")))
        _ = found.standard
    except OSError as error:
        raise BooksError(f"books_file {file} can't be read: {error.strerror}") from None
    except (ValidationError, ValueError) as error:
        raise BooksError(f"books_file {file} says what can't be: {error}") from None
    return found


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in changes.items():
        before = result.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        # An account takes the place of another one: its key isn't kept.
        result[name] = _merged(before, value) if both and "account" not in value else value  # type: ignore[arg-type]
    return result
