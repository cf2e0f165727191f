"""Multipart bodies without I/O: bytes in, events out (RFC 2046, 5.1).

A document and its attachments travel as `multipart/related`: a JSON part, then the bytes of each
attachment. Several documents travel as `multipart/mixed`, whose parts are JSON or such a
`multipart/related` again. `Parser` takes a body in pieces of any size and tells what is in it;
`Writer` makes the delimiters and headers of one.

The parser keeps a line's worth of bytes at most: a part's data is passed on as it comes, and what may
be the beginning of a delimiter waits for the next piece. Events don't depend on how the body was cut,
except that data comes in pieces.

A delimiter is `CRLF -- boundary`, then blanks and CRLF, or `--` for the last one. A boundary that
something else follows is data, so a boundary may begin with another one. A nested multipart must end
before the one around it goes on. Bytes before the first delimiter and behind the last mean nothing.

Which parts are opened as nested multiparts depends on their depth alone, not on what they say: an
attachment may well be of type `multipart/related` and is still just bytes.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from secrets import token_hex
from typing import Literal, NamedTuple

from replication.protocol.errors import ProtocolError

RELATED = "multipart/related"
"""A document and its attachments."""

MIXED = "multipart/mixed"
"""Several documents."""

MAX_HEADER_SIZE = 64 * 1024
"""Bytes of one part's headers, and of what stands before the first delimiter or behind the last."""

MAX_PARTS = 100_000
"""Parts of one body, those of nested multiparts included."""

MAX_BOUNDARY = 70
"""Characters of a boundary (RFC 2046, 5.1.1), not counting the dashes before it."""

_MAX_PADDING = 256
"""Blanks behind a boundary."""

_LINE_AND_DASHES = b"\r\n--"
"""What every delimiter begins with."""

_PARAMETER = re.compile(r';[ \t]*([^=;"\s]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"\s]*)', re.DOTALL)
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class MultipartError(ProtocolError):
    """A body that is no multipart, or not a whole one: 400 `bad_request`."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, "bad_request", reason)


# -- headers -----------------------------------------------------------------------------------


def parse_value(header: str) -> tuple[str, dict[str, str]]:
    """A header such as `Content-Type`: its value in lower case and its parameters.

    `multipart/related; boundary="x"` is `("multipart/related", {"boundary": "x"})`.
    """
    value, semicolon, _ = header.partition(";")
    parameters: dict[str, str] = {}
    if semicolon:
        for name, text in _PARAMETER.findall(header):
            if text.startswith('"'):
                text = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
            parameters.setdefault(name.lower(), text)
    return value.strip().lower(), parameters


def boundary_of(content_type: str) -> str:
    """The boundary that a `Content-Type` names. Raises `MultipartError` if it names none, or a bad one."""
    boundary = parse_value(content_type)[1].get("boundary", "")
    if not boundary:
        raise MultipartError("The Content-Type of a multipart body must name its boundary")
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError(
            f"A boundary has 1 to {MAX_BOUNDARY} printable ASCII characters and no blank at its end"
        )
    return boundary


def filename_of(headers: Mapping[str, str]) -> str | None:
    """The name in a part's `Content-Disposition`, as `disposition` writes it; None if there is none."""
    header = headers.get("content-disposition")
    if header is None:
        return None
    name = parse_value(header)[1].get("filename")
    if name is None:
        return None
    for character, escape in _ESCAPES.items():
        name = name.replace(escape, character)
    return name


def disposition(name: str) -> str:
    """A `Content-Disposition` for the attachment `name`.

    The name is in UTF-8 as it is, as CouchDB sends it. What would end the string or the header is
    escaped as browsers do in forms.
    """
    for character, escape in _ESCAPES.items():
        name = name.replace(character, escape)
    return f'attachment; filename="{name}"'


_ESCAPES = {'"': "%22", "\r": "%0D", "\n": "%0A", "\\": "%5C"}


def _parse_headers(block: bytes) -> dict[str, str]:
    """Names in lower case. A header that comes twice, or is none, is an error."""
    headers: dict[str, str] = {}
    if not block:
        return headers
    for line in re.sub(rb"\r\n[ \t]+", b" ", block).split(b"\r\n"):
        raw_name, colon, raw_value = line.partition(b":")
        name = raw_name.decode("latin-1").lower()
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise MultipartError("A part has a line among its headers that is no header")
        if name in headers:
            raise MultipartError(f"A part has the header {name} twice")
        try:
            value = raw_value.decode("utf-8")
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = value.strip(" \t")
    return headers


