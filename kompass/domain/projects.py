"""Projects with their restricted parts, and their cards."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import Authored, Part, ServerMade, after
from kompass.domain.values import Code, Day, Euro, Margin, Tags, User, euro, line, ref, text

ProjectStatus = Literal["planning", "active", "on_hold", "completed", "cancelled"]
Name = Annotated[str, line(2, 200)]
Team = Annotated[list[User], Field(max_length=100)]


class Milestone(Part):
    id: Annotated[str, line(1, 64)]
    name: Annotated[str, line(1, 200)]
    dueDate: Day | None = None
    status: Literal["pending", "in_progress", "completed", "delayed", "cancelled"]


Milestones = Annotated[list[Milestone], Field(max_length=100)]
Description = Annotated[str, text(10_000)]


class Project(Authored):
    type: Literal["project"]
    projectNumber: Code | None = None
    projectType: Literal["B", "M", "A", "C"] | None = None
    name: Name
    customerId: Annotated[str, ref("customer")]
    opportunityId: Annotated[str, ref("opportunity")] | None = None
    offerId: Annotated[str, ref("offer")] | None = None
    contractId: Annotated[str, ref("contract")] | None = None
    locationId: Annotated[str, ref("location")] | None = None
    status: ProjectStatus
    startDate: Day | None = None
    endDate: Day | None = None
    actualEndDate: Day | None = None
    projectManagerId: User
    teamMemberIds: Team | None = None
    tags: Tags | None = None
    description: Description | None = None
    milestones: Milestones | None = None
    contractValue: Euro | None = None
    budget: Euro | None = None
    estimatedMaterialCost: Euro | None = None
    estimatedLaborCost: Euro | None = None
    estimatedSubcontractorCost: Euro | None = None
    estimatedTotalCost: Euro | None = None
    cancellationReason: Annotated[str, text(2000)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.startDate, self.endDate, "endDate", "startDate")
        after(self.startDate, self.actualEndDate, "actualEndDate", "startDate", equal=True)
        return self


class ProjectCard(ServerMade):
    type: Literal["project_card"]
    projectId: Annotated[str, ref("project")]
    projectNumber: Code | None = None
    name: Name | None = None
    customerId: Annotated[str, ref("customer")] | None = None
    contractId: Annotated[str, ref("contract")] | None = None
    locationId: Annotated[str, ref("location")] | None = None
    status: ProjectStatus | None = None
    startDate: Day | None = None
    endDate: Day | None = None
    actualEndDate: Day | None = None
    projectManagerId: User | None = None
    teamMemberIds: Team | None = None
    tags: Tags | None = None
    description: Description | None = None
    milestones: Milestones | None = None


_Total = Annotated[Decimal, euro(1_000_000_000)]


class ProjectCosts(ServerMade):
    type: Literal["project_costs"]
    projectId: Annotated[str, ref("project")]
    actualMaterialCost: _Total | None = None
    actualLaborCost: _Total | None = None
    actualSubcontractorCost: _Total | None = None
    actualExpensesCost: _Total | None = None
    actualTotalCost: _Total | None = None
    budgetStatus: Literal["OnTrack", "Warning", "Exceeded"] | None = None


class ProjectMargin(Authored):
    type: Literal["project_margin"]
    projectId: Annotated[str, ref("project")]
    profitMargin: Margin | None = None
    actualMargin: Margin | None = None


class ProjectCompetitor(Authored):
    type: Literal["project_competitor"]
    projectId: Annotated[str, ref("project")]
    competitorInfo: Annotated[str, text(5000)] | None = None
