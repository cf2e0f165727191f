"""What documents have in common, and parts that stand in many of them.

The names of fields are those of the documents. A field that the server alone writes is optional: a device's
draft doesn't have it yet. A field that may be missing may also be null.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kompass.domain.money import CENT, cents
from kompass.domain.values import (
    Code,
    Day,
    DocumentId,
    Euro,
    Latitude,
    Link,
    Longitude,
    Moment,
    Percent,
    Quantity,
    TaxRate,
    User,
    broken,
    line,
    ref,
    text,
)


class Part(BaseModel):
    """A piece of a document."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True, allow_inf_nan=False)


class Coordinates(Part):
    latitude: Latitude
    longitude: Longitude


class Address(Part):
    street: Annotated[str, line(2, 100)]
    streetNumber: Annotated[str, line(0, 20)] | None = None
    addressLine2: Annotated[str, line(0, 100)] | None = None
    zipCode: Annotated[str, line(2, 12)]
    city: Annotated[str, line(2, 100)]
    state: Annotated[str, line(0, 100)] | None = None
    country: Annotated[str, line(2, 60)]
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            missing = "latitude" if self.latitude is None else "longitude"
            raise broken(
                "both",
                "must be there: latitude and longitude, or neither",
                "fehlt: latitude und longitude gehören zusammen",
                missing,
            )
        if self.country in GERMANY and not (
            len(self.zipCode) == 5 and self.zipCode.isascii() and self.zipCode.isdigit()
        ):
            raise broken(
                "format",
                "must be five digits in Germany",
                "muss in Deutschland fünf Ziffern haben",
                "zipCode",
            )
        return self


GERMANY = frozenset({"Deutschland", "Germany", "DE"})
"""How the country of an address may be written whose codes have five digits."""


class FileEntry(Part):
    """A file of the document, for the people who read it; the bytes are an attachment."""

    fileName: Annotated[str, line(1, 255)]
    fileUrl: Link | None = None
    fileSize: Annotated[int, Field(ge=0, le=1_000_000_000)]
    mimeType: Annotated[str, line(3, 127)]
    uploadedAt: Moment
    uploadedBy: User | None = None


class LogEntry(Part):
    """One correction of a frozen document. The server writes it."""

    changeNumber: Code | None = None
    field: Annotated[str, line(1, 200)]
    oldValue: Any = None
    newValue: Any = None
    changedBy: User
    changedAt: Moment
    reason: Annotated[str, text(2000, 10)]
    approvedBy: User | None = None


class Erasure(Part):
    """Personal data that was taken out of a final document. The server writes it."""

    number: Annotated[int, Field(ge=1)]
    erasedAt: Moment
    fields: Annotated[list[Annotated[str, line(1, 200)]], Field(max_length=1000)]
    sealBefore: Annotated[str, line(1, 128)]
    sealAfter: Annotated[str, line(1, 128)]


class Total(NamedTuple):
    """An amount that follows from others."""

    field: str
    said: Decimal | None
    expected: Decimal
    of: str
    """What it is made of."""


class Document(Part):
    """Anything that is stored."""

    id: Annotated[DocumentId, Field(alias="_id")]
    storedRev: Annotated[Annotated[str, Field(max_length=80)] | None, Field(alias="_rev")] = None
    files: Annotated[Annotated[dict[str, Any], Field(max_length=100)] | None, Field(alias="_attachments")] = (
        None
    )
    schemaVersion: Annotated[int, Field(ge=1)] | None = None

    def totals(self) -> Iterator[Total]:
        """Amounts of the document that follow from others. They are judged where they change."""
        yield from ()


