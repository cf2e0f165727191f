"""Reads the text out of a file, in a process with limits (`kompass.extraction.worker`) and nowhere else.

What a file is, its first bytes say; its name and what it claims to be count only for plain text. Nothing in a
file is executed, followed or fetched: macros, links, embedded files and pictures are never opened.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

MOST_TEXT = 100_000
"""Characters that are read of a file; what comes after isn't looked at."""
MOST_PAGES = 500
"""Pages of a PDF, and sheets or slides."""
MOST_PARTS = 10_000
"""Files in an archive."""
MOST_UNPACKED = 100 * 1024 * 1024
"""Bytes that are unpacked of an archive, all together."""
DEEPEST = 200
"""Elements inside each other."""

_PIECE = 64 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TEXT_PARTS = re.compile(
    r"word/(?:document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml"
    r"|xl/(?:sharedStrings|worksheets/sheet\d+)\.xml"
    r"|ppt/(?:slides/slide|notesSlides/notesSlide)\d+\.xml"
)
_TEXT = "t"
_BREAKS = frozenset({"p", "si", "br", "tab", "tc", "tr", "is"})
"""Elements that end a word: paragraphs, cells, lines."""


class UnreadableError(Exception):
    """Nothing can be read of it. The text says why, for people, and quotes nothing of the file."""


def text_of(data: bytes, *, plain: bool) -> str | None:
    """The first `MOST_TEXT` characters; None for a kind of file that has no text that could be read here, as
    pictures. `plain`: it is said to be plain text. Raises `UnreadableError`."""
    if data.startswith(b"%PDF-") or b"%PDF-" in data[:1024]:
        return _joined(_pdf(data))
    if data.startswith(b"PK\x03\x04"):
        return _joined(_office(data))
    if data.startswith(_OLE):
        raise UnreadableError("a document of an old Office, or one with a password")
    if plain:
        return _plain(data)
    return None


def _joined(pieces: Iterator[str]) -> str:
    found: list[str] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size >= MOST_TEXT:
            break
    return "".join(found)[:MOST_TEXT]


def _plain(data: bytes) -> str:
    some = data[: 4 * MOST_TEXT]
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if some.startswith(mark):
            return some.decode(encoding, "replace")[:MOST_TEXT]
    if b"\x00" in some:
        raise UnreadableError("it is said to be text, but isn't")
    try:
        return some.decode("utf-8-sig")[:MOST_TEXT]
    except UnicodeDecodeError as error:
        if len(data) > len(some) and error.start > len(some) - 4:  # cut in the midst of a character
            return some[: error.start].decode("utf-8-sig")[:MOST_TEXT]
    return some.decode("cp1252", "replace")[:MOST_TEXT]


def _pdf(data: bytes) -> Iterator[str]:
    import logging

    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        file = pypdf.PdfReader(io.BytesIO(data), strict=False)
        if file.is_encrypted and not file.decrypt(""):
            raise UnreadableError("a PDF with a password")
        pages = len(file.pages)
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # a broken file makes pypdf raise anything
        raise UnreadableError(f"a broken PDF ({type(error).__name__})") from error
    failed = 0
    for number in range(min(pages, MOST_PAGES)):
        try:
            yield file.pages[number].extract_text() + "\n"
        except MemoryError:
            raise
        except Exception as error:
            failed += 1
            if failed == pages:
                raise UnreadableError(f"a broken PDF ({type(error).__name__})") from error


def _office(data: bytes) -> Iterator[str]:
    """Word, Excel and PowerPoint since 2007: archives of XML, whose text is in elements named `t`."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        raise UnreadableError("a broken archive") from error
    if len(parts) > MOST_PARTS:
        raise UnreadableError(f"an archive of more than {MOST_PARTS:,} files")
    wanted = [part for part in parts if _TEXT_PARTS.fullmatch(part.filename)]
    if not wanted:
        return  # an archive of something else: it isn't looked into
    unpacked = 0
    for part in sorted(wanted, key=_place)[:MOST_PAGES]:
        if part.flag_bits & 1:
            raise UnreadableError("an archive with a password")
        reading = _Texts()
        try:
            with archive.open(part) as opened:
                while piece := opened.read(_PIECE):
                    unpacked += len(piece)
                    if unpacked > MOST_UNPACKED:
                        raise UnreadableError(f"it unpacks to more than {MOST_UNPACKED >> 20} MB")
                    yield reading.feed(piece)
                yield reading.feed(b"", last=True) + "\n"
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, OSError) as error:
            raise UnreadableError("a broken archive") from error
        except expat.ExpatError as error:
            raise UnreadableError("broken XML in an archive") from error


def _place(part: zipfile.ZipInfo) -> tuple[int, str]:
    """What is read first."""
    first = ("word/document", "xl/sharedStrings", "ppt/slides")
    return (0 if part.filename.startswith(first) else 1, part.filename)


class _Texts:
    """The text of a part, piece by piece. Declared entities are refused: none of these formats has any."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._said
        self._depth = 0
        self._inside = False
        self._found: list[str] = []

    def feed(self, data: bytes, *, last: bool = False) -> str:
        self._parser.Parse(data, last)
        found, self._found = "".join(self._found), []
        return found

    def _doctype(self, *_: Any) -> None:
        raise UnreadableError("XML with a document type in an archive")

    def _start(self, name: str, _: Any) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise UnreadableError("XML that is too deep in an archive")
        self._inside = name.rpartition(" ")[2] == _TEXT

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._inside = False
        if name.rpartition(" ")[2] in _BREAKS:
            self._found.append("\n")

    def _said(self, text: str) -> None:
        if self._inside:
            self._found.append(text)
