"""`$regex`, safe from patterns that take forever.

CouchDB uses PCRE, which gives up after a number of steps. The standard library's `re` cannot be
interrupted: one `(a|a)*b` from outside would stop the server for good. The `regex` package
speaks nearly the same language as PCRE (possessive quantifiers, atomic groups, `\\p{…}`, POSIX
classes) and takes a timeout, so it is used instead. Not understood are `\\Q…\\E`, `\\x{…}` and
`\\k<name>` (write `\\g<name>`). Letters, digits and case are Unicode's here; CouchDB's PCRE
matches bytes, so that `.` is half an "ü" there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import regex

from replication.protocol.mango import errors
from replication.protocol.mango.patience import Patience

MAX_LENGTH = 2000
"""Longest pattern in characters: compiling takes time and memory, too."""

MAX_TOGETHER = 4000
"""Characters of all patterns of a selector: compiling two thousand takes up to a tenth of a second."""


def compile_pattern(pattern: str) -> regex.Pattern[str] | None:
    """The compiled pattern, or None if it isn't one or is too long."""
    return None if len(pattern) > MAX_LENGTH else _compile(pattern)


@lru_cache(maxsize=256)
def _compile(pattern: str) -> regex.Pattern[str] | None:
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError):
        return None


def matcher(pattern: str, patience: Patience) -> Callable[[Any], bool]:
    """A predicate: is the value a string in which `pattern` is found?

    Calling it raises a 400 `bad_arg` when the match takes longer than there is patience left.
    """
    compiled = compile_pattern(pattern)
    if compiled is None:
        raise errors.bad_argument("$regex", pattern)
    search = compiled.search

    def matches(value: Any) -> bool:
        if value.__class__ is not str:
            return False
        try:
            return search(value, timeout=patience.left()) is not None
        except TimeoutError:
            raise errors.regex_too_slow(pattern) from None

    return matches
