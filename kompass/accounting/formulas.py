"""Texts that a spreadsheet would run: guarded on the way out, the guard undone on the way in.

A cell that begins with `=`, `+`, `-`, `@`, `|`, `%`, a tab or a line end is a formula to some spreadsheet,
whatever its quotes. It gets an apostrophe in front, as does a text that already has one before such a sign:
so undoing gives every text back as it was, and what comes from elsewhere without a guard is left alone. A
number that is negative is a number, no text, and never comes here; a text that is nothing but one isn't
changed.
"""

from __future__ import annotations

import re

GUARD = "'"
_RUN = "[\\s\x00-\x1f]*[=+\\-@|%\uff1d\uff0b\uff0d\uff20\t\r\n]"  # also the wide forms of Asian keyboards
_DANGEROUS = re.compile(f"'*{_RUN}")
_GUARDED = re.compile(f"'+{_RUN}")
_NUMBER = re.compile(r"-[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?\Z")
_PHONE = re.compile(r"\+[0-9][0-9 ()/\-]*\Z")


def guarded(text: str) -> str:
    """The text so that no spreadsheet runs it."""
    if _DANGEROUS.match(text) and not _NUMBER.match(text):
        return GUARD + text
    return text


def unguarded(text: str) -> str:
    """The text that was guarded; any other as it is."""
    return text[1:] if _GUARDED.match(text) and not _NUMBER.match(text[1:]) else text


def is_phone(text: str) -> bool:
    """Whether it begins with + because it is a telephone number: nothing in it could be run."""
    return _PHONE.match(text) is not None
