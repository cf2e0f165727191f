"""What a printed document says, as plain data: texts that are ready to be read, in German."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from kompass.domain.derivations import moment

Body = Mapping[str, Any]
"""A document as it is stored."""


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    side: Literal["left", "right", "center"] = "left"
    width: Literal["wide", "narrow"] = "narrow"


@dataclass(frozen=True, slots=True)
class Row:
    cells: Sequence[str]
    carried: str = ""
    """The sum up to this row, shown where a page ends; empty in a table without sums."""


@dataclass(frozen=True, slots=True)
class Sum:
    name: str
    amount: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""
    sums: Sequence[Sum] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """One document."""

    title: str
    date: date
    """Its day, which is also that of the file: the same document makes the same file."""
    draft: bool
    recipient: Sequence[str]
    facts: Sequence[tuple[str, str]]
    """Names and values, beside the address."""
    tables: Sequence[Table]
    subject: str = ""
    intro: Sequence[str] = ()
    closing: Sequence[str] = ()
    signatures: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, slots=True)
class Parties:
    """Documents beside the one that is printed, as far as whoever prints it may read them."""

    customer: Body | None = None
    """Or its card, which has less."""
    contact: Body | None = None
    people: Mapping[str, str] | None = None
    """User names -> what they are called."""

    def called(self, name: object) -> str:
        """A person, by his user name."""
        return (self.people or {}).get(str(name), str(name)) if name else ""


def recipient(parties: Parties) -> list[str]:
    """The lines of an address."""
    found: list[str] = []
    customer, contact = parties.customer or {}, parties.contact or {}
    found.append(text(customer, "companyName"))
    person = " ".join(one for key in ("title", "firstName", "lastName") if (one := text(contact, key)))
    found.append(person)
    address = customer.get("billingAddress")
    if isinstance(address, Mapping):
        found.append(f"{text(address, 'street')} {text(address, 'streetNumber')}")
        found.append(text(address, "addressLine2"))
        found.append(f"{text(address, 'zipCode')} {text(address, 'city')}")
        country = text(address, "country")
        found.append("" if country in {"Deutschland", "Germany", "DE"} else country.upper())
    return [line for one in found if (line := one.strip())]


def text(body: Body, field: str) -> str:
    """A text of a document; empty for what isn't one."""
    value = body.get(field)
    return value if isinstance(value, str) else ""


def day_of(body: Body, field: str) -> date | None:
    """A day or time of a document."""
    value = text(body, field)
    at = moment(value)
    if at is not None:
        return at
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def told(*facts: tuple[str, str]) -> list[tuple[str, str]]:
    """Those that have a value."""
    return [one for one in facts if one[1]]
