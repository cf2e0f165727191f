"""Names of schemas and roles, and how text becomes part of a statement."""

from __future__ import annotations

from dataclasses import dataclass

OWNER = "kompass_owner"
"""Owns everything; nobody logs in as this role."""

WRITER = "kompass_writer"
"""Writes documents. The sink's login is a member, and nobody else."""

PEOPLE = "kompass_people"
"""Reads the views. Every login of a person is a member."""

COMMON = "kompass_common"
"""Schema of what all generations have in common: who logs in as whom."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The two schemas of a generation: what is stored, and the views that people see of it."""

    data: str
    views: str


LIVE = Generation("kompass_data", "kompass")
NEXT = Generation("kompass_data_next", "kompass_next")
OLD = Generation("kompass_data_old", "kompass_old")


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it, with standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"
