"""Hours worked, and what projects cost."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import Authored, Total, affordable, after
from kompass.domain.money import cents
from kompass.domain.values import (
    Code,
    Day,
    Euro,
    Link,
    Moment,
    Quantity,
    Reason,
    TaxRate,
    User,
    broken,
    euro,
    line,
    ref,
    text,
)

_LONGEST = timedelta(days=7)


class TimeEntry(Authored):
    """Runs as long as it has no `endTime`."""

    type: Literal["time_entry"]
    projectId: Annotated[str, ref("project")]
    taskId: Annotated[str, ref("project_task")] | None = None
    taskDescription: Annotated[str, text(500, 10)]
    userId: User
    status: Literal["in_progress", "completed", "approved", "rejected"]
    startTime: Moment
    endTime: Moment | None = None
    durationMinutes: Annotated[int, Field(ge=0, le=100_000)] | None = None
    isManualEntry: bool
    approvedBy: User | None = None
    approvedAt: Moment | None = None
    rejectionReason: Annotated[str, text(500, 10)] | None = None
    stornoOf: Annotated[str, ref("time_entry")] | None = None
    stornoReason: Reason | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.startTime, self.endTime, "endTime", "startTime")
        if self.endTime is not None and self.endTime - self.startTime > _LONGEST:
            raise broken(
                "order",
                "must be at most 7 days after startTime",
                "darf höchstens 7 Tage nach startTime liegen",
                "endTime",
            )
        return self


class TimeEntryCost(Authored):
    type: Literal["time_entry_cost"]
    timeEntryId: Annotated[str, ref("time_entry")]
    hourlyRateEur: Annotated[Decimal, euro(500)] | None = None
    totalCostEur: Euro | None = None


class ProjectCost(Authored):
    type: Literal["project_cost"]
    projectId: Annotated[str, ref("project")]
    costType: Literal["material", "contractor", "external_service", "equipment", "other"]
    description: Annotated[str, text(500, 10)]
    status: Literal["planned", "ordered", "received", "invoiced", "paid"]
    supplierId: Annotated[str, ref("supplier")] | None = None
    supplierName: Annotated[str, line(1, 200)] | None = None
    quantity: Quantity
    unit: Annotated[str, line(1, 30)] | None = None
    unitPriceEur: Euro
    taxRate: TaxRate | None = None
    totalNetEur: Euro | None = None
    taxAmountEur: Euro | None = None
    totalGrossEur: Euro | None = None
    stornoOf: Annotated[str, ref("project_cost")] | None = None
    stornoReason: Reason | None = None
    invoiceNumber: Code | None = None
    invoiceDate: Day | None = None
    invoicePdfUrl: Link | None = None
    orderedAt: Moment | None = None
    receivedAt: Moment | None = None
    approvedBy: User | None = None
    approvedAt: Moment | None = None
    paidAt: Moment | None = None
    paidBy: User | None = None
    paidDate: Day | None = None
    paymentReference: Annotated[str, line(5, 100)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        affordable(self.quantity * self.unitPriceEur, "unitPriceEur")
        return self

    def totals(self) -> Iterator[Total]:
        net = cents(self.quantity * self.unitPriceEur)
        yield Total("totalNetEur", self.totalNetEur, net, "quantity * unitPriceEur")
        if self.taxAmountEur is not None:
            gross = net + self.taxAmountEur
            yield Total("totalGrossEur", self.totalGrossEur, gross, "totalNetEur + taxAmountEur")
