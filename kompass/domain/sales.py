"""Leads and opportunities."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import model_validator

from kompass.domain.base import Address, Authored, ServerMade, in_status
from kompass.domain.customers import CompanyName, PersonName
from kompass.domain.values import (
    Day,
    Email,
    Euro,
    Moment,
    Phone,
    Share,
    Tags,
    User,
    broken,
    euro,
    line,
    ref,
    text,
)

OpportunityStatus = Literal["new", "qualifying", "proposal", "negotiation", "won", "lost"]


class Lead(Authored):
    type: Literal["lead"]
    companyName: CompanyName
    firstName: PersonName | None = None
    lastName: PersonName | None = None
    email: Email | None = None
    phone: Phone | None = None
    city: Annotated[str, line(0, 100)] | None = None
    billingAddress: Address | None = None
    source: Literal["TRADESHOW", "COLD_CALL", "REFERRAL", "WEBSITE", "OTHER"] | None = None
    status: Literal["NEW", "QUALIFIED", "CONVERTED", "REJECTED"]
    owner: User
    description: Annotated[str, text(5000)] | None = None
    rejectionReason: Annotated[str, text(2000)] | None = None
    convertedAt: Moment | None = None
    convertedCustomerId: Annotated[str, ref("customer")] | None = None
    convertedOpportunityId: Annotated[str, ref("opportunity")] | None = None
    anonymized: bool | None = None
    anonymizedAt: Moment | None = None


class Opportunity(Authored):
    type: Literal["opportunity"]
    title: Annotated[str, line(2, 200)]
    customerId: Annotated[str, ref("customer")]
    contactPersonId: Annotated[str, ref("contact")] | None = None
    locationId: Annotated[str, ref("location")] | None = None
    status: OpportunityStatus
    probability: Share | None = None
    estimatedValue: Annotated[Decimal, euro(10_000_000)] | None = None
    weightedValue: Euro | None = None
    expectedCloseDate: Day | None = None
    description: Annotated[str, text(5000)] | None = None
    nextStep: Annotated[str, text(500)] | None = None
    owner: User
    tags: Tags | None = None
    lostReason: Annotated[str, text(2000)] | None = None
    lostToCompetitor: Annotated[str, line(0, 200)] | None = None
    actualValue: Euro | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        in_status(self.status, "lost", "lostReason", self.lostReason)
        if self.status == "won":
            if self.probability not in (None, 100):
                raise broken(
                    "unfit",
                    "must be 100 if status is won",
                    "muss 100 sein, wenn status won ist",
                    "probability",
                )
            if self.actualValue == 0:
                raise broken(
                    "unfit",
                    "must be above 0 if status is won",
                    "muss größer als 0 sein, wenn status won ist",
                    "actualValue",
                )
        return self


class OpportunityCard(ServerMade):
    type: Literal["opportunity_card"]
    opportunityId: Annotated[str, ref("opportunity")]
    title: Annotated[str, line(2, 200)] | None = None
    customerId: Annotated[str, ref("customer")] | None = None
    status: OpportunityStatus | None = None
    expectedCloseDate: Day | None = None
    owner: User | None = None
