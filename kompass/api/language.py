"""Which language the caller reads, German or English, by `Accept-Language` (RFC 9110, 12.5.4); and texts in
German.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from starlette.requests import HTTPConnection

from kompass.api.german import TEXTS

_MOST = 1000
"""Characters of a text that is looked up."""


def german(request: HTTPConnection) -> bool:
    """Whether the caller would rather read German than English: by `Accept-Language`, and if it says nothing
    of either, no.
    """
    best, wanted = 0.0, "en"
    for part in request.headers.get("accept-language", "").split(","):
        language, _, parameters = part.strip().partition(";")
        name = language.partition("-")[0].lower()
        if name not in {"de", "en"}:
            continue
        weight = 1.0
        key, _, value = parameters.strip().partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                continue
        if weight > best:
            best, wanted = weight, name
    return wanted == "de"


def in_german(text: str) -> str:
    """A text in German; as it is if nobody has translated it."""
    if text in TEXTS or len(text) > _MOST:
        return TEXTS.get(text, text)
    for parts, german in _with_gaps():
        found = _gaps(parts, text)
        if found is not None:
            return german.format(*map(in_german, found))
    return text


@cache
def _with_gaps() -> tuple[tuple[Sequence[str], str], ...]:
    """What stands between the gaps, the most particular first; and the German."""
    found = [(english.split("{}"), german) for english, german in TEXTS.items() if "{}" in english]
    return tuple(sorted(found, key=lambda one: sum(map(len, one[0])), reverse=True))


def _gaps(parts: Sequence[str], text: str) -> list[str] | None:
    """What fills them, none of it empty; None if the text is another one. Takes no longer than reading it."""
    first, *between, last = parts
    place, end = len(first), len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last)):
        return None
    found = []
    for part in between:
        at = text.find(part, place + 1, end)
        if at < 0:
            return None
        found.append(text[place:at])
        place = at + len(part)
    return [*found, text[place:end]] if place < end else None
