"""What may be remembered by the number of a change."""

from __future__ import annotations

from replication.store.sqlite import Reading, Writing


def is_lasting(reading: Reading) -> bool:
    """Whether the numbers of this state mean the same for ever.

    A transaction may be undone, as every dry run is, and its numbers are given again to something else: what
    was found out in one is nobody else's answer.
    """
    return not isinstance(reading, Writing)
