"""Which language the caller reads, German or English, by `Accept-Language` (RFC 9110, 12.5.4); and texts in
German.
"""

from __future__ import annotations

import re
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
    for pattern, german in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return german.format(*map(in_german, found.groups()))
    return text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Those with gaps, the most particular first."""
    gaps = [(english.split("{}"), german) for english, german in TEXTS.items() if "{}" in english]
    gaps.sort(key=lambda one: sum(map(len, one[0])), reverse=True)
    return tuple(
        (re.compile("(.+?)".join(map(re.escape, parts)), re.DOTALL), german) for parts, german in gaps
    )
