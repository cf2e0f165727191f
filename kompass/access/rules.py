"""The vocabulary of the tables: what is done, and which documents of a type a right covers."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Rule(StrEnum):
    """A record rule: which documents of a type. Each one but the last two is an audience with channels."""

    ALL = "all"
    """Every document of the type that isn't private."""
    OWN = "own"
    """Those whose owner or assignee he is; where the type has neither, those he created."""
    OWN_CUSTOMER = "own_customer"
    """Those of the customers he owns."""
    ASSIGNED_PROJECT = "assigned_project"
    """Those of the projects he manages or is in the team of."""
    ACCEPTED_OFFER = "accepted_offer"
    """Accepted offers of the projects he manages or is in the team of."""
    PARENT = "parent"
    """Those whose parent he reads."""
    SELF = "self"
    """Those that are about him, whatever his roles."""
