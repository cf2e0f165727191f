"""Texts in pieces that a model can take.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kompass.search.words import MOST_TEXT

TOKENS = 512
"""Of a piece, at most."""

OVERLAP = 50
"""Tokens that a piece has in common with the one before, so that nothing is cut apart in both."""

Spans = Callable[[str], list[tuple[int, int]]]


def chunked(text: str, spans: Spans) -> Iterator[str]:
    """The pieces of a text; of a longer one, as of every text that is searched, the first `MOST_TEXT`
    characters. `spans`: where its tokens stand."""
    text = text[:MOST_TEXT].strip()
    if not text:
        return
    tokens = spans(text)
    step = TOKENS - OVERLAP
    for first in range(0, max(len(tokens) - OVERLAP, 1), step):
        part = tokens[first : first + TOKENS]
        piece = text[part[0][0] : part[-1][1]].strip() if part else ""
        if piece:
            yield piece
