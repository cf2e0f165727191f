"""What the server tells people about their work, and what it keeps for itself."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from kompass.domain.base import Document
from kompass.domain.values import DocumentId, Moment, User, line, text

_Fields = Annotated[list[str], Field(max_length=1000)]
_Type = Annotated[str, line(1, 64)]
_Rule = Annotated[str, line(1, 128)]
_Said = Annotated[str, text(20_000)]
_Name = Annotated[str, line(0, 512)]


class RejectedChange(Document):
    type: Literal["rejected_change"]
    user: User
    docId: Annotated[str, line(0, 512)]
    docType: Any = None
    rev: Annotated[str, line(1, 80)]
    deleted: bool
    document: Any = None
    attachments: Annotated[list[str], Field(max_length=1000)]
    rule: _Rule
    reason: _Said
    grund: _Said
    fields: _Fields
    quarantineId: DocumentId
    omitted: _Fields | None = None
    createdAt: Moment


class Conflict(Document):
    """Versions that only a person can unite. What else it says is the contract of those who show it."""

    model_config = ConfigDict(extra="allow")

    type: Literal["conflict"]
    user: User | None = None
    docId: Annotated[str, line(1, 512)]
    docType: _Type
    fields: list[Any]
    createdAt: Moment | None = None


class Device(Document):
    type: Literal["device"]
    user: User
    name: _Name
    implicit: bool | None = None
    app_version: _Name | None = None
    created: float | None = None
    last_seen: float | None = None
    last_sync: float | None = None
    documents: int | None = None
    revoked: bool | None = None
    lost: bool | None = None
    lease_until: float | None = None


class Quarantine(Document):
    type: Literal["quarantine"]
    state: Annotated[str, line(1, 40)]
    user: User
    device: _Name | None = None
    docId: Annotated[str, line(0, 512)]
    deleted: bool
    rule: _Rule
    reason: _Said
    grund: _Said
    fields: _Fields
    parents: _Fields
    stubs: dict[str, str]
    received: Moment
    revisions: dict[str, Any]
    document: Any = None
