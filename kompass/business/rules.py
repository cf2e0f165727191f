"""The rules of the business, for the gate."""

from __future__ import annotations

from kompass.business.lookups import Lookups
from kompass.domain import checks
from kompass.domain.changes import Change, Facts
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings
from replication.store.sqlite import Reading


class BusinessRules:
    """Judges changes by `kompass.domain.checks`."""

    def __init__(self, settings: BusinessSettings | None = None) -> None:
        self.settings = settings or BusinessSettings()

    def facts(self, reading: Reading) -> Facts:
        """What is known of other documents in this state."""
        return Lookups(reading)

    def check(self, change: Change, facts: Facts) -> Refusal | None:
        """Why the change can't be stored; None if it can."""
        return checks.check(change, facts, self.settings)

    def check_mirrored(self, change: Change, facts: Facts) -> Refusal | None:
        """The same of what is mirrored from elsewhere."""
        return checks.check(change, facts, self.settings, checks.OF_MIRRORED)
