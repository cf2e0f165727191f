"""Collation of strings where ICU is not installed.

An approximation of the Unicode Collation Algorithm from the standard library's tables: three
levels, compared one after the other over the whole string: base characters without case and
accents, then accents, then case with small letters first. Characters rank white space <
punctuation < symbols < digits < letters, inside of these by code point. It agrees with ICU for
German and English words; it differs in the order of punctuation marks among themselves, of
letters that are no ASCII letter with a mark, and of the world's other scripts. So a query over a
range of strings may give other rows than CouchDB, and the order of rows may differ; equality,
numbers and everything else is the same.
"""

from __future__ import annotations

import unicodedata
from typing import Final

COLLATION: Final = f"fallback-1-{unicodedata.unidata_version}"

_LEVEL_END = b"\x01"
_HIGHEST = "\uffff"
"""ICU gives this one the greatest weight; bounds of prefix ranges rely on it."""

_CLASSES: Final = {"Z": b"\x02", "P": b"\x03", "S": b"\x04", "N": b"\x05"}
_WHITE_SPACE: Final = frozenset("\t\n\v\f\r")
_LETTER = b"\x06"
_TOP = b"\x07"


def string_weights(text: str) -> bytes:
    """Bytes that sort like `text` does. They contain no zero byte but the last one."""
    base = bytearray()
    accents = bytearray()
    case = bytearray()
    for char in unicodedata.normalize("NFD", text):
        category = unicodedata.category(char)
        if category[0] == "M":
            accents += _utf8(char)
        elif char == _HIGHEST:
            base += _TOP
            accents += b"\x02"
        elif category[0] != "C" or char in _WHITE_SPACE or category in ("Co", "Cs", "Cn"):
            kind = _CLASSES["Z"] if char in _WHITE_SPACE else _CLASSES.get(category[0], _LETTER)
            base += kind + _utf8(char.casefold())
            accents += b"\x02"
            case += b"\x03" if char != char.casefold() else b"\x02"
        # control characters weigh nothing
    return bytes(base + _LEVEL_END + accents + _LEVEL_END + case + b"\x00")


def compare_strings(left: str, right: str) -> int:
    """Negative, zero or positive as `left` sorts before, with or after `right`."""
    if left == right:
        return 0
    a, b = string_weights(left), string_weights(right)
    return (a > b) - (a < b)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