class _Marks(Document):
    """What the server writes into documents that are kept as evidence."""

    changeLog: Annotated[list[LogEntry], Field(max_length=1000)] | None = None
    immutableAt: Moment | None = None
    immutableHash: Annotated[str, line(1, 128)] | None = None
    immutableAttachments: Annotated[dict[str, str], Field(max_length=100)] | None = None
    erasures: Annotated[list[Erasure], Field(max_length=1000)] | None = None
    finalized: bool | None = None
    legalHold: bool | None = None
    legalHoldReason: Annotated[str, text(500, 10)] | None = None
    correctionReason: Annotated[str, text(500, 10)] | None = None
    attachments: Annotated[list[FileEntry], Field(max_length=100)] | None = None
    notes: Annotated[str, text(10_000)] | None = None


class Authored(_Marks):
    """What people write."""

    createdBy: User
    createdAt: Moment
    modifiedBy: User
    modifiedAt: Moment
    version: Annotated[int, Field(ge=1, le=1_000_000_000)]


class ServerMade(_Marks):
    """What the server writes; it has an author where one is known."""

    createdBy: User | None = None
    createdAt: Moment | None = None
    modifiedBy: User | None = None
    modifiedAt: Moment | None = None
    version: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class Item(Part):
    """One line of an offer or an order."""

    position: Annotated[int, Field(ge=1, le=1000)] | None = None
    description: Annotated[str, text(2000, 1)]
    materialId: Annotated[str, ref("material")] | None = None
    quantity: Quantity
    unit: Annotated[str, line(1, 30)] | None = None
    unitPriceEur: Euro
    totalPriceEur: Euro | None = None
    taxRate: TaxRate | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.totalPriceEur is not None:
            sums(self.totalPriceEur, self.total, "totalPriceEur", "quantity * unitPriceEur")
        return self

    @property
    def total(self) -> Decimal:
        """What the line costs without tax, rounded to cents."""
        return cents(self.quantity * self.unitPriceEur)


class Installment(Part):
    """A part of what is to be paid."""

    description: Annotated[str, line(1, 200)]
    dueDate: Day | None = None
    percent: Percent | None = None
    amountEur: Euro | None = None
    completed: bool | None = None
    paidAt: Moment | None = None


Items = Annotated[list[Item], Field(min_length=1, max_length=100)]
Installments = Annotated[list[Installment], Field(max_length=50)]


# -- rules that several documents have -------------------------------------------------------------


def sums(total: Decimal | None, expected: Decimal, field: str, of: str) -> None:
    """Refuses a total that is given and differs from what it is made of by more than a cent."""
    if total is not None and abs(total - expected) > CENT:
        raise broken(
            "total",
            f"must be {of} = {expected:.2f}, give or take 0.01",
            f"muss {of} = {expected:.2f} sein, auf 0,01 genau",
            field,
        )


MOST = Decimal(50_000_000)
"""Euros that the lines of a document may cost together, so that its total with taxes is an amount, too."""


def affordable(net: Decimal, field: str) -> None:
    """Refuses what costs more than a document can say."""
    if net > MOST:
        raise broken(
            "range",
            f"must cost at most {MOST:,f} euros without taxes",
            f"darf ohne Steuern höchstens {MOST:,f} Euro kosten".replace(",", "."),
            field,
        )


def subtotal(items: Sequence[Item]) -> Decimal:
    """What all lines cost without tax."""
    return sum((item.total for item in items), Decimal(0))


def needed(value: object, field: str, when: str, wenn: str) -> None:
    """Refuses a field that is missing where another one makes it necessary."""
    if value is None or value == "" or value == []:
        raise broken("missing", f"is needed {when}", f"wird gebraucht, {wenn}", field)


def in_status(status: str, named: str, field: str, value: object) -> None:
    """Refuses a field that is missing in the status that needs it."""
    if status == named:
        needed(value, field, f"if status is {named}", f"wenn status {named} ist")


def after(first: Any, last: Any, field: str, than: str, *, equal: bool = False) -> None:
    """Refuses a date or time that isn't after (`equal`: or at) another one, if both are there."""
    if first is not None and last is not None and (last < first if equal else last <= first):
        if equal:
            raise broken("order", f"must not be before {than}", f"darf nicht vor {than} liegen", field)
        raise broken("order", f"must be after {than}", f"muss nach {than} liegen", field)