# -- reading -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartStarted:
    """A part begins. A nested multipart has parts instead of data."""

    headers: Mapping[str, str]
    """Names in lower case."""
    depth: int
    """1 for the parts of the body itself."""
    nested: bool = False


@dataclass(frozen=True, slots=True)
class PartData:
    """More of the part that began last; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnded:
    """A part is complete."""

    depth: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The body's last delimiter was there."""


Event = PartStarted | PartData | PartEnded | Ended

_State = Literal["skipping", "headers", "blank", "data", "done"]
"""
`skipping`: before a multipart's first delimiter, or behind a nested one's last;
`headers`: behind a delimiter, up to the empty line;
`blank`: at that empty line, whose CRLF may belong to the next delimiter already;
`data`: in a part;
`done`: behind the last delimiter.
"""


class _Found(NamedTuple):
    """A delimiter in the buffer: whether it is one (`open` if the next bytes will tell), whose, how long."""

    kind: Literal["next", "last", "none", "open"]
    level: int = 0
    size: int = 0


class Parser:
    """Takes a multipart body apart.

    `feed` each piece and take its events, then call `close`. `depth` is how many levels of multiparts
    are opened: 1 for a document with attachments, 2 for several documents. Raises `MultipartError` as
    soon as something is wrong, and is of no use afterwards.
    """

    def __init__(
        self,
        boundary: str,
        *,
        depth: int = 1,
        max_parts: int = MAX_PARTS,
        max_header_size: int = MAX_HEADER_SIZE,
    ) -> None:
        self._delimiters = [_delimiter(boundary)]
        """Of the multiparts we are in, the innermost last."""
        self._max_depth = depth
        self._max_parts = max_parts
        self._max_header_size = max_header_size
        self._state: _State = "skipping"
        # The first delimiter has no line before it that would end with its CRLF.
        self._buffer = bytearray(b"\r\n")
        self._open = [False]
        """For each of them: whether a part of it has begun and not ended."""
        self._parts = 0
        self._skipped = 0
        """Bytes since the last delimiter that mean nothing."""
        self._searched = 0
        """Bytes of the buffer in which no end of headers was found."""

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that `data` completes. Nothing happens before they are taken; take all of them."""
        self._buffer += data
        more = True
        while more:
            if self._state == "headers":
                started = self._read_headers()
                if started is None:
                    return
                yield started
            elif self._state == "blank":
                more = self._read_blank()
            elif self._state == "done":
                self._count_skipped(len(self._buffer))
                self._buffer.clear()
                return
            else:
                more = yield from self._read_data()

    def close(self) -> None:
        """The body is at its end. Raises `MultipartError` if it should not be."""
        if self._state != "done":
            raise MultipartError("The multipart body is cut short: its last boundary is missing")

    def _read_headers(self) -> PartStarted | None:
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):
            end = 0
        else:
            end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
            if end < 0 and len(buffer) <= self._max_header_size:
                self._searched = len(buffer)
                return None
            if end < 0 or end > self._max_header_size:
                raise MultipartError(f"The headers of a part are longer than {self._max_header_size} bytes")
        headers = _parse_headers(bytes(buffer[:end]))
        self._searched = 0
        self._parts += 1
        if self._parts > self._max_parts:
            raise MultipartError(f"A multipart body may have {self._max_parts} parts at most")
        # The CRLF of the empty line stays: without data it is the next delimiter's as well.
        del buffer[: end + 2 if end else 0]
        depth = len(self._delimiters)
        self._open[-1] = True
        content_type = headers.get("content-type", "")
        nested = depth < self._max_depth and parse_value(content_type)[0].startswith("multipart/")
        if nested:
            inner = _delimiter(boundary_of(content_type))
            if inner in self._delimiters:
                raise MultipartError("A nested multipart has the boundary of the one around it")
            self._delimiters.append(inner)
            self._open.append(False)
            self._skipped = 0
            self._state = "skipping"
        else:
            self._state = "blank"
        return PartStarted(headers, depth, nested)

    def _read_blank(self) -> bool:
        """Leaves the empty line's CRLF to a delimiter that follows at once. False if more bytes must tell."""
        kind = self._delimiter_at(0).kind
        if kind == "open":
            return False
        if kind == "none":
            del self._buffer[:2]
        self._state = "data"
        return True

    def _read_data(self) -> Generator[Event, None, bool]:
        """Passes on data up to the next delimiter and steps over that. False without one."""
        buffer = self._buffer
        for position in self._candidates():
            found = self._delimiter_at(position)
            if found.kind == "none":
                continue
            yield from self._pass_on(position)
            if found.kind == "open":
                return False
            yield from self._step_over(found)
            return True
        held = next((size for size in (3, 2, 1) if buffer.endswith(_LINE_AND_DASHES[:size])), 0)
        yield from self._pass_on(len(buffer) - held)
        return False

    def _candidates(self) -> Iterator[int]:
        """Where a boundary is in the buffer, in order, and where one may begin at its end.

        Searched for as a whole: data may be full of what delimiters begin with.
        """
        buffer = self._buffer
        whole = _whole(tuple(self._delimiters))
        found = whole.search(buffer)
        while found is not None:
            yield found.start()
            found = whole.search(buffer, found.start() + 2)
        longest = max(map(len, self._delimiters))
        position = buffer.find(_LINE_AND_DASHES, max(0, len(buffer) - longest))
        while position >= 0:
            yield position
            position = buffer.find(_LINE_AND_DASHES, position + 2)

    def _delimiter_at(self, position: int) -> _Found:
        """What delimiter begins at a CRLF. Where two would do, that of the inner multipart counts."""
        buffer = self._buffer
        for level in range(len(self._delimiters) - 1, -1, -1):
            delimiter = self._delimiters[level]
            end = position + len(delimiter)
            if not buffer.startswith(delimiter, position):
                if end > len(buffer) and delimiter.startswith(buffer[position:]):
                    return _Found("open")
                continue
            rest = bytes(buffer[end : end + _MAX_PADDING + 2])
            padding = len(rest) - len(rest.lstrip(b" \t"))
            if rest.startswith(b"--"):
                return _Found("last", level, len(delimiter) + 2)
            if rest.startswith(b"\r\n", padding):
                return _Found("next", level, len(delimiter) + padding + 2)
            if rest == b"-" or (rest[padding:] in (b"", b"\r") and padding <= _MAX_PADDING):
                return _Found("open")
        return _Found("none")

    def _pass_on(self, size: int) -> Iterator[Event]:
        if size <= 0:
            return
        if self._state == "data":
            yield PartData(bytes(self._buffer[:size]))
        else:
            self._count_skipped(size)
        del self._buffer[:size]

    def _count_skipped(self, size: int) -> None:
        self._skipped += size
        if self._skipped > self._max_header_size:
            raise MultipartError(
                f"More than {self._max_header_size} bytes stand before the first boundary or behind the last"
            )

    def _step_over(self, found: _Found) -> Iterator[Event]:
        """The buffer begins with this delimiter."""
        if found.level < len(self._delimiters) - 1:
            raise MultipartError("A nested multipart is cut short: its last boundary is missing")
        if self._open[-1]:
            yield PartEnded(len(self._delimiters))
            self._open[-1] = False
        del self._buffer[: found.size]
        self._skipped = 0
        if found.kind == "next":
            self._state = "headers"
        elif len(self._delimiters) > 1:
            self._delimiters.pop()
            self._open.pop()
            self._state = "skipping"
        else:
            self._state = "done"
            yield Ended()


