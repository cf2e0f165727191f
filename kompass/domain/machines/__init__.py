"""The status graphs of the business, as data, and the judgement of a change by them."""

from __future__ import annotations

from collections.abc import Mapping

from kompass.domain.machines.graph import Machine
from kompass.domain.machines.road import ROAD
from kompass.domain.machines.sales import SALES
from kompass.domain.machines.supply import SUPPLY
from kompass.domain.machines.work import WORK

MACHINES: Mapping[str, Machine] = {**SALES, **WORK, **ROAD, **SUPPLY}
"""By type. A type that isn't here has no status."""

__all__ = ["MACHINES", "Machine"]
