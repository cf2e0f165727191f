"""Work that could not be stored among the documents: kept whole, with the reason, until somebody has dealt
with it.
"""

from kompass.sync.quarantine.entries import Entry, State
from kompass.sync.quarantine.index import QuarantineIndex
from kompass.sync.quarantine.store import DATABASE, Quarantine, QuarantineFullError, Quota

__all__ = [
    "DATABASE",
    "Entry",
    "Quarantine",
    "QuarantineFullError",
    "QuarantineIndex",
    "Quota",
    "State",
]
