"""One order of two: reciprocal rank fusion.

Pure. What stands at place n of an order is worth 1 / (60 + n) there, times what that order counts, and the
sum of both decides. So places are compared, never scores, which mean different things in each.
"""

from __future__ import annotations

from collections.abc import Sequence

from kompass.search.index import Match

CONSTANT = 60
FUSED = 100
"""Places of the full text that are fused. What comes after follows in its own order, so that pages fit
together."""


def fused(texts: Sequence[Match], meanings: Sequence[Match], weight: float) -> list[Match]:
    """Each base document once, as the full text has found it if it has. `weight`: of the meanings."""
    scores: dict[str, float] = {}
    found: dict[str, Match] = {}
    for factor, order in ((1.0, texts[:FUSED]), (weight, meanings)):
        for place, match in enumerate(order):
            scores[match.base] = scores.get(match.base, 0.0) + factor / (CONSTANT + place)
            found.setdefault(match.base, match)
    first = sorted(scores, key=lambda base: -scores[base])
    return [*(found[base] for base in first), *(one for one in texts[FUSED:] if one.base not in scores)]
