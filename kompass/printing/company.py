"""Who sends the letters: the company, as a TOML file describes it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

MOST_FILE = 100_000
MOST_LOGO = 1_000_000
"""Bytes."""
LOGOS = (".png", ".svg", ".jpg", ".jpeg")

_Line = Annotated[str, StringConstraints(max_length=120, pattern=r"^[^\x00-\x1f]*$")]


class CompanyError(ValueError):
    """The file can't be used. The text says why, for people."""


class Bank(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Line = ""
    iban: _Line
    bic: _Line = ""


class Company(BaseModel):
    """What of it stands on paper. All but the name may be missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[_Line, Field(min_length=1)] = "KOMPASS"
    street: _Line = ""
    zip_code: _Line = ""
    city: _Line = ""
    country: _Line = ""
    phone: _Line = ""
    email: _Line = ""
    website: _Line = ""
    managers: _Line = ""
    """Who represents it: `Erika Muster, Max Muster`."""
    register_entry: _Line = ""
    """`Amtsgericht Bonn, HRB 1234`."""
    vat_id: _Line = ""
    tax_number: _Line = ""
    bank: Bank | None = None
    logo: Path | None = None
    """A picture, its path relative to the file's."""

    @property
    def sender(self) -> str:
        """One line, above the recipient's address."""
        place = " ".join(one for one in (self.zip_code, self.city) if one)
        return " · ".join(one for one in (self.name, self.street, place) if one)

    @property
    def footer(self) -> list[list[str]]:
        """Blocks of lines at the foot of each page."""
        place = " ".join(one for one in (self.zip_code, self.city) if one)
        ids = (_said("USt-IdNr.", self.vat_id), _said("Steuernummer", self.tax_number))
        bank: tuple[str, ...] = ()
        if self.bank is not None:
            bank = (self.bank.name, _said("IBAN", self.bank.iban), _said("BIC", self.bank.bic))
        blocks = (
            (self.name, self.street, place, self.country),
            (_said("Tel.", self.phone), self.email, self.website),
            (_said("Vertreten durch", self.managers), self.register_entry, *ids),
            bank,
        )
        return [kept for block in blocks if (kept := [one for one in block if one])]


def _said(name: str, value: str) -> str:
    return f"{name} {value}" if value else ""


def read_company(file: Path | None) -> Company:
    """As the file says; without one a company without an address. Raises `CompanyError`."""
    if file is None:
        return Company()
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_FILE + 1)
        if len(text) > MOST_FILE:
            raise CompanyError(f"{file} is larger than {MOST_FILE} bytes")
        company = Company.model_validate(tomllib.loads(text.decode("utf-8")))
    except OSError as error:
        raise CompanyError(f"{file} can't be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise CompanyError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ValueError as error:
        raise CompanyError(f"{file} is no TOML in UTF-8: {error}") from None
    if company.logo is None:
        return company
    if company.logo.suffix.lower() not in LOGOS:
        raise CompanyError(f"{file}: logo must be one of {', '.join(LOGOS)}")
    return company.model_copy(update={"logo": file.parent / company.logo})
