"""What people do for customers and projects: activities, protocols, tasks, comments."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kompass.domain.base import Authored, Coordinates, Part, in_status
from kompass.domain.values import Day, Link, Moment, Tags, User, line, ref, text


class Activity(Authored):
    type: Literal["activity"]
    activityType: Literal["call", "email", "meeting", "visit", "note"]
    customerId: Annotated[str, ref("customer")]
    contactId: Annotated[str, ref("contact")] | None = None
    locationId: Annotated[str, ref("location")] | None = None
    opportunityId: Annotated[str, ref("opportunity")] | None = None
    projectId: Annotated[str, ref("project")] | None = None
    date: Moment
    duration: Annotated[int, Field(ge=1, le=1440)] | None = None
    subject: Annotated[str, line(3, 200)]
    description: Annotated[str, text(10_000)] | None = None
    outcome: Annotated[str, text(1000)] | None = None
    followUpDate: Day | None = None
    voiceRecordingUrl: Link | None = None
    voiceTranscript: Annotated[str, text(50_000)] | None = None
    private: bool | None = None


class NextAction(Part):
    task: Annotated[str, text(500, 1)]
    assignee: User | None = None
    dueDate: Day | None = None


class CheckIn(Part):
    checkInType: Literal["on_site", "remote", "phone", "video", "other"]
    checkedInAt: Moment | None = None
    coordinates: Coordinates | None = None
    locationId: Annotated[str, ref("location")] | None = None


class Protocol(Authored):
    type: Literal["protocol"]
    title: Annotated[str, line(2, 200)]
    date: Moment
    customerId: Annotated[str, ref("customer")]
    opportunityId: Annotated[str, ref("opportunity")] | None = None
    projectId: Annotated[str, ref("project")] | None = None
    meetingId: Annotated[str, ref("meeting")] | None = None
    participants: Annotated[list[Annotated[str, line(1, 200)]], Field(max_length=50)] | None = None
    summary: Annotated[str, text(5000)] | None = None
    voiceNoteUrl: Link | None = None
    transcription: Annotated[str, text(10_000)] | None = None
    nextActions: Annotated[list[NextAction], Field(max_length=50)] | None = None
    tags: Tags | None = None
    locationCheckIn: CheckIn | None = None
    private: bool | None = None


class UserTask(Authored):
    type: Literal["user_task"]
    title: Annotated[str, line(5, 200)]
    description: Annotated[str, text(2000)] | None = None
    status: Literal["open", "in_progress", "completed", "cancelled"]
    priority: Literal["low", "medium", "high", "urgent"] | None = None
    dueDate: Day | None = None
    assignedTo: User
    relatedCustomerId: Annotated[str, ref("customer")] | None = None
    relatedOpportunityId: Annotated[str, ref("opportunity")] | None = None
    relatedProjectId: Annotated[str, ref("project")] | None = None
    completedAt: Moment | None = None
    completedBy: User | None = None


class ProjectTask(Authored):
    type: Literal["project_task"]
    projectId: Annotated[str, ref("project")]
    title: Annotated[str, line(2, 200)]
    description: Annotated[str, text(5000)] | None = None
    status: Literal["todo", "in_progress", "review", "blocked", "done"]
    priority: Literal["low", "medium", "high", "critical"] | None = None
    assignedTo: User
    dueDate: Day | None = None
    phase: Literal["planning", "execution", "delivery", "closure"] | None = None
    milestone: Annotated[str, line(1, 200)] | None = None
    blockingReason: Annotated[str, text(500, 10)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        in_status(self.status, "blocked", "blockingReason", self.blockingReason)
        return self


class Comment(Authored):
    """A remark about another document. `replyTo` is the comment that it answers."""

    type: Literal["comment"]
    parentId: Annotated[str, ref()]
    content: Annotated[str, text(5000, 1)]
    contextId: Annotated[str, line(1, 200)] | None = None
    replyTo: Annotated[str, ref("comment")] | None = None
    mentions: Annotated[list[User], Field(max_length=50)] | None = None
    resolved: bool | None = None
    resolvedAt: Moment | None = None
    resolvedBy: User | None = None
