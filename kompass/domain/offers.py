"""Offers, what they earn, and contracts."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import (
    Authored,
    Installments,
    Items,
    Part,
    Total,
    affordable,
    after,
    subtotal,
    sums,
)
from kompass.domain.money import cents
from kompass.domain.values import (
    Balance,
    Code,
    Day,
    DaysToPay,
    Euro,
    Link,
    Margin,
    Moment,
    Percent,
    Quantity,
    Reason,
    TaxRate,
    User,
    broken,
    line,
    ref,
    text,
)

Terms = Annotated[str, text(20_000)]
_YEAR = timedelta(days=365)


class Offer(Authored):
    """`subtotalEur` is the sum of the lines, without tax and before the discount; `totalEur` is what the
    customer pays: subtotal - discount + tax.
    """

    type: Literal["offer"]
    offerNumber: Code | None = None
    opportunityId: Annotated[str, ref("opportunity")]
    customerId: Annotated[str, ref("customer")]
    contactPersonId: Annotated[str, ref("contact")] | None = None
    locationId: Annotated[str, ref("location")] | None = None
    status: Literal["draft", "sent", "viewed", "accepted", "rejected", "expired", "superseded"]
    offerDate: Day
    validUntil: Day
    lineItems: Items
    subtotalEur: Euro | None = None
    discountPercent: Percent | None = None
    discountAmountEur: Euro | None = None
    taxRate: TaxRate | None = None
    taxAmountEur: Euro | None = None
    totalEur: Euro | None = None
    paymentTermsDays: DaysToPay | None = None
    deliveryTimeDays: Annotated[int, Field(ge=0, le=1000)] | None = None
    pdfUrl: Link | None = None
    terms: Terms | None = None
    sentAt: Moment | None = None
    viewedAt: Moment | None = None
    acceptedAt: Moment | None = None
    rejectedAt: Moment | None = None
    rejectionReason: Reason | None = None
    contractId: Annotated[str, ref("contract")] | None = None
    supersededBy: Annotated[str, ref("offer")] | None = None
    approvedBy: User | None = None
    approvedAt: Moment | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.offerDate, self.validUntil, "validUntil", "offerDate", equal=True)
        if self.validUntil - self.offerDate > _YEAR:
            raise broken(
                "order",
                "must be at most 365 days after offerDate",
                "darf höchstens 365 Tage nach offerDate liegen",
                "validUntil",
            )
        net = subtotal(self.lineItems)
        affordable(net, "lineItems")
        if self.discountAmountEur is not None and self.discountAmountEur > net:
            raise broken(
                "range",
                f"must be at most the sum of lineItems, {net:.2f}",
                f"darf höchstens die Summe von lineItems sein, {net:.2f}",
                "discountAmountEur",
            )
        positions = [item.position for item in self.lineItems if item.position is not None]
        if len(set(positions)) < len(positions):
            raise broken(
                "repeated",
                "must have each position once",
                "darf jede position nur einmal enthalten",
                "lineItems",
            )
        return self

    def totals(self) -> Iterator[Total]:
        net = subtotal(self.lineItems)
        yield Total("subtotalEur", self.subtotalEur, net, "the sum of lineItems")
        discount = self.discountAmountEur or Decimal(0)
        if self.discountPercent is not None:
            wanted = cents(net * self.discountPercent / 100)
            yield Total("discountAmountEur", self.discountAmountEur, wanted, "discountPercent of subtotalEur")
            discount = wanted
        if self.taxAmountEur is not None:
            total = net - discount + self.taxAmountEur
            yield Total("totalEur", self.totalEur, total, "subtotalEur - discountAmountEur + taxAmountEur")


class OfferMargin(Authored):
    type: Literal["offer_margin"]
    offerId: Annotated[str, ref("offer")]
    costBasisEur: Euro | None = None
    marginEur: Balance | None = None
    marginPercent: Margin | None = None


class Signature(Part):
    name: Annotated[str, line(2, 100)]
    signedAt: Moment
    place: Annotated[str, line(0, 100)] | None = None
    image: Link | None = None


class DeliveryStep(Part):
    description: Annotated[str, line(1, 500)]
    date: Day | None = None
    locationId: Annotated[str, ref("location")] | None = None
    quantity: Quantity | None = None


class Contract(Authored):
    """`contractValueEur` is what the customer pays, tax included."""

    type: Literal["contract"]
    contractNumber: Code | None = None
    offerId: Annotated[str, ref("offer")]
    opportunityId: Annotated[str, ref("opportunity")]
    customerId: Annotated[str, ref("customer")]
    contactPersonId: Annotated[str, ref("contact")] | None = None
    status: Literal["draft", "pending_signature", "signed", "active", "completed", "terminated"]
    contractDate: Day
    startDate: Day
    endDate: Day | None = None
    contractValueEur: Euro | None = None
    subtotalEur: Euro | None = None
    taxAmountEur: Euro | None = None
    paymentTermsDays: DaysToPay | None = None
    paymentSchedule: Installments | None = None
    deliverySchedule: Annotated[list[DeliveryStep], Field(max_length=100)] | None = None
    terms: Terms | None = None
    projectManagerId: User | None = None
    estimatedStartDate: Day | None = None
    estimatedDuration: Annotated[int, Field(ge=1, le=3650)] | None = None
    signedPdfUrl: Link | None = None
    customerSignature: Signature | None = None
    ourSignature: Signature | None = None
    signedAt: Moment | None = None
    signedBy: User | None = None
    terminatedAt: Moment | None = None
    terminationReason: Reason | None = None
    projectId: Annotated[str, ref("project")] | None = None
    supersededBy: Annotated[str, ref("contract")] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.contractDate, self.startDate, "startDate", "contractDate", equal=True)
        if self.startDate - self.contractDate > _YEAR:
            raise broken(
                "order",
                "must be at most 365 days after contractDate",
                "darf höchstens 365 Tage nach contractDate liegen",
                "startDate",
            )
        after(self.startDate, self.endDate, "endDate", "startDate")
        if self.subtotalEur is not None and self.taxAmountEur is not None:
            net_and_tax = self.subtotalEur + self.taxAmountEur
            sums(self.contractValueEur, net_and_tax, "contractValueEur", "subtotalEur + taxAmountEur")
        if sum(part.percent or 0 for part in self.paymentSchedule or ()) > 100:
            raise broken(
                "total",
                "must be at most 100 percent together",
                "darf zusammen höchstens 100 Prozent ergeben",
                "paymentSchedule",
            )
        return self