@lru_cache(maxsize=64)
def _whole(delimiters: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """What finds the next of these delimiters that is followed by what may follow one, if by anything."""
    return re.compile(b"(?:" + b"|".join(map(re.escape, delimiters)) + rb")(?=[- \t\r]|\Z)")


def _delimiter(boundary: str) -> bytes:
    return _LINE_AND_DASHES + boundary.encode("ascii")


# -- writing -----------------------------------------------------------------------------------


class Writer:
    """Delimiters and headers of one multipart body; the caller puts each part's bytes behind `part`."""

    def __init__(self, boundary: str | None = None) -> None:
        """`boundary`: a random one unless given, which no part then contains."""
        self.boundary = boundary or token_hex(16)
        self._begun = False

    def content_type(self, subtype: str = "related") -> str:
        """The `Content-Type` of the whole."""
        return f'multipart/{subtype}; boundary="{self.boundary}"'

    def part(self, headers: Mapping[str, str]) -> bytes:
        """What comes before a part's bytes."""
        lines = [("\r\n--" if self._begun else "--") + self.boundary]
        self._begun = True
        for name, value in headers.items():
            if "\r" in value or "\n" in value:
                raise ValueError(f"A line break in the header {name}")
            lines.append(f"{name}: {value}")
        return "\r\n".join((*lines, "", "")).encode("utf-8")

    def end(self) -> bytes:
        """What comes behind the last part."""
        return f"\r\n--{self.boundary}--".encode("ascii")
