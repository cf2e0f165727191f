"""Users, what they may do, and what is kept for each of them."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import Part, ServerMade, after
from kompass.domain.values import (
    SHA256,
    Day,
    DocumentId,
    Email,
    Moment,
    Number,
    Phone,
    Reason,
    TimeOfDay,
    User,
    broken,
    line,
    text,
)

OneRole = Literal["ADM", "INNEN", "PLAN", "KALK", "BUCH", "GF", "ADMIN"]
Roles = Annotated[list[OneRole], Field(max_length=10)]
"""None: he has lost them, and sees nothing any more."""
DisplayName = Annotated[str, line(2, 100)]
_Department = Annotated[str, line(0, 100)]


class WorkingDay(Part):
    startTime: TimeOfDay
    endTime: TimeOfDay
    breakDuration: Annotated[int, Field(ge=0, le=480)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        after(self.startTime, self.endTime, "endTime", "startTime")
        return self


class WorkingHours(Part):
    monday: WorkingDay | None = None
    tuesday: WorkingDay | None = None
    wednesday: WorkingDay | None = None
    thursday: WorkingDay | None = None
    friday: WorkingDay | None = None
    saturday: WorkingDay | None = None
    sunday: WorkingDay | None = None
    vacationDays: Annotated[list[Day], Field(max_length=366)] | None = None


class Availability(Part):
    status: Literal["available", "busy", "away", "vacation", "sick", "offline"]
    statusMessage: Annotated[str, line(0, 200)] | None = None
    availableUntil: Moment | None = None


class RoleChange(Part):
    timestamp: Moment
    changedBy: User
    action: Literal["ASSIGN", "REVOKE", "PRIMARY_CHANGED"]
    role: OneRole
    reason: Reason


class UserDocument(ServerMade):
    type: Literal["user"]
    name: User | None = None
    userName: User
    email: Email
    displayName: DisplayName
    roles: Roles
    primaryRole: OneRole | None = None
    active: bool
    language: Literal["de", "en"] | None = None
    timezone: Annotated[str, line(1, 64)] | None = None
    phoneNumber: Phone | None = None
    department: _Department | None = None
    hourlyRateEur: Annotated[Decimal, Number(Decimal(0), Decimal(500))] | None = None
    workingHours: WorkingHours | None = None
    availability: Availability | None = None
    roleChangeHistory: Annotated[list[RoleChange], Field(max_length=1000)] | None = None
    anonymized: bool | None = None
    anonymizedAt: Moment | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.primaryRole is not None and self.primaryRole not in self.roles:
            raise broken("unfit", "must be one of roles", "muss eine der roles sein", "primaryRole")
        return self


class UserCard(ServerMade):
    type: Literal["user_card"]
    userId: DocumentId
    userName: User | None = None
    displayName: DisplayName | None = None
    email: Email | None = None
    phoneNumber: Phone | None = None
    department: _Department | None = None
    active: bool | None = None


class RoleDocument(ServerMade):
    type: Literal["role"]
    roleId: OneRole | None = None
    name: Annotated[str, line(1, 100)]
    description: Annotated[str, text(1000)] | None = None
    permissions: Annotated[dict[str, Any], Field(max_length=200)] | None = None
    priority: Annotated[int, Field(ge=1, le=100)] | None = None
    roleVersion: Annotated[str, line(1, 40)] | None = None
    active: bool | None = None


class PermissionMatrix(ServerMade):
    """What it overrides is judged by `kompass.access.matrix`."""

    type: Literal["permission_matrix"]
    matrixVersion: Annotated[str, line(1, 40)]
    overrides: Annotated[dict[str, Any], Field(max_length=200)]
    active: bool | None = None
    reason: Annotated[str, text(2000)] | None = None


class CalendarSubscription(ServerMade):
    """Of the secret in its address only the hash is stored."""

    type: Literal["calendar_subscription"]
    userId: User
    name: Annotated[str, line(1, 100)] | None = None
    tokenHash: Annotated[str, Field(pattern=SHA256)]
    filters: Annotated[dict[str, Any], Field(max_length=50)] | None = None
    active: bool | None = None
    expiresAt: Moment | None = None
    lastUsedAt: Moment | None = None


class Notification(ServerMade):
    type: Literal["notification"]
    recipientId: User
    notificationType: Literal[
        "ASSIGNMENT", "MENTION", "SYSTEM", "REMINDER", "APPROVAL", "DEADLINE", "DUPLICATE"
    ]
    title: Annotated[str, line(1, 200)] | None = None
    message: Annotated[str, text(2000)] | None = None
    isRead: bool
    readAt: Moment | None = None
    documentId: DocumentId | None = None
    documentType: Annotated[str, line(1, 64)] | None = None
    otherDocumentIds: Annotated[list[DocumentId], Field(max_length=50)] | None = None
    actorId: User | None = None
