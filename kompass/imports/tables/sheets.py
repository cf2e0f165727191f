"""The rows of a sheet of an .xlsx, .xls or .ods. Needs `python-calamine`."""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from python_calamine import CalamineError, PasswordError, load_workbook

from kompass.accounting.problems import unreadable
from kompass.imports.tables import limits, looking
from kompass.imports.tables.containers import Kind, broken, macros, opened, password
from kompass.imports.tables.records import look_at_xls

Found = dict[str, Any]


def read(data: bytes, kind: Kind, wanted: str | None) -> Found:
    """`sheets`, the `sheet` that was read (`wanted`, or the first one that has something), its `rows` from
    the top, and whether days are counted from 1904. Raises `UnreadableError`.
    """
    parts: dict[str, str] = {}
    looked: dict[str, looking.Sheet] = {}
    old: list[looking.Sheet] = []
    from_1904 = False
    if kind is Kind.XLS:
        old = look_at_xls(data)
    else:
        with opened(data) as archive:
            looking.check_roots(archive)
            if kind is Kind.XLSX:
                parts = looking.parts_of_sheets(archive)
                from_1904 = looking.is_1904(archive)
            else:
                looked = looking.look_at_ods(archive)
    try:
        workbook = load_workbook(io.BytesIO(data))
    except PasswordError:
        raise password() from None
    except (CalamineError, OSError, ValueError):
        raise broken() from None
    if kind is Kind.XLS:
        if len(old) != len(workbook.sheets_metadata):
            raise broken()
        looked = {one.name: sheet for one, sheet in zip(workbook.sheets_metadata, old, strict=True)}
    names = [one.name for one in workbook.sheets_metadata if _is(one.typ, "WorkSheet")]
    if any(_is(one.typ, "MacroSheet") or _is(one.typ, "Vba") for one in workbook.sheets_metadata):
        raise macros()
    shown = [one.name for one in workbook.sheets_metadata if _is(one.visible, "Visible")]
    if wanted is not None and wanted not in names:
        listed = ", ".join(names)[:200]
        raise unreadable(
            "file.sheet",
            f"has no such sheet; there are: {listed}",
            f"hat kein solches Blatt; es gibt: {listed}",
        )
    candidates = [wanted] if wanted is not None else [name for name in names if name in shown]
    for name in candidates:
        if kind is Kind.XLSX and name in parts:
            with opened(data) as archive:
                looked[name] = looking.look_at_xlsx(archive, parts[name])
        one = looked.get(name, looking.Sheet())
        if name in looked and not one.cells:
            continue
        rows = _rows(workbook, name, one.marks)
        if rows:
            return {"sheets": names, "sheet": name, "rows": rows, "from1904": from_1904}
    raise unreadable("file.empty", "has no sheet with values", "hat kein Blatt mit Werten")


def _is(value: object, name: str) -> bool:
    return str(value).rpartition(".")[2] == name


def _rows(workbook: Any, name: str, marks: Mapping[tuple[int, int], looking.Mark]) -> list[list[Any]]:
    try:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.total_height:
            looking.check_size(sheet.total_height, sheet.total_width)
        found = [[shown(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
    except (CalamineError, OSError):
        raise broken() from None
    for (row, column), mark in marks.items():
        found += [[] for _ in range(len(found), row)]
        cells = found[row - 1]
        cells += [None] * (column - len(cells))
        cells[column - 1] = mark
    return list(_trimmed(found))


def _trimmed(rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Without what is empty behind the last value of each row, and without empty rows at the end."""
    empty = 0
    for row in rows:
        while row and row[-1] is None:
            row.pop()
        if not row:
            empty += 1
            continue
        yield from ([] for _ in range(empty))
        empty = 0
        yield row


def shown(cell: Any) -> Any:
    """A cell as JSON: text, number, boolean, null for an empty one; days and times as `{"day": …}`. What
    has no value is a `looking.Mark`.
    """
    match cell:
        case None | "":
            return None
        case str():
            return cell[: limits.LONGEST_CELL].encode("utf-8", "replace").decode() or None
        case bool():
            return cell
        case int() | float():
            return cell if math.isfinite(cell) else {"text": str(cell)}
        case datetime.datetime():
            midnight = cell.time() == datetime.time()
            return {"day": cell.date().isoformat()} if midnight else {"moment": cell.isoformat()}
        case datetime.date():
            return {"day": cell.isoformat()}
        case _:
            return {"text": str(cell)[:100]}
