"""Which encoding a file has, from all of its bytes, in memory that doesn't grow with them.

Four can come: UTF-8 and UTF-16, each with and without its mark, and Windows-1252. UTF-8 shows itself, as no
other text with umlauts happens to be sound UTF-8; what isn't is Windows-1252, if that has all of its bytes
and they make words.
A file that is neither, or first one and then the other, is refused: a wrong guess would be stored as names.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from enum import StrEnum

from kompass.accounting.lines import Readable
from kompass.accounting.problems import UnreadableError, unreadable
from kompass.accounting.profiles import Encoding

SAMPLE = 128 * 1024
"""Bytes from the beginning that are kept."""
_PIECE = 64 * 1024
_UNKNOWN_TO_WINDOWS = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
"""How .xlsx and .ods, and how .xls begin."""
_USUAL = bytes("äöüÄÖÜßéèáàâêçñ€§°²³´–„“”‚‘’…«»©®½\u00a0", "cp1252")
_UMLAUTS = bytes("äöüÄÖÜß", "cp1252")
_FOREIGN = re.compile(rb"[A-Za-z][\x84\x94\x8a\x9f\xa7][a-z]")
"""Quotes, a paragraph sign, Š or Ÿ within a word: of DOS these are ä and ö, of an old Mac ä, ü and ß."""
_ASCII = bytes(range(128))


class Sure(StrEnum):
    CERTAIN = "certain"
    LIKELY = "likely"
    GUESSED = "guessed"
    """It may as well be otherwise: a person should look."""


@dataclass(frozen=True, slots=True)
class Encoded:
    encoding: Encoding
    bom: bool
    sure: Sure
    reason: str
    grund: str
    """The reason in German."""
    sample: bytes
    complete: bool
    """Whether the sample is the whole file."""


def encoding_of(stream: Readable) -> Encoded:
    """Reads the stream to its end. Raises `UnreadableError` for what is none of the four."""
    watch = _Watch()
    sample = b""
    size = 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if len(sample) < SAMPLE:
            sample += piece[: SAMPLE - len(sample)]
        watch.see(piece)
    return Encoded(*_judged(watch, sample), sample, size == len(sample))


_Judged = tuple[Encoding, bool, Sure, str, str]


class _Watch:
    """What is remembered of all bytes."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self.lines = 1
        self.broken_at: int | None = None
        """The line of the first byte that isn't UTF-8."""
        self.several = 0
        """Signs of more than one byte before that."""
        self.zeros = [0, 0]
        """Zero bytes at even and at odd places."""
        self._place = 0
        self.windows = True
        self.high = 0
        self.usual = 0
        self.umlauts = 0
        self.foreign = False
        """Whether signs that are letters elsewhere stand within words."""

    def see(self, piece: bytes) -> None:
        if b"\0" in piece:
            even = piece[self._place % 2 :: 2].count(0)
            self.zeros[0] += even
            self.zeros[1] += piece.count(0) - even
        self._place += len(piece)
        if not piece.isascii():
            high = piece.translate(None, _ASCII)
            self.high += len(high)
            self.usual += len(high) - len(high.translate(None, _USUAL))
            self.umlauts += len(high) - len(high.translate(None, _UMLAUTS))
            self.foreign = self.foreign or _FOREIGN.search(piece) is not None
            self.windows = self.windows and len(high.translate(None, _UNKNOWN_TO_WINDOWS)) == len(high)
        if self.broken_at is None:
            try:
                text = self._utf8.decode(piece)
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode()
                self.several += len(good) - sum(sign.isascii() for sign in good)
                self.broken_at = self.lines + good.count("\n")
            else:
                if not text.isascii():
                    self.several += len(text) - len(text.encode("ascii", "ignore"))
                self.lines += text.count("\n")


def _judged(watch: _Watch, sample: bytes) -> _Judged:
    if sample.startswith(_WORKBOOKS):
        raise _none(
            "is no text but a workbook of Excel, or an archive; save it as CSV",
            "ist kein Text, sondern eine Excel-Mappe oder ein Archiv; bitte als CSV speichern",
        )
    if sample.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise _none("is UTF-32; save it as UTF-8", "ist UTF-32; bitte als UTF-8 speichern")
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return (
            "utf-16",
            True,
            Sure.CERTAIN,
            "it begins with the mark of UTF-16",
            "beginnt mit der Kennung von UTF-16",
        )
    if any(watch.zeros):
        return _sixteen(watch, len(sample))
    bom = sample.startswith(codecs.BOM_UTF8)
    if watch.broken_at is None:
        if bom:
            return (
                "utf-8",
                True,
                Sure.CERTAIN,
                "it begins with the mark of UTF-8",
                "beginnt mit der Kennung von UTF-8",
            )
        if watch.several:
            reason, grund = (
                "signs beyond ASCII are sound UTF-8",
                "Zeichen außerhalb von ASCII sind gültiges UTF-8",
            )
            return "utf-8", False, Sure.CERTAIN, f"{watch.several} {reason}", f"{watch.several} {grund}"
        return (
            "utf-8",
            False,
            Sure.CERTAIN,
            "it is plain ASCII, which is the same in all of them",
            "reines ASCII, das in allen gleich ist",
        )
    if bom or watch.several > 0:
        line = watch.broken_at
        raise _none(
            f"begins as UTF-8 and isn't any more in line {line}: it is put together from two files",
            f"beginnt als UTF-8 und ist es ab Zeile {line} nicht mehr: aus zwei Dateien gemischt",
            line,
        )
    if not watch.windows or (watch.foreign and not watch.umlauts):
        raise _none(
            "is neither UTF-8 nor Windows-1252 (perhaps of DOS or an old Mac); save it as UTF-8",
            "ist weder UTF-8 noch Windows-1252 (vielleicht von DOS oder Mac); bitte als UTF-8 speichern",
            watch.broken_at,
        )
    share = watch.usual / watch.high
    sure = Sure.CERTAIN if share == 1 else Sure.LIKELY if share > 0.8 else Sure.GUESSED
    reason = f"it isn't UTF-8, and {share:.0%} of its other bytes are German letters there"
    grund = f"kein UTF-8, und {share:.0%} der übrigen Bytes sind dort deutsche Buchstaben"
    return "windows-1252", False, sure, reason, grund


def _sixteen(watch: _Watch, size: int) -> _Judged:
    """Latin text in UTF-16 is half zeros, all of them at even or all at odd places."""
    even, odd = watch.zeros
    if odd > 10 * even and size % 2 == 0:
        return (
            "utf-16-le",
            False,
            Sure.LIKELY,
            "every other byte is zero, the second one first",
            "jedes zweite Byte ist null",
        )
    if even > 10 * odd and size % 2 == 0:
        return (
            "utf-16-be",
            False,
            Sure.LIKELY,
            "every other byte is zero, the first one first",
            "jedes zweite Byte ist null, das erste zuerst",
        )
    raise _none("has zero bytes, so it is no text", "enthält Nullbytes, ist also kein Text")


def _none(reason: str, grund: str, line: int | None = None) -> UnreadableError:
    return unreadable("file.encoding", reason, grund, line)
