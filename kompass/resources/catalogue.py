"""What the resources are called, and which fields their lists are sorted by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kompass.access.table import SERVER_WRITTEN
from kompass.domain.registry import LABELS, MODELS
from kompass.resources.fields import Field, fields

_OF_THE_SERVER = frozenset(
    {
        *("rejected_change", "conflict", "quarantine", "device"),
        *("user", "calendar_subscription"),
    }
)
"""Types that have resources of their own, of another shape."""

_PLURALS: Mapping[str, str] = {
    "activity": "activities",
    "delivery": "deliveries",
    "opportunity": "opportunities",
    "permission_matrix": "permission-matrices",
    "request_for_quote": "requests-for-quote",
    "time_entry": "time-entries",
    "project_costs": "project-actual-costs",
    "tour_costs": "tour-costs",
    "expense_notes": "expense-notes",
}
"""Of types whose name doesn't just get an s."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A type of documents."""

    name: str
    """In addresses: `/api/v1/NAME`."""
    type: str
    label: str
    """What people call one, in German."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """What its lists are filtered by."""
        return fields(self.type)

    @property
    def members(self) -> frozenset[str]:
        """The names of all that a document may have."""
        return frozenset(field.alias or name for name, field in MODELS[self.type].model_fields.items())

    @property
    def shown(self) -> list[str]:
        """Members that a question may ask for by name, sorted."""
        return sorted({name.partition(".")[0] for name in self.fields} | self.members)

    @property
    def sortable(self) -> tuple[str, ...]:
        return tuple(name for name, field in self.fields.items() if field.sortable)

    @property
    def server_made(self) -> bool:
        """Whether nobody but the server writes such documents."""
        return self.type in SERVER_WRITTEN


def plural(doctype: str) -> str:
    return _PLURALS.get(doctype) or doctype.replace("_", "-") + "s"


RESOURCES: Mapping[str, Resource] = MappingProxyType(
    {
        plural(doctype): Resource(plural(doctype), doctype, LABELS[doctype])
        for doctype in MODELS
        if doctype not in _OF_THE_SERVER
    }
)
"""By name."""
