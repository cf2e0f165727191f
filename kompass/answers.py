"""What the status of an answer over HTTP says about asking again.

Pure.
"""

from __future__ import annotations

from enum import Enum


class Again(Enum):
    """Whether a question that got no answer is worth asking again."""

    LATER = "later"
    """Whoever was asked isn't up to it now, whatever is asked."""
    MENDED = "mended"
    """Rights, a way, or a fault that shows with this question: somebody may mend it, or nobody. So it is
    asked again, but not for ever."""
    NEVER = "never"
    """The question is wrong: the answer stays the same."""


_LATER = frozenset({408, 425, 429})
_RIGHTS = frozenset({401, 403})


def again(status: int) -> Again:
    """For every status that is no success."""
    if status in _LATER or status > 501:
        return Again.LATER
    if status in _RIGHTS or status >= 500 or status < 400:
        return Again.MENDED
    return Again.NEVER
