"""The chain of every write, accepted or refused: who, when, what, by which rule. See docs/audit.md."""

from kompass.audit.actors import (
    FOREIGN,
    REPLICATOR,
    SYSTEM,
    Actor,
    Door,
    acting,
    acting_as,
    actor,
    of_principal,
)
from kompass.audit.causes import Cause, Source
from kompass.audit.extension import AuditExtension
from kompass.audit.recording import Refused

__all__ = [
    "FOREIGN",
    "REPLICATOR",
    "SYSTEM",
    "Actor",
    "AuditExtension",
    "Cause",
    "Door",
    "Refused",
    "Source",
    "acting",
    "acting_as",
    "actor",
    "of_principal",
]
