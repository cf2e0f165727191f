"""Invoices, mirrored from Lexware: nobody writes them here."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import ServerMade, sums
from kompass.domain.values import Code, Day, Euro, Link, line, ref


class Invoice(ServerMade):
    type: Literal["invoice"]
    invoiceNumber: Code
    lexwareId: Annotated[str, line(1, 100)] | None = None
    customerId: Annotated[str, ref("customer")]
    projectId: Annotated[str, ref("project")] | None = None
    contractId: Annotated[str, ref("contract")] | None = None
    invoiceType: Literal["deposit", "progress", "final"] | None = None
    invoiceDate: Day | None = None
    dueDate: Day | None = None
    status: Literal["draft", "sent", "partial_paid", "paid", "overdue", "cancelled"]
    paidDate: Day | None = None
    dunningLevel: Annotated[int, Field(ge=0, le=9)] | None = None
    pdfUrl: Link | None = None


class InvoiceAmount(ServerMade):
    type: Literal["invoice_amount"]
    invoiceId: Annotated[str, ref("invoice")]
    netAmount: Euro | None = None
    taxAmount: Euro | None = None
    grossAmount: Euro | None = None
    paidAmount: Euro | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.netAmount is not None and self.taxAmount is not None:
            sums(self.grossAmount, self.netAmount + self.taxAmount, "grossAmount", "netAmount + taxAmount")
        return self


class InvoiceCard(ServerMade):
    type: Literal["invoice_card"]
    invoiceId: Annotated[str, ref("invoice")]
    invoiceNumber: Code | None = None
    customerId: Annotated[str, ref("customer")] | None = None
    paid: bool | None = None
