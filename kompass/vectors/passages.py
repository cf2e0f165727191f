"""Which texts of a document get vectors: what `kompass.search.catalogue` searches, and under the same rules.

Pure. What a document is called by is one passage, what it says another: together each would blur the other.
Numbers, addresses of mail and pages have no meaning that a model could know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kompass.search import fields
from kompass.search.catalogue import Searched
from kompass.search.entries import sound
from kompass.search.words import MOST_TEXT

TITLE = "title"
TEXT = "text"


class Passage(NamedTuple):
    place: str
    """`title`, `text`, or `attachment/NAME`."""
    text: str


def passages(doc: Mapping[str, Any], searched: Searched) -> Iterator[Passage]:
    """Those of its fields. None of them is empty."""
    called = [
        text
        for path in (*searched.title, *searched.strong)
        for text in fields.texts(doc, path)
        if "@" not in text and "://" not in text
    ]
    said = [text for path in searched.plain for text in fields.texts(doc, path)]
    for place, texts in ((TITLE, called), (TEXT, said)):
        text = clean(". ".join(text[:MOST_TEXT] for text in texts))
        if text:
            yield Passage(place, text)


def place_of(attachment: str) -> str:
    return f"attachment/{attachment}"


def clean(text: str) -> str:
    """Without what no text has: control characters, halves of surrogate pairs."""
    return sound(text[:MOST_TEXT]).replace("\x00", " ").strip()
