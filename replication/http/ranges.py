"""`Range` headers as CouchDB reads them.

It is stricter than RFC 9110 where a range does not fit (416 for any that begins behind the end, even
among others that fit) and, like it, ignores a header that it cannot read. A range that is the whole thing
(`bytes=0-`) is answered 200.
"""

from __future__ import annotations

import re

from replication.protocol import errors

MAX_RANGES = 9
"""More ranges than these are answered with the whole."""

_PART = re.compile(r"\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII)

Span = tuple[int, int]
"""First byte and the one behind the last."""


def parse_ranges(header: str | None, length: int) -> list[Span]:
    """The ranges asked for; empty if the whole is to be sent. Raises 416."""
    if header is None or not header.startswith("bytes="):
        return []
    spans = []
    for part in header[len("bytes=") :].split(","):
        match = _PART.fullmatch(part)
        if match is None or not (match[1] or match[2]):
            return []
        first, last = match[1], match[2]
        if not first:
            start, end = max(0, length - int(last)), length
        else:
            start, end = int(first), min(int(last) + 1, length) if last else length
        if not last and start == 0:
            return []
        if start >= end:
            raise errors.range_not_satisfiable()
        spans.append((start, end))
    return spans if len(spans) <= MAX_RANGES else []


def content_range(span: Span, length: int) -> str:
    return f"bytes {span[0]}-{span[1] - 1}/{length}"
