"""What kind of file it is, by its bytes, and whether it may be read at all: before anything is unpacked.

Macros, links to other files, passwords and archives that unpack to very much are refused by what the
directory of the archive says. Nothing in a file is executed, followed or fetched.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from enum import StrEnum

from kompass.accounting.problems import UnreadableError, unreadable
from kompass.imports.tables import limits

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"{\\rtf")
READ_ERRORS = (
    LookupError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    ValueError,
    EOFError,
    OSError,
)


class Kind(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"
    ODS = "ods"


def kind_of(data: bytes) -> Kind:
    """Raises `UnreadableError` for what is no table, or may not be read."""
    if not data:
        raise unreadable("file.empty", "is empty", "ist leer")
    if data.startswith(b"PK"):
        return _archive(data)
    if data.startswith(_OLE):
        _check_old(data)
        return Kind.XLS
    if data.startswith(_OTHERS):
        raise _no_table()
    if data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise unreadable(
            "file.markup",
            "is a web page or XML, whatever its name says: open it and save it as .xlsx",
            "ist eine Webseite oder XML, was auch immer der Name sagt: öffnen und als .xlsx speichern",
        )
    return Kind.CSV


def _no_table() -> Exception:
    return unreadable(
        "file.kind",
        "is no table: CSV, .xlsx, .xls and .ods are read",
        "ist keine Tabelle: gelesen werden CSV, .xlsx, .xls und .ods",
    )


def opened(data: bytes) -> zipfile.ZipFile:
    """An archive that was looked at. Raises `UnreadableError` for a broken one."""
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except READ_ERRORS:
        raise broken() from None


def part(archive: zipfile.ZipFile, name: str) -> bytes:
    """All of a small part. Raises `UnreadableError`."""
    try:
        return archive.read(name)
    except READ_ERRORS:
        raise broken() from None


def broken() -> UnreadableError:
    return unreadable(
        "file.broken",
        "is broken or incomplete: perhaps only half of it arrived",
        "ist beschädigt oder unvollständig: vielleicht kam nur die Hälfte an",
    )


def _archive(data: bytes) -> Kind:
    with opened(data) as archive:
        parts = archive.infolist()
        if len(parts) > limits.MOST_PARTS or sum(one.file_size for one in parts) > limits.MOST_UNPACKED:
            raise _bomb()
        for one in parts:
            if one.file_size > limits.SMALL and one.file_size > limits.MOST_RATIO * one.compress_size:
                raise _bomb()
            if one.flag_bits & 1:
                raise password()
        names = {one.filename for one in parts}
        if "xl/workbook.xml" in names:
            _check_xlsx(archive, names)
            return Kind.XLSX
        if "xl/workbook.bin" in names:
            raise unreadable(
                "file.xlsb", "is an .xlsb: save it as .xlsx", "ist eine .xlsb: bitte als .xlsx speichern"
            )
        if "content.xml" in names and b"opendocument.spreadsheet" in part(archive, "mimetype")[:100]:
            _check_ods(archive, names)
            return Kind.ODS
    raise _no_table()


_MACROS = (b"macroEnabled", b"vbaProject", b"macrosheet", b"dialogsheet")
_LINKS = (b"externalLink+xml", b"connections+xml", b"queryTable+xml")
"""What `[Content_Types].xml` says of such parts, whatever they are called."""


def _check_xlsx(archive: zipfile.ZipFile, names: set[str]) -> None:
    types = part(archive, "[Content_Types].xml")
    lower = {name.lower() for name in names}
    if any(one in types for one in _MACROS) or any(
        name.endswith("vbaproject.bin") or name.startswith(("xl/macrosheets/", "xl/dialogsheets/"))
        for name in lower
    ):
        raise macros()
    if any(one in types for one in _LINKS) or any(
        name.startswith(("xl/externallinks/", "xl/connections", "xl/querytables/")) for name in lower
    ):
        raise links()


def _check_ods(archive: zipfile.ZipFile, names: set[str]) -> None:
    if any(name.startswith(("Basic/", "Scripts/")) and not name.endswith("/") for name in names):
        raise macros()
    if "META-INF/manifest.xml" in names and b"encryption-data" in part(archive, "META-INF/manifest.xml"):
        raise password()


def _check_old(data: bytes) -> None:
    if _named(data, "EncryptedPackage"):
        raise password()
    if _named(data, "_VBA_PROJECT_CUR") or _named(data, "_VBA_PROJECT"):
        raise macros()


def _named(data: bytes, stream: str) -> bool:
    """Whether the directory of an old compound file names the stream: 64 bytes of UTF-16, zeros behind."""
    return stream.encode("utf-16-le").ljust(64, b"\0") in data


def _bomb() -> Exception:
    most = limits.MOST_UNPACKED >> 20
    return unreadable(
        "file.bomb",
        f"is an archive that unpacks to too much: {most} MB, and {limits.MOST_RATIO} times its size, may be",
        f"ist ein Archiv, das viel zu groß wird: erlaubt sind {most} MB und das {limits.MOST_RATIO}-fache",
    )


def password() -> Exception:
    return unreadable(
        "file.password",
        "has a password: save it without one",
        "hat ein Kennwort: bitte ohne speichern",
    )


def macros() -> Exception:
    return unreadable(
        "file.macros",
        "has macros: save it as .xlsx, which has none",
        "enthält Makros: bitte als .xlsx ohne Makros speichern",
    )


def links() -> Exception:
    return unreadable(
        "file.links",
        "takes values from other files or databases: paste them as values, and save it",
        "holt Werte aus anderen Dateien oder Datenbanken: bitte als Werte einfügen und speichern",
    )
