"""Every rule of the business that a change has to keep, in order: the first that it breaks refuses it."""

from __future__ import annotations

from collections.abc import Callable

from kompass.domain import anonymity, crossing, freezing, models, retention, times
from kompass.domain.changes import Change, Facts
from kompass.domain.machines import transitions
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings

Stage = Callable[[Change, Facts, BusinessSettings], Refusal | None]
"""Judges a change. A later stage may rely on what the earlier ones have let pass."""

STAGES: tuple[Stage, ...] = (
    models.check,
    times.check,
    anonymity.check,
    retention.check,
    transitions.check,
    freezing.check,
    crossing.check,
)

MAY_PASS_LATER = frozenset(
    {
        "deletion.in_use",
        "meeting.tour",
        "reference.state",
        "tour.dates",
        "tour.meetings",
        "unique.contract",
        "unique.invoice_number",
        "unique.location_name",
        "unique.material_code",
        "unique.running",
        "unique.vat",
    }
)
"""Rules that refuse because of other documents. Those may come in the same push and change it: a batch is
judged parents first, and within that as the device sent it.
"""


OF_MIRRORED: tuple[Stage, ...] = tuple(stage for stage in STAGES if stage is not transitions.check)
"""For what is mirrored from elsewhere: in which state it is, is said there."""


def check(
    change: Change, facts: Facts, settings: BusinessSettings, stages: tuple[Stage, ...] = STAGES
) -> Refusal | None:
    """Why the change can't be stored; None if it can."""
    understood = models.current(change)
    if isinstance(understood, Refusal):
        return understood
    for stage in stages:
        refusal = stage(understood, facts, settings)
        if refusal is not None:
            return refusal
    return None
