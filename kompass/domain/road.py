"""On the road: tours, meetings, hotels, expenses, mileage."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import Address, Authored, Part, ServerMade, Total, after, needed, sums
from kompass.domain.values import (
    Code,
    Day,
    Euro,
    Kilometres,
    Latitude,
    Link,
    Longitude,
    Moment,
    Number,
    Reason,
    Stars,
    TaxRate,
    User,
    broken,
    euro,
    euro_above_0,
    line,
    ref,
    text,
)

Title = Annotated[str, line(2, 200)]
TourStatus = Literal["planned", "active", "completed", "cancelled"]
MeetingType = Literal[
    "first_visit", "follow_up", "presentation", "negotiation", "closing", "project_review", "other"
]
Duration = Annotated[int, Field(ge=15, le=480)]
_Region = Annotated[str, line(0, 100)]


class Stop(Part):
    """A place on the way."""

    name: Annotated[str, line(1, 200)]
    locationId: Annotated[str, ref("location")] | None = None
    customerId: Annotated[str, ref("customer")] | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    plannedAt: Moment | None = None


class Tour(Authored):
    type: Literal["tour"]
    title: Title
    ownerId: User
    status: TourStatus
    startDate: Day
    endDate: Day
    region: _Region | None = None
    plannedRoute: Annotated[list[Stop], Field(max_length=100)] | None = None
    meetingIds: Annotated[list[Annotated[str, ref("meeting")]], Field(max_length=200)] | None = None
    hotelStayIds: Annotated[list[Annotated[str, ref("hotel_stay")]], Field(max_length=200)] | None = None
    expenseIds: Annotated[list[Annotated[str, ref("expense")]], Field(max_length=200)] | None = None
    mileageLogIds: Annotated[list[Annotated[str, ref("mileage_log")]], Field(max_length=200)] | None = None
    estimatedDistance: Kilometres | None = None
    actualDistance: Kilometres | None = None
    completedAt: Moment | None = None
    cancellationReason: Annotated[str, text(2000)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.startDate, self.endDate, "endDate", "startDate", equal=True)
        return self


class TourCard(ServerMade):
    type: Literal["tour_card"]
    tourId: Annotated[str, ref("tour")]
    title: Title | None = None
    ownerId: User | None = None
    startDate: Day | None = None
    endDate: Day | None = None
    region: _Region | None = None
    status: TourStatus | None = None


class TourCosts(ServerMade):
    type: Literal["tour_costs"]
    tourId: Annotated[str, ref("tour")]
    estimatedCosts: Euro | None = None
    actualCosts: Euro | None = None


class Position(Part):
    """Where a device was."""

    latitude: Latitude
    longitude: Longitude
    accuracy: Annotated[Decimal, Number(Decimal(0), Decimal(100_000), decimals=None)] | None = None
    timestamp: Moment | None = None
    address: Annotated[str, line(0, 300)] | None = None


class Meeting(Authored):
    type: Literal["meeting"]
    title: Title | None = None
    tourId: Annotated[str, ref("tour")] | None = None
    customerId: Annotated[str, ref("customer")]
    locationId: Annotated[str, ref("location")]
    contactId: Annotated[str, ref("contact")] | None = None
    opportunityId: Annotated[str, ref("opportunity")] | None = None
    scheduledAt: Moment
    duration: Duration
    meetingType: MeetingType
    attended: bool | None = None
    checkInGPS: Position | None = None
    checkedInAt: Moment | None = None
    outcome: Literal["successful", "needs_follow_up", "delayed", "cancelled", "no_show"] | None = None
    outcomeNotes: Annotated[str, text(5000)] | None = None
    outcomeAt: Moment | None = None
    protocolId: Annotated[str, ref("protocol")] | None = None


class MeetingCard(ServerMade):
    type: Literal["meeting_card"]
    meetingId: Annotated[str, ref("meeting")]
    tourId: Annotated[str, ref("tour")] | None = None
    customerId: Annotated[str, ref("customer")] | None = None
    scheduledAt: Moment | None = None
    duration: Duration | None = None
    meetingType: MeetingType | None = None


class HotelStay(Authored):
    type: Literal["hotel_stay"]
    tourId: Annotated[str, ref("tour")] | None = None
    locationId: Annotated[str, ref("location")] | None = None
    hotelName: Annotated[str, line(2, 200)]
    address: Address | None = None
    checkInDate: Day
    checkOutDate: Day
    nights: Annotated[int, Field(ge=1, le=365)]
    pricePerNightEur: Annotated[Decimal, euro(10_000)]
    totalPriceEur: Euro | None = None
    bookingReference: Annotated[str, line(0, 100)] | None = None
    rating: Stars | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.checkInDate, self.checkOutDate, "checkOutDate", "checkInDate")
        nights = (self.checkOutDate - self.checkInDate).days
        if self.nights != nights:
            raise broken(
                "total",
                f"must be {nights}, from checkInDate to checkOutDate",
                f"muss {nights} sein, von checkInDate bis checkOutDate",
                "nights",
            )
        return self

    def totals(self) -> Iterator[Total]:
        expected = self.nights * self.pricePerNightEur
        yield Total("totalPriceEur", self.totalPriceEur, expected, "nights * pricePerNightEur")


class Expense(Authored):
    type: Literal["expense"]
    title: Title
    receiptNumber: Code | None = None
    expenseDate: Day
    category: Literal[
        "mileage",
        "hotel",
        "meal",
        "fuel",
        "parking",
        "toll",
        "public_transport",
        "client_entertainment",
        "office_supplies",
        "phone",
        "other",
    ]
    amount: Annotated[Decimal, euro_above_0(10_000)]
    currency: Literal["EUR"] | None = None
    taxRate: TaxRate | None = None
    taxAmount: Euro | None = None
    netAmount: Euro | None = None
    description: Annotated[str, text(2000)] | None = None
    justification: Annotated[str, text(2000)] | None = None
    status: Literal["draft", "submitted", "approved", "rejected", "paid"]
    receiptUrl: Link | None = None
    tourId: Annotated[str, ref("tour")] | None = None
    meetingId: Annotated[str, ref("meeting")] | None = None
    projectId: Annotated[str, ref("project")] | None = None
    mileageLogId: Annotated[str, ref("mileage_log")] | None = None
    stornoOf: Annotated[str, ref("expense")] | None = None
    stornoReason: Reason | None = None
    submittedAt: Moment | None = None
    approvedBy: User | None = None
    approvedAt: Moment | None = None
    rejectionReason: Annotated[str, text(2000, 10)] | None = None
    paidAt: Moment | None = None
    paidBy: User | None = None
    paidDate: Day | None = None
    paymentReference: Annotated[str, line(5, 100)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.netAmount is not None and self.taxAmount is not None:
            gross = self.netAmount + self.taxAmount
            sums(self.amount, gross, "amount", "netAmount + taxAmount")
        return self


class ExpenseNotes(Authored):
    type: Literal["expense_notes"]
    expenseId: Annotated[str, ref("expense")]
    adminNotes: Annotated[str, text(5000)] | None = None


_TOLERANCE = Decimal("0.05")


class MileageLog(Authored):
    type: Literal["mileage_log"]
    tourId: Annotated[str, ref("tour")] | None = None
    projectId: Annotated[str, ref("project")] | None = None
    meetingId: Annotated[str, ref("meeting")] | None = None
    expenseId: Annotated[str, ref("expense")] | None = None
    date: Day
    purpose: Annotated[str, text(500)] | None = None
    start: Position
    end: Position
    distance: Kilometres
    gpsDistance: Kilometres | None = None
    overrideReason: Annotated[str, text(2000, 20)] | None = None
    overriddenBy: User | None = None
    ratePerKm: Annotated[Decimal, Number(Decimal(0), Decimal(5), decimals=3)] | None = None
    costEur: Euro | None = None
    vehicle: Annotated[str, line(0, 100)] | None = None
    routeGeoJSON: Annotated[dict[str, Any], Field(max_length=20)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (
            self.gpsDistance is not None
            and abs(self.distance - self.gpsDistance) > _TOLERANCE * self.gpsDistance
        ):
            needed(
                self.overrideReason,
                "overrideReason",
                "if distance differs from gpsDistance by more than 5 %",
                "wenn distance um mehr als 5 % von gpsDistance abweicht",
            )
        return self
