"""What a company may set differently: limits of approval, series of numbers, tolerances."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BusinessSettings:
    """The defaults are the business's own."""
