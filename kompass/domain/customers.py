"""Customers, their finance and visits, locations and contacts."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import Address, Authored, Coordinates, Part, ServerMade, needed
from kompass.domain.values import (
    COMPANY,
    PERSON_NAME,
    VAT,
    Balance,
    Code,
    Day,
    DocumentId,
    Email,
    Moment,
    Number,
    Phone,
    Stars,
    User,
    Website,
    broken,
    euro,
    line,
    ref,
    text,
)

CompanyName = Annotated[str, Field(min_length=2, max_length=200, pattern=COMPANY)]
PersonName = Annotated[str, Field(min_length=2, max_length=50, pattern=PERSON_NAME)]
CustomerType = Literal["direct_marketer", "retail", "franchise", "cooperative", "other"]
Locations = Annotated[list[Annotated[str, ref("location")]], Field(max_length=200)]


class Consent(Part):
    """What the customer has agreed to."""

    marketing: bool
    aiProcessing: bool
    dataSharing: bool
    grantedAt: Moment | None = None
    grantedBy: User | None = None
    revokedAt: Moment | None = None
    wording: Annotated[str, line(1, 200)] | None = None
    """Which text the customer has agreed to."""


class Customer(Authored):
    type: Literal["customer"]
    customerNumber: Code | None = None
    companyName: CompanyName
    vatNumber: Annotated[str, Field(pattern=VAT)] | None = None
    email: Email | None = None
    phone: Phone | None = None
    website: Website | None = None
    industry: Annotated[str, line(0, 100)] | None = None
    customerType: CustomerType | None = None
    rating: Literal["A", "B", "C"] | None = None
    billingAddress: Address
    defaultDeliveryLocationId: Annotated[str, ref("location")] | None = None
    owner: User
    dsgvoConsent: Consent | None = None
    dataRetentionUntil: Day | None = None
    anonymized: bool | None = None
    anonymizedAt: Moment | None = None


class CustomerFinance(Authored):
    type: Literal["customer_finance"]
    customerId: Annotated[str, ref("customer")]
    creditLimit: Annotated[Decimal, euro(1_000_000)] | None = None
    paymentTerms: Annotated[str, line(0, 200)] | None = None
    accountBalance: Balance | None = None


class CustomerVisit(Authored):
    type: Literal["customer_visit"]
    customerId: Annotated[str, ref("customer")]
    lastVisitDate: Day | None = None
    visitFrequencyDays: Annotated[int, Field(ge=1, le=365)] | None = None
    preferredVisitTime: Literal["morning", "afternoon", "flexible"] | None = None


class CustomerCard(ServerMade):
    type: Literal["customer_card"]
    customerId: Annotated[str, ref("customer")]
    companyName: CompanyName | None = None
    billingAddress: Address | None = None
    email: Email | None = None
    phone: Phone | None = None
    website: Website | None = None
    industry: Annotated[str, line(0, 100)] | None = None
    customerType: CustomerType | None = None


class Location(Authored):
    type: Literal["location"]
    customerId: Annotated[str, ref("customer")]
    locationName: Annotated[str, line(2, 100)]
    locationType: Literal["headquarter", "branch", "warehouse", "project_site", "other"]
    isActive: bool
    deliveryAddress: Address
    primaryContactPersonId: Annotated[str, ref("contact")] | None = None
    deliveryNotes: Annotated[str, text(2000)] | None = None
    openingHours: Annotated[str, text(500)] | None = None
    parkingInstructions: Annotated[str, text(1000)] | None = None
    gpsCoordinates: Coordinates | None = None
    isHotel: bool | None = None
    hotelRating: Stars | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hotelRating is not None and not self.isHotel:
            raise broken(
                "unfit",
                "may be there only if isHotel is true",
                "darf nur dastehen, wenn isHotel true ist",
                "hotelRating",
            )
        return self


FunctionalRole = Literal[
    "owner_ceo",
    "purchasing_manager",
    "facility_manager",
    "store_manager",
    "project_coordinator",
    "financial_controller",
    "operations_manager",
    "administrative",
]


class Contact(Authored):
    type: Literal["contact"]
    customerId: Annotated[str, ref("customer")]
    firstName: PersonName
    lastName: PersonName
    title: Annotated[str, line(0, 50)] | None = None
    position: Annotated[str, line(0, 100)] | None = None
    department: Annotated[str, line(0, 100)] | None = None
    email: Email | None = None
    phone: Phone | None = None
    mobile: Phone | None = None
    decisionMakingRole: Literal[
        "decision_maker",
        "key_influencer",
        "recommender",
        "gatekeeper",
        "operational_contact",
        "informational",
    ]
    authorityLevel: Literal["low", "medium", "high", "final_authority"]
    canApproveOrders: bool
    approvalLimitEur: Annotated[Decimal, Number(Decimal(0), Decimal(10_000_000), above=True)] | None = None
    functionalRoles: Annotated[list[FunctionalRole], Field(max_length=8)] | None = None
    departmentInfluence: Annotated[list[Annotated[str, line(1, 100)]], Field(max_length=20)] | None = None
    assignedLocationIds: Locations | None = None
    isPrimaryContactForLocations: Locations | None = None
    preferredContactMethod: Literal["email", "phone", "mobile"] | None = None
    language: Annotated[str, line(2, 10)] | None = None
    anonymized: bool | None = None
    anonymizedAt: Moment | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.canApproveOrders:
            needed(
                self.approvalLimitEur,
                "approvalLimitEur",
                "if canApproveOrders is true",
                "wenn canApproveOrders true ist",
            )
        primary: list[DocumentId] = self.isPrimaryContactForLocations or []
        if primary and not set(primary) <= set(self.assignedLocationIds or []):
            raise broken(
                "unfit",
                "may name only locations that are in assignedLocationIds",
                "darf nur Standorte nennen, die in assignedLocationIds stehen",
                "isPrimaryContactForLocations",
            )
        return self
