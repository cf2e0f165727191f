"""The lines and records of a file that anybody may have made, from its bytes.

A record is what the standard library's reader makes of as many lines as its quotes go on. A broken record is
told with its first line, and reading goes on with the line after that: a quote that is never closed costs one
row and not the rest of the file. Lines, records and the number of broken ones have limits.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from kompass.accounting.problems import Problem, unreadable

LONGEST_LINE = 1_000_000
"""Characters."""
MOST_LINES = 60_000
"""Lines that one record may go on for; the longest texts of documents have 50,000 characters."""
MOST_BROKEN = 200
"""Broken records after which nothing more is read."""
_PIECE = 64 * 1024
_END = re.compile(r"\r\n|\n|\r(?!\Z)")  # a return at the end of a piece may go on with a line feed


class Readable(Protocol):
    """A stream of bytes, as an open file is one."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    """Where it begins, from 1."""
    cells: list[str] | None
    """None: it is broken."""
    problem: Problem | None = None


class Lines:
    """The lines of a stream, with their ends. Raises `UnreadableError`."""

    def __init__(self, stream: Readable, codec: str) -> None:
        self._stream = stream
        self._codec = codec
        self.ends: set[str] = set()
        """Which line ends there were."""
        self.whole = True
        """After the last line: whether it had an end. A file that was cut off usually hasn't."""

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self._codec)("strict")
        number, rest = 0, ""
        while True:
            piece = self._stream.read(_PIECE)
            try:
                rest += decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                byte = f"0x{error.object[error.start]:02x}"
                good = error.object[: error.start].decode(self._codec, "ignore")
                raise unreadable(
                    "file.encoding",
                    f"isn't {self._codec}: byte {byte} means nothing there",
                    f"ist nicht in {self._codec}: das Byte {byte} bedeutet dort nichts",
                    number + len(_END.findall(rest + good)) + 1,
                ) from None
            except UnicodeError:  # of UTF-16 without its mark
                raise unreadable(
                    "file.encoding", f"isn't {self._codec}", f"ist nicht in {self._codec}", number + 1
                ) from None
            start = 0
            for found in _END.finditer(rest):
                number += 1
                yield self._checked(rest[start : found.end()], number)
                start = found.end()
            rest = rest[start:]
            if len(rest) > LONGEST_LINE:
                raise _long(number + 1)
            if not piece:
                break
        if rest:
            self.whole = rest.endswith("\r")
            yield self._checked(rest, number + 1)

    def _checked(self, line: str, number: int) -> str:
        if len(line) > LONGEST_LINE:
            raise _long(number)
        if "\0" in line:
            raise unreadable(
                "file.zero",
                "has a zero byte: this is no text, or its encoding is another one",
                "enthält ein Nullzeichen: das ist kein Text, oder er ist anders kodiert",
                number,
            )
        bare = line.rstrip("\r\n")
        self.ends.add(line[len(bare) :] or "")
        return line


def _long(number: int) -> Exception:
    return unreadable(
        "file.line",
        f"has a line of more than {LONGEST_LINE:,} characters",
        f"hat eine Zeile von mehr als {LONGEST_LINE:,} Zeichen".replace(",", "."),
        number,
    )


class _Numbered:
    """Lines one by one, of which the last ones can be given back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self._taken) >= MOST_LINES:
            raise csv.Error(f"goes on for more than {MOST_LINES} lines")
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self.number += 1
        return line

    def begin(self) -> None:
        self._taken.clear()

    def give_back(self) -> None:
        """All lines since `begin` but the first."""
        again = self._taken[1:]
        self._again.extendleft(reversed(again))
        self.number -= len(again)
        self._taken.clear()


def records(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    """The records of the lines; empty lines are none. Raises `UnreadableError`."""
    source = _Numbered(lines)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    broken = 0
    while True:
        source.begin()
        first = source.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            broken += 1
            if broken > MOST_BROKEN:
                raise unreadable(
                    "file.broken",
                    f"has more than {MOST_BROKEN} rows that can't be read: is {delimiter!r} what separates?",
                    f"hat mehr als {MOST_BROKEN} unlesbare Zeilen: ist {delimiter!r} das Trennzeichen?",
                    first,
                ) from None
            source.give_back()
            reader = csv.reader(source, delimiter=delimiter, strict=True)
            yield Record(first, None, _broken(error, first))
            continue
        if cells and cells != [""]:
            yield Record(first, cells)


def _broken(error: csv.Error, line: int) -> Problem:
    said = str(error)
    if "goes on" in said or "end of data" in said or "field larger" in said:
        return Problem(
            "row.quote",
            "begins a quoted cell that isn't closed",
            "beginnt ein Feld in Anführungszeichen, das nicht geschlossen wird",
            line,
        )
    return Problem(
        "row.quotes",
        'has a quote within a cell; it must be doubled: ""',
        'hat ein Anführungszeichen in einem Feld; es muss verdoppelt sein: ""',
        line,
    )
