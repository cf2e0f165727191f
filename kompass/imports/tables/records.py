"""What is in an .xls, found out from the records of its workbook ([MS-XLS]; BIFF8, and BIFF5 before it).

Nothing is computed or followed: records are counted, and what they may not be refused.
"""

from __future__ import annotations

import io
from struct import unpack_from

import olefile

from kompass.accounting.problems import unreadable
from kompass.imports.tables.containers import broken, links, password
from kompass.imports.tables.looking import Sheet, count

_BOF, _EOF, _BOUNDSHEET, _FILEPASS = 0x0809, 0x000A, 0x0085, 0x002F
_SUPBOOK, _EXTERNSHEET = 0x01AE, 0x0017
_QUERIES = frozenset({0x00DC, 0x01AD, 0x0876})
"""DBQUERY, QSI, DCONN: tables of databases and of web pages."""
_OWN = frozenset({0x0401, 0x3A01})
"""What a SUPBOOK says in place of a file's name: this workbook, and functions of add-ins."""
_FORMULA, _BOOLERR, _MULRK = 0x0006, 0x0205, 0x00BD
_VALUES = frozenset({_FORMULA, _BOOLERR, _MULRK, 0x0203, 0x027E, 0x00FD, 0x0204, 0x00D6})
"""And NUMBER, RK, LABELSST, LABEL and RSTRING: cells that have a value. Each begins with row and column."""
_BIFF8 = 0x0600
_ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}


def look_at_xls(data: bytes) -> list[Sheet]:
    """The sheets in their order. Raises `UnreadableError` for one that is too large, for values taken from
    other files or databases, and for a password.
    """
    stream = _workbook(data)
    begins: dict[int, Sheet] = {}
    sheet: Sheet | None = None
    depth = at = version = 0
    while at + 4 <= len(stream):
        kind, size = unpack_from("<HH", stream, at)
        start, at = at, at + 4 + size
        body = stream[start + 4 : at]
        if len(body) < size:
            raise broken()
        if kind == _BOF:
            depth += 1
            if depth == 1:
                sheet = begins.get(start)
                version = unpack_from("<H", body)[0] if size >= 2 else 0
        elif kind == _EOF:
            depth -= 1
        elif kind == _BOUNDSHEET and size >= 6:
            begins[unpack_from("<I", body)[0]] = Sheet()
        elif kind == _FILEPASS:
            raise password()
        elif kind in _QUERIES or (kind in (_SUPBOOK, _EXTERNSHEET) and _is_other(kind, body, version)):
            raise links()
        elif kind in _VALUES and sheet is not None and depth == 1 and size >= 6:
            row, column = unpack_from("<HH", body)
            last = unpack_from("<H", body, size - 2)[0] if kind == _MULRK else column
            count(sheet, row + 1, last + 1)
            if (error := _error(kind, body)) is not None:
                sheet.marks[row + 1, column + 1] = {"error": error}
    return list(begins.values())


def _workbook(data: bytes) -> bytes:
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            name = "Workbook" if file.exists("Workbook") else "Book"
            if not file.exists(name):
                raise unreadable(
                    "file.kind",
                    "is no workbook, but another file of old office software",
                    "ist keine Arbeitsmappe, sondern eine andere alte Office-Datei",
                )
            stream: bytes = file.openstream(name).read()
            return stream
    except (OSError, ValueError, IndexError, RecursionError):
        raise broken() from None


def _is_other(kind: int, body: bytes, version: int) -> bool:
    """Whether references go to another file, or to another program."""
    if kind == _EXTERNSHEET:
        return version < _BIFF8 and body[1:2] == b"\x01"
    if len(body) < 4:
        return False
    length = unpack_from("<H", body, 2)[0]
    # One that is left over from references that are gone says a blank, one to the same sheet a zero.
    return length not in _OWN and body[5:6] not in (b" ", b"\0")


def _error(kind: int, body: bytes) -> str | None:
    if kind == _BOOLERR and len(body) >= 8 and body[7] == 1:
        return _ERRORS.get(body[6], "#ERR")
    if kind == _FORMULA and body[6:7] == b"\x02" and body[12:14] == b"\xff\xff":
        return _ERRORS.get(body[8], "#ERR")
    return None
